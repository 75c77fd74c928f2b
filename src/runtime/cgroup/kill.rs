//! Ending every process of a cgroup, and waiting for the end by events.

use super::files;
use crate::sys::{self, Errno, Error, Result, poll::Until};
use std::{
    fs::File,
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

/// Rounds of freeze and kill before a v1 tree counts as one that cannot be emptied.
const ROUNDS: usize = 64;

/// v2: one write reaches all, also those that fork meanwhile (Linux 5.14).
pub fn by_file(directory: &Path) -> Result<()> {
    match files::write(&directory.join("cgroup.kill"), "1") {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NODEV) && !directory.exists() => Ok(()),
        result => result,
    }
}

/// v1: what is frozen cannot fork, and dies when it thaws. Freezing is not at once, so rounds until nobody is left.
pub fn frozen(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    for _ in 0..ROUNDS {
        let members = members(directory)?;
        if members.is_empty() {
            return Ok(());
        }
        set_state(directory, "FROZEN")?;
        let result = self::members(directory).and_then(|members| members.iter().try_for_each(|pid| kill(*pid)));
        set_state(directory, "THAWED")?;
        result?;
        wait_processes(directory, Duration::from_millis(100))?;
    }
    Err(Error::new("kill", format_args!("all processes of {}", directory.display()), Errno::BUSY))
}

fn set_state(directory: &Path, state: &str) -> Result<()> {
    files::write(&directory.join("freezer.state"), state)
}

fn kill(pid: i32) -> Result<()> {
    match sys::process::kill(pid, 9) {
        Err(error) if error.errno == Errno::SRCH => Ok(()),
        result => result,
    }
}

fn members(directory: &Path) -> Result<Vec<i32>> {
    let directories = files::tree(directory)?;
    let lists: Result<Vec<_>> = directories.iter().map(|directory| files::pids(directory)).collect();
    Ok(lists?.concat())
}

/// v2: the kernel marks cgroup.events changed when the last process goes.
pub fn wait_unpopulated(directory: &Path, timeout: Duration) -> Result<bool> {
    let deadline = Instant::now() + timeout;
    let path = directory.join("cgroup.events");
    // Opened before the first look, so that no change is missed between look and wait.
    let events = match File::open(&path) {
        Ok(events) => events,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(Error::from_io("open", path.display(), &error)),
    };
    loop {
        if is_unpopulated(&events) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        sys::poll::wait(events.as_fd(), Until::Changed, left)?;
    }
}

/// Reads through the descriptor that is polled: each read tells the kernel what has been seen.
fn is_unpopulated(events: &File) -> bool {
    use std::os::unix::fs::FileExt;
    let mut buffer = [0u8; 256];
    match events.read_at(&mut buffer, 0) {
        Ok(length) => String::from_utf8_lossy(&buffer[..length]).contains("populated 0"),
        // Removed while it was waited for.
        Err(_) => true,
    }
}

/// v1 has no events for this: the ends of the processes themselves are waited for.
pub fn wait_processes(directory: &Path, timeout: Duration) -> Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        let Some(pid) = members(directory)?.first().copied() else { return Ok(true) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        match sys::process::pidfd_open(pid) {
            Ok(pidfd) => drop(sys::poll::wait(pidfd.as_fd(), Until::Readable, left)?),
            Err(error) if error.errno == Errno::SRCH => {}
            Err(error) => return Err(error),
        }
    }
}
