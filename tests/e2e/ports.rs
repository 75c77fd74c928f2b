//! Published ports: from loopback, from the host's other addresses, from another machine; and who holds one.

use super::{
    http,
    proc::eventually,
    stack::{Stack, free_port, loopback},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

/// A network namespace that plays another machine: its end of a veth pair has `.2`, this machine's end `.1`.
pub struct Machine {
    name: String,
    pub host: Ipv4Addr,
    pub own: Ipv4Addr,
}

impl Machine {
    pub fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // 198.51.100.0/24 is for documentation (RFC 5737): nobody's network.
        let (host, own) = (Ipv4Addr::new(198, 51, 100, count * 4 + 1), Ipv4Addr::new(198, 51, 100, count * 4 + 2));
        let id = std::process::id();
        let machine = Self { name: format!("e2e{id}-{count}"), host, own };
        let (here, there) = (format!("e2e{}h{count}", id % 100_000), format!("e2e{}t{count}", id % 100_000));
        let name = machine.name.as_str();
        ip(&["netns", "add", name]);
        ip(&["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", name]);
        ip(&["address", "add", &format!("{host}/30"), "dev", &here]);
        ip(&["link", "set", &here, "up"]);
        ip(&["-n", name, "address", "add", &format!("{own}/30"), "dev", &there]);
        ip(&["-n", name, "link", "set", &there, "up"]);
        ip(&["-n", name, "link", "set", "lo", "up"]);
        machine
    }

    /// Everything that this machine does not know goes to the host.
    pub fn route_by_host(&self) {
        ip(&["-n", &self.name, "route", "add", "default", "via", &self.host.to_string()]);
    }

    /// A shell line of busybox on that machine.
    pub fn shell(&self, line: &str) -> (bool, String) {
        let busybox = super::ground::busybox();
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(busybox)
            .args(["sh", "-c", line])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A web server on port 80 of that machine, until it is dropped.
    pub fn serve(&self, root: &std::path::Path) -> Server {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name])
            .arg(super::ground::busybox())
            .args(["httpd", "-f", "-p", "80", "-h"]);
        Server(command.arg(root).spawn().unwrap())
    }

    /// Body of `GET /`, asked from that machine within three seconds.
    pub fn get(&self, address: SocketAddr) -> Option<String> {
        // Not wget: on the host's /etc, a static one crashes over the name of its service.
        let ask =
            format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 3 busybox nc {} {}", address.ip(), address.port());
        let (_, answer) = self.shell(&ask);
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The veth pair goes with the namespace.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

pub struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
}

fn web(port: &str) -> String {
    format!(
        "services: {{web: {{image: '%IMAGE%', command: [httpd, -f, -h, /www], ports: ['{port}'], stop_grace_period: 0s}}}}"
    )
}

#[test]
fn a_published_port_answers_from_everywhere() {
    let port = free_port();
    let machine = Machine::new();
    let stack = Stack::new("published", &web(&format!("{port}:80")));
    stack.up();
    eventually("loopback is answered", Duration::from_secs(2), || {
        http::get(loopback(port), "/").is_ok_and(|body| body == "busybox here\n")
    });
    let other = SocketAddr::new(IpAddr::V4(machine.host), port);
    assert_eq!(http::get(other, "/").unwrap(), "busybox here\n", "from the host by another of its addresses");
    assert_eq!(machine.get(other).as_deref(), Some("busybox here\n"), "from another machine");
    // A container reaches it by the host's address as well: hairpin.
    let gateway = stack.exec("web", &["sh", "-c", "ip route | awk '/default/ {print $3}'"]);
    assert_eq!(
        stack.exec("web", &["timeout", "3", "wget", "-q", "-O", "-", &format!("http://{gateway}:{port}/")]),
        "busybox here"
    );
}

