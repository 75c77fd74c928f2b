//! What happens when files change during development.

use super::{
    forms::{List, OneOrMany, PlainFlag, Text, requires, section},
    hooks::Hook,
};
use schemars::JsonSchema;

/// What to do when files change while you develop.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Develop {
    /// Paths to watch, with what to do.
    pub watch: List<Trigger>,
}

/// A path to watch, with what to do.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("path action"))]
pub struct Trigger {
    /// File or directory to watch.
    pub path: Text,
    /// What to do when something changes.
    pub action: Action,
    /// Path in the container that changed files are copied to.
    pub target: Text,
    /// Command to run in the container after the copy, with `sync+exec`.
    pub exec: Hook,
    /// Patterns of files to watch. Default: all.
    pub include: OneOrMany,
    /// Patterns of files not to watch.
    pub ignore: OneOrMany,
    /// Copy everything once at the start. Default: false.
    pub initial_sync: PlainFlag,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum Action {
    /// Build the image, and recreate the container.
    Rebuild,
    /// Copy the files into the container.
    Sync,
    /// Restart the container.
    Restart,
    /// Copy the files into the container, then restart it.
    #[schemars(rename = "sync+restart")]
    SyncRestart,
    /// Copy the files into the container, then run a command there.
    #[schemars(rename = "sync+exec")]
    SyncExec,
}
