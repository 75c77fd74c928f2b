//! Puts files where COPY says, with the surprises that Docker has:
//!
//! - a directory is its content: it goes into the destination, whose own owner and mode stay, or are 0755 where it is
//!   made, but whose time is the source's; directories inside take over all of the source, also where they exist;
//! - a file goes into a directory that exists, or is written with a slash at its end, else it becomes the destination;
//! - links on the way to the destination are followed within the image, those below it are not;
//! - a directory does not replace a file, nor a file a directory.

use super::{
    super::{
        error::{Result, StepError},
        upper::{Making, Upper},
        view::{Cursor, Node, lexical},
    },
    content::{attributes, changed, leaf},
    find::{Found, Item, Origin},
    owner,
};
use crate::{build::op::Chmod, image::tree::Attributes};
use rustix::{
    fs::{self as rfs, FileType},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// Where copies go, and as whose.
pub struct Writer<'a> {
    pub upper: Upper,
    pub destination: &'a str,
    /// `None`: as the source has it.
    pub owner: Option<(u32, u32)>,
    pub chmod: Option<&'a Chmod>,
    /// Of what is made: directories, files without a source.
    pub now: (i64, u32),
    pub cancelled: &'a AtomicBool,
    /// First copies of files with several names, by device and inode.
    links: HashMap<(u64, u64), (PathBuf, OsString)>,
}

impl<'a> Writer<'a> {
    pub fn new(
        upper: Upper,
        destination: &'a str,
        owner: Option<(u32, u32)>,
        chmod: Option<&'a Chmod>,
        now: (i64, u32),
        cancelled: &'a AtomicBool,
    ) -> Self {
        Self { upper, destination, owner, chmod, now, cancelled, links: HashMap::new() }
    }

    pub fn making(&self) -> Making {
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        Making { uid, gid, mode: 0o755, mtime: self.now }
    }

