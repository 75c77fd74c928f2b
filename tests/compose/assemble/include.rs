//! `include`.

use super::Bundle;
use insta::assert_snapshot;

#[test]
fn an_included_project_has_its_own_directory_and_variables() {
    let bundle = Bundle::new(
        "=== compose.yaml
include:
  - sub/inc.yaml
  - {path: sub2/a.yaml, project_directory: sub, env_file: [x.env]}
  - {path: [sub2/b.yaml, sub2/b2.yaml], env_file: /dev/null}
services: {web: {image: 'i${FOO}${BAR-}'}}
=== .env
FOO=top
=== x.env
FOO=x
BAR=x
=== sub/.env
FOO=sub
BAR=sub
=== sub/inc.yaml
name: other
x-top: {a: 1}
services:
  inc: {image: 'i${FOO}${BAR}$$', volumes: ['./v:/v', 'vol:/n'], labels: {p: $COMPOSE_PROJECT_NAME}, build: {target: x}}
volumes: {vol: }
=== sub2/.env
BAR=sub2
=== sub2/a.yaml
services: {a: {image: 'i${FOO}${BAR}', volumes: ['./v:/v']}}
=== sub2/b.yaml
services: {b: {image: 'i${FOO}${BAR-}', volumes: ['./v:/v']}}
=== sub2/b2.yaml
services: {b: {dns: 1.1.1.1}}
",
    );
    for (path, expected) in [
        ("services.web.image", "\"itop\""),
        ("services.inc.image", "\"itopsub$$\""),
        ("services.inc.labels.p", "\"demo\""),
        ("services.inc.volumes.0.source", "\"/demo/sub/v\""),
        ("services.inc.build.context", "\"/demo/sub\""),
        ("services.a.image", "\"itopx\""),
        ("services.a.volumes.0.source", "\"/demo/sub/v\""),
        ("services.b.image", "\"itop\""),
        ("services.b.volumes.0.source", "\"/demo/sub2/v\""),
        ("services.b.dns", "[\"1.1.1.1\"]"),
        ("volumes.vol.name", "\"demo_vol\""),
        ("x-top", "null"),
    ] {
        assert_eq!(bundle.value(path), expected, "{path}");
    }
}

#[test]
fn the_including_file_wins_over_what_it_includes_and_an_earlier_include_over_a_later_one() {
    let bundle = Bundle::new(
        "=== compose.yaml
include: [one/c.yaml, two/c.yaml]
services: {web: {image: own, ports: !override ['3:3'], dns: !reset null}}
=== one/c.yaml
services: {web: {image: one, user: one, ports: ['1:1'], dns: 1.1.1.1, volumes: ['./v:/one']}}
networks: {n: {driver: one}}
=== two/c.yaml
services: {web: {image: two, user: two, ports: ['2:2'], dns: 2.2.2.2, volumes: ['./v:/two']}}
networks: {n: {driver: two, internal: true}}
",
    )
    .with(|options| options.all_resources = true);
    for (path, expected) in [
        ("services.web.image", "\"own\""),
        ("services.web.user", "\"one\""),
        ("services.web.ports.0.target", "3"),
        ("services.web.ports.1", "null"),
        ("services.web.dns", "null"),
        ("services.web.volumes.0.source", "\"/demo/two/v\""),
        ("services.web.volumes.1.source", "\"/demo/one/v\""),
        ("networks.n.driver", "\"one\""),
        ("networks.n.internal", "true"),
    ] {
        assert_eq!(bundle.value(path), expected, "{path}");
    }
}

#[test]
fn a_project_that_is_reached_in_two_ways_is_there_once() {
    let bundle = Bundle::new(
        "=== compose.yaml
include: [b.yaml, c.yaml]
=== b.yaml
include: [d.yaml]
=== c.yaml
include: [d.yaml]
=== d.yaml
services: {web: {image: j, security_opt: [a]}}
",
    );
    assert_eq!(bundle.value("services.web.security_opt"), "[\"a\"]");
}

#[test]
fn extends_in_an_included_file_starts_at_its_project_directory() {
    let bundle = Bundle::new(
        "=== compose.yaml
include: [{path: sub/b.yaml, project_directory: pd}]
=== sub/b.yaml
services: {inc: {extends: {service: q, file: f.yaml}}}
=== pd/f.yaml
services: {q: {image: pd, volumes: ['./x:/x']}}
=== sub/f.yaml
services: {q: {image: sub}}
",
    );
    assert_eq!(bundle.value("services.inc.image"), "\"pd\"");
    assert_eq!(bundle.value("services.inc.volumes.0.source"), "\"/demo/pd/x\"");
}

