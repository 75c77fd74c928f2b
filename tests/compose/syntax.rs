//! YAML that is none, and shapes that are no Compose file.

use crate::{Files, refused};
use insta::assert_snapshot;

#[test]
fn an_unclosed_list() {
    assert_snapshot!(refused("services:\n  web:\n    image: nginx\n    ports: [80, 443\n"), @r"
    error: invalid YAML: unclosed bracket '['
     --> compose.yaml:4:12
      |
    4 |     ports: [80, 443
      |            ^
    ");
}

#[test]
fn a_tab_for_indentation() {
    assert_snapshot!(refused("services:\n  web:\n\timage: nginx\n"), @r"
    error: invalid YAML: tabs disallowed within this context (block indentation)
     --> compose.yaml:3:2
      |
    3 |     image: nginx
      |     ^
      |
      = help: YAML indents with spaces; tabs are not allowed
    ");
}

#[test]
fn an_unclosed_quote() {
    assert_snapshot!(refused("services:\n  web:\n    image: \"nginx\n"), @r#"
    error: invalid YAML: unclosed quote
     --> compose.yaml:3:12
      |
    3 |     image: "nginx
      |            ^
    "#);
}

#[test]
fn a_colon_too_many() {
    assert_snapshot!(refused("services:\n  web:\n    image: nginx: latest\n"), @r"
    error: invalid YAML: mapping values are not allowed in this context
     --> compose.yaml:3:17
      |
    3 |     image: nginx: latest
      |                 ^
    ");
}

#[test]
fn a_key_twice() {
    assert_snapshot!(refused("services:\n  web:\n    image: a\n    init: true\n    image: b\n"), @r"
    error: duplicate key `image`
     --> compose.yaml:5:5
      |
    3 |     image: a
      |     ----- first set here
    4 |     init: true
    5 |     image: b
      |     ^^^^^
    ");
}

#[test]
fn an_unknown_anchor() {
    assert_snapshot!(refused("services:\n  web:\n    <<: *base\n    image: nginx\n"), @r"
    error: unknown anchor `base`
     --> compose.yaml:3:9
      |
    3 |     <<: *base
      |         ^^^^^
    ");
}

#[test]
fn an_anchor_inside_of_itself() {
    assert_snapshot!(refused("services: &all\n  web: *all\n"), @r"
    error: an alias inside of its own anchor
     --> compose.yaml:2:8
      |
    2 |   web: *all
      |        ^^^^
    ");
}

#[test]
fn an_alias_bomb() {
    let line = |i: usize| match i {
        0 => "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
        _ => format!("x-{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")),
    };
    assert_snapshot!(refused(&(0..20).map(line).collect::<String>()), @r"
    error: too much data
     --> compose.yaml:6:16
      |
    6 | x-5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
      |                ^^^ more than 250000 values up to here
      |
      = help: aliases count with all that they stand for
    ");
}

#[test]
fn an_empty_file() {
    assert_snapshot!(refused("# nothing\n"), @r"
    error: empty compose file: /demo/compose.yaml
    ");
}

#[test]
fn an_empty_file_with_a_warning() {
    assert_snapshot!(refused("!mine\n"), @r"
    warning: the tag `!mine` has no meaning here
     --> compose.yaml:1:6
      |
    1 | !mine
      |      ^
      |
      = help: Compose knows `!reset` and `!override`

    error: empty compose file: /demo/compose.yaml
    ");
}

#[test]
fn a_list_at_the_top() {
    assert_snapshot!(refused("- services\n"), @r"
    error: the top level must be a mapping, not a list
     --> compose.yaml:1:1
      |
    1 | - services
      | ^^^^^^^^^^
      |
      = help: it holds `services:` and its like
    ");
}

#[test]
fn a_number_as_a_key() {
    assert_snapshot!(refused("services:\n  1: {image: nginx}\n"), @r"
    error: a key must be a string, not the number 1
     --> compose.yaml:2:3
      |
    2 |   1: {image: nginx}
      |   ^
      |
      = help: quote it
    ");
}

#[test]
fn a_file_that_is_not_utf8() {
    assert_snapshot!(Files::new("").file("compose.yaml", b"services:\n  web: {image: caf\xe9}\n").refused(), @r"
    error: Compose file /demo/compose.yaml is not UTF-8
     --> compose.yaml:2:19
      |
    2 |   web: {image: caf�}
      |                   ^ here the text ends
    ");
}

#[test]
fn a_file_that_is_not_text() {
    assert_snapshot!(Files::new("").file("compose.yaml", b"\x7fELF\0\0\0").refused(), @r"
    error: Compose file /demo/compose.yaml is not a text file
    ");
}

#[test]
fn a_nul_in_a_value() {
    assert_snapshot!(refused("services:\n  web: {image: \"a\\0b\"}\n"), @r#"
    error: a text cannot hold a NUL
     --> compose.yaml:2:16
      |
    2 |   web: {image: "a\0b"}
      |                ^^^^^^
    "#);
}

#[test]
fn errors_of_several_files_come_together() {
    let files =
        Files::new("services: [\n").file("compose.override.yml", "services:\n  web: *x\n").file(".env", "# fine\n");
    assert_snapshot!(files.refused(), @r"
    error: invalid YAML: unclosed bracket '['
     --> compose.yaml:1:11
      |
    1 | services: [
      |           ^

    error: unknown anchor `x`
     --> compose.override.yml:2:8
      |
    2 |   web: *x
      |        ^^
    ");
}

#[test]
fn services_that_are_no_mapping() {
    assert_snapshot!(refused("services:\n  - web\n"), @r"
    error: `services` must be a mapping, not a list
     --> compose.yaml:2:3
      |
    2 |   - web
      |   ^^^^^
    ");
}

#[test]
fn a_service_without_anything() {
    assert_snapshot!(refused("services:\n  web:\n  db: {image: postgres}\n"), @r"
    error: `services.web` must be a mapping, not nothing
     --> compose.yaml:2:6
      |
    2 |   web:
      |      ^
      |
      = help: take the attribute out, or write `{}`
    ");
}

#[test]
fn an_unknown_section() {
    assert_snapshot!(refused("servces:\n  web: {image: nginx}\nvolume: {}\n"), @r"
    error: unknown attribute `servces` at the top level
     --> compose.yaml:1:1
      |
    1 | servces:
      | ^^^^^^^
      |
      = help: did you mean `services`?

    error: unknown attribute `volume` at the top level
     --> compose.yaml:3:1
      |
    3 | volume: {}
      | ^^^^^^
      |
      = help: did you mean `volumes`?
    ");
}

#[test]
fn a_name_of_a_service_that_is_none() {
    assert_snapshot!(refused("services:\n  my web: {image: nginx}\n"), @r"
    error: `my web` is no name for one of `services`
     --> compose.yaml:2:3
      |
    2 |   my web: {image: nginx}
      |   ^^^^^^
      |
      = help: names are made of letters, digits, `.`, `_` and `-`
    ");
}
