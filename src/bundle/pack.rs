//! A directory as a tar: owners, modes, times to the nanosecond, xattrs, hard links, devices and fifos; a hole of a file
//! takes no room. The same tree gives the same bytes.
//!
//! Nothing is opened by a path that could lead through a link: a container may be at work in the tree meanwhile.

use crate::image::tree::Tree;
use ::tar::{EntryType, Header};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    fs::{self as rfs, AtFlags, FileType, Mode, OFlags, SeekFrom, Stat},
    io::Errno,
};
use std::{
    collections::{BTreeSet, HashMap},
    ffi::{CString, OsStr, OsString},
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

const BLOCK: usize = 512;
/// Parts of a file, as many as are read back.
const MAX_PARTS: usize = 1 << 17;

/// Writes what is at the paths `selected` below `root`, with the directories above them; an empty path is all of it.
pub fn pack(root: &Path, selected: &[PathBuf], out: &mut impl Write) -> io::Result<()> {
    let mut packer = Packer {
        tree: Tree::open(root)?,
        out,
        links: HashMap::new(),
        told: BTreeSet::new(),
        buffer: vec![0; 256 << 10],
    };
    for path in selected {
        packer.parents(path)?;
        packer.subtree(path)?;
    }
    packer.out.write_all(&[0; 2 * BLOCK])
}

struct Packer<'a, W> {
    tree: Tree,
    out: &'a mut W,
    /// First names of files that have several.
    links: HashMap<(u64, u64), PathBuf>,
    /// Directories above what was selected.
    told: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<'_, W> {
    fn parents(&mut self, path: &Path) -> io::Result<()> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for directory in above {
            if !directory.as_os_str().is_empty() && self.told.insert(directory.to_owned()) {
                let fd = self.tree.real_directory(directory)?;
                self.directory(fd.as_fd(), directory)?;
            }
        }
        Ok(())
    }

    fn subtree(&mut self, top: &Path) -> io::Result<()> {
        // By path and not by descriptor: a tree may be deep. The next one is the last.
        let mut left = if top.as_os_str().is_empty() {
            let fd = self.tree.real_directory(top)?;
            self.directory(fd.as_fd(), top)?;
            children(&fd, top)?
        } else {
            vec![top.to_owned()]
        };
        while let Some(path) = left.pop() {
            match self.member(&path) {
                Ok(Some(directory)) => left.extend(children(&directory, &path)?),
                // Gone since its directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound && path != top => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// A directory comes back, for what is in it.
    fn member(&mut self, path: &Path) -> io::Result<Option<OwnedFd>> {
        let parent = self.tree.real_directory(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let stat = rfs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let entry = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let fd = self.tree.real_directory(path)?;
                self.directory(fd.as_fd(), path)?;
                return Ok(Some(fd));
            }
            FileType::RegularFile => return self.file(parent.as_fd(), name, path, &stat).map(|()| None),
            FileType::Symlink => EntryType::Symlink,
            FileType::CharacterDevice => EntryType::Char,
            FileType::BlockDevice => EntryType::Block,
            FileType::Fifo => EntryType::Fifo,
            // A socket without the process that listens is nothing.
            _ => return Ok(None),
        };
        let target = match entry {
            EntryType::Symlink => rfs::readlinkat(&parent, name, Vec::new())?.into_bytes(),
            _ => Vec::new(),
        };
        let xattrs = xattrs_at(parent.as_fd(), name)?;
        self.header(entry, path.as_os_str().as_bytes(), &target, &stat, 0, records(&stat, xattrs))?;
        Ok(None)
    }

    fn directory(&mut self, fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
        let stat = rfs::fstat(fd)?;
        let mut name = if path.as_os_str().is_empty() { b".".to_vec() } else { path.as_os_str().as_bytes().to_vec() };
        name.push(b'/');
        self.header(EntryType::Directory, &name, &[], &stat, 0, records(&stat, xattrs_of(fd)?))
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, stat: &Stat) -> io::Result<()> {
        let bytes = path.as_os_str().as_bytes();
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&key).cloned() {
                return self.header(EntryType::Link, bytes, first.as_os_str().as_bytes(), stat, 0, Vec::new());
            }
            self.links.insert(key, path.to_owned());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rfs::openat(parent, name, flags, Mode::empty()).map_err(|error| of(path, error.into()));
        let mut file = File::from(opened?);
        let stat = rfs::fstat(&file)?;
        let mut records = records(&stat, xattrs_of(file.as_fd())?);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let holes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512 < size;
        match if holes { parts(&file, size)? } else { None } {
            None => {
                self.header(EntryType::Regular, bytes, &[], &stat, size, records)?;
                self.copy(&mut file, size, path)?;
                self.padding(size)
            }
            // GNU tar manual, "PAX Format, Version 1.0": the map stands before the data.
            Some(parts) => {
                let mut map = format!("{}\n", parts.len());
                map.extend(parts.iter().map(|(offset, length)| format!("{offset}\n{length}\n")));
                let mut map = map.into_bytes();
                map.resize(map.len().next_multiple_of(BLOCK), 0);
                let stored = map.len() as u64 + parts.iter().map(|(_, length)| length).sum::<u64>();
                records.extend([
                    (b"GNU.sparse.major".to_vec(), b"1".to_vec()),
                    (b"GNU.sparse.minor".to_vec(), b"0".to_vec()),
                    (b"GNU.sparse.name".to_vec(), bytes.to_vec()),
                    (b"GNU.sparse.realsize".to_vec(), size.to_string().into_bytes()),
                ]);
                self.header(EntryType::Regular, bytes, &[], &stat, stored, records)?;
                self.out.write_all(&map)?;
                for (offset, length) in parts {
                    file.seek(io::SeekFrom::Start(offset))?;
                    self.copy(&mut file, length, path)?;
                }
                self.padding(stored)
            }
        }
    }

    /// So many bytes: of a file that has become shorter since, zeros are missing.
    fn copy(&mut self, file: &mut File, mut left: u64, path: &Path) -> io::Result<()> {
        while left > 0 {
            let want = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut length = match file.read(&mut self.buffer[..want]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|error| of(path, error))?,
            };
            if length == 0 {
                self.buffer[..want].fill(0);
                length = want;
            }
            self.out.write_all(&self.buffer[..length])?;
            left -= length as u64;
        }
        Ok(())
    }

    fn padding(&mut self, size: u64) -> io::Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.out.write_all(&[0; BLOCK][over..]) }
    }

    fn header(
        &mut self,
        entry: EntryType,
        name: &[u8],
        link: &[u8],
        stat: &Stat,
        size: u64,
        mut records: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> io::Result<()> {
        if name.len() > 100 {
            records.push((b"path".to_vec(), name.to_vec()));
        }
        if link.len() > 100 {
            records.push((b"linkpath".to_vec(), link.to_vec()));
        }
        if !records.is_empty() {
            records.sort();
            let body: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
            let mut header = blank(EntryType::XHeader, b"pax", body.len() as u64);
            header.set_cksum();
            self.out.write_all(header.as_bytes())?;
            self.out.write_all(&body)?;
            self.padding(body.len() as u64)?;
        }
        let mut header = blank(entry, name, size);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        put(&mut header.as_mut_bytes()[157..257], link);
        if matches!(entry, EntryType::Char | EntryType::Block) {
            header.set_device_major(rfs::major(stat.st_rdev))?;
            header.set_device_minor(rfs::minor(stat.st_rdev))?;
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }
}

fn blank(entry: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    put(&mut header.as_mut_bytes()[..100], name);
    header
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

/// What an ustar header has no field for.
fn records(stat: &Stat, xattrs: Vec<(CString, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut records = Vec::new();
    if stat.st_mtime < 0 || stat.st_mtime_nsec != 0 {
        records.push((
            b"mtime".to_vec(),
            decimal(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)).into_bytes(),
        ));
    }
    let key = |name: CString| [b"SCHILY.xattr.", name.as_bytes()].concat();
    records.extend(xattrs.into_iter().map(|(name, value)| (key(name), value)));
    records
}

/// Seconds and the nanoseconds after them, which always count upwards, as one number.
fn decimal(seconds: i64, nanos: u32) -> String {
    if seconds < 0 && nanos > 0 {
        return format!("-{}.{:09}", seconds.unsigned_abs() - 1, 1_000_000_000 - nanos);
    }
    format!("{seconds}.{nanos:09}")
}

/// `<length> <key>=<value>\n`, whose length counts its own digits, pax(1).
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// Where a file has data; the last part ends where the file ends. `None` where it has no holes, or too many parts.
fn parts(file: &File, size: u64) -> io::Result<Option<Vec<(u64, u64)>>> {
    let (mut parts, mut here) = (Vec::new(), 0);
    while here < size {
        let start = match rfs::seek(file, SeekFrom::Data(here)) {
            Ok(start) => start.min(size),
            Err(Errno::NXIO) => break,
            // A file system that does not know.
            Err(Errno::INVAL | Errno::NOTSUP) => return rewound(file, None),
            Err(error) => return Err(error.into()),
        };
        here = rfs::seek(file, SeekFrom::Hole(start))?.min(size);
        if here > start {
            parts.push((start, here - start));
        }
        if parts.len() > MAX_PARTS {
            return rewound(file, None);
        }
    }
    if parts == [(0, size)] {
        return rewound(file, None);
    }
    if parts.last().is_none_or(|(start, length)| start + length < size) {
        parts.push((size, 0));
    }
    rewound(file, Some(parts))
}

fn rewound<T>(file: &File, value: T) -> io::Result<T> {
    rfs::seek(file, SeekFrom::Start(0))?;
    Ok(value)
}

/// Paths of what is in a directory, in reverse order.
fn children(directory: &OwnedFd, path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names: Vec<OsString> = Vec::new();
    for entry in rfs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort_by(|a, b| b.cmp(a));
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

fn xattrs_of(fd: BorrowedFd<'_>) -> io::Result<Vec<(CString, Vec<u8>)>> {
    xattrs(|buffer| rfs::flistxattr(fd, buffer), |name, buffer| rfs::fgetxattr(fd, name, buffer))
}

fn xattrs_at(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    xattrs(|buffer| rfs::llistxattr(&path[..], buffer), |name, buffer| rfs::lgetxattr(&path[..], name, buffer))
}

/// What belongs to a file and not to this host: capabilities, access lists and the user's own.
fn xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&CString, &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<(CString, Vec<u8>)>> {
    // The kernel lists no more (XATTR_LIST_MAX). With an empty buffer rustix answers 0, whatever there is.
    let mut names = vec![0; 64 << 10];
    let length = match list(&mut names) {
        Ok(0) | Err(Errno::NOTSUP | Errno::PERM) => return Ok(Vec::new()),
        Ok(length) => length,
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0) {
        let kept =
            name == b"security.capability" || name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
        if !kept {
            continue;
        }
        let name = CString::new(name)?;
        let mut value = vec![0; 64 << 10];
        let length = get(&name, &mut value)?;
        value.truncate(length);
        found.push((name, value));
    }
    Ok(found)
}

/// Which of many files it was.
fn of(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::layer::{Limits, unpack_plain};
    use std::{
        fs,
        os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    };

    fn packed(root: &Path, selected: &[PathBuf]) -> Vec<u8> {
        let mut out = Vec::new();
        pack(root, selected, &mut out).unwrap();
        out
    }

    fn there_and_back(root: &Path, selected: &[PathBuf]) -> tempfile::TempDir {
        let target = tempfile::tempdir_in("/var/tmp").unwrap();
        unpack_plain(&packed(root, selected)[..], target.path(), Limits::of(target.path()).unwrap()).unwrap();
        target
    }

    #[test]
    fn a_tree_comes_back_as_it_was() {
        let source = tempfile::tempdir_in("/var/tmp").unwrap();
        let at = |name: &str| source.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "content").unwrap();
        fs::hard_link(at("a/b/file"), at("zlink")).unwrap();
        fs::write(at(".wh.file"), "no whiteout").unwrap();
        fs::write(at(&"n".repeat(120)), "a long name").unwrap();
        symlink("../outside", at("link")).unwrap();
        rfs::mknodat(rfs::CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
        fs::set_permissions(at("a"), fs::Permissions::from_mode(0o3711)).unwrap();
        std::os::unix::fs::chown(at("a/b"), Some(70), Some(71)).unwrap();
        rfs::setxattr(at("a/b/file"), "user.note", b"=\n\0x", rfs::XattrFlags::empty()).unwrap();
        let sparse = File::create(at("sparse")).unwrap();
        sparse.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_at(&sparse, b"island", 20 << 20).unwrap();
        fs::set_permissions(source.path(), fs::Permissions::from_mode(0o700)).unwrap();
        File::open(at("a/b/file"))
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(7, 89))
            .unwrap();

        assert!(packed(source.path(), &[PathBuf::new()]).len() < 1 << 20, "holes take no room");
        assert_eq!(packed(source.path(), &[PathBuf::new()]), packed(source.path(), &[PathBuf::new()]));
        let target = there_and_back(source.path(), &[PathBuf::new()]);
        let there = |name: &str| target.path().join(name);
        let data = |path: PathBuf| fs::symlink_metadata(path).unwrap();
        for name in ["", "a", "a/b", "a/b/file", "zlink", ".wh.file", "fifo", "link", "sparse"] {
            let (old, new) = (data(at(name)), data(there(name)));
            assert_eq!(
                (old.mode(), old.uid(), old.gid(), old.mtime(), old.mtime_nsec(), old.len() * u64::from(old.is_file())),
                (new.mode(), new.uid(), new.gid(), new.mtime(), new.mtime_nsec(), new.len() * u64::from(new.is_file())),
                "{name}"
            );
        }
        assert_eq!(data(there("zlink")).ino(), data(there("a/b/file")).ino());
        assert_eq!(fs::read_to_string(there(&"n".repeat(120))).unwrap(), "a long name");
        assert_eq!(fs::read_link(there("link")).unwrap(), Path::new("../outside"));
        assert!(data(there("fifo")).file_type().is_fifo());
        assert!(data(there("sparse")).blocks() < 1000);
        let mut island = [0; 6];
        std::os::unix::fs::FileExt::read_exact_at(&File::open(there("sparse")).unwrap(), &mut island, 20 << 20)
            .unwrap();
        assert_eq!(&island, b"island");
        let mut value = [0; 16];
        let length = rfs::getxattr(there("a/b/file"), "user.note", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"=\n\0x");
    }

    #[test]
    fn a_selection_comes_with_the_directories_above_it() {
        let source = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::create_dir_all(source.path().join("conf/sites")).unwrap();
        fs::write(source.path().join("conf/sites/a"), "a").unwrap();
        fs::write(source.path().join("conf/other"), "no").unwrap();
        fs::set_permissions(source.path().join("conf"), fs::Permissions::from_mode(0o750)).unwrap();
        let target = there_and_back(source.path(), &["conf/sites".into()]);
        assert_eq!(fs::read_to_string(target.path().join("conf/sites/a")).unwrap(), "a");
        assert!(!target.path().join("conf/other").exists());
        assert_eq!(fs::metadata(target.path().join("conf")).unwrap().mode() & 0o777, 0o750);
    }

    #[test]
    fn a_record_counts_its_own_digits() {
        assert_eq!(record(b"a", b"b"), b"6 a=b\n");
        assert_eq!(record(b"path", &[b'x'; 90]).len(), 99);
        assert!(record(b"path", &[b'x'; 91]).starts_with(b"101 "));
        assert_eq!((decimal(1, 5), decimal(-1, 250_000_000)), ("1.000000005".into(), "-0.750000000".into()));
    }
}
