//! A command that is run in a container beside its own process.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub command: Vec<String>,
    /// `None`: as the container's own process.
    pub user: Option<String>,
    pub privileged: bool,
    /// `None`: as the container's own process.
    pub working_dir: Option<PathBuf>,
    /// Over the variables of the container's own process.
    pub environment: IndexMap<String, String>,
}
