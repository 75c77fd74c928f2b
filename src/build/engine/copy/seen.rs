//! What is remembered about the files of a context: the digest of each as long as its inode says that it has not
//! changed. A build whose steps are all cached reads no file again.
//!
//! A file that was changed less than a moment before it was read is not remembered: a second change within the same
//! tick of the clock would not show.

use super::super::error::{Result, StepError};
use crate::{
    image::Digest,
    state::{Durability, Layout, record},
};
use rustix::fs::Stat;
use std::{
    collections::HashMap,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const HEADER: &[u8] = b"muster context 1\n";
/// The coarsest clock that file systems in use have is that of ext3 and FAT.
const TICK: Duration = Duration::from_secs(2);
/// Bytes before the path: size, two times, inode, device, digest, length of the path.
const FIXED: usize = 8 + 16 + 16 + 8 + 8 + 32 + 4;

#[derive(Debug)]
pub struct Seen {
    file: PathBuf,
    /// Read when it is first needed.
    state: OnceLock<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By the bytes of the path: paths compare and hash part by part.
    known: HashMap<Box<[u8]>, Known>,
    changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    size: i64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    inode: u64,
    device: u64,
    digest: Digest,
}

impl Seen {
    /// Of the context at `dir`. Reads nothing yet.
    pub fn open(layout: &Layout, dir: &Path) -> Self {
        let name = Digest::of(dir.as_os_str().as_encoded_bytes()).hex();
        let name = &name[..32];
        let file = match tree_of(layout, dir) {
            Some(tree) => tree.join(format!("seen-{name}")),
            None => layout.build_context(name),
        };
        Self { file, state: OnceLock::new() }
    }

    /// Reads it now, or waits for another thread that does.
    pub fn read(&self) {
        drop(self.state());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.state.get_or_init(|| {
            // What cannot be read is forgotten: it costs time and nothing else.
            let known = std::fs::read(&self.file).ok().and_then(|bytes| parse(&bytes)).unwrap_or_default();
            Mutex::new(State { known, changed: false })
        });
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn digest(&self, path: &Path, stat: &Stat) -> Option<Digest> {
        let state = self.state();
        let known = state.known.get(path.as_os_str().as_bytes())?;
        (*known == Known::of(stat, known.digest)).then_some(known.digest)
    }

    pub fn remember(&self, path: &Path, stat: &Stat, digest: Digest) {
        let known = Known::of(stat, digest);
        let changed = u64::try_from(known.ctime.0.max(known.mtime.0)).map(Duration::from_secs).unwrap_or_default();
        let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().checked_sub(changed);
        let mut state = self.state();
        if age.is_none_or(|age| age <= TICK) {
            state.changed |= state.known.remove(path.as_os_str().as_bytes()).is_some();
            return;
        }
        state.known.insert(path.as_os_str().as_bytes().into(), known);
        state.changed = true;
    }

    /// Writes what is new.
    pub fn save(&self) -> Result<()> {
        // What was never read has nothing new.
        if self.state.get().is_none() {
            return Ok(());
        }
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return Ok(());
        }
        let mut bytes = HEADER.to_vec();
        for (path, known) in &state.known {
            known.write(path, &mut bytes);
        }
        record::write_bytes(&self.file, &bytes, Durability::Volatile).map_err(StepError::from)
    }
}

/// The tree of a remote that the directory is in. It goes one day, and what is remembered of it goes with it.
fn tree_of(layout: &Layout, dir: &Path) -> Option<PathBuf> {
    let remotes = layout.build_remotes();
    let mut parts = dir.strip_prefix(&remotes).ok()?.iter();
    let (remote, trees, name) = (parts.next()?, parts.next()?, parts.next()?);
    (trees == "trees").then(|| remotes.join(remote).join(trees).join(name))
}

impl Known {
    fn of(stat: &Stat, digest: Digest) -> Self {
        Self {
            size: stat.st_size,
            mtime: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            ctime: (stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
            inode: stat.st_ino,
            device: stat.st_dev,
            digest,
        }
    }

    fn write(&self, path: &[u8], out: &mut Vec<u8>) {
        let Ok(length) = u32::try_from(path.len()) else { return };
        out.extend_from_slice(&self.size.to_le_bytes());
        for number in [self.mtime.0, self.mtime.1, self.ctime.0, self.ctime.1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.inode.to_le_bytes());
        out.extend_from_slice(&self.device.to_le_bytes());
        out.extend_from_slice(self.digest.as_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(path);
    }
}

/// `None` for a file of another version, or half of one.
fn parse(bytes: &[u8]) -> Option<HashMap<Box<[u8]>, Known>> {
    let mut rest = bytes.strip_prefix(HEADER)?;
    let mut known = HashMap::new();
    while !rest.is_empty() {
        let fixed = rest.get(..FIXED)?;
        let number = |at: usize| Some(i64::from_le_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
        let length = u32::from_le_bytes(fixed[FIXED - 4..].try_into().ok()?) as usize;
        let path = rest.get(FIXED..FIXED + length)?;
        known.insert(
            path.into(),
            Known {
                size: number(0)?,
                mtime: (number(8)?, number(16)?),
                ctime: (number(24)?, number(32)?),
                inode: number(40)?.cast_unsigned(),
                device: number(48)?.cast_unsigned(),
                digest: Digest::from_bytes(fixed[56..88].try_into().ok()?),
            },
        );
        rest = &rest[FIXED + length..];
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_known_until_its_inode_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        let path = dir.path().join("file");
        fs::write(&path, "text").unwrap();
        let stat = rustix::fs::stat(&path).unwrap();
        let seen = Seen::open(&layout, dir.path());
        // Just written: the next change may come within the same tick.
        seen.remember(Path::new("file"), &stat, Digest::of(b"text"));
        assert_eq!(seen.digest(Path::new("file"), &stat), None);
        let mut old = stat;
        old.st_mtime -= 100;
        old.st_ctime -= 100;
        seen.remember(Path::new("file"), &old, Digest::of(b"text"));
        seen.save().unwrap();
        let again = Seen::open(&layout, dir.path());
        assert_eq!(again.digest(Path::new("file"), &old), Some(Digest::of(b"text")));
        assert_eq!(again.digest(Path::new("file"), &stat), None);
        assert_eq!(parse(b"muster context 1\nhalf"), None);
    }

    #[test]
    fn what_was_fetched_takes_along_what_is_remembered_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        let tree = layout.build_remote("r").join("trees/t");
        let files = tree.join("files/web");
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("f"), "text").unwrap();
        let mut old = rustix::fs::stat(files.join("f")).unwrap();
        old.st_mtime -= 100;
        old.st_ctime -= 100;
        let seen = Seen::open(&layout, &files);
        seen.remember(Path::new("f"), &old, Digest::of(b"text"));
        seen.save().unwrap();
        assert_eq!(Seen::open(&layout, &files).digest(Path::new("f"), &old), Some(Digest::of(b"text")));
        assert!(!layout.build_contexts().exists());
        fs::remove_dir_all(&tree).unwrap();
        assert_eq!(Seen::open(&layout, &files).digest(Path::new("f"), &old), None);
    }
}
