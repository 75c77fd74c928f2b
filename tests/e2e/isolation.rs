//! Who reaches whom: within a network, between networks, out of an internal one.

use super::{ports::Machine, proc::eventually, stack::Stack};
use std::time::Duration;

const SERVER: &str = "image: '%IMAGE%', command: [httpd, -f, -h, /www], stop_grace_period: 0s";

#[test]
fn networks_keep_to_themselves_and_internal_ones_stay_inside() {
    let machine = Machine::new();
    let stack = Stack::new(
        "isolation",
        &format!(
            "
services:
  front: {{{SERVER}, networks: [front]}}
  both: {{{SERVER}, networks: [front, back]}}
  back: {{{SERVER}, networks: [back]}}
networks:
  front: {{}}
  back: {{internal: true}}
"
        ),
    );
    stack.up();
    let address = |service: &str, network: &str| {
        let record = stack.record(service);
        record.networks.iter().find(|used| used.key == network).unwrap().address.to_string()
    };
    let reaches = |from: &str, to: &str| stack.shell(from, &format!("timeout 2 wget -q -O - http://{to}/")).code == 0;
    eventually("a neighbour is reached", Duration::from_secs(3), || reaches("front", &address("both", "front")));
    assert!(reaches("both", &address("back", "back")));
    assert!(reaches("back", &address("both", "back")));
    assert!(!reaches("front", &address("back", "back")), "another network of the same project");
    assert!(!reaches("back", &address("front", "front")));
    assert!(!reaches("front", &address("both", "back")), "by its address on the other network");
    // Out: the machine next door, which plays the world.
    let _world = machine.serve(&stack.ground.rootfs().join("www"));
    let out = machine.own.to_string();
    eventually("the world is reached from front", Duration::from_secs(5), || reaches("front", &out));
    assert!(reaches("both", &out));
    assert!(!reaches("back", &out), "internal reaches out");
    assert_ne!(stack.shell("back", "ip route | grep -q default").code, 0, "internal has no way out");
}

#[test]
fn projects_do_not_reach_each_other() {
    let yaml = format!("services: {{x: {{{SERVER}}}}}");
    let (one, two) = (Stack::new("one", &yaml), Stack::new("two", &yaml));
    one.up();
    two.up();
    let address = two.record("x").networks[0].address;
    assert_ne!(one.shell("x", &format!("timeout 2 wget -q -O - http://{address}/")).code, 0);
    let own = one.record("x").networks[0].address;
    assert_eq!(one.shell("x", &format!("timeout 2 wget -q -O - http://{own}/")).code, 0);
}

#[test]
fn an_external_network_joins_projects_and_must_exist() {
    let owner = Stack::new(
        "owner",
        &format!("services: {{server: {{{SERVER}}}}}\nnetworks: {{default: {{name: '%NET%'}}}}")
            .replace("%NET%", "e2e-ext"),
    );
    let network = format!("{}-net", owner.name);
    owner.compose(&format!("services: {{server: {{{SERVER}}}}}\nnetworks: {{default: {{name: {network}}}}}"));
    let guest = Stack::new(
        "guest",
        &format!("services: {{x: {{{SERVER}}}}}\nnetworks: {{default: {{name: {network}, external: true}}}}"),
    );
    let ran = guest.fails(&["up", "-d"]);
    assert!(ran.stderr.contains(&network), "{ran:#?}");
    owner.up();
    guest.up();
    eventually("by name over the shared network", Duration::from_secs(3), || {
        guest.shell("x", "timeout 2 wget -q -O - http://server/").code == 0
    });
    // The owner cannot take the network away under its guest.
    let ran = owner.run(&["down", "-t", "0"]);
    assert!(ran.stderr.contains(&network) || ran.stdout.contains(&network), "{ran:#?}");
    guest.ok(&["down", "-t", "0"]);
}

#[test]
fn a_fixed_subnet_is_used_and_network_modes_are_kept() {
    let stack = Stack::new(
        "subnet",
        &format!(
            "
services:
  x: {{{SERVER}, networks: {{net: {{ipv4_address: 203.0.113.77}}}}}}
  none: {{{SERVER}, network_mode: none}}
  host: {{image: '%IMAGE%', command: [sleep, '1000'], network_mode: host, stop_grace_period: 0s}}
networks: {{net: {{ipam: {{config: [{{subnet: 203.0.113.64/27}}]}}}}}}
"
        ),
    );
    // Where the loader does not know fixed addresses or modes yet, it must say so by name.
    let ran = stack.run(&["up", "-d"]);
    if ran.code != 0 {
        assert!(ran.stderr.contains("compose.yaml:"), "{ran:#?}");
        return;
    }
    assert_eq!(stack.record("x").networks[0].address.to_string(), "203.0.113.77");
    assert_eq!(stack.exec("none", &["sh", "-c", "ls /sys/class/net"]), "lo");
    assert_eq!(
        super::proc::namespace(stack.pid("host"), "net"),
        super::proc::namespace(std::process::id() as i32, "net")
    );
}
