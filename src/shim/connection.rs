//! One peer of the shim: its socket, and what could not be sent yet.

use super::wire::{self, MAX_MESSAGE, Request, Response};
use crate::sys::{self, Errno, seqpacket};
use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Messages that wait for a peer that does not read. Every peer gets a handful in its life: more is a peer gone wrong.
const MOST_WAITING: usize = 32;

/// Names a connection for as long as the shim lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId(pub u64);

#[derive(Debug)]
pub struct Connection {
    pub id: ConnectionId,
    socket: OwnedFd,
    waiting: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

/// What a peer sent.
#[derive(Debug)]
pub enum Received {
    Request(Request, Vec<OwnedFd>),
    /// No request that this shim knows.
    Unknown(String),
    Nothing,
    Closed,
}

impl Connection {
    /// `socket` is made non-blocking.
    pub fn new(id: ConnectionId, socket: OwnedFd) -> sys::Result<Self> {
        seqpacket::set_nonblocking(socket.as_fd(), true)?;
        Ok(Self { id, socket, waiting: VecDeque::new() })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Something waits until the peer reads.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn receive(&self) -> Received {
        let (bytes, fds) = match seqpacket::receive(self.fd(), MAX_MESSAGE) {
            Ok(Some(message)) => message,
            Err(error) if error.errno == Errno::AGAIN => return Received::Nothing,
            Ok(None) | Err(_) => return Received::Closed,
        };
        match serde_json::from_slice(&bytes) {
            Ok(request) => Received::Request(request, fds),
            Err(error) => Received::Unknown(format!("unknown request: {error}")),
        }
    }

    /// Sends, or keeps for later. False: the peer is gone, or does not read at all.
    pub fn send(&mut self, response: &Response, fds: Vec<OwnedFd>) -> bool {
        let Ok(bytes) = wire::encode(response) else { return false };
        self.waiting.push_back((bytes, fds));
        self.flush() && self.waiting.len() <= MOST_WAITING
    }

    /// Sends what waits, as far as the peer reads. False: the peer is gone.
    pub fn flush(&mut self) -> bool {
        while let Some((bytes, fds)) = self.waiting.front() {
            let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match seqpacket::send(self.socket.as_fd(), bytes, &borrowed) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) if error.errno == Errno::AGAIN => return true,
                Err(_) => return false,
            }
        }
        true
    }
}
