//! Waiting for events on descriptors.

use super::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::{os::fd::BorrowedFd, time::Duration};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Readable,
    /// A kernel file has changed (POLLPRI), such as cgroup.events.
    Changed,
}

/// Waits for one event; false when the time has passed.
pub fn wait(fd: BorrowedFd<'_>, until: Until, timeout: Duration) -> Result<bool> {
    let flags = match until {
        Until::Readable => PollFlags::IN,
        Until::Changed => PollFlags::PRI,
    };
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        // The caller looks again and comes back with what is left of its time.
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(errno) => Err(Error::new("poll", "descriptor", errno)),
    }
}

/// Whether the other end of a socket is closed.
pub fn is_hung_up(fd: BorrowedFd<'_>) -> Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    match rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) => Ok(fds[0].revents().contains(PollFlags::HUP)),
        Err(errno) => Err(Error::new("poll", "socket", errno)),
    }
}
