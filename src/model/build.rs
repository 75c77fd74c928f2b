//! How the image of a service is made from a Dockerfile.

use super::Ulimit;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Build {
    /// A directory, absolute, or a URL as it is written.
    pub context: String,
    pub dockerfile: Dockerfile,
    pub args: IndexMap<String, String>,
    /// The stage to stop at; `None` is the last.
    pub target: Option<String>,
    /// `default`, `none`, `host`, or a network by name.
    pub network: Option<String>,
    /// Ask the registries for the images that stages begin with, even where they are here.
    pub pull: bool,
    pub no_cache: bool,
    /// Stages to build anew.
    pub no_cache_filter: Vec<String>,
    /// Name -> directory, URL, `docker-image://IMAGE` or `service:NAME`.
    pub additional_contexts: IndexMap<String, String>,
    pub extra_hosts: IndexMap<String, Vec<String>>,
    pub labels: IndexMap<String, String>,
    /// More names of the image.
    pub tags: Vec<String>,
    pub shm_size: Option<u64>,
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Id -> key of `Project::secrets`.
    pub secrets: IndexMap<String, String>,
    /// Id -> socket or key; `None` is the agent of the environment.
    pub ssh: IndexMap<String, Option<PathBuf>>,
    /// `linux/arm64`; where it is empty the service's, or this host's.
    pub platforms: Vec<String>,
    /// `network.host`, `security.insecure`
    pub entitlements: Vec<String>,
    pub privileged: bool,
    /// Where results of steps may be had from, the best first.
    pub cache_from: Vec<CachePlace>,
    pub cache_to: Vec<CacheTo>,
}

/// Where results of steps are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CachePlace {
    /// A name in a registry.
    Registry(String),
    /// An OCI image layout; relative to the directory of the project.
    Local {
        dir: PathBuf,
        tag: String,
        /// Reading: this manifest, whatever the tag stands for.
        digest: Option<String>,
    },
    /// In the image that is built.
    Inline,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheTo {
    pub place: CachePlace,
    /// `mode=max`: the layers of all steps, and not only those of the image.
    pub every_step: bool,
    /// A cache that cannot be written is told, and no error.
    pub ignore_error: bool,
    /// Everything goes from the directory that nobody names.
    pub reset: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dockerfile {
    /// Below the context, or absolute.
    File(String),
    /// The text itself.
    Inline(String),
}

impl Default for Dockerfile {
    fn default() -> Self {
        Self::File("Dockerfile".into())
    }
}
