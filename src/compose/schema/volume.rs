//! Volumes, and resources that are there already.

use super::{
    forms::{Flag, Map, Pairs, Text, TextOrNumber, section},
    network::nullable,
};
use schemars::JsonSchema;

/// A volume; nothing at all for one with the defaults.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = nullable)]
pub struct Volume {
    /// Name in the engine. Default: made of project and key.
    pub name: Text,
    /// Driver of the volume. Default: `local`.
    pub driver: Text,
    /// Options of the driver; for `local`: `type`, `o` and `device`, as mount takes them.
    pub driver_opts: Map<TextOrNumber>,
    /// It is there already, and is neither created nor removed.
    pub external: External,
    /// Labels of the volume.
    pub labels: Pairs,
}

/// Whether a resource is there already.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum External {
    Flag(Flag),
    Named(ExternalName),
}

/// The old form, with a name. Write `external: true` and `name` beside it.
#[derive(JsonSchema)]
#[schemars(transform = section, extend("deprecated" = true))]
pub struct ExternalName {
    /// Name in the engine.
    pub name: Text,
}
