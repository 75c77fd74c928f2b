//! One file, directory or link of the host, at a path of a container.

use super::{Root, TransferError};
use crate::{image::tree, sys::file as sysfile};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self as rfs, AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Whose a file is in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The numbers that it has on the host.
    Kept,
    Given {
        uid: u32,
        gid: u32,
    },
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Put,
    Removed,
    /// Sockets, devices and FIFOs are no files to copy.
    Skipped,
}

/// Magic numbers of statfs(2): their files are handles of the kernel, which a link of the container could lead to.
const OF_THE_KERNEL: [i64; 4] = [sysfile::PROC_SUPER_MAGIC, sysfile::SYSFS_MAGIC, 0x6367_7270, 0x0027_e0eb];

impl Root {
    /// Makes `target` what `source` is now: put as it is, or removed with all below it where there is none. The
    /// entries of a directory are not looked at.
    pub fn mirror(&self, source: &Path, target: &Path, owner: Owner) -> Result<Done, TransferError> {
        match self.put(source, target, owner) {
            Err(TransferError::Host { source: error, .. }) if is_gone(&error) => self.remove(target),
            put => put,
        }
    }

    /// Puts one entry, with its mode and time, and makes the directories above it. A file or a link replaces what is
    /// there in one step; a directory stays and gets the mode.
    pub fn put(&self, source: &Path, target: &Path, owner: Owner) -> Result<Done, TransferError> {
        let metadata = fs::symlink_metadata(source).map_err(TransferError::host("look at", source))?;
        let owner = match owner {
            Owner::Kept => (metadata.uid(), metadata.gid()),
            Owner::Given { uid, gid } => (uid, gid),
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.put_directory(&metadata, target, owner)
        } else if kind.is_file() {
            self.put_file(source, target, owner)
        } else if kind.is_symlink() {
            self.put_link(source, target, owner)
        } else {
            Ok(Done::Skipped)
        }
    }

