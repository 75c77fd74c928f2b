//! What a stack of layer directories shows, read without a mount: overlayfs' rules (Documentation/filesystems/
//! overlayfs.rst) in user space.
//!
//! Every name is opened by itself and never through a link, so that no path of an image or a context leads out. Links
//! are followed here, with the top of the stack as their root.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self as rfs, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

pub const OPAQUE_XATTR: &str = "trusted.overlay.opaque";
/// As the kernel has it (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// A stack of directories, the uppermost first.
#[derive(Debug)]
pub struct View {
    tops: Vec<Arc<OwnedFd>>,
}

/// A directory as the stack shows it.
#[derive(Clone, Debug)]
pub struct Dir {
    /// Where its entries come from, the uppermost first; the first gives owner, mode and time.
    parts: Vec<Arc<OwnedFd>>,
    pub stat: Stat,
}

/// Anything but a directory.
#[derive(Clone, Debug)]
pub struct Leaf {
    parent: Arc<OwnedFd>,
    name: OsString,
    pub stat: Stat,
}

#[derive(Clone, Debug)]
pub enum Node {
    Dir(Dir),
    Leaf(Leaf),
}

/// Where a path leads.
#[derive(Debug)]
pub struct Place {
    /// Free of links and of `..`, relative to the top. What does not exist stands at its end as it was written.
    pub path: PathBuf,
    /// `None` where nothing is there.
    pub node: Option<Node>,
}

impl View {
    pub fn open<P: AsRef<Path>>(layers: impl IntoIterator<Item = P>) -> io::Result<Self> {
        let open = |path: P| {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
            rfs::open(path.as_ref(), flags, Mode::empty()).map(Arc::new).map_err(io::Error::from)
        };
        Ok(Self { tops: layers.into_iter().map(open).collect::<io::Result<_>>()? })
    }

    /// The same without its uppermost layer.
    pub fn below(&self) -> Self {
        Self { tops: self.tops.iter().skip(1).cloned().collect() }
    }

    /// Without any layer, which is not the same as without any file.
    pub fn is_nothing(&self) -> bool {
        self.tops.is_empty()
    }

    /// `None` for a stack of nothing.
    pub fn top(&self) -> io::Result<Option<Dir>> {
        let Some(first) = self.tops.first() else { return Ok(None) };
        let stat = rfs::fstat(first)?;
        let mut parts = Vec::with_capacity(self.tops.len());
        for (index, top) in self.tops.iter().enumerate() {
            parts.push(top.clone());
            if index + 1 < self.tops.len() && is_opaque(top.as_fd())? {
                break;
            }
        }
        Ok(Some(Dir { parts, stat }))
    }

    /// Follows links of the directories on the way, and one at the end where `follow` says so. Behind the first name
    /// that is missing, `..` takes back what was written, as Docker reads it.
    pub fn walk(&self, path: &Path, follow: bool) -> io::Result<Place> {
        let Some(top) = self.top()? else { return Ok(Place { path: lexical(path), node: None }) };
        let mut trail: Vec<(OsString, Dir)> = Vec::new();
        let mut left = names(path);
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                trail.pop();
                continue;
            }
            let here = trail.last().map_or(&top, |(_, dir)| dir);
            let last = left.is_empty();
            match here.entry(&name)? {
                Some(Node::Dir(dir)) => trail.push((name, dir)),
                Some(Node::Leaf(leaf)) if leaf.is(FileType::Symlink) && (follow || !last) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = leaf.target()?;
                    if target.is_absolute() {
                        trail.clear();
                    }
                    for part in names(&target).into_iter().rev() {
                        left.push_front(part);
                    }
                }
                Some(Node::Leaf(_)) if !last => return Err(Errno::NOTDIR.into()),
                node => {
                    let mut path: PathBuf = trail.iter().map(|(name, _)| name).collect();
                    path.push(&name);
                    if node.is_none() {
                        for name in left {
                            if name == ".." {
                                path.pop();
                            } else {
                                path.push(name);
                            }
                        }
                        // What `..` took back may be there after all.
                        return if path.components().count() <= trail.len() {
                            self.walk(&path, follow)
                        } else {
                            Ok(Place { path, node })
                        };
                    }
                    return Ok(Place { path, node });
                }
            }
        }
        let path = trail.iter().map(|(name, _)| name).collect();
        let dir = trail.pop().map_or(top, |(_, dir)| dir);
        Ok(Place { path, node: Some(Node::Dir(dir)) })
    }

    /// Follows every link; `None` where nothing is there.
    pub fn find(&self, path: &Path) -> io::Result<Option<Node>> {
        match self.walk(path, true) {
            Ok(place) => Ok(place.node),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A regular file of the stack, whole; `None` where there is none.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(Node::Leaf(leaf)) = self.find(path)? else { return Ok(None) };
        if !leaf.is(FileType::RegularFile) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        leaf.open()?.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Finds files of a view one after the other: most are in the directory of the one before.
#[derive(Debug)]
pub struct Cursor<'a> {
    view: &'a View,
    last: Option<(PathBuf, Dir)>,
}

impl<'a> Cursor<'a> {
    pub fn new(view: &'a View) -> Self {
        Self { view, last: None }
    }

    /// At a path that is free of links and of `..`; `None` where nothing is there.
    pub fn node(&mut self, path: &Path) -> io::Result<Option<Node>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(self.view.top()?.map(Node::Dir));
        };
        if let Some((_, dir)) = self.last.as_ref().filter(|(last, _)| last == parent) {
            return dir.entry(name);
        }
        let Some(Node::Dir(dir)) = self.view.walk(parent, false)?.node else { return Ok(None) };
        let node = dir.entry(name);
        self.last = Some((parent.to_owned(), dir));
        node
    }
}

