//! Other programs' rules on the same host, and the rules as the kernel has them.

use crate::host::*;

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
        assert!(run("iptables -S FORWARD").contains("-P FORWARD DROP"));

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
        assert!(!run("iptables -S").contains("mst-"));
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
