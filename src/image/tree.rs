//! Work inside one directory tree that may be hostile: every path is resolved by openat2(2) with the tree as its root,
//! so that neither `..` nor an absolute link leads out. Plain mechanism; what belongs into the tree is `layer`'s matter.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{
        self as rfs, AtFlags, FileType, Gid, IFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
    },
    io::Errno,
};
use std::{
    ffi::{CString, OsStr},
    fs::File,
    io,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// More links than that in one path are a loop (the kernel's own limit, path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// A directory that is the root of its own little world.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    mounts: Mounts,
}

/// What a path of a tree may do at the edge of the file system that the root is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// Nothing is mounted in a layer: an edge is an attack.
    Refused,
    /// A container's volumes belong to it.
    Crossed,
}

impl Tree {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::from_fd(rfs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Of a directory that is open already.
    pub fn from_fd(root: OwnedFd) -> Self {
        Self { root, mounts: Mounts::Refused }
    }

    pub fn with_mounts(self, mounts: Mounts) -> Self {
        Self { mounts, ..self }
    }

    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens a directory (O_PATH). Links of the tree are followed within the tree, also absolute ones.
    pub fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::IN_ROOT)
    }

    /// Opens a directory for reading, `path` free of links.
    pub fn real_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        self.resolve(path, OFlags::DIRECTORY | OFlags::RDONLY, flags)
    }

    fn resolve(&self, path: &Path, flags: OFlags, how: ResolveFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let edge = match self.mounts {
            Mounts::Refused => ResolveFlags::NO_XDEV,
            Mounts::Crossed => ResolveFlags::empty(),
        };
        // EAGAIN: a rename elsewhere raced with a `..` of the path (openat2(2)).
        for _ in 0..64 {
            match rfs::openat2(
                &self.root,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                how | ResolveFlags::NO_MAGICLINKS | edge,
            ) {
                Err(Errno::AGAIN) => continue,
                other => return Ok(other?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// As `directory`, but makes what is missing (mode 0755, owned by root). `made` is told the path of each.
    pub fn make_directory(&self, path: &Path, made: &mut Vec<PathBuf>) -> io::Result<OwnedFd> {
        self.make_directory_with(path, &mut |path, _| {
            made.push(path.to_owned());
            Ok(())
        })
    }

    /// The same; `made` is told each that is new, open.
    pub fn make_directory_with(&self, path: &Path, made: Made<'_>) -> io::Result<OwnedFd> {
        match self.directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_missing(path, made, 0),
            other => other,
        }
    }

    fn make_missing(&self, path: &Path, made: Made<'_>, links: u32) -> io::Result<OwnedFd> {
        if links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let mut here = PathBuf::new();
        let mut fd = self.directory(&here)?;
        for part in path.components() {
            let std::path::Component::Normal(name) = part else {
                // `/`, `.` and `..` of a link's target.
                here.push(part);
                fd = self.directory(&here)?;
                continue;
            };
            let next = here.join(name);
            fd = match self.directory(&next) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match rfs::mkdirat(&fd, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => {
                            // By descriptor: in a tree that lives, the name may be a link by now.
                            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                            let fresh = rfs::openat(&fd, name, flags, Mode::empty())?;
                            // The umask took its share.
                            rfs::fchmod(&fresh, Mode::from_raw_mode(0o755))?;
                            made(&next, fresh.as_fd())?;
                            fresh
                        }
                        // A link that leads to nothing yet.
                        Err(Errno::EXIST) => {
                            let target = rfs::readlinkat(&fd, name, Vec::new())?;
                            let target = here.join(OsStr::from_bytes(target.as_bytes()));
                            self.make_missing(&target, made, links + 1)?
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                other => other?,
            };
            here = next;
        }
        Ok(fd)
    }
}

/// Hears of each directory that is made.
pub type Made<'a> = &'a mut dyn FnMut(&Path, BorrowedFd<'_>) -> io::Result<()>;

/// Owner, mode and the rest of one file, as an archive or another directory gives them.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    pub xattrs: Vec<(CString, Vec<u8>)>,
}

impl Attributes {
    /// On an open file or directory. The order matters: chown clears setuid bits and capabilities.
    pub fn apply(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        rfs::fchown(fd, Some(uid(self.uid)?), Some(gid(self.gid)?))?;
        for (name, value) in &self.xattrs {
            tolerate(rfs::fsetxattr(fd, name, value, XattrFlags::empty()))?;
        }
        rfs::fchmod(fd, Mode::from_raw_mode(self.mode & 0o7777))?;
        Ok(())
    }

    /// On a name that cannot be opened without effect: a link, a device, a fifo.
    pub fn apply_at(&self, parent: BorrowedFd<'_>, name: &OsStr, kind: FileType) -> io::Result<()> {
        rfs::chownat(parent, name, Some(uid(self.uid)?), Some(gid(self.gid)?), AtFlags::SYMLINK_NOFOLLOW)?;
        if !self.xattrs.is_empty() {
            let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
            path.extend_from_slice(name.as_bytes());
            for (key, value) in &self.xattrs {
                tolerate(rfs::lsetxattr(&path[..], key, value, XattrFlags::empty()))?;
            }
        }
        if kind != FileType::Symlink {
            rfs::chmodat(parent, name, Mode::from_raw_mode(self.mode & 0o7777), AtFlags::empty())?;
        }
        rfs::utimensat(parent, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }

    pub fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime.0, tv_nsec: i64::from(self.mtime.1) };
        Timestamps { last_access: time, last_modification: time }
    }

    /// Those of an open directory.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = rfs::fstat(fd)?;
        let mut attributes = Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            xattrs: Vec::new(),
        };
        let mut names = vec![0; 64 << 10];
        let length = match rfs::flistxattr(fd, &mut names[..]) {
            Ok(length) => length,
            Err(Errno::NOTSUP) => 0,
            Err(error) => return Err(error.into()),
        };
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = CString::new(name)?;
            let mut value = vec![0; 64 << 10];
            let length = rfs::fgetxattr(fd, &name, &mut value[..])?;
            value.truncate(length);
            attributes.xattrs.push((name, value));
        }
        Ok(attributes)
    }
}

