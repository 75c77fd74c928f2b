//! Projects made up at random, the same for the same seed: mostly valid, in every spelling the format has.
//!
//! A project is a list of entries, so that what is not needed to show a disagreement can be taken out one by one.

use super::case::Case;
use std::fmt::Write as _;

/// Small and the same everywhere (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// Attributes of a service with values in each of their forms.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("annotations", &["{a: b, n: 1}", "[a=c, d=e]", "[n=2]"]),
    ("attach", &["true", "false"]),
    (
        "blkio_config",
        &[
            "{weight: 300}",
            "{device_read_bps: [{path: /dev/a, rate: 12mb}], weight_device: [{path: /dev/b, weight: 20}]}",
        ],
    ),
    (
        "build",
        &[
            ".",
            "./ctx",
            "{context: ./ctx, target: '${TARGET}'}",
            "{context: ., args: {A: 1, B: , C: '${WORD}'}}",
            "{context: sub, args: [A=2, 'D=${WORD-}'], labels: [l=m], tags: ['t:1']}",
            "{dockerfile: D, cache_from: [x], platforms: [linux/amd64], extra_hosts: ['h:1.1.1.1']}",
            "{context: ., additional_contexts: {x: ./x, y: 'docker-image://alpine'}, ulimits: {nofile: 3}, shm_size: 1m}",
        ],
    ),
    ("cap_add", &["[NET_ADMIN]", "[SYS_TIME, NET_ADMIN]", "[ALL]"]),
    ("cap_drop", &["[ALL]", "[NET_RAW, MKNOD]"]),
    ("cgroup", &["host", "private"]),
    ("cgroup_parent", &["/x", "'${WORD}.slice'"]),
    (
        "command",
        &[
            "run it",
            "[run, \"it\", '${WORD}']",
            "sh -c 'echo $$A \"b c\"'",
            "[]",
            "''",
            "null",
            "\"a ${WORD} \\\"q\\\"\"",
        ],
    ),
    ("entrypoint", &["/entry x", "[/entry, x]", "[]", "''", "null"]),
    ("cpu_count", &["2"]),
    ("cpu_percent", &["50"]),
    ("cpu_shares", &["512", "'${NUM}'"]),
    ("cpu_quota", &["50000", "'20000'"]),
    ("cpu_period", &["100000"]),
    ("cpus", &["0.5", "'1.5'", "2", "'${FLOAT}'"]),
    ("cpuset", &["0-3", "'0,1'"]),
    ("device_cgroup_rules", &["['c 1:3 mr']", "['a 7:* rmw']"]),
    ("devices", &["['/dev/a:/dev/b']", "[/dev/c]", "['/dev/a:/dev/b:r', '/dev/e:/dev/f:rw']"]),
    ("dns", &["8.8.8.8", "[8.8.8.8, 1.1.1.1]", "['${IP}']"]),
    ("dns_opt", &["[use-vc]", "['timeout:3', use-vc]"]),
    ("dns_search", &["a.example", "[a.example, b.example]"]),
    ("domainname", &["d.example"]),
    (
        "env_file",
        &["a.env", "[a.env, b.env]", "[{path: b.env, required: false}, a.env]", "[{path: none.env, required: false}]"],
    ),
    (
        "environment",
        &[
            "{A: 1, B: two, C: , D: true, E: 1.50}",
            "[A=2, 'F=x y', WORD, 'G=a=b', H=]",
            "{A: '${WORD}', 'x.y': \"$$Z\", NUM: , N: null}",
            "['A=${NUM:-9}', 'I=${UNSET-}', J]",
            "{}",
        ],
    ),
    ("expose", &["[80, '81']", "['8000-8002', '53/udp']", "['${PORT}']"]),
    ("external_links", &["[x]", "['y:z']"]),
    ("extra_hosts", &["['h1:10.0.0.1', 'h2=10.0.0.2']", "{h1: 10.0.0.3, h3: host-gateway}", "['h4:[::1]']"]),
    ("group_add", &["[mail]", "['1000', 12]"]),
    (
        "healthcheck",
        &[
            "{test: curl x}",
            "{test: [CMD, a, '${WORD}'], interval: 1m30s, retries: 3}",
            "{test: [CMD-SHELL, 'x $$Y'], timeout: 1.5s, start_period: 10s, start_interval: 500ms}",
            "{disable: true}",
            "{test: [NONE]}",
            "{interval: '${DURATION}', retries: '${NUM}'}",
        ],
    ),
    ("hostname", &["h", "'${WORD}'"]),
    (
        "image",
        &[
            "nginx",
            "'repo/x:${WORD}'",
            "\"${UNSET:-alpine}:3\"",
            "registry:5000/a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ],
    ),
    ("init", &["true", "false", "'${BOOL}'", "yes"]),
    ("ipc", &["host", "shareable", "private"]),
    ("labels", &["{a: b, n: 1, t: true}", "[a=c, 'k=v w', flag]", "['x.y=${WORD}', n=2]", "{e: , f: \"$$g\"}"]),
    (
        "logging",
        &[
            "{driver: json-file, options: {max-size: 10m}}",
            "{driver: syslog}",
            "{options: {max-file: '3', max-size: 5m}}",
        ],
    ),
    ("mac_address", &["'02:42:ac:11:65:43'"]),
    ("mem_limit", &["64m", "'${SIZE}'", "1073741824", "1.5g"]),
    ("mem_reservation", &["32m", "1gb"]),
    ("mem_swappiness", &["60"]),
    ("memswap_limit", &["128m", "-1"]),
    ("oom_kill_disable", &["true"]),
    ("oom_score_adj", &["-500", "'${NUM}'"]),
    ("pid", &["host"]),
    ("pids_limit", &["100", "-1"]),
    ("platform", &["linux/amd64"]),
    (
        "ports",
        &[
            "['80:80']",
            "[3000, '3001', '8080:80/udp']",
            "['127.0.0.1:${PORT}:80', '9000-9001:9000-9001']",
            "[{target: 80, published: '8080', protocol: tcp, mode: host}, '443:443']",
            "[{target: 81, host_ip: 127.0.0.1, published: 81}, '[::1]:82:82']",
            "['${PORT}:${PORT}', '8000-8010:80']",
            "[]",
        ],
    ),
    ("privileged", &["true", "'${BOOL}'"]),
    ("pull_policy", &["always", "missing", "if_not_present", "never"]),
    ("read_only", &["true", "'no'"]),
    ("restart", &["always", "'no'", "on-failure:3", "unless-stopped"]),
    ("runtime", &["runc"]),
    ("security_opt", &["['no-new-privileges:true']", "[seccomp=unconfined]"]),
    ("shm_size", &["64m", "'${SIZE}'"]),
    ("stdin_open", &["true"]),
    ("stop_grace_period", &["10s", "1m30s", "'${DURATION}'", "2h"]),
    ("stop_signal", &["SIGINT", "SIGUSR1"]),
    ("storage_opt", &["{size: 1g}"]),
    ("sysctls", &["{net.core.somaxconn: 1024}", "[net.core.somaxconn=2048, a.b=1]"]),
    ("tmpfs", &["/run", "[/run, '/tmp:size=64m']"]),
    ("tty", &["true", "'${BOOL}'"]),
    ("ulimits", &["{nproc: 65535}", "{nofile: {soft: 1, hard: 2}, nproc: 5}", "{nofile: '${NUM}', core: -1}"]),
    ("user", &["'1000:1000'", "root"]),
    ("userns_mode", &["host"]),
    ("uts", &["host"]),
    ("working_dir", &["/w", "'/${WORD}'"]),
    ("x-note", &["text", "{a: [1, '${WORD}']}", "null"]),
    (
        "deploy",
        &[
            "{labels: {a: b}, mode: replicated}",
            "{labels: [a=c], endpoint_mode: vip, update_config: {parallelism: 2, delay: 10s, order: start-first}}",
            "{resources: {reservations: {devices: [{capabilities: [gpu], count: all}]}}}",
            "{restart_policy: {condition: on-failure, max_attempts: 3, delay: 5s}}",
            "{placement: {constraints: [a==b], preferences: [{spread: x}]}}",
            "{replicas: 2}",
            "{replicas: '${NUM}', rollback_config: {failure_action: pause, monitor: 1m}}",
        ],
    ),
    (
        "develop",
        &[
            "{watch: [{path: ./src, action: rebuild}]}",
            "{watch: [{path: lib, action: sync, target: /lib, ignore: ['*.o']}]}",
        ],
    ),
];

