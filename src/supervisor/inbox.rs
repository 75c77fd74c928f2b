//! Everything that can reach the task that owns a project's state.

use crate::{
    api::{Apply, Failure, Progress, Status},
    model::ContainerId,
    plan::{Observed, Plan},
    reconcile::{launch::Launched, link::LinkEvent, owner::Reply, probe::Probed},
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
    /// A command has come to its end, and the next one may begin.
    Applied,
    /// A command goes on after its turn, without keeping others from theirs.
    Follows,
    /// And has come to its end.
    Followed,
    /// A plan was shown; nothing was changed.
    Planned,
    /// The containers as a planner takes them.
    Observe(oneshot::Sender<Observed>),
    // From the containers.
    Link {
        id: ContainerId,
        event: LinkEvent,
    },
    Launched {
        id: ContainerId,
        result: Box<Result<Launched, Failure>>,
    },
    Probed {
        id: ContainerId,
        run: u32,
        probed: Probed,
    },
    /// What was left of a container whose shim is gone is cleared away.
    Buried {
        id: ContainerId,
        exit: crate::state::records::Exit,
    },
    // From the host.
    FirewallChanged,
    FirewallWritten {
        result: Result<(), Failure>,
        waiting: Vec<Reply<Result<(), Failure>>>,
    },
}

/// The way in; cheap to clone.
pub type Inbox = mpsc::UnboundedSender<Input>;
