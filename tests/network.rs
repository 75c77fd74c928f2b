//! The network engine on the real kernel, as root. Each test makes a network namespace of its own that plays the host,
//! so that the machine's own stays untouched; everything in it dies with its last descriptor.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use muster::{
    dns::{self, Endpoint, Member, Zone},
    model::{ContainerId, NetworkId, PortRange, Protocol, PublishedPort},
    network::{
        EndpointSpec, FirewallNetwork, FirewallSpec, GuardedPort, Lease, LeaseRequest, NetworkError, NetworkRecord,
        NetworkSpec, Networks, Publication, Reservation, Sandbox,
    },
    state::Layout,
    sys::netns,
};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(2);
/// Long enough for a packet that would arrive, short enough for one that must not.
const NEVER: Duration = Duration::from_millis(400);

/// Runs `body` on a thread in a fresh network namespace, inside the supervisor's kind of runtime.
fn on_a_host<F: Future<Output = ()>>(body: impl FnOnce(Host) -> F + Send + 'static) {
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
fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("{program} is not installed: that part is left out");
    }
    found
}

/// Runs `body` on a thread in another namespace. Sockets made there stay there.
fn inside<T: Send>(namespace: BorrowedFd<'_>, body: impl FnOnce() -> T + Send) -> T {
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

struct Host {
    networks: Networks,
    layout: Layout,
    _dir: tempfile::TempDir,
}

struct Container {
    id: ContainerId,
    leases: Vec<Lease>,
    sandbox: Sandbox,
}

impl Container {
    fn address(&self, network: usize) -> Ipv4Addr {
        self.leases[network].address
    }
    fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        inside(self.sandbox.netns.as_fd(), body)
    }
    fn reaches(&self, to: Ipv4Addr, port: u16) -> bool {
        let to = SocketAddr::new(IpAddr::V4(to), port);
        self.inside(|| TcpStream::connect_timeout(&to, NEVER).is_ok())
    }
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        Self { networks: Networks::new(&layout), layout, _dir: dir }
    }

    async fn network(&self, project: &str, key: &str, internal: bool) -> NetworkRecord {
        self.networks.ensure(&spec(project, key, internal)).await.unwrap()
    }

    async fn container(&self, digit: char, networks: &[&NetworkRecord]) -> Container {
        let id = ContainerId::new(digit.to_string().repeat(64));
        let leases: Vec<Lease> = networks
            .iter()
            .map(|network| self.networks.lease(&network.name, &id, &LeaseRequest::default()).unwrap())
            .collect();
        let spec = EndpointSpec { container: id.clone(), leases: leases.clone() };
        let sandbox = self.networks.prepare(&spec).await.unwrap();
        Container { id, leases, sandbox }
    }

    async fn apply(
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
    fn neighbour(&self) -> OwnedFd {
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

const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

fn spec(project: &str, key: &str, internal: bool) -> NetworkSpec {
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

fn firewall(
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

fn port(protocol: Protocol, published: u16, target: u16) -> PublishedPort {
    let published = Some(PortRange { first: published, last: published });
    PublishedPort { target, protocol, published, host_ip: None }
}

fn publish(host: &Host, container: &Container, ports: &[PublishedPort]) -> (Vec<Reservation>, Vec<Publication>) {
    let held = host.networks.reserve(ports).unwrap();
    let publications =
        held.iter().filter_map(|one| Publication::new(&one.port, &container.leases, "shop-web-1")).collect();
    (held, publications)
}

/// Answers every connection and datagram on a port of the container with `name` and who asked.
fn serve(container: &Container, port: u16, name: &'static str) {
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

fn tcp(to: Ipv4Addr, port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(IpAddr::V4(to), port), SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn udp_from(socket: &UdpSocket, to: Ipv4Addr, port: u16, patience: Duration) -> io::Result<String> {
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(b"?", (to, port))?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn udp(to: Ipv4Addr, port: u16) -> io::Result<String> {
    udp_from(&UdpSocket::bind("0.0.0.0:0")?, to, port, SOON)
}

#[test]
fn neighbours_reach_each_other_and_the_world_sees_the_hosts_address() {
    on_a_host(|host| async move {
        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let (a, b) = (host.container('a', &[&network]).await, host.container('b', &[&network]).await);
        host.apply("shop", &[&network], &[&a, &b], Vec::new()).await;
        serve(&b, 80, "b");
        let b_address = b.address(0);
        assert_eq!(a.inside(|| tcp(b_address, 80)).unwrap(), format!("b {}", a.address(0)));
        assert_eq!(a.inside(|| udp(b_address, 80)).unwrap(), format!("b {}", a.address(0)));
        let listener = inside(other.as_fd(), || TcpListener::bind("0.0.0.0:7000").unwrap());
        let client = a.inside(|| TcpStream::connect_timeout(&(NEIGHBOUR, 7000).into(), SOON).unwrap());
        assert_eq!(listener.accept().unwrap().1.ip(), HOST);
        drop(client);
        // What is not published is out of reach, even for a neighbour that knows the way.
        inside(other.as_fd(), || run(&format!("ip route add {} via {HOST}", network.subnet)));
        assert!(inside(other.as_fd(), || TcpStream::connect_timeout(&(b_address, 80).into(), NEVER)).is_err());
        assert!(TcpStream::connect_timeout(&(b_address, 80).into(), SOON).is_ok(), "the host itself may");
    });
}

#[test]
fn published_ports_answer_from_everywhere() {
    published_ports(true);
}

/// Where nobody loaded br_netfilter, or turned it off, bridged packets take another way.
#[test]
fn published_ports_answer_from_everywhere_without_br_netfilter() {
    published_ports(false);
}

fn published_ports(br_netfilter: bool) {
    on_a_host(move |host| async move {
        let switch = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
        if switch.exists() {
            std::fs::write(switch, if br_netfilter { "1" } else { "0" }).unwrap();
        }
        let other = host.neighbour();
        let (front, back) = (host.network("shop", "front", false).await, host.network("shop", "back", false).await);
        let web = host.container('a', &[&front]).await;
        let (peer, stranger) = (host.container('b', &[&front]).await, host.container('c', &[&back]).await);
        serve(&web, 80, "web");
        let ports = [port(Protocol::Tcp, 8080, 80), port(Protocol::Udp, 8080, 80)];
        let (_held, publications) = publish(&host, &web, &ports);
        host.apply("shop", &[&front, &back], &[&web, &peer, &stranger], publications).await;

        let gateway = front.gateway;
        let asks: [fn(Ipv4Addr, u16) -> io::Result<String>; 2] = [tcp, udp];
        for ask in asks {
            assert_eq!(ask(Ipv4Addr::LOCALHOST, 8080).unwrap(), format!("web {gateway}"), "by loopback");
            assert_eq!(ask(Ipv4Addr::new(127, 5, 5, 5), 8080).unwrap(), format!("web {gateway}"), "by loopback");
            assert_eq!(ask(HOST, 8080).unwrap(), format!("web {HOST}"), "by the host's address");
            assert_eq!(inside(other.as_fd(), || ask(HOST, 8080)).unwrap(), format!("web {NEIGHBOUR}"));
            for container in [&web, &peer] {
                assert_eq!(container.inside(|| ask(HOST, 8080)).unwrap(), format!("web {gateway}"), "hairpin");
            }
            assert_eq!(stranger.inside(|| ask(HOST, 8080)).unwrap(), format!("web {gateway}"), "from another network");
        }
        // Nobody else can have the port, and no server of the host hears what comes to it.
        assert!(TcpListener::bind("0.0.0.0:8080").is_err());
    });
}

#[test]
fn a_published_address_is_the_only_one() {
    on_a_host(|host| async move {
        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let web = host.container('a', &[&network]).await;
        serve(&web, 80, "web");
        let local = PublishedPort { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..port(Protocol::Tcp, 8080, 80) };
        let lan = PublishedPort { host_ip: Some(HOST.into()), ..port(Protocol::Tcp, 8081, 80) };
        let (_held, publications) = publish(&host, &web, &[local, lan]);
        host.apply("shop", &[&network], &[&web], publications).await;
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_ok());
        assert!(tcp(HOST, 8080).is_err());
        assert!(inside(other.as_fd(), || tcp(HOST, 8080)).is_err());
        assert!(tcp(Ipv4Addr::LOCALHOST, 8081).is_err());
        assert!(inside(other.as_fd(), || tcp(HOST, 8081)).is_ok());
    });
}

#[test]
fn networks_are_isolated_from_each_other_and_internal_ones_from_all() {
    on_a_host(|host| async move {
        let other = host.neighbour();
        let (front, back) = (host.network("shop", "front", false).await, host.network("shop", "back", true).await);
        let blog = host.network("blog", "default", false).await;
        let web = host.container('a', &[&front, &back]).await;
        let (proxy, db) = (host.container('b', &[&front]).await, host.container('c', &[&back]).await);
        let page = host.container('d', &[&blog]).await;
        for container in [&web, &proxy, &db, &page] {
            serve(container, 80, "x");
        }
        let (_held, publications) = publish(&host, &proxy, &[port(Protocol::Tcp, 8080, 80)]);
        host.apply("shop", &[&front, &back], &[&web, &proxy, &db], publications).await;
        host.apply("blog", &[&blog], &[&page], Vec::new()).await;
        let world = inside(other.as_fd(), || TcpListener::bind("0.0.0.0:7000").unwrap());
        let server_of_the_host = TcpListener::bind("0.0.0.0:7001").unwrap();

        assert!(web.reaches(proxy.address(0), 80) && web.reaches(db.address(0), 80));
        assert!(db.reaches(web.address(1), 80));
        assert!(!proxy.reaches(db.address(0), 80) && !db.reaches(proxy.address(0), 80));
        assert!(!page.reaches(proxy.address(0), 80) && !proxy.reaches(page.address(0), 80));
        assert!(!page.reaches(db.address(0), 80) && !db.reaches(page.address(0), 80));
        // Out: the internal network has no way, not to the host and not around by a published port.
        assert!(proxy.reaches(NEIGHBOUR, 7000) && web.reaches(NEIGHBOUR, 7000));
        assert!(!db.reaches(NEIGHBOUR, 7000));
        assert!(proxy.reaches(front.gateway, 7001));
        assert!(!db.reaches(back.gateway, 7001) && !db.reaches(back.gateway, 8080));
        db.inside(|| run(&format!("ip route add default via {}", back.gateway)));
        for (to, port) in [(NEIGHBOUR, 7000), (HOST, 7001), (HOST, 8080), (front.gateway, 8080), (proxy.address(0), 80)]
        {
            assert!(!db.reaches(to, port), "db reached {to}:{port}");
        }
        // The host may come in, for a look or a back-up.
        assert!(TcpStream::connect_timeout(&(db.address(0), 80).into(), SOON).is_ok());
        drop((world, server_of_the_host));
    });
}

#[test]
fn nothing_is_published_for_a_container_on_internal_networks_alone() {
    on_a_host(|host| async move {
        let back = host.network("shop", "back", true).await;
        let db = host.container('a', &[&back]).await;
        serve(&db, 80, "db");
        let (_held, publications) = publish(&host, &db, &[port(Protocol::Tcp, 8080, 80)]);
        assert_eq!(publications, []);
        host.apply("shop", &[&back], &[&db], publications).await;
        let error = tcp(Ipv4Addr::LOCALHOST, 8080).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "refused at once, not left hanging");
    });
}

/// CVE-2020-8558: a service on the host's loopback, reached by a container through the bridge.
#[test]
fn loopback_of_the_host_is_out_of_reach_of_containers() {
    on_a_host(|host| async move {
        let network = host.network("shop", "default", false).await;
        let evil = host.container('a', &[&network]).await;
        let private = UdpSocket::bind("127.0.0.1:9000").unwrap();
        private.set_read_timeout(Some(NEVER)).unwrap();
        let send = || {
            evil.inside(|| {
                run("ip route del local 127.0.0.0/8 dev lo table local");
                run("ip route del local 127.0.0.1 dev lo table local");
                run(&format!("ip route add 127.0.0.1 via {} dev eth0", network.gateway));
                run("ip route flush cache");
                std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap();
                UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", "127.0.0.1:9000").unwrap();
            });
        };
        host.apply("shop", &[&network], &[], Vec::new()).await;
        send();
        assert!(private.recv_from(&mut [0; 8]).is_err());
        // The same packet arrives without the guard, so it is the guard that held it.
        host.networks.drop_firewall("shop").await.unwrap();
        evil.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", "127.0.0.1:9000").unwrap());
        assert!(private.recv_from(&mut [0; 8]).is_ok());
    });
}

#[test]
fn a_container_cannot_speak_for_another() {
    on_a_host(|host| async move {
        let network = host.network("shop", "default", false).await;
        let (a, b) = (host.container('a', &[&network]).await, host.container('b', &[&network]).await);
        let evil = host.container('e', &[&network]).await;
        let ear = b.inside(|| UdpSocket::bind("0.0.0.0:9000").unwrap());
        ear.set_read_timeout(Some(NEVER)).unwrap();
        let (a_address, b_address, own) = (a.address(0), b.address(0), evil.address(0));
        let send_as_a = || {
            evil.inside(|| {
                let socket = UdpSocket::bind((a_address, 0)).unwrap();
                let _ = socket.send_to(b"x", (b_address, 9000));
            });
        };
        let send_as_itself = |text: &'static [u8]| {
            evil.inside(|| {
                let _ = UdpSocket::bind((own, 0)).unwrap().send_to(text, (b_address, 9000));
            });
        };
        host.apply("shop", &[&network], &[&a, &b, &evil], Vec::new()).await;
        send_as_itself(b"x");
        assert!(ear.recv_from(&mut [0; 8]).is_ok());
        evil.inside(|| run(&format!("ip address add {a_address}/24 dev eth0")));
        send_as_a();
        assert!(ear.recv_from(&mut [0; 8]).is_err(), "another's address");

        // ARP: evil says that a's address is at its own MAC. The host and b must go on believing a.
        b.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", (a_address, 9)).unwrap());
        std::thread::sleep(Duration::from_millis(50));
        let believed = |text: &str| text.contains(&a.leases[0].mac);
        assert!(believed(&b.inside(|| run(&format!("ip neigh show {a_address}")))));
        if installed("arping") {
            evil.inside(|| {
                let _ =
                    Command::new("arping").args(["-c1", "-w1", "-A", "-I", "eth0", &a_address.to_string()]).output();
            });
        }
        assert!(believed(&b.inside(|| run(&format!("ip neigh show {a_address}")))));

        // MAC: evil takes a's, so that the bridge would send a's frames to it.
        evil.inside(|| {
            run(&format!("ip address del {a_address}/24 dev eth0"));
            run(&format!("ip link set eth0 address {}", a.leases[0].mac));
        });
        send_as_itself(b"y");
        assert!(ear.recv_from(&mut [0; 8]).is_err(), "another's MAC");
        assert!(b.reaches_after_all(a_address, &a));

        // Without the guard the same datagram arrives.
        host.apply("shop", &[&network], &[], Vec::new()).await;
        send_as_itself(b"z");
        // The neighbour entry that the guard left unresolved is tried again each second.
        ear.set_read_timeout(Some(SOON)).unwrap();
        assert!(ear.recv_from(&mut [0; 8]).is_ok());
    });
}

impl Container {
    fn reaches_after_all(&self, address: Ipv4Addr, owner: &Container) -> bool {
        serve(owner, 81, "owner");
        self.reaches(address, 81)
    }
}

#[test]
fn what_the_kernel_lists_is_what_was_written() {
    on_a_host(|host| async move {
        if !installed("nft") {
            return;
        }
        let (front, back) = (host.network("shop", "front", false).await, host.network("shop", "back", true).await);
        let web = host.container('a', &[&front, &back]).await;
        let local = PublishedPort { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..port(Protocol::Udp, 5353, 53) };
        let (_held, publications) = publish(&host, &web, &[port(Protocol::Tcp, 8080, 80), local]);
        let mut wide = firewall("shop", &[&front, &back], &[&web], publications);
        // A prefix that ends within a byte takes another way into the kernel.
        wide.networks[0].subnet = "10.5.0.0/20".parse().unwrap();
        for _ in 0..2 {
            host.networks.apply(&wide).await.unwrap();
        }
        let address = web.address(0);
        let (f, b) = (front.bridge(), back.bridge());
        let expected = format!(
            r#"table ip muster-shop {{
	chain raw {{
		type filter hook prerouting priority raw; policy accept;
		iifname "{f}" ip saddr 127.0.0.0/8 drop
		iifname "{f}" ip daddr 127.0.0.0/8 drop
		iifname "{b}" ip saddr 127.0.0.0/8 drop
		iifname "{b}" ip daddr 127.0.0.0/8 drop
	}}

	chain published {{
		tcp dport 8080 dnat to {address}:80 comment "shop-web-1"
		ip daddr 127.0.0.1 udp dport 5353 dnat to {address}:53 comment "shop-web-1"
	}}

	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local jump published
	}}

	chain output {{
		type nat hook output priority dstnat; policy accept;
		fib daddr type local jump published
	}}

	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.5.0.0/20 oifname != "{f}" masquerade
		ip saddr 10.5.0.0/20 oifname "{f}" ct status dnat masquerade
		ip saddr 127.0.0.0/8 oifname "{f}" masquerade
	}}

	chain input {{
		type filter hook input priority filter; policy accept;
		iifname "{b}" ct state established,related accept
		iifname "{b}" drop
	}}

	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname "{b}" oifname "{b}" accept
		iifname "{b}" drop
		oifname "{b}" drop
		iifname "{f}" oifname "{f}" accept
		oifname "{f}" ct state established,related accept
		oifname "{f}" ct status dnat accept
		oifname "{f}" drop
	}}
}}
"#
        );
        let listed = run("nft list table ip muster-shop").replace("priority -100", "priority dstnat");
        assert_eq!(listed, expected);
        let bridge = run("nft list table bridge muster-shop");
        for lease in &web.leases {
            let element = format!("\"{}\" . {} . {}", lease.link, lease.mac, lease.address);
            assert!(bridge.contains(&element), "{bridge}");
        }
        assert_eq!(bridge.matches("@guard").count(), 3, "{bridge}");
        host.networks.drop_firewall("shop").await.unwrap();
        host.networks.drop_firewall("shop").await.unwrap();
        assert_eq!(run("nft list tables"), "");
    });
}

