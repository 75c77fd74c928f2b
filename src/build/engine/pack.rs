//! A layer directory becomes the blob that images are made of: tar, in the order of names, hashed, compressed, hashed
//! again, in one pass.
//!
//! overlayfs' whiteouts become `.wh.x`, an opaque directory gets `.wh..wh..opq` where there is something to hide. Two
//! threads: one reads and hashes the archive, the other compresses it and hashes the result.

use super::{
    archive::{self, Member, Type},
    upper::is_overlay,
    view::{self, Node, View},
};
use crate::image::{Digest, digest::Hasher, tree::Attributes};
use flate2::{Compression, write::GzEncoder};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self as rfs, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::{CString, OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

/// Bytes that travel from one thread to the other at once.
const CHUNK: usize = 256 << 10;
/// Chunks on their way.
const QUEUE: usize = 8;
/// As the unpacker bounds paths, PATH_MAX.
const MAX_DEPTH: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub diff_id: Digest,
    pub blob: Digest,
    /// Bytes of the blob.
    pub size: u64,
}

/// Writes the layer `dir`, which lies upon `lowers` (uppermost first), as a gzip blob to `file`.
pub fn pack(dir: &Path, lowers: &[PathBuf], file: File, cancelled: &AtomicBool) -> io::Result<Packed> {
    let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(QUEUE);
    thread::scope(|scope| {
        let compressing = thread::Builder::new().name("muster-gzip".into()).spawn_scoped(scope, move || {
            let mut encoder =
                GzEncoder::new(Hashing { inner: file, hasher: Hasher::default(), count: 0 }, Compression::fast());
            for chunk in receiver {
                encoder.write_all(&chunk)?;
            }
            let mut out = encoder.finish()?;
            out.flush()?;
            Ok::<_, io::Error>((out.hasher.finish(), out.count))
        })?;
        let mut out = Chunks { sender: Some(sender), hasher: Hasher::default(), chunk: Vec::with_capacity(CHUNK) };
        let written = write(dir, lowers, &mut out, cancelled).and_then(|()| out.end());
        out.sender = None;
        let compressed = compressing.join().map_err(|_| io::Error::other("the compressing thread panicked"))?;
        // A disk that is full shows as a thread that has gone; what it says is the cause.
        let (blob, size) = compressed?;
        written?;
        Ok(Packed { diff_id: out.hasher.finish(), blob, size })
    })
}

struct Chunks {
    sender: Option<mpsc::SyncSender<Vec<u8>>>,
    hasher: Hasher,
    chunk: Vec<u8>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.hasher.update(&chunk);
        let sender = self.sender.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        sender.send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn end(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..length]);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(length)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    count: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.count += length as u64;
        Ok(length)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write(dir: &Path, lowers: &[PathBuf], out: &mut impl Write, cancelled: &AtomicBool) -> io::Result<()> {
    let mut writer = Writer { below: View::open(lowers)?, out, links: HashMap::new(), buffer: vec![0; CHUNK] };
    let top = rfs::open(dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // Names still to be written, the next one last. By path and not by descriptor: a tree may be deep.
    let mut left = children(&top, Path::new(""))?;
    let mut parents = Parents { top: &top, last: None };
    while let Some(path) = left.pop() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let parent = parents.of(&path)?;
        let Some(name) = path.file_name() else { continue };
        if let Some(directory) = writer.member(parent, name, &path)? {
            if path.components().count() > MAX_DEPTH {
                return Err(Errno::NAMETOOLONG.into());
            }
            left.extend(children(&directory, &path)?);
        }
    }
    archive::end(writer.out)
}

/// The directory of the name before: most have the same.
struct Parents<'a> {
    top: &'a OwnedFd,
    last: Option<(PathBuf, OwnedFd)>,
}

impl Parents<'_> {
    fn of(&mut self, path: &Path) -> io::Result<BorrowedFd<'_>> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let last = self.last.take_if(|(last, _)| last == parent);
        let fd = match last {
            Some((_, fd)) => fd,
            None => open_below(self.top, parent)?,
        };
        Ok(self.last.insert((parent.to_owned(), fd)).1.as_fd())
    }
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

