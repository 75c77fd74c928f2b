//! What changes in the watched directories, by inotify(7).
//!
//! An event only says where to look. What is there is compared with what was there: so a tree that comes at once
//! (`mkdir -p a/b/c`), a file that an editor replaces, and a queue that overflowed are all the same work, and what is
//! gone is known by name. A directory is watched before it is read: what is made in between is seen twice, not missed.

use crate::cli::exit::Error;
use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

/// Files and directories, and what they were like when they were looked at last.
pub struct Files {
    fd: OwnedFd,
    /// What is watched, with all below it; it need not be there.
    tops: BTreeSet<PathBuf>,
    /// Whether a directory is to be looked into.
    enters: Box<dyn Fn(&Path) -> bool>,
    places: HashMap<i32, PathBuf>,
    watches: BTreeMap<PathBuf, i32>,
    seen: BTreeMap<PathBuf, Stamp>,
    /// Directories that could not be read; told once.
    unreadable: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    is_dir: bool,
    inode: u64,
    mode: u32,
    /// Not of directories: they change with what is in them.
    size: u64,
    /// Of the last change of any kind (inode(7)).
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let is_dir = metadata.is_dir();
        let (size, changed) =
            if is_dir { (0, (0, 0)) } else { (metadata.size(), (metadata.ctime(), metadata.ctime_nsec())) };
        Self { is_dir, inode: metadata.ino(), mode: metadata.mode(), size, changed }
    }
}

impl Files {
    pub fn new(tops: BTreeSet<PathBuf>, enters: impl Fn(&Path) -> bool + 'static) -> Result<Self, Error> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(Error::system("watch files"))?;
        let mut files = Self {
            fd,
            tops,
            enters: Box::new(enters),
            places: HashMap::new(),
            watches: BTreeMap::new(),
            seen: BTreeMap::new(),
            unreadable: Vec::new(),
        };
        let mut found = BTreeSet::new();
        for top in files.tops.clone() {
            files.look_at_top(&top, &mut found)?;
        }
        Ok(files)
    }