#[test]
fn a_datagram_follows_a_published_port_to_its_new_container() {
    on_a_host(|host| async move {
        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let (old, new) = (host.container('a', &[&network]).await, host.container('b', &[&network]).await);
        serve(&old, 80, "old");
        serve(&new, 80, "new");
        let ports = [port(Protocol::Udp, 8080, 80)];
        let client = inside(other.as_fd(), || UdpSocket::bind("0.0.0.0:0").unwrap());
        // Before it is published a datagram arrives, and is remembered as one for the host.
        let held = host.networks.reserve(&ports).unwrap();
        assert!(udp_from(&client, HOST, 8080, NEVER).is_err());
        for (target, name) in [(&old, "old"), (&new, "new")] {
            let publications = vec![Publication::new(&held[0].port, &target.leases, "web").unwrap()];
            host.apply("shop", &[&network], &[&old, &new], publications).await;
            assert_eq!(udp_from(&client, HOST, 8080, SOON).unwrap(), format!("{name} {NEIGHBOUR}"));
        }
    });
}

#[test]
fn forward_drops_of_others_are_passed_and_left_as_they_were() {
    on_a_host(|host| async move {
        if !installed("iptables-nft") {
            return;
        }
        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let (web, peer) = (host.container('a', &[&network]).await, host.container('b', &[&network]).await);
        serve(&web, 80, "web");
        let (_held, publications) = publish(&host, &web, &[port(Protocol::Tcp, 8080, 80)]);
        let from_the_world =
            || inside(other.as_fd(), || TcpStream::connect_timeout(&(HOST, 8080).into(), NEVER)).is_ok();
        let spec = firewall("shop", &[&network], &[&web, &peer], publications);
        host.networks.apply(&spec).await.unwrap();
        assert!(from_the_world());

        // As ufw does it.
        let before = "-P FORWARD DROP";
        run("iptables-nft -P FORWARD DROP");
        assert!(!from_the_world());
        let repaired = host.networks.repair(&spec).await.unwrap();
        assert!(repaired.passes && !repaired.tables, "{repaired:?}");
        assert!(from_the_world() && peer.reaches(web.address(0), 80) && peer.reaches(HOST, 8080));
        assert_eq!(host.networks.repair(&spec).await.unwrap(), Default::default());

        // As Docker does it, and its chain is where the accepts go from then on.
        run("iptables-nft -F FORWARD");
        run("iptables-nft -N DOCKER-USER");
        run("iptables-nft -A DOCKER-USER -j RETURN");
        run("iptables-nft -I FORWARD -j DOCKER-USER");
        assert!(!from_the_world());
        assert!(host.networks.repair(&spec).await.unwrap().passes);
        assert!(from_the_world());
        let docker_user = run("iptables-nft -S DOCKER-USER");
        assert_eq!(docker_user.matches("mst-").count(), 2, "{docker_user}");

        host.networks.teardown(&web.id).await.unwrap();
        host.networks.teardown(&peer.id).await.unwrap();
        host.networks.remove(&network.name).await.unwrap();
        assert_eq!(run("iptables-nft -S DOCKER-USER").trim(), "-N DOCKER-USER\n-A DOCKER-USER -j RETURN");
        assert_eq!(run("iptables-nft -S FORWARD").trim(), format!("{before}\n-A FORWARD -j DOCKER-USER"));
    });
}