/// Attributes that name other parts of the project: `%s` is a service that comes later, `%n` a network, `%v` a volume.
const REFERENCES: &[(&str, &[&str])] = &[
    (
        "depends_on",
        &[
            "[%s]",
            "{%s: {condition: service_healthy}}",
            "{%s: {condition: service_started, required: false, restart: true}}",
        ],
    ),
    ("links", &["[%s]", "['%s:alias']"]),
    ("volumes_from", &["[%s]", "['%s:ro', 'container:x']"]),
    (
        "networks",
        &[
            "[%n]",
            "{%n: }",
            "{%n: {aliases: [x, y], priority: 5}}",
            "{%n: {ipv4_address: 172.16.0.9}, default: }",
            "[default, %n]",
        ],
    ),
    (
        "volumes",
        &[
            "['%v:/data']",
            "['%v:/data:ro', ./src:/src, /anon]",
            "[{type: volume, source: %v, target: /data, volume: {nocopy: true}}]",
            "['../up:/up', '~/home:/home:ro,z', '${SRC}:/srcs']",
            "[{type: bind, source: ./src, target: /src, bind: {propagation: rslave}}, {type: tmpfs, target: /t, tmpfs: {size: 1m}}]",
        ],
    ),
    (
        "secrets",
        &["[sec1]", "[{source: sec2, target: t, uid: '1', mode: 0440}]", "[sec1, {source: sec1, target: other}]"],
    ),
    (
        "configs",
        &["[conf1]", "[{source: conf2, target: /etc/c, mode: 0400}]", "[{source: conf1, target: /x, gid: '5'}, conf2]"],
    ),
    ("profiles", &["[p1]", "[p1, p2]", "[]"]),
    ("network_mode", &["host", "none", "'service:%s'"]),
    ("pid", &["'service:%s'"]),
    ("ipc", &["'service:%s'"]),
];

