//! Language models, and the services that use them.

use super::forms::{List, Map, Nullable, PlainInteger, Strings, Text, requires, section};
use schemars::JsonSchema;

/// A language model.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("model"))]
pub struct Model {
    /// Name for the model runner.
    pub name: Text,
    /// The model to run.
    pub model: Text,
    /// Number of tokens that the model sees at once.
    pub context_size: PlainInteger,
    /// Options of the inference engine.
    pub runtime_flags: List<Text>,
}

/// Language models that a service uses.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ModelUse {
    /// Their names.
    Names(Strings),
    /// Their names, and the variables that tell the service about them.
    Long(Map<Nullable<ModelVariables>>),
}

/// Variables that tell a service about a model.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct ModelVariables {
    /// Variable with the address of the model.
    pub endpoint_var: Text,
    /// Variable with the name of the model.
    pub model_var: Text,
}
