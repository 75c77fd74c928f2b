//! The words between a shim and those who talk to it: its supervisor, and `exec`, `run` and `top`.
//!
//! One JSON message a datagram over a Unix SOCK_SEQPACKET socket, descriptors beside it (SCM_RIGHTS). The shim
//! inherits one end of a socketpair as its standard input (that is its supervisor) and listens on
//! `state::Layout::shim_socket`.
//!
//! ```text
//! supervisor                        shim
//!     | -- Store{names} + fds ------> |   keep these: netns, dns-udp, dns-tcp, port reservations
//!     | -- Start ------------------->  |   reads spec.json, clones the container
//!     | <- Started{pid,..} | Failed -- |   after a Failed the shim leaves when the supervisor closes
//!     |            ...                 |
//!     | -- Signal{..} --------------> |
//!     | <- Exited{exit} -------------- |   exit.json is written, the socket's path and the cgroup are gone by then
//!     | -- Quit ---------------------> |   heard: the shim leaves at once
//!
//! A supervisor that closes without a Quit has died: the shim starts a new one (`respawn`), unless the lock shows that one
//! lives. After the end it waits 5 s at most, for a Quit or for a new supervisor. Store, Signal and Quit have no answer but
//! a possible Refused.
//!
//! a later supervisor                shim
//!     | == connects to the socket ==   |
//!     | -- Adopt -------------------> |   from now on this connection is the supervisor
//!     | <- Adopted{state,names} + fds- |
//!
//! muster exec                       shim
//!     | -- Exec{spec,io} [+ 3 fds] -> |
//!     | <- ExecStarted [+ pty master]- |
//!     | <- ExecExited{code} ---------- |
//!     | (SignalExec{signal} any time between the two: to that process alone)
//!
//! muster run                        shim (its container has `hold: true`: it answered Start with Held, and waits for this)
//!     | -- Attach{io} [+ 3 fds] ----> |
//!     | <- Attached [+ pty master] --- |   the container has started with these descriptors
//!     | <- Exited{exit} -------------- |
//! ```
//!
//! A connection carries one exec or one attach at a time. When it closes early the process runs on, as Docker's does.

mod client;
mod socket;

pub use client::{Client, ClientError};
pub use socket::Socket;
pub(super) use socket::encode;

pub use crate::runtime::spec::ExecSpec;
use crate::state::records::Exit;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Largest message; an environment of 128 KiB fits.
pub const MAX_MESSAGE: usize = 192 * 1024;
/// Most descriptors of one message (SCM_MAX_FD is 253).
pub const MAX_FDS: usize = 250;

/// What the shim is told besides the runtime's spec. `<container>/spec.json` holds both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShimSpec {
    pub project: String,
    /// Roots of `state::Layout`.
    pub data: PathBuf,
    pub run: PathBuf,
    pub log: LogSpec,
    /// Keep the container's standard input open (`stdin_open`).
    pub stdin_open: bool,
    /// Do not start the container on `Start`; wait for `Attach` (`muster run`).
    pub hold: bool,
    pub container: crate::runtime::spec::Spec,
}

/// Container logs: `<dir>/current.log`, rotated to `1.log` ... by size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Keep no log at all (`logging.driver: none`).
    pub none: bool,
    pub max_size: u64,
    /// Files in all, the current one included.
    pub max_file: u32,
}

/// Standard streams of a process that somebody attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Io {
    /// The three descriptors that come with the message.
    Fds,
    /// A new pty of this size; its master goes back.
    Tty { rows: u16, cols: u16 },
    /// /dev/null: `exec -d`.
    Null,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Keep the descriptors of this message under these names; a name that is taken is replaced.
    Store {
        names: Vec<String>,
    },
    /// Start the container. A held one answers `Held`, and starts with `Attach`: then the supervisor hears `Started` too.
    Start,
    /// This connection is the supervisor's from now on.
    Adopt,
    /// Send a signal to the container's init, or to all its processes.
    Signal {
        signal: i32,
        all: bool,
    },
    Exec {
        spec: ExecSpec,
        io: Io,
    },
    /// Send a signal to the process that this connection started with `Exec`.
    SignalExec {
        signal: i32,
    },
    /// Start the container that was held, with these descriptors.
    Attach {
        io: Io,
    },
    /// Answered with `Response::Processes`.
    Processes,
    /// Close down: the container was never started or has ended. SIGKILLs it otherwise.
    Quit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// pid and start time in the host's PID namespace; RFC 3339 time of the exec.
    Started {
        pid: i32,
        start_time: u64,
        at: String,
    },
    /// The shim listens, and the container waits for an `Attach`.
    Held,
    /// The container did not come to run; the set-up's own words.
    Failed {
        error: StartFailure,
    },
    Adopted {
        state: State,
        names: Vec<String>,
    },
    Exited {
        exit: Exit,
    },
    ExecStarted {
        pid: i32,
    },
    ExecExited {
        code: i32,
    },
    Attached {
        pid: i32,
    },
    /// Pids in the host's PID namespace.
    Processes {
        pids: Vec<i32>,
    },
    /// A request that cannot be done now; nothing was changed.
    Refused {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started yet.
    Waiting,
    Running {
        pid: i32,
        start_time: u64,
        at: String,
    },
    Ended {
        exit: Exit,
    },
}

/// Why a process did not start, and the exit code that Docker's users know for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartFailure {
    pub message: String,
    /// 127: no such command; 126: it cannot be executed; 125: the container could not be set up.
    pub code: i32,
}
