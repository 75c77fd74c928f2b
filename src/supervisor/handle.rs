//! Input in, deeds out. Synchronous: nothing here waits, and nothing here touches the kernel.

use super::{
    deed::Deed,
    world::{Container, Gate, World},
};
use crate::{
    api::Failure,
    lifecycle::{Action, Announcement, Event, Exit as RunExit, Moment, ProbeResult, Verdict, gate::up, verdict},
    model::ContainerId,
    reconcile::{
        container::NewContainer,
        link::LinkEvent,
        owner::{Reply, Retired, Until, Which},
        probe::{self, Probed},
    },
    shim::wire::{ExecSpec, Request, Response},
    state::records::{self, Exit, Health, Status},
};

const SIGKILL: i32 = 9;

impl World {
    // ---- what executors ask -------------------------------------------------------------------------------------

    /// A new container: known from now on, not started.
    pub fn adopt(&mut self, new: NewContainer, probe: Option<ExecSpec>) -> Vec<Deed> {
        let id = new.record.id.clone();
        let machine = crate::lifecycle::Machine::new();
        self.containers.insert(id.clone(), Container::new(new, machine, probe));
        vec![Deed::Serve { id: id.clone() }, Deed::note(&id, "create")]
    }

    pub fn start(&mut self, which: &Which, done: Reply<Result<(), Failure>>, now: Moment) -> Vec<Deed> {
        let Some(id) = self.find(which) else {
            let _ = done.send(Err(unknown(which)));
            return Vec::new();
        };
        let Some(container) = self.containers.get_mut(&id) else { return Vec::new() };
        container.record.stopped_by_user = false;
        container.starting.push(done);
        let deeds = self.step(&id, Event::Start, now);
        self.settle(&id);
        deeds
    }

