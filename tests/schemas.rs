//! The schemas in `schemas/` are those of this version, and files that are right are right by them.
//!
//! `MUSTER_BLESS=1 cargo test --test schemas` writes them anew.

#![allow(clippy::unwrap_used)]

use muster::{api::Event, cli::schemas, compose::schema};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a schema with its file, or writes the file.
fn kept(name: &str, schema: &Value) {
    let path = root().join("schemas").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("MUSTER_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} is not the schema of this version: run this test with MUSTER_BLESS=1");
}

fn is_a_schema(schema: &Value) {
    if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
        panic!("{error}");
    }
}

/// The documents of a file, with merge keys resolved as an editor resolves them.
fn documents(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let document = |document: serde_yaml::Deserializer<'_>| {
        let mut value = serde_yaml::Value::deserialize(document).unwrap();
        value.apply_merge().unwrap();
        untagged(value)
    };
    serde_yaml::Deserializer::from_str(&text).map(document).collect()
}

/// Without `!reset` and `!override`, which are for the merge.
fn untagged(value: serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Tagged(tagged) if tagged.value.is_null() => Value::Null,
        Yaml::Tagged(tagged) => untagged(tagged.value),
        Yaml::Sequence(items) => items.into_iter().map(untagged).collect(),
        Yaml::Mapping(entries) => {
            entries.into_iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), untagged(value))).collect()
        }
        scalar => serde_json::to_value(scalar).unwrap(),
    }
}

#[test]
fn every_schema_is_kept_and_is_one() {
    for (name, schema) in schemas::documents() {
        is_a_schema(&schema);
        kept(name, &schema);
    }
}

#[test]
fn compose_files_of_this_repository_are_right_by_the_schema() {
    let validator = jsonschema::draft202012::new(&schema::document()).unwrap();
    for file in ["examples/guestbook/compose.yaml", "tests/compose/everything.yaml"] {
        for document in documents(&root().join(file)) {
            let errors: Vec<String> =
                validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{file}\n{}", errors.join("\n"));
        }
    }
}

#[test]
fn a_line_of_the_events_is_right_by_its_schema() {
    let event = Event {
        time: "2026-11-22T10:00:00.000000001Z".into(),
        kind: "container".into(),
        action: "health_status: healthy".into(),
        service: "web".into(),
        id: "aa".into(),
        name: "app-web-1".into(),
        attributes: serde_json::Map::from_iter([("exitCode".to_owned(), 137.into())]),
    };
    let schemas = schemas::documents();
    let (_, schema) = schemas.iter().find(|(name, _)| *name == "events.schema.json").unwrap();
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let bare = Event { attributes: serde_json::Map::new(), ..event.clone() };
    for event in [event, bare] {
        assert!(validator.is_valid(&serde_json::to_value(event).unwrap()));
    }
    assert!(!validator.is_valid(&serde_json::json!({"type": "container"})));
}
