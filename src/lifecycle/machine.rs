//! The states of one container and how events move them.

use super::{HealthConfig, HealthStatus, Moment, Monitor, ProbeResult};
use crate::model::RestartPolicy;
use std::time::Duration;

/// What the machine has to know of the container. It may change between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `No` for one-off containers.
    pub restart: RestartPolicy,
    pub stop_signal: i32,
    /// Between the stop signal and SIGKILL, where the command says nothing else.
    pub grace: Duration,
    pub health: Option<HealthConfig>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 0-255; 128 + the signal's number where one ended it.
    pub code: i32,
    pub signal: Option<i32>,
    /// The kernel's OOM killer took a process of the container.
    pub oom: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command says: run. Nothing where it runs already; at once where it waits for its next restart.
    Start,
    /// The launch succeeded: its process runs.
    Started,
    /// The launch failed; there is no process.
    StartFailed { error: String },
    /// Its process ended.
    Exited(Exit),
    /// A command says: stop. `grace` over the container's own.
    Stop { grace: Option<Duration> },
    /// `muster kill`.
    Kill { signal: i32 },
    /// The probe that [`Action::Probe`] of the same `run` asked for has ended.
    Probed { run: u32, result: ProbeResult },
    /// The deadline has come. One too many is harmless.
    Tick,
}

/// What the supervisor has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Run it; answer with `Started` or `StartFailed`.
    Launch,
    /// To the first process, or to `all` of the container's (cgroup).
    Signal { signal: i32, all: bool },
    /// Run the health check once; answer with `Probed` and the same `run`.
    Probe { run: u32 },
    /// Tell everybody, write the record.
    Announce(Announcement),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    Started,
    StartFailed {
        error: String,
    },
    /// Being stopped: SIGKILL follows after `grace`.
    Stopping {
        signal: i32,
        grace: Duration,
    },
    /// `muster kill` sent it a signal.
    Killed {
        signal: i32,
    },
    /// The grace is over, SIGKILL was sent.
    GraceOver,
    /// Ended because a person wanted it.
    Stopped {
        exit: Exit,
    },
    /// Ended by itself, and stays down.
    Exited {
        exit: Exit,
    },
    /// Ended by itself, and comes back: the `attempt`th restart, in `delay`.
    Restarting {
        exit: Exit,
        attempt: u32,
        delay: Duration,
    },
    /// Ended by itself once more than `on-failure:N` allows.
    GaveUp {
        exit: Exit,
        restarts: u32,
    },
    Healthy,
    Unhealthy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, never run.
    Created,
    /// Launched; whether it runs is not known yet.
    Starting {
        by: Starter,
        then: Then,
    },
    Running {
        since: Moment,
        health: Option<Monitor>,
        end: End,
    },
    /// Told to end. `kill_at` is `None` once SIGKILL is sent.
    Stopping {
        since: Moment,
        kill_at: Option<Moment>,
    },
    /// Ended, and comes back at `restart_at`.
    BackingOff {
        exit: Exit,
        restart_at: Moment,
    },
    /// `by_user`: a person wanted it down, and no policy brings it back.
    Exited {
        exit: Exit,
        by_user: bool,
    },
    /// The launch failed.
    Dead {
        error: String,
        by_user: bool,
    },
}

/// Who asked for a launch: a failure is final where a person did, and is retried where the policy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    Command,
    Policy,
}

/// What was asked for while a launch was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Run,
    Stop { grace: Duration },
    Kill { signal: i32 },
}

/// What the end of a run means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The restart policy decides.
    Policy,
    /// `muster kill` asked for it.
    Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub state: State,
    /// By the policy, since a person last started it.
    pub restarts: u32,
    /// Counts launches, so that a late probe of an earlier run is known for what it is.
    run: u32,
    /// Consecutive runs that were no good ones.
    short_runs: u32,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    pub fn new() -> Self {
        Self { state: State::Created, restarts: 0, run: 0, short_runs: 0 }
    }

    /// One event. Actions are to be carried out in order.
    pub fn step(&mut self, config: &Config, event: Event, now: Moment) -> Vec<Action> {
        let _ = (config, event, now, self.run, self.short_runs);
        Vec::new()
    }

    /// When the next [`Event::Tick`] is due; `None`: only an event changes anything.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }

    pub fn health(&self) -> Option<HealthStatus> {
        match &self.state {
            State::Running { health: Some(monitor), .. } => Some(monitor.status),
            _ => None,
        }
    }
}
