//! Devices of the host, GPUs, and limits of processes.

use super::forms::{Integer, List, Map, Pairs, Strings, Text, TextOrInteger, requires, section};
use schemars::JsonSchema;

/// A device of the host.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Device {
    /// `HOST[:CONTAINER[:PERMISSIONS]]`, or the name of a CDI device.
    Short(Text),
    Long(DeviceMapping),
}

/// A device of the host, attribute by attribute.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("source"))]
pub struct DeviceMapping {
    /// Path of the device on the host.
    pub source: Text,
    /// Path in the container. Default: the same.
    pub target: Text,
    /// What the container may do: `r` to read, `w` to write, `m` to create. Default: `rwm`.
    pub permissions: Text,
}

/// GPUs for the container.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Gpus {
    All(AllGpus),
    Some(List<DeviceRequest>),
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum AllGpus {
    /// Every GPU of the host.
    All,
}

/// Devices that the container needs, found by what they can do.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct DeviceRequest {
    /// What they must be capable of, such as `gpu`.
    pub capabilities: Strings,
    /// Driver, such as `nvidia`. Default: any that fits.
    pub driver: Text,
    /// How many, or `all`. Not together with `device_ids`. Default: all.
    pub count: TextOrInteger,
    /// Which ones. Not together with `count`.
    pub device_ids: Strings,
    /// Options of the driver.
    pub options: Pairs,
}

/// Limits of processes, by name, such as `nofile`.
pub type Ulimits = Map<Ulimit>;

/// A limit of processes.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Ulimit {
    /// Soft and hard limit in one; -1 for no limit.
    Both(Integer),
    Long(SoftAndHard),
}

/// A limit of processes that they can raise themselves.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("soft hard"))]
pub struct SoftAndHard {
    /// The limit that counts; -1 for none.
    pub soft: Integer,
    /// How far a process can raise it; -1 for no limit.
    pub hard: Integer,
}
