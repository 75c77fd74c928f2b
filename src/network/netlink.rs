//! A netlink socket for requests that go out as one large message and are answered before `send` returns.
//!
//! rtnetlink and nfnetlink work a request off in the context of the sender. So everything a request has to say can be
//! read without waiting right after it: an error per message that failed, and the one acknowledgement that was asked
//! for, of the last message. This costs two system calls for any number of operations, where an asynchronous
//! connection needs a round through the event loop for each. `rtnetlink` builds the messages; `libc` is not needed.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt::SndBufForce};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{fmt, io, time::Instant};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// nlmsghdr, netlink(7).
const HEADER: usize = 16;
/// NLMSGERR_ATTR_MSG: what the kernel says besides the errno.
const ATTR_MSG: u16 = 1;

/// It stays in the network namespace of the thread that opened it, wherever it is used.
pub struct Channel {
    socket: Socket,
}

/// A message of a batch that the kernel refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Place in the batch, from 0.
    pub index: usize,
    pub errno: i32,
    /// The kernel's own words, where it has any.
    pub text: Option<String>,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = io::Error::from_raw_os_error(self.errno);
        match &self.text {
            Some(text) => write!(f, "{text} ({errno})"),
            None => write!(f, "{errno}"),
        }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = io::Error::from_raw_os_error(refusal.errno).kind();
        io::Error::new(kind, refusal)
    }
}

/// The errno of an error, also where the kernel's words came with it.
pub fn errno_of(error: &io::Error) -> Option<i32> {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>());
    refusal.map(|refusal| refusal.errno).or(error.raw_os_error())
}

impl Channel {
    /// A socket of the calling thread's network namespace.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        // Both only make answers shorter or clearer; kernels since 4.12 have them.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket })
    }

    /// Sends all in one message; returns what was refused, in order. The messages' own flags are kept.
    pub fn send_all<T: NetlinkSerializable>(&self, batch: Vec<NetlinkMessage<T>>) -> io::Result<Vec<Refusal>> {
        let Some(last) = batch.len().checked_sub(1) else { return Ok(Vec::new()) };
        let mut bytes = Vec::with_capacity(batch.len() * 128);
        for (index, mut message) in batch.into_iter().enumerate() {
            message.header.sequence_number = index as u32 + 1;
            message.header.flags |= NLM_F_REQUEST | if index == last { NLM_F_ACK } else { 0 };
            append(message, &mut bytes);
        }
        self.send_bytes(&bytes)
    }

    /// The same for messages that are serialized already, with sequence numbers from 1.
    pub fn send_bytes(&self, bytes: &[u8]) -> io::Result<Vec<Refusal>> {
        if bytes.len() > 100_000 {
            // netlink refuses what does not fit the send buffer (EMSGSIZE).
            setsockopt(&self.socket, SndBufForce, &(bytes.len() * 2)).map_err(io::Error::from)?;
        }
        self.socket.send_to(bytes, &SocketAddr::new(0, 0), 0)?;
        let mut refusals = Vec::new();
        let mut answered = false;
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(0) => break,
                Ok(_) => answered |= collect_refusals(&buffer, &mut refusals),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !answered {
            return Err(io::Error::other("the kernel gave no answer to a netlink request"));
        }
        refusals.sort_by_key(|refusal| refusal.index);
        Ok(refusals)
    }

    /// All or the first refusal. Messages after a refused one are carried out all the same (rtnetlink).
    pub fn all_or_error<T: NetlinkSerializable>(&self, batch: Vec<NetlinkMessage<T>>) -> io::Result<()> {
        match self.send_all(batch)?.into_iter().next() {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// Everything that the kernel lists for a request.
    pub fn dump<T: NetlinkSerializable + NetlinkDeserializable>(
        &self,
        request: NetlinkMessage<T>,
    ) -> io::Result<Vec<T>> {
        let mut found = Vec::new();
        self.dump_raw(request, |bytes| {
            let message = NetlinkMessage::<T>::deserialize(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            if let NetlinkPayload::InnerMessage(inner) = message.payload {
                found.push(inner);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The same, each message as its bytes, header included. For what others made and a decoder may not know.
    pub fn dump_raw<T: NetlinkSerializable>(
        &self,
        request: NetlinkMessage<T>,
        each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.ask(request, NLM_F_DUMP, each)
    }

    /// What the kernel says of one object.
    pub fn get_raw<T: NetlinkSerializable>(
        &self,
        request: NetlinkMessage<T>,
        each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.ask(request, NLM_F_ACK, each)
    }

    fn ask<T: NetlinkSerializable>(
        &self,
        mut request: NetlinkMessage<T>,
        flags: u16,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        request.header.sequence_number = 1;
        request.header.flags |= NLM_F_REQUEST | flags;
        let mut bytes = Vec::new();
        append(request, &mut bytes);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        loop {
            let (buffer, _) = self.socket.recv_from_full()?;
            let mut rest = buffer.as_slice();
            while let Some(header) = rest.get(..HEADER) {
                let length = (u32_at(header, 0) as usize).clamp(HEADER, rest.len());
                let message = rest.get(..length).unwrap_or_default();
                let code = message.get(HEADER..HEADER + 4).map_or(0, |four| u32_at(four, 0) as i32);
                match u16_at(header, 4) {
                    NLMSG_DONE | NLMSG_ERROR if code < 0 => return Err(io::Error::from_raw_os_error(-code)),
                    NLMSG_DONE | NLMSG_ERROR => return Ok(()),
                    _ => each(message)?,
                }
                rest = rest.get(aligned(length)..).unwrap_or_default();
            }
        }
    }
}

/// A socket that hears of every change of a group. More than its buffer holds is lost, and that alone is told.
pub struct Listener {
    socket: Socket,
}

impl Listener {
    pub fn open(protocol: isize, group: u32) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.add_membership(group)?;
        Ok(Self { socket })
    }

    /// Waits until something was told since the last call. `false`: nothing came before the deadline.
    pub fn wait(&self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => return Err(error),
                _ => {}
            }
        }
    }
}

/// The attributes in a stretch of a message, as (type without flags, value).
pub fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest.get(..4)?, 0)).max(4);
        let kind = u16_at(rest, 2) & 0x3fff;
        let value = rest.get(4..length.min(rest.len()))?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub fn append<T: NetlinkSerializable>(mut message: NetlinkMessage<T>, bytes: &mut Vec<u8>) {
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + aligned(message.buffer_len()), 0);
    message.serialize(&mut bytes[start..]);
}

fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// Whether there was an answer at all, an acknowledgement or a refusal.
fn collect_refusals(mut rest: &[u8], refusals: &mut Vec<Refusal>) -> bool {
    let mut answered = false;
    while let Some(header) = rest.get(..HEADER) {
        let length = (u32_at(header, 0) as usize).clamp(HEADER, rest.len());
        if u16_at(header, 4) == NLMSG_ERROR
            && let Some(errno) = rest.get(HEADER..HEADER + 4).map(|bytes| u32_at(bytes, 0) as i32)
        {
            answered = true;
            if errno == 0 {
                rest = rest.get(aligned(length)..).unwrap_or_default();
                continue;
            }
            let index = (u32_at(header, 8) as usize).saturating_sub(1);
            // With NETLINK_CAP_ACK the header of the request follows, then attributes.
            let text = message_text(rest.get(HEADER + 4 + HEADER..length).unwrap_or_default());
            refusals.push(Refusal { index, errno: -errno, text });
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    answered
}

fn message_text(rest: &[u8]) -> Option<String> {
    let (_, text) = attributes(rest).find(|(kind, _)| *kind == ATTR_MSG)?;
    Some(String::from_utf8_lossy(text.strip_suffix(b"\0").unwrap_or(text)).into_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_place_errno_and_the_kernels_words() {
        let text = b"Device is busy\0";
        let attribute_length = 4 + text.len();
        let length = HEADER + 4 + HEADER + aligned(attribute_length);
        let mut bytes = Vec::new();
        bytes.extend((length as u32).to_ne_bytes());
        bytes.extend(NLMSG_ERROR.to_ne_bytes());
        bytes.extend(0x300u16.to_ne_bytes());
        bytes.extend(3u32.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend((-16i32).to_ne_bytes());
        bytes.extend([0; HEADER]);
        bytes.extend((attribute_length as u16).to_ne_bytes());
        bytes.extend(ATTR_MSG.to_ne_bytes());
        bytes.extend(text);
        bytes.resize(length, 0);
        let mut refusals = Vec::new();
        collect_refusals(&bytes, &mut refusals);
        assert_eq!(refusals, [Refusal { index: 2, errno: 16, text: Some("Device is busy".into()) }]);
        assert_eq!(
            io::Error::from(refusals.remove(0)).to_string(),
            "Device is busy (Device or resource busy (os error 16))"
        );
    }

    #[test]
    fn cut_off_answers_do_no_harm() {
        for cut in 0..40 {
            let mut refusals = Vec::new();
            collect_refusals(&[0xff; 40][..cut], &mut refusals);
        }
    }
}
