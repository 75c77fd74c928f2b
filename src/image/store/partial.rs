//! Blobs on their way: what a pull that was broken off, killed even, had of a blob is what the next one begins with.
//!
//! A file under `partial` has the name of its digest and is locked by whoever fetches it. Its content is believed no
//! more than a registry's: the digest of the whole decides, and where it does not match the file goes.

use super::{Session, Store};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
};
use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Nobody comes back for what is older.
pub(super) const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);

/// A blob as far as it came; the lock is the file's own.
#[derive(Debug)]
pub(in crate::image) struct Partial {
    pub path: PathBuf,
    /// Open for reading and writing, at its start.
    pub file: File,
    /// Bytes that are there.
    pub length: u64,
}

impl Store {
    /// The beginning of a blob of `size` bytes, perhaps empty. `None` while another process fetches the same blob.
    pub(in crate::image) fn partial(&self, digest: &Digest, size: u64) -> Result<Option<Partial>> {
        let (directory, path) = (self.partials(), self.partials().join(digest.hex()));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(ImageError::store("make", &directory))?;
        let wrong = |error| ImageError::store("write", &path)(error);
        let options = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options().map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        // Whoever had the lock before may have made a blob of it.
        if !is_at(&file, &path) {
            return Ok(None);
        }
        let mut length = file.metadata().map_err(wrong)?.len();
        // A whole one whose process died before it was moved is read again from here; one that is too long is not ours.
        if length > size {
            file.set_len(0).map_err(wrong)?;
            length = 0;
        }
        Ok(Some(Partial { path, file, length }))
    }

    /// Those that nobody fetches and that are that old go with the rubbish. The caller holds the store's lock.
    pub(super) fn sweep_partial(&self, kept: Duration, trash: &Session, bytes: &mut u64) -> Result<()> {
        let directory = self.partials();
        let entries = match fs::read_dir(&directory) {
            Err(error) if super::missing(&error) => return Ok(()),
            other => other.map_err(ImageError::store("read", &directory))?,
        };
        for entry in entries {
            let path = entry.map_err(ImageError::store("read", &directory))?.path();
            let wrong = |verb| ImageError::store(verb, &path);
            let file = match File::open(&path) {
                // Whoever fetched it has made a blob of it.
                Err(error) if super::missing(&error) => continue,
                other => other.map_err(wrong("read"))?,
            };
            let metadata = file.metadata().map_err(wrong("read"))?;
            let old = metadata
                .modified()
                .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age >= kept));
            match if old { file.try_lock() } else { Err(TryLockError::WouldBlock) } {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(wrong("lock")(error)),
            }
            match fs::rename(&path, trash.fresh("partial")) {
                Err(error) if super::missing(&error) => {}
                other => {
                    other.map_err(wrong("remove"))?;
                    *bytes += metadata.len();
                }
            }
        }
        Ok(())
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = || -> io::Result<bool> {
        let (held, there) = (file.metadata()?, fs::metadata(path)?);
        Ok((held.dev(), held.ino()) == (there.dev(), there.ino()))
    };
    same().unwrap_or(false)
}
