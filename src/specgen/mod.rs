//! From the model and the facts of this host to what the engines take. Pure.

pub mod capability;
pub mod container;
pub mod process;

pub use container::{Facts, shim_spec};
