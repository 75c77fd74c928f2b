//! Processes by descriptor (pidfd_open(2)), which no reuse of a pid can fool.

use super::{Errno, Error, Result};
use rustix::process::{Pid, PidfdFlags};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// `None` when there is no such process any more.
pub fn open(pid: i32) -> Result<Option<OwnedFd>> {
    let Some(raw) = Pid::from_raw(pid) else { return Ok(None) };
    match rustix::process::pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(Errno::SRCH) => Ok(None),
        Err(errno) => Err(Error::new("pidfd_open", pid, errno)),
    }
}

/// Sends a signal by number; false when the process has ended.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<bool> {
    // Real-time signals have no name in the tables of rustix and nix; the kernel judges the number (EINVAL).
    // SAFETY: a number is passed on, no memory.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    match result {
        0 => Ok(true),
        _ => match Error::last("pidfd_send_signal", format_args!("signal {signal}")) {
            error if error.errno == Errno::SRCH => Ok(false),
            error => Err(error),
        },
    }
}
