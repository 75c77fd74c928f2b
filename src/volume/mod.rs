//! Named volumes: a directory and a record each. Knows nothing of who mounts them, but refuses to remove one that a
//! container's record names.
//!
//! ```text
//! <volumes>/<name>/volume.json   what it is, durable
//! <volumes>/<name>/data/         what the containers see
//! <volumes>/.new-*, .trash-*     half made, half removed: `tidy` takes them away
//! <volumes>/.seed-*              being filled, locked by the process that does it
//! ```
//!
//! A volume appears and disappears by one rename, so that no crash leaves half of one under its name.

mod delete;
mod engine;
mod error;
mod seed;

pub use engine::{VolumeRecord, VolumeSpec, Volumes};
pub use error::VolumeError;
pub use seed::Seed;
