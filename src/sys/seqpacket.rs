//! Unix sockets of type SOCK_SEQPACKET, which keep message boundaries, and descriptors beside the bytes (SCM_RIGHTS).
//! See unix(7). Every descriptor that is made or received is close-on-exec.

use super::{Errno, Error, Result, error::Named};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::{
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Most descriptors that one message may carry, SCM_MAX_FD of the kernel.
pub const MAX_FDS: usize = 253;

/// Two connected sockets.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .named("socketpair", "seqpacket")
}

/// A listening, non-blocking socket bound to `path`, which must not exist. Its mode follows the umask.
pub fn listen(path: &Path, backlog: i32) -> Result<OwnedFd> {
    let address = address(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).named("socket", path.display())?;
    net::bind(&socket, &address).named("bind", path.display())?;
    net::listen(&socket, backlog).named("listen", path.display())?;
    Ok(socket)
}

/// A connected, blocking socket.
pub fn connect(path: &Path) -> Result<OwnedFd> {
    let address = address(path)?;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .named("socket", path.display())?;
    net::connect(&socket, &address).named("connect", path.display())?;
    Ok(socket)
}

/// The next connection, non-blocking; `None` when there is none.
pub fn accept(listener: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    match net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(errno) => Err(Error::new("accept", "seqpacket", errno)),
    }
}

/// Effective uid of the process that connected (SO_PEERCRED).
pub fn peer_uid(socket: BorrowedFd<'_>) -> Result<u32> {
    let credentials = net::sockopt::socket_peercred(socket).named("getsockopt", "SO_PEERCRED")?;
    Ok(credentials.uid.as_raw())
}

/// Sends one message whole.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    if fds.len() > MAX_FDS {
        return Err(Error::new("sendmsg", format_args!("{} descriptors", fds.len()), Errno::INVAL));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = net::SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(net::SendAncillaryMessage::ScmRights(fds));
    }
    rustix::io::retry_on_intr(|| net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL))
        .named("sendmsg", format_args!("message of {} bytes", bytes.len()))?;
    Ok(())
}

/// Receives one message of at most `limit` bytes with its descriptors; `None` when the peer has closed.
pub fn receive(socket: BorrowedFd<'_>, limit: usize) -> Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let failed = |errno| Error::new("recvmsg", "seqpacket", errno);
    // A peek into no buffer tells the length (MSG_TRUNC, recv(2)), so that a short message costs a short buffer.
    let peek = RecvFlags::PEEK | RecvFlags::TRUNC;
    let length = rustix::io::retry_on_intr(|| net::recv(socket, &mut [0_u8; 0], peek).map(|(_, length)| length));
    let length = match length {
        Ok(length) => length,
        Err(Errno::CONNRESET) => return Ok(None),
        Err(errno) => return Err(failed(errno)),
    };
    if length > limit {
        return Err(Error::new("recvmsg", format_args!("message of {length} bytes"), Errno::MSGSIZE));
    }
    let mut bytes = vec![0; length.max(1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = net::RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut slices = [std::io::IoSliceMut::new(&mut bytes)];
        net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    let received = match received {
        Ok(received) => received,
        Err(Errno::CONNRESET) => return Ok(None),
        Err(errno) => return Err(failed(errno)),
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let net::RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    bytes.truncate(received.bytes);
    Ok(Some((bytes, fds)))
}

/// Sets O_NONBLOCK, which belongs to the open socket and not to this descriptor alone.
pub fn set_nonblocking(socket: BorrowedFd<'_>, on: bool) -> Result<()> {
    rustix::io::ioctl_fionbio(socket.as_fd(), on).named("ioctl", "FIONBIO")
}

fn address(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).named("socket address", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, io::Read};

    #[test]
    fn a_message_keeps_its_bounds_and_its_descriptors() {
        let (a, b) = pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(a.as_fd(), b"one", &[writer.as_fd()]).unwrap();
        send(a.as_fd(), b"two", &[]).unwrap();
        drop(writer);
        let (bytes, fds) = receive(b.as_fd(), 10).unwrap().unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (b"one".as_slice(), 1));
        std::io::Write::write_all(&mut File::from(fds.into_iter().next().unwrap()), b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(receive(b.as_fd(), 10).unwrap().unwrap().0, b"two");
        drop(a);
        assert!(receive(b.as_fd(), 10).unwrap().is_none());
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), &[b'x'; 100], &[]).unwrap();
        assert_eq!(receive(b.as_fd(), 99).unwrap_err().errno, Errno::MSGSIZE);
    }

    #[test]
    fn without_a_message_a_nonblocking_socket_says_so() {
        let (_a, b) = pair().unwrap();
        set_nonblocking(b.as_fd(), true).unwrap();
        assert_eq!(receive(b.as_fd(), 99).unwrap_err().errno, Errno::AGAIN);
    }
}
