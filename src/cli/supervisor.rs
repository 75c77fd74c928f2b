//! How the command line comes to a project's supervisor: it connects, or it starts one and connects then.
//!
//! ```text
//! command                                       supervisor
//!    | connect: nobody                             .
//!    | flock(supervisor.lock): won                 .
//!    | -- exec <self> __supervisor data run name ->|   stdin: the locked descriptor; stderr: its log
//!    | <----------- "ready\n", end of stdout ------|   or the reason why not
//!    | connect: it answers ----------------------> |
//! ```
//!
//! Who does not win the lock waits for the socket to appear, by inotify(7).

use super::{attached::watched, exit::Error};
use crate::state::{Layout, Lock};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::{
    fs::{self, OpenOptions},
    io,
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{UnixStream, unix::pipe},
    time::{Instant, timeout, timeout_at},
};

/// How long another command may take to start one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long ours may take: it re-adopts every container first.
const START: Duration = Duration::from_secs(30);
/// What a supervisor needs of the caller's environment: credential helpers and proxies of registries, its own log.
const PASSED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "MUSTER_LOG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// The program that is started as `program __supervisor DATA RUN PROJECT`.
const SELF: &str = "/proc/self/exe";

/// A connection to the supervisor of `project`, which is started where none runs.
pub async fn connect(
    layout: &Layout,
    project: &str,
    environment: &std::collections::BTreeMap<String, String>,
    note: &mut dyn FnMut(String),
) -> Result<UnixStream, Error> {
    let failed = |verb, why: String| Error::Supervisor {
        verb,
        project: project.to_owned(),
        why,
        hint: Some(format!("its log is {}", layout.supervisor_log(project).display())),
    };
    let deadline = Instant::now() + PATIENCE;
    let mut announced = false;
    loop {
        if let Some(stream) = try_connect(layout, project).await? {
            return Ok(stream);
        }
        let lock_path = layout.supervisor_lock(project);
        match Lock::try_acquire(&lock_path).map_err(Error::file("lock", &lock_path))? {
            Some(lock) => {
                start(layout, project, environment, lock).await.map_err(|why| failed("start", why))?;
                if let Some(stream) = try_connect(layout, project).await? {
                    return Ok(stream);
                }
                // Another command that waited was quicker, and with its end the supervisor had nothing left to do.
                if Instant::now() > deadline {
                    return Err(failed("reach", "it ends before it answers, again and again".into()));
                }
            }
            None => {
                if !std::mem::replace(&mut announced, true) {
                    note(format!("waiting for the supervisor of project {project}, which another command starts"));
                }
                let socket = wait_for_socket(layout, project);
                match timeout_at(deadline, socket).await {
                    Ok(result) => result?,
                    Err(_) => {
                        let why = format!("another process holds {} and does not answer", lock_path.display());
                        return Err(failed("reach", why));
                    }
                }
            }
        }
    }
}

/// `None` while nobody listens.
async fn try_connect(layout: &Layout, project: &str) -> Result<Option<UnixStream>, Error> {
    let path = layout.supervisor_socket(project);
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(Error::file("connect to", &path)(error)),
    }
}

/// Returns at the next change in the directory of the socket, or at once when the socket answers by now.
async fn wait_for_socket(layout: &Layout, project: &str) -> Result<(), Error> {
    let directory = layout.run_project(project);
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(Error::system("watch a directory"))?;
    // The lock file is not watched for its closing: our own attempts close it, too.
    let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
    match inotify::add_watch(&fd, &directory, changes) {
        // The supervisor that held the lock has left, and its directory with it.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other.map_err(|error| Error::file("watch", &directory)(error.into()))?,
    };
    if try_connect(layout, project).await?.is_some() {
        return Ok(());
    }
    let fd = watched(fd).map_err(Error::system("watch a directory"))?;
    // The lock's holder may die before it makes a socket; nothing tells that but the lock itself.
    let _ = timeout(Duration::from_millis(250), async {
        let ready = fd.readable().await;
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let _ = rustix::io::read(fd.get_ref(), &mut buffer);
        drop(ready);
    })
    .await;
    Ok(())
}

/// Starts a supervisor and waits until it serves its socket. The error is in its own words.
async fn start(
    layout: &Layout,
    project: &str,
    environment: &std::collections::BTreeMap<String, String>,
    lock: Lock,
) -> Result<(), String> {
    let log_path = layout.supervisor_log(project);
    let log = open_log(&log_path).map_err(|error| format!("cannot open {}: {error}", log_path.display()))?;
    let (ready, its_end) = io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let mut command = Command::new(SELF);
    command
        .arg0("muster")
        .arg("__supervisor")
        .args([layout.data().as_os_str(), layout.run().as_os_str(), project.as_ref()])
        .current_dir("/")
        .env_clear()
        .envs(PASSED_ON.iter().filter_map(|name| Some((name, environment.get(*name)?))))
        .stdin(Stdio::from(lock.into_fd()))
        .stdout(Stdio::from(OwnedFd::from(its_end)))
        .stderr(Stdio::from(log));
    command.spawn().map_err(|error| format!("cannot run {SELF}: {error}"))?;
    drop(command); // with it go our copies of the lock and of the pipe's other end
    match timeout(START, answer(ready.into())).await {
        Ok(Ok(text)) if text == "ready\n" => Ok(()),
        Ok(Ok(text)) if text.trim().is_empty() => Err("it ended without a word".into()),
        Ok(Ok(text)) => Err(text.trim().to_owned()),
        Ok(Err(error)) => Err(format!("cannot read its answer: {error}")),
        Err(_) => Err(format!("it is not ready after {} s", START.as_secs())),
    }
}

fn open_log(path: &Path) -> io::Result<fs::File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// All that it says before it closes its standard output.
async fn answer(ready: OwnedFd) -> io::Result<String> {
    let mut pipe = pipe::Receiver::from_owned_fd(ready)?;
    let mut text = String::new();
    pipe.read_to_string(&mut text).await?;
    Ok(text)
}
