//! Deletes a directory tree that a container could write: of any depth, with any names, full of links.
//!
//! Every directory below is first moved up to the top, then emptied: one descriptor and no recursion whatever the
//! depth, and no path that could lead through a link. A run that is killed leaves a tree that can be deleted the same
//! way.

use super::error::VolumeError;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, renameat, statat, unlinkat},
    io::Errno,
};
use std::{ffi::CString, os::fd::OwnedFd, path::Path};

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub fn tree(path: &Path) -> Result<(), VolumeError> {
    loop {
        match once(path) {
            // Another process deletes the same trash (`tidy`): what it took first is gone, which is all that is wanted.
            Err(Errno::NOENT) if path.exists() => {}
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(VolumeError::file("delete", path)(errno.into())),
        }
    }
}

fn once(path: &Path) -> Result<(), Errno> {
    let top = openat(rustix::fs::CWD, path, DIRECTORY, Mode::empty())?;
    // Moved directories get names that no file of the volume has: what is there already is looked for first.
    let mut moved = 0_u64;
    loop {
        let found = directories_and_files_gone(&top)?;
        if found.is_empty() {
            break;
        }
        for name in found {
            empty(&top, &name, &mut moved)?;
            unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        }
    }
    drop(top);
    rustix::fs::rmdir(path)
}

/// Unlinks what is no directory; returns the directories.
fn directories_and_files_gone(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say.
            FileType::Unknown => FileType::from_raw_mode(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
            known => known,
        };
        if kind == FileType::Directory {
            directories.push(name.to_owned());
        } else {
            unlinkat(directory, name, AtFlags::empty())?;
        }
    }
    Ok(directories)
}

/// Moves the directories in `top/name` up to `top` and unlinks the rest.
fn empty(top: &OwnedFd, name: &CString, moved: &mut u64) -> Result<(), Errno> {
    let directory = openat(top, name, DIRECTORY, Mode::empty())?;
    for inner in directories_and_files_gone(&directory)? {
        loop {
            *moved += 1;
            match renameat(&directory, &inner, top, format!(".{moved}")) {
                // Taken by a directory that is not empty: the next number.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                other => break other?,
            }
        }
    }
    Ok(())
}
