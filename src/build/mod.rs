//! Images from Dockerfiles: the language, the graph of steps, and the engine that carries it out.
//!
//! ```text
//! dockerfile   text -> instructions, each with its place                    (pure)
//! remote       URLs of repositories and downloads                          (pure)
//! op           what a build carries out, as plain data                      (pure)
//! frontend     instructions + options + configurations of bases -> op::Plan (pure)
//! engine       op::Plan -> layers, cache, an image in the store
//! ```

pub mod dockerfile;
pub mod engine;
pub mod frontend;
pub mod op;
pub mod remote;

pub use engine::{BuildError, Context, Event, Inputs, Report, Secret, StepError, Stream, build};
