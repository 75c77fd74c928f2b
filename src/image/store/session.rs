//! Work in progress: a directory under `tmp`, locked by the process that works in it.
//!
//! While a session is alive nothing is swept from the store, so what a pull found there stays there. The lock dies
//! with its process; the next session removes what is left.

use super::Store;
use crate::{
    image::{
        error::{ImageError, Result},
        tree,
    },
    state::Lock,
};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

const LOCK: &str = "lock";
/// Host-wide lock, shared by those who are about to use an image.
const HOLD: &str = "images-held";

/// See `Store::hold`.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

fn hold_file(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

#[derive(Debug)]
pub(in crate::image) struct Session {
    dir: PathBuf,
    given: AtomicU64,
    _lock: Lock,
}

impl Store {
    pub(in crate::image) fn begin(&self) -> Result<Session> {
        let guard = self.lock()?;
        let abandoned = self.abandoned()?;
        let session = self.new_session()?;
        drop(guard);
        for (dir, _lock) in &abandoned {
            // Its owner may be at the same task; what stays is for the next session.
            let _ = tree::remove(dir);
        }
        Ok(session)
    }

    /// Removes what dead processes left, for those who begin no session themselves. What cannot be removed now is for the
    /// next one.
    pub(in crate::image) fn tidy(&self) {
        let abandoned = || {
            if self.session_dirs()?.is_empty() {
                return Ok(Vec::new());
            }
            let _guard = self.lock()?;
            self.abandoned()
        };
        for (dir, _lock) in abandoned().unwrap_or_else(|error: ImageError| {
            tracing::debug!(%error, "what dead processes left in the store is left to the next command");
            Vec::new()
        }) {
            let _ = tree::remove(&dir);
        }
    }

    /// The caller holds the store's lock.
    pub(super) fn new_session(&self) -> Result<Session> {
        let parent = self.sessions();
        let dir = tempfile::Builder::new()
            .prefix("session-")
            .tempdir_in(&parent)
            .map_err(ImageError::store("work in", &parent))?
            .keep();
        let lock = Lock::acquire(&dir.join(LOCK)).map_err(ImageError::store("lock", &dir))?;
        Ok(Session { dir, given: AtomicU64::new(0), _lock: lock })
    }

    /// Sessions whose process is gone, taken over. The caller holds the store's lock.
    fn abandoned(&self) -> Result<Vec<(PathBuf, Option<File>)>> {
        let mut abandoned = Vec::new();
        for dir in self.session_dirs()? {
            if let Owner::Gone(lock) = owner(&dir)? {
                abandoned.push((dir, lock));
            }
        }
        Ok(abandoned)
    }

    /// Keeps every image that is found from now on: until this is dropped nothing leaves the store. For the time
    /// between finding an image and writing the record of the container that uses it.
    pub fn hold(&self) -> Result<Hold> {
        self.tidy();
        // Whoever removes something now saw no hold, and finishes first.
        let _guard = self.lock()?;
        let path = self.layout().host_lock(HOLD);
        let file = hold_file(&path).map_err(ImageError::store("lock", &path))?;
        file.lock_shared().map_err(ImageError::store("lock", &path))?;
        Ok(Hold { _file: file })
    }

    fn is_held(&self) -> Result<bool> {
        let path = self.layout().host_lock(HOLD);
        let file = hold_file(&path).map_err(ImageError::store("lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(ImageError::store("lock", &path)(error)),
        }
    }

    /// Whether some process is at work. The caller holds the store's lock.
    pub(super) fn busy(&self) -> Result<bool> {
        if self.is_held()? {
            return Ok(true);
        }
        for dir in self.session_dirs()? {
            if matches!(owner(&dir)?, Owner::Alive) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn session_dirs(&self) -> Result<Vec<PathBuf>> {
        let parent = self.sessions();
        let entries = fs::read_dir(&parent).map_err(ImageError::store("read", &parent))?;
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(ImageError::store("read", &parent))
    }
}

enum Owner {
    Alive,
    /// With the lock, which keeps the directory ours while it is removed.
    Gone(Option<File>),
}

/// Makes no lock file where there is none: a session gets its own under the store's lock, and loses it when it ends.
fn owner(dir: &Path) -> Result<Owner> {
    let wrong = ImageError::store("lock", dir);
    match File::open(dir.join(LOCK)) {
        Err(error) if super::missing(&error) => Ok(Owner::Gone(None)),
        Err(error) => Err(wrong(error)),
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Owner::Gone(Some(file))),
            Err(TryLockError::WouldBlock) => Ok(Owner::Alive),
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        },
    }
}

impl Session {
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// A path that nothing has yet.
    pub fn fresh(&self, kind: &str) -> PathBuf {
        self.dir.join(format!("{kind}-{}", self.given.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Session {
    /// What fails here is removed by the next session.
    fn drop(&mut self) {
        let _ = tree::remove(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Layout;

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_has_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Layout::new(dir.path().join("data"), dir.path().join("run"))).unwrap();
        let left = store.sessions().join("session-dead");
        fs::create_dir_all(left.join("layer-0/usr/bin")).unwrap();
        fs::write(left.join("layer-0/usr/bin/x"), "half").unwrap();
        let living = store.begin().unwrap();
        assert!(!left.exists());
        let blob = living.fresh("blob");
        assert_ne!(living.fresh("blob"), blob);
        fs::write(&blob, "half").unwrap();
        let other = store.begin().unwrap();
        assert!(blob.exists());
        assert!(store.busy().unwrap());
        drop(living);
        drop(other);
        assert!(!store.busy().unwrap());
        let (first, second) = (store.hold().unwrap(), store.hold().unwrap());
        drop(first);
        assert!(store.busy().unwrap());
        drop(second);
        assert!(!store.busy().unwrap());
        assert_eq!(store.session_dirs().unwrap().len(), 0);
        // Those who begin none take away what the dead left as well.
        fs::create_dir(&left).unwrap();
        drop(store.hold().unwrap());
        assert!(!left.exists());
        fs::create_dir(&left).unwrap();
        store.gc(&|_| None).unwrap();
        assert!(!left.exists());
    }
}
