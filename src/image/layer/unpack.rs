//! The files of one layer. Its archive is hostile: names, links and sizes are checked here, and paths are resolved by
//! `tree`, which lets none lead out.
//!
//! Whiteouts (image-spec, "Whiteouts") become overlayfs' own: `.wh.x` a character device 0/0 named `x`, and
//! `.wh..wh..opq` the xattr `trusted.overlay.opaque`. They speak of the layers below alone: what this layer has itself
//! stays, wherever in the archive it stands.

use super::{Kind, LayerError, Member, TarReader};
use crate::image::tree::{self, Attributes, Tree};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self as rfs, AtFlags, FileType, Mode, OFlags, XattrFlags},
    io::Errno,
};
use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

const WHITEOUT: &[u8] = b".wh.";
/// Notes of aufs for itself: `.wh..wh.plnk`, `.wh..wh.aufs`, `.wh..wh..tmp`.
const AUFS: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const OPAQUE_XATTR: &str = "trusted.overlay.opaque";
/// Bytes of a path, PATH_MAX.
const MAX_PATH: usize = 4096;
/// Far above any image that people use, and far below what harms the host.
const MAX_FILES: u64 = 8 << 20;
/// Bytes of directories' names that are kept in memory until the end.
pub(crate) const MAX_REMEMBERED: usize = 256 << 20;

/// What one layer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: u64,
    pub files: u64,
}

impl Limits {
    /// What is free where `dir` is.
    pub fn of(dir: &Path) -> Result<Self, LayerError> {
        let room = || Tree::open(dir).and_then(|tree| tree::room(tree.root()));
        let (bytes, files) = room().map_err(|source| entry_error("look at", dir, source))?;
        Ok(Self { bytes, files: files.min(MAX_FILES) })
    }
}

/// Unpacks the archive into `dir`, which is empty and nobody else's. Leaves what follows the archive's end unread.
pub fn unpack(archive: impl Read, dir: &Path, limits: Limits) -> Result<Unpacked, LayerError> {
    unpack_as(archive, dir, limits, true)
}

/// The same for files that are no layer: a name that begins with `.wh.` is a name like any other.
pub fn unpack_plain(archive: impl Read, dir: &Path, limits: Limits) -> Result<Unpacked, LayerError> {
    unpack_as(archive, dir, limits, false)
}

fn unpack_as(archive: impl Read, dir: &Path, limits: Limits, whiteouts: bool) -> Result<Unpacked, LayerError> {
    let tree = Tree::open(dir).map_err(|source| entry_error("open", dir, source))?;
    let mut unpacker = Unpacker {
        tree,
        whiteouts,
        bytes: limits.bytes,
        files: limits.files,
        limits,
        parent: None,
        times: HashMap::new(),
        implied: HashSet::new(),
        remembered: 0,
        buffer: vec![0; 128 << 10],
    };
    let mut archive = TarReader::new(archive);
    while let Some(member) = archive.next()? {
        unpacker.member(&member, &mut archive)?;
    }
    unpacker.finish()
}

/// What an archive left behind.
#[derive(Clone, Debug, Default)]
pub struct Unpacked {
    /// Directories that it needed but did not describe; the top one is the empty path.
    pub implied: Vec<PathBuf>,
    /// Bytes in its files.
    pub bytes: u64,
}

struct Unpacker {
    tree: Tree,
    /// Names speak of the layers below.
    whiteouts: bool,
    limits: Limits,
    /// Left of the limits.
    bytes: u64,
    files: u64,
    /// The directory of the last member: most have the same as the one before.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Of directories, set when nothing is written into them any more.
    times: HashMap<PathBuf, (i64, u32)>,
    implied: HashSet<PathBuf>,
    /// Bytes that the names in the two take.
    remembered: usize,
    buffer: Vec<u8>,
}

