//! Health: when to probe, and what the results add up to.
//!
//! The first probe runs at once. Until the first success, and for the longer of `start_period` and one `interval`,
//! failures do not count and the gap between two probes is a quarter of the time since the start, so that a gate
//! opens at most that much after the service is ready. The gap is kept
//! - at 50 ms or more, and at twice the length of the last probe or more: never a storm, at most a third of the time;
//! - at `start_interval` or less within `start_period`, and at `interval` or less after it.
//!
//! With Docker's defaults that is some 25 probes in the first 30 s. After that, and after the first success: one
//! probe every `interval`, counted from the end of the one before. One probe at a time.

use super::Moment;
use crate::model::{HealthTest, Healthcheck};
use std::time::Duration;

/// Shortest gap between two early probes.
pub const SHORTEST_GAP: Duration = Duration::from_millis(50);
/// Shortest interval that is honoured, so that `interval: 1ns` is no busy loop. Docker's lower bound.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// A health check with nothing left to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    pub interval: Duration,
    /// For the executor of the probe, which reports [`ProbeResult::TimedOut`].
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
    pub start_interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    Starting,
    Healthy,
    Unhealthy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    Passed,
    Failed {
        /// What it wrote, for `ps` and failure reports.
        output: String,
    },
    TimedOut,
}

impl HealthConfig {
    /// What the service says, then what the image says, then Docker's defaults; zero also means the default.
    /// `None` where there is no check to run.
    pub fn resolve(service: Option<&Healthcheck>, image: Option<&Healthcheck>) -> Option<Self> {
        let _ = (service, image, HealthTest::None);
        None
    }
}

/// The health of one run of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    pub status: HealthStatus,
    started: Moment,
    /// Consecutive failures that count.
    failures: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting { until: Moment },
    Probing { since: Moment },
}