fn open_below(top: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let how = rfs::ResolveFlags::BENEATH | rfs::ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rfs::openat2(top, path, flags, Mode::empty(), how)?)
}

struct Writer<'a, W> {
    below: View,
    out: &'a mut W,
    /// First names of files that have several, by inode.
    links: HashMap<u64, PathBuf>,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<'_, W> {
    /// A directory comes back, for what is in it.
    fn member(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> io::Result<Option<OwnedFd>> {
        let stat = rfs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let bytes = path.as_os_str().as_bytes();
        match kind {
            FileType::Directory => return self.directory(parent, name, path, &stat).map(Some),
            FileType::RegularFile => self.file(parent, name, path, &stat)?,
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                let hidden = beside(path, &[b".wh.", name.as_bytes()].concat());
                self.plain(Type::File, &hidden, &[], &Attributes::default(), 0)?;
            }
            FileType::Symlink => {
                let target = rfs::readlinkat(parent, name, Vec::new())?;
                self.plain(Type::Symlink, bytes, target.as_bytes(), &attributes_at(parent, name, &stat)?, 0)?;
            }
            FileType::CharacterDevice => {
                self.plain(Type::Character, bytes, &[], &attributes_at(parent, name, &stat)?, stat.st_rdev)?;
            }
            FileType::BlockDevice => {
                self.plain(Type::Block, bytes, &[], &attributes_at(parent, name, &stat)?, stat.st_rdev)?;
            }
            FileType::Fifo => self.plain(Type::Fifo, bytes, &[], &attributes_at(parent, name, &stat)?, 0)?,
            // A socket without the process that listens is nothing; Docker leaves it out as well.
            _ => {}
        }
        Ok(None)
    }

    fn plain(&mut self, kind: Type, name: &[u8], link: &[u8], attributes: &Attributes, device: u64) -> io::Result<()> {
        let device = (rfs::major(device), rfs::minor(device));
        archive::header(self.out, &Member { kind, name, link, attributes, size: 0, device })
    }

    fn directory(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, stat: &Stat) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rfs::openat(parent, name, flags, Mode::empty())?;
        let attributes = attributes_of(fd.as_fd(), stat)?;
        let mut shown = path.as_os_str().as_bytes().to_vec();
        shown.push(b'/');
        self.plain(Type::Directory, &shown, &[], &attributes, 0)?;
        // The kernel marks every directory that it makes anew; it says something only where the layers below have one.
        if view::is_opaque(fd.as_fd())? && self.hides(path)? {
            shown.extend_from_slice(b".wh..wh..opq");
            self.plain(Type::File, &shown, &[], &Attributes::default(), 0)?;
        }
        Ok(fd)
    }

    fn hides(&self, path: &Path) -> io::Result<bool> {
        match self.below.walk(path, false) {
            // A link on the way: what is below is another directory.
            Ok(place) => Ok(place.path == path && matches!(place.node, Some(Node::Dir(_)))),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, stat: &Stat) -> io::Result<()> {
        let bytes = path.as_os_str().as_bytes();
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&stat.st_ino) {
                let first = first.clone();
                let attributes = attributes_at(parent, name, stat)?;
                return self.plain(Type::HardLink, bytes, first.as_os_str().as_bytes(), &attributes, 0);
            }
            self.links.insert(stat.st_ino, path.to_owned());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let of = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut file = File::from(rfs::openat(parent, name, flags, Mode::empty()).map_err(|error| of(error.into()))?);
        let attributes = attributes_of(file.as_fd(), stat)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let member = Member { kind: Type::File, name: bytes, link: &[], attributes: &attributes, size, device: (0, 0) };
        archive::header(self.out, &member)?;
        let mut left = size;
        while left > 0 {
            let want = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = match file.read(&mut self.buffer[..want]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => return Err(of(io::ErrorKind::UnexpectedEof.into())),
                other => other.map_err(of)?,
            };
            self.out.write_all(&self.buffer[..length])?;
            left -= length as u64;
        }
        archive::padding(self.out, size)
    }
}