/// What the values above need, under sections of the project.
const RESOURCES: &[(&str, &str, &[&str])] = &[
    (
        "networks",
        "net1",
        &[
            "",
            "{internal: true}",
            "{driver: bridge, labels: {a: b}}",
            "{name: '${WORD}-net', driver_opts: {mtu: 1400}}",
        ],
    ),
    (
        "networks",
        "net2",
        &[
            "{ipam: {config: [{subnet: 172.16.0.0/24}]}}",
            "{external: true}",
            "{ipam: {config: [{subnet: 172.16.0.0/24, gateway: 172.16.0.1}]}, labels: [c=d]}",
        ],
    ),
    (
        "volumes",
        "vol1",
        &["", "{}", "{driver_opts: {x: '1'}}", "{driver: local, driver_opts: {type: none, o: bind, device: ./dev}}"],
    ),
    ("volumes", "vol2", &["{name: '${WORD}-vol'}", "{external: true, name: ext}", "{labels: {a: 1}}"]),
    ("secrets", "sec1", &["{file: ./sec}", "{environment: WORD}"]),
    ("secrets", "sec2", &["{file: /abs/sec, name: n}", "{external: true}"]),
    ("configs", "conf1", &["{file: ./conf}", "{content: \"x=${WORD}\\n\"}"]),
    ("configs", "conf2", &["{environment: WORD}", "{file: sub/conf, labels: {a: b}}"]),
];

const VARIABLES: &str = "WORD=word\nNUM=3\nFLOAT=0.25\nBOOL=true\nSIZE=64m\nDURATION=1m5s\nPORT=8088\nIP=10.1.2.3\nSRC=./srcs\nTARGET=prod\n";

#[derive(Clone, Debug)]
pub struct Entry {
    file: usize,
    section: &'static str,
    /// Of a service or resource; of an `x-` section, none.
    name: String,
    /// Of a service's attribute.
    key: &'static str,
    value: String,
}

#[derive(Clone, Debug)]
pub struct Generated {
    seed: u64,
    pub entries: Vec<Entry>,
    files: Vec<&'static str>,
    flags: Vec<&'static str>,
}

const COMMON: &str = "x-common: &common";

