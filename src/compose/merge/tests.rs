//! One row for each rule: what a file says, what the next one says, what comes of it.

use super::*;
use crate::compose::{
    diagnostics::{Diagnostics, SourceText},
    tree::{self, Plain},
};

fn show(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { .. } if matches!(node.plain(), Some(Plain::Null)) => "null".into(),
        Kind::Scalar { text, .. } => text.clone(),
        Kind::Sequence(items) => format!("[{}]", items.iter().map(|n| show(n)).collect::<Vec<_>>().join(", ")),
        Kind::Mapping(entries) => {
            let entries: Vec<String> = entries.iter().map(|(k, e)| format!("{k}: {}", show(&e.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The trees of two texts, merged, and what was found.
fn merged(base: &str, over: &str) -> (Rc<Node>, String) {
    let mut findings = Vec::new();
    let mut trees = Vec::new();
    for (index, text) in [base, over].iter().enumerate() {
        trees.extend(tree::parse(index as u32, text, &mut findings));
    }
    let below = prune(&settle(&trees[0]), &trees[1], &mut Vec::new());
    let result = merge(&below, &settle(&trees[1]), &[], &mut Budget::new(1000), &mut findings);
    let source = |(name, text): (&str, &str)| SourceText { name: name.into(), text: text.into() };
    let sources = vec![source(("base.yaml", base)), source(("over.yaml", over))];
    (enforce_unicity(&result), Diagnostics::new(findings, sources).render(false))
}

/// What becomes of a value at `path` (`services.web.ports`), which stands there alone.
fn attribute(path: &[&str], base: &str, over: &str) -> String {
    let document = |value: &str| {
        let open: String = path.iter().map(|step| format!("{{{step}: ")).collect();
        format!("{open}{value}{}\n", "}".repeat(path.len()))
    };
    let (root, findings) = merged(&document(base), &document(over));
    match root.at(path) {
        _ if !findings.is_empty() => findings,
        Some(value) => show(value),
        None => "gone".into(),
    }
}

/// What merging has to say to a value of another kind.
const REFUSED: &str = "cannot override";

#[test]
fn every_attribute_of_a_service_merges_by_its_rule() {
    for (name, base, over, expected) in SERVICE {
        let result = attribute(&["services", "web", name], base, over);
        if *expected == REFUSED {
            assert!(result.starts_with("error: cannot override"), "{name}: {result}");
        } else {
            assert_eq!(result, *expected, "{name}: {base} <- {over}");
        }
    }
}

#[test]
fn every_section_merges_by_its_rules() {
    for (path, base, over, expected) in SECTIONS {
        let path: Vec<&str> = path.split('.').collect();
        assert_eq!(attribute(&path, base, over), *expected, "{path:?}: {base} <- {over}");
    }
}

#[rustfmt::skip]
const SERVICE: &[(&str, &str, &str, &str)] = &[
    ("image", "a", "b", "b"),
    ("command", "[a, b]", "[c]", "[c]"),
    ("command", "[a, b]", "c d", "c d"),
    ("command", "a", "", "null"),
    ("entrypoint", "[a]", "null", "null"),
    ("entrypoint", "a b", "[x]", "[x]"),
    ("annotations", "{a: 1}", "[a=2, b=3]", "{a: 2, b: 3}"),
    ("annotations", "[a=1]", "{b: 2}", "{a: 1, b: 2}"),
    ("attach", "true", "false", "false"),
    ("blkio_config", "{weight: 10, weight_device: [{path: /dev/a, weight: 20}]}", "{weight: 20, weight_device: [{path: /dev/b, weight: 30}]}", "{weight: 20, weight_device: [{path: /dev/a, weight: 20}, {path: /dev/b, weight: 30}]}"),
    ("build", ".", "{dockerfile: D}", "{context: ., dockerfile: D}"),
    ("build", "{context: ., args: {A: 1}}", "x", "{context: x, args: {A: 1}}"),
    ("build", "{context: ., args: [A=1, B]}", "{args: {A: 2, C: 3}}", "{context: ., args: {A: 2, B: null, C: 3}}"),
    ("build", "{context: ., labels: [a=1]}", "{labels: {a: 2}}", "{context: ., labels: {a: 2}}"),
    ("build", "{context: ., tags: [a, b]}", "{tags: [b, c]}", "{context: ., tags: [a, b, c]}"),
    ("build", "{context: ., cache_from: [a]}", "{cache_from: [b]}", "{context: ., cache_from: [a, b]}"),
    ("build", "{context: ., cache_from: [a]}", "{cache_from: [a]}", "{context: ., cache_from: [a, a]}"),
    ("build", "{context: ., cache_to: [a]}", "{cache_to: [b]}", "{context: ., cache_to: [a, b]}"),
    ("build", "{context: ., platforms: [linux/a]}", "{platforms: [linux/b]}", "{context: ., platforms: [linux/a, linux/b]}"),
    ("build", "{context: ., extra_hosts: {a: 1.1.1.1}}", "{extra_hosts: ['b=2.2.2.2']}", "{context: ., extra_hosts: [a=1.1.1.1, b=2.2.2.2]}"),
    ("build", "{context: ., additional_contexts: {a: ./x}}", "{additional_contexts: [a=./y, b=./z]}", "{context: ., additional_contexts: {a: ./y, b: ./z}}"),
    ("build", "{context: ., ulimits: {nofile: 3}}", "{ulimits: {nproc: 4}}", "{context: ., ulimits: {nofile: 3, nproc: 4}}"),
    ("build", "{context: ., target: a, network: n}", "{target: b, pull: true}", "{context: ., target: b, network: n, pull: true}"),
    ("build", "{context: ., secrets: [a]}", "{secrets: [b]}", "{context: ., secrets: [a, b]}"),
    ("cap_add", "[A]", "[B, A]", "[A, B]"),
    ("cgroup", "host", "private", "private"),
    ("cgroup_parent", "a", "b", "b"),
    ("container_name", "aa", "bb", "bb"),
    ("configs", "[a]", "[{source: a, target: /x}]", "[a, {source: a, target: /x}]"),
    ("configs", "[{source: a, target: /x}]", "[{source: b, target: /x}]", "[{source: b, target: /x}]"),
    ("secrets", "[a]", "[{source: a, uid: '1'}]", "[{source: a, uid: 1}]"),
    ("secrets", "[a, b]", "[{source: b, target: a}]", "[a, b, {source: b, target: a}]"),
    ("cpus", "1", "'0.5'", "0.5"),
    ("depends_on", "[a]", "[b, a]", "{a: {condition: service_started, required: true}, b: {condition: service_started, required: true}}"),
    ("depends_on", "{a: {condition: service_healthy}}", "[a]", "{a: {condition: service_started, required: true}}"),
    ("depends_on", "[a]", "{a: {condition: service_healthy, restart: true}}", "{a: {condition: service_healthy, required: true, restart: true}}"),
    ("depends_on", "{a: {condition: service_healthy, restart: true}}", "{a: {condition: service_started}}", "{a: {condition: service_started, restart: true}}"),
    ("deploy", "{replicas: 1, labels: {a: 1}}", "{replicas: 2, labels: [a=2]}", "{replicas: 2, labels: {a: 2}}"),
    ("deploy", "{resources: {limits: {cpus: '1'}}}", "{resources: {limits: {memory: 1g}, reservations: {memory: 1m}}}", "{resources: {limits: {cpus: 1, memory: 1g}, reservations: {memory: 1m}}}"),
    ("deploy", "{placement: {constraints: [a], preferences: [{spread: x}]}}", "{placement: {constraints: [b, a], preferences: [{spread: x}]}}", "{placement: {constraints: [a, b, a], preferences: [{spread: x}, {spread: x}]}}"),
    ("deploy", "{resources: {reservations: {devices: [{capabilities: [gpu], count: 1}]}}}", "{resources: {reservations: {devices: [{capabilities: [tpu]}]}}}", "{resources: {reservations: {devices: [{capabilities: [gpu], count: 1}, {capabilities: [tpu]}]}}}"),
    ("deploy", "{update_config: {parallelism: 1}}", "{update_config: {order: stop-first}}", "{update_config: {parallelism: 1, order: stop-first}}"),
    ("device_cgroup_rules", "['c 1:3 mr']", "['a 7:* rmw']", "[c 1:3 mr, a 7:* rmw]"),
    ("device_cgroup_rules", "['c 1:3 mr']", "['c 1:3 mr']", "[c 1:3 mr, c 1:3 mr]"),
    ("devices", "['/dev/a:/dev/x']", "['/dev/b:/dev/x:r', '/dev/c']", "[/dev/b:/dev/x:r, /dev/c]"),
    ("dns", "1.1.1.1", "[8.8.8.8, 1.1.1.1]", "[1.1.1.1, 8.8.8.8]"),
    ("dns_opt", "[a]", "[a, b]", "[a, b]"),
    ("dns_search", "a", "[b, a]", "[a, b]"),
    ("environment", "{A: 1, B: 2}", "{B: 3, C: 4}", "{A: 1, B: 3, C: 4}"),
    ("environment", "[A=1, B=2]", "{A: 3}", "{A: 3, B: 2}"),
    ("environment", "{A: 1}", "[A=2, C]", "{A: 2, C: null}"),
    ("environment", "{A: 1, B: 2}", "{A: }", "{A: null, B: 2}"),
    ("environment", "{A: true, B: 1.50}", "[C=x=y]", "{A: true, B: 1.50, C: x=y}"),
    ("env_file", "[a.env]", "b.env", "[a.env, b.env]"),
    ("expose", "['80']", "[80, '81/tcp']", "[80, 81/tcp]"),
    ("external_links", "[a]", "[b]", "[a, b]"),
    ("external_links", "[a]", "[a]", "[a, a]"),
    ("extra_hosts", "{a: 1.1.1.1}", "{a: 2.2.2.2}", "[a=1.1.1.1, a=2.2.2.2]"),
    ("extra_hosts", "['a=1.1.1.1']", "{a: 1.1.1.1}", "[a=1.1.1.1]"),
    ("group_add", "[a]", "[b, 5]", "[a, b, 5]"),
    ("group_add", "[a]", "[a]", "[a, a]"),
    ("healthcheck", "{test: [CMD, a], retries: 1}", "{test: b, interval: 5s}", "{test: b, retries: 1, interval: 5s}"),
    ("healthcheck", "{test: [CMD, a], retries: 1}", "{disable: true}", "{test: [CMD, a], retries: 1, disable: true}"),
    ("hostname", "a", "b", "b"),
    ("init", "true", "false", "false"),
    ("ipc", "host", "private", "private"),
    ("labels", "[a=1, b=2]", "{a: 3}", "{a: 3, b: 2}"),
    ("labels", "{a: 1}", "{b: 2}", "{a: 1, b: 2}"),
    ("links", "[a]", "['a:x', a]", "[a, a:x]"),
    ("logging", "{driver: a, options: {x: 1}}", "{driver: b, options: {y: 2}}", "{driver: b, options: {y: 2}}"),
    ("logging", "{driver: a, options: {x: 1}}", "{options: {x: 3, y: 2}}", "{driver: a, options: {x: 3, y: 2}}"),
    ("logging", "{options: {x: 1}}", "{driver: b, options: {y: 2}}", "{options: {x: 1, y: 2}, driver: b}"),
    ("logging", "{driver: a, options: {x: 1}}", "{driver: a, options: {y: 2}}", "{driver: a, options: {x: 1, y: 2}}"),
    ("mem_limit", "1g", "2g", "2g"),
    ("networks", "[n]", "{m: {aliases: [x]}}", "{n: null, m: {aliases: [x]}}"),
    ("networks", "{n: {aliases: [x]}}", "[n]", "{n: {aliases: [x]}}"),
    ("networks", "{n: {aliases: [x]}}", "{n: {aliases: [y, x]}}", "{n: {aliases: [x, y]}}"),
    ("networks", "{n: {link_local_ips: [169.254.1.1]}}", "{n: {link_local_ips: [169.254.1.1, 169.254.1.2], priority: 3}}", "{n: {link_local_ips: [169.254.1.1, 169.254.1.2], priority: 3}}"),
    ("networks", "{n: {ipv4_address: 1.1.1.1}}", "{n: {ipv6_address: '::1'}}", "{n: {ipv4_address: 1.1.1.1, ipv6_address: ::1}}"),
    ("oom_score_adj", "5", "6", "6"),
    ("ports", "['80:80']", "['8080:80']", "[80:80, 8080:80]"),
    ("ports", "['80:80']", "['80:80']", "[80:80]"),
    ("ports", "['80:80']", "[{target: 80, published: '80', name: x}]", "[80:80, {target: 80, published: 80, name: x}]"),
    ("ports", "['80-82:80-82']", "['81:81']", "[80-82:80-82, 81:81]"),
    ("ports", "['80']", "[80]", "[80]"),
    ("profiles", "[a]", "[a, b]", "[a, b]"),
    ("restart", "'no'", "always", "always"),
    ("scale", "2", "3", "3"),
    ("security_opt", "[a]", "[b]", "[a, b]"),
    ("security_opt", "[a]", "[a]", "[a, a]"),
    ("storage_opt", "{a: 1}", "{b: 2}", "{a: 1, b: 2}"),
    ("sysctls", "{a: 1}", "[a=2, b=3]", "{a: 2, b: 3}"),
    ("tmpfs", "/a", "[/b, /a]", "[/a, /b]"),
    ("tmpfs", "['/a:size=1']", "['/a:size=2']", "[/a:size=2]"),
    ("ulimits", "{nofile: 1, nproc: 2}", "{nofile: {soft: 3, hard: 4}}", "{nofile: {soft: 3, hard: 4}, nproc: 2}"),
    ("ulimits", "{nofile: {soft: 3, hard: 4}}", "{nofile: 1}", "{nofile: 1}"),
    ("ulimits", "{nofile: {soft: 3, hard: 4}}", "{nofile: {soft: 1, hard: 2}}", "{nofile: {soft: 1, hard: 2}}"),
    ("user", "a", "b", "b"),
    ("volumes", "['./a:/x']", "['./b:/x', './b:/y']", "[./b:/x, ./b:/y]"),
    ("volumes", "['./a:/x']", "[{type: bind, source: ./q, target: /x, read_only: true}]", "[{type: bind, source: ./q, target: /x, read_only: true}]"),
    ("volumes", "[{type: bind, source: ./q, target: /x}]", "['/x']", "[/x]"),
    ("volumes_from", "[a]", "[b]", "[a, b]"),
    ("volumes_from", "[a]", "[a]", "[a, a]"),
    ("x-a", "{a: 1, b: [1]}", "{c: 1, b: [2]}", "{c: 1, b: [2]}"),
    ("develop", "{watch: [{path: a, action: rebuild}]}", "{watch: [{path: b, action: sync, target: /x}]}", "{watch: [{path: a, action: rebuild}, {path: b, action: sync, target: /x}]}"),
    ("credential_spec", "{file: a}", "{config: b}", "{file: a, config: b}"),
    ("ports", "['80:80']", "{a: b}", REFUSED),
    ("ports", "['80:80']", "'80'", REFUSED),
    ("environment", "{A: 1}", "A", "{A: null}"),
    ("labels", "{a: 1}", "x", "{a: 1, x: null}"),
    ("deploy", "{replicas: 1}", "[a]", REFUSED),
    ("deploy", "{replicas: 1}", "", "{replicas: 1}"),
    ("volumes", "['/a']", "", "[/a]"),
    ("networks", "[n]", "", "{n: null}"),
    ("depends_on", "[a]", "", "{a: {condition: service_started, required: true}}"),
    ("build", "{context: .}", "", "{context: .}"),
    ("ports", "['80:80']", "!reset null", "gone"),
    ("ports", "['80:80']", "!override ['90:90']", "[90:90]"),
    ("environment", "{A: 1, B: 2}", "{A: !reset null, C: !reset x}", "{B: 2}"),
    ("environment", "{A: 1, B: 2}", "!override {C: 1}", "{C: 1}"),
    ("deploy", "{replicas: 1, labels: {a: 1}}", "{labels: !reset null}", "{replicas: 1}"),
    ("deploy", "{replicas: 1, labels: {a: 1}}", "!override {labels: {b: 1}}", "{labels: {b: 1}}"),
    ("build", ".", "{context: !reset null, dockerfile: x}", "{dockerfile: x}"),
    ("healthcheck", "{test: a, interval: 3s}", "!override {test: b}", "{test: b}"),
    ("ports", "['80:80']", "[!reset '80:80']", "[80:80]"),
    ("ports", "['80:80']", "[!override '80:80']", "[80:80]"),
    ("depends_on", "[a, b]", "{a: !reset null}", "{b: {condition: service_started, required: true}}"),
    ("networks", "[n, m]", "{n: !reset null}", "{m: null}"),
    ("command", "a", "!reset null", "gone"),
    ("dns", "1.1.1.1", "!override 2.2.2.2", "[2.2.2.2]"),
    ("stop_grace_period", "1s", "2m", "2m"),
    ("models", "[a]", "{a: {endpoint_var: X}}", "{a: {endpoint_var: X}}"),
    ("label_file", "a", "[b]", "[a, b]"),
    ("gpus", "all", "[{count: 1}]", "[{count: 1}]"),
    ("pre_start", "[{command: a}]", "[{command: b}]", "[{command: a}, {command: b}]"),
    ("post_start", "[{command: a}]", "[{command: b}]", "[{command: a}, {command: b}]"),
    ("provider", "{type: a, options: {x: [1]}}", "{options: {x: [2], y: 1}}", "{type: a, options: {x: [1, 2], y: 1}}"),
    ("build", "{context: ., ssh: [default]}", "{ssh: {a: b}}", "{context: ., ssh: {default: null, a: b}}"),
    ("build", "{context: ., no_cache_filter: a}", "{no_cache_filter: [b]}", "{context: ., no_cache_filter: [a, b]}"),
];

#[rustfmt::skip]
const SECTIONS: &[(&str, &str, &str, &str)] = &[
    ("networks.n", "{labels: [a=1, b=2]}", "{labels: {a: 3}}", "{labels: {a: 3, b: 2}}"),
    ("networks.n", "{driver_opts: {a: 1}}", "{driver_opts: {b: 2}}", "{driver_opts: {a: 1, b: 2}}"),
    ("networks.n", "", "{driver: x}", "{driver: x}"),
    ("networks.n", "{driver: x}", "", "{driver: x}"),
    ("networks.n", "{external: {name: x}}", "{external: true}", "{external: true, name: x}"),
    ("networks.n", "{external: true}", "{external: {name: x}}", "{external: true, name: x}"),
    ("networks.n.ipam.config", "[{subnet: 10.0.0.0/24, gateway: 10.0.0.1}]", "[{subnet: 10.0.0.0/24, ip_range: 10.0.0.0/25}]", "[{subnet: 10.0.0.0/24, gateway: 10.0.0.1, ip_range: 10.0.0.0/25}]"),
    ("networks.n.ipam.config", "[{subnet: 10.0.0.0/24}]", "[{subnet: 10.1.0.0/24}]", "[{subnet: 10.1.0.0/24}]"),
    ("volumes.v", "{labels: {a: 1}, driver_opts: {type: x}}", "{labels: [b=2], driver_opts: {o: y}}", "{labels: {a: 1, b: 2}, driver_opts: {type: x, o: y}}"),
    ("secrets.s", "{file: a, labels: [x=1]}", "{file: b, labels: {x: 2}}", "{file: b, labels: {x: 2}}"),
    ("configs.c", "{content: a}", "{content: b}", "{content: b}"),
    ("models.m", "{model: a, runtime_flags: [x]}", "{context_size: 5, runtime_flags: [y]}", "{model: a, runtime_flags: [x, y], context_size: 5}"),
    ("services.x-web", "{image: a, x-a: {b: 1}}", "{init: true, x-a: {c: 1}}", "{image: a, x-a: {c: 1}, init: true}"),
    ("x-top", "{a: 1}", "{b: 1}", "{b: 1}"),
    ("name", "a", "b", "b"),
];

#[test]
fn a_kind_that_does_not_fit_names_both_places() {
    let (_, findings) = merged("services: {web: {ports: ['80:80']}}\n", "services: {web: {ports: {a: b}}}\n");
    insta::assert_snapshot!(findings, @r"
    error: cannot override `services.web.ports`: a mapping in place of a list
     --> over.yaml:1:25
      |
    1 | services: {web: {ports: {a: b}}}
      |                         ^^^^^^
      |
     ::: base.yaml:1:25
      |
    1 | services: {web: {ports: ['80:80']}}
      |                         --------- overrides this
      |
      = help: `!override` replaces a value as a whole
    ");
}

#[test]
fn reset_works_where_there_is_nothing_to_reset() {
    let (root, _) = merged("a: !reset 1\nb: {c: !reset 1, d: 2}\n", "e: !reset 1\n");
    assert_eq!(show(&root), "{b: {d: 2}}");
}

#[test]
fn tags_work_through_anchors_and_merge_keys() {
    let base = "services: {web: {image: i, ports: ['1:1'], dns: 1.1.1.1, cap_add: [A]}}\n";
    let over = "x-a: &a {ports: !reset null, dns: !reset null, cap_add: !override [B]}\n\
                x-b: &b !reset null\n\
                services: {web: {<<: *a, ports: ['2:2'], image: *b}}\n";
    let (root, findings) = merged(base, over);
    assert_eq!(findings, "");
    assert_eq!(show(root.at(&["services", "web"]).unwrap()), "{ports: [2:2], cap_add: [B]}");
}

/// What a value replaced, the latest first.
fn history(root: &Node, path: &[&str]) -> Vec<String> {
    let trail = root.at(path).and_then(|node| node.trail.clone());
    trail.iter().flat_map(|trail| &trail.replaced).map(|node| format!("{}@{}", show(node), node.span.source)).collect()
}

#[test]
fn a_value_remembers_what_it_replaced() {
    let base = "services: {web: {image: a, command: [x], environment: [A=1, B=2], ports: ['1:1'], dns: 1.1.1.1}}\n";
    let over = "services: {web: {image: b, command: y, environment: {A: 3}, ports: !override ['2:2'], dns: 1.1.1.1}}\n";
    let (root, _) = merged(base, over);
    let at = |steps: &[&str]| history(&root, &[&["services", "web"], steps].concat());
    assert_eq!(at(&["image"]), ["a@0"]);
    assert_eq!(at(&["command"]), ["[x]@0"]);
    assert_eq!(at(&["environment", "A"]), ["1@0"]);
    assert_eq!(at(&["environment", "B"]), [""; 0]);
    assert_eq!(at(&["ports"]), ["[1:1]@0"]);
    let dns = &root.at(&["services", "web", "dns"]).unwrap().items()[0];
    assert_eq!(dns.trail.as_ref().unwrap().replaced[0].span.source, 0);
}

#[test]
fn a_long_history_is_flat_and_bounded() {
    let mut findings = Vec::new();
    let value = |n: u32| Rc::new(Node::text(Span { source: n, start: 0, end: 1 }, n.to_string()));
    let mut node = value(0);
    for n in 1..100 {
        node = merge(&node, &value(n), &["image"], &mut Budget::new(10), &mut findings);
    }
    let replaced = &node.trail.as_ref().unwrap().replaced;
    assert_eq!(replaced.len(), LONGEST_HISTORY);
    assert_eq!(show(&replaced[0]), "98");
    assert!(replaced.iter().all(|node| node.trail.as_ref().is_none_or(|trail| trail.replaced.is_empty())));
}

#[test]
fn merging_stops_when_its_budget_is_used_up() {
    let mut findings = Vec::new();
    let trees = tree::parse(0, "a: {b: 1, c: 2}\n---\na: {b: 2, d: 3}\n", &mut findings);
    let mut budget = Budget::new(3);
    merge(&trees[0], &trees[1], &[], &mut budget, &mut findings);
    assert!(budget.exceeded().is_some());
}
