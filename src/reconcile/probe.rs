//! One health probe: a process in the container, asked of its shim, bounded in time and in output.

use super::link::watch;
use crate::{
    model::ContainerId,
    shim::wire::{ExecSpec, Io, Request, Response, ShimSpec, Socket},
    specgen::process,
    state::{Layout, record, records::ContainerRecord},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};
use tokio::io::{AsyncReadExt, Interest};

/// Docker keeps as much of a probe's output.
const MAX_OUTPUT: usize = 4096;

/// How a probe ended, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    pub verdict: Verdict,
    pub output: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    TimedOut,
}

/// What a probe of this container runs; its spec on disk has the process. `None`: it has no health check.
pub fn spec_of(layout: &Layout, record: &ContainerRecord) -> Option<ExecSpec> {
    let spec: ShimSpec = record::read(&layout.container_spec(&record.id)).ok()??;
    let service = record.applied.healthcheck.as_ref();
    process::probe(&spec.container.process, service, record.image_healthcheck.as_ref())
}

/// Runs the probe: its result, and what it wrote. A container that is gone, or a shim that cannot be asked, is a
/// failed probe with the reason.
pub async fn probe(layout: &Layout, id: &ContainerId, spec: ExecSpec, timeout: Duration) -> Probed {
    let mut running = Running::default();
    let result = tokio::time::timeout(timeout, run(layout, id, spec, &mut running)).await;
    let output = String::from_utf8_lossy(&running.output).into_owned();
    match result {
        Ok(Ok(0)) => Probed { verdict: Verdict::Passed, output },
        Ok(Ok(_)) => Probed { verdict: Verdict::Failed, output },
        Ok(Err(error)) => Probed { verdict: Verdict::Failed, output: error.to_string() },
        Err(_) => {
            // Only the probe itself: what it has started belongs to the container.
            if let Some(process) = &running.process {
                let _ = rustix::process::pidfd_send_signal(process, rustix::process::Signal::KILL);
            }
            let told = format!("probe took longer than {timeout:?}");
            let output = if output.is_empty() { told } else { format!("{told}: {output}") };
            Probed { verdict: Verdict::TimedOut, output }
        }
    }
}

#[derive(Default)]
struct Running {
    process: Option<OwnedFd>,
    output: Vec<u8>,
}

async fn run(layout: &Layout, id: &ContainerId, spec: ExecSpec, running: &mut Running) -> io::Result<i32> {
    let socket = watch(Socket::connect(&layout.shim_socket(id))?)?;
    let (writer, mut reader) = tokio::net::unix::pipe::pipe()?;
    let writer = writer.into_blocking_fd()?;
    let null: OwnedFd = std::fs::File::open("/dev/null")?.into();
    let request = Request::Exec { spec, io: Io::Fds };
    let fds = [null.as_fd(), writer.as_fd(), writer.as_fd()];
    socket.async_io(Interest::WRITABLE, |socket| socket.send(&request, &fds)).await?;
    drop(writer);
    let mut more = true;
    let mut buffer = vec![0; MAX_OUTPUT];
    loop {
        tokio::select! {
            // What it wrote comes before how it ended.
            biased;
            read = reader.read(&mut buffer), if more => match read? {
                0 => more = false,
                count => {
                    let room = MAX_OUTPUT.saturating_sub(running.output.len());
                    running.output.extend_from_slice(&buffer[..count.min(room)]);
                }
            },
            answer = socket.async_io(Interest::READABLE, Socket::receive::<Response>) => match answer? {
                Some((Response::ExecStarted { pid }, _)) => {
                    running.process = rustix::process::Pid::from_raw(pid)
                        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
                }
                Some((Response::ExecExited { code }, _)) => return Ok(code),
                Some((Response::Failed { error }, _)) => {
                    running.output = error.message.into_bytes();
                    return Ok(error.code);
                }
                Some((Response::Refused { why }, _)) => return Err(io::Error::other(why)),
                Some(_) => {}
                None => return Err(io::Error::other("the container ended during the probe")),
            },
        }
    }
}