/// Not every file system keeps every attribute, and `user.` ones are for files and directories only (xattr(7)). Docker
/// goes on without them as well.
fn tolerate(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOTSUP | Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}

fn uid(id: u32) -> io::Result<Uid> {
    // -1 means "leave it" to chown(2).
    if id == u32::MAX { Err(Errno::INVAL.into()) } else { Ok(Uid::from_raw(id)) }
}

fn gid(id: u32) -> io::Result<Gid> {
    if id == u32::MAX { Err(Errno::INVAL.into()) } else { Ok(Gid::from_raw(id)) }
}

/// Tells ext4 that the directories in `directory` have nothing to do with each other (`chattr +T`): each then begins in
/// a block group of its own. Without it all of a pull is put into one group, whose inodes its threads take from under
/// each other, and where ext4 steps over each inode that was freed in the last minute, for every file anew: to pull,
/// remove and pull again took four times as long. Other file systems know no such hint.
pub fn spread(directory: &Path) {
    let hint = || {
        let fd = rfs::open(directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = rfs::ioctl_getflags(&fd)?;
        rfs::ioctl_setflags(&fd, flags | IFlags::TOPDIR)
    };
    let _: rustix::io::Result<()> = hint();
}

/// Makes the top directory of a layer, mode 0755 whatever the umask is: every user of a container passes through it.
pub fn make_top(path: &Path) -> io::Result<()> {
    rfs::mkdir(path, Mode::from_raw_mode(0o755))?;
    Ok(rfs::chmod(path, Mode::from_raw_mode(0o755))?)
}

/// Removes a file or a whole tree; it is no error when it is gone already. Links are removed, not followed.
pub fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL.into()) };
    match rfs::open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        parent => remove_at(parent?.as_fd(), name),
    }
}

