//! One run of the container: its process, what it writes, and how it ends.

use super::{
    log::Log,
    wire::{Io, LogSpec},
};
use crate::{
    runtime::{self, Ended, StartError, Started, Stdio, cgroup::Cgroup, spec::Spec},
    state::{
        boot,
        logline::Stream,
        records::{self, Exit},
    },
    sys::{self, stream},
};
use jiff::Timestamp;
use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

/// One read takes all that a pipe of the usual size holds.
const READ: usize = 64 * 1024;
/// A terminal that nobody has open is looked at again after this.
const HUNG_UP_PAUSE: Duration = Duration::from_secs(1);
/// Processes that outlived the container's init get this long to die of SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// A running container.
#[derive(Debug)]
pub struct Run {
    /// What `exec` needs of it.
    pub spec: Spec,
    pub pid: i32,
    pub start_time: u64,
    pub started_at: String,
    pidfd: OwnedFd,
    /// Its mount namespace, held so that its end need not wait for the disk.
    mounts: Option<OwnedFd>,
    outputs: Vec<Output>,
    log: Option<Log>,
    buffer: Vec<MaybeUninit<u8>>,
    /// Never written to; open as long as the container runs (`stdin_open`).
    _stdin: Option<OwnedFd>,
}

/// Where the container's words come from.
#[derive(Debug)]
struct Output {
    stream: Stream,
    fd: OwnedFd,
    /// A hung-up terminal is ready all the time; until then it is left alone.
    paused: Option<Instant>,
}

impl Output {
    fn new(stream: Stream, fd: OwnedFd) -> sys::Result<Self> {
        stream::set_nonblocking(fd.as_fd())?;
        Ok(Self { stream, fd, paused: None })
    }
}

/// The streams of a container that is about to start, and our ends of them.
struct Streams {
    stdio: Stdio,
    outputs: Vec<Output>,
    stdin: Option<OwnedFd>,
}

/// Where a container's streams go.
pub enum Attended {
    /// To the log. With `stdin_open` its standard input stays open.
    ByLog { log: LogSpec, stdin_open: bool },
    /// To somebody who brought descriptors or asked for a terminal.
    ByPeer { io: Io, fds: Option<[OwnedFd; 3]> },
}

impl Run {
    /// Starts the container. The descriptor is the pty's master, for the peer that asked for it.
    pub fn start(
        mut spec: Spec,
        attended: Attended,
        net: Option<BorrowedFd<'_>>,
        log_directory: &Path,
    ) -> Result<(Self, Option<OwnedFd>), StartError> {
        let by_peer = matches!(attended, Attended::ByPeer { .. });
        let log = match &attended {
            Attended::ByLog { log, .. } if !log.none => Some(Log::new(log_directory, log.max_size, log.max_file)),
            _ => None,
        };
        let Streams { stdio, mut outputs, stdin } = streams(&spec, attended).map_err(no_streams)?;
        let Started { pid, pidfd, mut console, mounts } = runtime::start(&spec, stdio, net)?;
        let started_at = records::now();
        if !by_peer && let Some(master) = console.take() {
            outputs.push(Output::new(Stream::Stdout, master).map_err(no_streams)?);
        }
        // An exec brings its own process; the mounts are made.
        spec.process.env = Vec::new();
        spec.mounts = Vec::new();
        let run = Self {
            spec,
            pid,
            start_time: boot::start_time(pid).unwrap_or_default(),
            started_at,
            pidfd,
            mounts,
            outputs,
            log,
            buffer: Vec::new(),
            _stdin: stdin,
        };
        Ok((run, console))
    }

    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub fn cgroup(&self) -> Result<Cgroup, runtime::cgroup::CgroupError> {
        Cgroup::open(self.spec.cgroup_path())
    }

