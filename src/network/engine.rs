//! The engine: every operation of the module, in order and off the event loop.

use super::{
    EndpointSpec, FirewallSpec, FirewallWatch, Lease, LeaseRequest, NetworkError, NetworkRecord, NetworkSpec, Peer,
    PortConflicts, Repaired, Reservation, Sandbox, bridge, firewall, lease,
    nft::{
        conntrack, encode, foreign, legacy,
        rule::Family,
        transaction::{self, Transaction},
    },
    ports, record, route, sandbox, subnet,
    sweep::Sweep,
    thread::{self, NFT_THREAD},
};
use crate::{
    model::{ContainerId, PublishedPort},
    state::{Layout, Lock, record as state_record},
};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// The networks of this host. Cheap to make; what it remembers is on disk and in the kernel.
#[derive(Debug)]
pub struct Networks {
    layout: Layout,
    sweep: Sweep,
}

impl Networks {
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), sweep: Sweep::default() }
    }

    /// The network exists and its bridge is up when this returns. One of that name that is there already is taken as
    /// it is: compare the record with what was wanted (another `project` is worth a warning, another subnet a
    /// recreation).
    pub async fn ensure(&self, spec: &NetworkSpec) -> Result<NetworkRecord, NetworkError> {
        let (layout, spec) = (self.layout.clone(), spec.clone());
        thread::run("muster-net", "make a network", move || {
            let _lock = lock(&layout)?;
            let network = match record::read(&layout, &spec.name)? {
                Some(network) => network,
                None => {
                    let network = place(&layout, &spec)?;
                    record::write(&layout, &network)?;
                    network
                }
            };
            bridge::ensure(&network)?;
            Ok(network)
        })
        .await
    }

    pub fn find(&self, name: &str) -> Result<Option<NetworkRecord>, NetworkError> {
        record::read(&self.layout, name)
    }

    /// By name.
    pub fn list(&self) -> Result<Vec<NetworkRecord>, NetworkError> {
        record::list(&self.layout)
    }

    /// Refused while a container is on the network. One that does not exist is no error.
    pub async fn remove(&self, name: &str) -> Result<(), NetworkError> {
        let layout = self.layout.clone();
        let owned = name.to_owned();
        let Some((lock, network)) = thread::run("muster-net", "look at a network", move || {
            let lock = lock(&layout)?;
            let Some(network) = record::read(&layout, &owned)? else { return Ok(None) };
            refuse_while_used(&layout, &network)?;
            Ok(Some((lock, network)))
        })
        .await?
        else {
            return Ok(());
        };
        self.sweep.delete(vec![network.bridge()]).await?;
        lease::remove(&self.layout, name)?;
        state_record::remove(&self.layout.network_record(name))?;
        let last = record::list(&self.layout)?.is_empty();
        drop(lock);
        if last {
            thread::run(NFT_THREAD, "close the way through other firewalls", || {
                let failed = || NetworkError::kernel("close the way through other firewalls");
                foreign::unpass(&transaction::open().map_err(failed())?).map_err(failed())?;
                legacy::unpass().map_err(failed())
            })
            .await?;
        }
        Ok(())
    }

    /// The container's address on a network; the same one as long as it is not released.
    pub fn lease(&self, network: &str, container: &ContainerId, request: &LeaseRequest) -> Result<Lease, NetworkError> {
        let network = self.find(network)?.ok_or_else(|| NetworkError::Unknown(network.to_owned()))?;
        let address = lease::take(&self.layout, &network, container, request)?;
        Ok(lease_of(&network, container, address))
    }

    /// What a container holds, by network.
    pub fn leases(&self, container: &ContainerId) -> Result<Vec<Lease>, NetworkError> {
        let mut leases = Vec::new();
        for network in self.list()? {
            let held = lease::read(&self.layout, &network.name)?.address_of(container);
            leases.extend(held.map(|address| lease_of(&network, container, address)));
        }
        Ok(leases)
    }

    /// Everybody who has an address on the network, of whatever project.
    pub fn peers(&self, network: &str) -> Result<Vec<Peer>, NetworkError> {
        Ok(lease::read(&self.layout, network)?.peers())
    }

    /// Gives all addresses of a container up.
    pub fn release(&self, container: &ContainerId) -> Result<(), NetworkError> {
        lease::release(&self.layout, &self.list()?, container)
    }

    /// Host ports, all or none. Nothing else is touched.
    pub fn reserve(&self, wanted: &[PublishedPort]) -> Result<Vec<Reservation>, PortConflicts> {
        ports::reserve(&self.layout, wanted)
    }

    /// Makes a container's network namespace with everything in it. To be kept over restarts of the container.
    pub async fn prepare(&self, spec: &EndpointSpec) -> Result<Sandbox, NetworkError> {
        let spec = spec.clone();
        thread::run("muster-netns", "make a network namespace", move || sandbox::make(&spec)).await
    }

    /// Takes a container's links away; none is left at either end when this returns. Its addresses stay leased. Calls
    /// that come together cost one.
    pub async fn teardown(&self, container: &ContainerId) -> Result<(), NetworkError> {
        let links = self.leases(container)?.into_iter().map(|lease| lease.link).collect();
        self.sweep.delete(links).await
    }

    /// Puts the project's rules in place of those before, in one transaction, and sees to it that other firewalls let
    /// the packets of muster's bridges through. Returns what a person should know.
    pub async fn apply(&self, spec: &FirewallSpec) -> Result<Vec<String>, NetworkError> {
        let spec = spec.clone();
        thread::run(NFT_THREAD, "write the packet filter", move || {
            commit(&spec)?;
            Ok(pass_others()?.1)
        })
        .await
    }

    /// Puts back what somebody else took away since `apply`. Writes nothing when all is there.
    pub async fn repair(&self, spec: &FirewallSpec) -> Result<Repaired, NetworkError> {
        let spec = spec.clone();
        thread::run(NFT_THREAD, "repair the packet filter", move || {
            let tables = !is_whole(&spec)?;
            if tables {
                commit(&spec)?;
            }
            let (passes, warnings) = pass_others()?;
            Ok(Repaired { tables, passes, warnings })
        })
        .await
    }

    /// Takes the project's rules away.
    pub async fn drop_firewall(&self, project: &str) -> Result<(), NetworkError> {
        let name = firewall::table_name(project);
        thread::run(NFT_THREAD, "delete the packet filter", move || {
            let failed = || NetworkError::kernel(format!("delete nftables table {name}"));
            let channel = transaction::open().map_err(failed())?;
            for family in [Family::Ip, Family::Bridge] {
                let mut transaction = Transaction::default();
                transaction.delete(family, &name);
                match transaction.commit(&channel) {
                    // A kernel without the bridge family has no such table either.
                    Err(error) if family == Family::Bridge && lacks_family(&error) => {}
                    other => other.map_err(failed())?,
                }
            }
            Ok(())
        })
        .await
    }

    /// Tells of changes that others make to the packet filter; `repair` follows.
    pub fn watch(&self) -> Result<FirewallWatch, NetworkError> {
        FirewallWatch::new()
    }
}

