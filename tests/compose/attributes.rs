//! Every attribute of a service in all of its forms, as it stands in the model.

use crate::Files;
use muster::compose::load;
use serde_json::Value;

/// The rest of a file in which all names are declared that the rows use.
const REST: &str = "
  db: {image: postgres}
  job: {image: job}
networks: {front: {ipam: {config: [{subnet: 10.7.0.0/24}]}}, back: }
volumes: {data: }
secrets: {token: {file: ./token}}
configs: {conf: {file: ./token}}
";

/// Attribute as written, field of the model, value there.
const ROWS: &[(&str, &str, &str)] = &[
    ("image: postgres:16", "image", r#""postgres:16""#),
    ("image: oci:images/web", "image", r#""oci:/demo/images/web""#),
    ("image: oci-archive:../web.tar", "image", r#""oci-archive:/web.tar""#),
    ("image: docker-archive:/w.tar", "image", r#""docker-archive:/w.tar""#),
    ("image: rootfs:/", "image", r#""rootfs:/""#),
    ("image: rootfs:~/root", "image", r#""rootfs:/home/me/root""#),
    ("pull_policy: if_not_present", "pull_policy", r#""missing""#),
    ("pull_policy: never", "pull_policy", r#""never""#),
    ("command: sh -c 'a b'", "command", r#"["sh","-c","a b"]"#),
    ("command: [sh, -c, a b]", "command", r#"["sh","-c","a b"]"#),
    ("command: []", "command", "[]"),
    ("command: ''", "command", "[]"),
    ("command:", "command", "null"),
    ("entrypoint: /a b", "entrypoint", r#"["/a","b"]"#),
    (
        "environment: {A: 1, B: true, C: x, D: , E: 1.50, F: 010}",
        "environment",
        r#"{"A":"1","B":"true","C":"x","E":"1.5","F":"8"}"#,
    ),
    ("environment: [A=1, B=, C, HOME]", "environment", r#"{"A":"1","B":"","HOME":"/home/me"}"#),
    ("env_file: one.env", "environment", r#"{"A":"1","B":"one"}"#),
    (
        "env_file: [one.env, {path: two.env}, {path: no.env, required: false}]",
        "environment",
        r#"{"A":"1","B":"two","C":"1one"}"#,
    ),
    ("env_file: [{path: two.env, format: raw}]", "environment", r#"{"B":"two","C":"$A$B"}"#),
    ("{env_file: one.env, environment: {B: own}}", "environment", r#"{"A":"1","B":"own"}"#),
    ("ports: [80]", "ports", r#"[{"target":80,"protocol":"tcp","published":null,"host_ip":null}]"#),
    (
        "ports: ['127.0.0.1:8080:80/udp']",
        "ports",
        r#"[{"target":80,"protocol":"udp","published":{"first":8080,"last":8080},"host_ip":"127.0.0.1"}]"#,
    ),
    (
        "ports: [{target: 80, published: '8000-8009', host_ip: '::1', mode: host}]",
        "ports",
        r#"[{"target":80,"protocol":"tcp","published":{"first":8000,"last":8009},"host_ip":"::1"}]"#,
    ),
    (
        "ports: ['80:80', {target: 80, published: 80}]",
        "ports",
        r#"[{"target":80,"protocol":"tcp","published":{"first":80,"last":80},"host_ip":null}]"#,
    ),
    ("expose: [80, '81', 3000-3005/udp]", "expose", r#"["80/tcp","81/tcp","3000-3005/udp"]"#),
    (
        "volumes: [./a/../b:/b:ro]",
        "volumes",
        r#"[{"kind":{"bind":{"source":"/demo/b","create_host_path":true,"propagation":null}},"target":"/b","read_only":true}]"#,
    ),
    (
        "volumes: ['~/x:/x:rshared']",
        "volumes",
        r#"[{"kind":{"bind":{"source":"/home/me/x","create_host_path":true,"propagation":"rshared"}},"target":"/x","read_only":false}]"#,
    ),
    (
        "volumes: ['data:/d:nocopy']",
        "volumes",
        r#"[{"kind":{"volume":{"source":"data","nocopy":true,"subpath":null}},"target":"/d","read_only":false}]"#,
    ),
    ("volumes: [/d]", "volumes", r#"[{"kind":{"anonymous":{"nocopy":false}},"target":"/d","read_only":false}]"#),
    (
        "volumes: [{type: bind, source: ./a, target: /a, bind: {create_host_path: false}}]",
        "volumes",
        r#"[{"kind":{"bind":{"source":"/demo/a","create_host_path":false,"propagation":null}},"target":"/a","read_only":false}]"#,
    ),
    (
        "volumes: [{type: volume, source: data, target: /d, volume: {subpath: a/b}}]",
        "volumes",
        r#"[{"kind":{"volume":{"source":"data","nocopy":false,"subpath":"a/b"}},"target":"/d","read_only":false}]"#,
    ),
    (
        "volumes: [{type: volume, target: /d}]",
        "volumes",
        r#"[{"kind":{"anonymous":{"nocopy":false}},"target":"/d","read_only":false}]"#,
    ),
    (
        "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0o1777}}]",
        "volumes",
        r#"[{"kind":{"tmpfs":{"size":1048576,"mode":1023}},"target":"/t","read_only":false}]"#,
    ),
    ("tmpfs: /run", "tmpfs", r#"[{"target":"/run","size":null,"mode":null,"uid":null,"gid":null,"options":[]}]"#),
    (
        "tmpfs: ['/run:size=64m,mode=1770,uid=5,gid=6,noexec']",
        "tmpfs",
        r#"[{"target":"/run","size":67108864,"mode":1016,"uid":5,"gid":6,"options":["noexec"]}]"#,
    ),
    ("secrets: [token]", "secrets", r#"[{"source":"token","target":"/run/secrets/token","uid":0,"gid":0,"mode":292}]"#),
    (
        "secrets: [{source: token, target: t, uid: '5', gid: '6', mode: 0400}]",
        "secrets",
        r#"[{"source":"token","target":"/run/secrets/t","uid":5,"gid":6,"mode":256}]"#,
    ),
    (
        "configs: [conf, {source: conf, target: /etc/c, mode: '0440'}]",
        "configs",
        r#"[{"source":"conf","target":"/conf","uid":0,"gid":0,"mode":292},{"source":"conf","target":"/etc/c","uid":0,"gid":0,"mode":288}]"#,
    ),
    ("networks: [front]", "networks", r#"{"front":{"aliases":[],"ipv4_address":null,"priority":0}}"#),
    (
        "networks: {front: , back: {priority: 5}}",
        "networks",
        r#"{"back":{"aliases":[],"ipv4_address":null,"priority":5},"front":{"aliases":[],"ipv4_address":null,"priority":0}}"#,
    ),
    (
        "networks: {front: {aliases: [a], ipv4_address: 10.7.0.9}}",
        "networks",
        r#"{"front":{"aliases":["a"],"ipv4_address":"10.7.0.9","priority":0}}"#,
    ),
    ("tty: true", "networks", r#"{"default":{"aliases":[],"ipv4_address":null,"priority":0}}"#),
    ("network_mode: none", "network_mode", r#""none""#),
    ("network_mode: host", "networks", "{}"),
    ("depends_on: [db]", "depends_on", r#"{"db":{"condition":"service_started","restart":false,"required":true}}"#),
    (
        "depends_on: {db: {condition: service_healthy, restart: true}, job: {condition: service_completed_successfully, required: false}}",
        "depends_on",
        r#"{"db":{"condition":"service_healthy","restart":true,"required":true},"job":{"condition":"service_completed_successfully","restart":false,"required":false}}"#,
    ),
    (
        "healthcheck: {test: curl x, interval: 1m30s, timeout: 500ms, retries: 3, start_period: 1d, start_interval: 1s}",
        "healthcheck",
        r#"{"test":{"shell":"curl x"},"interval":{"secs":90,"nanos":0},"timeout":{"secs":0,"nanos":500000000},"retries":3,"start_period":{"secs":86400,"nanos":0},"start_interval":{"secs":1,"nanos":0}}"#,
    ),
    ("healthcheck: {test: [CMD, a, b]}", "healthcheck/test", r#"{"cmd":["a","b"]}"#),
    ("healthcheck: {test: [CMD-SHELL, a b]}", "healthcheck/test", r#"{"shell":"a b"}"#),
    ("healthcheck: {test: [CMD-SHELL, 'a $$1', b]}", "healthcheck/test", r#"{"cmd":["/bin/sh","-c","a $1","b"]}"#),
    ("healthcheck: {test: [NONE]}", "healthcheck/test", r#""none""#),
    ("healthcheck: {disable: true}", "healthcheck/test", r#""none""#),
    ("healthcheck: {interval: 5s}", "healthcheck/test", "null"),
    ("restart: unless-stopped", "restart", r#""unless_stopped""#),
    ("restart: no", "restart", r#""no""#),
    ("restart: on-failure:3", "restart", r#"{"on_failure":{"max_retries":3}}"#),
    (
        "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
        "restart",
        r#"{"on_failure":{"max_retries":2}}"#,
    ),
    ("{restart: always, deploy: {restart_policy: {condition: none}}}", "restart", r#""no""#),
    ("user: '1000:1000'", "user", r#""1000:1000""#),
    ("group_add: [adm, 5]", "group_add", r#"["adm","5"]"#),
    ("working_dir: /app/", "working_dir", r#""/app""#),
    ("hostname: h", "hostname", r#""h""#),
    ("domainname: example.com", "domainname", r#""example.com""#),
    ("container_name: the-one", "container_name", r#""the-one""#),
    ("labels: {a: 1, b: , c: true}", "labels", r#"{"a":"1","b":"","c":"true"}"#),
    ("labels: [a=b=c, d]", "labels", r#"{"a":"b=c","d":""}"#),
    ("stop_signal: SIGINT", "stop_signal", r#""SIGINT""#),
    ("stop_signal: '15'", "stop_signal", r#""15""#),
    ("stop_grace_period: 1.5s", "stop_grace_period", r#"{"secs":1,"nanos":500000000}"#),
    ("init: yes", "init", "true"),
    ("tty: 'on'", "tty", "true"),
    ("stdin_open: y", "stdin_open", "true"),
    ("read_only: TRUE", "read_only", "true"),
    ("privileged: 'false'", "privileged", "false"),
    ("attach: no", "attach", "false"),
    ("tty: true", "attach", "true"),
    ("cap_add: [net_admin, CAP_SYS_TIME, NET_ADMIN]", "cap_add", r#"["NET_ADMIN","SYS_TIME"]"#),
    ("cap_drop: [all]", "cap_drop", r#"["ALL"]"#),
    ("security_opt: ['no-new-privileges:true']", "no_new_privileges", "true"),
    ("security_opt: [no-new-privileges]", "no_new_privileges", "true"),
    ("security_opt: ['no-new-privileges=false']", "no_new_privileges", "false"),
    ("security_opt: [seccomp=unconfined]", "seccomp_unconfined", "true"),
    ("mem_limit: 64m", "resources/memory", "67108864"),
    ("mem_limit: 1048576", "resources/memory", "1048576"),
    ("mem_limit: 0", "resources/memory", "null"),
    ("deploy: {resources: {limits: {memory: 64M, cpus: '0.5', pids: 20}}}", "resources/memory", "67108864"),
    ("deploy: {resources: {limits: {memory: 64M, cpus: '0.5', pids: 20}}}", "resources/cpus", "0.5"),
    ("deploy: {resources: {limits: {memory: 64M, cpus: '0.5', pids: 20}}}", "resources/pids", "20"),
    ("{mem_limit: 64m, deploy: {resources: {limits: {memory: 64m}}}}", "resources/memory", "67108864"),
    ("deploy: {resources: {reservations: {memory: 1g}}}", "resources/memory_reservation", "1073741824"),
    ("mem_reservation: 1g", "resources/memory_reservation", "1073741824"),
    ("{mem_limit: 1g, memswap_limit: 2g}", "resources/memory_swap", "2147483648"),
    ("memswap_limit: -1", "resources/memory_swap", "-1"),
    ("cpus: 0.50", "resources/cpus", "0.5"),
    ("cpus: '1.5'", "resources/cpus", "1.5"),
    ("cpus: 0", "resources/cpus", "null"),
    ("cpu_shares: 512", "resources/cpu_shares", "512"),
    ("cpuset: '0-3,5'", "resources/cpuset", r#""0-3,5""#),
    ("cpuset: '0'", "resources/cpuset", r#""0""#),
    ("pids_limit: 20", "resources/pids", "20"),
    ("pids_limit: -1", "resources/pids", "-1"),
    ("shm_size: 128mb", "resources/shm_size", "134217728"),
    ("oom_score_adj: -500", "resources/oom_score_adj", "-500"),
    (
        "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 5, memlock: -1}",
        "ulimits",
        r#"{"memlock":{"soft":-1,"hard":-1},"nofile":{"soft":1,"hard":2},"nproc":{"soft":5,"hard":5}}"#,
    ),
    ("sysctls: {net.core.somaxconn: 1024}", "sysctls", r#"{"net.core.somaxconn":"1024"}"#),
    ("sysctls: [net.core.somaxconn=1024]", "sysctls", r#"{"net.core.somaxconn":"1024"}"#),
    ("scale: 3", "scale", "3"),
    ("scale: 0", "scale", "0"),
    ("deploy: {replicas: 3}", "scale", "3"),
    ("tty: true", "scale", "1"),
    ("profiles: []", "profiles", "[]"),
    (
        "extra_hosts: ['a=1.2.3.4', 'b:::1', 'c=[::1]', 'a=5.6.7.8', 'd:host-gateway']",
        "extra_hosts",
        r#"{"a":["1.2.3.4","5.6.7.8"],"b":["::1"],"c":["::1"],"d":["host-gateway"]}"#,
    ),
    ("extra_hosts: {a: 1.2.3.4, b: ['::1', 1.1.1.1]}", "extra_hosts", r#"{"a":["1.2.3.4"],"b":["1.1.1.1","::1"]}"#),
    ("dns: 1.1.1.1", "dns", r#"["1.1.1.1"]"#),
    ("dns: [1.1.1.1, '::1', 1.1.1.1]", "dns", r#"["1.1.1.1","::1"]"#),
    ("dns_search: a.b", "dns_search", r#"["a.b"]"#),
    ("dns_opt: [use-vc]", "dns_opt", r#"["use-vc"]"#),
    (
        "logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}",
        "logging",
        r#"{"driver":"json-file","max_size":10000000,"max_file":3,"options":{"max-size":"10m","max-file":"3"}}"#,
    ),
    ("logging: {driver: none}", "logging/driver", r#""none""#),
    ("x-mine: {a: b}", "scale", "1"),
];

fn files(attribute: &str) -> Files {
    let entries = attribute.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(attribute);
    let image = if attribute.starts_with("image") { "" } else { "image: nginx, " };
    let value = if attribute.starts_with('{') || !attribute.contains("image") { entries } else { attribute };
    Files::new(&format!("services:\n  web: {{{image}{value}}}{REST}"))
        .file("token", "t")
        .file("one.env", "A=1\nB=one\n")
        .file("two.env", "B=two\nC=$A$B\n")
        .variable("HOME", "/home/me")
}

#[test]
fn every_form_of_every_attribute_means_what_the_model_says() {
    for (attribute, field, expected) in ROWS {
        let files = files(attribute);
        let loaded = load(&files.options).unwrap_or_else(|findings| panic!("{attribute}: {findings}"));
        let service = serde_json::to_value(&loaded.project.services["web"]).unwrap();
        let value = service.pointer(&format!("/{field}")).unwrap_or(&Value::Null).to_string();
        let parent = files.outer.path().to_string_lossy().into_owned();
        assert_eq!(value.replace(&parent, ""), *expected, "{attribute}");
    }
}

#[test]
fn the_canonical_form_is_the_same_project_when_loaded_again() {
    for (attribute, ..) in ROWS {
        let files = files(attribute);
        let first = files.document().to_yaml();
        let again = Files::new(&first).variable("HOME", "/nowhere");
        assert_eq!(again.document().to_yaml(), first, "{attribute}");
        assert_eq!(
            serde_json::to_value(&files.load().project.services["web"]).unwrap(),
            serde_json::to_value(&again.load().project.services["web"]).unwrap(),
            "{attribute}"
        );
    }
}