    /// The outputs to wait for.
    pub fn outputs(&self, now: Instant) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        let awake = move |output: &&Output| output.paused.is_none_or(|until| until <= now);
        self.outputs.iter().filter(awake).map(|output| (output.stream, output.fd.as_fd()))
    }

    /// When a paused output is to be looked at again.
    pub fn wakes(&self) -> Option<Instant> {
        self.outputs.iter().filter_map(|output| output.paused).min()
    }

    /// Reads once from an output that is ready.
    pub fn read_output(&mut self, stream: Stream, now: Instant) -> sys::Result<()> {
        let Some(at) = self.outputs.iter().position(|output| output.stream == stream) else { return Ok(()) };
        match read_once(&mut self.outputs[at], &mut self.log, &mut self.buffer, now) {
            Ok(Progress::Read(_) | Progress::Nothing) => Ok(()),
            Ok(Progress::Ended) => {
                self.outputs.remove(at);
                Ok(())
            }
            Err(error) => {
                self.outputs.remove(at);
                Err(error)
            }
        }
    }

    /// Nothing has come for a while: gives the buffers back.
    pub fn rest(&mut self) {
        self.buffer = Vec::new();
        if let Some(log) = &mut self.log {
            log.rest();
        }
    }

    /// The container's init has ended, and all of its PID namespace with it (pid_namespaces(7)): reaps it, writes the last
    /// of its log, and removes its cgroup. What goes wrong on the way is told to `complain`, and the rest goes on.
    /// The descriptor is to be dropped last of all: with it the mounts go, and that may wait for the disk.
    pub fn finish(mut self, mut complain: impl FnMut(&dyn std::fmt::Display)) -> (Exit, Option<OwnedFd>) {
        let ended = runtime::wait(self.pidfd());
        self.drain();
        let oom = match self.clear_cgroup() {
            Ok(oom) => oom,
            Err(error) => {
                complain(&error);
                false
            }
        };
        let (code, signal) = match ended {
            Ok(ended) => (ended.exit_code(), ended_by(ended)),
            Err(error) => {
                complain(&error);
                (255, None)
            }
        };
        let exit =
            Exit { code, signal, oom, started_at: Some(self.started_at), finished_at: records::now(), note: None };
        (exit, self.mounts)
    }

    /// All that the container wrote is in the pipes by now, so one filling of each is the most that can be its own. Whoever
    /// else got hold of a writing end is not waited for.
    fn drain(&mut self) {
        let now = Instant::now();
        for output in &mut self.outputs {
            let mut left = stream::pipe_size(output.fd.as_fd()).unwrap_or(READ);
            while let Ok(Progress::Read(count)) = read_once(output, &mut self.log, &mut self.buffer, now) {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
        }
        if let Some(log) = &mut self.log {
            log.end(Timestamp::now());
        }
    }

    /// Whether the kernel killed for want of memory; nothing of the cgroup is left.
    fn clear_cgroup(&self) -> Result<bool, runtime::cgroup::CgroupError> {
        let cgroup = self.cgroup()?;
        let oom = cgroup.oom_kills();
        if !cgroup.is_empty()? {
            cgroup.kill()?;
            cgroup.wait_empty(KILL_TIMEOUT)?;
        }
        cgroup.remove()?;
        Ok(oom? > 0)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Read(usize),
    Nothing,
    Ended,
}

fn read_once(
    output: &mut Output,
    log: &mut Option<Log>,
    buffer: &mut Vec<MaybeUninit<u8>>,
    now: Instant,
) -> sys::Result<Progress> {
    buffer.resize_with(READ, MaybeUninit::uninit);
    output.paused = None;
    match stream::read(output.fd.as_fd(), buffer)? {
        stream::Read::Bytes(bytes) => {
            if let Some(log) = log {
                log.feed(output.stream, bytes, Timestamp::now());
            }
            Ok(Progress::Read(bytes.len()))
        }
        stream::Read::Nothing => Ok(Progress::Nothing),
        stream::Read::End => Ok(Progress::Ended),
        stream::Read::HungUp => {
            output.paused = Some(now + HUNG_UP_PAUSE);
            Ok(Progress::Nothing)
        }
    }
}

fn streams(spec: &Spec, attended: Attended) -> sys::Result<Streams> {
    let unheard = |stdio| Streams { stdio, outputs: Vec::new(), stdin: None };
    match attended {
        Attended::ByPeer { io: Io::Tty { rows, cols }, .. } => Ok(unheard(Stdio::Tty { rows, cols })),
        Attended::ByPeer { io: Io::Fds, fds: Some(fds) } => Ok(unheard(Stdio::Fds(fds))),
        Attended::ByPeer { .. } => Ok(unheard(Stdio::Fds([stream::null()?, stream::null()?, stream::null()?]))),
        // As Docker: the size is unknown until somebody attaches.
        Attended::ByLog { .. } if spec.process.tty => Ok(unheard(Stdio::Tty { rows: 0, cols: 0 })),
        Attended::ByLog { log, stdin_open } => {
            let (input, stdin) = match stdin_open {
                true => stream::pipe().map(|(reader, writer)| (reader, Some(writer)))?,
                false => (stream::null()?, None),
            };
            if log.none {
                return Ok(Streams {
                    stdio: Stdio::Fds([input, stream::null()?, stream::null()?]),
                    outputs: Vec::new(),
                    stdin,
                });
            }
            let (out, out_writer) = stream::pipe()?;
            let (err, err_writer) = stream::pipe()?;
            Ok(Streams {
                stdio: Stdio::Fds([input, out_writer, err_writer]),
                outputs: vec![Output::new(Stream::Stdout, out)?, Output::new(Stream::Stderr, err)?],
                stdin,
            })
        }
    }
}

fn no_streams(error: sys::Error) -> StartError {
    StartError { message: format!("standard streams: {error}"), code: 125 }
}

fn ended_by(ended: Ended) -> Option<i32> {
    match ended {
        Ended::Signal(signal) => Some(signal),
        Ended::Code(_) => None,
    }
}
