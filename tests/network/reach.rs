//! What has to get through: neighbours, the world, published ports, names.

use crate::host::*;

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
