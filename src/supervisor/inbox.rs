//! Everything that can reach the task that owns a project's state.

use crate::{
    api::{Apply, Failure, Progress, Status},
    lifecycle::ProbeResult,
    model::ContainerId,
    plan::{Observed, Plan},
    reconcile::{container::Parts, link::LinkEvent, owner::Ask},
    state::records::ContainerRecord,
};
use tokio::sync::{mpsc, oneshot};

/// One thing that happened, or was asked.
#[derive(Debug)]
pub enum Input {
    // From the control socket.
    Status(oneshot::Sender<Status>),
    Containers(oneshot::Sender<Vec<ContainerRecord>>),
    Plan {
        apply: Box<Apply>,
        done: oneshot::Sender<Result<Plan, Failure>>,
    },
    Apply {
        apply: Box<Apply>,
        progress: mpsc::UnboundedSender<Progress>,
    },
    // From a plan that is being carried out.
    Ask(Ask),
    /// A command has come to its end, and the next one may begin.
    Applied,
    /// The containers as a planner takes them.
    Observe(oneshot::Sender<Observed>),
    // From the containers.
    Link {
        id: ContainerId,
        event: LinkEvent,
    },
    Launched {
        id: ContainerId,
        result: Box<Result<Parts, Failure>>,
    },
    Probed {
        id: ContainerId,
        run: u64,
        result: ProbeResult,
    },
    /// What was left of a container whose shim is gone is cleared away.
    Buried {
        id: ContainerId,
        exit: crate::state::records::Exit,
    },
    // From the host.
    FirewallChanged,
    FirewallWritten(Result<(), Failure>),
    Signal,
}

/// The way in; cheap to clone.
pub type Inbox = mpsc::UnboundedSender<Input>;
