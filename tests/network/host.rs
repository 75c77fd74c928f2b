//! A host that a test has for itself: networks, containers that are only a namespace, another machine on a wire.
//! Its imports are those of the tests as well.

pub use muster::{
    dns::{self, Endpoint, Member, Zone},
    model::{ContainerId, NetworkId, PortRange, Protocol, PublishedPort},
    network::{
        EndpointSpec, FirewallNetwork, FirewallSpec, GuardedPort, Lease, LeaseRequest, NetworkError, NetworkRecord,
        NetworkSpec, Networks, Publication, Reservation, Sandbox,
    },
    state::Layout,
    sys::netns,
};
pub use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

pub const SOON: Duration = Duration::from_secs(2);
/// Long enough for a packet that would arrive, short enough for one that must not.
pub const NEVER: Duration = Duration::from_millis(400);

/// Runs `body` on a thread in a fresh network namespace, inside the supervisor's kind of runtime.
pub fn on_a_host<F: Future<Output = ()>>(body: impl FnOnce(Host) -> F + Send + 'static) {
    let thread = std::thread::spawn(|| {
        netns::unshare_network().unwrap();
        run("ip link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(body(Host::new()));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A command of the machine, in the calling thread's network namespace.
pub fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("{program} is not installed: that part is left out");
    }
    found
}

/// Runs `body` on a thread in another namespace. Sockets made there stay there.
pub fn inside<T: Send>(namespace: BorrowedFd<'_>, body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                netns::enter(namespace).unwrap();
                body()
            })
            .join()
            .unwrap()
    })
}

pub struct Host {
    pub networks: Networks,
    pub layout: Layout,
    _dir: tempfile::TempDir,
}

pub struct Container {
    pub id: ContainerId,
    pub leases: Vec<Lease>,
    pub sandbox: Sandbox,
}

impl Container {
    pub fn address(&self, network: usize) -> Ipv4Addr {
        self.leases[network].address
    }
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        inside(self.sandbox.netns.as_fd(), body)
    }
    pub fn reaches(&self, to: Ipv4Addr, port: u16) -> bool {
        let to = SocketAddr::new(IpAddr::V4(to), port);
        self.inside(|| TcpStream::connect_timeout(&to, NEVER).is_ok())
    }
}

impl Host {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        Self { networks: Networks::new(&layout), layout, _dir: dir }
    }

    pub async fn network(&self, project: &str, key: &str, internal: bool) -> NetworkRecord {
        self.networks.ensure(&spec(project, key, internal)).await.unwrap()
    }

    pub async fn container(&self, digit: char, networks: &[&NetworkRecord]) -> Container {
        let id = ContainerId::new(digit.to_string().repeat(64));
        let leases: Vec<Lease> = networks
            .iter()
            .map(|network| self.networks.lease(&network.name, &id, &LeaseRequest::default()).unwrap())
            .collect();
        let spec = EndpointSpec { container: id.clone(), leases: leases.clone() };
        let sandbox = self.networks.prepare(&spec).await.unwrap();
        Container { id, leases, sandbox }
    }

    pub async fn apply(
        &self,
        project: &str,
        networks: &[&NetworkRecord],
        containers: &[&Container],
        ports: Vec<Publication>,
    ) {
        let warnings = self.networks.apply(&firewall(project, networks, containers, ports)).await.unwrap();
        assert_eq!(warnings, [""; 0]);
    }

    /// Another machine, 198.51.100.2, on a wire to this host, 198.51.100.1.
    pub fn neighbour(&self) -> OwnedFd {
        let (sender, namespace) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                netns::unshare_network().unwrap();
                sender.send(netns::current().unwrap()).unwrap();
            });
        });
        let namespace = namespace.recv().unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        run(&format!("ip link add lan0 type veth peer name eth0 netns {path}"));
        run("ip address add 198.51.100.1/24 dev lan0");
        run("ip link set lan0 up");
        inside(namespace.as_fd(), || {
            run("ip link set lo up");
            run("ip address add 198.51.100.2/24 dev eth0");
            run("ip link set eth0 up");
        });
        namespace
    }
}

pub const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

pub fn spec(project: &str, key: &str, internal: bool) -> NetworkSpec {
    let name = format!("{project}_{key}");
    // Ids are random in life; here they follow from the name.
    let id: String = name.bytes().map(|byte| format!("{:02x}", byte.wrapping_mul(37))).rev().collect();
    NetworkSpec {
        id: NetworkId::new(format!("{id:0<64}")),
        name,
        project: project.into(),
        internal,
        subnet: None,
        gateway: None,
        ip_range: None,
        labels: indexmap::IndexMap::new(),
    }
}

pub fn firewall(
    project: &str,
    networks: &[&NetworkRecord],
    containers: &[&Container],
    publications: Vec<Publication>,
) -> FirewallSpec {
    FirewallSpec {
        project: project.into(),
        networks: networks.iter().map(|network| FirewallNetwork::from(*network)).collect(),
        guarded: containers.iter().flat_map(|container| &container.leases).map(GuardedPort::from).collect(),
        publications,
    }
}

pub fn port(protocol: Protocol, published: u16, target: u16) -> PublishedPort {
    let published = Some(PortRange { first: published, last: published });
    PublishedPort { target, protocol, published, host_ip: None }
}

pub fn publish(host: &Host, container: &Container, ports: &[PublishedPort]) -> (Vec<Reservation>, Vec<Publication>) {
    let held = host.networks.reserve(ports).unwrap();
    let publications =
        held.iter().filter_map(|one| Publication::new(&one.port, &container.leases, "shop-web-1")).collect();
    (held, publications)
}

/// Answers every connection and datagram on a port of the container with `name` and who asked.
pub fn serve(container: &Container, port: u16, name: &'static str) {
    let (tcp, udp) = container
        .inside(|| (TcpListener::bind(("0.0.0.0", port)).unwrap(), UdpSocket::bind(("0.0.0.0", port)).unwrap()));
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = tcp.accept() {
            let _ = write!(stream, "{name} {}", from.ip());
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(format!("{name} {}", from.ip()).as_bytes(), from);
        }
    });
}

pub fn tcp(to: Ipv4Addr, port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(IpAddr::V4(to), port), SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub fn udp_from(socket: &UdpSocket, to: Ipv4Addr, port: u16, patience: Duration) -> io::Result<String> {
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(b"?", (to, port))?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub fn udp(to: Ipv4Addr, port: u16) -> io::Result<String> {
    udp_from(&UdpSocket::bind("0.0.0.0:0")?, to, port, SOON)
}
