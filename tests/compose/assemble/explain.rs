//! `explain`: where a value comes from.

use super::Bundle;
use insta::assert_snapshot;
use muster::compose::explain;

const FILES: &str = "=== compose.yaml
include: [sub/inc.yaml]
services:
  web:
    image: nginx:${TAG:-latest}
    environment:
      LOG_LEVEL: info
      HOME_OF: ${HOST}
    ports: ['${PORT}:80']
    depends_on: [db]
    env_file: [x.env]
    labels: {com.example.a: '1'}
  db: {extends: {file: sub/base.yaml, service: db}, image: 'pg:$NOPE'}
  off: {image: x, profiles: [never]}
=== compose.override.yaml
services:
  web:
    environment: ['LOG_LEVEL=${LEVEL}']
    image: mine
    volumes: [./b:/b]
=== sub/base.yaml
services: {db: {image: 'base:${TAG-x}', volumes: ['./d:/d']}}
=== sub/inc.yaml
services: {web: {image: included, hostname: h}}
=== .env
LEVEL=debug
PORT=8080
=== x.env
# a file of the service
FROM_FILE=1
";

impl Bundle {
    fn explained(&self, path: &str) -> String {
        match explain(&self.options, path) {
            Ok((explanation, _)) => self.anonymous(&explanation.to_text()),
            Err(findings) => {
                let text = self.anonymous(&findings.render(false));
                text.split("\n\n").filter(|finding| finding.starts_with("error")).collect::<Vec<_>>().join("\n\n")
            }
        }
    }
}

fn explained(path: &str) -> String {
    let bundle = Bundle::new(FILES).with(|options| drop(options.environment.insert("HOST".into(), "box".into())));
    bundle.explained(path)
}

