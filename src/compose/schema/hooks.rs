//! Commands around the life of a container.

use super::forms::{Command, Flag, Pairs, Text, requires, section};
use schemars::JsonSchema;

/// A command to run in the container.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("command"))]
pub struct Hook {
    /// The command.
    pub command: Command,
    /// Who runs it. Default: the user of the service.
    pub user: Text,
    /// Let it do all that the host can do. Default: false.
    pub privileged: Flag,
    /// Directory that it starts in. Default: the one of the service.
    pub working_dir: Text,
    /// Variables in addition to those of the service.
    pub environment: Pairs,
}

/// A command to run to the end in a container of its own.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("command"))]
pub struct PreStartHook {
    /// The command.
    pub command: Command,
    /// Who runs it. Default: the user of the service.
    pub user: Text,
    /// Let it do all that the host can do. Default: false.
    pub privileged: Flag,
    /// Directory that it starts in. Default: the one of the service.
    pub working_dir: Text,
    /// Variables in addition to those of the service.
    pub environment: Pairs,
    /// Image to run it in. Default: the one of the service.
    pub image: Text,
    /// Run it once for each container of the service. Default: false, once for all.
    pub per_replica: Flag,
}
