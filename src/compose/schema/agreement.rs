//! The check beside an independent validator of the document: both have to say the same of every file.

use super::{
    document,
    patterns::Pattern,
    tests::{findings, parsed, service},
};
use crate::compose::tree::{Kind, Node, Plain};
use serde_json::{Value, json};

fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Mapping(entries) => entries.iter().map(|(name, entry)| (name.clone(), json(&entry.value))).collect(),
        Kind::Sequence(items) => items.iter().map(|item| json(item)).collect(),
        Kind::Scalar { text, .. } => match node.plain() {
            None | Some(Plain::Text(_)) => json!(text),
            Some(Plain::Null) => Value::Null,
            Some(Plain::Bool(value)) => json!(value),
            Some(Plain::Int(value)) => json!(value),
            Some(Plain::Float(value)) => json!(value),
        },
    }
}

/// Files that are right, for the check and for the validator.
const GOOD: &[&str] = &[
    "services: {}",
    "version: '3'\nname: a\nx-a: [1]\nservices: {web: {image: x, x-b: {c: d}}}",
    "include: [a.yaml, {path: [a, b], project_directory: ., env_file: e}]",
    "models: {m: {model: ai/x, context_size: 5, runtime_flags: [a]}}",
    "networks: {a: , b: {external: true, name: c}, c: {external: {name: d}}, d: {driver_opts: {a: 1}, enable_ipv4: 'no'}}",
    "networks: {a: {ipam: {driver: x, options: {a: b}, config: [{subnet: a, gateway: b, ip_range: c, aux_addresses: {h: d}}]}}}",
    "volumes: {a: , b: {driver: local, driver_opts: {type: nfs, o: 5}, labels: [a=b]}}",
    "secrets: {a: {file: x}, b: {environment: X}, c: {external: 'true'}}\nconfigs: {a: {content: x}}",
];

const GOOD_SERVICES: &[&str] = &[
    "profiles: [a]\nannotations: {a: 1}\nattach: off\nbuild: .\ndevelop: {watch: [{path: a, action: sync+exec, exec: {command: x}, ignore: a, include: [b], initial_sync: true}]}",
    "build: {context: ., dockerfile_inline: x, args: {A: }, ssh: [default], cache_from: [a], no_cache: true, no_cache_filter: a, additional_contexts: {a: b}, provenance: mode=max, sbom: true, secrets: [a], shm_size: 1g, tags: [a], ulimits: {nofile: 1}, platforms: [a], entitlements: [a], pull: 'yes', privileged: false, extra_hosts: {a: [b, c]}}",
    "blkio_config: {weight: 5, weight_device: [{path: a, weight: '5'}], device_read_bps: [{path: a, rate: 1mb}]}",
    "cap_add: [ALL]\ncgroup: private\ncpu_count: 2\ncpu_percent: '50'\ncpu_shares: 5.5\ncpus: '0.5'\ncpuset: 0-3",
    "command:\nentrypoint: []\nconfigs: [a, {source: b, mode: 0440, uid: '1'}]\ncontainer_name: web\ncredential_spec: {file: a}",
    "depends_on: {a: {condition: service_healthy, restart: 'true', required: false}}\ndeploy: {mode: global, replicas: '2', resources: {limits: {cpus: 1, memory: 1g, pids: 5}, reservations: {devices: [{capabilities: [gpu], count: all}], generic_resources: [{discrete_resource_spec: {kind: a, value: 2}}]}}, update_config: {order: stop-first, max_failure_ratio: 0.5}, placement: {preferences: [{spread: a}]}}",
    "devices: ['/dev/a:/dev/b', {source: a, target: b, permissions: r}]\ndns: 1.1.1.1\ndns_search: [a, b]\nenv_file: [a, {path: b, required: false, format: raw}]\nenvironment: {A: 1, B: , C: true, D: 1.5}",
    "expose: [80, 81-82/udp]\nextends: {service: a, file: b}\nextra_hosts: [a=b]\ngpus: all\ngroup_add: [5, adm]\nhealthcheck: {test: x, retries: 3, interval: 1s, disable: n}",
    "gpus: [{driver: nvidia, count: 1, device_ids: [a], options: {a: b}}]\nlabel_file: a\nlabels: [a]\nlogging: {driver: x, options: {a: 1, b: }}\nmodels: {a: , b: {endpoint_var: X}}",
    "networks: {a: , b: {aliases: [x], priority: 5, gw_priority: 1, interface_name: eth1, driver_opts: {a: 1}}}\npid:\nports: [80, '80:80', {target: 80, published: 80-90, name: x, app_protocol: http}]",
    "provider: {type: x, options: {a: [1, b, true], c: 5}}\npull_policy: every_1d12h\npull_refresh_after: 1d\npre_start: [{command: x, image: y, per_replica: true}]\npost_start: [{command: [a], user: b, environment: [A=b]}]",
    "storage_opt: {size: 1G}\nsysctls: {a.b: 1}\ntmpfs: /a\nulimits: {nofile: -1, nproc: {soft: '1', hard: 2, x-a: 1}}\nuse_api_socket: true",
    "volumes: ['a:/b', {type: image, source: a, target: b, image: {subpath: c}}, {type: bind, bind: {selinux: Z, recursive: readonly, create_host_path: 'no'}}, {type: tmpfs, tmpfs: {size: 5, mode: 0700}}]",
    "image: ${IMAGE}\ncontainer_name: web\nscale: 5\nvolumes_from: [a]\nstop_grace_period: 1m",
];

