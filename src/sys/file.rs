//! Files by descriptor: openat2(2) and the *at family. No function here follows a link out of the root it is given.

use super::{Error, Result, error::Named};
use rustix::fs::{AtFlags, CWD, Dev, FileType, Mode, OFlags, ResolveFlags};
use std::{
    ffi::{CStr, CString, OsStr, OsString},
    fs::File,
    io::Read,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

pub use rustix::fs::{FileType as Kind, Stat, Timespec, major, makedev, minor};

/// Magic numbers of statfs(2).
pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;
pub const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
pub const PIPEFS_MAGIC: i64 = 0x5049_5045;
pub const SYSFS_MAGIC: i64 = 0x6265_6572;

/// For `OpenOptions::custom_flags`: a link is refused.
pub const NOFOLLOW: i32 = libc::O_NOFOLLOW;

/// How far a path may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// `..` and absolute links count from the directory given, as in a chroot; magic links are refused.
    Root,
    /// As `Root`, but no link at all.
    RootWithoutLinks,
    /// No link at all, and no other mount: for files of the kernel's own file systems.
    FileSystem,
}

impl Within {
    fn flags(self) -> ResolveFlags {
        match self {
            Self::Root => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            Self::RootWithoutLinks => ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
            Self::FileSystem => ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS,
        }
    }
}

/// An O_PATH descriptor.
pub fn resolve(root: BorrowedFd<'_>, path: &Path, within: Within) -> Result<OwnedFd> {
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, within)
}

/// For reading, without waiting for the writer of a FIFO that a hostile image put there.
pub fn open_for_reading(root: BorrowedFd<'_>, path: &Path, within: Within) -> Result<OwnedFd> {
    openat2(root, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, within)
}

pub fn open_for_writing(root: BorrowedFd<'_>, path: &Path, within: Within) -> Result<OwnedFd> {
    openat2(root, path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, within)
}

fn openat2(root: BorrowedFd<'_>, path: &Path, flags: OFlags, within: Within) -> Result<OwnedFd> {
    // BENEATH refuses absolute paths, IN_ROOT takes them from the root.
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    for _ in 0..128 {
        match rustix::fs::openat2(root, relative, flags, Mode::empty(), within.flags()) {
            // A rename raced with a `..`; the kernel asks to try again (openat2(2)).
            Err(rustix::io::Errno::AGAIN) => {}
            result => return result.named("open", path.display()),
        }
    }
    Err(Error::new("open", path.display(), rustix::io::Errno::AGAIN))
}

/// An O_PATH descriptor of a path of the caller's own root, links followed.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).named("open", path.display())
}

/// An entry of a directory, itself and not what it links to. O_PATH.
pub fn open_entry(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).named("open", name.display())
}

/// A subdirectory for reading; a link is refused.
pub fn open_directory(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).named("open", name.display())
}

/// A regular file for reading; a link is refused.
pub fn open_file(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(directory, name, flags, Mode::empty()).named("open", name.display())
}

/// A new file; one that exists is refused.
pub fn create_file(directory: BorrowedFd<'_>, name: &OsStr, mode: u32) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode)).named("create", name.display())
}

/// One file name of a trusted directory read-write, such as `ptmx` of a devpts; no controlling terminal.
pub fn open_device(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).named("open", name.display())
}

pub fn make_directory(directory: BorrowedFd<'_>, name: &OsStr, mode: u32) -> Result<()> {
    rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(mode)).named("mkdir", name.display())
}

pub fn make_node(directory: BorrowedFd<'_>, name: &OsStr, kind: FileType, mode: u32, device: Dev) -> Result<()> {
    rustix::fs::mknodat(directory, name, kind, Mode::from_raw_mode(mode), device).named("mknod", name.display())
}

pub fn make_link(target: &OsStr, directory: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    rustix::fs::symlinkat(target, directory, name).named("symlink", name.display())
}

/// A second name for the file `from`, a path below `root` without links.
pub fn make_hard_link(root: BorrowedFd<'_>, from: &Path, directory: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    rustix::fs::linkat(root, from, directory, name, AtFlags::empty()).named("link", name.display())
}

pub fn read_link(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OsString> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new()).named("readlink", name.display())?;
    Ok(OsString::from_vec(target.into_bytes()))
}

pub fn remove_file(directory: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    rustix::fs::unlinkat(directory, name, AtFlags::empty()).named("unlink", name.display())
}

pub fn remove_directory(directory: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR).named("rmdir", name.display())
}

/// Of the entry itself, not of what it links to.
pub fn stat_entry(directory: BorrowedFd<'_>, name: &OsStr) -> Result<Stat> {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).named("stat", name.display())
}

