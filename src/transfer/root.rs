//! The root directory of a container.

use super::{Owner, TransferError};
use crate::{
    image::tree::{Mounts, Tree},
    runtime::{files, spec::Spec, user},
    state::boot,
};
use std::{
    path::{Path, PathBuf},
    thread,
};

/// Held open, so that it stays the same one; it keeps the container's mounts alive and is not to be held for long.
#[derive(Debug)]
pub struct Root {
    pub(super) tree: Tree,
}

impl Root {
    /// Of a container that runs: `pid` is its init's, `start_time` proves that it still is (state::boot).
    pub fn of_running(pid: i32, start_time: u64) -> Result<Self, TransferError> {
        let path = PathBuf::from(format!("/proc/{pid}/root"));
        let tree = Tree::open(&path);
        // In this order: what was opened belongs to the process that still has the pid.
        if boot::start_time(pid) != Some(start_time) {
            return Err(TransferError::NotRunning);
        }
        let tree = tree.map_err(TransferError::host("open", &path))?;
        Ok(Self { tree: tree.with_mounts(Mounts::Crossed) })
    }

    /// Does `work` in a container that does not run. It must not start meanwhile: two views of one overlay need not see
    /// the same.
    pub fn in_stopped<T: Send>(spec: &Spec, work: impl FnOnce(&Self) -> T + Send) -> Result<T, TransferError> {
        // The mounts are those of a thread, and end with it.
        let on_its_own = || {
            let root = files::open(spec).map_err(|error| TransferError::Root(error.to_string()))?;
            Ok(work(&Self { tree: Tree::from_fd(root).with_mounts(Mounts::Crossed) }))
        };
        thread::scope(|scope| scope.spawn(on_its_own).join())
            .unwrap_or_else(|_| Err(TransferError::Root("the work in it broke off".into())))
    }

    /// Any directory, for what is no container.
    pub fn of_directory(path: &Path) -> Result<Self, TransferError> {
        let tree = Tree::open(path).map_err(TransferError::host("open", path))?;
        Ok(Self { tree: tree.with_mounts(Mounts::Crossed) })
    }

    pub fn is_directory(&self, path: &Path) -> bool {
        self.tree.directory(path).is_ok()
    }

    /// Whose the files are that are put into a container which runs as `user` (`name|uid[:group|gid]`, looked up in the
    /// container's own files). Without a user they stay whose they are, as docker has it.
    pub fn owner(&self, user: &str) -> Result<Owner, TransferError> {
        if user.is_empty() {
            return Ok(Owner::Kept);
        }
        let found =
            user::look_up(self.tree.root(), user, &[]).map_err(|error| TransferError::User(error.to_string()))?;
        Ok(Owner::Given { uid: found.uid, gid: found.gid })
    }
}
