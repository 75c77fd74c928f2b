//! A layer while it is written: the upper directory of a stack, in overlayfs' own form.
//!
//! A directory that only the layers below have comes up with their owner, mode, xattrs and time before anything is put
//! into it, as the kernel's copy-up does it; its time stays, so that the same input gives the same layer.

use super::view::{Dir, Node, OPAQUE_XATTR, Place, View};
use crate::image::tree::{self, Attributes};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{self as rfs, AtFlags, FileType, Mode, OFlags, Stat, XattrFlags},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct Upper {
    dir: Arc<OwnedFd>,
    /// With the upper directory on top.
    view: View,
    below: View,
    /// The directory that was written into last: most files have the same as the one before.
    last: Option<Last>,
    /// Times of directories, set when nothing is written into them any more.
    times: BTreeMap<PathBuf, (i64, u32)>,
}

struct Last {
    path: PathBuf,
    /// The layer's own.
    own: Arc<OwnedFd>,
    /// With what is below.
    shown: Dir,
}

/// What makes a directory that is missing.
#[derive(Clone, Copy, Debug)]
pub struct Making {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
}

impl Upper {
    /// `dir` does not exist; `lowers` is the stack that it goes upon, uppermost first.
    pub fn create(dir: &Path, lowers: &[PathBuf]) -> io::Result<Self> {
        tree::make_top(dir)?;
        let view = View::open(std::iter::once(dir).chain(lowers.iter().map(PathBuf::as_path)))?;
        let below = view.below();
        let fd = rfs::open(dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut upper = Self { dir: Arc::new(fd), view, below, last: None, times: BTreeMap::new() };
        if let Some(top) = upper.below.top()? {
            let dir = upper.dir.clone();
            upper.adopt(&dir, &top, PathBuf::new())?;
        }
        Ok(upper)
    }

    pub fn walk(&self, path: &Path, follow: bool) -> io::Result<Place> {
        self.view.walk(path, follow)
    }

    /// The directory at `path`, made with its parents where it is missing. Where it really is comes back, free of
    /// links.
    pub fn make_directories(&mut self, path: &Path, making: Making) -> io::Result<PathBuf> {
        let place = self.view.walk(path, true)?;
        match place.node {
            Some(Node::Dir(_)) => return Ok(place.path),
            Some(Node::Leaf(_)) => return Err(Errno::NOTDIR.into()),
            None => {}
        }
        let mut here = PathBuf::new();
        let mut missing = false;
        for name in &place.path {
            let next = here.join(name);
            if !missing {
                missing = self.view.walk(&next, false)?.node.is_none();
            }
            if missing {
                self.new_directory(&here, name, making)?;
            }
            here = next;
        }
        Ok(here)
    }

    /// Nothing is there, and `parent` is a directory.
    pub fn new_directory(&mut self, parent: &Path, name: &OsStr, making: Making) -> io::Result<Arc<OwnedFd>> {
        let above = self.directory(parent)?;
        rfs::mkdirat(&above, name, Mode::from_raw_mode(0o700))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = Arc::new(rfs::openat(&above, name, flags, Mode::empty())?);
        let path = parent.join(name);
        // Something else took its place in this very layer: what is below stays hidden.
        if matches!(self.below.walk(&path, false), Ok(Place { node: Some(Node::Dir(_)), .. })) {
            rfs::fsetxattr(&fd, OPAQUE_XATTR, b"y", XattrFlags::empty())?;
        }
        let attributes = Attributes { uid: making.uid, gid: making.gid, mode: making.mode, ..Attributes::default() };
        attributes.apply(fd.as_fd())?;
        self.times.insert(path, making.mtime);
        Ok(fd)
    }

    /// Gives a directory that exists, of this layer or below, owner, mode and xattrs.
    pub fn change_directory(&mut self, path: &Path, attributes: &Attributes) -> io::Result<()> {
        let fd = self.directory(path)?;
        attributes.apply(fd.as_fd())?;
        self.times.insert(path.to_owned(), attributes.mtime);
        Ok(())
    }

    /// The upper directory's own directory at `path`, which the stack has and which is free of links.
    pub fn directory(&mut self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        Ok(self.writable(path)?.own.clone())
    }

    fn writable(&mut self, path: &Path) -> io::Result<&Last> {
        if self.last.as_ref().is_none_or(|last| last.path != path) {
            self.last = Some(self.enter(path)?);
        }
        self.last.as_ref().ok_or_else(|| Errno::NOENT.into())
    }

    fn enter(&mut self, path: &Path) -> io::Result<Last> {
        let gone = || io::Error::from(Errno::NOTDIR);
        let mut own = self.dir.clone();
        let mut here = PathBuf::new();
        let mut shown = self.view.top()?.ok_or_else(gone)?;
        for name in path {
            here.push(name);
            let Some(Node::Dir(mut dir)) = shown.entry(name)? else { return Err(gone()) };
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            own = match rfs::openat(&own, name, flags, Mode::empty()) {
                Ok(own) => Arc::new(own),
                Err(Errno::NOENT) => {
                    rfs::mkdirat(&own, name, Mode::from_raw_mode(0o700))?;
                    let own = Arc::new(rfs::openat(&own, name, flags, Mode::empty())?);
                    self.adopt(&own, &dir, here.clone())?;
                    dir = dir.under(own.clone());
                    own
                }
                Err(error) => return Err(error.into()),
            };
            shown = dir;
        }
        Ok(Last { path: path.to_owned(), own, shown })
    }

    fn adopt(&mut self, own: &Arc<OwnedFd>, shown: &Dir, path: PathBuf) -> io::Result<()> {
        let mut attributes = Attributes::of(shown.fd())?;
        attributes.xattrs.retain(|(name, _)| !is_overlay(name.as_bytes()));
        attributes.apply(own.as_fd())?;
        self.times.insert(path, attributes.mtime);
        Ok(())
    }

    /// What the stack has at a name; links are seen, not followed.
    pub fn stat(&self, parent: &Path, name: &OsStr) -> io::Result<Option<Stat>> {
        if let Some(last) = self.last.as_ref().filter(|last| last.path == parent) {
            return last.shown.stat_of(name);
        }
        match self.view.walk(parent, false)?.node {
            Some(Node::Dir(dir)) => dir.stat_of(name),
            _ => Ok(None),
        }
    }

    /// A name that something other than a directory may be made under. One of the layers below need not go: what is
    /// made hides it.
    pub fn make_way(&mut self, parent: &Path, name: &OsStr) -> io::Result<()> {
        let last = self.writable(parent)?;
        match last.shown.stat_of(name)? {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Err(Errno::ISDIR.into()),
            Some(_) => match rfs::unlinkat(&last.own, name, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                other => Ok(other?),
            },
            None => Ok(()),
        }
    }

    /// Takes away what the stack has at this place, so that something else can be made there.
    pub fn clear(&mut self, parent: &Path, name: &OsStr) -> io::Result<()> {
        let path = parent.join(name);
        let fd = self.directory(parent)?;
        self.last = None;
        tree::remove_at(fd.as_fd(), name)?;
        self.times.retain(|known, _| !known.starts_with(&path));
        Ok(())
    }

    /// An empty file, which does not exist; `finish_file` when it is written.
    pub fn new_file(&mut self, parent: &Path, name: &OsStr) -> io::Result<File> {
        let fd = self.directory(parent)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rfs::openat(&fd, name, flags, Mode::from_raw_mode(0o600))?.into())
    }

