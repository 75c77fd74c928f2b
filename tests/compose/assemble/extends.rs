//! `extends`.

use super::Bundle;
use insta::assert_snapshot;

#[test]
fn a_chain_over_files_keeps_each_path_where_it_was_said() {
    let bundle = Bundle::new(
        "=== compose.yaml
services:
  web: {extends: {file: sub/b.yaml, service: base}, volumes: ['./v:/v']}
  x: {image: x}
networks: {n: }
=== sub/b.yaml
services:
  base: {extends: {file: deep/c.yaml, service: base}, volumes: ['./w:/w'], networks: [n], depends_on: [x]}
=== sub/deep/c.yaml
services:
  base: {image: i, env_file: e.env, volumes: ['./u:/u'], command: '${FOO:-deep}', build: {dockerfile: D}}
=== sub/deep/e.env
A=1
=== sub/.env
FOO=sub
=== .env
FOO=top
",
    );
    for (path, expected) in [
        ("services.web.volumes.0.source", "\"/demo/sub/deep/u\""),
        ("services.web.volumes.1.source", "\"/demo/sub/w\""),
        ("services.web.volumes.2.source", "\"/demo/v\""),
        ("services.web.environment.A", "\"1\""),
        ("services.web.command.0", "\"top\""),
        ("services.web.build.context", "\"/demo\""),
        ("services.web.depends_on.x.condition", "\"service_started\""),
        ("services.web.networks", "{\"n\":null}"),
    ] {
        assert_eq!(bundle.value(path), expected, "{path}");
    }
}

#[test]
fn a_file_of_many_documents_is_extended_as_one() {
    let bundle = Bundle::new(
        "=== compose.yaml
services: {a: {extends: {service: b, file: b.yaml}}}
=== b.yaml
include: [not-looked-at.yaml]
services: {b: {image: i, ports: ['1:1']}, other: {imgae: wrong}}
---
services: {b: {ports: !reset null, dns: 1.1.1.1}}
",
    );
    assert_eq!(bundle.value("services.a.dns"), "[\"1.1.1.1\"]");
    assert_eq!(bundle.value("services.a.ports"), "null");
}

#[test]
fn what_is_reset_and_overridden_takes_from_the_base_and_from_earlier_files() {
    let bundle = Bundle::new(
        "=== a.yaml
services: {web: {image: old, ports: ['9:9'], cap_add: [A]}}
=== b.yaml
services:
  web: {extends: base, ports: !override ['3:3'], cap_add: !reset null, command: !reset null}
  base: {image: new, ports: ['1:1'], cap_add: [B], command: x}
",
    )
    .files(&["a.yaml", "b.yaml"]);
    assert_eq!(bundle.value("services.web.image"), "\"new\"");
    assert_eq!(bundle.value("services.web.ports.0.target"), "3");
    assert_eq!(bundle.value("services.web.ports.1"), "null");
    assert_eq!(bundle.value("services.web.cap_add"), "null");
    assert_eq!(bundle.value("services.web.command"), "null");
}