/// The real one, with everything of its own: root, run directory, network and mount namespace.
struct Docker {
    process: std::process::Child,
    dir: tempfile::TempDir,
}

impl Docker {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let script = format!(
            "mount -t tmpfs tmpfs /run && exec dockerd --data-root {at}/data --exec-root {at}/exec --pidfile {at}/pid \
             -H unix://{at}/sock --storage-driver vfs >{at}/log 2>&1"
        );
        let process = Command::new("unshare").args(["-m", "sh", "-c", &script]).spawn().unwrap();
        let docker = Self { process, dir };
        let ready = || {
            // The last rule that it writes.
            let chain = Command::new("iptables").args(["-S", "FORWARD"]).output();
            chain.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("-o docker0 -j ACCEPT"))
        };
        for _ in 0..600 {
            if ready() {
                return docker;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("dockerd did not come up: {}", std::fs::read_to_string(docker.dir.path().join("log")).unwrap());
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
fn docker_on_the_same_host_and_muster_leave_each_other_alone() {
    on_a_host(|host| async move {
        if !installed("dockerd") {
            return;
        }
        // As on a fresh machine: Docker then turns forwarding on, and drops what it does not know.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let docker = Docker::start();
        let before = run("iptables -S FORWARD");
        assert!(before.contains("-P FORWARD DROP"), "{before}");

        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let (web, peer) = (host.container('a', &[&network]).await, host.container('b', &[&network]).await);
        serve(&web, 80, "web");
        let (_held, publications) = publish(&host, &web, &[port(Protocol::Tcp, 8080, 80)]);
        let spec = firewall("shop", &[&network], &[&web, &peer], publications);
        assert_eq!(host.networks.apply(&spec).await.unwrap(), [""; 0]);
        let works = || {
            let outside = inside(other.as_fd(), || TcpListener::bind("0.0.0.0:0").unwrap());
            inside(other.as_fd(), || TcpStream::connect_timeout(&(HOST, 8080).into(), NEVER)).is_ok()
                && tcp(Ipv4Addr::LOCALHOST, 8080).is_ok()
                && peer.reaches(web.address(0), 80)
                && peer.reaches(NEIGHBOUR, outside.local_addr().unwrap().port())
        };
        assert!(works());
        // The other order: Docker comes, or comes again, to a host where muster runs.
        drop(docker);
        assert!(works());
        run("iptables -F FORWARD");
        run("iptables -F DOCKER-USER");
        run("iptables -X DOCKER-USER");
        let mut watch = host.networks.watch().unwrap();
        let docker = Docker::start();
        tokio::time::timeout(SOON, watch.changed()).await.unwrap().unwrap();
        host.networks.repair(&spec).await.unwrap();
        assert!(works());

        for container in [&web, &peer] {
            host.networks.teardown(&container.id).await.unwrap();
        }
        host.networks.remove(&network.name).await.unwrap();
        host.networks.drop_firewall("shop").await.unwrap();
        assert_eq!(run("iptables -S FORWARD"), before);
        assert_eq!(run("iptables -S DOCKER-USER"), "-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n");
        drop(docker);
    });
}

#[test]
fn a_flush_by_others_is_noticed_and_repaired_and_own_changes_are_not_told() {
    on_a_host(|host| async move {
        if !installed("nft") {
            return;
        }
        let network = host.network("shop", "default", false).await;
        let web = host.container('a', &[&network]).await;
        serve(&web, 80, "web");
        let (_held, publications) = publish(&host, &web, &[port(Protocol::Tcp, 8080, 80)]);
        let spec = firewall("shop", &[&network], &[&web], publications);
        let mut watch = host.networks.watch().unwrap();
        host.networks.apply(&spec).await.unwrap();
        assert!(tokio::time::timeout(NEVER, watch.changed()).await.is_err(), "our own change was told");
        run("nft flush ruleset");
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_err());
        tokio::time::timeout(SOON, watch.changed()).await.unwrap().unwrap();
        assert!(host.networks.repair(&spec).await.unwrap().tables);
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_ok());
        run("nft flush chain ip muster-shop published");
        tokio::time::timeout(SOON, watch.changed()).await.unwrap().unwrap();
        assert!(host.networks.repair(&spec).await.unwrap().tables);
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_ok());
    });
}

