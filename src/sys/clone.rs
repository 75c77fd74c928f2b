//! clone3(2) and clone(2). Only a process with one thread may call them: the child goes on with a copy of the whole
//! program, and locks that other threads held would stay locked in it for ever.

use super::{Error, Result, error::Named};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The process has one thread, and whoever keeps this makes no other.
#[derive(Debug)]
pub struct SingleThread(());

impl SingleThread {
    /// Asks the kernel: /proc/<pid>/task has two links and one more for each thread.
    pub fn check() -> Result<Self> {
        match rustix::fs::stat("/proc/self/task").named("stat", "/proc/self/task")?.st_nlink {
            3 => Ok(Self(())),
            _ => Err(Error::new("clone", "a process with more than one thread", rustix::io::Errno::DEADLK)),
        }
    }
}

/// Linux's own flag; the `libc` crate's constant is a 32-bit integer, in which it overflows to 0.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Namespaces to make new for the child. The cgroup namespace is not among them: it would be rooted at the
/// parent's cgroup, for the kernel copies namespaces before it places the child.
#[derive(Clone, Copy, Debug, Default)]
pub struct Namespaces {
    pub mount: bool,
    pub pid: bool,
    pub uts: bool,
    pub ipc: bool,
    pub net: bool,
}

/// Which side of the call this is.
#[derive(Debug)]
pub enum Side {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// Makes a child in these new namespaces, from its first instruction in `cgroup` (a directory of a v2 tree).
pub fn clone3(_: &SingleThread, namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is plain old data; zero is "nothing asked" for every field.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags(namespaces);
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: args lives across the call and has the size given; no CLONE_VM, so the child
    // has its own memory and stack; no other thread holds a lock.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) } {
        0 => Ok(Side::Child),
        pid if pid > 0 => {
            // SAFETY: the kernel has just opened this descriptor for us.
            Ok(Side::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
        }
        _ => Err(Error::last("clone3", "a child process")),
    }
}

/// A plain child, by clone(2), which a filter that refuses clone3 still allows.
pub fn fork(_: &SingleThread) -> Result<Option<i32>> {
    // SAFETY: the only flag is the signal; no memory is shared, and null pointers ask for nothing;
    // no other thread holds a lock.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => Ok(None),
        pid if pid > 0 => Ok(Some(pid as i32)),
        _ => Err(Error::last("clone", "a child process")),
    }
}

fn flags(namespaces: Namespaces) -> u64 {
    let table = [
        (namespaces.mount, libc::CLONE_NEWNS),
        (namespaces.pid, libc::CLONE_NEWPID),
        (namespaces.uts, libc::CLONE_NEWUTS),
        (namespaces.ipc, libc::CLONE_NEWIPC),
        (namespaces.net, libc::CLONE_NEWNET),
    ];
    let asked = table.into_iter().filter(|(wanted, _)| *wanted);
    asked.fold(libc::CLONE_PIDFD as u64, |flags, (_, flag)| flags | flag as u64)
}
