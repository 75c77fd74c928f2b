//! A machine for a container that an earlier supervisor looked after.

use super::{Config, Exit, HealthStatus, Machine, Moment, Monitor, State, machine::End};

/// What the records say. A container that ended while nobody looked is recovered as `Running` and then told
/// [`super::Event::Exited`]; one that was being stopped (`stopped_by_user` and still running) is then told
/// [`super::Event::Stop`] again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    Created,
    Running {
        since: Moment,
        health: Option<HealthStatus>,
    },
    /// Ended, and its policy was about to bring it back.
    Restarting {
        exit: Exit,
    },
    Exited {
        exit: Exit,
        by_user: bool,
    },
    Dead {
        error: String,
        by_user: bool,
    },
}

impl Machine {
    /// Asks for nothing at once: what is due (a probe, a restart) shows in [`Machine::deadline`]. The back-off of a
    /// crashed supervisor is not known any more and begins anew; the number of restarts is.
    pub fn recovered(what: Recovered, restarts: u32, config: &Config, now: Moment) -> Self {
        let state = match what {
            Recovered::Created => State::Created,
            Recovered::Running { since, health } => State::Running {
                since,
                health: config
                    .health
                    .as_ref()
                    .map(|_| Monitor::new(health.unwrap_or(HealthStatus::Starting), since, now)),
                end: End::Policy,
            },
            Recovered::Restarting { exit } => {
                let mut machine = Self::at(State::Created, restarts);
                let _ = machine.back_off(exit, now);
                return machine;
            }
            Recovered::Exited { exit, by_user } => State::Exited { exit, by_user },
            Recovered::Dead { error, by_user } => State::Dead { error, by_user },
        };
        Self::at(state, restarts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lifecycle::{Action, Event, HealthConfig},
        model::{HealthTest, Healthcheck, RestartPolicy},
    };
    use std::time::Duration;

    fn config() -> Config {
        let check = Healthcheck { test: Some(HealthTest::Shell("true".into())), ..Healthcheck::default() };
        let restart = RestartPolicy::OnFailure { max_retries: Some(3) };
        let health = HealthConfig::resolve(Some(&check), None);
        Config { restart, stop_signal: 15, grace: Duration::from_secs(10), health }
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn a_running_container_keeps_its_health_and_is_probed_at_once() {
        let what = Recovered::Running { since: at(100), health: Some(HealthStatus::Healthy) };
        let mut machine = Machine::recovered(what, 2, &config(), at(500));
        assert_eq!(machine.health(), Some(HealthStatus::Healthy));
        assert_eq!(machine.deadline(), Some(at(500)));
        assert_eq!(machine.step(&config(), Event::Tick, at(500)), [Action::Probe { run: 0 }]);
    }

    #[test]
    fn a_restart_that_was_due_still_comes_and_counts_on() {
        let exit = Exit { code: 1, signal: None, oom: false };
        let mut machine = Machine::recovered(Recovered::Restarting { exit }, 2, &config(), at(500));
        let due = at(500) + Duration::from_millis(100);
        assert_eq!(machine.deadline(), Some(due));
        assert_eq!(machine.step(&config(), Event::Tick, due), [Action::Launch]);
        assert_eq!(machine.restarts, 3);
    }

    #[test]
    fn an_end_that_nobody_saw_is_judged_like_any_other() {
        let what = Recovered::Running { since: at(100), health: None };
        let mut machine = Machine::recovered(what, 3, &config(), at(500));
        let exit = Exit { code: 1, signal: None, oom: false };
        let _ = machine.step(&config(), Event::Exited(exit), at(500));
        assert_eq!(machine.state, State::Exited { exit, by_user: false });
    }
}
