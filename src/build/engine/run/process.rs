//! The engine's side of a running step: starts the role, reads what the program writes, waits for the report, and ends
//! it all when nobody wants it any more.

use super::{
    super::{
        error::{Result, StepError},
        report::Stream,
    },
    role::{LIMIT, Order, Report},
};
use crate::{
    runtime::cgroup::Cgroup,
    sys::{self, seqpacket, stream},
};
use rustix::{
    event::{PollFd, PollFlags},
    net::Shutdown,
};
use std::{
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

const READ: usize = 64 << 10;
/// How long a cancelled step may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is told while it runs.
pub type Told = Box<dyn FnMut(Stream, &[u8]) + Send>;

pub struct Ended {
    pub code: i32,
    pub oom: bool,
}

/// Runs an order to its end. Dropping the future kills it, and returns when nothing of it is left.
pub async fn run(
    program: Arc<OwnedFd>,
    order: &Order,
    file: PathBuf,
    net: Option<OwnedFd>,
    told: Told,
) -> Result<Ended> {
    let text = serde_json::to_vec(order).map_err(|error| StepError::Start(error.to_string()))?;
    std::fs::write(&file, text).map_err(StepError::file("write", &file))?;
    let (ours, theirs) = seqpacket::pair()?;
    let ours = Arc::new(ours);
    let (gone, leaving) = mpsc::channel();
    let guard = Guard { socket: ours.clone(), leaving, over: false };
    let cgroup = order.spec.cgroup_path().to_owned();
    let running = tokio::task::spawn_blocking(move || {
        let result = serve(&program, &ours, theirs, &file, net.as_ref(), told);
        sweep(&cgroup);
        drop(gone);
        result
    });
    let result = running.await.map_err(|error| StepError::Abandoned(error.to_string()))?;
    guard.finish();
    result
}

/// Ends the step when it is dropped before its end.
struct Guard {
    socket: Arc<OwnedFd>,
    /// Closed when the step has gone.
    leaving: mpsc::Receiver<()>,
    over: bool,
}

impl Guard {
    fn finish(mut self) {
        self.over = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.over {
            // The role sees the end of its socket; a socket that is closed already says the same.
            let _ = rustix::net::shutdown(&*self.socket, Shutdown::Both);
            let _ = self.leaving.recv_timeout(PATIENCE);
        }
    }
}

fn serve(
    program: &OwnedFd,
    socket: &OwnedFd,
    theirs: OwnedFd,
    order: &Path,
    net: Option<&OwnedFd>,
    mut told: Told,
) -> Result<Ended> {
    let (output, output_writer) = stream::pipe()?;
    let (error, error_writer) = stream::pipe()?;
    let mut child = spawn(program, theirs, output_writer, error_writer)?;
    let fds: Vec<BorrowedFd<'_>> = net.iter().map(|net| net.as_fd()).collect();
    let sent = seqpacket::send(socket.as_fd(), order.as_os_str().as_bytes(), &fds);
    let report = sent.and_then(|()| follow(socket, &output, &error, &mut told));
    // It has reported, or its socket is closed: it leaves.
    drop((output, error));
    if report.is_err() {
        let _ = child.kill();
    }
    let status = child.wait();
    match report? {
        Some(Report::Ended { code, oom }) => Ok(Ended { code, oom }),
        Some(Report::NotStarted { message }) => Err(StepError::Start(message)),
        None => {
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(StepError::Abandoned(format!("the process that runs the step is gone ({how})")))
        }
    }
}

/// The only fork is that of `posix_spawn`, which runs none of our code in the child.
fn spawn(program: &OwnedFd, socket: OwnedFd, output: OwnedFd, error: OwnedFd) -> Result<Child> {
    Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0("muster-step")
        .arg("__build-step")
        .env_clear()
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(error))
        .spawn()
        .map_err(|error| StepError::Start(format!("cannot start the process that runs the step: {error}")))
}

/// Hands on what is written until the report has come; `None` where it never comes.
fn follow(socket: &OwnedFd, output: &OwnedFd, error: &OwnedFd, told: &mut Told) -> sys::Result<Option<Report>> {
    let mut buffer = vec![MaybeUninit::uninit(); READ];
    let mut open = [(output, Stream::Output, true), (error, Stream::Error, true)];
    for (fd, _, _) in &open {
        stream::set_nonblocking(fd.as_fd())?;
    }
    let report = loop {
        let mut fds = vec![PollFd::new(socket, PollFlags::IN)];
        fds.extend(open.iter().filter(|(_, _, open)| *open).map(|(fd, _, _)| PollFd::new(*fd, PollFlags::IN)));
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(sys::Error::new("poll", "step of a build", errno)),
        }
        let reported = !fds[0].revents().is_empty();
        for (fd, stream, open) in open.iter_mut().filter(|(_, _, open)| *open) {
            *open = drain(fd, *stream, &mut buffer, told)?;
        }
        if reported {
            break seqpacket::receive(socket.as_fd(), LIMIT)?;
        }
    };
    // What the program wrote before its end is in the pipes by now.
    for (fd, stream, open) in &open {
        if *open {
            drain(fd, *stream, &mut buffer, told)?;
        }
    }
    Ok(report.and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok()))
}

/// What is there, at most a pipe's filling; false at the end of the stream.
fn drain(fd: &OwnedFd, stream: Stream, buffer: &mut [MaybeUninit<u8>], told: &mut Told) -> sys::Result<bool> {
    let mut left = stream::pipe_size(fd.as_fd())?;
    while left > 0 {
        match stream::read(fd.as_fd(), buffer)? {
            stream::Read::Bytes(bytes) => {
                left = left.saturating_sub(bytes.len());
                told(stream, bytes);
            }
            stream::Read::Nothing | stream::Read::HungUp => return Ok(true),
            stream::Read::End => return Ok(false),
        }
    }
    Ok(true)
}

/// The role clears the cgroup itself; one that was killed could not.
fn sweep(path: &Path) {
    if let Ok(cgroup) = Cgroup::open(path)
        && !cgroup.is_empty().unwrap_or(true)
    {
        let _ = cgroup.kill();
        let _ = cgroup.wait_empty(Duration::from_secs(5));
    }
    if let Ok(cgroup) = Cgroup::open(path) {
        let _ = cgroup.remove();
    }
}