impl Unpacker {
    fn member(&mut self, member: &Member, data: &mut impl Read) -> Result<(), LayerError> {
        let path = clean(&member.name)?;
        let attributes = attributes(member, &path)?;
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            return self.root(member, attributes);
        };
        self.files = self.files.checked_sub(1).ok_or(LayerError::TooBig { what: "files", limit: self.limits.files })?;
        if self.remembered > MAX_REMEMBERED {
            return Err(LayerError::TooBig { what: "bytes of directory names", limit: MAX_REMEMBERED as u64 });
        }
        let parent_path = path.parent().unwrap_or(Path::new("")).to_owned();
        let parent =
            self.open_parent(&parent_path).map_err(|source| entry_error("make the directory of", &path, source))?;
        let made = if self.whiteouts && name.as_bytes() == OPAQUE {
            mark_opaque(parent.as_fd(), OsStr::new("."))
        } else if self.whiteouts && name.as_bytes().starts_with(AUFS) {
            Ok(())
        } else if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT).filter(|_| self.whiteouts) {
            if hidden.is_empty() || hidden == b"." || hidden == b".." {
                return Err(LayerError::Malformed { name: show(&path), reason: "it hides no file" });
            }
            whiteout(parent.as_fd(), OsStr::from_bytes(hidden))
        } else {
            match member.kind {
                Kind::Directory => self.directory(&parent, &name, &path, &attributes),
                Kind::File => return self.file(parent, &name, &path, member, &attributes, data),
                Kind::HardLink => return self.hard_link(parent, &name, &path, member),
                kind => self.special(&parent, &name, kind, member, &attributes),
            }
        };
        made.map_err(|source| entry_error("make", &path, source))?;
        self.parent = Some((parent_path, parent));
        Ok(())
    }

    /// The layer's own top directory.
    fn root(&mut self, member: &Member, attributes: Attributes) -> Result<(), LayerError> {
        if member.kind != Kind::Directory {
            return Err(LayerError::Malformed { name: "/".into(), reason: "the top of a layer is no directory" });
        }
        attributes.apply(self.tree.root()).map_err(|source| entry_error("make", Path::new("/"), source))?;
        self.times.insert(PathBuf::new(), attributes.mtime);
        Ok(())
    }

    fn open_parent(&mut self, path: &Path) -> io::Result<OwnedFd> {
        if let Some((_, fd)) = self.parent.take_if(|(last, _)| last == path) {
            return Ok(fd);
        }
        let mut made = Vec::new();
        let fd = match self.tree.make_directory(path, &mut made) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && self.lift_whiteout(path)? => {
                self.tree.make_directory(path, &mut made)?
            }
            other => other?,
        };
        for path in made {
            self.files = self.files.saturating_sub(1);
            self.remembered += path.as_os_str().len();
            self.implied.insert(path);
        }
        Ok(fd)
    }

    /// Puts a directory, hiding what is below, where a whiteout stands on the way of `path`: removed below and made
    /// anew here, by an archive that does not describe it. `false` when there is none.
    fn lift_whiteout(&self, path: &Path) -> io::Result<bool> {
        let mut here = PathBuf::new();
        for name in path.iter() {
            let parent = self.tree.directory(&here)?;
            if matches!(existing(parent.as_fd(), name)?, Existing::Whiteout) {
                rfs::unlinkat(&parent, name, AtFlags::empty())?;
                rfs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
                rfs::chmodat(&parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())?;
                mark_opaque(parent.as_fd(), name)?;
                return Ok(true);
            }
            here.push(name);
        }
        Ok(false)
    }

    /// A directory joins one of the same name; anything else gives way.
    fn directory(&mut self, parent: &OwnedFd, name: &OsStr, path: &Path, attributes: &Attributes) -> io::Result<()> {
        let mut opaque = false;
        loop {
            match rfs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
                Ok(()) => break,
                Err(Errno::EXIST) => match existing(parent.as_fd(), name)? {
                    Existing::Directory => break,
                    // Removed below and made anew here: nothing of the old one may shine through.
                    Existing::Whiteout => {
                        opaque = true;
                        rfs::unlinkat(parent, name, AtFlags::empty())?;
                    }
                    Existing::Other => rfs::unlinkat(parent, name, AtFlags::empty())?,
                },
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rfs::openat(parent, name, flags, Mode::empty())?;
        attributes.apply(fd.as_fd())?;
        if opaque {
            rfs::fsetxattr(&fd, OPAQUE_XATTR, b"y", XattrFlags::empty())?;
        }
        // Described after all; and a path can be described twice.
        self.implied.remove(path);
        self.remembered += path.as_os_str().len();
        self.times.insert(path.to_owned(), attributes.mtime);
        Ok(())
    }

    fn file(
        &mut self,
        parent: OwnedFd,
        name: &OsStr,
        path: &Path,
        member: &Member,
        attributes: &Attributes,
        data: &mut impl Read,
    ) -> Result<(), LayerError> {
        let wrong = |verb| move |source| entry_error(verb, path, source);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self
            .replacing(&parent, name, |parent| rfs::openat(parent, name, flags, Mode::from_raw_mode(0o600)))
            .map_err(wrong("make"))?;
        let mut file = File::from(fd);
        match &member.parts {
            None => self.copy(data, &mut file, member.size, path)?,
            Some(parts) => {
                for (offset, length) in parts {
                    file.seek(SeekFrom::Start(*offset)).map_err(wrong("write"))?;
                    self.copy(data, &mut file, *length, path)?;
                }
                file.set_len(member.size).map_err(wrong("write"))?;
            }
        }
        attributes.apply(file.as_fd()).map_err(wrong("set owner and mode of"))?;
        rfs::futimens(&file, &attributes.times()).map_err(|error| wrong("set the time of")(error.into()))?;
        self.parent = Some((path.parent().unwrap_or(Path::new("")).to_owned(), parent));
        Ok(())
    }

    fn copy(&mut self, data: &mut impl Read, file: &mut File, mut left: u64, path: &Path) -> Result<(), LayerError> {
        self.bytes =
            self.bytes.checked_sub(left).ok_or(LayerError::TooBig { what: "bytes", limit: self.limits.bytes })?;
        while left > 0 {
            let want = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = match data.read(&mut self.buffer[..want]) {
                Ok(0) => return Err(LayerError::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(LayerError::Read(error)),
            };
            io::Write::write_all(file, &self.buffer[..length]).map_err(|source| entry_error("write", path, source))?;
            left -= length as u64;
        }
        Ok(())
    }

    /// The target is looked up in this layer; its last part is not followed, so that a link to a link is one.
    fn hard_link(&mut self, parent: OwnedFd, name: &OsStr, path: &Path, member: &Member) -> Result<(), LayerError> {
        let wrong = |source| entry_error("make the hard link", path, source);
        let target = clean(&member.link)?;
        let Some(target_name) = target.file_name() else {
            return Err(LayerError::Malformed { name: show(path), reason: "a hard link to the top of the layer" });
        };
        if target == path {
            return Ok(());
        }
        let target_parent = self.tree.directory(target.parent().unwrap_or(Path::new(""))).map_err(wrong)?;
        self.replacing(&parent, name, |parent| {
            rfs::linkat(&target_parent, target_name, parent, name, AtFlags::empty())
        })
        .map_err(wrong)?;
        self.parent = Some((path.parent().unwrap_or(Path::new("")).to_owned(), parent));
        Ok(())
    }

    fn special(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        kind: Kind,
        member: &Member,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let file_type = match kind {
            Kind::Symlink => FileType::Symlink,
            Kind::Character => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = rfs::makedev(member.device.0, member.device.1);
        self.replacing(parent, name, |parent| match file_type {
            FileType::Symlink => rfs::symlinkat(OsStr::from_bytes(&member.link), parent, name),
            FileType::Fifo => rfs::mknodat(parent, name, file_type, Mode::from_raw_mode(0o600), 0),
            _ => rfs::mknodat(parent, name, file_type, Mode::from_raw_mode(0o600), device),
        })?;
        attributes.apply_at(parent.as_fd(), name, file_type)
    }

    /// Makes something under a name; what has it already gives way, as a later member outweighs an earlier one.
    fn replacing<T>(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        make: impl Fn(&OwnedFd) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        match make(parent) {
            Err(Errno::EXIST) => {
                tree::remove_at(parent.as_fd(), name)?;
                Ok(make(parent)?)
            }
            other => Ok(other?),
        }
    }

    fn finish(self) -> Result<Unpacked, LayerError> {
        for (path, mtime) in &self.times {
            let times = Attributes { mtime: *mtime, ..Attributes::default() }.times();
            let set = || rfs::futimens(self.tree.real_directory(path)?, &times).map_err(io::Error::from);
            match set() {
                // A later member took its place.
                Err(error) if is_gone(&error) => {}
                other => other.map_err(|source| entry_error("set the time of", path, source))?,
            }
        }
        let stays = |path: &PathBuf| self.tree.real_directory(path).is_ok();
        let bytes = self.limits.bytes - self.bytes;
        let mut implied: Vec<PathBuf> = self.implied.into_iter().filter(stays).collect();
        if !self.times.contains_key(Path::new("")) {
            implied.push(PathBuf::new());
        }
        Ok(Unpacked { implied, bytes })
    }
}

/// Gives each directory (of `implied`, in the layer `dir`) owner, mode, xattrs and time of the one that the layers below
/// (uppermost first) show at its path. Without this an archive that leaves parents out would reset them to root's.
pub fn adopt_directories(dir: &Path, below: &[PathBuf], implied: &[PathBuf]) -> io::Result<()> {
    let tree = Tree::open(dir)?;
    let below = below.iter().map(|layer| Tree::open(layer)).collect::<io::Result<Vec<_>>>()?;
    for path in implied {
        // The first layer that has anything at the path decides; only a directory has something to give.
        let Some(found) = below.iter().find_map(|layer| match layer.real_directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other),
        }) else {
            continue;
        };
        let Ok(found) = found else { continue };
        let mut attributes = Attributes::of(found.as_fd())?;
        attributes.xattrs.retain(|(name, _)| !is_overlay(name.as_bytes()));
        let own = tree.real_directory(path)?;
        attributes.apply(own.as_fd())?;
        rfs::futimens(&own, &attributes.times())?;
    }
    Ok(())
}

