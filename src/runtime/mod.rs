//! One container: create, start, exec, kill, delete.
//!
//! Synchronous, and called only from a process with one thread, for it clones. It knows no Compose, no image and
//! no network; namespaces that others prepared come in as descriptors.

pub mod spec;
