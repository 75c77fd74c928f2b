//! The network of a step: a namespace of its own on a bridge that all builds of this host share, with the host's
//! resolvers behind 127.0.0.11.
//!
//! The bridge is there while a step uses it. One lock stands around joining and leaving, so that nobody removes what
//! another is just about to use. A step that is on the network has a file among the private files of its build, which
//! go with it: who has an address and no such file was killed, and the next build takes its link away.

use super::super::{
    cache::random,
    error::{Result, StepError},
    report::Event,
    step::Engine,
};
use crate::{
    build::op::{self, Network},
    image::Digest,
    model::{ContainerId, NetworkId},
    network::{
        EndpointSpec, FirewallNetwork, FirewallSpec, GuardedPort, LeaseRequest, NetworkError, NetworkRecord,
        NetworkSpec, Networks, Sandbox,
    },
    runtime::spec::{Mount, MountSource},
    state::{Layout, Lock},
};
use indexmap::IndexMap;
use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::sync::oneshot;

const NAME: &str = "muster-build";
/// How long the drop of a step waits for its network to be gone.
const PATIENCE: Duration = Duration::from_secs(1);
const RESOLVER: &str = "127.0.0.11";

/// A step's place in the network.
pub struct Joined {
    pub container: ContainerId,
    layout: Layout,
    sandbox: Option<Sandbox>,
    gateway: Option<Ipv4Addr>,
    resolver: Option<super::resolver::Resolver>,
}

pub async fn join(engine: &Arc<Engine>, run: &op::Run) -> Result<Joined> {
    let container = ContainerId::new(format!("{}{}{}{}", random(), random(), random(), random()));
    if run.network != Network::Default {
        let layout = engine.layout.clone();
        return Ok(Joined { container, layout, sandbox: None, gateway: None, resolver: None });
    }
    let (sender, receiver) = oneshot::channel();
    let (over, entering) = mpsc::channel::<()>();
    let _busy = Busy(entering);
    let owned = engine.clone();
    // Begun is done: a step that is dropped half way in could not be told from one that is on its way.
    std::thread::Builder::new()
        .name("muster-join".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let joined = runtime
                .map_err(StepError::file("start", Path::new("a thread for the network")))
                .and_then(|runtime| runtime.block_on(enter(&owned, container)));
            // With nobody left to take it, it leaves.
            drop(sender.send(joined));
            drop(over);
        })
        .map_err(StepError::file("start", Path::new("a thread for the network")))?;
    let mut joined = receiver.await.map_err(|error| StepError::Abandoned(error.to_string()))??;
    if let Some(sandbox) = &joined.sandbox {
        joined.resolver = Some(super::resolver::Resolver::start(&sandbox.dns_udp, &sandbox.dns_tcp)?);
    }
    Ok(joined)
}

/// Waits for a thread that joins or leaves: a command that ended before it would leave the bridge behind.
struct Busy(mpsc::Receiver<()>);

impl Drop for Busy {
    fn drop(&mut self) {
        // Not for ever: another step of this very thread may hold the lock, and is dropped after this one.
        let _ = self.0.recv_timeout(PATIENCE);
    }
}

async fn enter(engine: &Engine, container: ContainerId) -> Result<Joined> {
    let networks = Networks::new(&engine.layout);
    match carry_in(engine, &networks, &container).await {
        Ok((sandbox, network)) => {
            let (layout, gateway) = (engine.layout.clone(), Some(network.gateway));
            Ok(Joined { container, layout, sandbox: Some(sandbox), gateway, resolver: None })
        }
        Err(error) => {
            told(leave(&engine.layout, &container).await);
            Err(error)
        }
    }
}