pub fn project(seed: u64) -> Generated {
    let mut random = Random::new(seed);
    let mut made = Generated { seed, entries: Vec::new(), files: vec!["compose.yaml"], flags: Vec::new() };
    let overlays = random.of(&[0, 0, 1, 1, 2]);
    made.files.extend(["over.yaml", "last.yaml"].iter().take(overlays));
    let services: Vec<String> = (0..1 + random.below(4)).map(|number| format!("s{number}")).collect();
    if random.one_in(3) {
        for _ in 0..1 + random.below(3) {
            let (key, values) = random.of(ATTRIBUTES);
            // An empty list of an extension becomes null in 2.26.1 where files are merged.
            let values: Vec<&str> = values.iter().copied().filter(|value| *value != "[]").collect();
            made.add(0, COMMON, "", key, random.of(&values));
        }
    }
    for (number, name) in services.iter().enumerate() {
        made.service(&mut random, 0, name, &services[number + 1..], 1 + number % 2, 6);
    }
    for overlay in 1..=overlays {
        for (number, name) in services.iter().enumerate() {
            if random.one_in(2) {
                made.service(&mut random, overlay, name, &services[number + 1..], 0, 5);
            }
        }
    }
    if random.one_in(4) {
        made.base(&mut random, &services[0]);
    }
    if random.one_in(5) {
        made.included(&mut random);
    }
    for file in 0..=overlays {
        for (section, name, values) in RESOURCES {
            // Those that any two values of can be merged.
            if file == 0 || (matches!(*name, "net1" | "vol1") && random.one_in(4)) {
                made.add(file, section, name, "", random.of(values));
            }
        }
    }
    if random.one_in(3) {
        made.flags.push(random.of(&["--profile p1", "--profile p1 --profile p2", "--profile '*'"]));
    }
    made
}

impl Generated {
    fn add(&mut self, file: usize, section: &'static str, name: &str, key: &'static str, value: &str) {
        let same =
            |entry: &Entry| entry.file == file && entry.section == section && entry.name == name && entry.key == key;
        if !self.entries.iter().any(same) {
            self.entries.push(Entry { file, section, name: name.to_owned(), key, value: value.to_owned() });
        }
    }

    fn service(&mut self, random: &mut Random, file: usize, name: &str, later: &[String], image: usize, most: usize) {
        if image > 0 {
            self.add(file, "services", name, "image", "img");
        }
        if file == 0 && self.entries.iter().any(|entry| entry.section == COMMON) && random.one_in(2) {
            self.add(file, "services", name, "<<", "*common");
        }
        if let Some(other) = later.first()
            && file == 0
            && random.one_in(5)
        {
            self.add(file, "services", name, "extends", &format!("{{service: {other}}}"));
        }
        for _ in 0..1 + random.below(most) {
            let (key, values) = if random.one_in(3) { random.of(REFERENCES) } else { random.of(ATTRIBUTES) };
            let value = random.of(values);
            if value.contains("%s") && later.is_empty() {
                continue;
            }
            let value = value
                .replace("%s", later.get(random.below(later.len())).map_or("", String::as_str))
                .replace("%n", random.of(&["net1", "net2"]))
                .replace("%v", random.of(&["vol1", "vol2"]));
            let tag = match file {
                0 => "",
                _ if random.one_in(12) => "!reset ",
                // What is no text becomes text in 2.26.1.
                _ if random.one_in(12) && !matches!(value.as_str(), "null" | "-1") => "!override ",
                _ => "",
            };
            self.add(file, "services", name, key, &format!("{tag}{value}"));
        }
    }

    /// A service of another directory that `name` extends.
    fn base(&mut self, random: &mut Random, name: &str) {
        let file = self.files.len();
        self.files.push("sub/base.yaml");
        self.entries.retain(|entry| entry.key != "extends" || entry.name != name);
        self.add(0, "services", name, "extends", "{file: sub/base.yaml, service: base}");
        for _ in 0..1 + random.below(4) {
            let (key, values) = random.of(ATTRIBUTES);
            // Its env files would have to be there as well.
            if key != "env_file" {
                self.add(file, "services", "base", key, random.of(values));
            }
        }
        if random.one_in(2) {
            self.add(
                file,
                "services",
                "base",
                "volumes",
                random.of(&["['./in:/in', '../out:/out']", "[{type: bind, source: in, target: /in}]"]),
            );
        }
        self.add(file, "services", "base", "image", "base");
    }

