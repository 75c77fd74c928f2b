//! The top level of a Compose file.

use super::{
    files::{Config, Secret},
    forms::{List, Map, Named, OneOrMany, Text, closed, section},
    models::Model,
    network::Network,
    service::Service,
    volume::Volume,
};
use schemars::JsonSchema;

/// An application of one or more services, with the networks, volumes, secrets and configs that they share.
#[derive(JsonSchema)]
#[schemars(rename = "Compose", transform = section)]
pub struct Project {
    /// Has no effect: files of every version are read alike. Remove it.
    #[schemars(extend("deprecated" = true))]
    pub version: Text,
    /// Name of the project, which the names of its containers, networks and volumes start with. The command line and
    /// `COMPOSE_PROJECT_NAME` have precedence. Default: the name of the directory. Available as `${COMPOSE_PROJECT_NAME}`.
    pub name: Text,
    /// Other Compose files, whose services and resources join this project.
    pub include: List<Include>,
    /// What runs, by name: the name is also how the services find each other in the network.
    pub services: Named<Service>,
    /// Networks that services talk over, by name. Services that name none join `default`.
    pub networks: Map<Network>,
    /// Volumes that outlive the containers, by name.
    pub volumes: Named<Volume>,
    /// Files that only the services that ask for them can read, by name.
    pub secrets: Named<Secret>,
    /// Files of configuration that services ask for, by name.
    pub configs: Named<Config>,
    /// Language models that services use, by name.
    pub models: Map<Model>,
}

/// A project that is taken into this one.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Include {
    /// Path of its Compose file.
    Path(Text),
    Long(IncludeLong),
}

/// A project that is taken into this one, with a directory and variables of its own.
#[derive(JsonSchema)]
#[schemars(transform = closed)]
pub struct IncludeLong {
    /// Path of its Compose file; of several, the later ones override the first.
    pub path: OneOrMany,
    /// Directory that its relative paths start at. Default: the one of its first file.
    pub project_directory: Text,
    /// Files with variables for it. Default: `.env` in its project directory.
    pub env_file: OneOrMany,
}