#[test]
fn an_override_a_variable_and_its_env_file() {
    assert_snapshot!(explained("services.web.environment"), @r#"
    services.web.environment.FROM_FILE: 1
      implied by an env file of the service, at x.env:2:1: FROM_FILE=1

    services.web.environment.LOG_LEVEL: debug
      compose.override.yaml:3:19: environment: ['LOG_LEVEL=${LEVEL}']
      LEVEL is "debug": .env:1:1: LEVEL=debug
      replaces info: compose.yaml:6:18: LOG_LEVEL: info

    services.web.environment.HOME_OF: box
      compose.yaml:7:16: HOME_OF: ${HOST}
      HOST is "box" in the environment
    "#);
}

#[test]
fn includes_and_overrides_in_the_order_in_which_they_win() {
    assert_snapshot!(explained("services.web.image"), @r#"
    services.web.image: mine
      compose.override.yaml:4:12: image: mine
      replaces nginx:latest: compose.yaml:4:12: image: nginx:${TAG:-latest}
        TAG is "latest" as the reference says
      replaces included: sub/inc.yaml:1:25: services: {web: {image: included, hostname: h}}
    "#);
}

#[test]
fn a_base_that_is_extended() {
    assert_snapshot!(explained("services.db.image"), @r#"
    services.db.image: pg:
      compose.yaml:12:60: db: {extends: {file: sub/base.yaml, service: db}, image: 'pg:$NOPE'}
      NOPE is not set
      replaces base:x: sub/base.yaml:1:24: services: {db: {image: 'base:${TAG-x}', volumes: ['./d:/d']}}
        TAG is "x" as the reference says
    "#);
}

#[test]
fn parts_of_a_short_form_and_what_it_implies() {
    assert_snapshot!(explained("services.web.ports[0]"), @r#"
    services.web.ports[0].mode: ingress
      implied by the default, at compose.yaml:8:13: ports: ['${PORT}:80']

    services.web.ports[0].target: 80
      compose.yaml:8:13: ports: ['${PORT}:80']
      PORT is "8080": .env:2:1: PORT=8080

    services.web.ports[0].published: 8080
      compose.yaml:8:13: ports: ['${PORT}:80']
      PORT is "8080": .env:2:1: PORT=8080

    services.web.ports[0].protocol: tcp
      implied by the default, at compose.yaml:8:13: ports: ['${PORT}:80']
    "#);
    assert_eq!(explained("services.web.ports.0.target"), explained("services.web.ports[0].target"));
}

#[test]
fn keys_with_dots_items_by_name_and_services_that_are_off() {
    assert_snapshot!(explained("services.web.labels.com.example.a"), @r"
    services.web.labels.com.example.a: 1
      compose.yaml:11:29: labels: {com.example.a: '1'}
    ");
    assert!(explained("services.web.volumes./b.source").starts_with("services.web.volumes[0].source: /demo/b\n"));
    assert!(explained("services.off.image").starts_with("services.off.image: x\n"));
}

#[test]
fn what_nobody_says() {
    assert_snapshot!(explained("networks.default"), @r"
    networks.default.name: demo_default
      implied by the name of a resource: that of the project, `_` and its key; of an external one its key, at compose.override.yaml:1:1: services:
    ");
}

#[test]
fn a_path_to_nowhere_names_the_nearest_place() {
    let paths =
        ["services.web.imge", "web.image", "servces", "services.web.ports[3]", "services.web.image.x", "nope.a"];
    assert_snapshot!(paths.map(explained).join("\n\n"), @r#"
    error: there is no `services.web.imge`
     |
     = help: did you mean `services.web.image`?

    error: there is no `web.image`
     |
     = help: did you mean `services.web.image`?

    error: there is no `servces`
     |
     = help: did you mean `services`?

    error: there is no `services.web.ports[3]`
     --> compose.yaml:8:12
      |
    8 |     ports: ['${PORT}:80']
      |            ^^^^^^^^^^^^^^
      |
      = help: `services.web.ports` has 1 item

    error: there is no `services.web.image.x`
     --> compose.override.yaml:4:12
      |
    4 |     image: mine
      |            ^^^^
      |
      = help: `services.web.image` is the string "mine", with nothing below it

    error: there is no `nope.a`
     |
     = help: the top level has `services`, `name`, `networks`
    "#);
}

#[test]
fn without_a_path_everything_is_told_up_to_a_bound() {
    let all = explained("");
    assert!(all.contains("services.web.environment.LOG_LEVEL: debug\n") && all.contains("networks.default.name"));
    let many: String = (0..1000).map(|i| format!("  s{i}: {{image: x}}\n")).collect();
    let text = Bundle::new(&format!("=== compose.yaml\nservices:\n{many}")).explained("services");
    assert!(text.ends_with("more values; name a longer path to see them\n"), "{text}");
}

#[test]
fn the_form_for_machines_says_the_same() {
    let bundle = Bundle::new(FILES);
    let (explanation, _) = explain(&bundle.options, "services.web.environment.LOG_LEVEL").unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&explanation).unwrap(), @r#"
    {
      "values": [
        {
          "path": "services.web.environment.LOG_LEVEL",
          "value": "debug",
          "place": {
            "file": "compose.override.yaml",
            "line": 3,
            "column": 19,
            "text": "environment: ['LOG_LEVEL=${LEVEL}']"
          },
          "variables": [
            {
              "name": "LEVEL",
              "value": "debug",
              "origin": "env_file",
              "place": {
                "file": ".env",
                "line": 1,
                "column": 1,
                "text": "LEVEL=debug"
              }
            }
          ],
          "replaced": [
            {
              "value": "info",
              "place": {
                "file": "compose.yaml",
                "line": 6,
                "column": 18,
                "text": "LOG_LEVEL: info"
              }
            }
          ]
        }
      ],
      "more": 0
    }
    "#);
}

#[test]
fn an_error_in_a_value_says_which_variable_brought_it_and_who_set_it() {
    let bundle = Bundle::new(
        "=== compose.yaml
services:
  web:
    image: i
    ports: ['${PORT}:80']
    stop_grace_period: ${A}${B}
    mem_limit: ${MEM:-lots}
=== .env
PORT=abc
A=1
",
    )
    .with(|options| drop(options.environment.insert("B".into(), "parsec".into())));
    assert_snapshot!(bundle.findings(), @r#"
    error: `services.web.ports[0]` is no port: Invalid hostPort: abc
     --> compose.yaml:4:14
      |
    4 |     ports: ['${PORT}:80']
      |              ^^^^^^^
      |
     ::: .env:1:1
      |
    1 | PORT=abc
      | -------- PORT is "abc" here
      |
      = help: write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`

    error: `services.web.stop_grace_period` is no duration: an unknown unit in "1parsec"
     --> compose.yaml:5:24
      |
    5 |     stop_grace_period: ${A}${B}
      |                        ^^^^^^^^
      |
     ::: .env:2:1
      |
    2 | A=1
      | --- A is "1" here
      |
      = help: durations look like `1m30s`, `500ms` or `2h`
      = help: B is "parsec" in the environment

    error: `services.web.mem_limit` must be a size, not the string "lots"
     --> compose.yaml:6:16
      |
    6 |     mem_limit: ${MEM:-lots}
      |                ^^^^^^^^^^^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`
    "#);
}
