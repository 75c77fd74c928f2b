//! The shim's loop: one poll(2), one event at a time. What a request asks for is in `requests`.
//!
//! ```text
//! Waiting --Start--> Running --init ends--> Ended --Quit, or nobody adopts for 5 s--> leaves
//!    |                ^  |
//!    |--Start, hold-> Held --Attach--^
//!    '--Start/Attach fail--> Failed --the supervisor closes--> leaves
//! ```
//!
//! Assumptions: one thread; the process is the container's parent. Guarantees: a supervisor that dies is replaced while the
//! container lives, and finds the stored descriptors; `exit.json` is written before anybody hears of the end.

use super::{
    connection::{Connection, ConnectionId, Received},
    fdstore::FdStore,
    respawn::{self, Attempt, Backoff},
    run::Run,
    wire::{Response, ShimSpec},
};
use crate::{
    model::ContainerId,
    runtime,
    state::{Durability, Layout, logline::Stream, record, records::Exit},
    sys::{
        self,
        events::{PollFd, PollFlags, poll},
        seqpacket, this_process,
    },
};
use std::{
    fmt::Display,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

/// After the container's end: how long a supervisor's `Quit` is waited for, or without one, for a new one.
const ADOPTION: Duration = Duration::from_secs(5);
/// How long the last words may take to reach peers that do not read.
const FAREWELL: Duration = Duration::from_secs(1);
/// Quiet for this long: memory is given back.
const QUIET: Duration = Duration::from_secs(1);
/// Out of descriptors: pause before the next accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Peers at once; more wait in the listening socket's queue.
const MOST_CONNECTIONS: usize = 256;

/// One container's keeper.
pub(super) struct Keeper {
    pub(super) layout: Layout,
    pub(super) id: ContainerId,
    listener: Option<Listener>,
    connections: Vec<Connection>,
    last_connection: u64,
    /// Which connection is the supervisor's.
    pub(super) supervisor: Option<ConnectionId>,
    pub(super) fds: FdStore,
    pub(super) phase: Phase,
    pub(super) execs: Vec<Exec>,
    /// Who started the held container and waits for its end.
    pub(super) attached: Option<ConnectionId>,
    /// Known from `Start` on.
    pub(super) supervision: Option<Supervision>,
    /// The shim leaves at this moment, or before when all is said.
    leaving: Option<Leaving>,
    /// Something was done since memory was last given back.
    restless: bool,
}

pub(super) enum Phase {
    Waiting,
    Held(Box<ShimSpec>),
    Running(Box<Run>),
    Ended(Exit),
    Failed,
}

/// A further process of the container.
pub(super) struct Exec {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Who asked for it, while they are there.
    pub connection: Option<ConnectionId>,
}

/// How this project's supervisor is brought back.
pub(super) struct Supervision {
    pub project: String,
    pub backoff: Backoff,
}

struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    paused: Option<Instant>,
}

enum Leaving {
    /// Nobody expects anything more; at the latest then.
    Now(Instant),
    /// A new supervisor may still come, or the one that is there may say `Quit`; not after this.
    Expecting(Instant),
}

/// What an event came from.
#[derive(Clone, Copy)]
enum Source {
    Connection(ConnectionId),
    Output(Stream),
    Container,
    Exec(i32),
    Listener,
}

impl Keeper {
    /// `supervisor` is its end of the first connection; `socket` listens at `path`.
    pub(super) fn new(
        layout: Layout,
        id: ContainerId,
        supervisor: OwnedFd,
        socket: OwnedFd,
        path: PathBuf,
    ) -> sys::Result<Self> {
        let first = ConnectionId(0);
        Ok(Self {
            layout,
            id,
            listener: Some(Listener { socket, path, paused: None }),
            connections: vec![Connection::new(first, supervisor)?],
            last_connection: 0,
            supervisor: Some(first),
            fds: FdStore::default(),
            phase: Phase::Waiting,
            execs: Vec::new(),
            attached: None,
            supervision: None,
            leaving: None,
            restless: true,
        })
    }

    /// Returns when the shim has nothing left to do.
    pub(super) fn run(mut self) -> sys::Result<()> {
        let result = loop {
            let now = Instant::now();
            self.revive_supervisor(now);
            if self.is_done(now) {
                break Ok(());
            }
            match self.wait(now) {
                Ok(ready) if ready.is_empty() => self.rest_when_quiet(),
                Ok(ready) => ready.into_iter().for_each(|(source, flags)| self.handle(source, flags)),
                Err(error) => break Err(error),
            }
        };
        self.stop_listening();
        result
    }

    fn is_done(&self, now: Instant) -> bool {
        let supervised = self.supervisor.is_some();
        match (&self.phase, &self.leaving) {
            (Phase::Running(_), _) => false,
            (Phase::Waiting | Phase::Failed, None) => !supervised,
            (Phase::Held(_) | Phase::Ended(_), None) => false,
            (_, Some(Leaving::Expecting(latest))) => *latest <= now,
            (_, Some(Leaving::Now(latest))) => {
                *latest <= now || (self.execs.is_empty() && !self.connections.iter().any(Connection::has_waiting))
            }
        }
    }

