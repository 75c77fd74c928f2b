//! Locks between processes: flock(2) on a file under the run directory, so that a lock dies with its process.

use rustix::{fs::OFlags, io::Errno};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

/// An exclusive lock, released when it is dropped. Only who holds it may remove its file: a lock on a file that is no
/// longer at its path is given up for one on the file that is.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Waits for the lock.
    pub fn acquire(path: &Path) -> io::Result<Self> {
        loop {
            let file = open(path)?;
            file.lock()?;
            if is_at(&file, path)? {
                return Ok(Self(file));
            }
        }
    }

    /// `None` while another process holds it.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path)? => return Ok(Some(Self(file))),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
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

/// False where the file was removed between its opening and its locking.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    open_plain(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600), path)
}

/// Opens a file where others may have put something else: a pipe would keep whoever opens it waiting, and a link leads
/// elsewhere.
pub fn open_plain(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if is_link { io::Error::other("it is a symbolic link, and no plain file") } else { error }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no plain file")) }
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

    #[test]
    fn a_lock_is_a_plain_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (link, pipe) = (dir.path().join("link"), dir.path().join("pipe"));
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for path in [&pipe, &link] {
            assert!(Lock::acquire(path).unwrap_err().to_string().contains("no plain file"));
            assert!(Lock::try_acquire(path).unwrap_err().to_string().contains("no plain file"));
        }
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_lock_whose_file_its_holder_removed_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let held = Lock::acquire(&path).unwrap();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire(&path).unwrap()
        });
        // Whichever comes first, its opening or the removal: it ends with the lock on the file at the path.
        std::fs::remove_file(&path).unwrap();
        drop(held);
        let _lock = waiter.join().unwrap();
        assert!(Lock::try_acquire(&path).unwrap().is_none());
    }
}
