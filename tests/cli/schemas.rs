//! What programs read is as the schemas in `schemas/` say.

use crate::world::{World, exited, running, write};
use muster::{
    cli::schemas,
    model::Protocol,
    state::records::{BoundPort, Health},
};
use serde_json::Value;

/// Checks a text that is one value.
fn fits(schema: &str, text: &str) -> Value {
    let documents = schemas::documents();
    let (_, document) = documents.iter().find(|(name, _)| *name == format!("{schema}.schema.json")).unwrap();
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let errors: Vec<String> = jsonschema::draft202012::new(document)
        .unwrap()
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\n{text}", errors.join("\n"));
    value
}

/// Checks a text with a value a line, and tells how many there are.
fn lines_fit(schema: &str, text: &str) -> usize {
    text.lines().for_each(|line| drop(fits(schema, line)));
    text.lines().count()
}

#[test]
fn what_ps_ls_and_images_print() {
    let world = World::new();
    let mut web = world.record("web", running());
    let host_ip = "127.0.0.1".parse().unwrap();
    web.ports.push(BoundPort { host_ip, host_port: 8080, target: 80, protocol: Protocol::Tcp });
    web.health = Some(Health::Healthy);
    write(&world.layout, &web);
    world.record("db", exited(3));
    assert_eq!(lines_fit("ps", &world.muster(&["ps", "-a", "--format", "json"]).out), 2);
    assert_eq!(fits("ls", &world.muster(&["ls", "-a", "--format", "json"]).out)[0]["Name"], "app");
    assert_eq!(fits("images", &world.muster(&["images", "--format", "json"]).out)[0]["ContainerName"], "app-db-1");
}

#[test]
fn what_version_and_plan_print() {
    let world = World::new();
    fits("version", &world.muster(&["version", "--format", "json"]).out);
    let plan = fits("plan", &world.muster(&["plan", "--format", "json"]).out);
    assert_eq!(plan["project"], "app");
    assert!(!plan["ops"].as_array().unwrap().is_empty());
}

#[test]
fn what_config_prints_is_a_compose_file() {
    let world = World::new();
    let config = fits("compose", &world.muster(&["config", "--format", "json"]).out);
    assert_eq!(config["services"]["web"]["depends_on"]["db"]["required"], true);
}

#[test]
fn findings_in_the_files_are_lines_with_their_places() {
    let world = World::new();
    let text = "version: '3'\nservices:\n  web:\n    imgae: x\n    ports: 80\n";
    std::fs::write(world.project().join("compose.yaml"), text).unwrap();
    let said = world.muster(&["--progress", "json", "config"]);
    assert_eq!(said.code, Some(1));
    insta::assert_snapshot!(said.err, @r#"
    {"warning":true,"message":"`version` is obsolete and has no effect","places":[{"file":"compose.yaml","line":1,"column":1,"end_line":1,"end_column":8}],"help":["remove it"]}
    {"error":true,"message":"unknown attribute `imgae` in `services.web`","places":[{"file":"compose.yaml","line":4,"column":5,"end_line":4,"end_column":10}],"help":["did you mean `image`?"]}
    {"error":true,"message":"`services.web.ports` must be a list, not the number 80","places":[{"file":"compose.yaml","line":5,"column":12,"end_line":5,"end_column":14}],"help":["a list of one is written `[80]`"]}
    "#);
    assert_eq!(lines_fit("progress", &said.err), 3);
}