    /// Sleeps until something happens; the events in the order in which they are to be handled.
    fn wait(&self, now: Instant) -> sys::Result<Vec<(Source, PollFlags)>> {
        let (mut sources, mut fds) = (Vec::new(), Vec::new());
        let mut add = |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Phase::Running(run) = &self.phase {
            for (stream, fd) in run.outputs(now) {
                add(Source::Output(stream), fd, PollFlags::IN);
            }
        }
        for exec in &self.execs {
            add(Source::Exec(exec.pid), exec.pidfd.as_fd(), PollFlags::IN);
        }
        if let Phase::Running(run) = &self.phase {
            add(Source::Container, run.pidfd(), PollFlags::IN);
        }
        for connection in &self.connections {
            let reply = if connection.has_waiting() { PollFlags::OUT } else { PollFlags::empty() };
            add(Source::Connection(connection.id), connection.fd(), PollFlags::IN | reply);
        }
        if let Some(listener) = &self.listener
            && listener.paused.is_none_or(|until| until <= now)
            && self.connections.len() < MOST_CONNECTIONS
        {
            add(Source::Listener, listener.socket.as_fd(), PollFlags::IN);
        }
        let timeout = self.deadline(now).map(|deadline| deadline.saturating_duration_since(now));
        poll(&mut fds, timeout)?;
        let events = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        Ok(events.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    /// The next moment at which something is to be done without an event.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let leaving = match (&self.phase, &self.leaving) {
            // However long it takes to die.
            (Phase::Running(_), _) | (_, None) => None,
            (_, Some(Leaving::Now(latest) | Leaving::Expecting(latest))) => Some(*latest),
        };
        let respawn = self.supervision.as_ref().and_then(|supervision| supervision.backoff.next());
        let respawn = respawn.filter(|next| *next > now);
        let accept = self.listener.as_ref().and_then(|listener| listener.paused).filter(|until| *until > now);
        let output = match &self.phase {
            Phase::Running(run) => run.wakes().filter(|until| *until > now),
            _ => None,
        };
        let quiet = self.restless.then(|| now + QUIET);
        [leaving, respawn, accept, output, quiet].into_iter().flatten().min()
    }

    fn handle(&mut self, source: Source, flags: PollFlags) {
        self.restless = true;
        match source {
            Source::Connection(id) => self.hear(id, flags),
            Source::Output(stream) => {
                if let Phase::Running(run) = &mut self.phase
                    && let Err(error) = run.read_output(stream, Instant::now())
                {
                    complain(&self.id, &error);
                }
            }
            Source::Container => self.container_ended(),
            Source::Exec(pid) => self.exec_ended(pid),
            Source::Listener => self.accept(),
        }
    }