/// firewalld ends its forward chain with a reject, and a reload makes the whole table anew.
#[test]
fn firewallds_reject_is_passed_and_passed_again_after_its_reload() {
    on_a_host(|host| async move {
        if !installed("nft") {
            return;
        }
        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let web = host.container('a', &[&network]).await;
        serve(&web, 80, "web");
        let (_held, publications) = publish(&host, &web, &[port(Protocol::Tcp, 8080, 80)]);
        let spec = firewall("shop", &[&network], &[&web], publications);
        host.networks.apply(&spec).await.unwrap();
        let works = || inside(other.as_fd(), || TcpStream::connect_timeout(&(HOST, 8080).into(), NEVER)).is_ok();
        for _ in 0..2 {
            run("nft add table inet firewalld");
            run("nft add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }");
            run("nft add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited");
            assert!(!works());
            assert!(host.networks.repair(&spec).await.unwrap().passes);
            assert!(works());
            run("nft delete table inet firewalld");
        }
    });
}

#[test]
fn a_drop_of_iptables_legacy_is_passed_and_left_as_it_was() {
    on_a_host(|host| async move {
        if !installed("iptables-legacy") || !Path::new("/proc/net/ip_tables_names").exists() {
            return;
        }
        let other = host.neighbour();
        let network = host.network("shop", "default", false).await;
        let web = host.container('a', &[&network]).await;
        serve(&web, 80, "web");
        run("iptables-legacy -P FORWARD DROP");
        let (_held, publications) = publish(&host, &web, &[port(Protocol::Tcp, 8080, 80)]);
        host.apply("shop", &[&network], &[&web], publications).await;
        assert!(inside(other.as_fd(), || TcpStream::connect_timeout(&(HOST, 8080).into(), NEVER)).is_ok());
        host.networks.remove_with(&network.name, std::slice::from_ref(&web.id)).await.unwrap();
        assert_eq!(run("iptables-legacy -S FORWARD"), "-P FORWARD DROP\n");
    });
}

