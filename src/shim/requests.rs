//! What each request does, and its answer.

use super::{
    connection::ConnectionId,
    fdstore,
    keeper::{Exec, Keeper, Phase, Supervision},
    respawn::Backoff,
    run::{Attended, Run},
    wire::{Io, Request, Response, ShimSpec, StartFailure, State},
};
use crate::{
    runtime::{self, StartError, Started, Stdio, cgroup::CgroupError, spec::ExecSpec},
    state::{RecordError, record},
    sys::{self, pidfd, stream},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    time::Instant,
};

const SIGKILL: i32 = 9;

/// An answer with its descriptors; most requests that change nothing for their sender have none.
pub(super) type Answer = Option<(Response, Vec<OwnedFd>)>;

/// Why a request cannot be done now. Nothing was changed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the container is not running")]
    NotRunning,
    #[error("the container was started before")]
    StartedBefore,
    #[error("the container does not wait for an attach")]
    NotHeld,
    #[error("only the supervisor may ask for this")]
    NotSupervisor,
    #[error("this connection has a process already")]
    Busy,
    #[error("this connection has no process")]
    NoExec,
    #[error("{expected} descriptors expected, {found} came")]
    Descriptors { expected: usize, found: usize },
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("cannot copy a descriptor: {0}")]
    Copy(std::io::Error),
}

impl Keeper {
    pub(super) fn answer(&mut self, from: ConnectionId, request: Request, fds: Vec<OwnedFd>) -> Answer {
        let answer = match request {
            Request::Store { names } => self.store(from, names, fds),
            Request::Start => self.start(from),
            Request::Adopt => self.adopt(from),
            Request::Signal { signal, all: false } => self.signal_init(signal),
            Request::Signal { signal, all: true } => self.signal_all(signal),
            Request::Exec { spec, io } => self.exec(from, &spec, io, fds),
            Request::SignalExec { signal } => self.signal_exec(from, signal),
            Request::Attach { io } => self.attach(from, io, fds),
            Request::Processes => self.processes(),
            Request::Quit => self.quit(from),
        };
        answer.unwrap_or_else(|refusal| Some((Response::Refused { why: refusal.to_string() }, Vec::new())))
    }

    fn store(&mut self, from: ConnectionId, names: Vec<String>, fds: Vec<OwnedFd>) -> Result<Answer, Refusal> {
        self.check_supervisor(from)?;
        if names.len() != fds.len() {
            return Err(Refusal::Descriptors { expected: names.len(), found: fds.len() });
        }
        names.into_iter().zip(fds).for_each(|(name, fd)| self.fds.put(name, fd));
        Ok(None)
    }

    fn start(&mut self, from: ConnectionId) -> Result<Answer, Refusal> {
        self.check_supervisor(from)?;
        if !matches!(self.phase, Phase::Waiting) {
            return Err(Refusal::StartedBefore);
        }
        let spec = match self.read_spec() {
            Ok(spec) => spec,
            Err(message) => return Ok(self.failed(StartError { message, code: 125 })),
        };
        self.supervision = Some(Supervision { project: spec.project.clone(), backoff: Backoff::new(Instant::now()) });
        if spec.hold {
            self.phase = Phase::Held(spec);
            return Ok(Some((Response::Held, Vec::new())));
        }
        let attended = Attended::ByLog { log: spec.log.clone(), stdin_open: spec.stdin_open };
        Ok(match self.start_container(*spec, attended) {
            Ok(_) => self.started(),
            Err(error) => self.failed(error),
        })
    }

    /// The spec, for a run whose earlier end is no longer on disk.
    fn read_spec(&self) -> Result<Box<ShimSpec>, String> {
        let path = self.layout.container_spec(&self.id);
        let spec = record::read(&path).and_then(|spec| {
            record::remove(&self.layout.container_exit(&self.id))?;
            spec.ok_or_else(|| RecordError::io("read", &path)(std::io::ErrorKind::NotFound.into()))
        });
        spec.map(Box::new).map_err(|error| error.to_string())
    }

