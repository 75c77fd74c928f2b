//! Pipes and terminals as the keeper of a process reads them.

use super::{Errno, Error, Result, error::Named};
use rustix::{
    fs::{Mode, OFlags},
    pipe::{PipeFlags, pipe_with},
};
use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Reading end, writing end; both close-on-exec and blocking.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).named("pipe", "new pipe")
}

/// /dev/null, for reading and writing.
pub fn null() -> Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).named("open", "/dev/null")
}

pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::ioctl_fionbio(fd.as_fd(), true).named("ioctl", "FIONBIO")
}

/// Bytes that the pipe can hold (F_GETPIPE_SZ).
pub fn pipe_size(pipe: BorrowedFd<'_>) -> Result<usize> {
    rustix::pipe::fcntl_getpipe_size(pipe).named("fcntl", "F_GETPIPE_SZ")
}

/// What a read of a non-blocking descriptor came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<'buffer> {
    Bytes(&'buffer [u8]),
    Nothing,
    /// A pipe without a writer.
    End,
    /// A terminal that nobody has open (EIO); somebody may open it again.
    HungUp,
}

pub fn read<'buffer>(fd: BorrowedFd<'_>, buffer: &'buffer mut [MaybeUninit<u8>]) -> Result<Read<'buffer>> {
    match rustix::io::read(fd, buffer) {
        Ok((bytes, _)) if !bytes.is_empty() => Ok(Read::Bytes(bytes)),
        Ok(_) => Ok(Read::End),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Nothing),
        Err(Errno::IO) => Ok(Read::HungUp),
        Err(errno) => Err(Error::new("read", "standard output", errno)),
    }
}