impl Dir {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.parts[0].as_fd()
    }

    /// How many directories it is stacked of, each of which is open.
    pub fn height(&self) -> usize {
        self.parts.len()
    }

    /// The same below a directory that was just made for it.
    pub fn under(mut self, upper: Arc<OwnedFd>) -> Self {
        self.parts.insert(0, upper);
        self
    }

    /// What the stack shows under a name.
    pub fn entry(&self, name: &OsStr) -> io::Result<Option<Node>> {
        let mut found: Option<Dir> = None;
        for (index, part) in self.parts.iter().enumerate() {
            let stat = match rfs::statat(part, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                let leaf = Leaf { parent: part.clone(), name: name.to_owned(), stat };
                return Ok(match found {
                    Some(dir) => Some(Node::Dir(dir)),
                    None if leaf.is_whiteout() => None,
                    None => Some(Node::Leaf(leaf)),
                });
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            let fd = Arc::new(rfs::openat(part, name, flags, Mode::empty())?);
            let opaque = index + 1 < self.parts.len() && is_opaque(fd.as_fd())?;
            match &mut found {
                Some(dir) => dir.parts.push(fd),
                None => found = Some(Dir { parts: vec![fd], stat }),
            }
            if opaque {
                break;
            }
        }
        Ok(found.map(Node::Dir))
    }

    /// As `entry`, but only looks.
    pub fn stat_of(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        for part in &self.parts {
            match rfs::statat(part, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if is_whiteout(&stat) => return Ok(None),
                Ok(stat) => return Ok(Some(stat)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Names of its entries, sorted.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        if let [only] = self.parts.as_slice() {
            let mut names = Vec::new();
            names_in(only, |name, shown| names.extend(shown.then_some(name)))?;
            names.sort_unstable();
            return Ok(names);
        }
        let mut seen: BTreeMap<OsString, bool> = BTreeMap::new();
        for part in &self.parts {
            names_in(part, |name, shown| {
                seen.entry(name).or_insert(shown);
            })?;
        }
        Ok(seen.into_iter().filter(|(_, shown)| *shown).map(|(name, _)| name).collect())
    }
}

/// Tells every name in one directory of a stack, and whether it is shown.
fn names_in(part: &OwnedFd, mut tell: impl FnMut(OsString, bool)) -> io::Result<()> {
    for entry in rfs::Dir::read_from(part)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let name = OsString::from_vec(name.to_vec());
        // Only a character device can be a whiteout.
        let shown = match entry.file_type() {
            FileType::CharacterDevice | FileType::Unknown => {
                let stat = rfs::statat(part, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                !is_whiteout(&stat)
            }
            _ => true,
        };
        tell(name, shown);
    }
    Ok(())
}

impl Leaf {
    pub fn is(&self, kind: FileType) -> bool {
        self.kind() == kind
    }
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
    fn is_whiteout(&self) -> bool {
        is_whiteout(&self.stat)
    }

    /// For reading. It is the file that was seen, or an error.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rfs::openat(&self.parent, &self.name, flags, Mode::empty())?;
        let stat = rfs::fstat(&file)?;
        if (stat.st_dev, stat.st_ino) != (self.stat.st_dev, self.stat.st_ino) {
            return Err(io::Error::other("it was replaced while it was being read"));
        }
        Ok(file.into())
    }

    pub fn target(&self) -> io::Result<PathBuf> {
        let target = rfs::readlinkat(&self.parent, &self.name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }
}

impl Node {
    pub fn stat(&self) -> &Stat {
        match self {
            Self::Dir(dir) => &dir.stat,
            Self::Leaf(leaf) => &leaf.stat,
        }
    }
}

pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub fn is_opaque(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let mut value = [0; 2];
    match rfs::fgetxattr(directory, OPAQUE_XATTR, &mut value[..]) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The names of a path; `..` is one of them, `.` and slashes are none.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
            _ => None,
        })
        .collect()
}

/// Relative to the top, `..` resolved by the text alone.
pub fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for name in names(path) {
        if name == ".." {
            clean.pop();
        } else {
            clean.push(name);
        }
    }
    clean
}
