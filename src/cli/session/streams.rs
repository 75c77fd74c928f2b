//! Standard streams for a process in a container.
//!
//! A pipe or socket of ours is handed on as it is. A file or terminal of the host never is: who has a descriptor of it
//! could write elsewhere in it, change its mode or type for the person (ioctl TIOCSTI). Of those the container gets a
//! pipe, and `pump` carries the bytes.

use crate::{cli::exit::Error, shim::wire::Io};
use rustix::{
    fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat},
    pipe::{PipeFlags, pipe_with},
};
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A terminal, with ours in raw mode.
    Terminal,
    /// Three streams; without `stdin` the container reads /dev/null.
    Streams { stdin: bool },
}

/// What the container gets, and our ends of it.
#[derive(Debug)]
pub struct Given {
    pub io: Io,
    /// For the message: standard input, output, error.
    pub fds: Vec<OwnedFd>,
    pub ours: Ours,
}

/// Our ends of the pipes, non-blocking; `None` where nothing is to be carried.
#[derive(Debug, Default)]
pub struct Ours {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

impl Given {
    pub fn new(wish: Wish) -> Result<Self, Error> {
        match wish {
            Wish::Terminal => {
                let (rows, cols) = super::terminal::size();
                Ok(Self { io: Io::Tty { rows, cols }, fds: Vec::new(), ours: Ours::default() })
            }
            Wish::Streams { stdin } => Self::streams(stdin).map_err(Error::system("prepare the standard streams")),
        }
    }

    fn streams(stdin: bool) -> std::io::Result<Self> {
        let (input, our_input) = match stdin {
            true => source(rustix::stdio::stdin())?,
            false => (File::open("/dev/null")?.into(), None),
        };
        let (output, our_output) = sink(rustix::stdio::stdout())?;
        let (error, our_error) = sink(rustix::stdio::stderr())?;
        Ok(Self {
            io: Io::Fds,
            fds: vec![input, output, error],
            ours: Ours { stdin: our_input, stdout: our_output, stderr: our_error },
        })
    }
}

/// What the container reads, and where we write it.
fn source(ours: BorrowedFd<'_>) -> std::io::Result<(OwnedFd, Option<OwnedFd>)> {
    if may_be_handed_on(ours)? {
        return Ok((ours.try_clone_to_owned()?, None));
    }
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    set_nonblocking(&write)?;
    Ok((read, Some(write)))
}

/// What the container writes, and where we read it.
fn sink(ours: BorrowedFd<'_>) -> std::io::Result<(OwnedFd, Option<OwnedFd>)> {
    if may_be_handed_on(ours)? {
        return Ok((ours.try_clone_to_owned()?, None));
    }
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    set_nonblocking(&read)?;
    Ok((write, Some(read)))
}

/// Nothing of the host can be reached through a pipe or a connected socket.
fn may_be_handed_on(fd: BorrowedFd<'_>) -> std::io::Result<bool> {
    let kind = FileType::from_raw_mode(fstat(fd)?.st_mode);
    Ok(matches!(kind, FileType::Fifo | FileType::Socket))
}

/// Of an end that nobody but us has.
pub fn set_nonblocking(fd: impl AsFd) -> std::io::Result<()> {
    let flags = fcntl_getfl(&fd)?;
    Ok(fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_host_is_never_handed_on() {
        let file = tempfile::tempfile().unwrap();
        assert!(!may_be_handed_on(file.as_fd()).unwrap());
        let null = File::open("/dev/null").unwrap();
        assert!(!may_be_handed_on(null.as_fd()).unwrap());
        let (read, _write) = std::io::pipe().unwrap();
        assert!(may_be_handed_on(read.as_fd()).unwrap());
        let (given, ours) = sink(file.as_fd()).unwrap();
        assert!(may_be_handed_on(given.as_fd()).unwrap());
        assert!(ours.is_some());
    }
}