    fn attach(&mut self, from: ConnectionId, io: Io, fds: Vec<OwnedFd>) -> Result<Answer, Refusal> {
        let fds = streams(io, fds)?;
        let spec = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Held(spec) => spec,
            other => {
                self.phase = other;
                return Err(Refusal::NotHeld);
            }
        };
        let attended = match io {
            Io::Null => Attended::ByLog { log: spec.log.clone(), stdin_open: spec.stdin_open },
            io => Attended::ByPeer { io, fds },
        };
        let result = self.start_container(*spec, attended);
        let told = match &result {
            Ok(_) => self.started(),
            Err(error) => self.failed(error.clone()),
        };
        if let (Some(supervisor), Some((response, _))) = (self.supervisor, told) {
            self.send(supervisor, &response, Vec::new());
        }
        Ok(match result {
            Err(error) => self.failed(error),
            Ok(console) => {
                self.attached = Some(from);
                let pid = self.running().map(|run| run.pid).unwrap_or_default();
                Some((Response::Attached { pid }, console.into_iter().collect()))
            }
        })
    }

    fn start_container(&mut self, spec: ShimSpec, attended: Attended) -> Result<Option<OwnedFd>, StartError> {
        let log = self.layout.container_log(&self.id);
        let (run, console) = Run::start(spec.container, attended, self.fds.get(fdstore::NETNS), &log)?;
        self.phase = Phase::Running(Box::new(run));
        Ok(console)
    }

    fn started(&self) -> Answer {
        let run = self.running().ok()?;
        let (pid, start_time, at) = (run.pid, run.start_time, run.started_at.clone());
        Some((Response::Started { pid, start_time, at }, Vec::new()))
    }

    /// The path is free again before anybody hears of it.
    fn failed(&mut self, error: StartError) -> Answer {
        self.phase = Phase::Failed;
        self.stop_listening();
        Some((Response::Failed { error: failure(error) }, Vec::new()))
    }

    fn adopt(&mut self, from: ConnectionId) -> Result<Answer, Refusal> {
        let state = match &self.phase {
            Phase::Waiting | Phase::Held(_) => State::Waiting,
            Phase::Running(run) => {
                State::Running { pid: run.pid, start_time: run.start_time, at: run.started_at.clone() }
            }
            Phase::Ended(exit) => State::Ended { exit: exit.clone() },
            Phase::Failed => return Err(Refusal::NotRunning),
        };
        let fds = self.fds.copies().map_err(Refusal::Copy)?;
        self.adopted(from);
        Ok(Some((Response::Adopted { state, names: self.fds.names() }, fds)))
    }

    fn signal_init(&self, signal: i32) -> Result<Answer, Refusal> {
        pidfd::send_signal(self.running()?.pidfd(), signal)?;
        Ok(None)
    }

    fn signal_all(&self, signal: i32) -> Result<Answer, Refusal> {
        let cgroup = self.running()?.cgroup()?;
        if signal == SIGKILL {
            cgroup.kill()?;
            return Ok(None);
        }
        // A pid may be another's by now: those that are members still, once their descriptors are held, are the ones meant.
        let mut held = Vec::new();
        for pid in cgroup.processes()? {
            held.extend(pidfd::open(pid)?.map(|pidfd| (pid, pidfd)));
        }
        let members = cgroup.processes()?;
        for (_, pidfd) in held.iter().filter(|(pid, _)| members.contains(pid)) {
            pidfd::send_signal(pidfd.as_fd(), signal)?;
        }
        Ok(None)
    }

    fn exec(&mut self, from: ConnectionId, spec: &ExecSpec, io: Io, fds: Vec<OwnedFd>) -> Result<Answer, Refusal> {
        if self.exec_of(from).is_some() {
            return Err(Refusal::Busy);
        }
        let run = self.running()?;
        let stdio = match (io, streams(io, fds)?) {
            (Io::Tty { rows, cols }, _) => Stdio::Tty { rows, cols },
            (_, Some(fds)) => Stdio::Fds(fds),
            (_, None) => Stdio::Fds([stream::null()?, stream::null()?, stream::null()?]),
        };
        Ok(match runtime::exec(run.pidfd(), &run.spec, spec, stdio) {
            Err(error) => Some((Response::Failed { error: failure(error) }, Vec::new())),
            Ok(Started { pid, pidfd, console, .. }) => {
                self.execs.push(Exec { pid, pidfd, connection: Some(from) });
                Some((Response::ExecStarted { pid }, console.into_iter().collect()))
            }
        })
    }

    fn signal_exec(&self, from: ConnectionId, signal: i32) -> Result<Answer, Refusal> {
        let exec = self.exec_of(from).ok_or(Refusal::NoExec)?;
        pidfd::send_signal(exec.pidfd.as_fd(), signal)?;
        Ok(None)
    }

    fn processes(&self) -> Result<Answer, Refusal> {
        let pids = self.running()?.cgroup()?.processes()?;
        Ok(Some((Response::Processes { pids }, Vec::new())))
    }

    fn quit(&mut self, from: ConnectionId) -> Result<Answer, Refusal> {
        self.check_supervisor(from)?;
        if let Phase::Running(run) = &self.phase {
            // Init's end takes its whole PID namespace with it.
            pidfd::send_signal(run.pidfd(), SIGKILL)?;
        }
        self.leave();
        Ok(None)
    }

    fn running(&self) -> Result<&Run, Refusal> {
        match &self.phase {
            Phase::Running(run) => Ok(run),
            _ => Err(Refusal::NotRunning),
        }
    }

    fn exec_of(&self, connection: ConnectionId) -> Option<&Exec> {
        self.execs.iter().find(|exec| exec.connection == Some(connection))
    }

    fn check_supervisor(&self, from: ConnectionId) -> Result<(), Refusal> {
        if self.supervisor == Some(from) { Ok(()) } else { Err(Refusal::NotSupervisor) }
    }
}

/// The three descriptors of `Io::Fds`; the other kinds come with none.
fn streams(io: Io, fds: Vec<OwnedFd>) -> Result<Option<[OwnedFd; 3]>, Refusal> {
    let found = fds.len();
    match (io, found) {
        (Io::Fds, _) => fds.try_into().map(Some).map_err(|_| Refusal::Descriptors { expected: 3, found }),
        (_, 0) => Ok(None),
        _ => Err(Refusal::Descriptors { expected: 0, found }),
    }
}

fn failure(StartError { message, code }: StartError) -> StartFailure {
    StartFailure { message, code }
}
