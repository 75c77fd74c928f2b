//! Copying and clearing a tree by descriptors: no name of the tree can lead out of it.

use crate::sys::{
    Errno, Error, Result,
    file::{self, Kind, Stat},
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

/// A tree that is deeper was made to exhaust something.
const MAX_DEPTH: usize = 512;

/// Everything in `source` to `destination`: owners, modes, times, extended attributes, links of both kinds, nodes.
pub(super) fn copy(source: BorrowedFd<'_>, destination: BorrowedFd<'_>) -> Result<()> {
    let mut copy = Copy { root: destination, names: HashMap::new() };
    copy.directory(source, destination, Path::new(""))
}

struct Copy<'a> {
    root: BorrowedFd<'a>,
    /// Where a file with several names was put first, by device and inode.
    names: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    fn directory(&mut self, source: BorrowedFd<'_>, destination: BorrowedFd<'_>, path: &Path) -> Result<()> {
        if path.components().count() > MAX_DEPTH {
            return Err(Error::new("copy", path.display(), Errno::NAMETOOLONG));
        }
        for name in file::list(source)? {
            let stat = file::stat_entry(source, &name)?;
            self.entry(source, destination, &path.join(&name), &name, &stat)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        source: BorrowedFd<'_>,
        destination: BorrowedFd<'_>,
        path: &Path,
        name: &OsStr,
        stat: &Stat,
    ) -> Result<()> {
        let kind = file::kind(stat);
        #[allow(clippy::useless_conversion)] // the field's type differs between architectures
        if kind != Kind::Directory && u64::from(stat.st_nlink) > 1 {
            if let Some(first) = self.names.get(&(stat.st_dev, stat.st_ino)) {
                return file::make_hard_link(self.root, first, destination, name);
            }
            self.names.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        match kind {
            Kind::Directory => {
                file::make_directory(destination, name, 0o700)?;
                let (from, to) = (file::open_directory(source, name)?, file::open_directory(destination, name)?);
                self.directory(from.as_fd(), to.as_fd(), path)?;
                copy_attributes(from.as_fd(), to.as_fd())?;
            }
            Kind::RegularFile => {
                let (from, to) = (file::open_file(source, name)?, file::create_file(destination, name, 0o600)?);
                let (mut from, mut to) = (File::from(from), File::from(to));
                // std copies inside the kernel, and shares blocks where the file system can.
                std::io::copy(&mut from, &mut to).map_err(|error| Error::from_io("copy", path.display(), &error))?;
                copy_attributes(from.as_fd(), to.as_fd())?;
            }
            Kind::Symlink => {
                file::make_link(&file::read_link(source, name)?, destination, name)?;
                file::set_entry_owner(destination, name, stat.st_uid, stat.st_gid)?;
            }
            _ => {
                file::make_node(destination, name, kind, 0o600, stat.st_rdev)?;
                file::set_entry_owner(destination, name, stat.st_uid, stat.st_gid)?;
                file::set_entry_mode(destination, name, stat.st_mode & 0o7777)?;
            }
        }
        file::set_entry_times(destination, name, stat)
    }
}

/// Owner before mode, for a change of owner clears set-id bits, and both before the attributes, for it clears `security.capability`.
pub(super) fn copy_attributes(source: BorrowedFd<'_>, destination: BorrowedFd<'_>) -> Result<()> {
    let stat = file::stat(source)?;
    file::set_owner(destination, stat.st_uid, stat.st_gid)?;
    file::set_mode(destination, stat.st_mode & 0o7777)?;
    for (name, value) in file::attributes(source)? {
        match file::set_attribute(destination, &name, &value) {
            // Labels of a security module are its own to give; a disk may know no attributes.
            Err(error) if matches!(error.errno, Errno::OPNOTSUPP | Errno::PERM) => {}
            result => result?,
        }
    }
    Ok(())
}

/// Removes everything in the directory, links themselves and never what they lead to.
pub(super) fn clear(directory: BorrowedFd<'_>) -> Result<()> {
    for name in file::list(directory)? {
        match file::kind(&file::stat_entry(directory, &name)?) {
            Kind::Directory => {
                clear(file::open_directory(directory, &name)?.as_fd())?;
                file::remove_directory(directory, &name)?;
            }
            _ => file::remove_file(directory, &name)?,
        }
    }
    Ok(())
}
