//! The supervisor's connection to one shim: requests go in, answers come out as events.
//!
//! A task owns the socket; it ends when the shim closes or when the last handle is dropped.

use crate::{
    model::ContainerId,
    shim::wire::{Request, Response, Socket},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, watch},
};

/// What comes from a shim.
#[derive(Debug)]
pub enum LinkEvent {
    Response(Response, Vec<OwnedFd>),
    /// The shim has closed: it has left, or was killed.
    Closed,
}

type Message = (Request, Vec<Arc<OwnedFd>>);

/// A handle; cheap to clone.
#[derive(Clone, Debug)]
pub struct Link {
    messages: mpsc::UnboundedSender<Message>,
    open: watch::Receiver<()>,
}

impl Link {
    /// Takes the connection over. `event` is called for each thing that comes.
    pub fn open(
        id: ContainerId,
        socket: Socket,
        event: impl Fn(ContainerId, LinkEvent) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let socket = watch(socket)?;
        let (sender, messages) = mpsc::unbounded_channel();
        let (is_open, open) = watch::channel(());
        tokio::spawn(async move {
            pump(&socket, messages, |response, fds| event(id.clone(), LinkEvent::Response(response, fds))).await;
            drop(is_open);
            event(id.clone(), LinkEvent::Closed);
        });
        Ok(Self { messages: sender, open })
    }

    /// Sends without waiting. A shim that is gone says so by `LinkEvent::Closed`, once for all.
    pub fn send(&self, request: Request) {
        self.send_with(request, Vec::new());
    }

    pub fn send_with(&self, request: Request, fds: Vec<Arc<OwnedFd>>) {
        let _ = self.messages.send((request, fds));
    }

    /// Returns when the shim has left, and with it all that it held.
    pub async fn closed(&self) {
        // Nothing is ever sent: the only news is that the other end is gone.
        while self.open.clone().changed().await.is_ok() {}
    }
}

/// A shim's socket on the runtime.
pub fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    socket.set_nonblocking(true)?;
    // Deprecated because a type could name one descriptor now and another later; a `Socket` owns its one. The
    // replacement is unsafe, and `sys`, where that belongs, knows no tokio.
    #[allow(deprecated)]
    AsyncFd::with_interest(socket, Interest::READABLE | Interest::WRITABLE)
}

/// Until the peer has closed. With all handles gone the socket is kept for what the shim still has to say.
async fn pump(
    socket: &AsyncFd<Socket>,
    mut messages: mpsc::UnboundedReceiver<Message>,
    respond: impl Fn(Response, Vec<OwnedFd>),
) {
    loop {
        tokio::select! {
            Some((request, fds)) = messages.recv() => {
                let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
                let sent = socket.async_io(Interest::WRITABLE, |socket| socket.send(&request, &fds)).await;
                if sent.is_err() {
                    return;
                }
            }
            received = socket.async_io(Interest::READABLE, Socket::receive::<Response>) => match received {
                Ok(Some((response, fds))) => respond(response, fds),
                Ok(None) | Err(_) => return,
            },
        }
    }
}