#[test]
fn an_unknown_firewall_that_drops_is_told() {
    on_a_host(|host| async move {
        if !installed("nft") {
            return;
        }
        run("nft add table inet mine");
        run("nft add chain inet mine onward { type filter hook forward priority 0; policy drop; }");
        let network = host.network("shop", "default", false).await;
        let warnings = host.networks.apply(&firewall("shop", &[&network], &[], Vec::new())).await.unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("chain onward of table mine drops forwarded packets"), "{warnings:?}");
    });
}

#[test]
fn names_are_resolved_at_127_0_0_11_while_port_53_stays_the_containers() {
    on_a_host(|host| async move {
        let network = host.network("shop", "default", false).await;
        let web = host.container('a', &[&network]).await;
        let member = Member {
            id: Some(web.id.clone()),
            name: "shop-web-1".into(),
            hostname: "web".into(),
            service: Some("web".into()),
            endpoints: vec![Endpoint { network: network.name.clone(), address: web.address(0), aliases: vec![] }],
        };
        // A resolver of the host that knows everything.
        let upstream = UdpSocket::bind("127.0.0.1:53").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = upstream.recv_from(&mut buffer) {
                buffer[2] |= 0x80;
                buffer[3] |= 3;
                let _ = upstream.send_to(&buffer[..length], from);
            }
        });
        let (_sender, zone) = tokio::sync::watch::channel(Arc::new(Zone::new(&[member])));
        let copies = (web.sandbox.dns_udp.try_clone().unwrap(), web.sandbox.dns_tcp.try_clone().unwrap());
        let upstreams = dns::Upstreams::fixed(&[Ipv4Addr::LOCALHOST.into()]);
        let _serving = dns::serve(web.id.clone(), copies.0, copies.1, zone, upstreams).unwrap();

        let namespace = web.sandbox.netns.try_clone().unwrap();
        let (known, unknown, over_tcp) = tokio::task::spawn_blocking(move || {
            inside(namespace.as_fd(), || {
                // A container that serves names itself (Pi-hole, CoreDNS).
                let own = UdpSocket::bind("0.0.0.0:53").unwrap();
                let own_tcp = TcpListener::bind("0.0.0.0:53").unwrap();
                let ask = |name| {
                    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                    socket.connect("127.0.0.11:53").unwrap();
                    socket.set_read_timeout(Some(SOON)).unwrap();
                    socket.send(&question(name)).unwrap();
                    let mut buffer = [0; 512];
                    let length = socket.recv(&mut buffer).unwrap();
                    buffer[..length].to_vec()
                };
                let (known, unknown) = (ask("web"), ask("elsewhere"));
                let mut stream = TcpStream::connect("127.0.0.11:53").unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                let query = question("web");
                stream.write_all(&(query.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&query).unwrap();
                let mut over_tcp = [0; 512];
                let length = stream.read(&mut over_tcp).unwrap();
                drop((own, own_tcp));
                (known, unknown, over_tcp[..length].to_vec())
            })
        })
        .await
        .unwrap();
        assert!(known.ends_with(&web.address(0).octets()), "{known:?}");
        assert!(over_tcp.ends_with(&web.address(0).octets()), "{over_tcp:?}");
        assert_eq!(unknown[3] & 0x0f, 3, "what the host's resolver said");
    });
}

