//! The words that go into a machine, and those that come out.

use super::ProbeResult;
use std::time::Duration;

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