async fn carry_in(engine: &Engine, networks: &Networks, container: &ContainerId) -> Result<(Sandbox, NetworkRecord)> {
    let _turn = turn(&engine.layout).await?;
    let presence = engine.private_dir()?.join(presence(container));
    std::fs::write(&presence, "").map_err(StepError::file("write", &presence))?;
    let network = networks.ensure(&network_spec(&engine.layout)).await?;
    reclaim(&engine.layout, networks).await?;
    let lease = networks.lease(NAME, container, &LeaseRequest::default())?;
    let sandbox = networks.prepare(&EndpointSpec { container: container.clone(), leases: vec![lease] }).await?;
    for warning in networks.apply(&firewall(&engine.layout, networks, &network)?).await? {
        (engine.report)(Event::Warning(warning));
    }
    Ok((sandbox, network))
}

impl Joined {
    pub fn namespace(&self) -> Option<Result<OwnedFd>> {
        let failed = |error| StepError::file("keep", Path::new("/proc/self/ns/net"))(error);
        self.sandbox.as_ref().map(|sandbox| sandbox.netns.try_clone().map_err(failed))
    }

    /// /etc/resolv.conf and /etc/hosts of the step.
    pub fn files(&self, engine: &Engine, run: &op::Run) -> Result<Vec<Mount>> {
        let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let own = if self.sandbox.is_some() { resolv_conf(&host) } else { host };
        let hosts = hosts(&run.extra_hosts, self.gateway);
        let mount = |target: &str, text: String| -> Result<Mount> {
            let path = engine.workshop.fresh("file");
            std::fs::write(&path, text).map_err(StepError::file("write", &path))?;
            // Programs of every user read it.
            rustix::fs::chmod(&path, rustix::fs::Mode::from_raw_mode(0o644))
                .map_err(|error| StepError::file("write", &path)(error.into()))?;
            let source = MountSource::Bind { source: path, propagation: None, copy_up: false };
            Ok(Mount { target: PathBuf::from(target), source, read_only: true })
        };
        Ok(vec![mount("/etc/resolv.conf", own)?, mount("/etc/hosts", hosts)?])
    }

    /// Gives everything back. What cannot be given back now is reclaimed by the next build.
    pub async fn leave(mut self) {
        if let Some((left, _waits)) = self.depart() {
            let _ = left.await;
        }
    }

    /// On a thread of its own, so that whoever is dropped half way can wait for it; `None` where there is nothing to
    /// leave.
    fn depart(&mut self) -> Option<(oneshot::Receiver<()>, Busy)> {
        drop(self.resolver.take());
        drop(self.sandbox.take()?);
        let (layout, container) = (self.layout.clone(), self.container.clone());
        let (sender, left) = oneshot::channel();
        let (over, busy) = mpsc::channel::<()>();
        let leaving = std::thread::Builder::new().name("muster-leave".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            if let Ok(runtime) = runtime {
                told(runtime.block_on(leave(&layout, &container)));
            }
            drop((sender, over));
        });
        leaving.is_ok().then_some((left, Busy(busy)))
    }
}

impl Drop for Joined {
    /// A step that is cancelled leaves as well. Its program is gone by now.
    fn drop(&mut self) {
        drop(self.depart());
    }
}

fn told(left: Result<()>) {
    if let Err(error) = left {
        tracing::debug!(%error, "the network of a build's step is left to the next build");
    }
}

async fn leave(layout: &Layout, container: &ContainerId) -> Result<()> {
    let _turn = turn(layout).await?;
    let networks = Networks::new(layout);
    networks.teardown(container).await?;
    networks.release(container)?;
    for build in builds(layout) {
        let _ = std::fs::remove_file(build.join(presence(container)));
    }
    clear(layout, &networks).await
}