    /// One match of one source. `into` is for what always goes into a directory (`--parents`).
    pub fn copy(&mut self, origin: &Origin, found: &Found, into: bool) -> Result<()> {
        let target = self.target(&found.name, found.is_dir(), into)?;
        let mut from = Cursor::new(&origin.view);
        if !found.is_dir() {
            let (parent, name) = parts(&target)?;
            let copied = self.leaf(origin, &mut from, &found.root, &parent, &name);
            return copied.map_err(|error| match_dir(error, &target));
        }
        match self.upper.walk(&target, false).map_err(StepError::file("copy to", &target))?.node {
            Some(Node::Dir(_)) => {}
            Some(Node::Leaf(_)) => return Err(refuse("cannot copy to non-directory", &target)),
            None => {
                drop(self.upper.make_directories(&target, self.making()).map_err(StepError::file("copy to", &target))?)
            }
        }
        for item in &found.items {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(StepError::Abandoned("the build was cancelled".into()));
            }
            let to = target.join(item.to());
            let (parent, name) = parts(&to)?;
            if item.kind() == FileType::Directory {
                self.directory(origin, &mut from, item, &parent, &name, &to)?;
            } else {
                let copied = self.leaf(origin, &mut from, item, &parent, &name);
                copied.map_err(|error| match_dir(error, &to))?;
            }
        }
        // The top of a context has whatever time the last checkout gave it.
        let top = found.root.path.as_os_str().is_empty();
        if !top {
            let nanos = u32::try_from(found.root.stat.st_mtime_nsec).unwrap_or(0);
            self.upper.directory(&target).map_err(StepError::file("copy to", &target))?;
            self.upper.set_time(&target, (found.root.stat.st_mtime, nanos));
        }
        Ok(())
    }

    /// A file from elsewhere: its bytes are `content`.
    pub fn file(&mut self, name: &OsStr, mode: u32, mtime: (i64, u32), content: &mut dyn io::Read) -> Result<()> {
        let target = self.target(name, false, false)?;
        let (parent, name) = parts(&target)?;
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        let mode = owner::mode(self.chmod, mode, false)?;
        let attributes = Attributes { uid, gid, mode, mtime, xattrs: Vec::new() };
        let mut write = || {
            self.upper.make_way(&parent, &name)?;
            let mut file = self.upper.new_file(&parent, &name)?;
            io::copy(content, &mut file)?;
            Upper::finish_file(&file, &attributes)
        };
        write().map_err(|error| match_dir(error, &target))
    }

    /// Where a source of this name goes; the directories above exist then.
    pub fn target(&mut self, name: &OsStr, is_dir: bool, into: bool) -> Result<PathBuf> {
        let written = Path::new(self.destination);
        let wrong = StepError::file("make", written);
        let ends_in_slash = self.destination.ends_with('/') || into;
        let clean = lexical(written);
        let ensured = if ends_in_slash { clean.as_path() } else { clean.parent().unwrap_or(Path::new("")) };
        self.upper.make_directories(ensured, self.making()).map_err(wrong)?;
        let wrong = StepError::file("look at", written);
        let place = self.upper.walk(&clean, true).map_err(wrong)?;
        match place.node {
            Some(Node::Dir(_)) if !is_dir => Ok(place.path.join(name)),
            Some(_) => Ok(place.path),
            None => {
                // Behind a link that leads to nothing the directories are missing still.
                let above = place.path.parent().unwrap_or(Path::new("")).to_owned();
                let wrong = StepError::file("make", &above);
                self.upper.make_directories(&above, self.making()).map_err(wrong)?;
                Ok(place.path)
            }
        }
    }

    fn directory(
        &mut self,
        origin: &Origin,
        from: &mut Cursor<'_>,
        item: &Item,
        parent: &Path,
        name: &OsStr,
        to: &Path,
    ) -> Result<()> {
        let wrong = |error| StepError::file("copy to", to)(error);
        let Some(Node::Dir(source)) = from.node(&item.path).map_err(wrong)? else {
            return Err(wrong(changed()));
        };
        let mut attributes = self.attributes(origin, item)?;
        attributes.xattrs = super::content::attributes(&source.fd()).map_err(wrong)?;
        let there = self.upper.stat(parent, name).map_err(wrong)?;
        match there.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Some(FileType::Directory) => {}
            Some(_) => return Err(refuse("cannot copy to non-directory", to)),
            None => drop(self.upper.new_directory(parent, name, self.making()).map_err(wrong)?),
        }
        self.upper.change_directory(to, &attributes).map_err(wrong)
    }

    fn leaf(
        &mut self,
        origin: &Origin,
        from: &mut Cursor<'_>,
        item: &Item,
        parent: &Path,
        name: &OsStr,
    ) -> io::Result<()> {
        let source = leaf(from, item)?;
        let mut attributes_of = self.attributes(origin, item).map_err(|error| io::Error::other(error.to_string()))?;
        self.upper.make_way(parent, name)?;
        match item.kind() {
            FileType::RegularFile => {
                let several = item.stat.st_nlink > 1;
                let inode = (item.stat.st_dev, item.stat.st_ino);
                if several && let Some((parent_of, name_of)) = self.links.get(&inode).cloned() {
                    return self.upper.new_hard_link(parent, name, (&parent_of, &name_of));
                }
                let mut from = source.open()?;
                if !same(&source.stat, &item.stat) {
                    return Err(changed());
                }
                let mut file = self.upper.new_file(parent, name)?;
                copy_bytes(&mut from, &mut file, u64::try_from(item.stat.st_size).unwrap_or(0))?;
                attributes_of.xattrs = attributes(&from)?;
                Upper::finish_file(&file, &attributes_of)?;
                if !same(&rustix::fs::fstat(&from)?, &item.stat) {
                    return Err(changed());
                }
                if several {
                    self.links.insert(inode, (parent.to_owned(), name.to_owned()));
                }
                Ok(())
            }
            FileType::Symlink => self.upper.new_link(parent, name, source.target()?.as_os_str(), &attributes_of),
            FileType::Socket => Ok(()),
            kind => self.upper.new_special(parent, name, kind, item.stat.st_rdev, &attributes_of),
        }
    }

    fn attributes(&self, origin: &Origin, item: &Item) -> Result<Attributes> {
        let stat = &item.stat;
        let own = if origin.foreign { (0, 0) } else { (stat.st_uid, stat.st_gid) };
        let (uid, gid) = self.owner.unwrap_or(own);
        let mode = match item.kind() {
            FileType::Symlink => 0o777,
            kind => owner::mode(self.chmod, stat.st_mode, kind == FileType::Directory)?,
        };
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Ok(Attributes { uid, gid, mode, mtime: (stat.st_mtime, nanos), xattrs: Vec::new() })
    }
}

/// All of a file of `size` bytes. Its length is known, so that the kernel is asked once, and not again for the end.
fn copy_bytes(from: &mut File, to: &mut File, size: u64) -> io::Result<()> {
    if size == 0 {
        // Files of proc(5) have bytes all the same.
        return io::copy(from, to).map(drop);
    }
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX);
        match rfs::copy_file_range(&*from, None, &*to, None, want) {
            // It is shorter than it was: whoever compares will see that.
            Ok(0) => return Ok(()),
            Ok(length) => left -= length as u64,
            Err(Errno::INTR) => {}
            // Between file systems, or of one that cannot.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF | Errno::IO) => {
                return io::copy(from, to).map(drop);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Nothing was written to the file since.
fn same(a: &rustix::fs::Stat, b: &rustix::fs::Stat) -> bool {
    let state = |stat: &rustix::fs::Stat| {
        (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec, stat.st_ino)
    };
    state(a) == state(b)
}

fn parts(path: &Path) -> Result<(PathBuf, OsString)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name.to_owned())),
        _ => Err(refuse("cannot copy over the root of the image:", path)),
    }
}

fn refuse(what: &str, path: &Path) -> StepError {
    StepError::Refused(format!("{what} /{}", path.display()))
}

fn match_dir(error: io::Error, path: &Path) -> StepError {
    match error.kind() {
        io::ErrorKind::IsADirectory => {
            StepError::Refused(format!("cannot replace the directory /{} with a file", path.display()))
        }
        _ => StepError::file("copy to", &Path::new("/").join(path))(error),
    }
}