/// Files that are wrong, for both.
const BAD: &[&str] = &[
    "service: {}",
    "version: 3",
    "services: []",
    "services: {web: }",
    "services: {a b: {}}",
    "volumes: {a b: {}}",
    "networks: {a: {drivr: x}}",
    "networks: {a: {external: {nam: x}}}",
    "networks: {a: {ipam: {config: {subnet: x}}}}",
    "networks: {a: 5}",
    "secrets: {a: }",
    "secrets: {a: {content: x}}",
    "models: {m: {}}",
    "models: {m: {model: x, context_size: '5'}}",
    "include: a.yaml",
    "include: [{path: a, x-b: c}]",
];

const BAD_SERVICES: &[&str] = &[
    "imgae: x",
    "image: 5",
    "image:",
    "ports:",
    "ports: 80",
    "ports: [true]",
    "ports: [{targt: 1}]",
    "ports: [80, 80]",
    "ports: [{target: x}]",
    "ports: [{published: 1.5}]",
    "init: 1",
    "init: maybe",
    "cpus: many",
    "cpus: [1]",
    "scale: 1.5",
    "scale: x",
    "cpu_count: -1",
    "cpu_percent: 101",
    "oom_score_adj: 1001",
    "mem_limit: {}",
    "mem_reservation: 1.5",
    "stop_grace_period: 5",
    "cgroup: x",
    "pull_policy: sometimes",
    "container_name: '-'",
    "command: {a: b}",
    "command: [1]",
    "environment: x",
    "environment: {A: [b]}",
    "environment: {'': b}",
    "environment: [A=b, A=b]",
    "labels: {a: {}}",
    "depends_on: a",
    "depends_on: [a, a]",
    "depends_on: {a: {}}",
    "depends_on: {a: }",
    "depends_on: {a: {condition: x}}",
    "depends_on: {a: {condition: service_started, required: 'true'}}",
    "depends_on: {a b: {condition: service_started}}",
    "deploy: []",
    "deploy: {resources: }",
    "deploy: {resources: {limits: {memory: 5}}}",
    "deploy: {resources: {limits: {devices: []}}}",
    "deploy: {resources: {reservations: {devices: [{driver: x}]}}}",
    "deploy: {update_config: {order: x}}",
    "develop: {watch: [{path: a}]}",
    "develop: {watch: [{path: a, action: x}]}",
    "devices: [{target: a}]",
    "dns: 5",
    "env_file: [{required: true}]",
    "env_file: [{path: a, x-b: c}]",
    "env_file: {path: a}",
    "expose: [true]",
    "extends: {file: a}",
    "extra_hosts: {a: 5}",
    "gpus: 5",
    "gpus: some",
    "group_add: [a, a]",
    "healthcheck: {test: }",
    "healthcheck: {interval: 5}",
    "links: [a, a]",
    "logging: {options: {a: true}}",
    "networks: [a, a]",
    "networks: {a: {priority: '5'}}",
    "networks: {a: {mac: x}}",
    "networks: {a b: }",
    "post_start: [{user: a}]",
    "post_start: [{command: a, image: b}]",
    "pre_start: {command: a}",
    "provider: {options: {}}",
    "provider: {type: x, options: {a: }}",
    "restart: false",
    "storage_opt: [a]",
    "sysctls: 5",
    "tmpfs: [/a, /a]",
    "ulimits: [a]",
    "ulimits: {nofile: 1.5}",
    "ulimits: {nofile: {soft: 1}}",
    "use_api_socket: 'true'",
    "user: 1000",
    "volumes: {}",
    "volumes: [{target: /a}]",
    "volumes: [{type: x}]",
    "volumes: [{type: bind, bind: {selinux: y}}]",
    "volumes: [{type: tmpfs, tmpfs: {size: -1}}]",
    "volumes: [/a, /a]",
    "blkio_config: {x-a: 1}",
    "blkio_config: {weight: 1.5}",
    "build: []",
    "build: {contxt: .}",
    "build: {args: 5}",
    "build: {tags: a}",
    "build: {shm_size: 1.5}",
    "configs: a",
    "configs: [{sorce: a}]",
    "secrets: [5]",
    "models: a",
    "models: {a: {url: x}}",
    "attach: 1",
];

