//! Which files a source of COPY names: globs, what ignore files and `--exclude` leave out, `--parents`.
//!
//! The result is a list with the state of each file as it was seen; what is hashed and what is copied go by the same
//! list.

use super::{
    super::{
        error::{Result, StepError},
        view::{Dir, Node, View},
    },
    pattern::Pattern,
};
use crate::build::dockerfile::{Patterns, Verdict, has_wildcards};
use rustix::fs::{FileType, Stat};
use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

/// As the packer has it.
const MAX_DEPTH: usize = 2048;

/// Where files are taken from.
#[derive(Debug)]
pub struct Origin {
    pub view: View,
    /// What is not there for the build.
    pub ignore: Patterns,
    /// Owners of this host mean nothing in an image: root's, as Docker's contexts have it.
    pub foreign: bool,
}

/// One file or directory.
#[derive(Clone, Debug)]
pub struct Item {
    /// In the origin, free of links.
    pub path: PathBuf,
    /// Below the root of the source; empty for a source that is a file.
    pub to: PathBuf,
    pub stat: Stat,
}

/// What one source, or one match of a glob, stands for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The name that it gets in a directory: as it was written, not that of a link's target.
    pub name: OsString,
    pub root: Item,
    /// Below the root, parents before what is in them.
    pub items: Vec<Item>,
}

impl Item {
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

impl Found {
    pub fn is_dir(&self) -> bool {
        self.root.kind() == FileType::Directory
    }
    /// The root of a directory is none of what is copied.
    pub fn files(&self) -> impl Iterator<Item = &Item> {
        let own = if self.is_dir() { None } else { Some(&self.root) };
        own.into_iter().chain(&self.items)
    }
}

/// Every match of a source, in the order of names. A glob that matches nothing is no error, as in BuildKit; a directory
/// before its first wildcard that is not there is one.
pub fn find(origin: &Origin, source: &str, parents: bool, exclude: &Patterns) -> Result<Vec<Found>> {
    if parents {
        return with_parents(origin, source, exclude).map(|found| found.into_iter().collect());
    }
    let (fixed, wild) = split(source);
    if wild.is_empty() {
        return one(origin, Path::new(&fixed), source, exclude).map(|found| found.into_iter().collect());
    }
    let Some(base) = base_of_glob(origin, Path::new(&fixed))? else { return Ok(Vec::new()) };
    let pattern = Pattern::parse(&wild, false).map_err(|bad| StepError::Refused(bad.to_string()))?;
    let mut matches = Vec::new();
    walk(
        origin,
        &base,
        &mut |_, path, _, state: &Descent| {
            let states = pattern.step(&state.states, path.file_name().unwrap_or_default());
            if pattern.is_whole(&states) {
                matches.push(path.to_owned());
                return Step::Leave;
            }
            if states.is_empty() { Step::Leave } else { Step::Enter(Descent { states }) }
        },
        Descent { states: pattern.start() },
    )?;
    let mut found = Vec::new();
    for path in matches {
        match one(origin, &path, &path.to_string_lossy(), exclude) {
            // What is ignored is not there to be matched.
            Err(StepError::NotFound { hint, .. }) if !hint.is_empty() => {}
            other => found.extend(other?),
        }
    }
    Ok(found)
}

/// The real directory of a path without wildcards.
fn place(origin: &Origin, path: &Path) -> Result<Option<PathBuf>> {
    let place = origin.view.walk(path, true).or_else(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Ok(super::super::view::Place { path: path.to_owned(), node: None }),
        _ => Err(StepError::file("look at", path)(error)),
    })?;
    Ok(matches!(place.node, Some(Node::Dir(_))).then_some(place.path))
}

