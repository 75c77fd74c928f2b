//! One container's life as a pure state machine: (state, event, now) -> (state, actions).
//!
//! No clock, no tokio, no kernel: the supervisor feeds [`Event`]s with the [`Moment`] at which they happened, carries
//! the [`Action`]s out, and sleeps until the earliest [`Machine::deadline`], when a [`Event::Tick`] is due.

pub mod event;
pub mod gate;
pub mod health;
pub mod machine;
pub mod moment;
pub mod recover;
pub mod restart;
pub mod stop;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod script;

pub use event::{Action, Announcement, Event, Exit};
pub use gate::{Member, Verdict, verdict};
pub use health::{HealthConfig, HealthStatus, Monitor, ProbeResult};
pub use machine::{Config, Machine, State};
pub use moment::Moment;
pub use recover::Recovered;
