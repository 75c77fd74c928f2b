//! The engine: every operation of the module, in order and off the event loop.

use super::{
    EndpointSpec, FirewallSpec, FirewallWatch, Lease, LeaseRequest, NetworkError, NetworkRecord, NetworkSpec, Peer,
    PortConflicts, Repaired, Reservation, Sandbox, bridge, firewall, lease,
    netlink::{Channel, errno_of},
    nft::{
        conntrack, encode, foreign, legacy,
        rule::{Family, Table},
        transaction::{self, Transaction},
    },
    ports, record, route, sandbox, subnet,
    sweep::Sweep,
    thread::{self, CloseLater, NFT_THREAD},
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
        thread::run("muster-net", "make a network", move |_| {
            let _lock = lock_one(&layout, &spec.name)?;
            let network = match record::read(&layout, &spec.name)? {
                Some(network) => network,
                None => {
                    let _all = lock_for(&layout, "networks")?;
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
        self.remove_with(name, &[]).await
    }

    /// The same together with the links of containers that have ended, as one kernel operation: what `teardown` and
    /// `remove` would wait for one after the other. Networks that are removed at the same time cost no more.
    pub async fn remove_with(&self, name: &str, leaving: &[ContainerId]) -> Result<(), NetworkError> {
        let layout = self.layout.clone();
        let (owned, leaving) = (name.to_owned(), leaving.to_vec());
        let Some((lock, network, mut links)) = thread::run("muster-net", "look at a network", move |_| {
            let lock = lock_one(&layout, &owned)?;
            let Some(network) = record::read(&layout, &owned)? else { return Ok(None) };
            let links: Vec<String> = leaving.iter().map(|container| network.link(container.as_str())).collect();
            refuse_while_used(&layout, &network, &links)?;
            Ok(Some((lock, network, links)))
        })
        .await?
        else {
            return Ok(());
        };
        links.push(network.bridge());
        self.sweep.delete(links).await?;
        lease::remove(&self.layout, name)?;
        state_record::remove(&self.layout.network_record(name))?;
        drop(lock);
        let layout = self.layout.clone();
        thread::run(NFT_THREAD, "close the way through other firewalls", move |later| {
            // Under this lock nobody records a new network, so nobody's way is closed that is just being opened.
            let _all = lock_for(&layout, "networks")?;
            if !record::list(&layout)?.is_empty() {
                return Ok(());
            }
            let failed = || NetworkError::kernel("close the way through other firewalls");
            foreign::unpass(filter(later)?).map_err(failed())?;
            legacy::unpass().map_err(failed())
        })
        .await
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
        thread::run("muster-netns", "make a network namespace", move |later| sandbox::make(&spec, later)).await
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
        thread::run(NFT_THREAD, "write the packet filter", move |later| {
            let channel = filter(later)?;
            let mut warnings = commit(channel, &spec)?;
            warnings.extend(pass_others(channel)?.1);
            Ok(warnings)
        })
        .await
    }

    /// Puts back what somebody else took away since `apply`. Writes nothing when all is there.
    pub async fn repair(&self, spec: &FirewallSpec) -> Result<Repaired, NetworkError> {
        let spec = spec.clone();
        thread::run(NFT_THREAD, "repair the packet filter", move |later| {
            let channel = filter(later)?;
            let tables = !is_whole(channel, &spec)?;
            if tables {
                commit(channel, &spec)?;
            }
            let (passes, warnings) = pass_others(channel)?;
            Ok(Repaired { tables, passes, warnings })
        })
        .await
    }

    /// Takes the project's rules away.
    pub async fn drop_firewall(&self, project: &str) -> Result<(), NetworkError> {
        let name = firewall::table_name(project);
        thread::run(NFT_THREAD, "delete the packet filter", move |later| {
            let failed = || NetworkError::kernel(format!("delete nftables table {name}"));
            let channel = filter(later)?;
            for family in [Family::Ip, Family::Bridge] {
                let mut transaction = Transaction::default();
                transaction.delete(family, &name);
                match transaction.commit(channel) {
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

/// Held while a network is made or removed, which takes the kernel its time: not one lock for all, so that the
/// networks of a project come and go together, and not a file for each name, which nobody could ever remove.
fn lock_one(layout: &Layout, name: &str) -> Result<Lock, NetworkError> {
    lock_for(layout, &format!("networks-{}", subnet::fnv1a(name.as_bytes()) % 16))
}

/// `networks` is held while a subnet is chosen and recorded.
fn lock_for(layout: &Layout, name: &str) -> Result<Lock, NetworkError> {
    let path = layout.host_lock(name);
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
fn refuse_while_used(layout: &Layout, network: &NetworkRecord, leaving: &[String]) -> Result<(), NetworkError> {
    let failed = || NetworkError::kernel(format!("look for containers on network {}", network.name));
    let Some(index) = route::index_of(&network.bridge()).map_err(failed())? else { return Ok(()) };
    let channel = route::open().map_err(failed())?;
    let mut ports = route::ports_of(&channel, index).map_err(failed())?;
    ports.retain(|port| !leaving.contains(port));
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

/// A socket for the packet filter of this network namespace.
fn filter(later: &mut CloseLater) -> Result<&Channel, NetworkError> {
    let channel = transaction::open().map_err(NetworkError::kernel("open netlink for the packet filter"))?;
    later.push(channel);
    Ok(&later[later.len() - 1])
}

/// Returns what a person should know.
fn commit(channel: &Channel, spec: &FirewallSpec) -> Result<Vec<String>, NetworkError> {
    let failed = || NetworkError::kernel(format!("write the packet filter of project {}", spec.project));
    let tables = firewall::tables(spec)?;
    let mut warnings = Vec::new();
    match replace(channel, &tables, &firewall::table_name(&spec.project)) {
        Err(error) if tables.len() > 1 && lacks_family(&error) => {
            warnings.push(format!(
                "this kernel has no nftables for bridges ({error}): containers with NET_RAW can take each other's \
                 addresses"
            ));
            let mut transaction = Transaction::default();
            transaction.replace(&tables[0]);
            transaction.commit(channel).map_err(failed())?;
        }
        other => other.map_err(failed())?,
    }
    let routes = route::open().map_err(failed())?;
    let local: Vec<Ipv4Addr> =
        route::addresses(&routes).map_err(failed())?.into_iter().map(|(_, address, _)| address).collect();
    conntrack::forget_stale(channel, &spec.publications, &local).map_err(failed())?;
    Ok(warnings)
}

/// All tables of the project at once; the bridge one goes where there is none any more.
fn replace(channel: &Channel, tables: &[Table], name: &str) -> std::io::Result<()> {
    let mut transaction = Transaction::default();
    for table in tables {
        transaction.replace(table);
    }
    let bridge = encode::family(Family::Bridge);
    if tables.iter().all(|table| table.family != Family::Bridge)
        && foreign::count_rules(channel, bridge, name).is_ok_and(|rules| rules > 0)
    {
        transaction.delete(Family::Bridge, name);
    }
    transaction.commit(channel)
}

fn is_whole(channel: &Channel, spec: &FirewallSpec) -> Result<bool, NetworkError> {
    let failed = || NetworkError::kernel(format!("look at the packet filter of project {}", spec.project));
    for table in firewall::tables(spec)? {
        let wanted: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
        match foreign::count_rules(channel, encode::family(table.family), &table.name) {
            Err(error) if table.family == Family::Bridge && lacks_family(&error) => {}
            found => {
                if found.map_err(failed())? != wanted {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn pass_others(channel: &Channel) -> Result<(bool, Vec<String>), NetworkError> {
    let failed = || NetworkError::kernel("get through other firewalls");
    let (missing, mut warnings) = foreign::pass(channel).map_err(failed())?;
    let (missing_legacy, more) = legacy::pass().map_err(failed())?;
    warnings.extend(more);
    Ok((missing || missing_legacy, warnings))
}

fn lacks_family(error: &std::io::Error) -> bool {
    matches!(errno_of(error), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::ENOENT))
}
