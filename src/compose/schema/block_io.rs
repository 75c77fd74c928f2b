//! Block devices: shares and limits.

use super::forms::{Integer, List, Text, WholeSize, closed};
use schemars::JsonSchema;

/// Share of the block devices, and limits on them.
#[derive(JsonSchema)]
#[schemars(transform = closed)]
pub struct BlockIo {
    /// Weight against other containers, from 10 to 1000. Default: 500.
    pub weight: Integer,
    /// Weight on single devices.
    pub weight_device: List<DeviceWeight>,
    /// Bytes per second that may be read from a device.
    pub device_read_bps: List<DeviceRate>,
    /// Reads per second from a device.
    pub device_read_iops: List<DeviceRate>,
    /// Bytes per second that may be written to a device.
    pub device_write_bps: List<DeviceRate>,
    /// Writes per second to a device.
    pub device_write_iops: List<DeviceRate>,
}

/// Weight on one device.
#[derive(JsonSchema)]
#[schemars(transform = closed)]
pub struct DeviceWeight {
    /// Path of the device, such as `/dev/sda`.
    pub path: Text,
    /// Weight against other containers, from 10 to 1000.
    pub weight: Integer,
}

/// Limit on one device.
#[derive(JsonSchema)]
#[schemars(transform = closed)]
pub struct DeviceRate {
    /// Path of the device, such as `/dev/sda`.
    pub path: Text,
    /// Bytes or operations per second; bytes also with a unit.
    pub rate: WholeSize,
}
