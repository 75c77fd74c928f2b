//! Pseudo terminals of a given devpts.

use super::{Error, Result, error::Named};
use rustix::{pty::OpenptFlags, termios::Winsize};
use std::os::fd::{BorrowedFd, OwnedFd};

pub fn unlock(master: BorrowedFd<'_>) -> Result<()> {
    rustix::pty::unlockpt(master).named("TIOCSPTLCK", "pty")
}

/// The slave of this very master; no path is walked.
pub fn slave(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(master, flags).named("TIOCGPTPEER", "pty")
}

pub fn set_size(terminal: BorrowedFd<'_>, rows: u16, cols: u16) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).named("TIOCSWINSZ", "pty")
}

/// Makes the terminal the controlling one of the caller, a session leader without one.
pub fn set_controlling_terminal(terminal: BorrowedFd<'_>) -> Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: takes no pointer; 0 steals it from nobody.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(Error::last("TIOCSCTTY", "pty")),
    }
}