    pub fn finish_file(file: &File, attributes: &Attributes) -> io::Result<()> {
        attributes.apply(file.as_fd())?;
        Ok(rfs::futimens(file, &attributes.times())?)
    }

    pub fn new_link(&mut self, parent: &Path, name: &OsStr, target: &OsStr, attributes: &Attributes) -> io::Result<()> {
        let fd = self.directory(parent)?;
        rfs::symlinkat(target, &fd, name)?;
        attributes.apply_at(fd.as_fd(), name, FileType::Symlink)
    }

    pub fn new_special(
        &mut self,
        parent: &Path,
        name: &OsStr,
        kind: FileType,
        device: u64,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let fd = self.directory(parent)?;
        rfs::mknodat(&fd, name, kind, Mode::from_raw_mode(0o600), device)?;
        attributes.apply_at(fd.as_fd(), name, kind)
    }

    /// A further name for a file of this layer.
    pub fn new_hard_link(&mut self, parent: &Path, name: &OsStr, of: (&Path, &OsStr)) -> io::Result<()> {
        let from = self.directory(of.0)?;
        let to = self.directory(parent)?;
        Ok(rfs::linkat(&from, of.1, &to, name, AtFlags::empty())?)
    }

    /// The time that a directory of this layer gets in the end.
    pub fn set_time(&mut self, path: &Path, mtime: (i64, u32)) {
        if let Some(time) = self.times.get_mut(path) {
            *time = mtime;
        }
    }

    /// A file that only the layers below have becomes one of this layer.
    pub fn raise(&mut self, parent: &Path, name: &OsStr) -> io::Result<()> {
        let fd = self.directory(parent)?;
        match rfs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            other => return Ok(other.map(drop)?),
        }
        let Some(Node::Leaf(leaf)) = self.view.walk(&parent.join(name), false)?.node else {
            return Err(Errno::NOENT.into());
        };
        if leaf.kind() != FileType::RegularFile {
            return Err(Errno::INVAL.into());
        }
        let mut from = leaf.open()?;
        let mut attributes = Attributes::of(from.as_fd())?;
        attributes.xattrs.retain(|(name, _)| !is_overlay(name.as_bytes()));
        let mut file = self.new_file(parent, name)?;
        io::copy(&mut from, &mut file)?;
        Self::finish_file(&file, &attributes)
    }

    /// Sets the times of directories. The layer is whole then.
    pub fn finish(self) -> io::Result<()> {
        let Self { dir, times, .. } = self;
        let tree = tree::Tree::from_fd(dir.as_fd().try_clone_to_owned()?);
        for (path, mtime) in times.iter().rev() {
            let fd = tree.real_directory(path)?;
            rfs::futimens(&fd, &Attributes { mtime: *mtime, ..Attributes::default() }.times())?;
        }
        Ok(())
    }
}

/// overlayfs believes these.
pub fn is_overlay(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}