#[test]
fn a_port_on_loopback_is_not_for_others() {
    let port = free_port();
    let machine = Machine::new();
    let stack = Stack::new("loopback", &web(&format!("127.0.0.1:{port}:80")));
    stack.up();
    eventually("loopback is answered", Duration::from_secs(2), || http::get(loopback(port), "/").is_ok());
    assert!(http::get(SocketAddr::new(IpAddr::V4(machine.host), port), "/").is_err());
    assert_eq!(machine.get(SocketAddr::new(IpAddr::V4(machine.host), port)), None);
}

#[test]
fn other_machines_reach_neither_containers_nor_loopback_by_routing_through_the_host() {
    let port = free_port();
    let machine = Machine::new();
    let stack = Stack::new("martian", &web(&format!("127.0.0.1:{port}:80")));
    stack.up();
    machine.route_by_host();
    let address = stack.record("web").networks[0].address;
    assert_eq!(machine.get(SocketAddr::new(address, 80)), None, "an unpublished port of the container");
    // CVE-2020-8558: a neighbour that routes 127/8 to us.
    machine.shell("busybox ip link set lo down; busybox ip route del local 127.0.0.0/8 table local");
    machine.shell(&format!("busybox ip route add 127.0.0.0/8 via {}", machine.host));
    assert_eq!(machine.get(loopback(port)), None);
}

#[test]
fn udp_is_published_too() {
    let port = free_port();
    let stack = Stack::new(
        "udp",
        &format!("services: {{echo: {{{}, ports: ['{port}:7/udp']}}}}", super::role::service("udp-echo")),
    );
    stack.up();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut answer = [0; 16];
    eventually("an echo", Duration::from_secs(5), || {
        socket.send_to(b"ping", loopback(port)).is_ok()
            && socket.recv_from(&mut answer).is_ok_and(|(length, from)| {
                assert_eq!(from, loopback(port), "the answer comes from where the question went");
                &answer[..length] == b"ping"
            })
    });
}

#[test]
fn ranges_and_free_ports_are_given_and_told() {
    let first = free_port();
    let stack = Stack::new(
        "ranges",
        "services: {web: {image: '%IMAGE%', command: [httpd, -f, -h, /www], ports: ['80', '%PORT%-%NEXT%:81-82'], stop_grace_period: 0s}}"
            .replace("%PORT%", &first.to_string())
            .replace("%NEXT%", &(first + 1).to_string())
            .as_str(),
    );
    stack.up();
    let told = stack.ok(&["port", "web", "80"]);
    let port: u16 = told.trim().rsplit(':').next().unwrap().parse().unwrap();
    eventually("the port is answered", Duration::from_secs(2), || http::get(loopback(port), "/").is_ok());
    assert!(stack.ok(&["port", "web", "82"]).trim().ends_with(&format!(":{}", first + 1)));
}

#[test]
fn a_port_in_use_is_refused_before_anything_is_touched_and_its_holder_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stack = Stack::new("inuse", &web(&format!("{port}:80")));
    let ran = stack.fails(&["up", "-d"]);
    let own = std::process::id().to_string();
    assert!(ran.stderr.contains(&port.to_string()) && ran.stderr.contains(&own), "the holder is pid {own}: {ran:#?}");
    assert!(stack.ps().iter().all(|row| row["State"] != "running"));
    drop(listener);
    stack.up();
    // And when another stack holds it, that one is named.
    let second = Stack::new("second", &web(&format!("{port}:80")));
    let ran = second.fails(&["up", "-d"]);
    assert!(ran.stderr.contains(&stack.name), "{ran:#?}");
}

#[test]
fn a_port_is_free_again_after_down() {
    let port = free_port();
    let stack = Stack::new("freed", &web(&format!("{port}:80")));
    for _ in 0..3 {
        stack.up();
        eventually("the port is answered", Duration::from_secs(2), || http::get(loopback(port), "/").is_ok());
        stack.ok(&["down", "-t", "0"]);
        assert!(TcpListener::bind(("0.0.0.0", port)).is_ok());
    }
}
