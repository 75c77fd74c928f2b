//! The hidden role that runs the program of one step: one thread, because it clones; it is the container's parent, and
//! the container dies with it.
//!
//! ```text
//! engine                                   role
//!   spawn, standard input is the socket -->
//!   path of the order, [netns]          -->  mounts of its own, container
//!                                       <--  Report: how it ended
//!   closes, or dies                     -->  kills what runs, leaves
//! ```
//! The streams of the program are the role's own output and error.

use crate::{
    runtime::{
        self, Started, Stdio,
        cgroup::Cgroup,
        spec::{Root, Spec},
    },
    sys::{self, process, seqpacket, stream, this_process},
};
use rustix::event::{PollFd, PollFlags};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// What is to be run, in a file: an environment may be of any size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub spec: Spec,
    /// Stacks that the container's mounts take files from.
    pub stacks: Vec<Root>,
}

/// The answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    Ended { code: i32, oom: bool },
    NotStarted { message: String },
}

/// Bytes of a message.
pub const LIMIT: usize = 64 << 10;
/// Processes that outlived the program get this long to die of SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// `muster __build-step`. To be called before the process has threads or descriptors of its own.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The engine sees that no report came, and says so.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> sys::Result<()> {
    this_process::close_inherited()?;
    let engine = this_process::take_stdin()?;
    process::new_session().or_else(|error| if error.errno == sys::Errno::PERM { Ok(()) } else { Err(error) })?;
    process::set_name(c"muster-step")?;
    this_process::outlive_polite_signals()?;
    this_process::set_subreaper(true)?;
    let Some((path, mut fds)) = seqpacket::receive(engine.as_fd(), LIMIT)? else { return Ok(()) };
    let report = match order(&path) {
        Ok(order) => run(&order, fds.pop(), engine.as_fd()),
        Err(message) => Report::NotStarted { message },
    };
    let report = serde_json::to_vec(&report).unwrap_or_default();
    match seqpacket::send(engine.as_fd(), &report, &[]) {
        // It has gone, and nobody wants to know.
        Err(error) if error.errno == sys::Errno::PIPE => Ok(()),
        other => other,
    }
}

fn order(path: &[u8]) -> Result<Order, String> {
    use std::os::unix::ffi::OsStrExt;
    let path: PathBuf = Path::new(std::ffi::OsStr::from_bytes(path)).to_owned();
    let text = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(order: &Order, net: Option<OwnedFd>, engine: BorrowedFd<'_>) -> Report {
    let started = streams().map_err(|error| error.to_string()).and_then(|streams| {
        if !order.stacks.is_empty() {
            runtime::mount_apart(&order.stacks).map_err(|error| error.message)?;
        }
        runtime::start(&order.spec, streams, net.as_ref().map(AsFd::as_fd)).map_err(|error| error.message)
    });
    match started {
        Ok(started) => attend(order, started, engine),
        Err(message) => Report::NotStarted { message },
    }
}

/// Output and error of this process; there is no input, as for `docker build`.
fn streams() -> sys::Result<Stdio> {
    let own = |fd: BorrowedFd<'_>| {
        rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|errno| sys::Error::new("dup", "standard streams", errno))
    };
    let (output, error) = (own(std::io::stdout().as_fd())?, own(std::io::stderr().as_fd())?);
    let null = stream::null()?;
    // The engine reads to the end of both: nobody but the program may hold them.
    process::set_stream(null.as_fd(), 1)?;
    process::set_stream(null.as_fd(), 2)?;
    Ok(Stdio::Fds([null, output, error]))
}

/// Until the program has ended, or the engine is gone.
fn attend(order: &Order, started: Started, engine: BorrowedFd<'_>) -> Report {
    let cgroup = Cgroup::open(order.spec.cgroup_path());
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(started.pidfd.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(engine, PollFlags::IN),
        ];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Report::NotStarted { message: format!("poll: {errno}") },
        }
        if !fds[0].revents().is_empty() {
            break;
        }
        if !fds[1].revents().is_empty() {
            // Whatever it says, it says that this is over.
            let _ = process::kill_by_pidfd(started.pidfd.as_fd());
            if let Ok(cgroup) = &cgroup {
                let _ = cgroup.kill();
            }
            break;
        }
    }
    let ended = runtime::wait(started.pidfd.as_fd());
    let oom = cgroup.map(|cgroup| clear(&cgroup)).unwrap_or(false);
    match ended {
        Ok(ended) => Report::Ended { code: ended.exit_code(), oom },
        Err(error) => Report::NotStarted { message: error.to_string() },
    }
}

/// Whether the kernel killed for want of memory. What cannot be removed here the engine removes.
fn clear(cgroup: &Cgroup) -> bool {
    let oom = cgroup.oom_kills().unwrap_or(0) > 0;
    if !cgroup.is_empty().unwrap_or(true) {
        let _ = cgroup.kill();
        let _ = cgroup.wait_empty(KILL_TIMEOUT);
    }
    let _ = cgroup.remove();
    oom
}