    pub fn stop(
        &mut self,
        id: &ContainerId,
        grace: Option<std::time::Duration>,
        done: Reply<Result<(), Failure>>,
        now: Moment,
    ) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else {
            let _ = done.send(Ok(()));
            return Vec::new();
        };
        container.record.stopped_by_user = true;
        container.stopping.push(done);
        let mut deeds = self.let_go(id, now);
        deeds.extend(self.step(id, Event::Stop { grace }, now));
        self.settle(id);
        deeds.push(Deed::Persist { id: id.clone() });
        deeds
    }

    pub fn kill(&mut self, id: &ContainerId, signal: i32, done: Reply<Result<(), Failure>>, now: Moment) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else {
            let _ = done.send(Err(unknown(&Which::Id(id.clone()))));
            return Vec::new();
        };
        if signal == SIGKILL {
            container.record.stopped_by_user = true;
            container.stopping.push(done);
        } else {
            let _ = done.send(Ok(()));
        }
        let mut deeds = self.let_go(id, now);
        deeds.extend(self.step(id, Event::Kill { signal }, now));
        self.settle(id);
        deeds
    }

    /// A container that nobody has attached to yet has no program that a signal could reach: its shim leaves.
    fn let_go(&mut self, id: &ContainerId, now: Moment) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else { return Vec::new() };
        if !std::mem::take(&mut container.held) {
            return Vec::new();
        }
        if let Some(link) = &container.parts.link {
            link.send(Request::Quit);
        }
        self.step(id, Event::StartFailed { error: "it was stopped before anybody attached to it".into() }, now)
    }

    /// Answered when the container has ended, by itself or otherwise; at once where it is not known.
    pub fn when_ended(&mut self, id: &ContainerId, done: Reply<Result<(), Failure>>) {
        match self.containers.get_mut(id) {
            Some(container) => {
                container.stopping.push(done);
                self.settle(id);
            }
            None => {
                let _ = done.send(Ok(()));
            }
        }
    }

    /// Takes the container out of the world. One that still runs is not given away.
    pub fn release(&mut self, id: &ContainerId, done: Reply<Option<Retired>>) -> Vec<Deed> {
        let retired = match self.containers.get(id) {
            Some(container) if !container.is_alive() => self.containers.shift_remove(id),
            _ => None,
        };
        let deeds = match &retired {
            Some(container) => vec![Deed::Forgotten { record: Box::new(container.record.clone()) }],
            None => Vec::new(),
        };
        let _ = done.send(retired.map(|container| Retired { record: container.record, parts: container.parts }));
        deeds
    }

    pub fn wait_for(&mut self, service: String, until: Until, done: Reply<Result<(), String>>) {
        self.gates.push(Gate { service, until, done });
        self.open_gates();
    }

    // ---- what containers do -------------------------------------------------------------------------------------

    pub fn linked(&mut self, id: &ContainerId, event: LinkEvent, now: Moment) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else { return Vec::new() };
        match event {
            LinkEvent::Response(Response::Held, _) => {
                container.held = true;
                // As far as a plan goes it is started: what comes next is for the one who attaches.
                for done in container.starting.drain(..) {
                    let _ = done.send(Ok(()));
                }
                Vec::new()
            }
            LinkEvent::Response(Response::Started { pid, start_time, at }, _) => {
                let (shim_pid, shim_start_time) = container.parts.shim.unwrap_or_default();
                container.held = false;
                container.record.status =
                    Status::Running { pid, start_time, shim_pid, shim_start_time, started_at: at };
                self.step(id, Event::Started, now)
            }
            LinkEvent::Response(Response::Failed { error }, _) => {
                container.held = false;
                container.last_exit = Some(exit_of_failure(error.code, error.message.clone()));
                if let Some(link) = &container.parts.link {
                    link.send(Request::Quit);
                }
                self.step(id, Event::StartFailed { error: error.message }, now)
            }
            LinkEvent::Response(Response::Exited { exit }, _) => {
                if let Some(link) = &container.parts.link {
                    link.send(Request::Quit);
                }
                self.ended(id, exit, now)
            }
            LinkEvent::Response(..) => Vec::new(),
            LinkEvent::Closed => {
                container.held = false;
                container.parts.link = None;
                container.parts.shim = None;
                if std::mem::take(&mut container.launch_when_closed) {
                    return vec![Deed::Launch { id: id.clone() }];
                }
                let has_ended = container.last_exit.is_some() || !container.is_alive();
                // The shim was killed: the container dies with it, and nobody wrote down how.
                if has_ended { Vec::new() } else { vec![Deed::Bury { id: id.clone() }] }
            }
        }
    }

    /// A run is over.
    pub fn ended(&mut self, id: &ContainerId, exit: Exit, now: Moment) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else { return Vec::new() };
        let run = RunExit { code: exit.code, signal: exit.signal, oom: exit.oom };
        container.record.status = Status::Exited { exit: exit.clone() };
        container.last_exit = Some(exit);
        self.step(id, Event::Exited(run), now)
    }

    pub fn start_failed(&mut self, id: &ContainerId, failure: Failure, now: Moment) -> Vec<Deed> {
        if let Some(container) = self.containers.get_mut(id) {
            container.last_exit = Some(exit_of_failure(125, failure.message.clone()));
        }
        self.step(id, Event::StartFailed { error: failure.message }, now)
    }

    pub fn probed(&mut self, id: &ContainerId, run: u32, probed: Probed, now: Moment) -> Vec<Deed> {
        let result = match probed.verdict {
            probe::Verdict::Passed => ProbeResult::Passed,
            probe::Verdict::Failed => ProbeResult::Failed { output: probed.output.clone() },
            probe::Verdict::TimedOut => ProbeResult::TimedOut,
        };
        if let Some(container) = self.containers.get_mut(id) {
            container.record.last_probe = Some(probed.output);
        }
        self.step(id, Event::Probed { run, result }, now)
    }

    /// The time has come for some machine.
    pub fn tick(&mut self, now: Moment) -> Vec<Deed> {
        let due: Vec<ContainerId> = self
            .containers
            .iter()
            .filter(|(_, container)| container.machine.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| id.clone())
            .collect();
        due.iter().flat_map(|id| self.step(id, Event::Tick, now)).collect()
    }

    // ---- one step of one machine --------------------------------------------------------------------------------

    pub fn step(&mut self, id: &ContainerId, event: Event, now: Moment) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else { return Vec::new() };
        let reachable = container.is_reachable();
        let actions = container.machine.step(&container.config, event, now);
        let mut deeds = Vec::new();
        for action in actions {
            deeds.extend(self.act(id, action));
        }
        if let Some(container) = self.containers.get_mut(id) {
            container.record.restarts = container.machine.restarts;
            if container.is_reachable() != reachable {
                deeds.push(Deed::Names);
            }
        }
        self.settle(id);
        self.open_gates();
        deeds
    }

    fn act(&mut self, id: &ContainerId, action: Action) -> Vec<Deed> {
        let Some(container) = self.containers.get_mut(id) else { return Vec::new() };
        match action {
            Action::Launch => {
                let fresh = container.last_exit.take().is_none();
                match &container.parts.link {
                    // Its shim waits since it was made.
                    Some(link) if fresh => {
                        link.send(Request::Start);
                        Vec::new()
                    }
                    // The one of the last run is about to leave; two cannot listen on one socket.
                    Some(_) => {
                        container.launch_when_closed = true;
                        Vec::new()
                    }
                    None => vec![Deed::Launch { id: id.clone() }],
                }
            }
            Action::Signal { signal, all } => {
                if let Some(link) = &container.parts.link {
                    link.send(Request::Signal { signal, all });
                }
                Vec::new()
            }
            Action::Probe { run } => vec![Deed::Probe { id: id.clone(), run }],
            Action::Announce(announcement) => {
                let deeds = announce(container, &announcement);
                [deeds, vec![Deed::Persist { id: id.clone() }]].concat()
            }
        }
    }

    /// Answers those who wait for a start or a stop, once the machine has come to rest.
    fn settle(&mut self, id: &ContainerId) {
        use crate::lifecycle::State;
        let Some(container) = self.containers.get_mut(id) else { return };
        match &container.machine.state {
            State::Starting { .. } | State::Stopping { .. } | State::BackingOff { .. } => {}
            State::Running { .. } => {
                for done in container.starting.drain(..) {
                    let _ = done.send(Ok(()));
                }
            }
            State::Created | State::Exited { .. } | State::Dead { .. } => {
                for done in container.stopping.drain(..) {
                    let _ = done.send(Ok(()));
                }
                if let State::Dead { error, .. } = &container.machine.state {
                    let failure = Failure {
                        message: error.clone(),
                        container: Some(container.record.name.clone()),
                        exit: container.last_exit.clone(),
                        ..Failure::default()
                    };
                    for done in container.starting.drain(..) {
                        let _ = done.send(Err(failure.clone()));
                    }
                } else if matches!(container.machine.state, State::Exited { .. }) {
                    // It ran, if only for a moment: what its end means is for those to say who depend on it.
                    for done in container.starting.drain(..) {
                        let _ = done.send(Ok(()));
                    }
                }
            }
        }
    }

    fn open_gates(&mut self) {
        let mut kept = Vec::new();
        for gate in std::mem::take(&mut self.gates) {
            let members = self.members(&gate.service);
            let verdict = match gate.until {
                Until::Condition(condition) => verdict(condition, &gate.service, &members),
                Until::Up => up(&members),
            };
            match verdict {
                Verdict::Open => {
                    let _ = gate.done.send(Ok(()));
                }
                Verdict::Failed(why) => {
                    let _ = gate.done.send(Err(why));
                }
                // Nobody waits any more behind a closed reply.
                Verdict::Wait if gate.done.is_closed() => {}
                Verdict::Wait => kept.push(gate),
            }
        }
        self.gates = kept;
    }
}

