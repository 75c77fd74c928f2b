//! Secrets and configs: what they are, and which services can read them.

use super::{
    forms::{FileMode, Map, Pairs, Text, TextOrNumber, section},
    volume::External,
};
use schemars::JsonSchema;

/// A file that only the services that ask for it can read.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Secret {
    /// Name in the engine. Default: made of project and key.
    pub name: Text,
    /// File with the value.
    pub file: Text,
    /// Variable of the environment with the value.
    pub environment: Text,
    /// It is there already, and is not created.
    pub external: External,
    /// Labels of the secret.
    pub labels: Pairs,
    /// Driver that keeps the secret, in a swarm.
    pub driver: Text,
    /// Options of the driver.
    pub driver_opts: Map<TextOrNumber>,
    /// Driver that fills in templates, in a swarm.
    pub template_driver: Text,
}

/// A file of configuration.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Config {
    /// Name in the engine. Default: made of project and key.
    pub name: Text,
    /// File with the value.
    pub file: Text,
    /// Variable of the environment with the value.
    pub environment: Text,
    /// The value itself.
    pub content: Text,
    /// It is there already, and is not created.
    pub external: External,
    /// Labels of the config.
    pub labels: Pairs,
    /// Driver that fills in templates, in a swarm.
    pub template_driver: Text,
}

/// A secret or config that a service can read.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum FileGrant {
    /// Its name.
    Name(Text),
    Long(FileGrantLong),
}

/// A secret or config that a service can read, and where.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct FileGrantLong {
    /// Its name.
    pub source: Text,
    /// Where the file is in the container. Default: `/run/secrets/NAME` for secrets, `/NAME` for configs.
    pub target: Text,
    /// Number of the user that owns the file. Default: 0.
    pub uid: Text,
    /// Number of the group that owns the file. Default: 0.
    pub gid: Text,
    /// Permissions of the file: octal as a string. Default: 0444.
    pub mode: FileMode,
}
