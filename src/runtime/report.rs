//! What the child tells its parent between clone and execve.
//!
//! ```text
//! parent                         child
//!   | <- Console + pty master ----- |   only with a terminal
//!   | <- Ready -------------------- |   the next thing is execve
//!   | <- Failed{code, message} ---- |   at any moment; the child exits
//!   | <- end of file -------------- |   after Ready: execve has closed the socket, the program runs
//!   |                               |   before it: the child was killed
//! ```
//!
//! The child sees the other direction as well: a hang-up means that the parent is gone.

use super::{
    StartError,
    failure::{During, SETUP},
};
use crate::sys::{self, socket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const CONSOLE: u8 = b'c';
const READY: u8 = b'r';
const FAILED: u8 = b'e';
/// A longer message is cut: an environment's PATH may stand in it.
const MAX_MESSAGE: usize = 16 * 1024;

/// The parent's end.
pub(super) struct Listener(OwnedFd);

/// The child's end; closed by execve.
pub(super) struct Reporter(OwnedFd);

/// What came of the child.
pub(super) enum Outcome {
    Running {
        console: Option<OwnedFd>,
    },
    Failed(StartError),
    /// It ended without a word: killed, most likely for want of memory.
    Lost,
}

pub(super) fn channel() -> sys::Result<(Listener, Reporter)> {
    let (parent, child) = socket::pair()?;
    Ok((Listener(parent), Reporter(child)))
}

impl Listener {
    /// Returns when the program runs or will never run.
    pub(super) fn listen(self) -> Result<Outcome, StartError> {
        let mut buffer = vec![0u8; MAX_MESSAGE];
        let (mut console, mut ready) = (None, false);
        loop {
            let (length, fd) = socket::receive(self.0.as_fd(), &mut buffer).during("set-up")?;
            match buffer[..length].split_first() {
                None if ready => return Ok(Outcome::Running { console }),
                None => return Ok(Outcome::Lost),
                Some((&CONSOLE, _)) => console = fd,
                Some((&READY, _)) => ready = true,
                Some((_, rest)) => return Ok(Outcome::Failed(decode(rest))),
            }
        }
    }
}

fn decode(bytes: &[u8]) -> StartError {
    let (code, message) = bytes.split_first_chunk::<4>().unwrap_or((&[0; 4], bytes));
    let code = match i32::from_le_bytes(*code) {
        0 => SETUP,
        code => code,
    };
    StartError { message: String::from_utf8_lossy(message).into_owned(), code }
}

impl Reporter {
    pub(super) fn console(&self, master: BorrowedFd<'_>) -> sys::Result<()> {
        socket::send(self.0.as_fd(), &[CONSOLE], Some(master))
    }
    pub(super) fn ready(&self) -> sys::Result<()> {
        socket::send(self.0.as_fd(), &[READY], None)
    }
    /// Nobody is left to tell when this fails.
    pub(super) fn failed(&self, error: &StartError) {
        let mut message = vec![FAILED];
        message.extend(error.code.to_le_bytes());
        message.extend(error.message.as_bytes());
        message.truncate(MAX_MESSAGE);
        let _ = socket::send(self.0.as_fd(), &message, None);
    }
    pub(super) fn parent_is_gone(&self) -> sys::Result<bool> {
        sys::poll::is_hung_up(self.0.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_means_running_only_after_ready() {
        let (listener, reporter) = channel().unwrap();
        reporter.ready().unwrap();
        drop(reporter);
        assert!(matches!(listener.listen().unwrap(), Outcome::Running { console: None }));
        let (listener, reporter) = channel().unwrap();
        drop(reporter);
        assert!(matches!(listener.listen().unwrap(), Outcome::Lost));
    }

    #[test]
    fn a_failure_arrives_whole_and_a_lost_parent_is_seen() {
        let (listener, reporter) = channel().unwrap();
        assert!(!reporter.parent_is_gone().unwrap());
        let error =
            StartError { message: "exec: \"nosuch\": executable file not found in $PATH".to_owned(), code: 127 };
        reporter.ready().unwrap();
        reporter.failed(&error);
        assert!(matches!(listener.listen().unwrap(), Outcome::Failed(told) if told == error));
        assert!(reporter.parent_is_gone().unwrap());
    }
}
