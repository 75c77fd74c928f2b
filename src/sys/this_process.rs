//! What a long-lived keeper of other processes sets up for itself; attributes of any process are in `process`.

use super::{Error, Result, error::Named};
use nix::sys::{
    signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    wait::{Id, WaitPidFlag, waitid, waitpid},
};
use rustix::process::{Pid, getpid};
use std::os::fd::{AsFd, OwnedFd};

/// Effective user id.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether orphaned descendants become children of this process (PR_SET_CHILD_SUBREAPER).
pub fn set_subreaper(on: bool) -> Result<()> {
    // Any number but 0 means yes; rustix takes a pid for it.
    let pid: Option<Pid> = on.then(getpid);
    rustix::process::set_child_subreaper(pid).named("prctl", "PR_SET_CHILD_SUBREAPER")
}

/// Reaps an orphan that has ended, if there is one: not those in `children`, which others wait for. True: look again.
pub fn reap_orphan(children: &[i32]) -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let ended = waitid(Id::All, look).ok().and_then(|status| status.pid());
    match ended {
        Some(pid) if !children.contains(&pid.as_raw()) => waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_ok(),
        _ => false,
    }
}

/// Takes descriptor 0 away as a close-on-exec one, and leaves /dev/null in its place.
pub fn take_stdin() -> Result<OwnedFd> {
    let failed = |call| move |errno| Error::new(call, "standard input", errno);
    let taken = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3).map_err(failed("dup"))?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, 0.into())
        .named("open", "/dev/null")?;
    rustix::stdio::dup2_stdin(&null).map_err(failed("dup2"))?;
    Ok(taken)
}

/// Closes every descriptor from 3 on, whatever the parent left open. A hidden role calls it before anything else: a
/// descriptor that somebody owns already would be taken from them.
pub fn close_inherited() -> Result<()> {
    // SAFETY: touches no memory; by the contract above no value owns one of these descriptors yet.
    match unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(Error::last("close_range", "descriptors from 3 on")),
    }
}

/// Makes the signals by which a terminal or a person ends a process do nothing here: SIGHUP, SIGINT, SIGQUIT, SIGTERM. They are caught and not ignored: an ignored signal stays ignored over execve, and
/// neither a container nor a supervisor shall inherit that (signal(7)).
pub fn outlive_polite_signals() -> Result<()> {
    extern "C" fn forget(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(forget), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        // SAFETY: the handler does nothing, so it is async-signal-safe.
        unsafe { sigaction(signal, &action) }
            .map_err(|errno| Error::new("sigaction", signal, super::Errno::from_raw_os_error(errno as i32)))?;
    }
    Ok(())
}

/// The C library gives free memory back to the kernel (malloc_trim(3)).
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
