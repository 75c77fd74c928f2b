//! Goes through a directory of a context or of a step, with several threads where there is much to see.
//!
//! What is found is in the order of names, parents first, whichever thread saw it: digests go by it.

use super::{
    super::{
        error::{Result, StepError},
        view::{Dir, Node},
    },
    find::Origin,
};
use rustix::fs::{FileType, Stat};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What is thought of an entry.
pub struct Step<M, S> {
    /// It is part of the result, with this mark.
    pub keep: Option<M>,
    /// Look into it, if it is a directory, with this state.
    pub enter: Option<S>,
}

impl<M, S> Step<M, S> {
    pub fn none() -> Self {
        Self { keep: None, enter: None }
    }
}

/// An entry of the result.
pub struct Kept<M> {
    pub path: PathBuf,
    pub stat: Stat,
    pub mark: M,
}

/// Judges an entry by its path below the root, its path in the origin, and the state of the directory above.
pub type Judge<'a, M, S> = &'a (dyn Fn(&Path, &Path, &Stat, &S) -> Step<M, S> + Sync);

/// As the packer has it.
const MAX_DEPTH: usize = 2048;
/// Descriptors of directories that a thread keeps open while what is in them is looked at.
const MAX_OPEN: usize = 128;
/// Entries that make another thread worth its start; a directory that was not looked into counts as ten.
pub const MANY: usize = 200;
const MAX_THREADS: usize = 4;
/// Levels with nothing but one directory in them that are gone through in search of a wider one.
const NARROW: usize = 16;

/// What is walked through, and how its entries are judged.
struct Walk<'a, M, S> {
    origin: &'a Origin,
    root: &'a Path,
    judge: Judge<'a, M, S>,
}

/// A directory that is to be entered, with its state.
type Branch<S> = (PathBuf, S);

/// A directory whose entries are looked at.
struct Level<S> {
    /// Left to see, last name first.
    left: Vec<(PathBuf, Stat)>,
    /// `None` where too many are open: its directories are found from the top again.
    dir: Option<Dir>,
    state: S,
}

/// Goes through a directory; the result has parents first, in the order of names.
pub fn walk<M: Send, S: Send + Sync>(
    origin: &Origin,
    root: &Path,
    judge: Judge<'_, M, S>,
    start: S,
) -> Result<Vec<Kept<M>>> {
    let mut kept = Vec::new();
    Walk { origin, root, judge }.wide(root, &start, 0, &mut kept)?;
    Ok(kept)
}