enum Existing {
    Directory,
    Whiteout,
    Other,
}

fn existing(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<Existing> {
    let stat = rfs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Existing::Directory,
        FileType::CharacterDevice if stat.st_rdev == 0 => Existing::Whiteout,
        _ => Existing::Other,
    })
}

fn whiteout(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rfs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => match existing(parent, name)? {
            // The layer has the directory anew; what the layers below have in it stays hidden.
            Existing::Directory => mark_opaque(parent, name),
            Existing::Whiteout | Existing::Other => Ok(()),
        },
        other => Ok(other?),
    }
}

fn mark_opaque(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rfs::openat(parent, name, flags, Mode::empty())?;
    Ok(rfs::fsetxattr(fd, OPAQUE_XATTR, b"y", XattrFlags::empty())?)
}

fn attributes(member: &Member, path: &Path) -> Result<Attributes, LayerError> {
    let id = |id: u64| {
        u32::try_from(id)
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| LayerError::Malformed { name: show(path), reason: "its owner is out of range" })
    };
    Ok(Attributes {
        uid: id(member.uid)?,
        gid: id(member.gid)?,
        mode: member.mode,
        mtime: member.mtime,
        xattrs: member.xattrs.iter().filter(|(name, _)| !is_overlay(name.as_bytes())).cloned().collect(),
    })
}

