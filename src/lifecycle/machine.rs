//! The states of one container and how events move them.
//!
//! ```text
//!             Start             Started                 Exited, policy: stay down
//!  Created ----------> Starting ---------> Running ------------------------------------> Exited
//!     ^ never back      |    ^              |   |                                        ^  ^ |
//!                       |    |         Stop |   | Exited, policy: restart     Stop, Kill |  | | Start
//!           StartFailed |    |              |   +---------------> BackingOff ------------+  | +-> Starting
//!                       |    |              v                      |      ^                 |
//!                       v    |           Stopping -----------------|------|-----------------+
//!                      Dead  |           kill_at: SIGKILL  Exited  |      |
//!                       |    +-------------------------------------+      | StartFailed of a launch
//!                       | Start            Tick at restart_at, or Start   | that the policy made
//!                       +-> Starting                          Starting ---+
//! ```
//!
//! - A stop or kill that comes while a launch is under way is kept in `Starting` and done when the launch has ended.
//! - A kill leaves a container `Running` until it has in fact ended; [`End`] then keeps the policy out.
//! - A `Start` while `Stopping` is not heard: who wants a restart starts after the end.

use super::{
    Action, Announcement, Event, Exit, HealthConfig, HealthStatus, Moment, Monitor, ProbeResult,
    restart::{self, Decision},
    stop::{self, SIGKILL},
};
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
    /// After this end.
    Policy {
        exit: Exit,
    },
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

