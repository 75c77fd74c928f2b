//! What a build tells while it runs.

use crate::build::op::StepId;
use std::{sync::Arc, time::Duration};

/// Called from several threads; it must not wait for the task that builds.
pub type Report = Arc<dyn Fn(Event) + Send + Sync>;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What a step that is not of the plan is called: the work on caches elsewhere.
    Named {
        step: StepId,
        title: String,
    },
    Started(StepId),
    /// Its result was here already.
    Cached(StepId),
    /// What its program wrote, as it came; a piece may end within a line.
    Output {
        step: StepId,
        stream: Stream,
        bytes: Vec<u8>,
    },
    /// Bytes of a download; `total` where the server tells it.
    Fetched {
        step: StepId,
        bytes: u64,
        total: Option<u64>,
    },
    Done {
        step: StepId,
        took: Duration,
    },
    /// The error comes back from the build as well.
    Failed {
        step: StepId,
        message: String,
    },
    /// It was at work when another step failed.
    Cancelled(StepId),
    /// All steps are done; layers are compressed and the image is written.
    Exporting,
    /// The image is there; caches may still go to where they are wanted.
    Exported,
    /// What a person should know.
    Warning(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Output,
    Error,
}

/// Tells nobody.
pub fn silent() -> Report {
    Arc::new(|_| {})
}
