//! One end of a connection that speaks `wire`. Never forks, so threaded and asynchronous callers may use it: a tokio
//! caller makes it non-blocking, puts it into an `AsyncFd` and calls `send` and `receive` through `try_io`.

use super::{MAX_FDS, MAX_MESSAGE};
use crate::sys::seqpacket;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::Path,
};

/// A connected SOCK_SEQPACKET socket; blocking unless told otherwise.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// A supervisor's end, and the descriptor that becomes a new shim's standard input.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, shim) = seqpacket::pair()?;
        Ok((Self(own), shim))
    }

    /// `path` is `state::Layout::shim_socket`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self(seqpacket::connect(path)?))
    }

    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        Ok(seqpacket::set_nonblocking(self.0.as_fd(), on)?)
    }

    /// Sends `message`; the descriptors stay the caller's as well.
    ///
    /// # Errors
    /// `WouldBlock` when non-blocking and the peer does not read; `BrokenPipe` when it has closed; `InvalidInput` when
    /// the message is longer than `MAX_MESSAGE`.
    pub fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        Ok(seqpacket::send(self.0.as_fd(), &encode(message)?, fds)?)
    }

    /// The next message with its descriptors; `None` when the peer has closed.
    ///
    /// # Errors
    /// `WouldBlock` when non-blocking and there is none; `InvalidData` when it is no message of this type.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let Some((bytes, fds)) = seqpacket::receive(self.0.as_fd(), MAX_MESSAGE)? else {
            return Ok(None);
        };
        let message = serde_json::from_slice(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("unknown message: {error}")))?;
        Ok(Some((message, fds)))
    }
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The bytes of one message.
pub(in crate::shim) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE {
        let text = format!("a message of {} bytes; {MAX_MESSAGE} is the most", bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(bytes)
}

const _: () = assert!(MAX_FDS <= seqpacket::MAX_FDS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::wire::{Request, Response};

    #[test]
    fn what_is_sent_is_what_comes() {
        let (supervisor, shim) = Socket::pair().unwrap();
        let shim = Socket::from(shim);
        supervisor.send(&Request::Signal { signal: 15, all: false }, &[]).unwrap();
        let (request, fds) = shim.receive::<Request>().unwrap().unwrap();
        assert_eq!(request, Request::Signal { signal: 15, all: false });
        assert!(fds.is_empty());
        drop(supervisor);
        assert!(shim.receive::<Request>().unwrap().is_none());
        let late = shim.send(&Response::ExecExited { code: 0 }, &[]).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_before_it_is_sent() {
        let (supervisor, _shim) = Socket::pair().unwrap();
        let request = Request::Store { names: vec!["x".repeat(MAX_MESSAGE)] };
        assert_eq!(supervisor.send(&request, &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nonsense_is_invalid_data() {
        let (supervisor, shim) = Socket::pair().unwrap();
        supervisor.send(&"nonsense", &[]).unwrap();
        let error = Socket::from(shim).receive::<Request>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
