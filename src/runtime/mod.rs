//! One container: create, start, exec, kill, delete.
//!
//! Synchronous, and called only from a process with one thread, for it clones. It knows no Compose, no image and
//! no network; namespaces that others prepared come in as descriptors.

mod capability;
pub mod cgroup;
mod console;
mod environment;
mod failure;
pub mod files;
mod init;
mod join;
mod limits;
mod mounts;
mod program;
mod report;
mod root;
mod seccomp;
pub mod spec;
mod start;
mod sysctl;
pub mod user;

use crate::sys;
use spec::{ExecSpec, Spec};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Standard streams of a process.
#[derive(Debug)]
pub enum Stdio {
    /// Input, output, error.
    Fds([OwnedFd; 3]),
    /// A pty of the container's own devpts; its master comes back in `Started::console`.
    Tty { rows: u16, cols: u16 },
}

/// A process that runs: its execve has succeeded.
#[derive(Debug)]
pub struct Started {
    /// In the caller's PID namespace.
    pub pid: i32,
    /// Close-on-exec. The process is a child of the caller: it reaps it with `wait`.
    pub pidfd: OwnedFd,
    /// The pty's master with `Stdio::Tty`.
    pub console: Option<OwnedFd>,
    /// The container's mount namespace; `None` for an exec. Keep it until the end has been told to everybody: the
    /// kernel takes the mounts apart when the last holder goes, and with an overlay that writes the whole file system of
    /// its upper directory to the disk first. Without a holder the container's own exit waits for that.
    pub mounts: Option<OwnedFd>,
}

/// Why a process did not start. Nothing of it is left running, and its cgroup is removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// Step, object and cause: `exec: "nosuch": executable file not found in $PATH`.
    pub message: String,
    /// 127: no such command; 126: it cannot be executed; 125: the container could not be set up.
    pub code: i32,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

impl Ended {
    /// As a shell tells it: 128 + signal.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Creates and starts a container; returns once its execve has succeeded. `net` is the namespace of
/// `NetNamespace::Given`. The container dies with the calling thread (PR_SET_PDEATHSIG).
pub fn start(spec: &Spec, io: Stdio, net: Option<BorrowedFd<'_>>) -> Result<Started, StartError> {
    start::start(spec, io, net)
}

/// Starts a further process in the container whose init is `container`; it is a child of the caller.
pub fn exec(container: BorrowedFd<'_>, spec: &Spec, exec: &ExecSpec, io: Stdio) -> Result<Started, StartError> {
    join::exec(container, spec, exec, io)
}

/// Gives the caller a mount namespace of its own, which nothing of the host's shows in from now on, and mounts stacks of
/// layers there, each over its own upper directory: what a container is to have bound.
pub fn mount_apart(stacks: &[spec::Root]) -> Result<(), StartError> {
    use failure::During;
    sys::namespace::new_mount_namespace().during("mount namespace")?;
    root::cut_propagation()?;
    stacks.iter().try_for_each(|stack| root::mount(stack).map(drop))
}

/// Reaps a child; waits for its end.
pub fn wait(pidfd: BorrowedFd<'_>) -> sys::Result<Ended> {
    Ok(match sys::process::wait(pidfd)? {
        sys::process::End::Code(code) => Ended::Code(code),
        sys::process::End::Signal(signal) => Ended::Signal(signal),
    })
}

/// A descriptor of the running program on a read-only mount of its own, so that nothing can write to the program
/// through `/proc/<pid>/exe` (CVE-2019-5736). Spawn the shim from `/proc/self/fd/<n>`; the descriptor is close-on-exec.
pub fn sealed_self_exe() -> sys::Result<OwnedFd> {
    sys::mount::read_only_self()
}
