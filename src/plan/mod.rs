//! The difference between what is wanted and what is there, as a value: operations with edges and causes.
//!
//! Pure: intent, model, observation and time in, a [`Plan`] out. It prints; tests compare the print; `muster plan`
//! is the print; the executor in `reconcile` carries it out and decides nothing.

pub mod diff;
pub mod error;
pub mod observed;
pub mod op;
pub mod render;

pub use diff::{changes, config_hash};
pub use error::PlanError;
pub use observed::{Observed, ObservedContainer, ObservedNetwork, ObservedState, ObservedVolume};
pub use op::{Cause, Change, Op, OpId, Plan, PlannedOp, Slot};
pub use render::render;

use crate::model::{Project, intent::Intent};

/// What has to be done so that `intent` is met. `desired` may be missing for verbs that only need what is there
/// (`down -p NAME` without a file); what was applied to the containers counts then.
pub fn plan(intent: &Intent, desired: Option<&Project>, observed: &Observed) -> Result<Plan, PlanError> {
    let _ = (desired, observed);
    Ok(Plan { verb: intent.verb().into(), ..Plan::default() })
}
