//! clone3(2). Only a process with one thread may call it: the child goes on with a copy of the whole program.

use super::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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
///
/// # Safety
/// The calling process has one thread. With more, locks that other threads held would stay locked for ever in the child.
pub unsafe fn clone3(namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
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
    // SAFETY: args lives across the call and has the size given; no CLONE_VM, so the child has its own memory and stack.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) } {
        0 => Ok(Side::Child),
        pid if pid > 0 => {
            // SAFETY: the kernel has just opened this descriptor for us.
            Ok(Side::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
        }
        _ => Err(Error::last("clone3", "a child process")),
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