/// Where a glob begins; `None` for what is no directory, below which nothing can match.
fn base_of_glob(origin: &Origin, path: &Path) -> Result<Option<PathBuf>> {
    let missing = |hint: String| StepError::NotFound { path: shown(&path.to_string_lossy()), hint };
    let place = match origin.view.walk(path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(missing(String::new())),
        other => other.map_err(StepError::file("look at", path))?,
    };
    let text = place.path.to_string_lossy();
    match place.node {
        None => Err(missing(String::new())),
        Some(Node::Leaf(_)) => Ok(None),
        Some(Node::Dir(_)) if text.is_empty() => Ok(Some(place.path)),
        Some(Node::Dir(_)) => {
            let verdict = origin.ignore.verdict(&text, None);
            match verdict.excluded && !origin.ignore.may_include_below(&text) {
                true => Err(missing(left_out(origin, &verdict))),
                false => Ok(Some(place.path)),
            }
        }
    }
}

/// Why it is not there although it is.
fn left_out(origin: &Origin, verdict: &Verdict) -> String {
    match origin.ignore.decided(verdict) {
        Some((line, pattern)) => format!(": line {line} of the ignore file (`{pattern}`) leaves it out of the context"),
        None => String::new(),
    }
}

/// `None` for what `--exclude` leaves out.
fn one(origin: &Origin, path: &Path, written: &str, exclude: &Patterns) -> Result<Option<Found>> {
    let missing = |hint: String| StepError::NotFound { path: shown(written), hint };
    let place = match origin.view.walk(path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(missing(String::new())),
        other => other.map_err(StepError::file("look at", path))?,
    };
    let Some(node) = place.node else { return Err(missing(String::new())) };
    let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    let text = place.path.to_string_lossy();
    let verdict = if text.is_empty() { Verdict::default() } else { origin.ignore.verdict(&text, None) };
    let left_out = || left_out(origin, &verdict);
    let root = Item { path: place.path.clone(), to: PathBuf::new(), stat: *node.stat() };
    match node {
        Node::Dir(_) => {
            if verdict.excluded && !origin.ignore.may_include_below(&text) {
                return Err(missing(left_out()));
            }
            let items = below(origin, &place.path, verdict.clone(), exclude, None)?;
            if verdict.excluded && items.is_empty() {
                return Err(missing(left_out()));
            }
            Ok(Some(Found { name, root, items }))
        }
        Node::Leaf(_) if verdict.excluded => Err(missing(left_out())),
        Node::Leaf(_) if exclude.excludes(&name.to_string_lossy()) => Ok(None),
        Node::Leaf(_) => Ok(Some(Found { name, root, items: Vec::new() })),
    }
}

/// `--parents`: what matches, with the directories above it up to the pivot.
fn with_parents(origin: &Origin, source: &str, exclude: &Patterns) -> Result<Option<Found>> {
    let (pivot, wanted) = source.split_once("/./").unwrap_or(("", source));
    let wanted = Path::new(wanted).components().collect::<PathBuf>();
    let wanted = super::super::view::lexical(&wanted);
    let Some(base) = place(origin, Path::new(pivot))? else {
        return Err(StepError::NotFound { path: shown(pivot), hint: String::new() });
    };
    let root = origin.view.walk(&base, false).map_err(StepError::file("look at", &base))?;
    let Some(node) = root.node else { return Ok(None) };
    let root = Item { path: base.clone(), to: PathBuf::new(), stat: *node.stat() };
    let text = wanted.to_string_lossy();
    let pattern = Pattern::parse(&text, true).map_err(|bad| StepError::Refused(bad.to_string()))?;
    let pattern = if text.is_empty() { None } else { Some(&pattern) };
    let base_text = base.to_string_lossy();
    let verdict = if base_text.is_empty() { Verdict::default() } else { origin.ignore.verdict(&base_text, None) };
    let items = below(origin, &base, verdict, exclude, pattern)?;
    if items.is_empty() && !has_wildcards(source) && pattern.is_some() {
        return Err(StepError::NotFound { path: shown(source), hint: String::new() });
    }
    Ok(Some(Found { name: OsString::new(), root, items }))
}

/// How far patterns have come in a directory.
struct State {
    ignored: Verdict,
    excluded: Verdict,
    /// Of `--parents`; `None` where everything is wanted.
    wanted: Option<Vec<usize>>,
}

