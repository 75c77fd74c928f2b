//! Sources that are elsewhere: repositories and downloads, brought to this host and kept.
//!
//! ```text
//! <data>/build/remotes/<remote>/lock                 who works on it
//!                               state.json           the name of its repository, and whether it is whole
//!                               repository-<name>/   what was fetched (git)
//!                               trees/<name>/files/  what was checked out or unpacked, never changed again
//!                                            seen-*  what builds remember of the files (`copy::seen`)
//!                               tmp-<name>/          what is being made
//! ```
//! A tree is made beside the others and renamed when it is whole and on disk; who reads it holds a shared lock on its
//! directory. A repository that was being written when its writer died is not trusted again.

mod download;
mod error;
mod git;
mod http;
mod repository;

pub use download::{Answer, Broken, Known, download};
pub use error::{RemoteError, Result};
pub use git::Access;
pub use http::http;
pub use repository::checkout;

use super::turn;
use crate::{
    image::{Digest, tree},
    state::{Layout, Lock, draft},
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Trees of one remote: what was built last, and a few before it.
const KEPT: usize = 4;

/// Files that are here as long as this is.
#[derive(Debug)]
pub struct Tree {
    pub dir: PathBuf,
    /// A Dockerfile that came alone, by its name in `dir`.
    pub dockerfile: Option<&'static str>,
    _lock: File,
}

/// One remote's directory, with the right to change it.
struct Place {
    dir: PathBuf,
    _lock: Lock,
}

impl Place {
    async fn open(layout: &Layout, remote: &str) -> Result<Self> {
        let top = layout.build_remotes();
        fs::create_dir_all(&top).map_err(RemoteError::file("make", &top))?;
        // As the cache has it: files of others, setuid ones among them.
        let build = layout.build();
        rustix::fs::chmod(&build, rustix::fs::Mode::from_raw_mode(0o700))
            .map_err(|error| RemoteError::file("protect", &build)(error.into()))?;
        let dir = layout.build_remote(&Digest::of(remote.as_bytes()).hex()[..32]);
        let path = dir.join("lock");
        let lock = turn::hold(&path).await.map_err(|error| RemoteError::File {
            verb: "lock",
            path: path.clone(),
            source: io::Error::other(error.to_string()),
        })?;
        let place = Self { dir, _lock: lock };
        place.sweep()?;
        Ok(place)
    }

    /// What killed builds left.
    fn sweep(&self) -> Result<()> {
        draft::sweep(&self.dir).map_err(RemoteError::file("read", &self.dir))?;
        for entry in fs::read_dir(&self.dir).map_err(RemoteError::file("read", &self.dir))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("tmp-") {
                // A git that is being killed may still write into it; then the next takes it away.
                let _ = tree::remove(&entry.path());
            }
        }
        Ok(())
    }

    /// Takes a directory away, at once out of everybody's sight.
    fn discard(&self, path: &Path) -> Result<()> {
        let trash = self.dir.join(format!("tmp-{}", super::cache::random()));
        fs::rename(path, &trash).map_err(RemoteError::file("remove", path))?;
        let _ = tree::remove(&trash);
        Ok(())
    }

    /// A directory to work in. The next who comes takes it away, whatever is in it.
    fn fresh(&self) -> Result<Fresh> {
        let path = self.dir.join(format!("tmp-{}", super::cache::random()));
        fs::create_dir(&path).map_err(RemoteError::file("make", &path))?;
        Ok(Fresh(path))
    }

    fn tree(&self, name: &str) -> PathBuf {
        self.dir.join("trees").join(name)
    }

    /// The tree of that name, if it is here.
    fn find(&self, name: &str) -> Result<Option<Tree>> {
        let path = self.tree(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(RemoteError::file("open", &path))?,
        };
        file.lock_shared().map_err(RemoteError::file("lock", &path))?;
        // When it was last of use, for `drop_old`.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(Tree { dir: path.join("files"), dockerfile: None, _lock: file }))
    }

    /// Takes what is whole at `made`, whose files are in `files`.
    fn keep(&self, made: &Path, name: &str) -> Result<Tree> {
        let path = self.tree(name);
        let trees = self.dir.join("trees");
        fs::create_dir_all(&trees).map_err(RemoteError::file("make", &trees))?;
        // Whoever finds it finds it whole, also after a power cut.
        File::open(made).and_then(|dir| tree::sync_file_system(&dir)).map_err(RemoteError::file("sync", made))?;
        fs::rename(made, &path).map_err(RemoteError::file("keep", &path))?;
        let gone = || RemoteError::file("open", &path)(io::ErrorKind::NotFound.into());
        let tree = self.find(name)?.ok_or_else(gone)?;
        self.drop_old()?;
        Ok(tree)
    }

    /// Removes trees that nobody has used for the longest time, and nobody reads.
    fn drop_old(&self) -> Result<()> {
        let trees = self.dir.join("trees");
        let entries = fs::read_dir(&trees).map_err(RemoteError::file("read", &trees))?;
        let mut found: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort();
        let many = found.len().saturating_sub(KEPT);
        for (_, path) in found.into_iter().take(many) {
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                self.discard(&path)?;
            }
        }
        Ok(())
    }
}

/// Goes when it is dropped.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = tree::remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_dead_left_goes_with_the_next_who_comes() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        let top = Place::open(&layout, "https://host/x").await.unwrap().dir.clone();
        fs::create_dir_all(top.join("tmp-half/files")).unwrap();
        // A record that was being written.
        fs::write(top.join(".muster-new-state.json"), "{").unwrap();
        fs::write(top.join("state.json"), "{}").unwrap();
        drop(Place::open(&layout, "https://host/x").await.unwrap());
        let mut left: Vec<_> = fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lock", "state.json"]);
    }
}
