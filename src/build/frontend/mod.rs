//! From a Dockerfile to the plan of its build. Pure: the configurations of base images are an argument.
//!
//! ```text
//! syntax    is this the language that `# syntax=` asks for
//! globals   build arguments, ARG before FROM, the platform's ARGs
//! stage     stages as a graph: bases, --from, --target, circles, triggers of bases
//! walk      the stages that are needed, in order, each command in the state that those before it left
//!   run, mount, copy    steps
//!   settle              what only changes the configuration
//! prune     takes out what the outcome does not need
//! config    the image's document; history, its entries
//! ```
//! `bases` is asked again with what it asked for, until it asks for nothing: triggers of a base may lead to others.

mod config;
mod copy;
mod env;
mod error;
mod expose;
mod globals;
mod history;
mod mount;
mod paths;
mod prune;
mod run;
mod settle;
mod signal;
mod stage;
mod syntax;
#[cfg(test)]
mod tests;
mod walk;
mod warning;

pub use crate::model::Platform;
pub use error::{Error, MountProblem, Problem};
pub use warning::{Hint, Warning};

use super::{
    dockerfile::{Dockerfile, Lexer},
    op::{Base, Network, Plan},
};
use crate::image::Reference;
use globals::Globals;
use serde_json::{Map, Value};
use stage::{Origin, Stages};
use std::collections::BTreeMap;

/// What is asked for besides the file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name or number of a stage; `None` is the last.
    pub target: Option<String>,
    /// `--build-arg`
    pub args: BTreeMap<String, String>,
    /// What the image is for; `None` is this machine, or what the base is for.
    pub platform: Option<Platform>,
    pub build_platform: Platform,
    pub labels: BTreeMap<String, String>,
    /// `additional_contexts`. The build context itself has no name.
    pub contexts: BTreeMap<String, NamedContext>,
    pub no_cache: bool,
    /// Stages, by name, that are built anew.
    pub no_cache_filter: Vec<String>,
    /// Of RUN without `--network`.
    pub network: Network,
    pub extra_hosts: Vec<(String, String)>,
    pub shm_size: Option<u64>,
    pub ulimits: BTreeMap<String, (i64, i64)>,
}

/// What stands behind a name of `additional_contexts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// The engine knows which.
    Directory,
    /// `docker-image://`, `service:`
    Image(String),
}

/// Configuration documents of images, by reference and platform as `bases` writes them.
pub type Configurations = BTreeMap<(String, String), Map<String, Value>>;

/// A plan, and what is to be told although nothing is wrong.
#[derive(Clone, Debug)]
pub struct Planned {
    pub plan: Plan,
    pub warnings: Vec<Warning>,
    /// SOURCE_DATE_EPOCH in seconds: when the image was made, and how late a time its files may have.
    pub epoch: Option<i64>,
}

impl Options {
    pub fn new(build_platform: Platform) -> Self {
        Self {
            target: None,
            args: BTreeMap::new(),
            platform: None,
            build_platform,
            labels: BTreeMap::new(),
            contexts: BTreeMap::new(),
            no_cache: false,
            no_cache_filter: Vec::new(),
            network: Network::Default,
            extra_hosts: Vec::new(),
            shm_size: None,
            ulimits: BTreeMap::new(),
        }
    }

    fn target_platform(&self) -> &Platform {
        self.platform.as_ref().unwrap_or(&self.build_platform)
    }

    /// The additional context that a name stands for: `alpine` is `docker.io/library/alpine:latest` as well.
    fn context(&self, name: &str) -> Option<(&str, &NamedContext)> {
        if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
            return None;
        }
        let familiar = |name: &str| match Reference::parse(name) {
            Ok(reference) => reference.familiar().trim_end_matches(":latest").to_owned(),
            Err(_) => name.to_ascii_lowercase(),
        };
        let wanted = familiar(name);
        let exact = self.contexts.get_key_value(name);
        let found = exact.or_else(|| self.contexts.iter().find(|(known, _)| familiar(known) == wanted));
        found.map(|(name, context)| (name.as_str(), context))
    }
}

/// Images whose configurations `plan` needs and `known` has not.
pub fn bases(file: &Dockerfile, options: &Options, known: &Configurations) -> Result<Vec<Base>, Vec<Error>> {
    Read::new(file, options, known).map(|read| read.unknown)
}

/// The plan of the build. Every error is told of that does not follow from another.
pub fn plan(file: &Dockerfile, options: &Options, known: &Configurations) -> Result<Planned, Vec<Error>> {
    let read = Read::new(file, options, known)?;
    let missing = |base: &Base| {
        let problem = Problem::MissingConfiguration { image: base.image.clone(), platform: base.platform.clone() };
        Error::new(Default::default(), problem)
    };
    if !read.unknown.is_empty() {
        return Err(read.unknown.iter().map(missing).collect());
    }
    let check = warning::Check::read(&file.directives, options).map_err(|error| vec![error])?;
    let mut warnings = read.warnings;
    let empty = file.empty_continuations.iter();
    warnings.extend(empty.map(|line| Warning::new(super::dockerfile::Place::new(*line, 1), Hint::NoEmptyContinuation)));
    let plan = walk::plan(file, options, known, &read.globals, &read.stages, &read.lexer, &mut warnings)?;
    Ok(Planned { plan, warnings: check.apply(warnings)?, epoch: read.globals.epoch })
}

/// The file as far as it can be read with the configurations that are known.
struct Read {
    lexer: Lexer,
    globals: Globals,
    stages: Stages,
    unknown: Vec<Base>,
    warnings: Vec<Warning>,
}

impl Read {
    fn new(file: &Dockerfile, options: &Options, known: &Configurations) -> Result<Self, Vec<Error>> {
        syntax::check(&file.directives, options).map_err(|error| vec![error])?;
        let lexer = Lexer::new(file.directives.escape());
        let (globals, mut errors) = Globals::read(file, options, &lexer);
        let mut warnings = Vec::new();
        let mut stages = match stage::read(file, options, &globals, &lexer, &mut warnings) {
            Ok(stages) => stages,
            Err(more) => {
                errors.extend(more);
                errors.sort_by_key(|error| error.at);
                return Err(errors);
            }
        };
        let triggers = |stage: &stage::Stage| {
            let Origin::Image(image) = &stage.base else { return None };
            let document = known.get(&(image.clone(), stage.platform.to_string()))?;
            // One that cannot be read is told of when the stage is.
            Some(config::Image::read(document).map(|(image, _)| image.config.on_build).unwrap_or_default())
        };
        stages.trigger(triggers, options, &lexer, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut unknown: Vec<Base> = Vec::new();
        for (stage, _) in stages.all.iter().zip(stages.reachable()).filter(|(_, reached)| *reached) {
            if let Origin::Image(image) = &stage.base {
                let base = Base { image: image.clone(), platform: stage.platform.to_string() };
                if !known.contains_key(&(base.image.clone(), base.platform.clone())) && !unknown.contains(&base) {
                    unknown.push(base);
                }
            }
        }
        Ok(Self { lexer, globals, stages, unknown, warnings })
    }
}