/// All that is below a directory and not left out.
fn below(
    origin: &Origin,
    root: &Path,
    ignored: Verdict,
    exclude: &Patterns,
    wanted: Option<&Pattern>,
) -> Result<Vec<Item>> {
    // With each the mark that it is only there for what is in it.
    let mut items: Vec<(Item, bool)> = Vec::new();
    let start = State { ignored, excluded: Verdict::default(), wanted: wanted.map(Pattern::start) };
    walk(
        origin,
        root,
        &mut |to, path, stat, state: &State| {
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let mut only_above = false;
            let states = match (wanted, &state.wanted) {
                (Some(pattern), Some(states)) => {
                    let states = pattern.step(states, path.file_name().unwrap_or_default());
                    if pattern.is_whole(&states) {
                        None
                    } else if states.is_empty() || !is_dir {
                        return Step::Leave;
                    } else {
                        only_above = true;
                        Some(states)
                    }
                }
                _ => None,
            };
            let (text, relative) = (path.to_string_lossy(), to.to_string_lossy());
            let ignored = origin.ignore.verdict(&text, Some(&state.ignored));
            let excluded = exclude.verdict(&relative, Some(&state.excluded));
            for (verdict, patterns, text) in [(&ignored, &origin.ignore, &text), (&excluded, exclude, &relative)] {
                if verdict.excluded {
                    if !is_dir || !patterns.may_include_below(text) {
                        return Step::Leave;
                    }
                    only_above = true;
                }
            }
            items.push((Item { path: path.to_owned(), to: to.to_owned(), stat: *stat }, only_above));
            if is_dir { Step::Enter(State { ignored, excluded, wanted: states }) } else { Step::Leave }
        },
        start,
    )?;
    let mut needed: HashSet<PathBuf> = HashSet::new();
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for (item, only_above) in items.into_iter().rev() {
        if !only_above || needed.contains(&item.to) {
            needed.extend(item.to.parent().map(Path::to_owned));
            kept.push(item);
        }
    }
    kept.reverse();
    Ok(kept)
}

struct Descent {
    states: Vec<usize>,
}

enum Step<S> {
    /// Look into this directory, with this state.
    Enter(S),
    Leave,
}

/// Descriptors of directories that are kept open while what is in them is looked at.
const MAX_OPEN: usize = 128;

/// A directory whose entries are looked at.
struct Level<S> {
    /// Left to see, last name first.
    left: Vec<(PathBuf, Stat)>,
    /// `None` where too many are open: its directories are found from the top again.
    dir: Option<Dir>,
    state: S,
}

/// Goes through a directory, parents first, in the order of names. `see` is told the path below `root`, the path in the
/// origin, and the state of the directory above.
fn walk<S>(
    origin: &Origin,
    root: &Path,
    see: &mut dyn FnMut(&Path, &Path, &Stat, &S) -> Step<S>,
    start: S,
) -> Result<()> {
    let (dir, left) = entries(origin, None, root)?;
    let mut open = dir.height();
    let mut levels = vec![Level { left, dir: Some(dir), state: start }];
    while let Some(level) = levels.last_mut() {
        let Some((path, stat)) = level.left.pop() else {
            open -= levels.pop().and_then(|level| level.dir).map_or(0, |dir| dir.height());
            continue;
        };
        let to = path.strip_prefix(root).unwrap_or(&path);
        if let Step::Enter(state) = see(to, &path, &stat, &level.state)
            && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        {
            let (dir, left) = entries(origin, level.dir.as_ref(), &path)?;
            if levels.len() > MAX_DEPTH {
                let deep = io::Error::from(io::ErrorKind::InvalidFilename);
                return Err(StepError::file("look into", &path)(deep));
            }
            let dir = Some(dir).filter(|dir| open + dir.height() <= MAX_OPEN);
            open += dir.as_ref().map_or(0, Dir::height);
            levels.push(Level { left, dir, state });
        }
    }
    Ok(())
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

/// The part before the first name with a wildcard, and the rest.
fn split(source: &str) -> (String, String) {
    let clean: Vec<&str> = source.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let wild = clean.iter().position(|part| has_wildcards(part)).unwrap_or(clean.len());
    (clean[..wild].join("/"), clean[wild..].join("/"))
}

/// With the slash that BuildKit shows.
fn shown(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}
