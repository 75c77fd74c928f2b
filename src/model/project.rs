//! A project: everything that one set of Compose files asks for.

use super::{Network, Service};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The whole model. Every name that a service mentions exists here; the loader has checked it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// `[a-z0-9][a-z0-9_-]*`
    pub name: String,
    /// Relative paths of the files were resolved against it.
    pub working_dir: PathBuf,
    pub config_files: Vec<PathBuf>,
    pub environment_files: Vec<PathBuf>,
    /// Services whose profiles are active.
    pub services: IndexMap<String, Service>,
    /// Services that only a profile keeps out: known, but not to be run. They are not orphans.
    #[serde(default)]
    pub disabled_services: IndexMap<String, Service>,
    /// Keyed by the name in the file; `Network::name` is the real one.
    pub networks: IndexMap<String, Network>,
    pub volumes: IndexMap<String, Volume>,
    pub secrets: IndexMap<String, FileObject>,
    pub configs: IndexMap<String, FileObject>,
    /// Names of images with the same behind a digest, as `compose.lock` has them: for what images are built from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locked_images: BTreeMap<String, String>,
}

/// A top-level volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Real name: `<project>_<key>`, or what `name:` says.
    pub name: String,
    /// Made by somebody else: never created, never removed.
    pub external: bool,
    #[serde(default)]
    pub labels: IndexMap<String, String>,
}

/// A top-level secret or config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileObject {
    pub name: String,
    pub source: FileSource,
}

impl Project {
    /// Also one that is off: what others are built from need not run.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).or_else(|| self.disabled_services.get(name))
    }
}

/// Where the bytes of a secret or config come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// A file on this host, absolute.
    File(PathBuf),
    /// A variable of whoever builds. Its value is nowhere but in the step that asks for it.
    Environment(String),
}
