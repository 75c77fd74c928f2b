//! `build --check`: what is wrong or surprising in a Dockerfile, without fetching or running anything.

use super::{
    bases::bare,
    remote::Remotes,
    request::{self, Overrides, Request},
};
use crate::{
    build::frontend::{self, Configurations},
    cli::exit::Error,
    model::Project,
};
use std::collections::BTreeMap;

/// What is to be told about the Dockerfile of a service, each with its line. What only the configuration of a base
/// could say is not among it.
///
/// # Errors
/// A Dockerfile that cannot be built.
pub fn check(
    project: &Project,
    service: &str,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    remotes: &Remotes,
) -> Result<Vec<String>, Error> {
    let Some((service, build)) = project.services.get(service).and_then(|s| Some((s, s.build.as_ref()?))) else {
        return Ok(Vec::new());
    };
    let request = request::request(project, service, build, overrides, environment, remotes)?;
    let Request { service, file, text, dockerfile, frontend: options, .. } = &request;
    let wrong = |errors: Vec<frontend::Error>| request::wrong(service, file, text, &errors);
    let bases = frontend::bases(dockerfile, options, &Configurations::new()).map_err(wrong)?;
    let known: Configurations = bases
        .into_iter()
        .map(|base| {
            let document = bare(&base.platform);
            ((base.image, base.platform), document)
        })
        .collect();
    let planned = frontend::plan(dockerfile, options, &known).map_err(wrong)?;
    Ok(planned.warnings.iter().map(|warning| warning.render(file, text)).collect())
}
