//! What the supervisor knows of its project: one value, one owner, no lock.

use crate::{
    api::Failure,
    dns::Serving,
    lifecycle::{Config, HealthConfig, Machine, Member, Moment, State},
    model::{ContainerId, RestartPolicy, signal},
    plan::Slot,
    reconcile::{
        container::{NewContainer, Parts},
        owner::{Of, Reply, Until, Which},
    },
    shim::wire::ExecSpec,
    state::records::{ContainerRecord, Exit},
};
use indexmap::IndexMap;
use std::time::Duration;

/// Docker's time between the stop signal and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
const SIGTERM: i32 = 15;

/// All containers of the project, in the order in which they were made.
#[derive(Debug, Default)]
pub struct World {
    pub containers: IndexMap<ContainerId, Container>,
    /// Those who wait for a condition of a service.
    pub gates: Vec<Gate>,
}

/// One container.
#[derive(Debug)]
pub struct Container {
    pub record: ContainerRecord,
    pub machine: Machine,
    pub config: Config,
    pub parts: Parts,
    pub probe: Option<ExecSpec>,
    /// The answer of the shim, while the machine is told of it.
    pub last_exit: Option<Exit>,
    /// A launch that has to wait until the shim of the run before has left.
    pub launch_when_closed: bool,
    /// Its shim waits for somebody to attach before it starts the program (`muster run`).
    pub held: bool,
    pub starting: Vec<Reply<Result<(), Failure>>>,
    pub stopping: Vec<Reply<Result<(), Failure>>>,
    /// The resolver's task of the present network.
    pub resolver: Option<Serving>,
}

#[derive(Debug)]
pub struct Gate {
    pub service: String,
    pub until: Until,
    pub done: Reply<Result<(), String>>,
}

impl Container {
    pub fn new(new: NewContainer, machine: Machine, probe: Option<ExecSpec>) -> Self {
        let config = config(&new.record);
        Self {
            record: new.record,
            machine,
            config,
            parts: new.parts,
            probe,
            last_exit: None,
            launch_when_closed: false,
            held: false,
            starting: Vec::new(),
            stopping: Vec::new(),
            resolver: None,
        }
    }

    /// A process of it is there, or will be.
    pub fn is_alive(&self) -> bool {
        matches!(
            self.machine.state,
            State::Starting { .. } | State::Running { .. } | State::Stopping { .. } | State::BackingOff { .. }
        )
    }

    /// Others may find it under its names.
    pub fn is_reachable(&self) -> bool {
        matches!(self.machine.state, State::Starting { .. } | State::Running { .. } | State::Stopping { .. })
    }
}

/// What the state machine has to know of a container.
pub fn config(record: &ContainerRecord) -> Config {
    let service = &record.applied;
    let stop_signal = service.stop_signal.as_deref().or(record.image_stop_signal.as_deref());
    Config {
        restart: if record.oneoff { RestartPolicy::No } else { service.restart },
        stop_signal: stop_signal.and_then(signal::parse).unwrap_or(SIGTERM),
        grace: service.stop_grace_period.unwrap_or(GRACE),
        health: HealthConfig::resolve(service.healthcheck.as_ref(), record.image_healthcheck.as_ref()),
    }
}

impl World {
    pub fn find(&self, which: &Which) -> Option<ContainerId> {
        match which {
            Which::Id(id) => self.containers.contains_key(id).then(|| id.clone()),
            Which::Slot(slot) => self.at(slot),
        }
    }

    /// The container at `slot`; of one-offs, which all have number 0, the newest.
    fn at(&self, slot: &Slot) -> Option<ContainerId> {
        let here = |record: &ContainerRecord| {
            record.service == slot.service && record.number == slot.number && record.oneoff == (slot.number == 0)
        };
        self.containers.iter().rev().find(|(_, container)| here(&container.record)).map(|(id, _)| id.clone())
    }

    pub fn records(&self, of: &Of) -> Vec<ContainerRecord> {
        match of {
            Of::Service(service) => self
                .containers
                .values()
                .filter(|container| &container.record.service == service && !container.record.oneoff)
                .map(|container| container.record.clone())
                .collect(),
            Of::One(which) => {
                let found = self.find(which).and_then(|id| self.containers.get(&id));
                found.map(|container| container.record.clone()).into_iter().collect()
            }
        }
    }

    /// The containers that a condition on `service` is about.
    pub fn members<'a>(&'a self, service: &'a str) -> Vec<Member<'a>> {
        self.containers
            .values()
            .filter(|container| container.record.service == service && !container.record.oneoff)
            .map(|container| Member { name: &container.record.name, state: &container.machine.state })
            .collect()
    }

    /// The next moment at which a machine wants to hear of the time.
    pub fn deadline(&self) -> Option<Moment> {
        self.containers.values().filter_map(|container| container.machine.deadline()).min()
    }

    pub fn any_alive(&self) -> bool {
        self.containers.values().any(Container::is_alive)
    }
}