    /// One message of a peer, or its end.
    fn hear(&mut self, id: ConnectionId, flags: PollFlags) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else { return };
        if flags.contains(PollFlags::OUT) && !connection.flush() {
            return self.disconnected(id);
        }
        match connection.receive() {
            Received::Nothing => {}
            Received::Closed => self.disconnected(id),
            Received::Unknown(why) => self.send(id, &Response::Refused { why }, Vec::new()),
            Received::Request(request, fds) => {
                if let Some((response, fds)) = self.answer(id, request, fds) {
                    self.send(id, &response, fds);
                }
            }
        }
    }

    pub(super) fn send(&mut self, to: ConnectionId, response: &Response, fds: Vec<OwnedFd>) {
        let sent = match self.connections.iter_mut().find(|connection| connection.id == to) {
            Some(connection) => connection.send(response, fds),
            None => return,
        };
        if !sent {
            self.disconnected(to);
        }
    }

    /// The peer has gone. Its exec runs on, as Docker's does.
    pub(super) fn disconnected(&mut self, id: ConnectionId) {
        self.connections.retain(|connection| connection.id != id);
        for exec in &mut self.execs {
            exec.connection.take_if(|connection| *connection == id);
        }
        self.attached.take_if(|attached| *attached == id);
        if self.supervisor.take_if(|supervisor| *supervisor == id).is_some() {
            self.supervisor_lost();
        }
    }

    fn supervisor_lost(&mut self) {
        let now = Instant::now();
        let Some(supervision) = &mut self.supervision else { return };
        supervision.backoff.lost(now);
        // The end was told, and this peer went without a `Quit`: it died. Somebody must see to the restart policy.
        if matches!((&self.phase, &self.leaving), (Phase::Ended(_), Some(Leaving::Expecting(_)))) {
            if let Err(error) = respawn::attempt(&self.layout, &supervision.project) {
                complain(&self.id, &error);
            }
            self.leave();
        }
    }

    /// Tries to start a supervisor when it is time for that.
    fn revive_supervisor(&mut self, now: Instant) {
        let Some(Supervision { project, backoff }) = &mut self.supervision else { return };
        let wanted = matches!(self.phase, Phase::Held(_) | Phase::Running(_) | Phase::Ended(_));
        let leaving = matches!(self.leaving, Some(Leaving::Now(_)));
        if !wanted || leaving || backoff.next().is_none_or(|next| next > now) {
            return;
        }
        let attempt = respawn::attempt(&self.layout, project).unwrap_or_else(|error| {
            complain(&self.id, &error);
            Attempt::Launched
        });
        backoff.tried(attempt, now);
    }

    fn accept(&mut self) {
        let Some(listener) = &mut self.listener else { return };
        listener.paused = None;
        let accepted = seqpacket::accept(listener.socket.as_fd());
        let admitted = accepted.and_then(|socket| match socket {
            Some(socket) if may_speak(seqpacket::peer_uid(socket.as_fd())?) => {
                self.last_connection += 1;
                Connection::new(ConnectionId(self.last_connection), socket).map(Some)
            }
            _ => Ok(None),
        });
        match admitted {
            Ok(connection) => self.connections.extend(connection),
            Err(error) => {
                listener.paused = Some(Instant::now() + ACCEPT_PAUSE);
                complain(&self.id, &error);
            }
        }
    }

    fn exec_ended(&mut self, pid: i32) {
        let Some(at) = self.execs.iter().position(|exec| exec.pid == pid) else { return };
        let exec = self.execs.swap_remove(at);
        let code = match runtime::wait(exec.pidfd.as_fd()) {
            Ok(ended) => ended.exit_code(),
            Err(error) => {
                complain(&self.id, &error);
                255
            }
        };
        if let Some(connection) = exec.connection {
            self.send(connection, &Response::ExecExited { code }, Vec::new());
        }
        self.reap_orphans();
    }

    /// Whatever a failed exec left behind, or a helper of the runtime.
    fn reap_orphans(&self) {
        let container = match &self.phase {
            Phase::Running(run) => Some(run.pid),
            _ => None,
        };
        let children: Vec<i32> = self.execs.iter().map(|exec| exec.pid).chain(container).collect();
        while this_process::reap_orphan(&children) {}
    }

    fn container_ended(&mut self) {
        let Phase::Running(run) = std::mem::replace(&mut self.phase, Phase::Failed) else { return };
        let id = self.id.clone();
        let (exit, _mounts) = run.finish(|error| complain(&id, error));
        // Not synced: it tells of an end that a power cut would have brought as well, and `down` of many containers
        // would wait for the disk once for each.
        if let Err(error) = record::write(&self.layout.container_exit(&self.id), &exit, Durability::Volatile) {
            complain(&self.id, &error);
        }
        self.phase = Phase::Ended(exit.clone());
        match self.leaving {
            Some(Leaving::Now(_)) => self.leave(),
            _ => self.leaving = Some(Leaving::Expecting(Instant::now() + ADOPTION)),
        }
        if let Some(supervisor) = self.supervisor {
            // Before it hears of the end: its next shim for this container takes the same path.
            self.stop_listening();
            // And before it gives a host port away: taking the mounts down may keep this process for a while.
            self.fds.clear();
            self.send(supervisor, &Response::Exited { exit: exit.clone() }, Vec::new());
        }
        if let Some(attached) = self.attached.take() {
            self.send(attached, &Response::Exited { exit }, Vec::new());
        }
    }

    /// From now on the shim ends as soon as nothing waits to be sent.
    pub(super) fn leave(&mut self) {
        self.leaving = Some(Leaving::Now(Instant::now() + FAREWELL));
    }

    /// A supervisor has come. When the container has ended it gets the time again for its `Quit`.
    pub(super) fn adopted(&mut self, supervisor: ConnectionId) {
        if let Some(old) = self.supervisor.replace(supervisor)
            && old != supervisor
        {
            self.connections.retain(|connection| connection.id != old);
        }
        if let Some(supervision) = &mut self.supervision {
            supervision.backoff.connected(Instant::now());
        }
        if matches!(self.phase, Phase::Ended(_)) {
            self.stop_listening();
            self.leaving = Some(Leaving::Expecting(Instant::now() + ADOPTION));
        }
    }

    pub(super) fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take()
            && let Err(error) = record::remove(&listener.path)
        {
            complain(&self.id, &error);
        }
    }

    fn rest_when_quiet(&mut self) {
        if !std::mem::take(&mut self.restless) {
            return;
        }
        if let Phase::Running(run) = &mut self.phase {
            run.rest();
        }
        this_process::trim_heap();
    }
}

/// The socket's mode keeps others out; this holds should somebody have opened it up.
fn may_speak(uid: u32) -> bool {
    uid == 0 || uid == this_process::uid()
}

/// A line on standard error, which is the supervisor's log. There is nobody to tell when that fails.
pub(super) fn complain(id: &ContainerId, error: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "shim {}: {error}", id.short());
}
