//! What must not get through.

use crate::host::*;

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
