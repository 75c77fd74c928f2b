//! The difference between what is wanted and what is there, as a value: operations with edges and causes.
//!
//! Pure: intent, model, observation and time in, a [`Plan`] out. It prints; tests compare the print; `muster plan`
//! is the print; the executor in `reconcile` carries it out and decides nothing.

mod claims;
mod container;
pub mod diff;
mod down;
mod emit;
pub mod error;
mod existing;
mod fate;
mod gates;
mod mask;
pub mod names;
pub mod observed;
pub mod op;
pub mod render;
mod resources;
mod scene;
mod short_form;
mod stops;
mod up;

#[cfg(test)]
mod scenario;
#[cfg(test)]
mod tests;

pub use diff::{changes, config_hash};
pub use error::PlanError;
pub use observed::{Observed, ObservedContainer, ObservedImage, ObservedNetwork, ObservedState, ObservedVolume};
pub use op::{Cause, Change, Op, OpId, Plan, PlannedOp, Slot};
pub use render::{Summary, render};

use crate::model::{Project, intent::Intent};

/// What has to be done so that `intent` is met. `desired` may be missing for verbs that only need what is there
/// (`down -p NAME` without a file); what was applied to the containers counts then.
pub fn plan(intent: &Intent, desired: Option<&Project>, observed: &Observed) -> Result<Plan, PlanError> {
    let model = || desired.ok_or(PlanError::NoModel { verb: intent.verb() });
    match intent {
        Intent::Up(up) => up::up(up, model()?, observed),
        Intent::Run(run) => up::run(run, model()?, observed),
        Intent::Down(down) => down::down(down, desired, observed),
        Intent::Start { services } => existing::start(services, desired, observed),
        Intent::Stop { services, timeout } => existing::stop(services, *timeout, desired, observed),
        Intent::Restart { services, timeout, no_deps } => {
            existing::restart(services, *timeout, *no_deps, desired, observed)
        }
        Intent::Kill { services, signal, remove_orphans } => {
            existing::kill(services, *signal, *remove_orphans, desired, observed)
        }
        Intent::Rm { services, stop, volumes } => existing::rm(services, *stop, *volumes, desired, observed),
        Intent::Recover => existing::recover(desired, observed),
    }
}
