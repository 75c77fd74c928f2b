//! One process: its attributes, its descriptors, its program, its end.

use super::{Error, Result, error::Named};
use rustix::process::{DumpableBehavior, Pid, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions};
use std::{
    ffi::CString,
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
    path::Path,
};

pub use rustix::process::Signal;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

/// SIGKILL when the parent's thread ends. A change of user takes it back (prctl(2)), so it is asked for again after one.
pub fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).named("prctl", "PR_SET_PDEATHSIG")
}

/// Nobody may read the process's memory or open its /proc files by virtue of its user id; children inherit it, execve(2) ends it.
pub fn forbid_inspection() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).named("prctl", "PR_SET_DUMPABLE")
}

pub fn set_name(name: &std::ffi::CStr) -> Result<()> {
    rustix::thread::set_name(name).named("prctl", "PR_SET_NAME")
}

/// -1000 (never killed for want of memory) to 1000.
pub fn set_oom_score(score: i32) -> Result<()> {
    fs::write("/proc/self/oom_score_adj", score.to_string())
        .map_err(|error| Error::from_io("write", format_args!("oom_score_adj {score}"), &error))
}

pub fn set_umask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
}

pub fn new_session() -> Result<()> {
    rustix::process::setsid().named("setsid", "process").map(drop)
}

/// `resource` is a number of getrlimit(2); `u64::MAX` is unlimited.
pub fn set_limit(resource: u32, soft: u64, hard: u64, name: &str) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: one rlimit64, which lives across the call; pid 0 is the caller.
    match unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, std::ptr::null::<libc::rlimit64>())
    } {
        0 => Ok(()),
        _ => Err(Error::last("prlimit", format_args!("{name}={soft}:{hard}"))),
    }
}

/// Every descriptor from `first` on is closed by execve(2).
pub fn close_on_exec_from(first: u32) -> Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor, whoever thinks to own it: only for a process that goes on without any.
pub fn close_all() -> Result<()> {
    close_range(0, 0)
}

fn close_range(first: u32, flags: u32) -> Result<()> {
    // SAFETY: takes no pointers. What the descriptors belonged to is no longer used: the caller executes or waits for signals.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(Error::last("close_range", format_args!("{first}.."))),
    }
}

/// Makes `from` the standard stream `to`; it stays open over execve(2) even when both are the same.
pub fn set_stream(from: BorrowedFd<'_>, to: RawFd) -> Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: both are plain numbers; `to` is one of the three streams, which nothing in the process owns.
    let result = if from.as_raw_fd() == to {
        unsafe { libc::fcntl(to, libc::F_SETFD, 0) }
    } else {
        unsafe { libc::dup2(from.as_raw_fd(), to) }
    };
    if result < 0 { Err(Error::last("dup2", format_args!("stream {to}"))) } else { Ok(()) }
}

/// Moves a descriptor above the standard streams, so that setting those cannot overwrite it.
pub fn above_streams(fd: OwnedFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(&fd, 3).named("fcntl", "F_DUPFD_CLOEXEC")
}

/// Comes back only with the reason why not.
pub fn execute(program: &Path, args: &[CString], env: &[CString]) -> Error {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = CString::new(program.as_os_str().as_bytes()) else {
        return Error::new("exec", program.display(), rustix::io::Errno::INVAL);
    };
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: three NUL-terminated arrays of NUL-terminated strings that live across the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Error::last("exec", program.display())
}

/// Ends the process at once: no destructors, no buffers.
pub fn exit(code: i32) -> ! {
    // SAFETY: never returns, touches no memory.
    unsafe { libc::_exit(code) }
}

/// Reaps a child; waits for its end.
pub fn wait(pidfd: BorrowedFd<'_>) -> Result<End> {
    loop {
        match rustix::process::waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED) {
            Ok(Some(status)) => return Ok(end(&status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::new("waitid", "child", errno)),
        }
    }
}

fn end(status: &WaitIdStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Code(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Code(255),
    }
}

/// Reaps any one child that has ended; `None` when none has.
pub fn reap_any() -> Result<Option<(i32, End)>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => {
            let end = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Code(code),
                (None, Some(signal)) => End::Signal(signal),
                (None, None) => return Ok(None),
            };
            Ok(Some((pid.as_raw_nonzero().get(), end)))
        }
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(errno) => Err(Error::new("waitpid", "any child", errno)),
    }
}

pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    let id = Pid::from_raw(pid).ok_or_else(|| Error::new("pidfd_open", pid, rustix::io::Errno::SRCH))?;
    rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).named("pidfd_open", pid)
}

pub fn kill_by_pidfd(pidfd: BorrowedFd<'_>) -> Result<()> {
    rustix::process::pidfd_send_signal(pidfd, Signal::KILL).named("pidfd_send_signal", "SIGKILL")
}

/// A plain kill(2), for a pid that cannot be reused meanwhile: a child that is not reaped, or a frozen process.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(Error::last("kill", format_args!("{pid} with signal {signal}"))),
    }
}

/// A file of `/proc/<pid>`, such as `ns/mnt`, still that of the process of `pidfd` when it has been opened.
pub fn open_of_process(pid: i32, pidfd: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/{name}");
    let file =
        rustix::fs::open(&path, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
            .named("open", &path)?;
    // Signal 0 to a descriptor whose process is gone fails, and then the number may be another's by now.
    let result = unsafe {
        use std::os::fd::AsRawFd;
        // SAFETY: signal 0 and a null siginfo: a mere check.
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), 0, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    if result == 0 { Ok(file) } else { Err(Error::last("pidfd_send_signal", pid)) }
}
