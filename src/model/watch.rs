//! What happens to a service while somebody works on its files: `develop.watch`.

use super::Hook;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One path, and what to do when something changes there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchRule {
    /// A file or directory of the host, absolute; it need not be there yet.
    pub path: PathBuf,
    pub action: WatchAction,
    /// Absolute path in the container of what lies at `path`. There is one where the action copies.
    pub target: Option<PathBuf>,
    /// Patterns as in `.dockerignore`, from `path` on.
    pub ignore: Vec<String>,
    /// Likewise; empty is everything.
    pub include: Vec<String>,
    /// Copy all when the watch begins.
    pub initial_sync: bool,
    /// What `sync+exec` runs.
    pub exec: Option<Hook>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchAction {
    /// Build the image, and recreate the containers.
    #[serde(rename = "rebuild")]
    Rebuild,
    /// Copy what has changed into the containers.
    #[serde(rename = "sync")]
    Sync,
    #[serde(rename = "restart")]
    Restart,
    #[serde(rename = "sync+restart")]
    SyncRestart,
    #[serde(rename = "sync+exec")]
    SyncExec,
}

impl WatchAction {
    pub const ALL: [Self; 5] = [Self::Rebuild, Self::Sync, Self::Restart, Self::SyncRestart, Self::SyncExec];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Sync => "sync",
            Self::Restart => "restart",
            Self::SyncRestart => "sync+restart",
            Self::SyncExec => "sync+exec",
        }
    }

    /// Whether files are copied into the containers.
    pub fn copies(self) -> bool {
        matches!(self, Self::Sync | Self::SyncRestart | Self::SyncExec)
    }

    pub fn restarts(self) -> bool {
        matches!(self, Self::Restart | Self::SyncRestart)
    }
}
