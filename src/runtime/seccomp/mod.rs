//! The seccomp filter of a container: Docker's default profile for the container's capabilities.
//!
//! `table` says which calls, `compile` makes instructions of it in one pass, without maps or names, because it runs
//! at every start (about 50 microseconds). 32-bit x86 programs get their own table, x32 ones ENOSYS like on a kernel
//! without x32; 32-bit ARM programs on aarch64 get ENOSYS for every call.

mod compile;
#[cfg(test)]
mod interpret;
mod table;

use crate::sys::{self, credentials::Capability, seccomp::Instruction};
use compile::Machine;

/// The profile for these capabilities, on the machine this runs on.
pub(super) fn default_profile(capabilities: Capability) -> Vec<Instruction> {
    compile::compile(capabilities, Machine::native())
}

/// Puts the calling thread and all it will ever start under the filter.
pub(super) fn install(filter: &[Instruction]) -> sys::Result<()> {
    sys::seccomp::install(filter)
}
