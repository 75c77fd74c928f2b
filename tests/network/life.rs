//! How networks and namespaces come and go, and how long it takes.

use crate::host::*;

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