impl<M: Send, S: Send + Sync> Walk<'_, M, S> {
    /// Judges an entry. A directory that is to be entered comes back.
    fn look(&self, path: PathBuf, stat: &Stat, above: &S, kept: &mut Vec<Kept<M>>) -> Option<Branch<S>> {
        let to = path.strip_prefix(self.root).unwrap_or(&path);
        let Step { keep, enter } = (self.judge)(to, &path, stat, above);
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let branch = enter.filter(|_| is_dir).map(|state| (path.clone(), state));
        kept.extend(keep.map(|mark| Kept { path, stat: *stat, mark }));
        branch
    }

    /// A directory at or near the root: what is in it is shared out among threads where there is much to see, as each
    /// file costs a system call. One that has a single directory in it has nothing to share out, but that may have.
    fn wide(&self, path: &Path, state: &S, depth: usize, kept: &mut Vec<Kept<M>>) -> Result<()> {
        let (dir, mut left) = entries(self.origin, None, path)?;
        let is_dir = |(_, stat): &&(PathBuf, Stat)| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let narrow = left.iter().filter(is_dir).count() == 1 && depth < NARROW;
        let mut seen = left.len();
        while let Some((path, stat)) = left.pop() {
            let Some(branch) = self.look(path, &stat, state, kept) else { continue };
            if narrow {
                self.wide(&branch.0, &branch.1, depth + 1, kept)?;
            } else {
                seen += self.deep(&dir, branch, depth, kept)?;
            }
            let dirs = left.iter().filter(is_dir).count();
            if dirs > 1 && seen + dirs * 10 >= MANY {
                return self.share_out(&dir, left, state, depth, kept);
            }
        }
        Ok(())
    }

    fn share_out(
        &self,
        dir: &Dir,
        mut left: Vec<(PathBuf, Stat)>,
        state: &S,
        depth: usize,
        kept: &mut Vec<Kept<M>>,
    ) -> Result<()> {
        // In order, each with what is found below it.
        let mut parts: Vec<Vec<Kept<M>>> = Vec::new();
        let mut branches = Vec::new();
        while let Some((path, stat)) = left.pop() {
            let mut part = Vec::new();
            branches.extend(self.look(path, &stat, state, &mut part).map(|branch| (parts.len(), branch)));
            parts.push(part);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(branches.len());
        let queue = Mutex::new(branches.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut done = Vec::new();
            while let Some((index, branch)) = next() {
                let mut part = Vec::new();
                let result = self.deep(dir, branch, depth, &mut part);
                if result.is_err() {
                    // What comes before it has been taken already, and an error there counts first.
                    while next().is_some() {}
                }
                done.push((index, result.map(|_| part)));
            }
            done
        };
        let mut done = std::thread::scope(|scope| {
            // Without threads, the work is done here.
            let others: Vec<_> =
                (1..threads).map_while(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
            let mut done = work();
            for other in others {
                match other.join() {
                    Ok(more) => done.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_unstable_by_key(|(index, _)| *index);
        for (index, result) in done {
            parts[index].append(&mut result?);
        }
        kept.reserve(parts.iter().map(Vec::len).sum());
        for mut part in parts {
            kept.append(&mut part);
        }
        Ok(())
    }

    /// A directory with all that is in it, on this thread and without recursion: it may be as deep as a path can be.
    /// Returns how many entries there were.
    fn deep(&self, above: &Dir, (path, state): Branch<S>, depth: usize, kept: &mut Vec<Kept<M>>) -> Result<usize> {
        let (dir, left) = entries(self.origin, Some(above), &path)?;
        let (mut open, mut seen) = (dir.height(), left.len());
        let mut levels = vec![Level { left, dir: Some(dir), state }];
        while let Some(level) = levels.last_mut() {
            let Some((path, stat)) = level.left.pop() else {
                open -= levels.pop().and_then(|level| level.dir).map_or(0, |dir| dir.height());
                continue;
            };
            let Some((path, state)) = self.look(path, &stat, &level.state, kept) else { continue };
            let (dir, left) = entries(self.origin, level.dir.as_ref(), &path)?;
            if depth + levels.len() >= MAX_DEPTH {
                let deep = io::Error::from(io::ErrorKind::InvalidFilename);
                return Err(StepError::file("look into", &path)(deep));
            }
            seen += left.len();
            let dir = Some(dir).filter(|dir| open + dir.height() <= MAX_OPEN);
            open += dir.as_ref().map_or(0, Dir::height);
            levels.push(Level { left, dir, state });
        }
        Ok(seen)
    }
}

/// The directory at `path`, which is one of `above`, and its entries, last name first.
fn entries(origin: &Origin, above: Option<&Dir>, path: &Path) -> Result<(Dir, Vec<(PathBuf, Stat)>)> {
    let read = || {
        let node = match (above, path.file_name()) {
            (Some(above), Some(name)) => above.entry(name)?,
            _ => origin.view.walk(path, false)?.node,
        };
        let Some(Node::Dir(dir)) = node else { return Err(io::Error::from(io::ErrorKind::NotADirectory)) };
        let mut entries = Vec::new();
        for name in dir.names()?.into_iter().rev() {
            if let Some(stat) = dir.stat_of(&name)? {
                entries.push((path.join(name), stat));
            }
        }
        Ok((dir, entries))
    };
    read().map_err(StepError::file("read", path))
}
