//! One poll loop: bytes both ways, the terminal's size, signals, and the end of the process.

use super::{
    streams::{Given, Ours, set_nonblocking},
    terminal::{self, Raw},
};
use crate::{
    cli::exit::Error,
    shim::wire::{Client, Io, Request, Response},
};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

const BLOCK: usize = 64 * 1024;
/// How long output may still come after the process has ended, while something else holds its terminal open.
const GRACE: Duration = Duration::from_millis(200);
/// So many interrupts that the process does not heed, and the command leaves it alone.
const INSISTENT: u32 = 3;

/// Whom signals go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The process of this `exec`.
    Exec,
    /// The container's first process.
    Container,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    /// The person left; the process may run on.
    Left,
}

/// A process in a container that this command attends.
pub struct Session {
    client: Client,
    aim: Aim,
    signals: SignalFd,
    pty: Option<OwnedFd>,
    raw: Option<Raw>,
    streams: [Carrier; 3],
    code: Option<i32>,
    interrupts: u32,
}

/// Bytes from one descriptor to another.
#[derive(Debug, Default)]
struct Carrier {
    /// Taken from the source, not yet at the sink.
    held: Vec<u8>,
    from: Option<Source>,
    to: Option<Sink>,
}

#[derive(Debug)]
enum Source {
    Stdin,
    Fd(OwnedFd),
}

#[derive(Debug)]
enum Sink {
    Stdout,
    Stderr,
    Fd(OwnedFd),
}

impl Source {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin => rustix::stdio::stdin(),
            Self::Fd(fd) => fd.as_fd(),
        }
    }
}

impl Sink {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
            Self::Fd(fd) => fd.as_fd(),
        }
    }
    /// Ours blocks, and that is right: who reads slowly makes the container slow.
    fn blocks(&self) -> bool {
        !matches!(self, Self::Fd(_))
    }
}

impl Session {
    /// Blocks the signals that will be passed on, so that none is lost before `run` looks. To be called before the
    /// process is asked for.
    pub fn block_signals() -> Result<SignalFd, Error> {
        let mut set = SigSet::empty();
        let passed_on = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
            Signal::SIGWINCH,
        ];
        passed_on.into_iter().for_each(|signal| set.add(signal));
        set.thread_block().map_err(Error::system("block signals"))?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(Error::system("read signals"))
    }

    /// Sends `request`, with what the container is to have, and takes the answer.
    pub fn start(
        client: Client,
        request: Request,
        given: Given,
        aim: Aim,
        interactive: bool,
        signals: SignalFd,
    ) -> Result<Self, Error> {
        let fds: Vec<BorrowedFd<'_>> = given.fds.iter().map(AsFd::as_fd).collect();
        let (answer, received) = client.call(&request, &fds)?;
        match answer {
            Response::ExecStarted { .. } | Response::Attached { .. } | Response::Started { .. } => {}
            other => return Err(Error::refused(format!("the container's shim answers with {other:?}"))),
        }
        let pty = match given.io {
            Io::Tty { .. } => Some(received.into_iter().next().ok_or_else(|| Error::refused("no terminal came back"))?),
            _ => None,
        };
        let raw = match &pty {
            Some(pty) => {
                set_nonblocking(pty).map_err(Error::system("prepare the terminal"))?;
                Some(Raw::enter().map_err(Error::system("set the terminal to raw mode"))?)
            }
            None => None,
        };
        drop(given.fds); // only the container has its ends from here on
        let streams = carriers(pty.as_ref(), given.ours, interactive)?;
        Ok(Self { client, aim, signals, pty, raw, streams, code: None, interrupts: 0 })
    }

    /// Until the process has ended and all it wrote has been carried.
    pub fn run(mut self) -> Result<End, Error> {
        let mut deadline: Option<Instant> = None;
        loop {
            if self.code.is_some() {
                let end = *deadline.get_or_insert_with(|| Instant::now() + GRACE);
                if !self.has_output_open() || Instant::now() >= end {
                    return Ok(End::Code(self.code.unwrap_or_default()));
                }
            }
            let ready = self.wait(deadline)?;
            if ready.signal && self.take_signals()? {
                return Ok(End::Left);
            }
            for (index, ready) in ready.streams.into_iter().enumerate() {
                if ready {
                    self.streams[index].step().map_err(Error::system("carry the container's bytes"))?;
                }
            }
            if ready.client {
                self.hear()?;
            }
        }
    }

    /// Whether something the process wrote may still come. Of pipes all is there when the process has ended; a
    /// terminal hands it on a moment later and then reports its end.
    fn has_output_open(&mut self) -> bool {
        if self.pty.is_some() {
            return self.streams[1].from.is_some();
        }
        for stream in &mut self.streams[1..] {
            // What is in the pipe now is all of it; whoever else holds the pipe open is not waited for.
            while stream.from.is_some() && matches!(stream.step(), Ok(true)) {}
        }
        false
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<Ready, Error> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        // The connection ends with the process; what it says after that is nobody's concern.
        let client = self.code.is_none().then(|| {
            fds.push(PollFd::from_borrowed_fd(self.client.socket().as_fd(), PollFlags::IN));
            fds.len() - 1
        });
        let mut places = [None; 3];
        for (place, stream) in places.iter_mut().zip(&self.streams) {
            if let Some(fd) = stream.interest() {
                fds.push(fd);
                *place = Some(fds.len() - 1);
            }
        }
        let timeout = deadline.map(|end| {
            let left = end.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::system("wait for the container")(error)),
        }
        let is_ready = |index: usize| !fds[index].revents().is_empty();
        Ok(Ready {
            signal: is_ready(0),
            client: client.is_some_and(is_ready),
            streams: places.map(|place| place.is_some_and(is_ready)),
        })
    }

    fn hear(&mut self) -> Result<(), Error> {
        match self.client.next()?.0 {
            Response::ExecExited { code } => self.code = Some(code),
            Response::Exited { exit } => self.code = Some(exit.code),
            _ => {}
        }
        if self.code.is_some() {
            self.streams[0] = Carrier::default();
        }
        Ok(())
    }

    /// True when the person wants to leave.
    fn take_signals(&mut self) -> Result<bool, Error> {
        while let Some(info) = self.signals.read_signal().map_err(Error::system("read signals"))? {
            let signal = info.ssi_signo as i32;
            if signal == libc::SIGWINCH {
                if let Some(pty) = &self.pty {
                    terminal::resize(pty, terminal::size());
                }
                continue;
            }
            self.interrupts += u32::from(matches!(signal, libc::SIGINT | libc::SIGTERM));
            // The terminal has gone away: there is nobody left to attend the process.
            if self.interrupts >= INSISTENT || (signal == libc::SIGHUP && self.raw.is_some()) {
                return Ok(true);
            }
            let request = match self.aim {
                Aim::Exec => Request::SignalExec { signal },
                Aim::Container => Request::Signal { signal, all: false },
            };
            // It may have ended this moment; that comes over the connection.
            let _ = self.client.send(&request, &[]);
        }
        Ok(false)
    }
}

