//! How many containers of a service run, with which resources, and how they are replaced.

use super::{
    devices::DeviceRequest,
    forms::{Duration, Integer, List, Number, Pairs, Rounded, Text, TextSize, requires, section},
};
use schemars::JsonSchema;

/// How many containers to run and with which resources.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Deploy {
    /// `replicated`: as many as `replicas` says; `global`: one on each host. Default: `replicated`.
    pub mode: Text,
    /// Number of containers. Default: 1.
    pub replicas: Integer,
    /// Labels of the service, in a swarm.
    pub labels: Pairs,
    /// How containers are replaced when the service changes.
    pub update_config: UpdateConfig,
    /// How containers are replaced when an update has failed.
    pub rollback_config: UpdateConfig,
    /// Resources that the containers may use, and should have.
    pub resources: Resources,
    /// What to do when a container ends; in place of `restart`.
    pub restart_policy: RestartPolicy,
    /// Hosts to run on, in a swarm.
    pub placement: Placement,
    /// How clients reach the containers, in a swarm: `vip` or `dnsrr`.
    pub endpoint_mode: Text,
}

/// How containers are replaced.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct UpdateConfig {
    /// Number of containers to replace at a time; 0 for all. Default: 1.
    pub parallelism: Integer,
    /// Time between two groups. Default: 0s.
    pub delay: Duration,
    /// When it fails: `continue`, `pause` or `rollback`. Default: `pause`.
    pub failure_action: Text,
    /// Time to watch a new container for failure.
    pub monitor: Duration,
    /// Share of containers that may fail, from 0 to 1. Default: 0.
    pub max_failure_ratio: Number,
    /// Whether the old container stops before the new one starts. Default: `stop-first`.
    pub order: UpdateOrder,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
pub enum UpdateOrder {
    /// For a moment both run.
    StartFirst,
    /// For a moment none runs.
    StopFirst,
}

/// Resources of each container.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Resources {
    /// What a container may use at most.
    pub limits: Limits,
    /// What a container should have when resources are scarce.
    pub reservations: Reservations,
}

/// What a container may use at most.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Limits {
    /// Number of processors, such as 0.5.
    pub cpus: Number,
    /// Memory.
    pub memory: TextSize,
    /// Number of processes; -1 for no limit.
    pub pids: Integer,
}

/// What a container should have.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Reservations {
    /// Number of processors, in a swarm.
    pub cpus: Number,
    /// Memory.
    pub memory: TextSize,
    /// Devices, such as GPUs.
    pub devices: List<ReservedDevice>,
    /// Resources of your own kinds, in a swarm.
    pub generic_resources: List<GenericResource>,
}

/// Devices that the container needs.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("capabilities"))]
pub struct ReservedDevice {
    #[schemars(flatten)]
    pub request: DeviceRequest,
}

/// A resource of your own kind.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct GenericResource {
    /// A resource that is counted.
    pub discrete_resource_spec: DiscreteResource,
}

/// A resource that is counted.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct DiscreteResource {
    /// Its kind.
    pub kind: Text,
    /// How many are needed.
    pub value: Rounded,
}

/// What to do when a container ends.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct RestartPolicy {
    /// When to restart it: `none`, `on-failure` or `any`. Default: `any`.
    pub condition: Text,
    /// Time to wait before, in a swarm. Default: 0s.
    pub delay: Duration,
    /// How often to try. Default: for ever.
    pub max_attempts: Integer,
    /// Time after which a start counts as a success, in a swarm.
    pub window: Duration,
}

/// Hosts to run on, in a swarm.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Placement {
    /// What a host must be, such as `node.role==manager`.
    pub constraints: List<Text>,
    /// How to spread over hosts.
    pub preferences: List<Preference>,
    /// Number of containers on one host at most.
    pub max_replicas_per_node: Integer,
}

/// How to spread over hosts.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Preference {
    /// Label of hosts, over whose values to spread evenly.
    pub spread: Text,
}