fn beside(path: &Path, name: &[u8]) -> Vec<u8> {
    path.with_file_name(OsStr::from_bytes(name)).into_os_string().into_vec()
}

/// Whole seconds, as other builders write them.
fn plain_attributes(stat: &Stat) -> Attributes {
    Attributes {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
        mtime: (stat.st_mtime, 0),
        xattrs: Vec::new(),
    }
}

fn attributes_of(fd: BorrowedFd<'_>, stat: &Stat) -> io::Result<Attributes> {
    let xattrs = xattrs(|buffer| rfs::flistxattr(fd, buffer), |name, buffer| rfs::fgetxattr(fd, name, buffer))?;
    Ok(Attributes { xattrs, ..plain_attributes(stat) })
}

fn attributes_at(parent: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> io::Result<Attributes> {
    let mut path = format!("/proc/self/fd/{}/", std::os::fd::AsRawFd::as_raw_fd(&parent)).into_bytes();
    path.extend_from_slice(name.as_bytes());
    let xattrs =
        xattrs(|buffer| rfs::llistxattr(&path[..], buffer), |name, buffer| rfs::lgetxattr(&path[..], name, buffer))?;
    Ok(Attributes { xattrs, ..plain_attributes(stat) })
}

/// What belongs to a file and not to this host: capabilities and the user's own. Sorted.
pub fn xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&CString, &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<(CString, Vec<u8>)>> {
    // Most files have none or one; the kernel's limit for all names is 64 KiB (xattr(7)).
    let mut few = [0; 256];
    let mut many = Vec::new();
    let names = match list(&mut few) {
        Ok(0) | Err(Errno::NOTSUP | Errno::PERM) => return Ok(Vec::new()),
        Ok(length) => &few[..length],
        Err(Errno::RANGE) => {
            many.resize(64 << 10, 0);
            let length = list(&mut many)?;
            &many[..length]
        }
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0) {
        let kept = name == b"security.capability" || (name.starts_with(b"user.") && !is_overlay(name));
        if !kept {
            continue;
        }
        let name = CString::new(name)?;
        let mut value = vec![0; 64 << 10];
        let length = get(&name, &mut value)?;
        value.truncate(length);
        found.push((name, value));
    }
    found.sort();
    Ok(found)
}

/// Bytes in the files of a layer, and, with `latest`, no time in it is later than that (SOURCE_DATE_EPOCH).
pub fn settle(dir: &Path, latest: Option<i64>) -> io::Result<u64> {
    let top = rfs::open(dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = 0;
    let mut left = children(&top, Path::new(""))?;
    clamp(top.as_fd(), OsStr::new("."), &rfs::fstat(&top)?, latest)?;
    let mut parents = Parents { top: &top, last: None };
    while let Some(path) = left.pop() {
        let parent = parents.of(&path)?;
        let Some(name) = path.file_name() else { continue };
        let stat = rfs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                refuse_redirect(parent, name, &path)?;
                left.extend(children(&open_below(&top, &path)?, &path)?);
            }
            FileType::RegularFile => bytes += u64::try_from(stat.st_size).unwrap_or(0),
            _ => {}
        }
        clamp(parent, name, &stat, latest)?;
    }
    Ok(bytes)
}

fn clamp(parent: BorrowedFd<'_>, name: &OsStr, stat: &Stat, latest: Option<i64>) -> io::Result<()> {
    let Some(latest) = latest else { return Ok(()) };
    if (stat.st_mtime, stat.st_mtime_nsec) <= (latest, 0) || view::is_whiteout(stat) {
        return Ok(());
    }
    let times = Attributes { mtime: (latest, 0), ..Attributes::default() }.times();
    Ok(rfs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// A directory that overlayfs moved by a note alone would be empty in an archive. The mount forbids it; this makes sure.
fn refuse_redirect(parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> io::Result<()> {
    let fd = rfs::openat(parent, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    match rfs::fgetxattr(&fd, "trusted.overlay.redirect", &mut [0; 1][..]) {
        Ok(_) | Err(Errno::RANGE) => {
            Err(io::Error::other(format!("{}: the kernel moved a directory by reference", path.display())))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
