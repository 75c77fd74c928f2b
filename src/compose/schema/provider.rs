//! Services that another program manages.

use super::forms::{List, Map, Scalar, Text, requires, section};
use schemars::JsonSchema;

/// A program that manages the service in place of containers.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("type"))]
pub struct Provider {
    /// The program.
    pub r#type: Text,
    /// Its options.
    pub options: Map<ProviderOption>,
}

#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub enum ProviderOption {
    One(Scalar),
    Many(List<Scalar>),
}