#[test]
fn an_included_service_can_be_extended() {
    let bundle = Bundle::new(
        "=== compose.yaml
include: [sub/b.yaml]
services: {web: {extends: inc}}
=== sub/b.yaml
services: {inc: {image: j, volumes: ['./v:/v']}}
",
    );
    assert_eq!(bundle.value("services.web.volumes.0.source"), "\"/demo/sub/v\"");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let bundle = Bundle::new(
        "=== compose.yaml
services:
  base: {image: i}
  a: {extends: bas}
  b: {extends: {service: x, file: o.yaml}}
  c: {extends: {servce: x}}
  d: {extends: {file: o.yaml}}
  e: {extends: {file: 'oci://host/app', service: y}}
  f: {extends: {file: none.yaml, service: y}}
  g: {extends: {file: o.yaml, service: y}}
  h: {extends: {file: empty.yaml, service: y}}
  i: {extends: [y]}
  j: {extends: {file: o.yaml, service: base}}
  k: {extends: {file: '.', service: base}}
=== o.yaml
services: {y: {image: i}}
=== empty.yaml
# nothing
",
    );
    assert_snapshot!(bundle.findings(), @r#"
    error: cannot extend service "a" in compose.yaml: service "bas" not found
     --> compose.yaml:3:16
      |
    3 |   a: {extends: bas}
      |                ^^^
      |
      = help: did you mean `base`?

    error: cannot extend service "b" in compose.yaml: service "x" not found in o.yaml
     --> compose.yaml:4:26
      |
    4 |   b: {extends: {service: x, file: o.yaml}}
      |                          ^
      |
      = help: did you mean `y`?

    error: `services.c.extends`: additional properties 'servce' not allowed
     --> compose.yaml:5:17
      |
    5 |   c: {extends: {servce: x}}
      |                 ^^^^^^
      |
      = help: did you mean `service`?

    error: extends.d.service is required
     --> compose.yaml:6:16
      |
    6 |   d: {extends: {file: o.yaml}}
      |                ^^^^^^^^^^^^^^

    error: cannot extend service "e": oci://host/app is an OCI artifact, not a file of this host
     --> compose.yaml:7:23
      |
    7 |   e: {extends: {file: 'oci://host/app', service: y}}
      |                       ^^^^^^^^^^^^^^^^
      |
      = help: get a copy, and extend that

    error: Compose file none.yaml not found
     --> compose.yaml:8:23
      |
    8 |   f: {extends: {file: none.yaml, service: y}}
      |                       ^^^^^^^^^

    error: cannot extend service "h" in empty.yaml: no services section
      --> compose.yaml:10:23
       |
    10 |   h: {extends: {file: empty.yaml, service: y}}
       |                       ^^^^^^^^^^
       |
       = help: the file is empty

    error: `services.i.extends` must be the name of a service or a mapping, not a list
      --> compose.yaml:11:16
       |
    11 |   i: {extends: [y]}
       |                ^^^

    error: cannot extend service "j" in compose.yaml: service "base" not found in o.yaml
      --> compose.yaml:12:40
       |
    12 |   j: {extends: {file: o.yaml, service: base}}
       |                                        ^^^^
       |
       = help: compose.yaml has a `base`: without `file`, that is extended

    error: cannot read Compose file : it is a directory
      --> compose.yaml:13:23
       |
    13 |   k: {extends: {file: '.', service: base}}
       |                       ^^^
    "#);
}

#[test]
fn circles_show_every_hop() {
    let bundle = Bundle::new(
        "=== compose.yaml
services:
  a: {extends: b}
  b: {extends: {service: c, file: sub/c.yaml}}
  own: {extends: own}
=== sub/c.yaml
services: {c: {extends: {service: a, file: ../compose.yaml}}}
",
    );
    assert_snapshot!(bundle.findings(), @r"
    error: Circular reference: c in sub/c.yaml, extends a in compose.yaml, extends b in compose.yaml, extends c in sub/c.yaml
     --> sub/c.yaml:1:25
      |
    1 | services: {c: {extends: {service: a, file: ../compose.yaml}}}
      |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: compose.yaml:2:16
      |
    2 |   a: {extends: b}
      |                -
    3 |   b: {extends: {service: c, file: sub/c.yaml}}
      |                ------------------------------

    error: Circular reference: own in compose.yaml, extends own in compose.yaml
     --> compose.yaml:4:18
      |
    4 |   own: {extends: own}
      |                  ^^^
    ");
}

#[test]
fn kinds_that_do_not_fit_name_both_files() {
    let bundle = Bundle::new(
        "=== compose.yaml
services: {web: {extends: {file: base.yaml, service: web}, ports: {a: b}}}
=== base.yaml
services: {web: {image: i, ports: ['80:80']}}
",
    );
    assert_snapshot!(bundle.findings(), @r"
    error: cannot override `services.web.ports`: a mapping in place of a list
     --> compose.yaml:1:67
      |
    1 | services: {web: {extends: {file: base.yaml, service: web}, ports: {a: b}}}
      |                                                                   ^^^^^^
      |
     ::: base.yaml:1:35
      |
    1 | services: {web: {image: i, ports: ['80:80']}}
      |                                   --------- overrides this
      |
      = help: `!override` replaces a value as a whole
    ");
}