    /// All that is there, as seen last.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.seen.keys()
    }

    /// What to say about places that cannot be watched.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unreadable)
    }

    /// Everything that came, went or changed since the last call.
    pub fn changes(&mut self) -> Result<BTreeSet<PathBuf>, Error> {
        let (mut places, mut lost) = (BTreeSet::new(), false);
        self.read_events(&mut places, &mut lost)?;
        let mut changed = BTreeSet::new();
        if lost {
            self.look_at_all(&mut changed)?;
        }
        // First what is gone: a directory that was renamed has one watch, and the old name must not take the new one's.
        let (gone, there): (Vec<PathBuf>, Vec<PathBuf>) =
            places.into_iter().partition(|path| matches!(look(path), Ok(None)));
        for path in gone.iter().chain(&there) {
            self.look_at(path, &mut changed)?;
        }
        Ok(changed)
    }

    fn read_events(&mut self, places: &mut BTreeSet<PathBuf>, lost: &mut bool) -> Result<(), Error> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.fd, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Error::system("watch files")(error)),
            };
            *lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let Some(directory) = self.places.get(&event.wd()) else { continue };
            let place = match event.file_name() {
                Some(name) => directory.join(OsStr::from_bytes(name.to_bytes())),
                None => directory.clone(),
            };
            places.insert(place);
            // A directory that moved is watched anew, by the name that it has now.
            let moved = event.events().contains(ReadFlags::MOVE_SELF);
            if moved {
                let _ = inotify::remove_watch(&self.fd, event.wd());
            }
            if (moved || event.events().contains(ReadFlags::IGNORED))
                && let Some(directory) = self.places.remove(&event.wd())
                && self.watches.get(&directory) == Some(&event.wd())
            {
                self.watches.remove(&directory);
            }
        }
    }

    /// After an overflow: whatever is known, and whatever is there.
    fn look_at_all(&mut self, changed: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        let known: Vec<PathBuf> = self.seen.keys().cloned().collect();
        for path in known {
            if self.seen.get(&path).is_some_and(|stamp| stamp.is_dir) {
                for child in children(&path) {
                    self.look_at(&child, changed)?;
                }
            }
            self.look_at(&path, changed)?;
        }
        for top in self.tops.clone() {
            self.look_at_top(&top, changed)?;
        }
        Ok(())
    }

    fn look_at(&mut self, path: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        if self.tops.iter().any(|top| path.starts_with(top)) {
            self.look_below(path, changed)?;
        }
        // A directory above: the way to what is watched may have come or gone.
        let below: Vec<PathBuf> = self.tops.iter().filter(|top| top.starts_with(path)).cloned().collect();
        for top in below {
            self.look_at_top(&top, changed)?;
        }
        Ok(())
    }

    /// Watches the directory that the path is in, or the first above that is there, and looks at the path.
    fn look_at_top(&mut self, top: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        loop {
            let above = top.ancestors().skip(1).find(|path| path.is_dir());
            let Some(above) = above.filter(|above| !self.watches.contains_key(*above)) else { break };
            // One that went away in between: the next one above.
            if !self.watch(above)? && above.parent().is_none() {
                break;
            }
        }
        self.look_below(top, changed)
    }

    fn look_below(&mut self, path: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            match look(&path) {
                Ok(Some(stamp)) => self.take(path, stamp, &mut open, changed)?,
                Ok(None) => self.forget(&path, changed),
                Err(error) => self.unreadable.push(format!("{}: {error}", path.display())),
            }
        }
        Ok(())
    }

    /// What is at the path now.
    fn take(
        &mut self,
        path: PathBuf,
        stamp: Stamp,
        open: &mut Vec<PathBuf>,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<(), Error> {
        let known = self.seen.get(&path).copied();
        if known == Some(stamp) && (!stamp.is_dir || self.watches.contains_key(&path)) {
            return Ok(());
        }
        let same_directory = known.is_some_and(|known| known.is_dir && stamp.is_dir && known.inode == stamp.inode);
        if known.is_some_and(|known| known.is_dir) && !same_directory {
            self.forget(&path, changed);
        }
        if stamp.is_dir {
            if !(self.enters)(&path) {
                return Ok(());
            }
            if (!same_directory || !self.watches.contains_key(&path)) && self.watch(&path)? {
                open.extend(children(&path));
            }
        }
        if self.seen.insert(path.clone(), stamp) != Some(stamp) {
            changed.insert(path);
        }
        Ok(())
    }

    /// It is gone, with all below it.
    fn forget(&mut self, path: &Path, changed: &mut BTreeSet<PathBuf>) {
        let below = |known: &&PathBuf| known.starts_with(path);
        // Paths are ordered by their parts: what is below comes right behind.
        let gone: Vec<PathBuf> =
            self.seen.range(path.to_owned()..).map(|(p, _)| p).take_while(below).cloned().collect();
        for path in gone {
            self.seen.remove(&path);
            changed.insert(path);
        }
        let watched: Vec<PathBuf> =
            self.watches.range(path.to_owned()..).map(|(p, _)| p).take_while(below).cloned().collect();
        for path in watched {
            let Some(watch) = self.watches.remove(&path) else { continue };
            // A renamed directory keeps its watch, which may serve the new name by now.
            if self.places.get(&watch) == Some(&path) {
                self.places.remove(&watch);
                let _ = inotify::remove_watch(&self.fd, watch);
            }
        }
    }

    /// Whether it is watched now; one that went away meanwhile is not.
    fn watch(&mut self, directory: &Path) -> Result<bool, Error> {
        let changes = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::EXCL_UNLINK;
        match inotify::add_watch(&self.fd, directory, changes) {
            Ok(watch) => {
                self.places.insert(watch, directory.to_owned());
                self.watches.insert(directory.to_owned(), watch);
                Ok(true)
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(Errno::ACCESS) => {
                self.unreadable.push(format!("{}: {}", directory.display(), io::Error::from(Errno::ACCESS)));
                Ok(false)
            }
            Err(Errno::NOSPC) => Err(Error::Refused {
                message: format!("cannot watch {}: this user's number of inotify watches is used up", directory.display()),
                hint: Some(
                    "raise it with `sysctl fs.inotify.max_user_watches=524288`, or name large directories under `ignore`"
                        .into(),
                ),
            }),
            Err(error) => Err(Error::file("watch", directory)(error.into())),
        }
    }
}

impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Links are not followed. `None` where there is nothing.
fn look(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What cannot be listed has gone meanwhile; that is another event.
fn children(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
