//! Health checks.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// As the file says it: what is `None` comes from the image, then from `Healthcheck::DEFAULT_*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Healthcheck {
    pub test: Option<HealthTest>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
    pub start_interval: Option<Duration>,
}

impl Healthcheck {
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
    pub const DEFAULT_RETRIES: u32 = 3;
    pub const DEFAULT_START_PERIOD: Duration = Duration::ZERO;
    pub const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthTest {
    /// No check, and none from the image either (`NONE`, `disable: true`).
    None,
    /// Argument vector.
    Cmd(Vec<String>),
    /// Text for the container's `/bin/sh -c`.
    Shell(String),
}
