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
    assert_snapshot!(refused_service("build: .\ndevices: [/dev/null]\nlinks: ['web:alias']"), @r"
    error: dependency cycle detected: web -> web
     --> compose.yaml:6:13
      |
    6 |     links: ['web:alias']
      |             ^^^^^^^^^^^ web needs web

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
    ");
}

#[test]
fn nested_attributes_that_are_not_done_yet() {
    assert_snapshot!(refused_service("deploy:\n  mode: global\n  placement: {}\nnetworks:\n  default: {ipv6_address: '::1'}"), @r"
    warning: `services.web.deploy.mode` has no effect: it places containers in a Swarm
     --> compose.yaml:5:7
      |
    5 |       mode: global
      |       ^^^^

    warning: `services.web.deploy.placement` has no effect: it places containers in a Swarm
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
fn nothing_where_something_is_needed() {
    assert_snapshot!(refused_service("ports:\nenvironment:\nrestart:"), @r"
    error: `services.web.ports` must be a list, not nothing
     --> compose.yaml:4:10
      |
    4 |     ports:
      |          ^
      |
      = help: take the attribute out, or write `[]`

    error: `services.web.environment` must be a list or a mapping, not nothing
     --> compose.yaml:5:16
      |
    5 |     environment:
      |                ^
      |
      = help: take the attribute out, or write `[]`

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
    "#);
}

#[test]
fn bad_ports() {
    assert_snapshot!(refused_service("ports:\n  - 70000:80\n  - http\n  - 80:80/sctp\n  - 1-3:1-2\n  - 1.2.3:80:80\n  - 0\n  - {published: 80}\n  - {target: 80, protocol: icmp}"), @r"
    error: `services.web.ports[0]` is no port: Invalid hostPort: 70000
     --> compose.yaml:5:9
      |
    5 |       - 70000:80
      |         ^^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[1]` is no port: Invalid containerPort: http
     --> compose.yaml:6:9
      |
    6 |       - http
      |         ^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[3]` is no port: Invalid ranges specified for container and host Ports: 1-2 and 1-3
     --> compose.yaml:8:9
      |
    8 |       - 1-3:1-2
      |         ^^^^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[4]` is no port: Invalid ip address: 1.2.3
     --> compose.yaml:9:9
      |
    9 |       - 1.2.3:80:80
      |         ^^^^^
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.ports[5].target` is no port: Invalid containerPort: 0
      --> compose.yaml:10:9
       |
    10 |       - 0
       |         ^
       |
       = help: ports are 1 to 65535

    error: `services.web.ports[6]` lacks `target`, the port of the container
      --> compose.yaml:11:9
       |
    11 |       - {published: 80}
       |         ^^^^^^^^^^^^^^^

    error: `services.web.ports[7].protocol` is an invalid proto: icmp
      --> compose.yaml:12:32
       |
    12 |       - {target: 80, protocol: icmp}
       |                                ^^^^
       |
       = help: protocols are tcp, udp and sctp

    error: `services.web.ports[2].protocol`: SCTP is not supported yet
     --> compose.yaml:7:15
      |
    7 |       - 80:80/sctp
      |               ^^^^
    ");
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
    error: `services.web.memswap_limit` must be a size, not a list
     --> compose.yaml:7:20
      |
    7 |     memswap_limit: [1]
      |                    ^^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`

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

    error: `services.web.mem_reservation` must be a number of bytes, not the string "-1"
     --> compose.yaml:6:22
      |
    6 |     mem_reservation: -1
      |                      ^^
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

    error: `services.web.oom_score_adj` is 2000, which is more than 1000
     --> compose.yaml:6:20
      |
    6 |     oom_score_adj: 2000
      |                    ^^^^

    error: `services.web.cpu_shares` must be an integer, not "x"
     --> compose.yaml:9:17
      |
    9 |     cpu_shares: x
      |                 ^

    error: `services.web.pids_limit` must be an integer, not the number 1.5
     --> compose.yaml:5:17
      |
    5 |     pids_limit: 1.5
      |                 ^^^

    error: services.web.scale: must be greater than or equal to 0
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
     --> compose.yaml:5:5
      |
    5 |     image: ''
      |     ^^^^^
    "#);
}

#[test]
fn bad_commands() {
    assert_snapshot!(refused_service("command: sh -c \"x\nentrypoint: [a, 5]"), @r#"
    error: `services.web.entrypoint[1]` must be a string, not the number 5
     --> compose.yaml:5:21
      |
    5 |     entrypoint: [a, 5]
      |                     ^
      |
      = help: quote it: "5"

    error: `services.web.command` is no command: a quote is not closed
     --> compose.yaml:4:14
      |
    4 |     command: sh -c "x
      |              ^^^^^^^^
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
