//! How services lean on each other.

use super::forms::{Flag, Named, PlainFlag, Strings, Text, closed, requires, section};
use schemars::JsonSchema;

/// Services that start first.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum DependsOn {
    /// Names of services, which only have to be started.
    Names(Strings),
    /// Names of services, and what to wait for.
    Long(Named<Dependency>),
}

/// What to wait for.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("condition"))]
pub struct Dependency {
    /// When the service is ready for those that depend on it.
    pub condition: Condition,
    /// Restart this service when the other one is restarted or recreated. Default: false.
    pub restart: Flag,
    /// It is an error if the other service does not run. Default: true.
    pub required: PlainFlag,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum Condition {
    /// It is started.
    ServiceStarted,
    /// Its healthcheck succeeds.
    ServiceHealthy,
    /// It has run to the end with exit code 0.
    ServiceCompletedSuccessfully,
}

/// A service to start from.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Extends {
    /// Name of a service of this file.
    Service(Text),
    Long(ExtendsLong),
}

/// A service to start from, which may be in another file.
#[derive(JsonSchema)]
#[schemars(transform = closed, transform = requires("service"))]
pub struct ExtendsLong {
    /// Path of the file. Default: this one.
    pub file: Text,
    /// Name of the service.
    pub service: Text,
}