#[test]
fn an_override_file_includes_from_the_project_directory_and_below() {
    let bundle = Bundle::new(
        "=== compose.yaml
services: {web: {image: i}}
=== over.yaml
include: [sub/b.yaml]
=== sub/b.yaml
include: [c/c.yaml]
=== sub/c/c.yaml
services: {deep: {image: 'i${Z}', env_file: [e.env]}}
=== sub/c/e.env
A=1
=== sub/c/.env
Z=z
",
    )
    .files(&["compose.yaml", "over.yaml"]);
    assert_eq!(bundle.value("services.deep.image"), "\"iz\"");
    assert_eq!(bundle.value("services.deep.environment.A"), "\"1\"");
}

#[test]
fn an_included_file_may_be_empty_and_so_may_include() {
    let bundle =
        Bundle::new("=== compose.yaml\ninclude: [b.yaml]\nservices: {web: {image: i}}\n=== b.yaml\n# nothing\n");
    assert_eq!(bundle.value("services.web.image"), "\"i\"");
    let bundle = Bundle::new("=== compose.yaml\ninclude:\nservices: {web: {image: i}}\n");
    assert_eq!(bundle.value("services.web.image"), "\"i\"");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let bundle = Bundle::new(
        "=== compose.yaml
include:
  - nob.yaml
  - {path: b.yaml, env_file: no.env}
  - {env_file: no.env}
  - {pth: b.yaml}
  - 5
  - oci://host/app:1
  - https://example.org/app.git
  - {path: [b.yaml, {}]}
  - broken.yaml
=== b.yaml
services: {web: {image: j}}
=== broken.yaml
services: {web: [
",
    );
    assert_snapshot!(bundle.findings(), @r"
    error: Compose file nob.yaml not found
     --> compose.yaml:2:5
      |
    2 |   - nob.yaml
      |     ^^^^^^^^

    error: env file no.env not found
     --> compose.yaml:3:30
      |
    3 |   - {path: b.yaml, env_file: no.env}
      |                              ^^^^^^

    error: an item of `include` has no `path`
     --> compose.yaml:4:5
      |
    4 |   - {env_file: no.env}
      |     ^^^^^^^^^^^^^^^^^^

    error: `include`: additional properties 'pth' not allowed
     --> compose.yaml:5:6
      |
    5 |   - {pth: b.yaml}
      |      ^^^
      |
      = help: did you mean `path`?

    error: an item of `include` must be a path or a mapping, not the number 5
     --> compose.yaml:6:5
      |
    6 |   - 5
      |     ^

    error: cannot include oci://host/app:1: it is an OCI artifact, not a file of this host
     --> compose.yaml:7:5
      |
    7 |   - oci://host/app:1
      |     ^^^^^^^^^^^^^^^^
      |
      = help: get a copy, and include that

    error: cannot include https://example.org/app.git: it is a git repository, not a file of this host
     --> compose.yaml:8:5
      |
    8 |   - https://example.org/app.git
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: get a copy, and include that

    error: `include.path` must be a string, not a mapping
     --> compose.yaml:9:21
      |
    9 |   - {path: [b.yaml, {}]}
      |                     ^^

    error: invalid YAML: unclosed bracket '['
     --> broken.yaml:1:17
      |
    1 | services: {web: [
      |                 ^
    ");
    assert_snapshot!(Bundle::new("=== compose.yaml\ninclude: b.yaml\n").findings(), @r#"
    error: `include` must be a list, not "b.yaml"
     --> compose.yaml:1:10
      |
    1 | include: b.yaml
      |          ^^^^^^
      |
      = help: write `include: [path]`
    "#);
}

#[test]
fn circles_show_every_hop() {
    let bundle = Bundle::new(
        "=== compose.yaml
include: [b.yaml, compose.yaml]
=== b.yaml
include: [sub/c.yaml]
=== sub/c.yaml
include: [../b.yaml]
",
    );
    assert_snapshot!(bundle.findings(), @r"
    error: include cycle detected: b.yaml includes sub/c.yaml includes b.yaml
     --> sub/c.yaml:1:11
      |
    1 | include: [../b.yaml]
      |           ^^^^^^^^^
      |
     ::: b.yaml:1:11
      |
    1 | include: [sub/c.yaml]
      |           ----------

    error: include cycle detected: compose.yaml includes compose.yaml
     --> compose.yaml:1:19
      |
    1 | include: [b.yaml, compose.yaml]
      |                   ^^^^^^^^^^^^
    ");
}
