//! Bundles on the command line: a project made into a file, and a file made into a project.
//!
//! ```text
//! model    the Compose file of a bundle: no paths of this host, no builds, no variables left    (pure)
//! create   gathers model, images, files and volumes
//! arrive   takes a bundle in and lets `up` go on with its Compose file
//! ```

mod arrive;
mod create;
mod model;

pub use arrive::{arrive, word};
pub use create::{Wish, create};
