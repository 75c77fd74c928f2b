//! Compose files -> `model::Project`, phase by phase.
//!
//! ```text
//! settings     which files, which variables, which name        settings.rs, name.rs, dotenv.rs
//! tree         YAML text -> nodes that know their place        tree/
//! interpolate  ${VARIABLES} in every value                     interpolate/
//! merge        later files over earlier ones, by a table       merge/
//! decode       tree -> draft of the model, all errors at once  decode/
//! profiles     which services are on                           profiles.rs
//! normalise    implied defaults and names                      normalise.rs
//! consistency  what the parts say about each other             consistency/
//! environment  env files of the services                       environment.rs
//! ```
//!
//! Every node keeps its file and byte range from the first phase to the last, so that an error of any phase shows the
//! line. A phase reports all it finds; the next one runs only on what the last one accepted.
//! `load.rs` is the order of the phases. Nothing here reads the environment or the clock, and only `source.rs` touches the file system.

pub mod canonical;
mod consistency;
mod decode;
pub mod diagnostics;
mod dotenv;
mod environment;
mod interpolate;
mod load;
mod merge;
mod name;
mod normalise;
mod options;
mod profiles;
mod read;
mod settings;
mod source;
mod tree;

pub use diagnostics::{Diagnostic, Diagnostics, Location, Severity};
pub use options::{LoadOptions, MissingFiles};

use crate::model::Project;
use std::{collections::BTreeMap, path::Path};

/// What `load` makes of a set of files.
#[derive(Debug)]
pub struct Loaded {
    pub project: Project,
    /// Nothing in it is an error.
    pub warnings: Diagnostics,
    /// What variables were resolved from: the OS environment over the env files, and `COMPOSE_PROJECT_NAME`.
    /// `COMPOSE_*` settings of an env file are found here.
    pub environment: BTreeMap<String, String>,
    /// Every variable that the files mention, by name.
    pub variables: Vec<Variable>,
}

/// A variable that a Compose file mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub required: bool,
    pub default: Option<String>,
    pub alternate: Option<String>,
}

/// Reads the files that `options` name and makes one project of them.
///
/// # Errors
/// Everything that is wrong with the files, as far as one phase of the loader can tell, with the warnings so far.
pub fn load(options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let mut run = load::Run::new(options);
    let outcome = run.project();
    let (parts, warnings) = run.finish(outcome)?;
    let load::Parts { project, environment, variables } = parts;
    Ok(Loaded { project, warnings, environment, variables })
}

/// The variables of an env file, for `run --env-from-file`. A name without a value takes it from `variables`.
///
/// # Errors
/// The file cannot be read, or is none.
pub fn read_env_file(
    path: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Diagnostics> {
    let mut sources = source::Sources::new(Path::new("/"));
    let mut findings = Vec::new();
    let mut values = BTreeMap::new();
    match sources.read(path) {
        Ok((source, text)) => {
            let mut interpolator = interpolate::Interpolator::new(variables.clone());
            let parsed = dotenv::parse(source, &text, &mut interpolator, &mut findings);
            values.extend(parsed.into_iter().filter_map(|(name, value)| Some((name, value?))));
        }
        Err(error) => findings.push(error.diagnostic("env file", path)),
    }
    let findings = Diagnostics::new(findings, sources.into_texts());
    if findings.has_errors() { Err(findings) } else { Ok(values) }
}

/// The name of the project, read from a file only where nothing else gives one.
///
/// `-p`, then `COMPOSE_PROJECT_NAME` (also from `.env`), then `name:` of the files, then the directory.
///
/// # Errors
/// The name given is not a project name; or a file had to be read, and could not be.
pub fn resolve_name(options: &LoadOptions) -> Result<String, Diagnostics> {
    let mut run = load::Run::new(options);
    let outcome = run.name();
    run.finish(outcome).map(|(name, _)| name)
}
