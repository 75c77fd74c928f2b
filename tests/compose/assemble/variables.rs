//! Variables: which files they come from, and which text they go into.

use super::Bundle;
use insta::assert_snapshot;

#[test]
fn values_are_resolved_and_keys_are_not() {
    let bundle = Bundle::new(
        "=== compose.yaml
name: ${NAME:-My.Name}
x-any: {deep: ['$A']}
services: {web: {image: 'i$A', labels: {$A: $A, p: $COMPOSE_PROJECT_NAME}, command: ['$$A', 100$, $5]}}
=== .env
A=1
",
    );
    assert_eq!(bundle.value("name"), "\"myname\"");
    assert_eq!(bundle.value("x-any.deep.0"), "\"1\"");
    assert_eq!(bundle.value("services.web.labels.$$A"), "\"1\"");
    assert_eq!(bundle.value("services.web.labels.p"), "\"myname\"");
    assert_eq!(bundle.value("services.web.command"), "[\"$$A\",\"100$$\",\"$$5\"]");
}

#[test]
fn a_value_that_loses_still_warns_and_one_that_is_reset_does_not() {
    let bundle = Bundle::new(
        "=== a.yaml
services: {web: {image: 'i$LOST', ports: ['80']}}
=== b.yaml
services: {web: {image: j, ports: !reset ['$RESET']}}
",
    )
    .files(&["a.yaml", "b.yaml"]);
    assert_snapshot!(bundle.findings(), @r#"
    warning: The "LOST" variable is not set. Defaulting to a blank string.
     --> a.yaml:1:27
      |
    1 | services: {web: {image: 'i$LOST', ports: ['80']}}
      |                           ^^^^^
    "#);
}

#[test]
fn all_that_is_wrong_with_variables_is_said_at_once() {
    let bundle = Bundle::new(
        "=== compose.yaml
services:
  web:
    image: ${EMPTY:?set it}
    command: ${
    user: ${NOPE?}
    labels: {a: '${X!}', b: \"${X\"}
=== .env
EMPTY=
",
    );
    assert_snapshot!(bundle.findings(), @r#"
    error: required variable EMPTY is missing a value: set it
     --> compose.yaml:3:12
      |
    3 |     image: ${EMPTY:?set it}
      |            ^^^^^^^^^^^^^^^^
      |
     ::: .env:1:1
      |
    1 | EMPTY=
      | ------ set to nothing here

    error: invalid interpolation format
     --> compose.yaml:4:14
      |
    4 |     command: ${
      |              ^^
      |
      = help: write `$$` for a dollar that starts no variable

    error: required variable NOPE is missing a value
     --> compose.yaml:5:11
      |
    5 |     user: ${NOPE?}
      |           ^^^^^^^^

    error: invalid interpolation format
     --> compose.yaml:6:18
      |
    6 |     labels: {a: '${X!}', b: "${X"}
      |                  ^^^^^
      |
      = help: write `$$` for a dollar that starts no variable

    error: invalid interpolation format
     --> compose.yaml:6:30
      |
    6 |     labels: {a: '${X!}', b: "${X"}
      |                              ^^^
      |
      = help: write `$$` for a dollar that starts no variable
    "#);
}

#[test]
fn settings_of_the_project_may_stand_in_its_env_file() {
    let bundle = Bundle::new(
        "=== .env
COMPOSE_FILE=a.yaml,sub/b.yaml
COMPOSE_PATH_SEPARATOR=,
COMPOSE_PROJECT_NAME=fromenv
COMPOSE_PROFILES=x,y
=== a.yaml
name: no
services: {web: {image: i}, on: {image: i, profiles: [x]}, off: {image: i, profiles: [z]}}
=== sub/b.yaml
services: {web: {volumes: ['./v:/v']}}
",
    );
    assert_eq!(bundle.value("name"), "\"fromenv\"");
    assert_eq!(bundle.value("services.web.volumes.0.source"), "\"/demo/v\"");
    assert_eq!(bundle.value("services.on.image"), "\"i\"");
    assert_eq!(bundle.value("services.off"), "null");
}

#[test]
fn env_files_that_are_named_replace_the_default_one_and_the_last_one_wins() {
    let files = "=== compose.yaml
services: {web: {image: i, labels: {a: '${A-none} $B $C'}}}
=== .env
A=1
=== x.env
B=x
C=x
=== y.env
C=y$B
";
    let named = Bundle::new(files).with(|options| options.env_files = vec!["x.env".into(), "y.env".into()]);
    assert_eq!(named.value("services.web.labels.a"), "\"none x yx\"");
    let listed = Bundle::new(files)
        .with(|options| drop(options.environment.insert("COMPOSE_ENV_FILES".into(), "x.env,y.env".into())));
    assert_eq!(listed.value("services.web.labels.a"), "\"none x yx\"");
    let off = Bundle::new(files)
        .with(|options| drop(options.environment.insert("COMPOSE_DISABLE_ENV_FILE".into(), "1".into())));
    assert!(off.value("services.web.labels.a").contains("none"));
}

#[test]
fn the_env_file_of_the_working_directory_wins_over_that_of_the_project() {
    let bundle = Bundle::new(
        "=== .env
A=cwd
=== proj/.env
A=proj
B=b$A
=== proj/compose.yaml
services: {web: {image: i, labels: {a: '$A $B'}}}
",
    )
    .files(&["proj/compose.yaml"]);
    assert_eq!(bundle.value("services.web.labels.a"), "\"cwd bcwd\"");
}

#[test]
fn a_remote_file_is_refused_by_name() {
    let bundle = Bundle::new("=== compose.yaml\nservices: {}\n").files(&["oci://host/app:1", "https://x/y.git"]);
    assert_snapshot!(bundle.findings(), @r"
    error: cannot read oci://host/app:1: it is an OCI artifact, not a file of this host
     |
     = help: get a copy, and name that

    error: cannot read https://x/y.git: it is a git repository, not a file of this host
     |
     = help: get a copy, and name that
    ");
}

#[test]
fn an_anchor_with_a_variable_in_it_is_resolved_once_for_all_its_aliases() {
    let bundle = Bundle::new(
        "=== compose.yaml
x-env: &env {A: $A, B: '${B:-b}'}
services:
  one: {image: i, environment: *env}
  two: {image: i, environment: {<<: *env, B: own}}
=== .env
A=1
",
    );
    assert_eq!(bundle.value("services.one.environment"), "{\"A\":\"1\",\"B\":\"b\"}");
    assert_eq!(bundle.value("services.two.environment"), "{\"A\":\"1\",\"B\":\"own\"}");
}