/// overlayfs believes these: an image must not steer it (redirects, metacopy).
fn is_overlay(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// The path within the layer, without `.`, `..` and a leading slash. One that climbs above the top is refused, as
/// Docker does: nothing honest has it.
fn clean(name: &[u8]) -> Result<PathBuf, LayerError> {
    let wrong =
        |reason| LayerError::Malformed { name: String::from_utf8_lossy(&name[..name.len().min(256)]).into(), reason };
    if name.contains(&0) {
        return Err(wrong("a name with a zero byte"));
    }
    if name.len() >= MAX_PATH {
        return Err(wrong("a name longer than 4095 bytes"));
    }
    if name.is_empty() {
        return Err(wrong("a member without a name"));
    }
    let mut path = PathBuf::new();
    for part in Path::new(&OsString::from_vec(name.to_vec())).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir if !path.pop() => {
                return Err(LayerError::Escapes { name: String::from_utf8_lossy(name).into() });
            }
            _ => {}
        }
    }
    Ok(path)
}

fn is_gone(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

fn entry_error(verb: &'static str, path: &Path, source: io::Error) -> LayerError {
    LayerError::Entry { verb, name: show(path), source }
}

fn show(path: &Path) -> String {
    if path.as_os_str().is_empty() { "/".to_owned() } else { path.display().to_string() }
}
