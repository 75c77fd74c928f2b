//! Where a mount goes: an inode inside the root, held by descriptor from the moment it is found.
//!
//! Links of the image count from its root, as in a chroot. What is missing is made, by descriptor and one name at a
//! time, so that a link that another container swaps in meanwhile leads nowhere (CVE-2021-30465, CVE-2024-45310).

use super::super::{StartError, failure::During};
use crate::sys::{
    self, Errno, Error,
    file::{Kind, PROC_SUPER_MAGIC, Within},
};
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path},
};

/// What a missing target is made as, and what an existing one has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Wanted {
    Directory,
    File,
}

/// As the kernel has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Files of /proc that lxcfs puts its own view on; runc allows the same. Nothing else of it may be covered.
const COVERABLE: [&str; 9] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/crypto/fips_enabled",
];

/// An O_PATH descriptor of the target, made if it lacks.
pub(in super::super) fn open(root: BorrowedFd<'_>, path: &Path, wanted: Wanted) -> Result<OwnedFd, StartError> {
    let step = format_args!("mount point {}", path.display());
    if !path.components().any(|part| matches!(part, Component::Normal(_))) {
        return Err(StartError::setup(step, "the root itself cannot be covered"));
    }
    let target = match sys::file::resolve(root, path, Within::Root) {
        Err(error) if error.errno == Errno::NOENT => make(root, path, wanted),
        result => result,
    }
    .during(step)?;
    check(&target, path, wanted).during(step)?;
    Ok(target)
}

/// A directory, made with its parents where it lacks.
pub(in super::super) fn make_directory(root: BorrowedFd<'_>, path: &Path) -> sys::Result<OwnedFd> {
    match sys::file::resolve(root, path, Within::Root) {
        Err(error) if error.errno == Errno::NOENT => make(root, path, Wanted::Directory),
        result => result,
    }
}

fn check(target: &OwnedFd, path: &Path, wanted: Wanted) -> Result<(), String> {
    let stat = sys::file::stat(target.as_fd()).map_err(|error| error.to_string())?;
    let directory = sys::file::kind(&stat) == Kind::Directory;
    match (wanted, directory) {
        (Wanted::Directory, false) => return Err("a directory cannot be mounted on a file".to_owned()),
        (Wanted::File, true) => return Err("a file cannot be mounted on a directory".to_owned()),
        _ => {}
    }
    let in_proc = sys::file::file_system(target.as_fd()).map_err(|error| error.to_string())? == PROC_SUPER_MAGIC;
    match in_proc && !COVERABLE.iter().any(|file| Path::new(file) == path) {
        true => Err("lies in /proc, which must stay the kernel's own".to_owned()),
        false => Ok(()),
    }
}

/// Walks the path name by name, never through the kernel's own following of links.
fn make(root: BorrowedFd<'_>, path: &Path, wanted: Wanted) -> sys::Result<OwnedFd> {
    let mut walk = Walk { root, at: Vec::new(), left: names(path), links: 0 };
    while let Some(name) = walk.left.pop_front() {
        walk.step(&name, wanted)?;
    }
    match walk.at.pop() {
        Some(found) => Ok(found),
        None => sys::file::resolve(root, Path::new("."), Within::Root),
    }
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// Directories from the root down to where the walk is.
    at: Vec<OwnedFd>,
    left: VecDeque<OsString>,
    links: usize,
}

