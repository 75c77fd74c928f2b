//! Dispositions and masks of signals, and waiting for signals as events.

use super::{Error, Result};

/// SIGCHLD
pub const CHILD: i32 = libc::SIGCHLD;

/// Every signal back to its default, none blocked: what a program expects at its start. execve(2) resets handlers
/// but keeps what is ignored, and Rust ignores SIGPIPE.
pub fn reset_all() -> Result<()> {
    for signal in 1..=64 {
        // These two cannot be changed.
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            continue;
        }
        // The kernel's own structure (handler, flags, restorer, mask), all zero: SIG_DFL. The C library's call
        // refuses 32 and 33, which may have been inherited as ignored all the same.
        let default = [0u64; 4];
        // SAFETY: the structure lives across the call and installs no code.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
        if result != 0 {
            return Err(Error::last("sigaction", signal));
        }
    }
    set_mask(false)
}

/// Blocks every signal that can be, so that `next` sees it.
pub fn block_all() -> Result<()> {
    set_mask(true)
}

fn set_mask(all: bool) -> Result<()> {
    let set = full_or_empty(all);
    // SAFETY: one initialised set, which lives across the call.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Error::last("sigprocmask", "all signals")),
    }
}

fn full_or_empty(all: bool) -> libc::sigset_t {
    // SAFETY: the set is plain old data and is filled by the next call.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: one set, which lives across the call.
    unsafe { if all { libc::sigfillset(&raw mut set) } else { libc::sigemptyset(&raw mut set) } };
    set
}

/// Waits for the next blocked signal and takes it.
pub fn next() -> Result<i32> {
    let set = full_or_empty(true);
    loop {
        // SAFETY: one initialised set; no siginfo asked for.
        match unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) } {
            -1 if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            -1 => return Err(Error::last("sigwaitinfo", "all signals")),
            signal => return Ok(signal),
        }
    }
}
