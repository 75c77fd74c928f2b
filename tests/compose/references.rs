//! What the parts of a project say about each other.

use crate::{Files, refused, refused_service};
use insta::assert_snapshot;

#[test]
fn undefined_names() {
    assert_snapshot!(refused("services:\n  web:\n    image: nginx\n    depends_on: [dv]\n    networks: [frontt]\n    volumes: ['dat:/data', 'src/x:/x']\n    secrets: [token]\n    configs: [{source: conf}]\n  db: {image: postgres}\nnetworks: {front: }\nvolumes: {data: }\n"), @r#"
    error: service "web" depends on undefined service "dv"
     --> compose.yaml:4:18
      |
    4 |     depends_on: [dv]
      |                  ^^
      |
      = help: did you mean `db`?

    error: service "web" refers to undefined network "frontt"
     --> compose.yaml:5:16
      |
    5 |     networks: [frontt]
      |                ^^^^^^
      |
      = help: did you mean `front`?

    error: service "web" refers to undefined volume "dat"
     --> compose.yaml:6:16
      |
    6 |     volumes: ['dat:/data', 'src/x:/x']
      |                ^^^
      |
      = help: did you mean `data`?

    error: service "web" refers to undefined volume "src/x"
     --> compose.yaml:6:29
      |
    6 |     volumes: ['dat:/data', 'src/x:/x']
      |                             ^^^^^
      |
      = help: a path of the host starts with `./`: `./src/x`

    error: service "web" refers to undefined secret "token"
     --> compose.yaml:7:15
      |
    7 |     secrets: [token]
      |               ^^^^^
      |
      = help: declare it at the top level, below `secrets:`

    error: service "web" refers to undefined config "conf"
     --> compose.yaml:8:24
      |
    8 |     configs: [{source: conf}]
      |                        ^^^^
      |
      = help: declare it at the top level, below `configs:`
    "#);
}

#[test]
fn a_dependency_that_no_profile_switches_on() {
    assert_snapshot!(refused("services:\n  web: {image: w, depends_on: [db]}\n  db: {image: d, profiles: [dev]}\n"), @r#"
    error: service "web" depends on undefined service "db"
     --> compose.yaml:2:32
      |
    2 |   web: {image: w, depends_on: [db]}
      |                                ^^
    3 |   db: {image: d, profiles: [dev]}
      |   -- switched off
      |
      = help: no profile of it is active: `dev`
    "#);
}

#[test]
fn circles() {
    assert_snapshot!(refused("services:\n  a: {image: a, depends_on: [b]}\n  b:\n    image: b\n    depends_on:\n      c: {condition: service_healthy}\n  c: {image: c, depends_on: [a]}\n  d: {image: d, depends_on: [d]}\n"), @r"
    error: dependency cycle detected: a -> b -> c -> a
     --> compose.yaml:2:30
      |
    2 |   a: {image: a, depends_on: [b]}
      |                              ^ a needs b
    ...
    6 |       c: {condition: service_healthy}
      |       - b needs c
    7 |   c: {image: c, depends_on: [a]}
      |                              - c needs a

    error: dependency cycle detected: d -> d
     --> compose.yaml:8:30
      |
    8 |   d: {image: d, depends_on: [d]}
      |                              ^ d needs d
    ");
}

#[test]
fn a_container_name_for_more_than_one() {
    assert_snapshot!(refused("services:\n  a: {image: a, container_name: one, scale: 2}\n  b: {image: b, container_name: two, deploy: {replicas: 3}}\n  c: {image: c, container_name: same}\n  d: {image: d, container_name: same}\n"), @r#"
    error: service "a" has the container_name "one", so there cannot be 2
     --> compose.yaml:2:17
      |
    2 |   a: {image: a, container_name: one, scale: 2}
      |                 ^^^^^^^^^^^^^^       ----- asks for more

    error: service "b" has the container_name "two", so there cannot be 3
     --> compose.yaml:3:17
      |
    3 |   b: {image: b, container_name: two, deploy: {replicas: 3}}
      |                 ^^^^^^^^^^^^^^                -------- asks for more

    error: the services "c" and "d" have one container_name: "same"
     --> compose.yaml:5:17
      |
    4 |   c: {image: c, container_name: same}
      |                 -------------- first here
    5 |   d: {image: d, container_name: same}
      |                 ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn one_thing_said_in_two_ways() {
    assert_snapshot!(refused_service("scale: 2\nmem_limit: 1g\ncpus: 1\npids_limit: 5\ndeploy:\n  replicas: 3\n  resources:\n    limits: {memory: 2g, cpus: '2', pids: 6}"), @r"
    error: services.web: can't set distinct values on 'scale' and 'deploy.replicas'
     --> compose.yaml:4:5
      |
    4 |     scale: 2
      |     ^^^^^ 2 here
    ...
    9 |       replicas: 3
      |       -------- 3 here

    error: services.web: can't set distinct values on 'cpus' and 'deploy.resources.limits.cpus'
      --> compose.yaml:6:5
       |
     6 |     cpus: 1
       |     ^^^^
    ...
    11 |         limits: {memory: 2g, cpus: '2', pids: 6}
       |                                    --- must be the same

    error: services.web: can't set distinct values on 'mem_limit' and 'deploy.resources.limits.memory'
      --> compose.yaml:5:5
       |
     5 |     mem_limit: 1g
       |     ^^^^^^^^^
    ...
    11 |         limits: {memory: 2g, cpus: '2', pids: 6}
       |                          -- must be the same

    error: services.web: can't set distinct values on 'pids_limit' and 'deploy.resources.limits.pids'
      --> compose.yaml:7:5
       |
     7 |     pids_limit: 5
       |     ^^^^^^^^^^
    ...
    11 |         limits: {memory: 2g, cpus: '2', pids: 6}
       |                                               - must be the same
    ");
}

#[test]
fn network_mode_with_networks() {
    assert_snapshot!(refused_service("network_mode: host\nnetworks: [default]"), @r"
    error: service web declares mutually exclusive `network_mode` and `networks`
     --> compose.yaml:5:5
      |
    4 |     network_mode: host
      |                   ---- excludes networks
    5 |     networks: [default]
      |     ^^^^^^^^
    ");
}

#[test]
fn network_modes_that_are_not_done_yet() {
    assert_snapshot!(refused_service("network_mode: service:db"), @r#"
    error: service "web" depends on undefined service "db"
     --> compose.yaml:4:19
      |
    4 |     network_mode: service:db
      |                   ^^^^^^^^^^
    "#);
}

#[test]
fn two_mounts_on_one_place() {
    assert_snapshot!(refused_service("volumes: [./a:/data]\ntmpfs: /data"), @r#"
    error: service "web" mounts on /data twice: volumes and tmpfs
     --> compose.yaml:5:12
      |
    4 |     volumes: [./a:/data]
      |                   ----- here as well
    5 |     tmpfs: /data
      |            ^^^^^
    "#);
}

#[test]
fn fixed_addresses_that_cannot_be() {
    assert_snapshot!(refused("services:\n  a: {image: a, networks: {n: {ipv4_address: 10.9.0.5}}}\n  b: {image: b, networks: {n: {ipv4_address: 10.1.0.5}}, scale: 2}\n  c: {image: c, networks: {n: {ipv4_address: 10.1.0.5}}}\n  d: {image: d, networks: {default: {ipv4_address: 10.1.0.5}}}\nnetworks:\n  n: {ipam: {config: [{subnet: 10.1.0.0/24}]}}\n"), @r#"
    error: 10.9.0.5 is outside of 10.1.0.0/24, the subnet of the network "n"
     --> compose.yaml:2:32
      |
    2 |   a: {image: a, networks: {n: {ipv4_address: 10.9.0.5}}}
      |                                ^^^^^^^^^^^^

    error: service "b" runs 2 times, but 10.1.0.5 is one
     --> compose.yaml:3:32
      |
    3 |   b: {image: b, networks: {n: {ipv4_address: 10.1.0.5}}, scale: 2}
      |                                ^^^^^^^^^^^^

    error: the services "b" and "c" both want 10.1.0.5 on "n"
     --> compose.yaml:4:32
      |
    3 |   b: {image: b, networks: {n: {ipv4_address: 10.1.0.5}}, scale: 2}
      |                                ------------ first here
    4 |   c: {image: c, networks: {n: {ipv4_address: 10.1.0.5}}}
      |                                ^^^^^^^^^^^^

    error: 10.1.0.5 needs a subnet: declare networks.default.ipam.config
     --> compose.yaml:5:38
      |
    5 |   d: {image: d, networks: {default: {ipv4_address: 10.1.0.5}}}
      |                                      ^^^^^^^^^^^^
    "#);
}

#[test]
fn limits_that_the_kernel_would_refuse() {
    assert_snapshot!(refused("services:\n  a: {image: a, memswap_limit: 1g}\n  b: {image: b, mem_limit: 1g, memswap_limit: 512m}\n  c: {image: c, mem_limit: 1g, mem_reservation: 2g}\n"), @r#"
    error: service "a": memswap_limit needs mem_limit
     --> compose.yaml:2:17
      |
    2 |   a: {image: a, memswap_limit: 1g}
      |                 ^^^^^^^^^^^^^

    error: service "b": memswap_limit is memory and swap together, so at least mem_limit
     --> compose.yaml:3:32
      |
    3 |   b: {image: b, mem_limit: 1g, memswap_limit: 512m}
      |                                ^^^^^^^^^^^^^

    error: service "c": the memory reservation is above the memory limit
     --> compose.yaml:4:32
      |
    4 |   c: {image: c, mem_limit: 1g, mem_reservation: 2g}
      |                                ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn files_that_are_not_there() {
    assert_snapshot!(refused("services:\n  web:\n    image: nginx\n    env_file: [web.env, {path: maybe.env, required: false}]\n    secrets: [password]\nsecrets:\n  password:\n    file: ./password.txt\n"), @r#"
    error: env file /demo/web.env not found
     --> compose.yaml:4:16
      |
    4 |     env_file: [web.env, {path: maybe.env, required: false}]
      |                ^^^^^^^

    error: the file of the secret "password" is not there: /demo/password.txt
     --> compose.yaml:8:11
      |
    8 |     file: ./password.txt
      |           ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn files_that_are_not_there_do_not_matter_to_other_services() {
    let files = Files::new(
        "services:\n  web: {image: w, env_file: web.env, secrets: [s]}\n  db: {image: d}\nsecrets: {s: {file: ./s}}\n",
    )
    .with(|options| options.services = vec!["db".into()]);
    assert_eq!(files.refused(), "accepted");
}

#[test]
fn errors_inside_of_an_env_file() {
    let files = Files::new("services:\n  web:\n    image: nginx\n    env_file: web.env\n")
        .file("web.env", "A=1\nB C=2\nD='x\n");
    assert_snapshot!(files.refused(), @r"
    error: a key cannot contain a space
     --> web.env:2:2
      |
    2 | B C=2
      |  ^

    error: unterminated quoted value
     --> web.env:3:3
      |
    3 | D='x
      |   ^^
    ");
}

#[test]
fn services_of_the_command_line_that_are_not_there() {
    let files = Files::new("services: {web: {image: nginx}}\n").with(|options| options.services = vec!["wbe".into()]);
    assert_snapshot!(files.refused(), @r"
    error: no such service: wbe
     |
     = help: did you mean `web`?
    ");
}
