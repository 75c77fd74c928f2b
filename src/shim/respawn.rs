//! Who starts a supervisor that died: every shim of its project tries for the supervisor's lock, and the one that gets it
//! starts a new one and hands the lock on. The others wait for the new one to come.

use crate::{
    state::{Layout, Lock},
    sys,
};
use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    path::Path,
    time::{Duration, Instant},
};

/// The program itself, also after an update has replaced its file.
const PROGRAM: &str = "/proc/self/exe";

/// A supervisor that lived this long was sound: its end starts the steps anew.
const SOUND: Duration = Duration::from_secs(10);
const FIRST_STEP: Duration = Duration::from_millis(100);
const LAST_STEP: Duration = Duration::from_secs(10);
/// While another holds the lock, look again: it may have died before it came here.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// When to try again. Pure: time is an argument.
#[derive(Debug)]
pub struct Backoff {
    /// Supervisors started or lost in a row without a sound one between.
    failures: u32,
    looks: u32,
    connected: Option<Instant>,
    next: Option<Instant>,
}

/// What one try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A new supervisor was started, or could not be.
    Launched,
    /// Another process holds the lock.
    Held,
}

impl Backoff {
    pub fn new(now: Instant) -> Self {
        Self { failures: 0, looks: 0, connected: Some(now), next: None }
    }

    /// A supervisor has come.
    pub fn connected(&mut self, now: Instant) {
        (self.connected, self.next, self.looks) = (Some(now), None, 0);
    }

    /// The supervisor's connection has ended.
    pub fn lost(&mut self, now: Instant) {
        if self.connected.take().is_some_and(|since| now.duration_since(since) >= SOUND) {
            self.failures = 0;
        }
        self.looks = 0;
        self.next = Some(now + self.step());
    }

    /// The moment for the next try; `None` while a supervisor is there.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    pub fn tried(&mut self, attempt: Attempt, now: Instant) {
        let wait = match attempt {
            Attempt::Launched => {
                self.failures += 1;
                self.looks = 0;
                self.step()
            }
            Attempt::Held => {
                self.looks += 1;
                doubled(FIRST_LOOK, self.looks - 1, LAST_LOOK)
            }
        };
        self.next = Some(now + wait);
    }

    fn step(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => doubled(FIRST_STEP, failures - 1, LAST_STEP),
        }
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(most)
}

#[derive(Debug, thiserror::Error)]
pub enum RespawnError {
    #[error("cannot take the lock of project {project}'s supervisor: {source}")]
    Lock { project: String, source: io::Error },
    #[error("cannot open the streams of a new supervisor of project {project}: {source}")]
    Streams { project: String, source: io::Error },
    #[error("cannot start a new supervisor of project {project}: {source}")]
    Start { project: String, source: sys::Error },
}

/// Starts a supervisor of `project` unless one lives.
pub fn attempt(layout: &Layout, project: &str) -> Result<Attempt, RespawnError> {
    let lock = Lock::try_acquire(&layout.supervisor_lock(project))
        .map_err(|source| RespawnError::Lock { project: project.to_owned(), source })?;
    match lock {
        None => Ok(Attempt::Held),
        Some(lock) => launch(layout, project, lock.into_fd()).map(|()| Attempt::Launched),
    }
}

/// `<own exe> __supervisor <data> <run> <project>`, the lock as its standard input. It must not become a child of this process:
/// the shims that it starts later would come to us as orphans when it dies. So it is a grandchild, and for the moment of
/// its parent's end this process is no subreaper.
fn launch(layout: &Layout, project: &str, lock: OwnedFd) -> Result<(), RespawnError> {
    let (null, log) =
        streams(layout, project).map_err(|source| RespawnError::Streams { project: project.to_owned(), source })?;
    let failed = |source| RespawnError::Start { project: project.to_owned(), source };
    let data = c_string(layout.data()).map_err(failed)?;
    let run = c_string(layout.run()).map_err(failed)?;
    let name = c_string(Path::new(project)).map_err(failed)?;
    let program = c_string(Path::new(PROGRAM)).map_err(failed)?;
    let arguments = [c"muster", c"__supervisor", &data, &run, &name];
    sys::this_process::set_subreaper(false).map_err(failed)?;
    let launched = sys::detached::spawn(&program, &arguments, [lock.as_fd(), null.as_fd(), log.as_fd()]);
    sys::this_process::set_subreaper(true).map_err(failed)?;
    launched.map_err(failed)
}

fn streams(layout: &Layout, project: &str) -> io::Result<(File, File)> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    std::fs::create_dir_all(layout.project(project))?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(layout.supervisor_log(project))?;
    Ok((null, log))
}

fn c_string(path: &Path) -> sys::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| sys::Error::new("execve", path.display(), sys::Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, backoff: &Backoff) -> u128 {
        backoff.next().unwrap().duration_since(start).as_millis()
    }

    #[test]
    fn the_first_try_comes_at_once_and_the_next_ones_ever_later() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start - SOUND);
        assert_eq!(backoff.next(), None);
        backoff.lost(start);
        let mut steps = vec![after(start, &backoff)];
        for _ in 0..9 {
            backoff.tried(Attempt::Launched, start);
            steps.push(after(start, &backoff));
        }
        assert_eq!(steps, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn a_supervisor_that_comes_and_dies_at_once_keeps_the_step() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start);
        backoff.lost(start);
        backoff.tried(Attempt::Launched, start);
        backoff.tried(Attempt::Launched, start);
        backoff.connected(start);
        assert_eq!(backoff.next(), None);
        backoff.lost(start);
        assert_eq!(after(start, &backoff), 200);
    }

    #[test]
    fn a_sound_supervisor_starts_the_steps_anew() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start);
        backoff.lost(start);
        backoff.tried(Attempt::Launched, start);
        backoff.connected(start);
        backoff.lost(start + SOUND);
        assert_eq!(after(start + SOUND, &backoff), 0);
    }

    #[test]
    fn while_another_holds_the_lock_looks_are_short_and_bounded() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start);
        backoff.lost(start);
        let mut looks = Vec::new();
        for _ in 0..9 {
            backoff.tried(Attempt::Held, start);
            looks.push(after(start, &backoff));
        }
        assert_eq!(looks, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }
}
