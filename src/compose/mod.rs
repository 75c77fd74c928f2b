//! Compose files -> `model::Project`, phase by phase.
//!
//! ```text
//! settings     which files, which variables, which name           settings.rs, name.rs, dotenv.rs
//! assemble     files -> one tree: variables, include, extends,     assemble/, tree/, interpolate/, merge/
//!              later files over earlier ones
//! schema       what may stand where, as types                      schema/
//! canonical    every short form long, every value of its type,     canonical/
//!              every path absolute
//! normalise    what the files imply, made explicit                 normalise.rs
//! profiles     which services are on                               profiles.rs
//! consistency  what the parts say about each other                 consistency/
//! environment  env files and label files of the services           environment.rs
//!   -> print   the tree as one Compose file: `config`              print/
//!   -> explain where a value comes from                            explain.rs, provenance.rs
//! decode       tree -> model, or what the engine cannot do         decode/
//! feasible     what this host has to have for it                   feasible/
//!
//! lock         the file that says what names of images stand for   lock.rs, images.rs
//! ```
//!
//! All phases up to the last two work on one kind of tree, whose every node keeps its file, its byte range and its
//! history, so that an error of any phase shows the line, and `explain` can tell. A phase reports all it finds and the
//! next one goes on with what is left (`told.rs`), so that all that is wrong is told of at once.
//! `load.rs` is the order of the phases. Nothing here reads the environment or the clock, and only `source.rs` touches the
//! file system.

mod assemble;
mod canonical;
mod consistency;
mod decode;
pub mod diagnostics;
mod dotenv;
mod environment;
pub mod explain;
mod feasible;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod images;
mod interpolate;
mod load;
mod lock;
mod merge;
mod name;
mod normalise;
mod options;
mod print;
mod profiles;
mod provenance;
mod report;
pub mod schema;
mod settings;
mod source;
mod told;
mod tree;

pub use diagnostics::{Diagnostic, Diagnostics, Location, Severity};
pub use images::ImageUse;
pub use lock::{LOCK_FILE, read_lock};
pub use options::{LoadOptions, Phases, Purpose};
pub use report::{Finding, Place};

use crate::model::Project;
use indexmap::IndexSet;
use std::{collections::BTreeMap, path::Path, rc::Rc};

/// What `load` makes of a set of files.
#[derive(Debug)]
pub struct Loaded {
    pub project: Project,
    /// Nothing in it is an error.
    pub warnings: Diagnostics,
    /// What variables were resolved from: the OS environment over the env files, and `COMPOSE_PROJECT_NAME`.
    /// `COMPOSE_*` settings of an env file are found here.
    pub environment: BTreeMap<String, String>,
    /// The images that services name, whether they are on or not.
    pub images: Vec<ImageUse>,
}

/// Files as one Compose file.
#[derive(Debug)]
pub struct Document {
    root: Rc<tree::Node>,
    tree: print::Tree,
    pub name: String,
    /// Nothing in it is an error.
    pub warnings: Diagnostics,
    pub environment: BTreeMap<String, String>,
    /// Every variable that the files mention, by name.
    pub variables: Vec<Variable>,
    /// Of all services, whether they are on or not.
    pub profiles: IndexSet<String>,
}

impl Document {
    pub fn to_yaml(&self) -> String {
        print::to_yaml(&self.root, self.tree)
    }

    pub fn to_json(&self) -> serde_json::Value {
        print::to_json(&self.root, self.tree)
    }

    /// The names in a top-level section.
    pub fn names(&self, section: &str) -> impl Iterator<Item = &str> {
        let entries = self.root.get(section).and_then(|entry| entry.value.entries());
        entries.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Gives services other images, by their names.
    pub fn pin(&mut self, images: &BTreeMap<String, String>) {
        const RULE: &str = "the digest that the registry has";
        for (name, service) in Rc::make_mut(&mut self.root).entries_at_mut("services").into_iter().flatten() {
            let image = images.get(name).filter(|_| service.value.get("image").is_some());
            let span = service.key;
            if let (Some(image), Some(entries)) = (image, service.entries_mut()) {
                entries.insert("image".into(), tree::edit::entry(tree::Node::implied_text(span, image, RULE)));
            }
        }
    }

    /// Takes everything else out, which leaves an override file.
    pub fn keep_only_images(&mut self) {
        let root = Rc::make_mut(&mut self.root);
        root.entries_mut().into_iter().for_each(|entries| entries.retain(|key, _| key == "services"));
        for (_, service) in root.entries_at_mut("services").into_iter().flatten() {
            let entries = service.entries_mut();
            entries.into_iter().for_each(|entries| entries.retain(|key, _| key == "image"));
        }
        if let Some(services) = root.entries_at_mut("services") {
            services.retain(|_, service| service.value.get("image").is_some());
        }
    }

    /// The image that a service names.
    pub fn image(&self, service: &str) -> Option<&str> {
        self.root.text_at(&["services", service, "image"])
    }

    /// The image of each service: that of a service which is only built is named after it.
    pub fn images(&self) -> Vec<(&str, String)> {
        let image = |name| self.image(name).map(str::to_owned);
        self.names("services")
            .map(|name| (name, image(name).unwrap_or_else(|| load::built_image(&self.name, name))))
            .collect()
    }
}

pub use load::built_image;

/// A duration as a Compose file writes it: `1m30s`, `36h`, `1d`.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    canonical::units::duration(text).ok()
}

/// A size as a Compose file writes it: `10g`, `512m`, in powers of 1024.
pub fn bytes(text: &str) -> Option<u64> {
    canonical::units::bytes(text, 1024)
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
    let mut run = load::Run::new(options, Phases::default());
    let outcome = run.project();
    let ((project, resolved), warnings) = run.finish(outcome)?;
    let images = resolved.images();
    Ok(Loaded { project, warnings, environment: resolved.environment, images })
}

/// The files that `options` name as one Compose file, after the phases that are asked for. Where services are named,
/// it holds only them and what they need.
///
/// # Errors
/// As those of `load`.
pub fn document(options: &LoadOptions, phases: Phases) -> Result<Document, Diagnostics> {
    let mut run = load::Run::new(options, phases);
    let outcome = run.document();
    let (resolved, warnings) = run.finish(outcome)?;
    let tree = if phases.interpolate { print::Tree::Resolved } else { print::Tree::Raw };
    let load::Resolved { root, name, environment, variables, profiles, .. } = resolved;
    Ok(Document { root, tree, name, warnings, environment, variables, profiles })
}

/// Where the values at and below `path` come from, such as `services.web.environment`; all of them where it is empty.
///
/// # Errors
/// As those of `load`; or there is nothing at `path`.
pub fn explain(options: &LoadOptions, path: &str) -> Result<(explain::Explanation, Diagnostics), Diagnostics> {
    let mut run = load::Run::new(options, Phases::default());
    let outcome = run.explain(path);
    run.finish(outcome)
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
    let mut run = load::Run::new(options, Phases::default());
    let outcome = run.name();
    run.finish(outcome).map(|(name, _)| name)
}
