//! Which change of which file is whose business. Pure: what ignore files say comes in as text.

use crate::{
    build::dockerfile::{Patterns, ignore_file_names},
    cli::exit::Error,
    model::{Dockerfile, MountKind, Project, Service, WatchAction, WatchRule},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What editors and tools write beside the files that they mean, and git's own: never anybody's business.
const EPHEMERAL: [&str; 14] = [
    "**/.git",
    "**/*___jb_old___",
    "**/*___jb_tmp___",
    "**/.idea/**",
    "**/.#*",
    "**/#*#",
    "**/4913",
    "**/*~",
    "**/.*.swp",
    "**/.*.swx",
    "**/.*.swo",
    "**/.*.swn",
    "**/.*.kate-swp",
    "**/*-go-tmp-umask",
];

/// Files that say how containers are made: an initial sync leaves them out, wherever they are.
const OF_THE_PROJECT: [&str; 9] = [
    "Dockerfile",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The rules of the services that are watched.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// What a person should know about them.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
pub struct Rule {
    pub service: String,
    pub rule: WatchRule,
    include: Option<Patterns>,
    ignores: Vec<Scoped>,
    /// The name of its Dockerfile.
    dockerfile: Option<String>,
    /// The container sees the very files: there is nothing to copy.
    mounted: bool,
}

/// Patterns that count from a directory on.
#[derive(Clone, Debug)]
struct Scoped {
    base: PathBuf,
    patterns: Patterns,
}

/// A file of the host, and where it lies in the containers of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub source: PathBuf,
    pub target: PathBuf,
    /// The path of the rule itself.
    pub top: bool,
}

/// What a batch of changes means for one service; it is done in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub rebuild: bool,
    pub copies: Vec<Mapping>,
    pub restart: bool,
    /// Rules whose command is run, once each.
    pub execs: BTreeSet<usize>,
}

impl Rules {
    /// Of `services`; `read` gives the text of an ignore file, where there is one, and `resolve` a path
    /// without symbolic links.
    pub fn new(
        project: &Project,
        services: &BTreeSet<String>,
        read: &dyn Fn(&Path) -> Option<String>,
        resolve: &dyn Fn(&Path) -> PathBuf,
    ) -> Result<Self, Error> {
        let mut all = Self { rules: Vec::new(), warnings: Vec::new() };
        for service in services.iter().filter_map(|name| project.services.get(name)) {
            let ignored = docker_ignore(service, read)?;
            for rule in &service.develop {
                check(service, rule)?;
                let rule = WatchRule { path: resolve(&rule.path), ..rule.clone() };
                let mounted = is_mounted(&rule.path, service);
                if mounted && matches!(rule.action, WatchAction::Sync | WatchAction::SyncRestart) {
                    all.warnings.push(format!(
                        "path '{}' also declared by a bind mount volume, this path won't be monitored!",
                        rule.path.display()
                    ));
                    continue;
                }
                all.rules.push(Rule::new(service, rule, ignored.clone(), mounted)?);
            }
        }
        if all.rules.is_empty() {
            return Err(Error::Refused {
                message: "none of the selected services is configured for watch, consider setting a 'develop' section"
                    .into(),
                hint: all.warnings.into_iter().next(),
            });
        }
        Ok(all)
    }

    /// Files and directories that are watched, with all below them.
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        self.rules.iter().map(|rule| rule.rule.path.clone()).collect()
    }

    pub fn get(&self, index: usize) -> Option<&Rule> {
        self.rules.get(index)
    }

    /// Whether a change at or below this directory can be anybody's business: if not, it need not be watched.
    pub fn may_concern_below(&self, directory: &Path) -> bool {
        self.rules.iter().any(|rule| rule.may_concern_below(directory))
    }

    /// What these changes mean, by service.
    pub fn work<'p>(&self, changed: impl IntoIterator<Item = &'p PathBuf>) -> BTreeMap<String, Work> {
        let mut services: BTreeMap<String, Work> = BTreeMap::new();
        for path in changed {
            for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.concerns(path)) {
                services.entry(rule.service.clone()).or_default().add(index, rule, path);
            }
        }
        services
    }

    /// What is copied when the watch begins, out of all files that are there.
    pub fn initial<'p>(&self, files: impl IntoIterator<Item = &'p PathBuf>) -> BTreeMap<String, Work> {
        let mut services: BTreeMap<String, Work> = BTreeMap::new();
        for path in files {
            for rule in self.rules.iter().filter(|rule| rule.rule.initial_sync && rule.concerns(path)) {
                let Some(mapping) = rule.mapping(path).filter(|_| !rule.is_of_the_project(path)) else { continue };
                services.entry(rule.service.clone()).or_default().copies.push(mapping);
            }
        }
        services
    }
}

impl Work {
    fn add(&mut self, index: usize, rule: &Rule, path: &Path) {
        match rule.rule.action {
            WatchAction::Rebuild => self.rebuild = true,
            action => {
                self.copies.extend(rule.mapping(path));
                self.restart |= action.restarts();
                if action == WatchAction::SyncExec {
                    self.execs.insert(index);
                }
            }
        }
    }
}

