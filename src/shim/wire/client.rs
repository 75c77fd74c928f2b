//! A blocking connection to a running container's shim, for the command line: `exec`, `run`, `attach`, `top`.

use super::{Request, Response, Socket, StartFailure};
use crate::{model::ContainerId, state::Layout};
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// A shim's socket, connected.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    container: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process listens: the container is not running.
    #[error("container {container} is not running")]
    NotRunning { container: String },
    #[error("cannot talk to the shim of container {container}: {source}")]
    Io { container: String, source: io::Error },
    /// The connection ended before the answer: the shim was killed, and its container with it.
    #[error("the shim of container {container} went away")]
    Gone { container: String },
    #[error("container {container}: {why}")]
    Refused { container: String, why: String },
    #[error("{}", failure.message)]
    Failed { failure: StartFailure },
}

impl Client {
    pub fn connect(layout: &Layout, id: &ContainerId) -> Result<Self, ClientError> {
        let container = id.short().to_owned();
        match Socket::connect(&layout.shim_socket(id)) {
            Ok(socket) => Ok(Self { socket, container }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Err(ClientError::NotRunning { container })
            }
            Err(source) => Err(ClientError::Io { container, source }),
        }
    }

    /// Sends `request` and waits for its answer; `Refused` and `Failed` come back as errors.
    pub fn call(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(Response, Vec<OwnedFd>), ClientError> {
        self.send(request, fds)?;
        self.next()
    }

    /// Sends a request that has no answer of its own, such as a signal.
    pub fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), ClientError> {
        match self.socket.send(request, fds) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.gone()),
            sent => sent.map_err(|source| ClientError::Io { container: self.container.clone(), source }),
        }
    }

    /// Waits for the next message: after `ExecStarted` that is `ExecExited`, after `Attached` it is `Exited`.
    pub fn next(&self) -> Result<(Response, Vec<OwnedFd>), ClientError> {
        let received =
            self.socket.receive().map_err(|source| ClientError::Io { container: self.container.clone(), source })?;
        match received {
            None => Err(self.gone()),
            Some((Response::Refused { why }, _)) => {
                Err(ClientError::Refused { container: self.container.clone(), why })
            }
            Some((Response::Failed { error }, _)) => Err(ClientError::Failed { failure: error }),
            Some(answer) => Ok(answer),
        }
    }

    /// The connection itself, to wait for it together with other descriptors.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    fn gone(&self) -> ClientError {
        ClientError::Gone { container: self.container.clone() }
    }
}
