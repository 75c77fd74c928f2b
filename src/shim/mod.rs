//! A container's keeper: one process, one thread, no tokio.

pub mod wire;

use std::{ffi::OsString, process::ExitCode};

/// The hidden role `muster __shim <data root> <run root> <container id>`; `args` are those behind `__shim`.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = args;
    ExitCode::FAILURE
}
