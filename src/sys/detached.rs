//! Starts a program that is nobody's child: fork, setsid, fork, execve.
//!
//! Between fork and execve only async-signal-safe calls are made (signal-safety(7)), so a threaded caller is no danger,
//! though only the single-threaded shim has a use for it.

use super::{Errno, Error, Result, error::Named, signal};
use rustix::pipe::{PipeFlags, pipe_with};
use std::{
    ffi::CStr,
    io::Read,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
};

/// Starts `program` in a session of its own, in `/`, with umask 022, default signals and this process's environment.
/// `fds` become its descriptors 0, 1, 2, ...; nothing else stays open. Its parent is init, or the subreaper above.
/// Returns once its execve has succeeded.
pub fn spawn<const N: usize>(program: &CStr, arguments: &[&CStr], fds: [BorrowedFd<'_>; N]) -> Result<()> {
    let object = || program.to_string_lossy();
    let (report, reporter) = pipe_with(PipeFlags::CLOEXEC).named("pipe", object())?;
    let mut argv: Vec<*const libc::c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(ptr::null());
    let plan = Plan { program: program.as_ptr(), argv: argv.as_ptr(), report: reporter.as_raw_fd() };

    // SAFETY: the child calls `Plan::child` alone, which allocates nothing, locks nothing and never returns.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(Error::last("fork", object())),
        // SAFETY: this is the child right after fork; the pointers of the plan live on in its copy of the memory.
        0 => unsafe { plan.child(fds.map(|fd| fd.as_raw_fd())) },
        child => child,
    };
    drop(reporter);
    let mut errno = [0; 4];
    let told = std::fs::File::from(report).read(&mut errno).unwrap_or(0);
    // SAFETY: no status is asked for, so no memory is written.
    while unsafe { libc::waitpid(child, ptr::null_mut(), 0) } == -1
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    match told {
        0 => Ok(()),
        _ => Err(Error::new("execve", object(), Errno::from_raw_os_error(i32::from_ne_bytes(errno)))),
    }
}

/// All that the child needs, made before the fork.
struct Plan {
    program: *const libc::c_char,
    argv: *const *const libc::c_char,
    report: RawFd,
}

impl Plan {
    /// # Safety
    /// Only for the child of a fork: it replaces the process. The pointers must be valid.
    unsafe fn child<const N: usize>(&self, fds: [RawFd; N]) -> ! {
        // SAFETY: plain system calls on values; `environ` is not changed by anybody in this single thread.
        unsafe {
            libc::setsid();
            match libc::fork() {
                0 => {}
                -1 => self.fail(self.report),
                _ => libc::_exit(0),
            }
            // First out of the way of the numbers that are to be taken.
            let report = libc::fcntl(self.report, libc::F_DUPFD_CLOEXEC, N as libc::c_int + 10);
            let mut away = fds;
            for fd in &mut away {
                *fd = libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, N as libc::c_int + 10);
                if *fd == -1 {
                    self.fail(report);
                }
            }
            for (number, fd) in away.iter().enumerate() {
                if libc::dup2(*fd, number as RawFd) == -1 {
                    self.fail(report);
                }
            }
            libc::close_range(N as libc::c_uint, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int);
            // What is ignored would stay: SIGPIPE (Rust), SIGHUP (nohup), SIGINT and SIGQUIT (a shell's `&`).
            if signal::reset_all().is_err() {
                self.fail(report);
            }
            libc::umask(0o022);
            libc::chdir(c"/".as_ptr());
            libc::execve(self.program, self.argv, environ);
            self.fail(report)
        }
    }

    /// # Safety
    /// As `child`.
    unsafe fn fail(&self, report: RawFd) -> ! {
        // SAFETY: plain system calls; the buffer lives on this stack.
        unsafe {
            let errno = (*libc::__errno_location()).to_ne_bytes();
            libc::write(report, errno.as_ptr().cast(), errno.len());
            libc::_exit(127)
        }
    }
}

// SAFETY: the C library's own variable, environ(7), of this very type.
unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, io::Write, os::fd::AsFd};

    /// Runs `script` in /bin/sh with a fourth descriptor; what it wrote to its standard output.
    fn run(script: &str) -> String {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let fourth = tempfile::tempfile().unwrap();
        (&fourth).write_all(b"four").unwrap();
        let script = std::ffi::CString::new(script).unwrap();
        let fds = [null.as_fd(), writer.as_fd(), writer.as_fd(), fourth.as_fd()];
        spawn(c"/bin/sh", &[c"sh", c"-c", &script], fds).unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_detached_program_has_its_descriptors_and_no_others() {
        assert_eq!(run("cat /proc/self/fd/3"), "four");
        let open = run("fd=0; while [ $fd -lt 100 ]; do [ -e /proc/self/fd/$fd ] && echo $fd; fd=$((fd + 1)); done");
        assert_eq!(open, "0\n1\n2\n3\n");
    }

    #[test]
    fn a_detached_program_is_nobodys_child_in_a_session_of_its_own() {
        let parent = run("echo $PPID");
        assert_ne!(parent.trim(), std::process::id().to_string());
        let text = run("cut -d' ' -f6 /proc/self/stat; cut -d' ' -f6 /proc/$PPID/stat; pwd; umask");
        let [session, parents, cwd, umask] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_ne!(session, parents);
        assert_eq!((cwd, umask), ("/", "0022"));
    }

    #[test]
    fn a_detached_program_ignores_and_blocks_no_signal() {
        let text = run("grep -E '^Sig(Blk|Ign)' /proc/self/status");
        for line in text.lines() {
            // glibc's posix_spawn, by which this test was started, ignores its own two signals 32 and 33.
            let bits = u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap() & !(3 << 31);
            assert_eq!(bits, 0, "{text}");
        }
    }

    #[test]
    fn a_program_that_cannot_start_is_an_error() {
        let null = File::open("/dev/null").unwrap();
        let error = spawn(c"/nonexistent/program", &[c"x"], [null.as_fd()]).unwrap_err();
        assert_eq!((error.call, error.errno), ("execve", Errno::NOENT));
    }
}