pub fn stat(file: BorrowedFd<'_>) -> Result<Stat> {
    rustix::fs::fstat(file).named("stat", "open file")
}

pub fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Type of the file system that holds the file: a magic number of statfs(2).
pub fn file_system(file: BorrowedFd<'_>) -> Result<i64> {
    #[allow(clippy::unnecessary_cast)] // the field's type differs between architectures
    rustix::fs::fstatfs(file).named("statfs", "open file").map(|found| found.f_type as i64)
}

pub fn set_owner(file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    rustix::fs::fchown(file, Some(uid), Some(gid)).named("chown", "open file")
}

/// Of the entry itself, also when it is a link.
pub fn set_entry_owner(directory: BorrowedFd<'_>, name: &OsStr, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).named("chown", name.display())
}

pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<()> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).named("chmod", "open file")
}

/// Of an entry that is no link.
pub fn set_entry_mode(directory: BorrowedFd<'_>, name: &OsStr, mode: u32) -> Result<()> {
    rustix::fs::chmodat(directory, name, Mode::from_raw_mode(mode), AtFlags::empty()).named("chmod", name.display())
}

/// Time of last access and of last change of the entry itself.
pub fn set_entry_times(directory: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> Result<()> {
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // field types differ between architectures
    let times = rustix::fs::Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as i64, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime as i64, tv_nsec: stat.st_mtime_nsec as _ },
    };
    rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW).named("utimensat", name.display())
}

/// Extended attributes of an open file, name and value. A file system without them has none.
pub fn attributes(file: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>> {
    let length = match rustix::fs::flistxattr(file, &mut [0u8; 0][..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(errno) => return Err(Error::new("listxattr", "open file", errno)),
    };
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut names = vec![0u8; length];
    let length = rustix::fs::flistxattr(file, &mut names[..]).named("listxattr", "open file")?;
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .filter_map(|name| CString::new(name).ok())
        .map(|name| {
            let mut value = vec![0u8; 64 * 1024];
            let length = rustix::fs::fgetxattr(file, name.as_c_str(), &mut value[..])
                .named("getxattr", name.to_string_lossy())?;
            value.truncate(length);
            Ok((name, value))
        })
        .collect()
}

pub fn set_attribute(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty()).named("setxattr", name.to_string_lossy())
}

/// Names in an open directory, without `.` and `..`.
pub fn list(directory: BorrowedFd<'_>) -> Result<Vec<OsString>> {
    let entries = rustix::fs::Dir::read_from(directory).named("getdents", "directory")?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.named("getdents", "directory")?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Everything of a regular file up to `limit` bytes; a longer one, or what is no regular file, is refused.
pub fn read_regular(file: OwnedFd, limit: u64, object: &Path) -> Result<Vec<u8>> {
    if kind(&stat(file.as_fd())?) != FileType::RegularFile {
        return Err(Error::new("read", object.display(), rustix::io::Errno::INVAL));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::from_io("read", object.display(), &error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new("read", object.display(), rustix::io::Errno::FBIG));
    }
    Ok(bytes)
}

/// One write, whole; for the kernel's own files, which take a value at once.
pub fn write_once(file: BorrowedFd<'_>, value: &[u8], object: impl std::fmt::Display) -> Result<()> {
    rustix::io::write(file, value).named("write", object).map(drop)
}

/// Whole, over several writes when the kernel takes less.
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8], object: impl std::fmt::Display) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::new("write", object, errno)),
        }
    }
    Ok(())
}

/// Writes everything of the file system that holds the file to its disk.
pub fn sync_file_system(file: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::syncfs(file).named("syncfs", "volume")
}

pub fn change_directory(directory: BorrowedFd<'_>, object: &Path) -> Result<()> {
    rustix::process::fchdir(directory).named("chdir", object.display())
}

/// A working directory outside the root comes back as `(unreachable)/...` (getcwd(2)).
pub fn working_directory() -> Result<PathBuf> {
    let path = rustix::process::getcwd(Vec::new()).named("getcwd", "working directory")?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

/// The root directory of the caller. O_PATH.
pub fn root() -> Result<OwnedFd> {
    open_path(Path::new("/"))
}

/// Whether the caller may execute the path, by its effective ids.
pub fn may_execute(path: &Path) -> Result<()> {
    rustix::fs::accessat(CWD, path, rustix::fs::Access::EXEC_OK, AtFlags::EACCESS).named("access", path.display())
}

/// Type and permission of what the path leads to.
pub fn stat_path(path: &Path) -> Result<Stat> {
    rustix::fs::stat(path).named("stat", path.display())
}