impl Walk<'_> {
    fn step(&mut self, name: &OsStr, wanted: Wanted) -> sys::Result<()> {
        if name == ".." {
            self.at.pop();
            return Ok(());
        }
        let here = self.at.last().map_or(self.root, |fd| fd.as_fd());
        match sys::file::stat_entry(here, name) {
            Ok(stat) if sys::file::kind(&stat) == Kind::Symlink => return self.follow(name),
            Ok(_) => {}
            Err(error) if error.errno == Errno::NOENT => make_entry(here, name, self.left.is_empty(), wanted)?,
            Err(error) => return Err(error),
        }
        let entry = sys::file::open_entry(here, name)?;
        let kind = sys::file::kind(&sys::file::stat(entry.as_fd())?);
        let passes = kind == Kind::Directory || (self.left.is_empty() && kind != Kind::Symlink);
        if !passes {
            return Err(Error::new("open", name.display(), Errno::NOTDIR));
        }
        self.at.push(entry);
        Ok(())
    }

    fn follow(&mut self, name: &OsStr) -> sys::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Error::new("open", name.display(), Errno::LOOP));
        }
        let here = self.at.last().map_or(self.root, |fd| fd.as_fd());
        // A link of /proc is no path but a door (proc_pid_fd(5)).
        if sys::file::file_system(here)? == PROC_SUPER_MAGIC {
            return Err(Error::new("open", name.display(), Errno::LOOP));
        }
        let target = sys::file::read_link(here, name)?;
        if Path::new(&target).is_absolute() {
            self.at.clear();
        }
        for part in names(Path::new(&target)).into_iter().rev() {
            self.left.push_front(part);
        }
        Ok(())
    }
}

fn make_entry(here: BorrowedFd<'_>, name: &OsStr, last: bool, wanted: Wanted) -> sys::Result<()> {
    let made = match (last, wanted) {
        (true, Wanted::File) => sys::file::create_file(here, name, 0o644).map(drop),
        _ => sys::file::make_directory(here, name, 0o755),
    };
    match made {
        // Another container that shares the volume was faster; what it made is looked at next.
        Err(error) if error.errno == Errno::EXIST => Ok(()),
        result => result,
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn root() -> (tempfile::TempDir, OwnedFd) {
        let directory = tempfile::tempdir().unwrap();
        let fd = sys::file::open_path(directory.path()).unwrap();
        (directory, fd)
    }

    #[test]
    fn what_is_missing_is_made_inside_the_root() {
        let (directory, fd) = root();
        open(fd.as_fd(), Path::new("/a/b/c"), Wanted::Directory).unwrap();
        open(fd.as_fd(), Path::new("/a/d/file"), Wanted::File).unwrap();
        assert!(directory.path().join("a/b/c").is_dir() && directory.path().join("a/d/file").is_file());
    }

    #[test]
    fn links_of_the_image_count_from_its_root() {
        let (directory, fd) = root();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), directory.path().join("absolute")).unwrap();
        symlink("../../../../../../up", directory.path().join("relative")).unwrap();
        symlink("loop", directory.path().join("loop")).unwrap();
        open(fd.as_fd(), Path::new("/absolute/x"), Wanted::Directory).unwrap();
        open(fd.as_fd(), Path::new("/relative/y"), Wanted::File).unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        let inside = outside.path().strip_prefix("/").unwrap();
        assert!(directory.path().join(inside).join("x").is_dir());
        assert!(directory.path().join("up/y").is_file());
        assert!(open(fd.as_fd(), Path::new("/loop/x"), Wanted::Directory).is_err());
    }

    #[test]
    fn proc_the_root_and_the_wrong_kind_are_refused() {
        let (directory, fd) = root();
        fs::write(directory.path().join("file"), "").unwrap();
        for path in ["/", "/..", "/file/below"] {
            assert!(open(fd.as_fd(), Path::new(path), Wanted::Directory).is_err(), "{path}");
        }
        let error = open(fd.as_fd(), Path::new("/file"), Wanted::Directory).unwrap_err();
        assert_eq!(error.to_string(), "mount point /file: a directory cannot be mounted on a file");
        let host = sys::file::root().unwrap();
        let error = open(host.as_fd(), Path::new("/proc"), Wanted::Directory).unwrap_err();
        assert_eq!(error.to_string(), "mount point /proc: lies in /proc, which must stay the kernel's own");
        assert!(open(host.as_fd(), Path::new("/proc/self/root/tmp"), Wanted::Directory).is_err());
    }
}