/// The same by descriptor. A hostile layer may be thousands of directories deep: this neither recurses nor holds a
/// descriptor per level, but moves each directory that is not empty up to the top before it is emptied.
pub fn remove_at(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rfs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match rfs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        top => top?,
    };
    let mut moved: u64 = 0;
    let mut waiting = vec![None::<String>];
    while let Some(next) = waiting.pop() {
        let opened = match &next {
            Some(name) => match rfs::openat(&top, name, flags, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                opened => opened?,
            },
            None => rfs::openat(&top, ".", flags, Mode::empty())?,
        };
        // Moved ones gather in the top directory while it is read, so its entries are listed before they are touched.
        for (child, is_dir) in children(&opened)? {
            if !is_dir {
                absent(rfs::unlinkat(&opened, &child, AtFlags::empty()))?;
                continue;
            }
            match rfs::unlinkat(&opened, &child, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {
                    let fresh = format!(".muster-removed-{moved}");
                    moved += 1;
                    rename_free(&opened, &child, &top, &fresh)?;
                    waiting.push(Some(fresh));
                }
                other => absent(other)?,
            }
        }
        if let Some(name) = next {
            absent(rfs::unlinkat(&top, &name, AtFlags::REMOVEDIR))?;
        }
    }
    absent(rfs::unlinkat(parent, name, AtFlags::REMOVEDIR))?;
    Ok(())
}

fn rename_free(from: &OwnedFd, name: &CString, top: &OwnedFd, fresh: &str) -> io::Result<()> {
    match rfs::renameat(from, name, top, fresh) {
        // Somebody chose our name for something of theirs; in the top directory it waits for its own turn.
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
            remove_at(top.as_fd(), OsStr::new(fresh))?;
            absent(rfs::renameat(from, name, top, fresh))
        }
        other => absent(other),
    }
}

fn children(directory: &OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    let mut children = Vec::new();
    for entry in rfs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        let is_dir = match entry.file_type() {
            FileType::Unknown => {
                let stat = rfs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        children.push((name.to_owned(), is_dir));
    }
    Ok(children)
}

fn absent(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

/// Everything written to the file system that holds `file` is on disk afterwards.
pub fn sync_file_system(file: &File) -> io::Result<()> {
    Ok(rfs::syncfs(file)?)
}

/// Bytes and inodes that a work in this directory may take: what is free, less a reserve that keeps the host alive.
pub fn room(directory: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    const RESERVE: u64 = 256 << 20;
    let stat = rfs::fstatvfs(directory)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // File systems without a fixed number of inodes report none.
    let inodes = if stat.f_files == 0 { u64::MAX } else { stat.f_favail.saturating_sub(1024) };
    Ok((free.saturating_sub(RESERVE.min(free / 10)), inodes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn no_path_leads_out_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("../../outside", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let tree = Tree::open(&root).unwrap();
        let inode = |fd: OwnedFd| rfs::fstat(&fd).unwrap().st_ino;
        let inside = inode(tree.directory(Path::new("etc")).unwrap());
        for path in ["/etc", "../etc", "absolute", "../../../../etc", "etc/../../etc"] {
            assert_eq!(inode(tree.directory(Path::new(path)).unwrap()), inside, "{path}");
        }
        assert!(tree.directory(Path::new("up")).is_err());
        assert!(tree.directory(Path::new("loop/x")).is_err());
        assert!(tree.real_directory(Path::new("absolute")).is_err());
    }

    #[test]
    fn missing_directories_are_made_inside_even_through_links_to_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("var")).unwrap();
        symlink("/run", root.join("var/run")).unwrap();
        symlink("../../../../away", root.join("var/away")).unwrap();
        let tree = Tree::open(&root).unwrap();
        let mut made = Vec::new();
        tree.make_directory(Path::new("var/run/lock/x"), &mut made).unwrap();
        tree.make_directory(Path::new("var/away/y"), &mut made).unwrap();
        assert!(root.join("run/lock/x").is_dir());
        assert!(root.join("away/y").is_dir());
        assert!(!dir.path().join("away").exists());
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(tree.make_directory(Path::new("a/x"), &mut made).is_err());
    }

    #[test]
    fn a_very_deep_tree_is_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        fs::write(dir.path().join("keep"), "").unwrap();
        symlink(dir.path(), top.join("link")).unwrap();
        fs::write(top.join(".muster-removed-0"), "a file in the way").unwrap();
        let mut fd = rfs::open(&top, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rfs::mkdirat(&fd, "d", Mode::from_raw_mode(0o755)).unwrap();
            fd = rfs::openat(&fd, "d", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        }
        remove(&top).unwrap();
        assert!(!top.exists());
        assert!(dir.path().join("keep").exists());
        remove(&top).unwrap();
    }
}
