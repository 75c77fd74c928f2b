//! Network namespaces, held by descriptor.

use super::{Errno, Error, Result};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs::File,
    os::fd::{BorrowedFd, OwnedFd},
};

/// The network namespace of the calling thread. `/proc/self` would be that of the main thread.
pub fn current() -> Result<OwnedFd> {
    let path = "/proc/thread-self/ns/net";
    File::open(path)
        .map(OwnedFd::from)
        .map_err(|error| Error::new("open", path, Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}

/// Puts the calling thread, and it alone, into a network namespace of its own.
pub fn unshare_network() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| Error::new("unshare", "a network namespace", Errno::from_raw_os_error(errno as i32)))
}

/// Puts the calling thread into a network namespace.
pub fn enter(namespace: BorrowedFd<'_>) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| Error::new("setns", "a network namespace", Errno::from_raw_os_error(errno as i32)))
}