impl Rule {
    fn new(service: &Service, rule: WatchRule, ignored: Option<Scoped>, mounted: bool) -> Result<Self, Error> {
        let patterns = |texts: &[String]| {
            // A pattern may name a path in full.
            let base = format!("{}/", rule.path.display());
            let texts = texts.iter().map(|text| text.strip_prefix(&base).unwrap_or(text));
            Patterns::new(texts).map_err(|error| {
                Error::refused(format!("services.{}.develop.watch: {}: {error}", service.name, rule.path.display()))
            })
        };
        let own = |patterns| Scoped { base: rule.path.clone(), patterns };
        let mut ignores: Vec<Scoped> = ignored.into_iter().collect();
        ignores.extend(Patterns::new(EPHEMERAL).ok().map(own));
        if !rule.ignore.iter().any(|pattern| pattern == "*") {
            ignores.push(own(patterns(&rule.ignore)?));
        }
        let include = if rule.include.is_empty() { None } else { Some(patterns(&rule.include)?) };
        let dockerfile = service.build.as_ref().and_then(|build| match &build.dockerfile {
            Dockerfile::File(name) => Path::new(name).file_name()?.to_str().map(str::to_owned),
            Dockerfile::Inline(_) => None,
        });
        Ok(Self { service: service.name.clone(), rule, include, ignores, dockerfile, mounted })
    }

    /// Whether a change of this file or directory is its business.
    fn concerns(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.rule.path) else { return false };
        let below = below.to_string_lossy();
        let included = self.include.as_ref().is_none_or(|include| include.excludes(&below));
        included && !self.ignores.iter().any(|ignore| ignore.leaves_out(path))
    }

    fn may_concern_below(&self, directory: &Path) -> bool {
        directory.starts_with(&self.rule.path) && !self.ignores.iter().any(|ignore| ignore.leaves_all_out(directory))
    }

    /// Where a file of it is in the container, if it is copied there.
    fn mapping(&self, path: &Path) -> Option<Mapping> {
        let target = self.rule.target.as_ref().filter(|_| self.rule.action.copies() && !self.mounted)?;
        let below = path.strip_prefix(&self.rule.path).ok()?;
        let top = below.as_os_str().is_empty();
        let target = if top { target.clone() } else { target.join(below) };
        Some(Mapping { source: path.to_owned(), target, top })
    }

    fn is_of_the_project(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| OF_THE_PROJECT.contains(&name) || self.dockerfile.as_deref() == Some(name))
    }
}

impl Scoped {
    fn leaves_out(&self, path: &Path) -> bool {
        // What is not below is not spoken of, nor is the place itself.
        let below = path.strip_prefix(&self.base).ok().filter(|below| !below.as_os_str().is_empty());
        below.is_some_and(|below| self.patterns.excludes(&below.to_string_lossy()))
    }

    fn leaves_all_out(&self, directory: &Path) -> bool {
        let Ok(below) = directory.strip_prefix(&self.base) else { return false };
        self.leaves_out(directory) && !self.patterns.may_include_below(&below.to_string_lossy())
    }
}

/// What has to be right before anything is watched.
fn check(service: &Service, rule: &WatchRule) -> Result<(), Error> {
    let (name, action) = (&service.name, rule.action.as_str());
    if rule.action == WatchAction::Rebuild && service.build.is_none() {
        return Err(Error::refused(format!(
            "can't watch service \"{name}\" with action {action} without a build context"
        )));
    }
    if rule.action == WatchAction::SyncExec && rule.exec.as_ref().is_none_or(|hook| hook.command.is_empty()) {
        return Err(Error::refused(format!("can't watch service \"{name}\" with action {action} without a command")));
    }
    Ok(())
}

/// What the build of the service leaves out of its context.
fn docker_ignore(service: &Service, read: &dyn Fn(&Path) -> Option<String>) -> Result<Option<Scoped>, Error> {
    let Some(build) = service.build.as_ref().filter(|build| build.context.starts_with('/')) else { return Ok(None) };
    let base = PathBuf::from(&build.context);
    let names = match &build.dockerfile {
        Dockerfile::File(name) => ignore_file_names(name).to_vec(),
        Dockerfile::Inline(_) => vec![".dockerignore".to_owned()],
    };
    let Some((path, text)) = names.iter().find_map(|name| read(&base.join(name)).map(|text| (base.join(name), text)))
    else {
        return Ok(None);
    };
    // `*` and a few exceptions say what goes into the image, and nothing about what is worked on: as docker compose.
    if text.lines().any(|line| line.trim() == "*") {
        return Ok(None);
    }
    let patterns = Patterns::read(&text).map_err(|error| Error::refused(format!("{}: {error}", path.display())))?;
    Ok(Some(Scoped { base, patterns }))
}

fn is_mounted(path: &Path, service: &Service) -> bool {
    service
        .volumes
        .iter()
        .any(|mount| matches!(&mount.kind, MountKind::Bind { source, .. } if path.starts_with(source)))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