fn all(files: &[&str], services: &[&str]) -> Vec<String> {
    files.iter().map(|file| (*file).to_owned()).chain(services.iter().map(|attributes| service(attributes))).collect()
}

#[test]
fn the_check_and_an_independent_validator_agree_on_what_is_right() {
    let validator = jsonschema::draft202012::new(&document()).unwrap();
    for text in all(GOOD, GOOD_SERVICES) {
        let findings = findings(&text);
        // A variable is resolved before the check, but not before an editor looks.
        assert!(findings.is_empty(), "{findings}");
        let errors: Vec<String> = validator.iter_errors(&json(&parsed(&text))).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{text}\n{errors:?}");
    }
}

#[test]
fn the_check_and_an_independent_validator_agree_on_what_is_wrong() {
    let validator = jsonschema::draft202012::new(&document()).unwrap();
    for text in all(BAD, BAD_SERVICES) {
        assert_eq!(findings(&text).items().len(), 1, "{text}\n{}", findings(&text));
        assert!(!validator.is_valid(&json(&parsed(&text))), "{text}");
    }
}

#[test]
fn an_editor_lets_variables_stand_for_numbers_and_booleans() {
    let validator = jsonschema::draft202012::new(&document()).unwrap();
    let text = service("init: ${INIT:-true}\nscale: ${SCALE}\ncpus: ${CPUS}\npull_policy: ${PULL:-always}");
    assert!(validator.is_valid(&json(&parsed(&text))));
    assert_eq!(findings(&text).items().len(), 4, "a variable that is left is none");
}

#[test]
fn every_pattern_of_the_document_is_one_that_the_check_knows() {
    fn visit(value: &Value) {
        match value {
            Value::Object(entries) => {
                if let Some(Value::String(regex)) = entries.get("pattern") {
                    assert!(Pattern::of(regex).is_some(), "{regex}");
                }
                for regex in
                    entries.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(|p| p.keys())
                {
                    assert!(Pattern::of(regex).is_some(), "{regex}");
                }
                entries.values().for_each(visit);
            }
            Value::Array(items) => items.iter().for_each(visit),
            _ => {}
        }
    }
    visit(&document());
}

#[test]
fn every_attribute_has_a_description() {
    let document = document();
    let mut bare = Vec::new();
    for (section, schema) in document["$defs"].as_object().unwrap() {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if schema["description"].as_str().is_none_or(str::is_empty) {
                bare.push(format!("{section}.{name}"));
            }
        }
    }
    assert!(bare.is_empty(), "{bare:?}");
}
