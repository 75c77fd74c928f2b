//! What a COPY sees of the files that it is put upon. Where that is the same on two roots, so is its layer, and the one
//! that was made on the other root serves: a changed step before `COPY . /app` is no reason to copy and pack again.
//!
//! The writer looks at the way to its destination (links, owners, modes, times of directories that its layer repeats)
//! and at what has the names of what it makes. That is what is named here, and nothing else.

use super::{Gathered, Piece, owner, scan::Scan, settings};
use crate::{
    build::{
        engine::{
            error::Result,
            key::Key,
            step::{Engine, Snapshot},
            upper::is_overlay,
            view::{Dir, Node, View, lexical},
        },
        op::{Copy, Unpack},
    },
    image::{Digest, tree::Attributes},
};
use rustix::fs::FileType;
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

/// Descriptors that may be open for it. A destination with more directories in it has no footprint.
const MAX_OPEN: usize = 256;

/// `None` for a step of which it is not known what it looks at, or for which it is too much.
pub fn footprint(engine: &Engine, copy: &Copy, gathered: &Gathered, root: Option<&Snapshot>) -> Result<Option<Digest>> {
    let Some(root) = root.filter(|root| !copy.link && !copy.parents && !root.is_of_host()) else { return Ok(None) };
    // Archives name what they make themselves.
    if copy.unpack != Unpack::Never {
        return Ok(None);
    }
    let Ok(view) = View::open(engine.lowers(Some(root))) else { return Ok(None) };
    // Whoever writes tells of names that are not known.
    let owner = copy.chown.as_deref().map(|chown| owner::look_up(&view, chown, &mut |_| {})).transpose()?;
    let mut key = settings(engine, copy, None, "copy by place")
        .option(owner, |key, (uid, gid)| key.number(uid).number(gid))
        .number(gathered.pieces.len() as u64);
    for piece in &gathered.pieces {
        key = match piece {
            Piece::Files(scan) => key.text("files").bytes(scan.digest.as_bytes()),
            Piece::Inline(file) => key.text(&file.name).bytes(&file.content).number(file.mode),
            Piece::Url { .. } => return Ok(None),
        };
    }
    let mut ground = Ground { view: &view, directories: HashMap::new(), open: 0, key: Some(key) };
    // What cannot be looked at is the writer's to tell.
    Ok(match ground.look(copy, gathered) {
        Ok(true) => ground.key.map(Key::finish),
        Ok(false) | Err(_) => None,
    })
}

struct Ground<'a> {
    view: &'a View,
    /// Those that were looked for; `None` where there is none.
    directories: HashMap<PathBuf, Option<Dir>>,
    open: usize,
    /// Takes in what is seen.
    key: Option<Key>,
}

impl Ground<'_> {
    /// Whether all was seen.
    fn look(&mut self, copy: &Copy, gathered: &Gathered) -> io::Result<bool> {
        let destination = lexical(Path::new(&copy.destination));
        let place = match self.view.walk(&destination, true) {
            // The writer has the words for it.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(false),
            place => place?,
        };
        if place.path != destination {
            return Ok(false);
        }
        let is_dir = copy.destination.ends_with('/') || matches!(place.node, Some(Node::Dir(_)));
        self.directory(Path::new(""))?;
        self.directory(&destination)?;
        for piece in &gathered.pieces {
            match piece {
                Piece::Files(scan) => self.files(scan, &destination, is_dir)?,
                Piece::Inline(file) if is_dir => self.file(&destination.join(&file.name))?,
                _ => self.file(&destination)?,
            }
            if self.open > MAX_OPEN {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn files(&mut self, scan: &Scan, destination: &Path, is_dir: bool) -> io::Result<()> {
        for found in &scan.found {
            if !found.is_dir() {
                let path = if is_dir { destination.join(&found.name) } else { destination.to_owned() };
                self.file(&path)?;
                continue;
            }
            for item in &found.items {
                let path = destination.join(item.to());
                match item.kind() {
                    FileType::Directory => drop(self.directory(&path)?),
                    _ => self.file(&path)?,
                }
                if self.open > MAX_OPEN {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes in a directory and those above it; whether it is there.
    fn directory(&mut self, path: &Path) -> io::Result<bool> {
        if let Some(known) = self.directories.get(path) {
            return Ok(known.is_some());
        }
        let node = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                if !self.directory(parent)? {
                    self.directories.insert(path.to_owned(), None);
                    return Ok(false);
                }
                self.directories.get(parent).and_then(Option::as_ref).map(|dir| dir.entry(name)).transpose()?.flatten()
            }
            _ => self.view.top()?.map(Node::Dir),
        };
        let seen = match node {
            Some(Node::Dir(dir)) => {
                let mut attributes = Attributes::of(dir.fd())?;
                attributes.xattrs.retain(|(name, _)| !is_overlay(name.as_bytes()));
                self.note(path, |key| {
                    let key = key.text("directory").number(attributes.uid).number(attributes.gid);
                    let key = key.number(attributes.mode).number(attributes.mtime.0).number(attributes.mtime.1);
                    key.list(&attributes.xattrs, |key, (name, value)| key.bytes(name.as_bytes()).bytes(value))
                });
                self.open += dir.height();
                Some(dir)
            }
            Some(Node::Leaf(leaf)) => {
                let kind = leaf.kind().as_raw_mode();
                self.note(path, |key| key.text("file").number(kind));
                None
            }
            None => {
                self.note(path, |key| key.text("nothing"));
                None
            }
        };
        let is_there = seen.is_some();
        self.directories.insert(path.to_owned(), seen);
        Ok(is_there)
    }

    /// Takes in what has the name of a file that is made.
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        if !self.directory(parent)? {
            return Ok(());
        }
        let there = self.directories.get(parent).and_then(Option::as_ref).map(|dir| dir.stat_of(name)).transpose()?;
        let kind = there.flatten().map(|stat| FileType::from_raw_mode(stat.st_mode).as_raw_mode());
        self.note(path, |key| key.text("name").option(kind, Key::number));
        Ok(())
    }

    fn note(&mut self, path: &Path, add: impl FnOnce(Key) -> Key) {
        self.key = self.key.take().map(|key| add(key.bytes(path.as_os_str().as_encoded_bytes())));
    }
}
