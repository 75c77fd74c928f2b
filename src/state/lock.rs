//! Locks between processes: flock(2) on a file under the run directory, so that a lock dies with its process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::Path,
};

/// An exclusive lock, released when it is dropped. The file stays: removing it would let two owners in.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Waits for the lock.
    pub fn acquire(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        file.lock()?;
        Ok(Self(file))
    }

    /// `None` while another process holds it.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The descriptor that carries the lock, to hand it on to another process: a flock belongs to the open file.
    pub fn into_fd(self) -> OwnedFd {
        self.0.into()
    }

    /// The other end of `into_fd`.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/x");
        let held = Lock::acquire(&path).unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        let handed_on = Lock::from_fd(held.into_fd());
        assert!(Lock::try_acquire(&path).unwrap().is_none());
        drop(handed_on);
        assert!(Lock::try_acquire(&path).unwrap().is_some());
    }
}
