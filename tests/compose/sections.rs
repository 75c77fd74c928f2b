//! Sections that hold what they cannot hold.

use crate::{refused, refused_service};
use insta::assert_snapshot;

#[test]
fn bad_mounts() {
    assert_snapshot!(refused_service("volumes:\n  - data\n  - ./a:b\n  - a:/b:c:d\n  - ./a:/a:roo\n  - ':/x'\n  - ./a:/\n  - {type: bind, target: /x}\n  - {type: volum, source: a, target: /y}\n  - {source: a}\n  - {type: bind, source: ./a, target: /z, volume: {nocopy: true}}"), @r#"
    error: `services.web.volumes[7].type` must be `bind`, `volume`, `tmpfs`, `cluster`, `npipe` or `image`, not "volum"
      --> compose.yaml:12:16
       |
    12 |       - {type: volum, source: a, target: /y}
       |                ^^^^^
       |
       = help: did you mean `volume`?

    error: `services.web.volumes[8]` lacks `type`
      --> compose.yaml:13:9
       |
    13 |       - {source: a}
       |         ^^^^^^^^^^^

    warning: `services.web.volumes[2]` has the path `a:/b` of the Windows drive `a:`
     --> compose.yaml:7:9
      |
    7 |       - a:/b:c:d
      |         ^^^^
      |
      = help: the name of a volume needs two characters or more here

    warning: `services.web.volumes[3]` has the unknown option `roo`, which is ignored
     --> compose.yaml:8:16
      |
    8 |       - ./a:/a:roo
      |                ^^^
      |
      = help: did you mean `ro`?

    error: `services.web.volumes[4]` is no mount: empty section between colons in ":/x"
     --> compose.yaml:9:10
      |
    9 |       - ':/x'
      |          ^
      |
      = help: write `SOURCE:TARGET:OPTIONS`

    error: `services.web.volumes[6]` has an invalid mount config for type "bind": field Source must not be empty
      --> compose.yaml:11:9
       |
    11 |       - {type: bind, target: /x}
       |         ^^^^^^^^^^^^^^^^^^^^^^^^

    error: `services.web.volumes[0].target` needs an absolute path in the container, not "data"
     --> compose.yaml:5:9
      |
    5 |       - data
      |         ^^^^

    error: `services.web.volumes[1].target` needs an absolute path in the container, not "b"
     --> compose.yaml:6:13
      |
    6 |       - ./a:b
      |             ^

    error: `services.web.volumes[2].target` needs an absolute path in the container, not "c:d"
     --> compose.yaml:7:14
      |
    7 |       - a:/b:c:d
      |              ^^^

    error: `services.web.volumes[5].target` cannot mount over the root of the container
      --> compose.yaml:10:13
       |
    10 |       - ./a:/
       |             ^

    warning: `services.web.volumes[9].volume` has no effect on a mount of the type `bind`
      --> compose.yaml:14:55
       |
    14 |       - {type: bind, source: ./a, target: /z, volume: {nocopy: true}}
       |                                                       ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn bad_tmpfs() {
    assert_snapshot!(refused_service("tmpfs:\n  - run\n  - /run:size=50%\n  - /tmp:mode=999,noexec,fast"), @r#"
    error: `services.web.tmpfs[0]` needs an absolute path in the container, not "run"
     --> compose.yaml:5:9
      |
    5 |       - run
      |         ^^^

    error: `services.web.tmpfs[1]` has the bad option `size=50%`
     --> compose.yaml:6:9
      |
    6 |       - /run:size=50%
      |         ^^^^^^^^^^^^^
      |
      = help: options are size=64m, mode=1777, uid=0, gid=0, and flags such as `noexec`

    error: `services.web.tmpfs[2]` has the bad option `mode=999`
     --> compose.yaml:7:9
      |
    7 |       - /tmp:mode=999,noexec,fast
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: options are size=64m, mode=1777, uid=0, gid=0, and flags such as `noexec`

    error: `services.web.tmpfs[2]` has the bad option `fast`
     --> compose.yaml:7:9
      |
    7 |       - /tmp:mode=999,noexec,fast
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: options are size=64m, mode=1777, uid=0, gid=0, and flags such as `noexec`
    "#);
}

#[test]
fn bad_dependencies() {
    assert_snapshot!(refused_service("depends_on:\n  db: {condition: healthy}\n  mq: {restart: true}\n  x: {condition: service_started, requird: false}"), @r#"
    error: `services.web.depends_on.db.condition` must be `service_started`, `service_healthy` or `service_completed_successfully`, not "healthy"
     --> compose.yaml:5:23
      |
    5 |       db: {condition: healthy}
      |                       ^^^^^^^
      |
      = help: did you mean `service_healthy`?

    error: `services.web.depends_on.mq` lacks `condition`
     --> compose.yaml:6:11
      |
    6 |       mq: {restart: true}
      |           ^^^^^^^^^^^^^^^

    error: unknown attribute `requird` in `services.web.depends_on.x`
     --> compose.yaml:7:39
      |
    7 |       x: {condition: service_started, requird: false}
      |                                       ^^^^^^^
      |
      = help: did you mean `required`?

    error: service "web" depends on undefined service "db"
     --> compose.yaml:5:7
      |
    5 |       db: {condition: healthy}
      |       ^^

    error: service "web" depends on undefined service "mq"
     --> compose.yaml:6:7
      |
    6 |       mq: {restart: true}
      |       ^^

    error: service "web" depends on undefined service "x"
     --> compose.yaml:7:7
      |
    7 |       x: {condition: service_started, requird: false}
      |       ^
    "#);
}

#[test]
fn bad_health_checks() {
    assert_snapshot!(refused_service("healthcheck: {test: [curl, x], retries: -1, intervall: 5s}"), @r#"
    error: unknown attribute `intervall` in `services.web.healthcheck`
     --> compose.yaml:4:49
      |
    4 |     healthcheck: {test: [curl, x], retries: -1, intervall: 5s}
      |                                                 ^^^^^^^^^
      |
      = help: did you mean `interval`?

    error: `services.web.healthcheck.retries` is -1, which is less than 0
     --> compose.yaml:4:45
      |
    4 |     healthcheck: {test: [curl, x], retries: -1, intervall: 5s}
      |                                             ^^

    error: healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"
     --> compose.yaml:4:26
      |
    4 |     healthcheck: {test: [curl, x], retries: -1, intervall: 5s}
      |                          ^^^^
      |
      = help: `[CMD, ...]` runs a program, `[CMD-SHELL, "..."]` or a string a shell
    "#);
}

#[test]
fn bad_restart_policies() {
    assert_snapshot!(refused("services:\n  a: {image: a, restart: allways}\n  b: {image: b, restart: false}\n  c: {image: c, restart: 'on-failure:x'}\n  d: {image: d, deploy: {restart_policy: {condition: sometimes}}}\n"), @r#"
    error: `services.b.restart` must be a string, not the boolean false
     --> compose.yaml:3:26
      |
    3 |   b: {image: b, restart: false}
      |                          ^^^^^
      |
      = help: quote it: "false"

    error: `services.a.restart` is no restart policy: "allways"
     --> compose.yaml:2:26
      |
    2 |   a: {image: a, restart: allways}
      |                          ^^^^^^^
      |
      = help: policies are `no`, `always`, `unless-stopped`, `on-failure` and `on-failure:3`

    error: `services.c.restart` is no restart policy: "on-failure:x"
     --> compose.yaml:4:26
      |
    4 |   c: {image: c, restart: 'on-failure:x'}
      |                          ^^^^^^^^^^^^^^
      |
      = help: policies are `no`, `always`, `unless-stopped`, `on-failure` and `on-failure:3`

    error: `services.d.deploy.restart_policy` has the condition "sometimes": it must be `none`, `on-failure` or `any`
     --> compose.yaml:5:42
      |
    5 |   d: {image: d, deploy: {restart_policy: {condition: sometimes}}}
      |                                          ^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn bad_names() {
    assert_snapshot!(refused_service("container_name: -x\nhostname: a b\nextra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']\ndns: [localhost]"), @r#"
    error: `services.web.container_name` is no container name: "-x"
     --> compose.yaml:4:21
      |
    4 |     container_name: -x
      |                     ^^
      |
      = help: names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`

    error: `services.web.extra_hosts[0]` is an invalid additional host, missing IP: "nothing"
     --> compose.yaml:6:19
      |
    6 |     extra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']
      |                   ^^^^^^^
      |
      = help: write `host=address`

    error: `services.web.hostname` is no host name: "a b"
     --> compose.yaml:5:15
      |
    5 |     hostname: a b
      |               ^^^
      |
      = help: at most 64 letters, digits, `-`, `_` and `.`, a letter or digit first

    error: `services.web.extra_hosts[0]` has a bad host name: "a b"
     --> compose.yaml:6:39
      |
    6 |     extra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']
      |                                       ^^^^^^^^^^^^^

    error: `services.web.extra_hosts[1]` needs an IP address or `host-gateway`, not "1.2.3"
     --> compose.yaml:6:28
      |
    6 |     extra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']
      |                            ^^^^^^^^^

    error: `services.web.dns[0]` must be an IP address, not "localhost"
     --> compose.yaml:7:11
      |
    7 |     dns: [localhost]
      |           ^^^^^^^^^
    "#);
}

#[test]
fn bad_security() {
    assert_snapshot!(refused_service("cap_add: [NET_ADMN]\ncap_drop: [all, x]\nsecurity_opt: ['no-new-privilege:true', 'apparmor=x', 'seccomp=./p.json']"), @r#"
    error: `services.web.cap_add[0]` is no capability: "NET_ADMN"
     --> compose.yaml:4:15
      |
    4 |     cap_add: [NET_ADMN]
      |               ^^^^^^^^
      |
      = help: did you mean `NET_ADMIN`?

    error: `services.web.cap_drop[1]` is no capability: "x"
     --> compose.yaml:5:21
      |
    5 |     cap_drop: [all, x]
      |                     ^
      |
      = help: see capabilities(7)

    error: `services.web.security_opt[0]` is no security option: "no-new-privilege:true"
     --> compose.yaml:6:20
      |
    6 |     security_opt: ['no-new-privilege:true', 'apparmor=x', 'seccomp=./p.json']
      |                    ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `no-new-privileges`?

    error: `services.web.security_opt[1]`: `apparmor=x` is not supported yet
     --> compose.yaml:6:45
      |
    6 |     security_opt: ['no-new-privilege:true', 'apparmor=x', 'seccomp=./p.json']
      |                                             ^^^^^^^^^^^^

    error: `services.web.security_opt[2]`: a seccomp profile of one's own is not supported yet
     --> compose.yaml:6:59
      |
    6 |     security_opt: ['no-new-privilege:true', 'apparmor=x', 'seccomp=./p.json']
      |                                                           ^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn bad_limits() {
    assert_snapshot!(refused_service("ulimits:\n  nofiles: 5\n  nproc: {soft: 5, hard: 3}\n  core: {soft: 1}\nsysctls: {'../x': 1, 'net.x': }\nstop_signal: SIGTERN"), @r#"
    error: `services.web.ulimits.core` lacks `hard`
     --> compose.yaml:7:13
      |
    7 |       core: {soft: 1}
      |             ^^^^^^^^^

    error: `services.web.ulimits.nofiles` is no limit that Linux has
     --> compose.yaml:5:7
      |
    5 |       nofiles: 5
      |       ^^^^^^^
      |
      = help: did you mean `nofile`?

    error: `services.web.ulimits.nproc` has a soft limit above the hard one
     --> compose.yaml:6:14
      |
    6 |       nproc: {soft: 5, hard: 3}
      |              ^^^^^^^^^^^^^^^^^^

    error: `services.web.sysctls` holds "../x", which is no name of a sysctl
     --> compose.yaml:8:14
      |
    8 |     sysctls: {'../x': 1, 'net.x': }
      |              ^^^^^^^^^^^^^^^^^^^^^^

    error: `services.web.stop_signal` is no signal: "SIGTERN"
     --> compose.yaml:9:18
      |
    9 |     stop_signal: SIGTERN
      |                  ^^^^^^^
      |
      = help: did you mean `SIGTERM`?
    "#);
}

#[test]
fn bad_logging() {
    assert_snapshot!(refused_service("logging:\n  driver: syslog\n  options: {max-size: big, max-file: 0, tag: x}"), @r#"
    error: `services.web.logging.driver`: the driver "syslog" is not supported yet
     --> compose.yaml:5:15
      |
    5 |       driver: syslog
      |               ^^^^^^

    error: `services.web.logging.options.max-size` must be a size such as `10m`, not "big"
     --> compose.yaml:6:27
      |
    6 |       options: {max-size: big, max-file: 0, tag: x}
      |                           ^^^

    error: `services.web.logging.options.max-file` must be a number of files, not "0"
     --> compose.yaml:6:42
      |
    6 |       options: {max-size: big, max-file: 0, tag: x}
      |                                          ^

    error: `services.web.logging.options.tag`: this option is not supported yet
     --> compose.yaml:6:50
      |
    6 |       options: {max-size: big, max-file: 0, tag: x}
      |                                                  ^
    "#);
}

#[test]
fn bad_environments() {
    assert_snapshot!(refused_service("environment:\n  - =x\n  - 'A =x'\nlabels: [[a]]\nenv_file: {path: x}"), @r#"
    error: `services.web.labels[0]` must be a string, not a list
     --> compose.yaml:7:14
      |
    7 |     labels: [[a]]
      |              ^^^

    error: `services.web.env_file` must be a string or a list, not a mapping
     --> compose.yaml:8:15
      |
    8 |     env_file: {path: x}
      |               ^^^^^^^^^

    error: `services.web.environment[0]` has a value and no name
     --> compose.yaml:5:9
      |
    5 |       - =x
      |         ^^

    error: `services.web.environment` has an environment variable "A " that is declared with a trailing space
     --> compose.yaml:6:10
      |
    6 |       - 'A =x'
      |          ^^

    error: env file /demo/x not found
     --> compose.yaml:8:16
      |
    8 |     env_file: {path: x}
      |                ^^^^
    "#);
}

#[test]
fn bad_networks() {
    assert_snapshot!(refused("services:\n  web: {image: w, networks: [a, b, c, d, e]}\nnetworks:\n  a: {driver: overlay, enable_ipv6: true}\n  b: {ipam: {config: [{subnet: 10.0.0.1/24}]}}\n  c: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.1.1}]}}\n  d: {external: true, internal: true}\n  e: {name: 'a b', intrenal: true}\n"), @r#"
    error: unknown attribute `intrenal` in `networks.e`
     --> compose.yaml:8:20
      |
    8 |   e: {name: 'a b', intrenal: true}
      |                    ^^^^^^^^
      |
      = help: did you mean `internal`?

    error: `networks.a.driver`: the driver "overlay" is not supported yet
     --> compose.yaml:4:15
      |
    4 |   a: {driver: overlay, enable_ipv6: true}
      |               ^^^^^^^

    error: `networks.a.enable_ipv6`: IPv6 is not supported yet
     --> compose.yaml:4:37
      |
    4 |   a: {driver: overlay, enable_ipv6: true}
      |                                     ^^^^

    error: `networks.b.ipam.config[0].subnet` has host bits: "10.0.0.1/24" is an address in 10.0.0.0/24
     --> compose.yaml:5:32
      |
    5 |   b: {ipam: {config: [{subnet: 10.0.0.1/24}]}}
      |                                ^^^^^^^^^^^

    error: `networks.c.ipam.config[0]` has a gateway outside of 10.0.0.0/24
     --> compose.yaml:6:23
      |
    6 |   c: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.1.1}]}}
      |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `networks.e.name` is no name: "a b"
     --> compose.yaml:8:13
      |
    8 |   e: {name: 'a b', intrenal: true}
      |             ^^^^^
      |
      = help: names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`
    "#);
}

#[test]
fn bad_volumes_secrets_and_configs() {
    assert_snapshot!(refused("services:\n  web: {image: w, secrets: [{target: x}, s, t], configs: [{source: c, mode: 9}, d], volumes: ['aa:/a', 'bb:/b']}\nvolumes:\n  aa: {driver: nfs}\n  bb: {driver_opts: {o: bind}}\nsecrets:\n  s: {environment: S}\n  t: {}\nconfigs:\n  c: {content: x}\n  d: {external: true}\n"), @r#"
    error: `secrets.t` has no source: one of file|environment must be set
     --> compose.yaml:8:3
      |
    8 |   t: {}
      |   ^

    error: `volumes.aa.driver`: the driver "nfs" is not supported yet
     --> compose.yaml:4:16
      |
    4 |   aa: {driver: nfs}
      |                ^^^

    error: `volumes.bb.driver_opts` is not supported yet
     --> compose.yaml:5:8
      |
    5 |   bb: {driver_opts: {o: bind}}
      |        ^^^^^^^^^^^

    error: `configs.c.content`: a source other than `file` is not supported yet
      --> compose.yaml:10:16
       |
    10 |   c: {content: x}
       |                ^

    error: `configs.d.external`: a source other than `file` is not supported yet
      --> compose.yaml:11:17
       |
    11 |   d: {external: true}
       |                 ^^^^

    error: `secrets.s.environment`: a source other than `file` is not supported yet
     --> compose.yaml:7:20
      |
    7 |   s: {environment: S}
      |                    ^
    "#);
}
