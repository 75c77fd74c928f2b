//! Carries out what a plan says, with the engines: images, volumes, networks, shims.
//!
//! It decides nothing. Which ops there are, in which order and why, stands in the plan; what starts, stops and waits,
//! the owner of the project's state says (see `owner`).

pub mod adopt;
pub mod container;
pub mod execute;
pub mod files;
pub mod firewall;
pub mod launch;
pub mod link;
pub mod mounts;
pub mod observe;
pub mod ops;
pub mod owner;
pub mod probe;
pub mod remove;
pub mod report;
pub mod wiring;

use crate::{
    api::Failure,
    image::Store,
    model::ContainerId,
    network::{NetworkError, Networks},
    runtime::sealed_self_exe,
    state::{Layout, RecordError},
    volume::Volumes,
};
use link::LinkEvent;
use std::{fmt, os::fd::OwnedFd, sync::Arc};

/// Called for everything that a shim says.
pub type Listener = Arc<dyn Fn(ContainerId, LinkEvent) + Send + Sync>;

/// The engines of one host, for one project.
pub struct Hands {
    pub layout: Layout,
    pub project: String,
    pub images: Store,
    pub networks: Networks,
    pub volumes: Volumes,
    /// This program, on a read-only mount of its own: what shims run from.
    pub program: OwnedFd,
    pub listener: Listener,
    /// Held while a `run --rm` takes its container away: what it used is free only then.
    pub departing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hands").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Hands {
    pub fn open(layout: Layout, project: &str, listener: Listener) -> Result<Self, Failure> {
        Ok(Self {
            images: Store::open(&layout).map_err(failure)?,
            networks: Networks::new(&layout),
            volumes: Volumes::new(&layout),
            program: sealed_self_exe().map_err(failure)?,
            project: project.to_owned(),
            listener,
            departing: tokio::sync::Mutex::new(()),
            layout,
        })
    }
}

/// An engine's error in the words of the control socket; its text already says what failed, on what and why.
pub fn failure(error: impl fmt::Display) -> Failure {
    Failure { message: error.to_string(), ..Failure::default() }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        failure(error)
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        failure(error)
    }
}