    fn included(&mut self, random: &mut Random) {
        let file = self.files.len();
        self.files.push("inc/inc.yaml");
        self.add(
            0,
            "include",
            "",
            "",
            random.of(&["[inc/inc.yaml]", "[{path: inc/inc.yaml}]", "[{path: inc/inc.yaml, project_directory: .}]"]),
        );
        for _ in 0..1 + random.below(4) {
            let (key, values) = random.of(ATTRIBUTES);
            if key != "env_file" {
                self.add(file, "services", "inc", key, random.of(values));
            }
        }
        self.add(file, "services", "inc", "image", "inc");
        self.add(file, "services", "inc", "volumes", random.of(&["[./v:/v]", "[incvol:/data]"]));
        self.add(file, "volumes", "incvol", "", random.of(&["", "{labels: {a: b}}"]));
    }

    fn yaml(&self, file: usize) -> String {
        let mut out = String::new();
        let mut sections: Vec<&str> = Vec::new();
        // The anchor stands before what refers to it.
        let of_file = || self.entries.iter().filter(|entry| entry.file == file);
        for entry in of_file() {
            if !sections.contains(&entry.section) {
                sections.push(entry.section);
            }
        }
        for section in sections {
            if section == "include" {
                for entry in of_file().filter(|entry| entry.section == section) {
                    let _ = writeln!(out, "include: {}", entry.value);
                }
                continue;
            }
            let _ = writeln!(out, "{}", section.to_owned() + if section == COMMON { "" } else { ":" });
            let mut names: Vec<&str> = Vec::new();
            for entry in of_file().filter(|entry| entry.section == section) {
                if !names.contains(&entry.name.as_str()) {
                    names.push(&entry.name);
                }
            }
            for name in names {
                let entries = of_file().filter(|entry| entry.section == section && entry.name == name);
                if section == "services" {
                    let _ = writeln!(out, "  {name}:");
                }
                for entry in entries {
                    let _ = match (section, entry.key) {
                        ("services", key) => writeln!(out, "    {key}: {}", entry.value),
                        (COMMON, key) => writeln!(out, "  {key}: {}", entry.value),
                        _ => writeln!(out, "  {name}: {}", entry.value),
                    };
                }
            }
        }
        out
    }

    /// With the files that the values refer to.
    pub fn case(&self) -> Case {
        let mut case = Case { title: format!("seed {}", self.seed), ..Case::default() };
        let mut call = String::from("WORD=word muster");
        for (index, name) in self.files.iter().enumerate() {
            let text = self.yaml(index);
            let overlay = matches!(*name, "over.yaml" | "last.yaml");
            if overlay && !text.is_empty() && !call.contains("-f compose.yaml") {
                call += " -f compose.yaml";
            }
            if overlay && !text.is_empty() {
                call += &format!(" -f {name}");
            }
            if index == 0 || !text.is_empty() {
                case.files.push(((*name).to_owned(), text));
            }
        }
        for flag in &self.flags {
            call += &format!(" {flag}");
        }
        case.command = Some(call + " config");
        let all: String = case.files.iter().map(|(_, text)| text.as_str()).collect();
        let variables: String =
            VARIABLES.split_inclusive('\n').filter(|line| all.contains(line.split('=').next().unwrap())).collect();
        if !variables.is_empty() {
            case.files.push((".env".into(), variables));
        }
        for (name, text) in [("a.env", "A=a\nONLY_A=\"x y\" # c\nWORD\n"), ("b.env", "A=b\nB='$A'\nC=${A}-${NUM:-0}\n")]
        {
            if all.contains(name) {
                case.files.push((name.into(), text.into()));
            }
        }
        case
    }

    /// The same without what `fails` does not need.
    pub fn shrink(mut self, fails: impl Fn(&Case) -> bool) -> Self {
        let mut size = self.entries.len() / 2;
        while size > 0 {
            let mut start = 0;
            while start < self.entries.len() {
                let mut smaller = self.clone();
                smaller.entries.drain(start..(start + size).min(self.entries.len()));
                match fails(&smaller.case()) {
                    true => self = smaller,
                    false => start += size,
                }
            }
            size /= 2;
        }
        let mut bare = self.clone();
        bare.flags.clear();
        if fails(&bare.case()) { bare } else { self }
    }
}
