//! A container's keeper: one process, one thread, no tokio.

pub mod wire;
