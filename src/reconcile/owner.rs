//! How an executor speaks to the one task that owns a project's state.
//!
//! The owner (the supervisor) decides what starts, stops and waits; an executor asks, and waits for the answer.

use super::container::NewContainer;
use crate::{
    api::Failure,
    model::{Condition, ContainerId},
    plan::Slot,
    state::records::ContainerRecord,
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Answer to an [`Ask`].
pub type Reply<T> = oneshot::Sender<T>;

/// What an executor may ask of the owner.
#[derive(Debug)]
pub enum Ask {
    /// Take this container in; it is made, not started.
    Adopt { container: Box<NewContainer>, done: Reply<()> },
    /// Answered when the program runs, or could not be run; for a `muster run`, when its shim waits for an attach.
    Start { which: Which, done: Reply<Result<(), Failure>> },
    /// Answered when the container has ended.
    Stop { id: ContainerId, grace: Option<Duration>, done: Reply<Result<(), Failure>> },
    /// Answered when the signal is sent, and with SIGKILL when the container has ended.
    Kill { id: ContainerId, signal: i32, done: Reply<Result<(), Failure>> },
    /// Answered when the container has ended; nothing is done to end it.
    Ended { id: ContainerId, done: Reply<Result<(), Failure>> },
    /// Forget this container, and hand over what has to be torn down. `None`: it is not known.
    Release { id: ContainerId, done: Reply<Option<Retired>> },
    /// Answered when the condition holds, or can no longer come to hold.
    Await { service: String, until: Until, done: Reply<Result<(), String>> },
    /// The containers of a service, or the one at hand.
    Records { of: Of, done: Reply<Vec<ContainerRecord>> },
    /// Write the firewall anew; answered when the kernel has it.
    Firewall { done: Reply<Result<(), Failure>> },
    /// Publish the names anew: a lease has gone.
    Names,
    /// Tell whoever listens.
    Note { kind: &'static str, action: &'static str, id: String, name: String },
}

/// A container to start.
#[derive(Clone, Debug)]
pub enum Which {
    Id(ContainerId),
    Slot(Slot),
}

/// What a waiting one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// `depends_on`
    Condition(Condition),
    /// `up --wait`: running, and healthy where there is a check.
    Up,
}

/// Whose records.
#[derive(Clone, Debug)]
pub enum Of {
    Service(String),
    One(Which),
}

/// What the owner gives away of a container that is to be removed.
#[derive(Debug)]
pub struct Retired {
    pub record: ContainerRecord,
    pub parts: super::container::Parts,
}

/// A handle to the owner; cheap to clone.
#[derive(Clone, Debug)]
pub struct Owner(mpsc::UnboundedSender<Ask>);

impl Owner {
    pub fn new(sender: mpsc::UnboundedSender<Ask>) -> Self {
        Self(sender)
    }

    /// Sends what `ask` makes of a reply's sender, and waits for the reply.
    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Failure> {
        let (done, reply) = oneshot::channel();
        let gone = || Failure { message: "the supervisor is going down".into(), ..Failure::default() };
        self.0.send(ask(done)).map_err(|_| gone())?;
        reply.await.map_err(|_| gone())
    }

    pub async fn adopt(&self, container: NewContainer) -> Result<(), Failure> {
        self.ask(|done| Ask::Adopt { container: Box::new(container), done }).await
    }
    pub async fn start(&self, which: Which) -> Result<(), Failure> {
        self.ask(|done| Ask::Start { which, done }).await?
    }
    pub async fn stop(&self, id: ContainerId, grace: Option<Duration>) -> Result<(), Failure> {
        self.ask(|done| Ask::Stop { id, grace, done }).await?
    }
    pub async fn kill(&self, id: ContainerId, signal: i32) -> Result<(), Failure> {
        self.ask(|done| Ask::Kill { id, signal, done }).await?
    }
    pub async fn ended(&self, id: ContainerId) -> Result<(), Failure> {
        self.ask(|done| Ask::Ended { id, done }).await?
    }
    pub async fn release(&self, id: ContainerId) -> Result<Option<Retired>, Failure> {
        self.ask(|done| Ask::Release { id, done }).await
    }
    pub async fn until(&self, service: String, until: Until) -> Result<(), Failure> {
        self.ask(|done| Ask::Await { service, until, done })
            .await?
            .map_err(|message| Failure { message, ..Failure::default() })
    }
    pub async fn records(&self, of: Of) -> Result<Vec<ContainerRecord>, Failure> {
        self.ask(|done| Ask::Records { of, done }).await
    }
    pub async fn firewall(&self) -> Result<(), Failure> {
        self.ask(|done| Ask::Firewall { done }).await?
    }
    pub fn names(&self) {
        let _ = self.0.send(Ask::Names);
    }
    pub fn note(&self, kind: &'static str, action: &'static str, id: impl Into<String>, name: impl Into<String>) {
        // Nobody is left to tell when the owner is gone.
        let _ = self.0.send(Ask::Note { kind, action, id: id.into(), name: name.into() });
    }
}