struct Ready {
    signal: bool,
    client: bool,
    streams: [bool; 3],
}

fn carriers(pty: Option<&OwnedFd>, ours: Ours, interactive: bool) -> Result<[Carrier; 3], Error> {
    let stdin = || interactive.then_some(Source::Stdin);
    if let Some(pty) = pty {
        let clone = || pty.try_clone().map_err(Error::system("prepare the terminal"));
        return Ok([
            Carrier::new(stdin(), Some(Sink::Fd(clone()?))),
            Carrier::new(Some(Source::Fd(clone()?)), Some(Sink::Stdout)),
            Carrier::default(),
        ]);
    }
    Ok([
        Carrier::new(ours.stdin.is_some().then(stdin).flatten(), ours.stdin.map(Sink::Fd)),
        Carrier::new(ours.stdout.map(Source::Fd), Some(Sink::Stdout)),
        Carrier::new(ours.stderr.map(Source::Fd), Some(Sink::Stderr)),
    ])
}

impl Carrier {
    fn new(from: Option<Source>, to: Option<Sink>) -> Self {
        match (from, to) {
            (Some(from), Some(to)) => Self { held: Vec::new(), from: Some(from), to: Some(to) },
            // Without a source the sink is closed: the container reads the end.
            _ => Self::default(),
        }
    }

    /// Room in the sink while something is held, bytes in the source otherwise.
    fn interest(&self) -> Option<PollFd<'_>> {
        match (&self.from, &self.to) {
            (_, Some(to)) if !self.held.is_empty() => Some(PollFd::from_borrowed_fd(to.fd(), PollFlags::OUT)),
            (Some(from), Some(_)) => Some(PollFd::from_borrowed_fd(from.fd(), PollFlags::IN)),
            _ => None,
        }
    }

    /// Carries what it can without waiting. True when bytes moved.
    fn step(&mut self) -> std::io::Result<bool> {
        let mut moved = false;
        if self.held.is_empty() && !self.fill()? {
            return Ok(false);
        }
        while let (false, Some(to)) = (self.held.is_empty(), &self.to) {
            match rustix::io::write(to.fd(), &self.held) {
                Ok(written) => {
                    self.held.drain(..written);
                    moved = true;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if to.blocks() => {
                    // Somebody made our standard output non-blocking: wait for it here.
                    poll(&mut [PollFd::from_borrowed_fd(to.fd(), PollFlags::OUT)], None)?;
                }
                Err(Errno::AGAIN) => return Ok(moved),
                // Nobody reads any more: the other side is to notice as well.
                Err(Errno::PIPE | Errno::IO) => {
                    *self = Self::default();
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.from.is_none() && self.held.is_empty() {
            self.to = None;
        }
        Ok(moved)
    }

    /// False when nothing came; at the end of the source the carrier closes.
    fn fill(&mut self) -> std::io::Result<bool> {
        let Some(from) = &self.from else { return Ok(false) };
        self.held.resize(BLOCK, 0);
        let result = rustix::io::read(from.fd(), &mut self.held[..]);
        self.held.truncate(*result.as_ref().unwrap_or(&0));
        match result {
            // EIO: every process of the container has closed its terminal (pty(7)).
            Ok(0) | Err(Errno::IO) => {
                *self = Self::default();
                Ok(false)
            }
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
