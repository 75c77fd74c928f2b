//! Notices that somebody else changed the packet filter: a flush, a reload, Docker's start.

use crate::network::{error::NetworkError, netlink::attributes, thread::NFT_THREAD};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::{io, time::Duration};
use tokio::io::{Interest, unix::AsyncFd};

/// NFNLGRP_NFTABLES
const GROUP: u32 = 7;
/// NFNL_SUBSYS_NFTABLES and NFT_MSG_NEWGEN: told once a transaction, with who made it.
const NEW_GENERATION: u16 = (10 << 8) | 15;
/// nlmsghdr and nfgenmsg
const HEADERS: usize = 20;
/// A reload is many transactions; they are taken together.
const SETTLE: Duration = Duration::from_millis(50);

pub struct FirewallWatch {
    socket: AsyncFd<Socket>,
}

impl FirewallWatch {
    pub(in crate::network) fn new() -> Result<Self, NetworkError> {
        let open = || -> io::Result<Self> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(GROUP)?;
            socket.set_non_blocking(true)?;
            // Deprecated because a type could name one descriptor now and another later; this one names its own. The
            // replacement is unsafe, and `sys`, where that belongs, knows no tokio.
            #[allow(deprecated)]
            let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
            Ok(Self { socket })
        };
        open().map_err(NetworkError::kernel("watch the packet filter"))
    }

    /// Returns some time after a program other than muster changed the rules of this network namespace. Can be dropped
    /// and called again without losing a change.
    pub async fn changed(&mut self) -> Result<(), NetworkError> {
        let failed = || NetworkError::kernel("watch the packet filter");
        loop {
            let mut ready = self.socket.readable_mut().await.map_err(failed())?;
            match ready.try_io(|socket| foreign_change(socket.get_ref())) {
                Ok(Ok(true)) => break,
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => return Err(failed()(error)),
            }
        }
        tokio::time::sleep(SETTLE).await;
        while foreign_change(self.socket.get_ref()).or_else(nothing_yet).map_err(failed())? {}
        Ok(())
    }
}

fn nothing_yet(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// Reads one datagram; whether it tells of a change by somebody else.
fn foreign_change(socket: &Socket) -> io::Result<bool> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    match socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
        Ok(_) => Ok(messages(&buffer).any(is_foreign)),
        // More came than the buffer held: something has changed, that much is sure.
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(true),
        Err(error) => Err(error),
    }
}

fn messages(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let message = rest.get(..length.max(4))?;
        rest = rest.get((length.max(4) + 3) & !3..).unwrap_or_default();
        Some(message)
    })
}

/// NFTA_GEN_PROC_NAME 3
fn is_foreign(message: &[u8]) -> bool {
    let kind = message.get(4..6).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
    kind == Some(NEW_GENERATION)
        && !attributes(message.get(HEADERS..).unwrap_or_default())
            .any(|(kind, name)| kind == 3 && name.strip_suffix(b"\0").unwrap_or(name) == NFT_THREAD.as_bytes())
}
