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
