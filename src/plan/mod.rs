//! The difference between what is wanted and what is there, as a value: operations with edges and causes.
//!
//! Pure: intent, model, observation and time in, a [`Plan`] out. It prints; tests compare the print; `muster plan`
//! is the print; the executor in `reconcile` carries it out and decides nothing.

pub mod observed;
pub mod op;

pub use observed::{Observed, ObservedContainer, ObservedNetwork, ObservedState, ObservedVolume};
pub use op::{Cause, Change, Op, OpId, Plan, PlannedOp, Slot};
