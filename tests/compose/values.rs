//! Attributes with values they cannot have.

use crate::{refused, refused_service};
use insta::assert_snapshot;

#[test]
fn unknown_attributes_with_a_guess() {
    assert_snapshot!(refused_service("enviroment: {A: b}\nport: ['80:80']\nfrobnicate: 1\nx-mine: fine"), @r"
    error: unknown attribute `enviroment` in `services.web`
     --> compose.yaml:4:5
      |
    4 |     enviroment: {A: b}
      |     ^^^^^^^^^^
      |
      = help: did you mean `environment`?

    error: unknown attribute `port` in `services.web`
     --> compose.yaml:5:5
      |
    5 |     port: ['80:80']
      |     ^^^^
      |
      = help: did you mean `ports`?

    error: unknown attribute `frobnicate` in `services.web`
     --> compose.yaml:6:5
      |
    6 |     frobnicate: 1
      |     ^^^^^^^^^^
    ");
}

#[test]
fn attributes_that_are_not_done_yet() {
    assert_snapshot!(refused_service("build: .\ndevices: [/dev/null]\nextends: {service: x}\nlinks: [db]"), @r"
    error: `services.web.build` is not supported yet
     --> compose.yaml:4:5
      |
    4 |     build: .
      |     ^^^^^

    error: `services.web.devices` is not supported yet
     --> compose.yaml:5:5
      |
    5 |     devices: [/dev/null]
      |     ^^^^^^^

    error: `services.web.extends` is not supported yet
     --> compose.yaml:6:5
      |
    6 |     extends: {service: x}
      |     ^^^^^^^

    error: `services.web.links` is not supported yet
     --> compose.yaml:7:5
      |
    7 |     links: [db]
      |     ^^^^^
    ");
}

#[test]
fn nested_attributes_that_are_not_done_yet() {
    assert_snapshot!(refused_service("deploy:\n  mode: global\n  placement: {}\nnetworks:\n  default: {ipv6_address: '::1'}"), @r"
    error: `services.web.deploy.mode` is not supported yet
     --> compose.yaml:5:7
      |
    5 |       mode: global
      |       ^^^^

    error: `services.web.deploy.placement` is not supported yet
     --> compose.yaml:6:7
      |
    6 |       placement: {}
      |       ^^^^^^^^^

    error: `services.web.networks.default.ipv6_address` is not supported yet
     --> compose.yaml:8:17
      |
    8 |       default: {ipv6_address: '::1'}
      |                 ^^^^^^^^^^^^
    ");
}

#[test]
fn wrong_kinds() {
    assert_snapshot!(refused_service("ports: '80:80'\nenvironment: A=b\ninit: {}\ncommand: {a: b}\nhealthcheck: [CMD, x]\ndepends_on: db"), @r#"
    error: `services.web.ports` must be a list, not the string "80:80"
     --> compose.yaml:4:12
      |
    4 |     ports: '80:80'
      |            ^^^^^^^
      |
      = help: an item of a list starts with `- `

    error: `services.web.environment` must be a list or a mapping, not "A=b"
     --> compose.yaml:5:18
      |
    5 |     environment: A=b
      |                  ^^^

    error: `services.web.init` must be true or false, not a mapping
     --> compose.yaml:6:11
      |
    6 |     init: {}
      |           ^^

    error: `services.web.command` must be a string or a list, not a mapping
     --> compose.yaml:7:14
      |
    7 |     command: {a: b}
      |              ^^^^^^

    error: `services.web.healthcheck` must be a mapping, not a list
     --> compose.yaml:8:18
      |
    8 |     healthcheck: [CMD, x]
      |                  ^^^^^^^^

    error: `services.web.depends_on` must be a list or a mapping, not "db"
     --> compose.yaml:9:17
      |
    9 |     depends_on: db
      |                 ^^
    "#);
}

#[test]
fn nothing_where_something_is_needed() {
    assert_snapshot!(refused_service("ports:\nenvironment:\nrestart:"), @r"
    error: `services.web.ports` must be a list, not nothing
     --> compose.yaml:4:10
      |
    4 |     ports:
      |          ^
      |
      = help: an item of a list starts with `- `

    error: `services.web.environment` must be a list or a mapping, not nothing
     --> compose.yaml:5:16
      |
    5 |     environment:
      |                ^

    error: `services.web.restart` must be a string, not nothing
     --> compose.yaml:6:12
      |
    6 |     restart:
      |            ^
    ");
}

#[test]
fn numbers_where_strings_are_needed() {
    assert_snapshot!(refused("services:\n  web:\n    image: 12\n    hostname: 1.5\n    user: 1000\n    container_name: true\n"), @r#"
    error: `services.web.image` must be a string, not the number 12
     --> compose.yaml:3:12
      |
    3 |     image: 12
      |            ^^
      |
      = help: quote it: "12"

    error: `services.web.hostname` must be a string, not the number 1.5
     --> compose.yaml:4:15
      |
    4 |     hostname: 1.5
      |               ^^^
      |
      = help: quote it: "1.5"

    error: `services.web.user` must be a string, not the number 1000
     --> compose.yaml:5:11
      |
    5 |     user: 1000
      |           ^^^^
      |
      = help: quote it: "1000"

    error: `services.web.container_name` must be a string, not the boolean true
     --> compose.yaml:6:21
      |
    6 |     container_name: true
      |                     ^^^^
      |
      = help: quote it: "true"
    "#);
}

#[test]
fn bad_ports() {
    assert_snapshot!(refused_service("ports:\n  - 70000:80\n  - http\n  - 80:80/sctp\n  - 1-3:1-2\n  - 1.2.3:80:80\n  - 0\n  - {published: 80}\n  - {target: 80, protocol: icmp}"), @r#"
    error: `services.web.ports[0]` is no port: a number above 65535 in "70000:80"
     --> compose.yaml:5:9
      |
    5 |       - 70000:80
      |         ^^^^^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[1]` is no port: something that is no number in "http"
     --> compose.yaml:6:9
      |
    6 |       - http
      |         ^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[2]`: SCTP is not supported yet
     --> compose.yaml:7:9
      |
    7 |       - 80:80/sctp
      |         ^^^^^^^^^^

    error: `services.web.ports[3]` is no port: ranges of different length in "1-3:1-2"
     --> compose.yaml:8:9
      |
    8 |       - 1-3:1-2
      |         ^^^^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[4]` is no port: a bad IP address in "1.2.3:80:80"
     --> compose.yaml:9:9
      |
    9 |       - 1.2.3:80:80
      |         ^^^^^^^^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[5]` is no port: the port 0 in "0"
      --> compose.yaml:10:9
       |
    10 |       - 0
       |         ^
       |
       = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[6]` lacks `target`
      --> compose.yaml:11:9
       |
    11 |       - {published: 80}
       |         ^^^^^^^^^^^^^^^

    error: `services.web.ports[7].protocol` must be `tcp` or `udp`, not "icmp"
      --> compose.yaml:12:32
       |
    12 |       - {target: 80, protocol: icmp}
       |                                ^^^^
    "#);
}

#[test]
fn bad_durations() {
    assert_snapshot!(refused_service("stop_grace_period: 30\nhealthcheck:\n  test: x\n  interval: 5 minutes\n  timeout: -1s\n  start_period: 1x"), @r#"
    error: `services.web.stop_grace_period` must be a duration, not the number 30
     --> compose.yaml:4:24
      |
    4 |     stop_grace_period: 30
      |                        ^^
      |
      = help: a number needs a unit: `30s`

    error: `services.web.healthcheck.interval` is no duration: an unknown unit in "5 minutes"
     --> compose.yaml:7:17
      |
    7 |       interval: 5 minutes
      |                 ^^^^^^^^^
      |
      = help: durations look like `1m30s`, `500ms` or `2h`

    error: `services.web.healthcheck.timeout` is no duration: negative time in "-1s"
     --> compose.yaml:8:16
      |
    8 |       timeout: -1s
      |                ^^^
      |
      = help: durations look like `1m30s`, `500ms` or `2h`

    error: `services.web.healthcheck.start_period` is no duration: an unknown unit in "1x"
     --> compose.yaml:9:21
      |
    9 |       start_period: 1x
      |                     ^^
      |
      = help: durations look like `1m30s`, `500ms` or `2h`
    "#);
}

#[test]
fn bad_sizes() {
    assert_snapshot!(refused_service("mem_limit: lots\nshm_size: 64q\nmem_reservation: -1\nmemswap_limit: [1]"), @r#"
    error: `services.web.mem_limit` must be a size, not "lots"
     --> compose.yaml:4:16
      |
    4 |     mem_limit: lots
      |                ^^^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`

    error: `services.web.shm_size` must be a size, not "64q"
     --> compose.yaml:5:15
      |
    5 |     shm_size: 64q
      |               ^^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`

    error: `services.web.mem_reservation` must be a size, not the number -1
     --> compose.yaml:6:22
      |
    6 |     mem_reservation: -1
      |                      ^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`

    error: `services.web.memswap_limit` must be a size, not a list
     --> compose.yaml:7:20
      |
    7 |     memswap_limit: [1]
      |                    ^^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`
    "#);
}

#[test]
fn bad_numbers() {
    assert_snapshot!(refused_service("cpus: many\npids_limit: 1.5\noom_score_adj: 2000\nscale: -1\ncpuset: 3-1\ncpu_shares: x"), @r#"
    error: `services.web.cpus` must be a number, not "many"
     --> compose.yaml:4:11
      |
    4 |     cpus: many
      |           ^^^^

    error: `services.web.pids_limit` must be an integer, not the number 1.5
     --> compose.yaml:5:17
      |
    5 |     pids_limit: 1.5
      |                 ^^^

    error: `services.web.oom_score_adj` is 2000, which is more than 1000
     --> compose.yaml:6:20
      |
    6 |     oom_score_adj: 2000
      |                    ^^^^

    error: `services.web.scale` is -1, which is less than 0
     --> compose.yaml:7:12
      |
    7 |     scale: -1
      |            ^^

    error: `services.web.cpuset` is no set of processors: "3-1"
     --> compose.yaml:8:13
      |
    8 |     cpuset: 3-1
      |             ^^^
      |
      = help: write `0-3,5`

    error: `services.web.cpu_shares` must be an integer, not "x"
     --> compose.yaml:9:17
      |
    9 |     cpu_shares: x
      |                 ^
    "#);
}

#[test]
fn bad_booleans() {
    assert_snapshot!(refused_service("init: maybe\ntty: 1\nread_only: 'si'"), @r#"
    error: `services.web.init` must be true or false, not "maybe"
     --> compose.yaml:4:11
      |
    4 |     init: maybe
      |           ^^^^^

    error: `services.web.tty` must be true or false, not the number 1
     --> compose.yaml:5:10
      |
    5 |     tty: 1
      |          ^

    error: `services.web.read_only` must be true or false, not the string "si"
     --> compose.yaml:6:16
      |
    6 |     read_only: 'si'
      |                ^^^^
    "#);
}

#[test]
fn bad_image_references() {
    assert_snapshot!(refused("services:\n  a: {image: 'Postgres:16'}\n  b: {image: 'x:y:z'}\n  c: {image: 'a b'}\n  d: {image: 'oci:'}\n  e: {image: 'x@sha256:12'}\n"), @r#"
    error: `services.a.image` is no image reference: an upper-case letter (repository names have none) in "Postgres:16"
     --> compose.yaml:2:14
      |
    2 |   a: {image: 'Postgres:16'}
      |              ^^^^^^^^^^^^^

    error: `services.b.image` is no image reference: a character that no name has in "x:y:z"
     --> compose.yaml:3:14
      |
    3 |   b: {image: 'x:y:z'}
      |              ^^^^^^^

    error: `services.c.image` is no image reference: a character that no name has in "a b"
     --> compose.yaml:4:14
      |
    4 |   c: {image: 'a b'}
      |              ^^^^^

    error: `services.d.image` lacks a path: "oci:"
     --> compose.yaml:5:14
      |
    5 |   d: {image: 'oci:'}
      |              ^^^^^^
      |
      = help: write `oci:PATH`

    error: `services.e.image` is no image reference: a bad digest in "x@sha256:12"
     --> compose.yaml:6:14
      |
    6 |   e: {image: 'x@sha256:12'}
      |              ^^^^^^^^^^^^^
    "#);
}

#[test]
fn no_image() {
    assert_snapshot!(refused("services:\n  web:\n    command: x\n  db:\n    image: ''\n"), @r#"
    error: service "web" has neither an image nor a build context specified
     --> compose.yaml:2:3
      |
    2 |   web:
      |   ^^^

    error: service "db" has neither an image nor a build context specified
     --> compose.yaml:5:12
      |
    5 |     image: ''
      |            ^^
    "#);
}

#[test]
fn bad_mounts() {
    assert_snapshot!(refused_service("volumes:\n  - data\n  - ./a:b\n  - a:/b:c:d\n  - ./a:/a:roo\n  - ':/x'\n  - ./a:/\n  - {type: bind, target: /x}\n  - {type: volum, source: a, target: /y}\n  - {source: a}\n  - {type: bind, source: ./a, target: /z, volume: {nocopy: true}}"), @r#"
    error: `services.web.volumes[0]` needs an absolute path in the container, not "data"
     --> compose.yaml:5:9
      |
    5 |       - data
      |         ^^^^

    error: `services.web.volumes[1]` needs an absolute path in the container, not "b"
     --> compose.yaml:6:9
      |
    6 |       - ./a:b
      |         ^^^^^

    error: `services.web.volumes[2]` has too many colons: "a:/b:c:d"
     --> compose.yaml:7:9
      |
    7 |       - a:/b:c:d
      |         ^^^^^^^^
      |
      = help: write `SOURCE:TARGET:OPTIONS`

    error: `services.web.volumes[3]` has the unknown option `roo`
     --> compose.yaml:8:9
      |
    8 |       - ./a:/a:roo
      |         ^^^^^^^^^^
      |
      = help: did you mean `ro`?

    error: `services.web.volumes[4]` has an empty part: ":/x"
     --> compose.yaml:9:9
      |
    9 |       - ':/x'
      |         ^^^^^

    error: `services.web.volumes[5]` cannot mount over the root of the container
      --> compose.yaml:10:9
       |
    10 |       - ./a:/
       |         ^^^^^

    error: `services.web.volumes[6]` lacks `source`, which a bind mount needs
      --> compose.yaml:11:9
       |
    11 |       - {type: bind, target: /x}
       |         ^^^^^^^^^^^^^^^^^^^^^^^^

    error: `services.web.volumes[7]` has the type "volum": it must be `bind`, `volume` or `tmpfs`
      --> compose.yaml:12:9
       |
    12 |       - {type: volum, source: a, target: /y}
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `services.web.volumes[8]` lacks `type`
      --> compose.yaml:13:9
       |
    13 |       - {source: a}
       |         ^^^^^^^^^^^

    error: `services.web.volumes[8]` lacks `target`
      --> compose.yaml:13:9
       |
    13 |       - {source: a}
       |         ^^^^^^^^^^^

    error: `services.web.volumes[9].volume` has no meaning for a mount of the type `bind`
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
    error: `services.web.depends_on.db.condition` is no condition: "healthy"
     --> compose.yaml:5:23
      |
    5 |       db: {condition: healthy}
      |                       ^^^^^^^
      |
      = help: conditions are `service_started`, `service_healthy` and `service_completed_successfully`

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
    assert_snapshot!(refused_service("healthcheck: {test: [curl, x], retries: -1, intervall: 5s}"), @r"
    error: `services.web.healthcheck.test` must start with `CMD`, `CMD-SHELL` or `NONE` where it is a list
     --> compose.yaml:4:25
      |
    4 |     healthcheck: {test: [curl, x], retries: -1, intervall: 5s}
      |                         ^^^^^^^^^

    error: `services.web.healthcheck.retries` is -1, which is less than 0
     --> compose.yaml:4:45
      |
    4 |     healthcheck: {test: [curl, x], retries: -1, intervall: 5s}
      |                                             ^^

    error: unknown attribute `intervall` in `services.web.healthcheck`
     --> compose.yaml:4:49
      |
    4 |     healthcheck: {test: [curl, x], retries: -1, intervall: 5s}
      |                                                 ^^^^^^^^^
      |
      = help: did you mean `interval`?
    ");
}

#[test]
fn bad_restart_policies() {
    assert_snapshot!(refused("services:\n  a: {image: a, restart: allways}\n  b: {image: b, restart: false}\n  c: {image: c, restart: 'on-failure:x'}\n  d: {image: d, deploy: {restart_policy: {condition: sometimes}}}\n"), @r#"
    error: `services.a.restart` is no restart policy: "allways"
     --> compose.yaml:2:26
      |
    2 |   a: {image: a, restart: allways}
      |                          ^^^^^^^
      |
      = help: policies are `no`, `always`, `unless-stopped`, `on-failure` and `on-failure:3`

    error: `services.b.restart` must be a string, not the boolean false
     --> compose.yaml:3:26
      |
    3 |   b: {image: b, restart: false}
      |                          ^^^^^
      |
      = help: quote it: "false"

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
    assert_snapshot!(refused_service("container_name: -x\nhostname: a b\nprofiles: ['a b']\nextra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']\ndns: [localhost]"), @r#"
    error: `services.web.container_name` is no container name: "-x"
     --> compose.yaml:4:21
      |
    4 |     container_name: -x
      |                     ^^
      |
      = help: names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`

    error: `services.web.hostname` is no host name: "a b"
     --> compose.yaml:5:15
      |
    5 |     hostname: a b
      |               ^^^
      |
      = help: at most 64 letters, digits, `-`, `_` and `.`, a letter or digit first

    error: `services.web.profiles` holds "a b", which is no name of a profile
     --> compose.yaml:6:15
      |
    6 |     profiles: ['a b']
      |               ^^^^^^^

    error: `services.web.extra_hosts[0]` lacks an address: "nothing"
     --> compose.yaml:7:19
      |
    7 |     extra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']
      |                   ^^^^^^^
      |
      = help: write `host=address`

    error: `services.web.extra_hosts[1]` needs an IP address or `host-gateway`, not "1.2.3"
     --> compose.yaml:7:28
      |
    7 |     extra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']
      |                            ^^^^^^^^^

    error: `services.web.extra_hosts[2]` has a bad host name: "a b"
     --> compose.yaml:7:39
      |
    7 |     extra_hosts: [nothing, 'h=1.2.3', 'a b=1.1.1.1']
      |                                       ^^^^^^^^^^^^^

    error: `services.web.dns[0]` must be an IP address, not "localhost"
     --> compose.yaml:8:11
      |
    8 |     dns: [localhost]
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

    error: `services.web.ulimits.core` lacks `hard`
     --> compose.yaml:7:13
      |
    7 |       core: {soft: 1}
      |             ^^^^^^^^^

    error: `services.web.sysctls` holds "../x", which is no name of a sysctl
     --> compose.yaml:8:14
      |
    8 |     sysctls: {'../x': 1, 'net.x': }
      |              ^^^^^^^^^^^^^^^^^^^^^^

    error: `services.web.sysctls` gives no value to net.x
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
fn bad_commands() {
    assert_snapshot!(refused_service("command: sh -c \"x\nentrypoint: [a, 5]"), @r#"
    error: `services.web.command` is no command: a quote is not closed
     --> compose.yaml:4:14
      |
    4 |     command: sh -c "x
      |              ^^^^^^^^

    error: `services.web.entrypoint[1]` must be a string, not the number 5
     --> compose.yaml:5:21
      |
    5 |     entrypoint: [a, 5]
      |                     ^
      |
      = help: quote it: "5"
    "#);
}

#[test]
fn bad_environments() {
    assert_snapshot!(refused_service("environment:\n  - =x\n  - 'A =x'\nlabels: [[a]]\nenv_file: {path: x}"), @r#"
    error: `services.web.environment[0]` has an empty name
     --> compose.yaml:5:9
      |
    5 |       - =x
      |         ^^

    error: `services.web.environment[1]` names the variable "A " with a trailing space
     --> compose.yaml:6:9
      |
    6 |       - 'A =x'
      |         ^^^^^^

    error: `services.web.labels[0]` must be a string, not a list
     --> compose.yaml:7:14
      |
    7 |     labels: [[a]]
      |              ^^^

    error: `services.web.env_file` must be a list, not a mapping
     --> compose.yaml:8:15
      |
    8 |     env_file: {path: x}
      |               ^^^^^^^^^
      |
      = help: an item of a list starts with `- `
    "#);
}

#[test]
fn bad_networks() {
    assert_snapshot!(refused("services:\n  web: {image: w}\nnetworks:\n  a: {driver: overlay, enable_ipv6: true}\n  b: {ipam: {config: [{subnet: 10.0.0.1/24}]}}\n  c: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.1.1}]}}\n  d: {external: true, internal: true}\n  e: {name: 'a b', intrenal: true}\n"), @r#"
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

    error: `networks.d`: conflicting attributes `external` and `internal`
     --> compose.yaml:7:23
      |
    7 |   d: {external: true, internal: true}
      |       --------        ^^^^^^^^
      |       |
      |       made by somebody else

    error: `networks.e.name` is no name: "a b"
     --> compose.yaml:8:13
      |
    8 |   e: {name: 'a b', intrenal: true}
      |             ^^^^^
      |
      = help: names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`

    error: unknown attribute `intrenal` in `networks.e`
     --> compose.yaml:8:20
      |
    8 |   e: {name: 'a b', intrenal: true}
      |                    ^^^^^^^^
      |
      = help: did you mean `internal`?
    "#);
}

#[test]
fn bad_volumes_secrets_and_configs() {
    assert_snapshot!(refused("services:\n  web: {image: w, secrets: [{target: x}], configs: [{source: c, mode: 9}]}\nvolumes:\n  a: {driver: nfs}\n  b: {driver_opts: {o: bind}}\nsecrets:\n  s: {environment: S}\n  t: {}\nconfigs:\n  c: {content: x}\n  d: {external: true}\n"), @r#"
    error: `services.web.secrets[0]` lacks `source`
     --> compose.yaml:2:29
      |
    2 |   web: {image: w, secrets: [{target: x}], configs: [{source: c, mode: 9}]}
      |                             ^^^^^^^^^^^

    error: `volumes.a.driver`: the driver "nfs" is not supported yet
     --> compose.yaml:4:15
      |
    4 |   a: {driver: nfs}
      |               ^^^

    error: `volumes.b.driver_opts` is not supported yet
     --> compose.yaml:5:7
      |
    5 |   b: {driver_opts: {o: bind}}
      |       ^^^^^^^^^^^

    error: `secrets.s.environment`: a source other than `file` is not supported yet
     --> compose.yaml:7:20
      |
    7 |   s: {environment: S}
      |                    ^

    error: the secret `t` has no source
     --> compose.yaml:8:3
      |
    8 |   t: {}
      |   ^
      |
      = help: name a `file`

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
    "#);
}

#[test]
fn an_error_in_an_anchor_is_told_once() {
    assert_snapshot!(refused("x-base: &base\n  image: nginx\n  initt: true\nservices:\n  a: *base\n  b: *base\n  c: {<<: *base}\n"), @r"
    error: unknown attribute `initt` in `services.a`
     --> compose.yaml:3:3
      |
    3 |   initt: true
      |   ^^^^^
      |
      = help: did you mean `init`?
    ");
}