    /// Removes an entry with all below it; links are removed, not followed. One that is not there is no error.
    pub fn remove(&self, target: &Path) -> Result<Done, TransferError> {
        let failed = TransferError::inside("remove", target);
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(failed(io::Error::from(Errno::BUSY)));
        };
        match self.tree.directory(parent) {
            Err(error) if is_gone(&error) => Ok(Done::Removed),
            parent => {
                parent.and_then(|parent| tree::remove_at(parent.as_fd(), name)).map_err(failed)?;
                Ok(Done::Removed)
            }
        }
    }

    fn put_directory(&self, metadata: &Metadata, target: &Path, owner: (u32, u32)) -> Result<Done, TransferError> {
        let (Some(above), Some(name)) = (target.parent(), target.file_name()) else {
            return Ok(Done::Put); // the root itself
        };
        let parent = self.parent(above, owner)?;
        let failed = |error: Errno| TransferError::inside("make", target)(error);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rfs::openat(&parent, name, flags, Mode::empty());
        let directory = match open() {
            Err(Errno::NOENT) => {
                absent(rfs::mkdirat(&parent, name, Mode::RWXU)).map_err(failed)?;
                open().map_err(failed)?
            }
            // A link to a directory serves as one, and is none to change.
            Err(Errno::NOTDIR | Errno::LOOP) if self.tree.directory(target).is_ok() => return Ok(Done::Put),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                rfs::unlinkat(&parent, name, AtFlags::empty()).map_err(failed)?;
                rfs::mkdirat(&parent, name, Mode::RWXU).map_err(failed)?;
                open().map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        give(directory.as_fd(), owner, metadata.mode()).map_err(TransferError::inside("change", target))?;
        Ok(Done::Put)
    }

    fn put_file(&self, source: &Path, target: &Path, owner: (u32, u32)) -> Result<Done, TransferError> {
        let read = || TransferError::host("read", source);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let opened = fs::OpenOptions::new().read(true).custom_flags(flags as i32).open(source);
        let mut file = opened.map_err(read())?;
        let metadata = file.metadata().map_err(read())?;
        if !metadata.is_file() {
            return Ok(Done::Skipped); // another one by now: that is another event
        }
        let failed = |error: io::Error| TransferError::inside("write", target)(error);
        let (parent, name) = self.place(target, owner)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fresh = Fresh::make(&parent, |name| rfs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR))
            .map_err(|error| failed(error.into()))?;
        let (mut to, fresh) = (File::from(fresh.0), fresh.1);
        io::copy(&mut file, &mut to).map_err(failed)?;
        give(to.as_fd(), owner, metadata.mode()).map_err(|error| failed(error.into()))?;
        let time = Timespec { tv_sec: metadata.mtime(), tv_nsec: metadata.mtime_nsec() };
        let times = Timestamps { last_access: time, last_modification: time };
        rfs::futimens(&to, &times).map_err(|error| failed(error.into()))?;
        fresh.replace(name).map_err(failed)?;
        Ok(Done::Put)
    }

    fn put_link(&self, source: &Path, target: &Path, owner: (u32, u32)) -> Result<Done, TransferError> {
        let leads_to = fs::read_link(source).map_err(TransferError::host("read", source))?;
        let failed = |error: io::Error| TransferError::inside("write", target)(error);
        let (parent, name) = self.place(target, owner)?;
        let fresh = Fresh::make(&parent, |name| rfs::symlinkat(&leads_to, &parent, name));
        let ((), fresh) = fresh.map_err(|error| failed(error.into()))?;
        let (uid, gid) = ids(owner).map_err(|error| failed(error.into()))?;
        rfs::chownat(&parent, &fresh.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(error.into()))?;
        fresh.replace(name).map_err(failed)?;
        Ok(Done::Put)
    }

    /// The directory that `target` is to be in, and its name there.
    fn place<'t>(&self, target: &'t Path, owner: (u32, u32)) -> Result<(OwnedFd, &'t OsStr), TransferError> {
        match (target.parent(), target.file_name()) {
            (Some(parent), Some(name)) => Ok((self.parent(parent, owner)?, name)),
            _ => Err(TransferError::inside("replace", target)(io::Error::from(Errno::ISDIR))),
        }
    }

    /// Opens a directory; what is missing of it is made, and belongs to `owner`.
    fn parent(&self, path: &Path, owner: (u32, u32)) -> Result<OwnedFd, TransferError> {
        let made = &mut |_: &Path, fresh: BorrowedFd<'_>| Ok(give(fresh, owner, 0o755)?);
        let parent = self.tree.make_directory_with(path, made).map_err(TransferError::inside("make", path))?;
        let kind = sysfile::file_system(parent.as_fd())
            .map_err(|error| TransferError::inside("look at", path)(io::Error::from(error.errno)))?;
        if OF_THE_KERNEL.contains(&kind) {
            return Err(TransferError::OfTheKernel { path: path.to_owned() });
        }
        Ok(parent)
    }
}

/// A new entry under a name of its own. It goes away unless it replaces another one.
struct Fresh<'a> {
    parent: BorrowedFd<'a>,
    name: OsString,
}

impl<'a> Fresh<'a> {
    fn make<T>(
        parent: &'a OwnedFd,
        make: impl Fn(&OsStr) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<(T, Fresh<'a>)> {
        // Somebody in the container may make the same names: not for ever.
        for attempt in 0..64 {
            let mut random = [0; 8];
            rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
            let name = OsString::from(format!(".muster-{:016x}.tmp", u64::from_ne_bytes(random)));
            match make(&name) {
                Err(Errno::EXIST) if attempt < 63 => {}
                made => return Ok((made?, Fresh { parent: parent.as_fd(), name })),
            }
        }
        Err(Errno::EXIST)
    }

    fn replace(self, name: &OsStr) -> io::Result<()> {
        match rfs::renameat(self.parent, &self.name, self.parent, name) {
            // A directory is in the way.
            Err(Errno::ISDIR) => {
                tree::remove_at(self.parent, name)?;
                rfs::renameat(self.parent, &self.name, self.parent, name)?;
            }
            renamed => renamed?,
        }
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = rfs::unlinkat(self.parent, &self.name, AtFlags::empty());
    }
}

/// Owner, then mode: chown(2) clears the bits of setuid.
fn give(file: BorrowedFd<'_>, owner: (u32, u32), mode: u32) -> rustix::io::Result<()> {
    let (uid, gid) = ids(owner)?;
    rfs::fchown(file, Some(uid), Some(gid))?;
    rfs::fchmod(file, Mode::from_raw_mode(mode & 0o7777))
}

fn ids((uid, gid): (u32, u32)) -> rustix::io::Result<(Uid, Gid)> {
    // -1 means "leave it" to chown(2).
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
}

fn absent(made: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
