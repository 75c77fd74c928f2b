//! Names inside containers: services, aliases, replicas, and everything else by the host's resolvers.

use super::{proc::eventually, stack::Stack};
use std::time::Duration;

const IDLE: &str = "image: '%IMAGE%', command: [sleep, '1000'], init: true";

fn resolves(stack: &Stack, service: &str, name: &str) -> Option<Vec<String>> {
    let ran = stack.shell(service, &format!("nslookup -type=a {name} 127.0.0.11"));
    let text = ran.stdout.split_once("\n\n").map_or("", |(_, answer)| answer).to_owned();
    let mut found: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix("Address: ")).map(|line| line.trim().to_owned()).collect();
    found.sort();
    (!found.is_empty()).then_some(found)
}

#[test]
fn services_containers_and_aliases_have_names_and_others_networks_have_not() {
    let stack = Stack::new(
        "names",
        &format!(
            "
services:
  web: {{{IDLE}, networks: {{front: {{aliases: [www, site.example]}}}}}}
  app: {{{IDLE}, networks: [front, back], container_name: the-app}}
  db: {{{IDLE}, networks: [back]}}
networks: {{front: {{}}, back: {{internal: true}}}}
"
        ),
    );
    stack.up();
    let address = |service: &str, network: &str| {
        let record = stack.record(service);
        vec![record.networks.iter().find(|used| used.key == network).unwrap().address.to_string()]
    };
    for name in ["web", "www", "site.example", "WEB", &format!("{}-web-1", stack.name)] {
        assert_eq!(resolves(&stack, "app", name), Some(address("web", "front")), "{name}");
    }
    assert_eq!(resolves(&stack, "db", "app"), Some(address("app", "back")));
    assert_eq!(resolves(&stack, "web", "the-app"), Some(address("app", "front")));
    assert_eq!(resolves(&stack, "web", "db"), None, "web is not on db's network");
    assert_eq!(resolves(&stack, "db", "web"), None);
    assert_eq!(resolves(&stack, "web", "no-such-service"), None);
    // By the C library's way too, and backwards.
    assert!(stack.shell("app", "ping -c 1 -W 2 web").stdout.contains(&address("web", "front")[0]));
    let back = stack.shell("app", &format!("nslookup {} 127.0.0.11", address("web", "front")[0])).stdout;
    assert!(back.contains("web"), "{back}");
}

#[test]
fn all_replicas_answer_to_the_service_and_a_new_container_takes_over_the_name() {
    let yaml = format!("services: {{many: {{{IDLE}, scale: 3}}, one: {{{IDLE}}}}}");
    let stack = Stack::new("replicas", &yaml);
    stack.up();
    assert_eq!(resolves(&stack, "one", "many").map(|found| found.len()), Some(3));
    stack.ok(&["up", "-d", "--scale", "many=1", "-t", "0"]);
    eventually("the others are gone from the zone", Duration::from_secs(2), || {
        resolves(&stack, "one", "many").map(|found| found.len()) == Some(1)
    });
    stack.ok(&["up", "-d", "--force-recreate", "--no-deps", "-t", "0", "many"]);
    let new = stack.record("many").networks[0].address.to_string();
    eventually("the name leads to the new container", Duration::from_secs(2), || {
        resolves(&stack, "one", "many").is_some_and(|found| found.contains(&new))
    });
}

#[test]
fn what_is_not_ours_is_asked_of_the_resolvers_that_the_file_names() {
    // A resolver of the test's own, which has one answer to every question, at an address that is known beforehand: the
    // first one that a network of its own gives out.
    let stack = Stack::new("forward", "services: {}");
    let asker = |dns: &str| {
        format!(
            "
services:
  upstream: {{{}}}
  asker: {{{IDLE}, dns: [{dns}], depends_on: [upstream]}}
networks: {{default: {{ipam: {{config: [{{subnet: 203.0.113.0/27}}]}}}}}}
",
            super::role::service("resolver")
        )
    };
    stack.compose(&asker("192.0.2.1"));
    stack.up();
    let address = stack.record("upstream").networks[0].address.to_string();
    stack.compose(&asker(&address));
    stack.up();
    assert_eq!(stack.record("upstream").networks[0].address.to_string(), address);
    eventually("the answer of the other resolver", Duration::from_secs(5), || {
        resolves(&stack, "asker", "outside.example") == Some(vec!["192.0.2.33".to_owned()])
    });
    assert!(resolves(&stack, "asker", "upstream").is_some(), "our own names come first");
}

#[test]
fn names_resolve_while_no_supervisor_lives_at_once_after() {
    let stack = Stack::new("nslife", &format!("services: {{a: {{{IDLE}}}, b: {{{IDLE}}}}}"));
    stack.up();
    let supervisor = stack.supervisor().unwrap();
    super::proc::kill(supervisor, rustix::process::Signal::KILL);
    // The question waits in the shim's socket for the next supervisor; a resolver asks again within 5 s.
    assert!(resolves(&stack, "a", "b").is_some());
}
