//! What the check says.

use super::{check, shape};
use crate::compose::{
    diagnostics::{Diagnostics, SourceText},
    tree::{self, Node},
};
use insta::assert_snapshot;
use std::rc::Rc;

pub fn parsed(text: &str) -> Rc<Node> {
    let mut findings = Vec::new();
    let documents = tree::parse(0, text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    documents.into_iter().next().unwrap()
}

pub fn findings(text: &str) -> Diagnostics {
    let mut findings = Vec::new();
    check(&parsed(text), &mut findings);
    Diagnostics::new(findings, vec![SourceText { name: "compose.yaml".into(), text: text.into() }])
}

fn refused(text: &str) -> String {
    findings(text).render(false)
}

/// The attributes of a service, one a line.
pub fn service(attributes: &str) -> String {
    let indented: String = attributes.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  web:\n{indented}")
}

fn refused_service(attributes: &str) -> String {
    refused(&service(attributes))
}

#[test]
fn unknown_attributes_are_named_with_a_guess() {
    assert_snapshot!(refused("nam: x\nservices:\n  web:\n    imgae: x\n    x-mine: 1\n    deploy: {replica: 2}\n    frobnicate: 1\n"), @r"
    error: unknown attribute `nam` at the top level
     --> compose.yaml:1:1
      |
    1 | nam: x
      | ^^^
      |
      = help: did you mean `name`?

    error: unknown attribute `imgae` in `services.web`
     --> compose.yaml:4:5
      |
    4 |     imgae: x
      |     ^^^^^
      |
      = help: did you mean `image`?

    error: unknown attribute `replica` in `services.web.deploy`
     --> compose.yaml:6:14
      |
    6 |     deploy: {replica: 2}
      |              ^^^^^^^
      |
      = help: did you mean `replicas`?

    error: unknown attribute `frobnicate` in `services.web`
     --> compose.yaml:7:5
      |
    7 |     frobnicate: 1
      |     ^^^^^^^^^^
    ");
}

#[test]
fn a_wrong_kind_is_told_with_what_the_schema_wants() {
    assert_snapshot!(refused_service(
        "image: 80\nports: 80:80\nenvironment: A=b\ninit: {}\ncommand: {a: b}\nhealthcheck: [CMD, x]\ndepends_on: db\nbuild: 5\nscale: 1.5\nlabels: {a: [b]}\ncgroup: 5\nmem_limit: [1]\nstop_grace_period: 30\nvolumes: [5]\nuse_api_socket: 'true'"
    ), @r#"
    error: `services.web.image` must be a string, not the number 80
     --> compose.yaml:3:12
      |
    3 |     image: 80
      |            ^^
      |
      = help: quote it: "80"

    error: `services.web.ports` must be a list, not "80:80"
     --> compose.yaml:4:12
      |
    4 |     ports: 80:80
      |            ^^^^^
      |
      = help: a list of one is written `["80:80"]`

    error: `services.web.environment` must be a list or a mapping, not "A=b"
     --> compose.yaml:5:18
      |
    5 |     environment: A=b
      |                  ^^^
      |
      = help: a list of one is written `[A=b]`

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
      |
      = help: a list of one is written `[db]`

    error: `services.web.build` must be a string or a mapping, not the number 5
      --> compose.yaml:10:12
       |
    10 |     build: 5
       |            ^
       |
       = help: quote it: "5"

    error: `services.web.scale` must be an integer, not the number 1.5
      --> compose.yaml:11:12
       |
    11 |     scale: 1.5
       |            ^^^

    error: `services.web.labels.a` must be a string, a number or a boolean, not a list
      --> compose.yaml:12:17
       |
    12 |     labels: {a: [b]}
       |                 ^^^

    error: `services.web.cgroup` must be `host` or `private`, not the number 5
      --> compose.yaml:13:13
       |
    13 |     cgroup: 5
       |             ^

    error: `services.web.mem_limit` must be a size, not a list
      --> compose.yaml:14:16
       |
    14 |     mem_limit: [1]
       |                ^^^
       |
       = help: sizes look like `512m`, `1.5gb` or `1048576`

    error: `services.web.stop_grace_period` must be a duration, not the number 30
      --> compose.yaml:15:24
       |
    15 |     stop_grace_period: 30
       |                        ^^
       |
       = help: a number needs a unit: `30s`

    error: `services.web.volumes[0]` must be a string or a mapping, not the number 5
      --> compose.yaml:16:15
       |
    16 |     volumes: [5]
       |               ^
       |
       = help: quote it: "5"

    error: `services.web.use_api_socket` must be true or false, not the string "true"
      --> compose.yaml:17:21
       |
    17 |     use_api_socket: 'true'
       |                     ^^^^^^
    "#);
}

#[test]
fn nothing_is_no_value_but_where_it_means_something() {
    assert_snapshot!(refused("services:\n  web:\n    image:\n    ports:\n    environment:\n    command:\n    entrypoint:\n    develop:\n    deploy:\n    pid:\n    networks: {default: }\n    models: {m: }\n    depends_on: {db: }\n  db:\nnetworks: {a: }\nvolumes: {a: }\nsecrets: {a: }\nconfigs:\nx-a:\n"), @r"
    error: `services.web.image` must be a string, not nothing
     --> compose.yaml:3:10
      |
    3 |     image:
      |          ^

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

    error: `services.web.depends_on.db` must be a mapping, not nothing
      --> compose.yaml:13:20
       |
    13 |     depends_on: {db: }
       |                    ^
       |
       = help: take the attribute out, or write `{}`

    error: `services.db` must be a mapping, not nothing
      --> compose.yaml:14:5
       |
    14 |   db:
       |     ^
       |
       = help: take the attribute out, or write `{}`

    error: `secrets.a` must be a mapping, not nothing
      --> compose.yaml:17:12
       |
    17 | secrets: {a: }
       |            ^
       |
       = help: take the attribute out, or write `{}`

    error: `configs` must be a mapping, not nothing
      --> compose.yaml:18:8
       |
    18 | configs:
       |        ^
       |
       = help: take the attribute out, or write `{}`
    ");
}

#[test]
fn a_text_that_stands_for_a_number_or_boolean_must_say_one() {
    assert_snapshot!(refused_service("init: maybe\ntty: 'YES'\ncpus: many\nscale: '5.5'\ncpu_count: '-5'\ncpu_shares: 5.5\npids_limit: '7'\noom_score_adj: '2000'\nulimits: {nofile: x}\nports: [{target: http}]"), @r#"
    error: `services.web.init` must be true or false, not "maybe"
     --> compose.yaml:3:11
      |
    3 |     init: maybe
      |           ^^^^^

    error: `services.web.cpus` must be a number, not "many"
     --> compose.yaml:5:11
      |
    5 |     cpus: many
      |           ^^^^

    error: `services.web.scale` must be an integer, not the string "5.5"
     --> compose.yaml:6:12
      |
    6 |     scale: '5.5'
      |            ^^^^^

    error: `services.web.cpu_count` is "-5", which is less than 0
     --> compose.yaml:7:16
      |
    7 |     cpu_count: '-5'
      |                ^^^^

    error: `services.web.oom_score_adj` is "2000", which is more than 1000
      --> compose.yaml:10:20
       |
    10 |     oom_score_adj: '2000'
       |                    ^^^^^^

    error: `services.web.ulimits.nofile` must be an integer or a mapping, not "x"
      --> compose.yaml:11:23
       |
    11 |     ulimits: {nofile: x}
       |                       ^

    error: `services.web.ports[0].target` must be an integer, not "http"
      --> compose.yaml:12:22
       |
    12 |     ports: [{target: http}]
       |                      ^^^^
    "#);
}

#[test]
fn numbers_stay_in_their_range() {
    assert_snapshot!(refused_service("oom_score_adj: 2000\ncpu_count: -1\ncpu_percent: 101.0\nvolumes: [{type: tmpfs, tmpfs: {size: -1}}]"), @r"
    error: `services.web.oom_score_adj` is 2000, which is more than 1000
     --> compose.yaml:3:20
      |
    3 |     oom_score_adj: 2000
      |                    ^^^^

    error: `services.web.cpu_count` is -1, which is less than 0
     --> compose.yaml:4:16
      |
    4 |     cpu_count: -1
      |                ^^

    error: `services.web.cpu_percent` is 101.0, which is more than 100
     --> compose.yaml:5:18
      |
    5 |     cpu_percent: 101.0
      |                  ^^^^^

    error: `services.web.volumes[0].tmpfs.size` is -1, which is less than 0
     --> compose.yaml:6:43
      |
    6 |     volumes: [{type: tmpfs, tmpfs: {size: -1}}]
      |                                           ^^
    ");
}

#[test]
fn words_and_patterns() {
    assert_snapshot!(refused_service("cgroup: hots\ncontainer_name: '-'\npull_policy: alwayss\ndepends_on: {db: {condition: healthy}}\nvolumes: [{type: mind}]\ngpus: some"), @r#"
    error: `services.web.cgroup` must be `host` or `private`, not "hots"
     --> compose.yaml:3:13
      |
    3 |     cgroup: hots
      |             ^^^^
      |
      = help: did you mean `host`?

    error: `services.web.container_name` is no container name: the string "-"
     --> compose.yaml:4:21
      |
    4 |     container_name: '-'
      |                     ^^^
      |
      = help: names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`

    error: `services.web.pull_policy` is no pull policy: "alwayss"
     --> compose.yaml:5:18
      |
    5 |     pull_policy: alwayss
      |                  ^^^^^^^
      |
      = help: it is `always`, `never`, `missing`, `build`, `daily`, `weekly` or a time such as `every_12h`

    error: `services.web.depends_on.db.condition` must be `service_started`, `service_healthy` or `service_completed_successfully`, not "healthy"
     --> compose.yaml:6:34
      |
    6 |     depends_on: {db: {condition: healthy}}
      |                                  ^^^^^^^
      |
      = help: did you mean `service_healthy`?

    error: `services.web.volumes[0].type` must be `bind`, `volume`, `tmpfs`, `cluster`, `npipe` or `image`, not "mind"
     --> compose.yaml:7:22
      |
    7 |     volumes: [{type: mind}]
      |                      ^^^^
      |
      = help: did you mean `bind`?

    error: `services.web.gpus` must be `all`, not "some"
     --> compose.yaml:8:11
      |
    8 |     gpus: some
      |           ^^^^
    "#);
}

#[test]
fn what_is_missing_and_what_is_there_twice() {
    assert_snapshot!(refused_service("depends_on: {db: {restart: true}}\nulimits: {nofile: {soft: 1}}\nvolumes: [{target: /a}]\nsecurity_opt: [a, b, a]\nnetworks: [n, n]\nports: [80, '80', {target: 1, mode: host}, {mode: host, target: 1}]"), @r"
    error: `services.web.depends_on.db` lacks `condition`
     --> compose.yaml:3:22
      |
    3 |     depends_on: {db: {restart: true}}
      |                      ^^^^^^^^^^^^^^^

    error: `services.web.ulimits.nofile` lacks `hard`
     --> compose.yaml:4:23
      |
    4 |     ulimits: {nofile: {soft: 1}}
      |                       ^^^^^^^^^

    error: `services.web.volumes[0]` lacks `type`
     --> compose.yaml:5:15
      |
    5 |     volumes: [{target: /a}]
      |               ^^^^^^^^^^^^

    error: `services.web.security_opt[2]` repeats `services.web.security_opt[0]`
     --> compose.yaml:6:26
      |
    6 |     security_opt: [a, b, a]
      |                    -     ^
      |                    |
      |                    first here

    error: `services.web.networks[1]` repeats `services.web.networks[0]`
     --> compose.yaml:7:19
      |
    7 |     networks: [n, n]
      |                -  ^
      |                |
      |                first here

    error: `services.web.ports[3]` repeats `services.web.ports[2]`
     --> compose.yaml:8:48
      |
    8 |     ports: [80, '80', {target: 1, mode: host}, {mode: host, target: 1}]
      |                       -----------------------  ^^^^^^^^^^^^^^^^^^^^^^^
      |                       |
      |                       first here
    ");
}

#[test]
fn names_of_services_and_their_like() {
    assert_snapshot!(refused("services: {a b: {image: x}, x-a: 5}\nvolumes: {'': }\nnetworks: {a b: {}}\n"), @r"
    error: `a b` is no name for one of `services`
     --> compose.yaml:1:12
      |
    1 | services: {a b: {image: x}, x-a: 5}
      |            ^^^
      |
      = help: names are made of letters, digits, `.`, `_` and `-`

    error: `services.x-a` must be a mapping, not the number 5
     --> compose.yaml:1:34
      |
    1 | services: {a b: {image: x}, x-a: 5}
      |                                  ^

    error: `` is no name for one of `volumes`
     --> compose.yaml:2:11
      |
    2 | volumes: {'': }
      |           ^^
      |
      = help: names are made of letters, digits, `.`, `_` and `-`
    ");
}

#[test]
fn the_shape_gives_a_printer_the_order_of_a_section() {
    let service = shape().property("services").and_then(|services| services.any_property()).unwrap();
    let ports = service.property("ports").and_then(|ports| ports.item()).unwrap();
    assert_eq!(
        ports.keys().collect::<Vec<_>>(),
        ["name", "mode", "host_ip", "target", "published", "protocol", "app_protocol"]
    );
    assert_eq!(service.keys().take(4).collect::<Vec<_>>(), ["profiles", "annotations", "attach", "build"]);
}