/// An A question.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    bytes.extend(name.as_bytes());
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

#[test]
fn a_network_outlives_a_reboot_by_its_record_and_its_end_leaves_nothing() {
    on_a_host(|host| async move {
        let links = || run("ip -o link");
        let clean = links();
        let first = host.network("shop", "default", false).await;
        let (a, b) = (host.container('a', &[&first]).await, host.container('b', &[&first]).await);
        assert!(matches!(host.networks.remove(&first.name).await, Err(NetworkError::InUse { containers, .. })
            if containers == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]));
        host.apply("shop", &[&first], &[&a, &b], Vec::new()).await;
        // As after a reboot: the record is all there is.
        let again = Networks::new(&host.layout);
        run(&format!("ip link delete {}", first.bridge()));
        assert_eq!(
            again
                .ensure(&NetworkSpec { id: NetworkId::new("f".repeat(64)), ..spec("shop", "default", false) })
                .await
                .unwrap(),
            first
        );
        assert!(run("ip -o address").contains(&format!("{}/24", first.gateway)));

        let (one, two) = tokio::join!(host.networks.teardown(&a.id), host.networks.teardown(&b.id));
        one.unwrap();
        two.unwrap();
        host.networks.teardown(&a.id).await.unwrap();
        for container in [&a, &b] {
            assert_eq!(container.inside(|| run("ip -o link").lines().count()), 1, "only loopback is left inside");
            host.networks.release(&container.id).unwrap();
        }
        let third = host.container('c', &[&first]).await;
        assert!(host.networks.remove_with(&first.name, std::slice::from_ref(&a.id)).await.is_err());
        host.networks.remove_with(&first.name, std::slice::from_ref(&third.id)).await.unwrap();
        host.networks.remove(&first.name).await.unwrap();
        host.networks.drop_firewall("shop").await.unwrap();
        assert_eq!(links(), clean);
        assert_eq!(host.networks.list().unwrap(), []);
        let left: Vec<_> = std::fs::read_dir(host.layout.networks()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn a_container_whose_links_were_left_behind_can_be_prepared_again() {
    on_a_host(|host| async move {
        let network = host.network("shop", "default", false).await;
        let a = host.container('a', &[&network]).await;
        let b = host.container('a', &[&network]).await;
        assert_eq!(a.address(0), b.address(0));
        serve(&b, 80, "b");
        host.apply("shop", &[&network], &[&b], Vec::new()).await;
        assert!(tcp(b.address(0), 80).is_ok());
    });
}

#[test]
fn subnets_keep_clear_of_what_the_host_uses() {
    on_a_host(|host| async move {
        let _neighbour = host.neighbour();
        run("ip route add 10.180.0.0/15 via 198.51.100.2 table 77");
        let ours: Vec<_> = {
            let mut ours = Vec::new();
            for key in ["a", "b", "c", "d"] {
                ours.push(host.network("shop", key, false).await.subnet);
            }
            ours
        };
        let vpn: ipnet::Ipv4Net = "10.180.0.0/15".parse().unwrap();
        for (index, subnet) in ours.iter().enumerate() {
            assert!(!vpn.contains(subnet), "{subnet}");
            assert!(!ours[..index].contains(subnet));
        }
        let chosen = |subnet: &str| NetworkSpec { subnet: Some(subnet.parse().unwrap()), ..spec("shop", "own", false) };
        let error = host.networks.ensure(&chosen("198.51.100.0/25")).await.unwrap_err().to_string();
        assert!(error.contains("overlaps with the host's"), "{error}");
        let error = host.networks.ensure(&chosen(&ours[0].to_string())).await.unwrap_err().to_string();
        assert!(error.contains("overlaps with network shop_a"), "{error}");
        assert_eq!(host.networks.find("shop_own").unwrap(), None);
        assert!(
            host.networks.ensure(&chosen("10.181.7.0/24")).await.is_ok(),
            "a hole in a broader route is the user's"
        );
    });
}

#[test]
fn a_container_has_dockers_defaults_and_no_ipv6_but_its_own_loopback() {
    on_a_host(|host| async move {
        let network = host.network("shop", "default", false).await;
        let a = host.container('a', &[&network]).await;
        let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap().trim().to_owned();
        a.inside(|| {
            assert_eq!(read("ipv4/ip_unprivileged_port_start"), "0");
            assert_eq!(read("ipv4/ping_group_range").split_whitespace().collect::<Vec<_>>(), ["0", "2147483647"]);
            let addresses = run("ip -o -6 address");
            assert!(addresses.contains("::1/128") && !addresses.contains("eth0"), "{addresses}");
        });
        assert!(!run("ip -o -6 address").contains("mst"), "no IPv6 at the host's ends either");
        assert_eq!(a.sandbox.interfaces[0].name, "eth0");
        assert!(a.sandbox.interfaces[0].default_route);
    });
}

#[test]
fn a_container_is_on_the_wire_when_it_is_prepared() {
    on_a_host(|host| async move {
        let network = host.network("shop", "default", false).await;
        let server = host.container('f', &[&network]).await;
        serve(&server, 80, "server");
        let to = server.address(0);
        // Many at once, so that they stand in each other's way.
        let connect = async |digit: char| {
            let one = host.container(digit, &[&network]).await;
            let namespace = one.sandbox.netns.try_clone().unwrap();
            tokio::task::spawn_blocking(move || {
                let from = Instant::now();
                inside(namespace.as_fd(), || tcp(to, 80)).unwrap();
                from.elapsed()
            })
            .await
            .unwrap()
        };
        let waits = futures_util::future::join_all("0123456789abcde".chars().map(connect)).await;
        // A lost first packet costs a second (RFC 6298).
        let slow: Vec<_> = waits.into_iter().filter(|wait| *wait > Duration::from_millis(500)).collect();
        assert_eq!(slow, []);
    });
}

/// `cargo test --release --test network -- --ignored --nocapture figures`
#[test]
#[ignore = "figures, not a check"]
fn figures() {
    on_a_host(|host| async move {
        let time = |what: &str, from: Instant| println!("{what:<40} {:>8.2} ms", from.elapsed().as_secs_f64() * 1e3);
        let from = Instant::now();
        let network = host.network("shop", "default", false).await;
        time("network", from);
        let prepare = async |number: usize| {
            let id = ContainerId::new(format!("{number:08x}{}", "0".repeat(56)));
            let lease = host.networks.lease(&network.name, &id, &LeaseRequest::default()).unwrap();
            let spec = EndpointSpec { container: id.clone(), leases: vec![lease.clone()] };
            let sandbox = host.networks.prepare(&spec).await.unwrap();
            Container { id, leases: vec![lease], sandbox }
        };
        for round in 0..3 {
            let from = Instant::now();
            let one = prepare(1000 + round).await;
            time("prepare 1", from);
            let from = Instant::now();
            host.networks.teardown(&one.id).await.unwrap();
            time("teardown 1", from);
            let from = Instant::now();
            let many = futures_util::future::join_all((0..20).map(|number| prepare(round * 100 + number))).await;
            time("prepare 20 at once", from);
            let spec = firewall("shop", &[&network], &many.iter().collect::<Vec<_>>(), Vec::new());
            let from = Instant::now();
            host.networks.apply(&spec).await.unwrap();
            time("packet filter of 20", from);
            let from = Instant::now();
            for done in futures_util::future::join_all(many.iter().map(|one| host.networks.teardown(&one.id))).await {
                done.unwrap();
            }
            time("teardown 20 at once", from);
            let from = Instant::now();
            drop(many);
            time("close 20", from);
        }
        let many = futures_util::future::join_all((0..20).map(|number| prepare(500 + number))).await;
        let leaving: Vec<ContainerId> = many.into_iter().map(|one| one.id).collect();
        let from = Instant::now();
        host.networks.remove_with(&network.name, &leaving).await.unwrap();
        time("remove the network with 20", from);
        let from = Instant::now();
        host.networks.drop_firewall("shop").await.unwrap();
        time("drop the packet filter", from);
    });
}
