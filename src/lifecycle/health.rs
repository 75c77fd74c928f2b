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

/// Shortest gap between two early probes, unless `interval` or `start_interval` is shorter.
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
        let sources = [service, image];
        let test = sources.iter().flatten().find_map(|check| check.test.as_ref());
        match test {
            None | Some(HealthTest::None) => return None,
            Some(HealthTest::Cmd(_) | HealthTest::Shell(_)) => {}
        }
        let duration = |field: fn(&Healthcheck) -> Option<Duration>, default: Duration| {
            sources.iter().flatten().filter_map(|check| field(check)).find(|value| !value.is_zero()).unwrap_or(default)
        };
        let retries = sources.iter().flatten().filter_map(|check| check.retries).find(|&retries| retries > 0);
        Some(Self {
            interval: duration(|c| c.interval, Healthcheck::DEFAULT_INTERVAL).max(SHORTEST_INTERVAL),
            timeout: duration(|c| c.timeout, Healthcheck::DEFAULT_TIMEOUT).max(SHORTEST_INTERVAL),
            retries: retries.unwrap_or(Healthcheck::DEFAULT_RETRIES),
            start_period: duration(|c| c.start_period, Healthcheck::DEFAULT_START_PERIOD),
            start_interval: duration(|c| c.start_interval, Healthcheck::DEFAULT_START_INTERVAL).max(SHORTEST_INTERVAL),
        })
    }

    /// How long after a start failures do not count. Without a `start_period` it is the time that Docker lets pass
    /// before its first probe, so that the early probes make nothing unhealthy sooner than there.
    fn lenient(&self) -> Duration {
        self.start_period.max(self.interval)
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

impl Monitor {
    /// Of a run that began at `started`. The first probe is due at `now`; after a recovery `status` is what was known.
    pub fn new(status: HealthStatus, started: Moment, now: Moment) -> Self {
        Self { status, started, failures: 0, phase: Phase::Waiting { until: now } }
    }

    /// When a probe has to begin; `None` while one is under way.
    pub fn deadline(&self) -> Option<Moment> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Probing { .. } => None,
        }
    }

    /// Whether a probe has to begin now; it is under way from here on.
    pub fn tick(&mut self, now: Moment) -> bool {
        let due = self.deadline().is_some_and(|until| until <= now);
        if due {
            self.phase = Phase::Probing { since: now };
        }
        due
    }

    /// A probe has ended. Answers the status where it changed.
    pub fn probed(&mut self, config: &HealthConfig, result: &ProbeResult, now: Moment) -> Option<HealthStatus> {
        let Phase::Probing { since } = self.phase else { return None };
        let status = match result {
            ProbeResult::Passed => {
                self.failures = 0;
                HealthStatus::Healthy
            }
            ProbeResult::Failed { .. } | ProbeResult::TimedOut => self.failed(config, since),
        };
        let changed = (status != self.status).then_some(status);
        self.status = status;
        self.phase = Phase::Waiting { until: now + self.gap(config, since, now) };
        changed
    }

    /// Only a probe that began after the lenient time counts, or one of a container that has been healthy before.
    fn failed(&mut self, config: &HealthConfig, since: Moment) -> HealthStatus {
        if self.status == HealthStatus::Starting && since - self.started < config.lenient() {
            return self.status;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= config.retries { HealthStatus::Unhealthy } else { self.status }
    }

    fn gap(&self, config: &HealthConfig, since: Moment, now: Moment) -> Duration {
        let age = now - self.started;
        if self.status != HealthStatus::Starting || age >= config.lenient() {
            return config.interval;
        }
        let ceiling = if age < config.start_period { config.start_interval } else { config.interval };
        let early = (age / 4).max(SHORTEST_GAP).max((now - since).saturating_mul(2)).min(ceiling);
        // The first probe that counts comes when it would come in Docker.
        early.min(config.lenient() - age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_speaks_before_the_image_and_the_image_before_the_defaults() {
        let image = Healthcheck {
            test: Some(HealthTest::Shell("true".into())),
            interval: Some(Duration::from_secs(7)),
            retries: Some(9),
            ..Healthcheck::default()
        };
        let service =
            Healthcheck { interval: Some(Duration::from_secs(1)), retries: Some(0), ..Healthcheck::default() };
        let resolved = HealthConfig::resolve(Some(&service), Some(&image)).unwrap();
        assert_eq!(resolved.interval, Duration::from_secs(1));
        assert_eq!(resolved.retries, 9);
        assert_eq!(resolved.timeout, Healthcheck::DEFAULT_TIMEOUT);
        assert_eq!(resolved.start_period, Duration::ZERO);
        let none = Healthcheck { test: Some(HealthTest::None), ..Healthcheck::default() };
        assert_eq!(HealthConfig::resolve(Some(&none), Some(&image)), None);
        assert_eq!(HealthConfig::resolve(Some(&service), None), None);
        assert_eq!(HealthConfig::resolve(None, None), None);
    }
}