fn lock(layout: &Layout) -> Result<Lock, NetworkError> {
    let path = layout.host_lock("networks");
    Lock::acquire(&path).map_err(|source| NetworkError::File { verb: "lock", path, source })
}

/// The subnet and gateway of a new network.
fn place(layout: &Layout, spec: &NetworkSpec) -> Result<NetworkRecord, NetworkError> {
    let channel = route::open().map_err(NetworkError::kernel("open netlink"))?;
    let host = route::host_ranges(&channel, None).map_err(NetworkError::kernel("list the host's routes"))?;
    let others = record::list(layout)?;
    let subnet = match spec.subnet {
        Some(subnet) => {
            let subnet = subnet.trunc();
            let network = others.iter().find(|other| subnet::overlaps(&subnet, &other.subnet));
            let with = network.map(|other| format!("network {} ({})", other.name, other.subnet)).or_else(|| {
                host.iter().find(|range| subnet::breaks(&subnet, &range.net)).map(|range| range.what.clone())
            });
            if let Some(with) = with {
                return Err(NetworkError::Overlap { name: spec.name.clone(), subnet, with });
            }
            subnet
        }
        None => {
            let taken: Vec<Ipv4Net> =
                host.iter().map(|range| range.net).chain(others.iter().map(|other| other.subnet)).collect();
            subnet::choose(&spec.name, &taken).ok_or_else(|| NetworkError::PoolExhausted(spec.name.clone()))?
        }
    };
    let gateway = spec.gateway.unwrap_or_else(|| Ipv4Addr::from(u32::from(subnet.network()) + 1));
    match subnet::fault(subnet, gateway, spec.ip_range) {
        Some(what) => Err(NetworkError::BadSubnet { name: spec.name.clone(), what }),
        None => Ok(NetworkRecord::new(spec, subnet, gateway)),
    }
}