/// The record follows the machine; and what others are told of it, in Docker's words.
fn announce(container: &mut Container, announcement: &Announcement) -> Vec<Deed> {
    let id = container.record.id.clone();
    let record = &mut container.record;
    let last = |container_exit: &Option<Exit>, run: &RunExit| {
        container_exit.clone().unwrap_or_else(|| Exit {
            code: run.code,
            signal: run.signal,
            oom: run.oom,
            started_at: None,
            finished_at: records::now(),
            note: None,
        })
    };
    match announcement {
        Announcement::Started => {
            record.health = container.config.health.as_ref().map(|_| Health::Starting);
            vec![Deed::note(&id, "start")]
        }
        Announcement::StartFailed { error } => {
            record.status = Status::Dead { error: error.clone(), at: records::now() };
            vec![Deed::note(&id, "die").with("error", error.as_str())]
        }
        Announcement::Stopping { signal, .. } | Announcement::Killed { signal } => {
            vec![Deed::note(&id, "kill").with("signal", *signal)]
        }
        Announcement::GraceOver => vec![Deed::note(&id, "kill").with("signal", SIGKILL)],
        Announcement::Stopped { exit } => {
            record.health = None;
            record.status = Status::Exited { exit: last(&container.last_exit, exit) };
            vec![died(&id, exit), Deed::note(&id, "stop")]
        }
        Announcement::Exited { exit } => {
            record.health = None;
            record.status = Status::Exited { exit: last(&container.last_exit, exit) };
            let mut deeds = oom(&id, exit);
            deeds.push(died(&id, exit));
            deeds
        }
        Announcement::Restarting { exit, attempt, delay } => {
            record.health = None;
            record.status = Status::Restarting { exit: last(&container.last_exit, exit) };
            let mut deeds = oom(&id, exit);
            deeds.push(died(&id, exit));
            let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            deeds.push(Deed::note(&id, "restart").with("attempt", *attempt).with("delay_ms", delay));
            deeds
        }
        Announcement::GaveUp { exit, restarts } => {
            record.health = None;
            let mut told = last(&container.last_exit, exit);
            told.note = Some(format!("gave up after {restarts} restarts"));
            record.status = Status::Exited { exit: told };
            let mut deeds = oom(&id, exit);
            deeds.push(died(&id, exit));
            deeds.push(Deed::note(&id, "give_up").with("restarts", *restarts));
            deeds
        }
        Announcement::Healthy => {
            record.health = Some(Health::Healthy);
            vec![Deed::note(&id, "health_status: healthy")]
        }
        Announcement::Unhealthy => {
            record.health = Some(Health::Unhealthy);
            vec![Deed::note(&id, "health_status: unhealthy")]
        }
    }
}

fn died(id: &ContainerId, exit: &RunExit) -> Deed {
    Deed::note(id, "die").with("exitCode", exit.code).with("oom", exit.oom)
}

fn oom(id: &ContainerId, exit: &RunExit) -> Vec<Deed> {
    if exit.oom { vec![Deed::note(id, "oom")] } else { Vec::new() }
}

fn exit_of_failure(code: i32, note: String) -> Exit {
    Exit { code, signal: None, oom: false, started_at: None, finished_at: records::now(), note: Some(note) }
}

fn unknown(which: &Which) -> Failure {
    let what = match which {
        Which::Id(id) => format!("container {}", id.short()),
        Which::Slot(slot) => format!("container {} of service {}", slot.number, slot.service),
    };
    Failure { message: format!("{what} is not there"), ..Failure::default() }
}
