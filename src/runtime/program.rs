//! The last steps of every process, the container's first and each exec: from a set-up root to execve.

use super::{
    StartError, Stdio, capability, console, environment,
    failure::{During, SETUP},
    init, limits,
    report::Reporter,
    seccomp,
    spec::{Process, Seccomp},
    user::{self, User},
};
use crate::sys::{
    self, Errno,
    clone::SingleThread,
    credentials::{self, Capability},
    file::{Kind, PIPEFS_MAGIC, Within},
};
use std::{
    convert::Infallible,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// What is run, and how much of a container's fence it stands behind.
pub(super) struct Program<'a> {
    pub thread: &'a SingleThread,
    pub process: &'a Process,
    pub hostname: &'a str,
    /// Names the session keyring.
    pub container: &'a str,
    pub privileged: bool,
    /// Below a PID 1 of ours.
    pub init: bool,
}

/// The three streams as they go to the program.
pub(super) enum Streams {
    Fds([OwnedFd; 3]),
    /// Slave of a pty.
    Terminal(OwnedFd),
}

impl Streams {
    /// `root` is the container's; a terminal's master goes to the parent at once.
    pub(super) fn open(io: Stdio, root: BorrowedFd<'_>, reporter: &Reporter) -> Result<Self, StartError> {
        match io {
            Stdio::Tty { rows, cols } => Ok(Self::Terminal(console::open(root, rows, cols, reporter)?)),
            Stdio::Fds(fds) => {
                let [input, output, error] = fds.map(sys::process::above_streams);
                Ok(Self::Fds([input.during("streams")?, output.during("streams")?, error.during("streams")?]))
            }
        }
    }
}

/// Runs the program in place of this process. Comes back only with the reason why not.
pub(super) fn run(program: &Program<'_>, streams: Streams, reporter: &Reporter) -> Result<Infallible, StartError> {
    let process = program.process;
    let root = sys::file::root().during("root")?;
    let user = user::look_up(root.as_fd(), &process.user, &process.additional_groups)?;
    let env =
        environment::complete(&process.env, program.hostname, &user.home, matches!(streams, Streams::Terminal(_)));
    let capabilities = match program.privileged {
        true => credentials::bounding_set().during("capabilities")?,
        false => capability::set(&process.capabilities)?,
    };

    limits::apply(&process.rlimits)?;
    credentials::join_new_session_keyring(&format!("_ses.{}", program.container)).during("keyring")?;
    let entered = enter_working_directory(root.as_fd(), &process.cwd);
    give_streams(&streams, &user).during("streams")?;
    confine(program, &user, capabilities)?;
    match entered {
        // A directory that root may not enter, such as one of NFS with root squashed, its owner may.
        Err(error) if error.errno == Errno::ACCESS => enter_working_directory(root.as_fd(), &process.cwd),
        result => result,
    }
    .during("working directory")?;

    if program.init {
        fork_below_init(program.thread)?;
    }
    become_session_leader(&streams)?;
    sys::process::set_umask(0o022);
    sys::signal::reset_all().during("signals")?;
    execute(process, &env, reporter)
}

/// By descriptor, and looked at again afterwards: a `cwd` such as /proc/self/fd/7 must not lead out of the root (CVE-2024-21626).
fn enter_working_directory(root: BorrowedFd<'_>, cwd: &Path) -> sys::Result<()> {
    let cwd = if cwd.as_os_str().is_empty() { Path::new("/") } else { cwd };
    let directory = sys::file::resolve(root, cwd, Within::Root)?;
    sys::file::change_directory(directory.as_fd(), cwd)?;
    match sys::file::working_directory()?.is_absolute() {
        true => Ok(()),
        false => Err(sys::Error::new("chdir", format_args!("{}, outside the root", cwd.display()), Errno::XDEV)),
    }
}

/// A program opens /dev/stdout anew by its name, and the kernel asks the pipe's owner and mode then. Only pipes, which
/// have no other life, and our own pty: a file or a terminal of the caller's stays its own.
fn give_streams(streams: &Streams, user: &User) -> sys::Result<()> {
    match streams {
        Streams::Terminal(slave) => {
            let group = sys::file::stat(slave.as_fd())?.st_gid;
            sys::file::set_owner(slave.as_fd(), user.uid, group)
        }
        Streams::Fds(fds) => fds.iter().filter(|fd| is_pipe(fd)).try_for_each(|pipe| {
            let stat = sys::file::stat(pipe.as_fd())?;
            match stat.st_uid == user.uid {
                true => Ok(()),
                false => sys::file::set_owner(pipe.as_fd(), user.uid, user.gid),
            }
        }),
    }
}

fn is_pipe(fd: &OwnedFd) -> bool {
    let kind = sys::file::stat(fd.as_fd()).map(|stat| sys::file::kind(&stat));
    kind == Ok(Kind::Fifo) && sys::file::file_system(fd.as_fd()) == Ok(PIPEFS_MAGIC)
}

/// User, capabilities, no-new-privileges and filter. A filter needs CAP_SYS_ADMIN or no-new-privileges: it comes
/// first without the latter, and last, when it filters the fewest of our own calls, with it.
fn confine(program: &Program<'_>, user: &User, capabilities: Capability) -> Result<(), StartError> {
    let process = program.process;
    let filter = match (program.privileged, process.seccomp) {
        (false, Seccomp::Default) => Some(seccomp::default_profile(capabilities)),
        _ => None,
    };
    if let Some(filter) = filter.as_ref().filter(|_| !process.no_new_privileges) {
        seccomp::install(filter).during("seccomp")?;
    }
    capability::become_user(user, capabilities)?;
    // The change of user took it back.
    sys::process::die_with_parent().during("death signal")?;
    if process.no_new_privileges {
        credentials::forbid_new_privileges().during("no-new-privileges")?;
        if let Some(filter) = &filter {
            seccomp::install(filter).during("seccomp")?;
        }
    }
    Ok(())
}

/// The parent stays as PID 1, the child goes on.
fn fork_below_init(thread: &SingleThread) -> Result<(), StartError> {
    sys::signal::block_all().during("init")?;
    match sys::clone::fork(thread).during("init")? {
        Some(child) => init::run(child),
        None => Ok(()),
    }
}

fn become_session_leader(streams: &Streams) -> Result<(), StartError> {
    sys::process::new_session().during("session")?;
    if let Streams::Terminal(slave) = streams {
        sys::pty::set_controlling_terminal(slave.as_fd()).during("terminal")?;
    }
    let all = match streams {
        Streams::Terminal(slave) => [slave, slave, slave],
        Streams::Fds([input, output, error]) => [input, output, error],
    };
    for (number, fd) in all.into_iter().enumerate() {
        sys::process::set_stream(fd.as_fd(), number as i32).during("streams")?;
    }
    Ok(())
}

fn execute(process: &Process, env: &[String], reporter: &Reporter) -> Result<Infallible, StartError> {
    let Some(command) = process.args.first() else {
        return Err(StartError { message: "exec: no command was given".to_owned(), code: SETUP });
    };
    let path = environment::find(command, env)?;
    let args = environment::c_strings(&process.args, "argument")?;
    let env = environment::c_strings(env, "environment")?;
    // Whatever was left open here or by the caller ends now (CVE-2024-21626).
    sys::process::close_on_exec_from(3).during("descriptors")?;
    if reporter.parent_is_gone().during("parent")? {
        return Err(StartError::setup("parent", "ended while the container was set up"));
    }
    reporter.ready().during("parent")?;
    Err(environment::refuse(command, &sys::process::execute(&path, &args, &env)))
}