/// A lease without a link is of a container that does not run; the links tell.
fn refuse_while_used(layout: &Layout, network: &NetworkRecord) -> Result<(), NetworkError> {
    let failed = || NetworkError::kernel(format!("look for containers on network {}", network.name));
    let Some(index) = route::index_of(&network.bridge()).map_err(failed())? else { return Ok(()) };
    let channel = route::open().map_err(failed())?;
    let mut ports = route::ports_of(&channel, index).map_err(failed())?;
    if ports.is_empty() {
        return Ok(());
    }
    for holder in lease::read(layout, &network.name)?.holders() {
        let link = network.link(holder.as_str());
        if let Some(port) = ports.iter_mut().find(|port| **port == link) {
            *port = holder.short().to_owned();
        }
    }
    Err(NetworkError::InUse { name: network.name.clone(), containers: ports })
}

fn lease_of(network: &NetworkRecord, container: &ContainerId, address: Ipv4Addr) -> Lease {
    Lease {
        network: network.name.clone(),
        network_id: network.id.clone(),
        bridge: network.bridge(),
        internal: network.internal,
        address,
        prefix: network.subnet.prefix_len(),
        gateway: network.gateway,
        mac: subnet::mac_text(address),
        link: network.link(container.as_str()),
    }
}

fn commit(spec: &FirewallSpec) -> Result<(), NetworkError> {
    let failed = || NetworkError::kernel(format!("write the packet filter of project {}", spec.project));
    let channel = transaction::open().map_err(failed())?;
    let tables = firewall::tables(spec)?;
    let mut transaction = Transaction::default();
    for table in &tables {
        transaction.replace(table);
    }
    if tables.len() == 1
        && foreign::count_rules(&channel, encode::family(Family::Bridge), &tables[0].name)
            .is_ok_and(|count| count.is_some())
    {
        transaction.delete(Family::Bridge, &tables[0].name);
    }
    transaction.commit(&channel).map_err(failed())?;
    let routes = route::open().map_err(failed())?;
    let local: Vec<Ipv4Addr> =
        route::addresses(&routes).map_err(failed())?.into_iter().map(|(_, address, _)| address).collect();
    conntrack::forget_stale(&channel, &spec.publications, &local).map_err(failed())?;
    Ok(())
}

fn is_whole(spec: &FirewallSpec) -> Result<bool, NetworkError> {
    let failed = || NetworkError::kernel(format!("look at the packet filter of project {}", spec.project));
    let channel = transaction::open().map_err(failed())?;
    for table in firewall::tables(spec)? {
        let wanted: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
        let found = foreign::count_rules(&channel, encode::family(table.family), &table.name).map_err(failed())?;
        if found != Some(wanted) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn pass_others() -> Result<(bool, Vec<String>), NetworkError> {
    let failed = || NetworkError::kernel("get through other firewalls");
    let channel = transaction::open().map_err(failed())?;
    let (missing, mut warnings) = foreign::pass(&channel).map_err(failed())?;
    let (missing_legacy, more) = legacy::pass().map_err(failed())?;
    warnings.extend(more);
    Ok((missing || missing_legacy, warnings))
}

fn lacks_family(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::ENOENT))
}
