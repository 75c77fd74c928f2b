//! A person or a pipe at a process in a container: `exec` and `run`. Bytes go between this command and the shim's
//! descriptors directly.
//!
//! ```text
//! terminal   raw mode, and back whatever happens
//! streams    what the container gets as its standard streams, and what of it we carry
//! pump       one poll loop that carries bytes, sizes and signals until the process has ended
//! ```

mod pump;
mod streams;
pub mod terminal;

pub use pump::{Aim, End, Session};
pub use streams::{Given, Wish};
