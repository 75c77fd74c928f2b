//! Which images a build begins with and takes files from, without fetching any.

use super::{
    remote::Remotes,
    request::{self, Overrides, Request},
};
use crate::{
    build::{
        frontend::{self, Configurations},
        op::Op,
    },
    cli::exit::Error,
    model::Project,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Names as the Dockerfile of `service` writes them, expanded; those of stages that are not needed are not among them.
/// What a trigger of a base (`ONBUILD`) would name is only known when the base is here.
pub fn bases(
    project: &Project,
    service: &str,
    environment: &BTreeMap<String, String>,
    remotes: &Remotes,
) -> Result<BTreeSet<String>, Error> {
    let Some((service, build)) = project.services.get(service).and_then(|s| Some((s, s.build.as_ref()?))) else {
        return Ok(BTreeSet::new());
    };
    let overrides = Overrides { to_run: true, ..Overrides::default() };
    let request = request::request(project, service, build, &overrides, environment, remotes)?;
    let mut images = named(&request)?;
    // The images of other services are built, whoever names them.
    images.retain(|image| !request.built.contains(image));
    Ok(images)
}

fn named(request: &Request) -> Result<BTreeSet<String>, Error> {
    let Request { service, file, text, dockerfile, frontend: options, .. } = request;
    let wrong = |errors: Vec<frontend::Error>| request::wrong(service, file, text, &errors);
    let mut known = Configurations::new();
    let mut images = BTreeSet::new();
    for base in frontend::bases(dockerfile, options, &known).map_err(wrong)? {
        images.insert(base.image.clone());
        let document = bare(&base.platform);
        known.insert((base.image, base.platform), document);
    }
    let planned = frontend::plan(dockerfile, options, &known).map_err(wrong)?;
    images.extend(planned.plan.steps.into_iter().filter_map(|step| match step.op {
        Op::Base(base) => Some(base.image),
        _ => None,
    }));
    Ok(images)
}

/// A configuration that says nothing but what it is for.
pub fn bare(platform: &str) -> Map<String, Value> {
    let mut parts = platform.split('/');
    let mut part = || Value::from(parts.next().unwrap_or_default());
    [("os".to_owned(), part()), ("architecture".to_owned(), part())].into_iter().collect()
}