impl State {
    /// No process, none on the way, and none planned.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Created | Self::Exited { .. } | Self::Dead { .. })
    }

    /// A person wants it down: no policy brings it back, now or after a crash or a reboot.
    pub fn is_down_by_user(&self) -> bool {
        match self {
            Self::Exited { by_user, .. } | Self::Dead { by_user, .. } => *by_user,
            Self::Stopping { .. } | Self::Running { end: End::Wanted, .. } => true,
            Self::Starting { then, .. } => !matches!(then, Then::Run),
            Self::Created | Self::Running { .. } | Self::BackingOff { .. } => false,
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Of a container that has never run.
    pub fn new() -> Self {
        Self::at(State::Created, 0)
    }

    pub(super) fn at(state: State, restarts: u32) -> Self {
        Self { state, restarts, run: 0, short_runs: 0 }
    }

    /// One event. The actions are to be carried out in order.
    #[must_use]
    pub fn step(&mut self, config: &Config, event: Event, now: Moment) -> Vec<Action> {
        match event {
            Event::Start => self.start(),
            Event::Started => self.started(config, now),
            Event::StartFailed { error } => self.start_failed(config, error, now),
            Event::Exited(exit) => self.exited(config, exit, now),
            Event::Stop { grace } => self.stop(config, grace.unwrap_or(config.grace), now),
            Event::Kill { signal } => self.kill(config, signal),
            Event::Probed { run, result } => self.probed(config, run, &result, now),
            Event::Tick => self.tick(now),
        }
    }

    /// When the next [`Event::Tick`] is due; `None`: only an event changes anything.
    pub fn deadline(&self) -> Option<Moment> {
        let deadline = match &self.state {
            State::Running { health: Some(monitor), .. } => monitor.deadline(),
            State::Stopping { kill_at, .. } => *kill_at,
            State::BackingOff { restart_at, .. } => Some(*restart_at),
            State::Created
            | State::Starting { .. }
            | State::Running { health: None, .. }
            | State::Exited { .. }
            | State::Dead { .. } => None,
        };
        deadline.filter(|moment| *moment != Moment::NEVER)
    }

    pub fn health(&self) -> Option<HealthStatus> {
        match &self.state {
            State::Running { health: Some(monitor), .. } => Some(monitor.status),
            _ => None,
        }
    }

    fn start(&mut self) -> Vec<Action> {
        match &mut self.state {
            State::Created | State::BackingOff { .. } | State::Exited { .. } | State::Dead { .. } => {
                self.restarts = 0;
                self.short_runs = 0;
                self.launch(Starter::Command)
            }
            State::Starting { then, .. } => {
                *then = Then::Run;
                Vec::new()
            }
            State::Running { end, .. } => {
                *end = End::Policy;
                Vec::new()
            }
            State::Stopping { .. } => Vec::new(),
        }
    }

    fn launch(&mut self, by: Starter) -> Vec<Action> {
        self.run = self.run.wrapping_add(1);
        self.state = State::Starting { by, then: Then::Run };
        vec![Action::Launch]
    }

    fn started(&mut self, config: &Config, now: Moment) -> Vec<Action> {
        let State::Starting { then, .. } = self.state else { return Vec::new() };
        let health = config.health.as_ref().map(|_| Monitor::new(HealthStatus::Starting, now, now));
        self.state = State::Running { since: now, health, end: End::Policy };
        let mut actions = vec![Action::Announce(Announcement::Started)];
        actions.extend(match then {
            Then::Run => self.tick(now),
            Then::Stop { grace } => self.stop(config, grace, now),
            Then::Kill { signal } => self.kill(config, signal),
        });
        actions
    }

    fn start_failed(&mut self, config: &Config, error: String, now: Moment) -> Vec<Action> {
        let State::Starting { by, then } = self.state else { return Vec::new() };
        let wanted_down = !matches!(then, Then::Run);
        let mut actions = vec![Action::Announce(Announcement::StartFailed { error: error.clone() })];
        self.state = State::Dead { error, by_user: wanted_down };
        // A person reads the error and starts again. Nobody reads the policy's: it had run before, so it is worth
        // another try.
        if let Starter::Policy { exit } = by
            && !wanted_down
        {
            match restart::decide(config.restart, exit, self.restarts) {
                Decision::Restart => actions.push(self.back_off(exit, now)),
                Decision::GiveUp => actions.push(self.gave_up(exit)),
                Decision::StayDown => {}
            }
        }
        actions
    }

    fn exited(&mut self, config: &Config, exit: Exit, now: Moment) -> Vec<Action> {
        // A run may be over before its start was reported.
        let mut actions = self.started_unreported(config, now);
        match self.state {
            State::Running { since, end: End::Policy, .. } => {
                if now - since >= restart::GOOD_RUN {
                    self.short_runs = 0;
                }
                actions.push(self.ended_by_itself(config, exit, now));
            }
            State::Running { end: End::Wanted, .. } | State::Stopping { .. } => {
                self.state = State::Exited { exit, by_user: true };
                actions.push(Action::Announce(Announcement::Stopped { exit }));
            }
            _ => {}
        }
        actions
    }

    /// Without a probe or signal: there is no process any more.
    fn started_unreported(&mut self, config: &Config, now: Moment) -> Vec<Action> {
        let mut actions = self.started(config, now);
        actions.retain(|action| matches!(action, Action::Announce(Announcement::Started)));
        actions
    }

    fn ended_by_itself(&mut self, config: &Config, exit: Exit, now: Moment) -> Action {
        match restart::decide(config.restart, exit, self.restarts) {
            Decision::Restart => self.back_off(exit, now),
            Decision::StayDown => {
                self.state = State::Exited { exit, by_user: false };
                Action::Announce(Announcement::Exited { exit })
            }
            Decision::GiveUp => {
                self.state = State::Exited { exit, by_user: false };
                self.gave_up(exit)
            }
        }
    }

    pub(super) fn back_off(&mut self, exit: Exit, now: Moment) -> Action {
        let delay = restart::delay(self.short_runs);
        self.short_runs = self.short_runs.saturating_add(1);
        self.state = State::BackingOff { exit, restart_at: now + delay };
        Action::Announce(Announcement::Restarting { exit, attempt: self.restarts.saturating_add(1), delay })
    }

    fn gave_up(&self, exit: Exit) -> Action {
        Action::Announce(Announcement::GaveUp { exit, restarts: self.restarts })
    }

    fn stop(&mut self, config: &Config, grace: Duration, now: Moment) -> Vec<Action> {
        match &mut self.state {
            State::Created => Vec::new(),
            State::Starting { then, .. } => {
                *then = Then::Stop { grace };
                Vec::new()
            }
            State::Running { .. } => self.begin_stop(config, grace, now),
            State::Stopping { kill_at: Some(kill_at), .. } => {
                *kill_at = (*kill_at).min(now + grace);
                self.tick(now)
            }
            // Once more: whoever asks again is waiting for something that did not end.
            State::Stopping { kill_at: None, .. } => vec![Action::Signal { signal: SIGKILL, all: true }],
            State::BackingOff { exit, .. } => {
                let exit = *exit;
                self.state = State::Exited { exit, by_user: true };
                vec![Action::Announce(Announcement::Stopped { exit })]
            }
            State::Exited { by_user, .. } | State::Dead { by_user, .. } => {
                *by_user = true;
                Vec::new()
            }
        }
    }

    fn begin_stop(&mut self, config: &Config, grace: Duration, now: Moment) -> Vec<Action> {
        let at_once = grace.is_zero() || config.stop_signal == SIGKILL;
        let (signal, kill_at) = if at_once { (SIGKILL, None) } else { (config.stop_signal, Some(now + grace)) };
        self.state = State::Stopping { since: now, kill_at };
        vec![
            Action::Signal { signal, all: at_once },
            Action::Announce(Announcement::Stopping { signal, grace: if at_once { Duration::ZERO } else { grace } }),
        ]
    }

    fn kill(&mut self, config: &Config, signal: i32) -> Vec<Action> {
        let send = || {
            vec![Action::Signal { signal, all: signal == SIGKILL }, Action::Announce(Announcement::Killed { signal })]
        };
        match &mut self.state {
            State::Starting { then, .. } => {
                // A message does not take a stop back.
                if signal == SIGKILL || !matches!(then, Then::Stop { .. }) {
                    *then = Then::Kill { signal };
                }
                Vec::new()
            }
            State::Running { end, .. } => {
                if stop::ends(signal, config.stop_signal) {
                    *end = End::Wanted;
                }
                send()
            }
            State::Stopping { kill_at, .. } => {
                if signal == SIGKILL {
                    *kill_at = None;
                }
                send()
            }
            State::BackingOff { exit, .. } if stop::ends(signal, config.stop_signal) => {
                let exit = *exit;
                self.state = State::Exited { exit, by_user: true };
                vec![Action::Announce(Announcement::Stopped { exit })]
            }
            State::BackingOff { .. } | State::Created | State::Exited { .. } | State::Dead { .. } => Vec::new(),
        }
    }

    fn probed(&mut self, config: &Config, run: u32, result: &ProbeResult, now: Moment) -> Vec<Action> {
        let (State::Running { health: Some(monitor), .. }, Some(health)) = (&mut self.state, &config.health) else {
            return Vec::new();
        };
        if run != self.run {
            return Vec::new();
        }
        let announcement = match monitor.probed(health, result, now) {
            Some(HealthStatus::Healthy) => Announcement::Healthy,
            Some(HealthStatus::Unhealthy) => Announcement::Unhealthy,
            Some(HealthStatus::Starting) | None => return Vec::new(),
        };
        vec![Action::Announce(announcement)]
    }

    fn tick(&mut self, now: Moment) -> Vec<Action> {
        match &mut self.state {
            State::Running { health: Some(monitor), .. } => {
                if monitor.tick(now) {
                    vec![Action::Probe { run: self.run }]
                } else {
                    Vec::new()
                }
            }
            State::Stopping { kill_at, .. } if kill_at.is_some_and(|at| at <= now) => {
                *kill_at = None;
                vec![Action::Signal { signal: SIGKILL, all: true }, Action::Announce(Announcement::GraceOver)]
            }
            State::BackingOff { exit, restart_at } if *restart_at <= now => {
                let exit = *exit;
                self.restarts = self.restarts.saturating_add(1);
                self.launch(Starter::Policy { exit })
            }
            _ => Vec::new(),
        }
    }
}
