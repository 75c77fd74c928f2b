//! A case through the frontend: `base` and the images of the case have the configurations that it says.

use crate::case::Case;
use muster::build::{
    dockerfile::{self, Dockerfile},
    frontend::{Configurations, Error, Planned, bases, plan as make_plan},
};
use serde_json::{Map, Value};

const BASE: &str = r#"{"architecture": "amd64", "os": "linux",
    "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "WorkingDir": "/"},
    "history": [{"created_by": "base"}]}"#;

/// What the frontend makes of a case: a plan, or errors with their places.
pub fn plan(case: &Case) -> Result<Planned, Vec<String>> {
    let told = |at: dockerfile::Place, text: String| format!("{}:{} {text}", at.line, at.column);
    let file = dockerfile::parse(&case.dockerfile())
        .map_err(|errors| errors.iter().map(|error| told(error.at, error.kind.to_string())).collect::<Vec<_>>())?;
    planned(case, &file)
        .map_err(|errors| errors.iter().map(|error| told(error.at, error.kind.to_string())).collect::<Vec<_>>())
}

fn planned(case: &Case, file: &Dockerfile) -> Result<Planned, Vec<Error>> {
    let options = case.options();
    let mut known = Configurations::new();
    loop {
        let wanted = bases(file, &options, &known)?;
        if wanted.is_empty() {
            return make_plan(file, &options, &known);
        }
        for base in wanted {
            known.insert((base.image.clone(), base.platform.clone()), configuration(case, &base.image, &base.platform));
        }
    }
}

pub fn configuration(case: &Case, image: &str, platform: &str) -> Map<String, Value> {
    let mut document: Map<String, Value> = serde_json::from_str(BASE).unwrap();
    if let Some(section) = case.sections.iter().find(|section| section.kind == "image" && section.words == [image]) {
        let config = serde_json::from_str(&section.text).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        document.insert("config".into(), config);
    }
    let mut parts = platform.split('/').skip(1);
    document.insert("architecture".into(), parts.next().unwrap().into());
    if let Some(variant) = parts.next() {
        document.insert("variant".into(), variant.into());
    }
    document
}