/// Takes the bridge and its rules away when nobody is on it. The caller holds the lock.
async fn clear(layout: &Layout, networks: &Networks) -> Result<()> {
    let Some(network) = networks.find(NAME)? else { return Ok(()) };
    reclaim(layout, networks).await?;
    if !networks.peers(NAME)?.is_empty() {
        networks.apply(&firewall(layout, networks, &network)?).await?;
        return Ok(());
    }
    match networks.remove(NAME).await {
        Err(NetworkError::InUse { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(networks.drop_firewall(&project(layout)).await?),
    }
}

/// Removes what builds that were killed have left of the network, unless one is using it.
pub async fn sweep(layout: &Layout) -> Result<()> {
    let networks = Networks::new(layout);
    if networks.find(NAME)?.is_none() {
        return Ok(());
    }
    let _turn = turn(layout).await?;
    clear(layout, &networks).await
}

/// Takes from the network whom a build that was killed left on it. Under the lock nobody is between the two; not to
/// wait for the kernel, which frees the namespace of a killed program in its own time, the links are deleted.
async fn reclaim(layout: &Layout, networks: &Networks) -> Result<()> {
    let builds = builds(layout);
    for peer in networks.peers(NAME)? {
        let presence = presence(&peer.container);
        if !builds.iter().any(|build| build.join(&presence).exists()) {
            networks.teardown(&peer.container).await?;
            networks.release(&peer.container)?;
        }
    }
    Ok(())
}

/// The file that says that a step is on the network, among the private files of its build.
fn presence(container: &ContainerId) -> String {
    format!("network-{container}")
}

/// Where the builds of this host that live, or that nobody has swept yet, have their private files.
fn builds(layout: &Layout) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(layout.run_builds()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// No project has a dot at the head of its name. Two stores on one host are strangers to each other.
fn project(layout: &Layout) -> String {
    format!(".build-{}", &Digest::of(layout.data().as_os_str().as_encoded_bytes()).hex()[..8])
}

fn network_spec(layout: &Layout) -> NetworkSpec {
    NetworkSpec {
        id: NetworkId::new(Digest::of(project(layout).as_bytes()).hex()),
        name: NAME.to_owned(),
        project: project(layout),
        internal: false,
        subnet: None,
        gateway: None,
        ip_range: None,
        labels: IndexMap::new(),
    }
}

/// Every step of every build, of this process and of others.
fn firewall(layout: &Layout, networks: &Networks, network: &NetworkRecord) -> Result<FirewallSpec> {
    let guarded = networks
        .peers(NAME)?
        .into_iter()
        .map(|peer| GuardedPort { link: network.link(peer.container.as_str()), address: peer.address })
        .collect();
    Ok(FirewallSpec {
        project: project(layout),
        networks: vec![FirewallNetwork::from(network)],
        guarded,
        publications: Vec::new(),
    })
}

async fn turn(layout: &Layout) -> Result<Lock> {
    let path = layout.host_lock("build-network");
    tokio::task::spawn_blocking(move || Lock::acquire(&path).map_err(StepError::file("lock", &path)))
        .await
        .map_err(|error| StepError::Abandoned(error.to_string()))?
}

/// The host's, with our resolver for its own.
fn resolv_conf(host: &str) -> String {
    let mut text = format!("nameserver {RESOLVER}\n");
    for line in host.lines() {
        if matches!(line.split_whitespace().next(), Some("search" | "domain" | "options")) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn hosts(extra: &[(String, String)], gateway: Option<Ipv4Addr>) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in extra {
        let address = match (address.as_str(), gateway) {
            ("host-gateway", Some(gateway)) => gateway.to_string(),
            ("host-gateway", None) => IpAddr::V4(Ipv4Addr::LOCALHOST).to_string(),
            (address, _) => address.to_owned(),
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_search_list_stays_and_its_servers_do_not() {
        let host = "# a comment\nnameserver 192.0.2.1\nsearch example.org\noptions ndots:2\n";
        assert_eq!(resolv_conf(host), "nameserver 127.0.0.11\nsearch example.org\noptions ndots:2\n");
    }

    #[test]
    fn extra_hosts_stand_behind_our_own() {
        let extra = [("a".to_owned(), "192.0.2.1".to_owned()), ("b".to_owned(), "host-gateway".to_owned())];
        let text = hosts(&extra, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert!(text.ends_with("192.0.2.1\ta\n10.0.0.1\tb\n"), "{text}");
    }
}
