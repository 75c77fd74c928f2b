//! Device nodes: Docker's few, and for a privileged container the host's.

use crate::sys::{
    Result,
    file::{self, Kind},
};
use std::{
    ffi::OsString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Name, major, minor: all of mode 0666.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Name and target.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// What the container has of its own, or what leads out of it.
const NOT_COPIED: [&str; 12] =
    ["pts", "shm", "mqueue", "fd", "stdin", "stdout", "stderr", "console", "ptmx", "core", "hugepages", ".udev"];

/// One node of the host's /dev.
pub(in super::super) struct HostDevice {
    /// Below /dev.
    path: PathBuf,
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
    number: u64,
}

/// The usual nodes and links, in a fresh tmpfs.
pub(super) fn make_standard(dev: BorrowedFd<'_>) -> Result<()> {
    for (name, major, minor) in DEVICES {
        file::make_node(dev, name.as_ref(), Kind::CharacterDevice, 0o666, file::makedev(major, minor))?;
    }
    LINKS.iter().try_for_each(|(name, target)| file::make_link(target.as_ref(), dev, name.as_ref()))
}

/// All nodes of the host's /dev, as Docker gives them to a privileged container.
pub(super) fn of_host() -> Result<Vec<HostDevice>> {
    let dev = file::open_path(Path::new("/dev"))?;
    let mut found = Vec::new();
    walk(file::open_directory(dev.as_fd(), ".".as_ref())?, Path::new(""), &mut found)?;
    Ok(found)
}

fn walk(directory: OwnedFd, below: &Path, found: &mut Vec<HostDevice>) -> Result<()> {
    for name in file::list(directory.as_fd())? {
        let top = below.as_os_str().is_empty();
        if top && (NOT_COPIED.iter().any(|known| name == *known) || is_standard(&name)) {
            continue;
        }
        // Gone since it was listed: hot-plugged.
        let Ok(stat) = file::stat_entry(directory.as_fd(), &name) else { continue };
        let path = below.join(&name);
        match file::kind(&stat) {
            Kind::Directory => walk(file::open_directory(directory.as_fd(), &name)?, &path, found)?,
            kind @ (Kind::CharacterDevice | Kind::BlockDevice) => found.push(HostDevice {
                path,
                kind,
                mode: stat.st_mode & 0o7777,
                uid: stat.st_uid,
                gid: stat.st_gid,
                number: stat.st_rdev,
            }),
            _ => {}
        }
    }
    Ok(())
}

fn is_standard(name: &OsString) -> bool {
    DEVICES.iter().any(|(known, _, _)| name == known)
}

impl HostDevice {
    /// In a fresh tmpfs, where nothing can stand in the way.
    pub(super) fn make(&self, dev: BorrowedFd<'_>) -> Result<()> {
        let Some(name) = self.path.file_name() else { return Ok(()) };
        let directory = super::target::make_directory(dev, self.path.parent().unwrap_or(Path::new("")))?;
        file::make_node(directory.as_fd(), name, self.kind, self.mode, self.number)?;
        file::set_entry_owner(directory.as_fd(), name, self.uid, self.gid)
    }
}
