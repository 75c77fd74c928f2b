//! Waiting for events on many descriptors at once: the heart of a single-threaded loop.

use super::{Errno, Error, Result};
pub use rustix::event::{PollFd, PollFlags};
use std::time::Duration;

/// Waits until one of `fds` is ready, a signal comes or `timeout` has passed. The number of ready ones.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize> {
    let timeout = timeout.map(|timeout| rustix::event::Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match rustix::event::poll(fds, timeout.as_ref()) {
        Ok(ready) => Ok(ready),
        Err(Errno::INTR) => Ok(0),
        Err(errno) => Err(Error::new("poll", format_args!("{} descriptors", fds.len()), errno)),
    }
}
