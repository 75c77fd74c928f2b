//! Files, variables, names, profiles.

use crate::{Files, refused};
use insta::assert_snapshot;
use muster::compose::{LoadOptions, Purpose, load, resolve_name};
use std::path::PathBuf;

const ONE: &str = "services: {web: {image: nginx}}\n";

fn names<T>(map: &indexmap::IndexMap<String, T>) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

#[test]
fn nothing_to_load() {
    let empty = tempfile::tempdir().unwrap();
    let options = LoadOptions { cwd: empty.path().to_owned(), ..LoadOptions::default() };
    let message = load(&options).unwrap_err().render(false).replace(&*empty.path().to_string_lossy(), "/demo");
    assert_snapshot!(message, @r"
    error: no configuration file provided: not found
     |
     = help: looked for compose.yaml, compose.yml, docker-compose.yml, docker-compose.yaml in /demo and above
    ");
}

#[test]
fn files_that_are_named_must_be_there() {
    let files =
        Files::new(ONE).with(|options| options.files = vec!["a.yaml".into(), "compose.yaml".into(), ".".into()]);
    assert_snapshot!(files.refused(), @r"
    error: Compose file /demo/a.yaml not found

    error: cannot read Compose file /demo: it is a directory
    ");
    let files = Files::new(ONE).with(|options| options.env_files = vec!["a.env".into()]);
    assert_snapshot!(files.refused(), @r"
    error: env file /demo/a.env not found
    ");
}

#[test]
fn a_file_is_found_from_below_and_its_directory_is_the_project_s() {
    let files = Files::new(ONE).file("sub/dir/x", "").file("compose.override.yaml", "services: {web: {init: true}}\n");
    let cwd = files.path().join("sub/dir");
    let files = files.with(|options| options.cwd = cwd);
    let project = files.load().project;
    assert_eq!(project.name, "demo");
    assert_eq!(project.working_dir, files.path());
    assert_eq!(project.config_files, [files.path().join("compose.yaml"), files.path().join("compose.override.yaml")]);
    assert!(project.services["web"].init);
}

#[test]
fn several_files_of_one_kind_are_told_of() {
    let files = Files::new(ONE).file("docker-compose.yml", "services: {old: {image: old}}\n");
    assert_snapshot!(files.warnings(), @r"
    warning: /demo holds several Compose files: using compose.yaml, not docker-compose.yml
    ");
}

#[test]
fn compose_file_names_the_files_and_f_beats_it() {
    let files = Files::new(ONE)
        .file("a/a.yaml", "services: {a: {image: a, volumes: [./x:/x]}}\n")
        .file("b.yaml", "services: {b: {image: b, volumes: [./x:/x]}}\n")
        .file(".env", "COMPOSE_FILE=a/a.yaml,b.yaml\nCOMPOSE_PATH_SEPARATOR=,\n");
    let project = files.load().project;
    assert_eq!(names(&project.services), ["a", "b"]);
    assert_eq!(project.name, "a");
    assert_eq!(project.working_dir, files.path().join("a"));
    let files = files.with(|options| options.files = vec![PathBuf::from("compose.yaml")]);
    assert_eq!(names(&files.load().project.services), ["web"]);
}

#[test]
fn names_come_from_flag_then_environment_then_file_then_directory() {
    let name = |files: &Files| {
        let loaded = files.load();
        assert_eq!(loaded.environment["COMPOSE_PROJECT_NAME"], loaded.project.name);
        assert_eq!(resolve_name(&files.options).unwrap(), loaded.project.name);
        loaded.project.name
    };
    let files = Files::new("name: ${WHO:-From}-File\nservices: {web: {image: nginx}}\n");
    assert_eq!(name(&files), "from-file");
    let files = files.file(".env", "COMPOSE_PROJECT_NAME=fromenv\n");
    assert_eq!(name(&files), "fromenv");
    let files = files.variable("COMPOSE_PROJECT_NAME", "fromos");
    assert_eq!(name(&files), "fromos");
    let files = files.with(|options| options.project_name = Some("fromflag".into()));
    assert_eq!(name(&files), "fromflag");
    assert_eq!(name(&Files::new(ONE)), "demo");
}

#[test]
fn a_name_needs_no_file_where_it_is_given() {
    let empty = tempfile::tempdir().unwrap();
    let mut options = LoadOptions { cwd: empty.path().to_owned(), ..LoadOptions::default() };
    assert!(resolve_name(&options).is_err());
    options.project_name = Some("x".into());
    assert_eq!(resolve_name(&options).unwrap(), "x");
}

#[test]
fn names_that_are_none() {
    let flag = |name: &str| {
        let name = name.to_owned();
        Files::new(ONE).with(|options| options.project_name = Some(name)).refused()
    };
    assert_snapshot!(flag("My App"), @r#"
    error: invalid project name "My App": must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number
     |
     = help: it comes from -p
     = help: `myapp` would do
    "#);
    assert_snapshot!(flag(""), @r"
    error: project name must not be empty
    ");
    assert_snapshot!(Files::new(ONE).variable("COMPOSE_PROJECT_NAME", "_x").refused(), @r#"
    error: invalid project name "_x": must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number
     |
     = help: it comes from COMPOSE_PROJECT_NAME
     = help: `x` would do
    "#);
    assert_snapshot!(refused("name: '-_-'\nservices: {web: {image: nginx}}\n"), @r#"
    error: invalid project name "-_-": no letter or digit is in it
     --> compose.yaml:1:7
      |
    1 | name: '-_-'
      |       ^^^^^
    "#);
    assert_snapshot!(refused("name: [a]\nservices: {web: {image: nginx}}\n"), @r"
    error: `name` must be a string, not a list
     --> compose.yaml:1:7
      |
    1 | name: [a]
      |       ^^^
    ");
}

#[test]
fn variables_that_are_missing() {
    assert_snapshot!(refused("services:\n  web:\n    image: nginx:${TAG:?set TAG in .env}\n    user: ${USER_ID?}\n    command: ${1}\n    labels: {a: \"$${fine} ${not\"}\n"), @r#"
    error: required variable TAG is missing a value: set TAG in .env
     --> compose.yaml:3:18
      |
    3 |     image: nginx:${TAG:?set TAG in .env}
      |                  ^^^^^^^^^^^^^^^^^^^^^^^

    error: required variable USER_ID is missing a value
     --> compose.yaml:4:11
      |
    4 |     user: ${USER_ID?}
      |           ^^^^^^^^^^^

    error: invalid interpolation format
     --> compose.yaml:5:14
      |
    5 |     command: ${1}
      |              ^^^^
      |
      = help: write `$$` for a dollar that starts no variable

    error: invalid interpolation format
     --> compose.yaml:6:27
      |
    6 |     labels: {a: "$${fine} ${not"}
      |                           ^^^^^
      |
      = help: write `$$` for a dollar that starts no variable
    "#);
    assert_snapshot!(Files::new("services:\n  web:\n    image: nginx:1${A}\n    environment: {B: $B, C: $B}\n").warnings(), @r#"
    warning: The "A" variable is not set. Defaulting to a blank string.
     --> compose.yaml:3:19
      |
    3 |     image: nginx:1${A}
      |                   ^^^^

    warning: The "B" variable is not set. Defaulting to a blank string.
     --> compose.yaml:4:22
      |
    4 |     environment: {B: $B, C: $B}
      |                      ^^
    "#);
}

#[test]
fn a_version_is_told_of() {
    assert_snapshot!(Files::new("version: '3.8'\nservices: {web: {image: nginx}}\n").warnings(), @r"
    warning: `version` is obsolete and has no effect
     --> compose.yaml:1:1
      |
    1 | version: '3.8'
      | ^^^^^^^
      |
      = help: remove it
    ");
}

#[test]
fn env_files_replace_the_default_one_and_the_environment_wins() {
    let files = Files::new("services: {web: {image: nginx, environment: [A, B, C, D]}}\n")
        .file(".env", "A=default\nD=default\n")
        .file("one.env", "A=one\nB=one\nC=one\n")
        .file("two.env", "B=two\n")
        .variable("C", "os")
        .with(|options| options.env_files = vec!["one.env".into(), "two.env".into()]);
    let loaded = files.load();
    let environment: Vec<String> =
        loaded.project.services["web"].environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(environment, ["A=one", "B=two", "C=os"]);
    assert_eq!(loaded.project.environment_files, [files.path().join("one.env"), files.path().join("two.env")]);
    let listed = files.with(|options| options.env_files.clear()).variable("COMPOSE_ENV_FILES", "two.env");
    assert_eq!(listed.load().project.services["web"].environment["B"], "two");
    let none = listed.variable("COMPOSE_ENV_FILES", "").variable("COMPOSE_DISABLE_ENV_FILE", "1");
    assert_eq!(none.load().project.services["web"].environment.len(), 1);
}

#[test]
fn the_env_file_of_the_working_directory_wins_over_that_of_the_project_directory() {
    let files = Files::new("services: {web: {image: nginx, environment: [A, B]}}\n")
        .file(".env", "A=project\nB=project\n")
        .file("sub/.env", "A=cwd\n");
    let cwd = files.path().join("sub");
    let environment = files.with(|options| options.cwd = cwd).load().project.services["web"].environment.clone();
    assert_eq!((environment["A"].as_str(), environment["B"].as_str()), ("cwd", "project"));
}

#[test]
fn profiles_switch_services_on() {
    let text = "services:\n  a: {image: a}\n  b: {image: b, profiles: [dev], depends_on: [a]}\n  c: {image: c, profiles: [dev, test], volumes: ['cc:/c']}\nvolumes: {cc: }\n";
    let on = |change: &dyn Fn(&mut LoadOptions)| {
        let project = Files::new(text).with(|options| change(options)).load().project;
        assert_eq!(project.services.len() + project.disabled_services.len(), 3);
        assert_eq!(project.volumes.len(), usize::from(project.services.contains_key("c")));
        names(&project.services).join(" ")
    };
    assert_eq!(on(&|_| {}), "a");
    assert_eq!(on(&|options| options.profiles = vec!["test".into()]), "a c");
    assert_eq!(on(&|options| options.profiles = vec!["*".into()]), "a b c");
    assert_eq!(on(&|options| options.services = vec!["b".into()]), "a b c");
    assert_eq!(on(&|options| drop(options.environment.insert("COMPOSE_PROFILES".into(), "x, test".into()))), "a c");
}

#[test]
fn a_dependency_that_is_off_and_not_required_is_none() {
    let text = "services:\n  a: {image: a, depends_on: {b: {condition: service_started, required: false}}}\n  b: {image: b, profiles: [dev]}\n";
    assert!(Files::new(text).load().project.services["a"].depends_on.is_empty());
    let on = Files::new(text).with(|options| options.profiles = vec!["dev".into()]);
    assert_eq!(names(&on.load().project.services["a"].depends_on), ["b"]);
}

#[test]
fn networks_and_volumes_have_real_names_and_the_unused_are_left_out() {
    let files = Files::new(
        "services:\n  a: {image: a, volumes: ['data:/d', 'ext:/e'], networks: [n, default]}\n  b: {image: b}\n  h: {image: h, network_mode: host}\nnetworks: {n: {name: real}, unused: }\nvolumes: {data: , ext: {external: true}, unused: }\n",
    );
    let project = files.load().project;
    let networks: Vec<String> = project.networks.iter().map(|(k, n)| format!("{k}={}", n.name)).collect();
    assert_eq!(networks, ["n=real", "default=demo_default"]);
    let volumes: Vec<String> = project.volumes.iter().map(|(k, v)| format!("{k}={} {}", v.name, v.external)).collect();
    assert_eq!(volumes, ["data=demo_data false", "ext=ext true"]);
    assert_eq!(names(&project.services["b"].networks), ["default"]);
    assert!(project.services["h"].networks.is_empty());
}

#[test]
fn verbs_that_only_need_names_do_without_the_files_of_services() {
    let files =
        Files::new("services: {web: {image: nginx, env_file: gone.env, secrets: [s]}}\nsecrets: {s: {file: ./gone}}\n");
    assert_ne!(files.refused(), "accepted");
    assert_eq!(files.with(|options| options.purpose = Purpose::Look).refused(), "accepted");
}

#[test]
fn what_was_overridden_is_shown_in_its_own_file() {
    let files = Files::new("services:\n  web:\n    image: nginx\n    ports: ['80:80']\n")
        .file("compose.override.yaml", "services:\n  web:\n    mem_limit: much\n    ports: {a: b}\n");
    assert_snapshot!(files.refused(), @r"
    error: cannot override `services.web.ports`: a mapping in place of a list
     --> compose.override.yaml:4:12
      |
    4 |     ports: {a: b}
      |            ^^^^^^
      |
     ::: compose.yaml:4:12
      |
    4 |     ports: ['80:80']
      |            --------- overrides this
      |
      = help: `!override` replaces a value as a whole
    ");
    let files = files.file("compose.override.yaml", "services:\n  web:\n    mem_limit: much\n");
    assert_snapshot!(files.refused(), @r#"
    error: `services.web.mem_limit` must be a size, not "much"
     --> compose.override.yaml:3:16
      |
    3 |     mem_limit: much
      |                ^^^^
      |
      = help: sizes look like `512m`, `1.5gb` or `1048576`
    "#);
}

#[test]
fn the_variables_of_the_files_are_listed() {
    let files =
        Files::new("services: {web: {image: 'nginx:${TAG:-1}', user: $WHO, labels: {a: '${A:+b}', r: '${TAG?x}'}}}\n")
            .variable("WHO", "me")
            .variable("TAG", "2");
    let variables: Vec<String> = files
        .document()
        .variables
        .iter()
        .map(|v| format!("{} {} {:?} {:?}", v.name, v.required, v.default, v.alternate))
        .collect();
    assert_eq!(variables, [r#"A false None Some("b")"#, r#"TAG true Some("1") None"#, "WHO false None None"]);
}
