//! Which files a source of COPY names: globs, what ignore files and `--exclude` leave out, `--parents`.
//!
//! The result is a list with the state of each file as it was seen; what is hashed and what is copied go by the same
//! list.

use super::{
    super::{
        error::{Result, StepError},
        view::{Node, View},
    },
    pattern::Pattern,
    walk::{Kept, Step, walk},
};
use crate::build::dockerfile::{Patterns, Verdict, has_wildcards};
use rustix::fs::{FileType, Stat};
use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

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
    /// Bytes of the path up to what is below the root of the source.
    below: usize,
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
    /// The root of a source.
    fn root(path: PathBuf, stat: Stat) -> Self {
        Self { below: path.as_os_str().len(), path, stat }
    }

    /// Below the root of the source; empty for the root.
    pub fn to(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path.as_os_str().as_bytes().get(self.below..).unwrap_or_default()))
    }

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
    let matches = walk(
        origin,
        &base,
        &|_, path, _, states: &Vec<usize>| {
            let states = pattern.step(states, path.file_name().unwrap_or_default());
            if pattern.is_whole(&states) {
                return Step { keep: Some(()), enter: None };
            }
            Step { keep: None, enter: Some(states).filter(|states| !states.is_empty()) }
        },
        pattern.start(),
    )?;
    let mut found = Vec::new();
    for Kept { path, .. } in matches {
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
    let root = Item::root(place.path.clone(), *node.stat());
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
    let root = Item::root(base.clone(), *node.stat());
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
    let start = State { ignored, excluded: Verdict::default(), wanted: wanted.map(Pattern::start) };
    // With each the mark that it is only there for what is in it.
    let items: Vec<Kept<bool>> = walk(
        origin,
        root,
        &|to, path, stat, state: &State| {
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let mut only_above = false;
            let states = match (wanted, &state.wanted) {
                (Some(pattern), Some(states)) => {
                    let states = pattern.step(states, path.file_name().unwrap_or_default());
                    if pattern.is_whole(&states) {
                        None
                    } else if states.is_empty() || !is_dir {
                        return Step::none();
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
                        return Step::none();
                    }
                    only_above = true;
                }
            }
            let enter = if is_dir { Some(State { ignored, excluded, wanted: states }) } else { None };
            Step { keep: Some(only_above), enter }
        },
        start,
    )?;
    let below = if root.as_os_str().is_empty() { 0 } else { root.as_os_str().len() + 1 };
    let item = |kept: Kept<bool>| Item { path: kept.path, below, stat: kept.stat };
    if items.iter().all(|kept| !kept.mark) {
        return Ok(items.into_iter().map(item).collect());
    }
    let mut needed: HashSet<PathBuf> = HashSet::new();
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for entry in items.into_iter().rev() {
        if !entry.mark || needed.contains(&entry.path) {
            needed.extend(entry.path.parent().map(Path::to_owned));
            kept.push(item(entry));
        }
    }
    kept.reverse();
    Ok(kept)
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

#[cfg(test)]
mod tests {
    use super::{super::walk::MANY, *};
    use std::fs;

    fn origin(dir: &Path, ignore: &[&str]) -> Origin {
        let ignore = Patterns::new(ignore.iter().copied()).unwrap();
        Origin { view: View::open([dir]).unwrap(), ignore, foreign: true }
    }

    fn names(origin: &Origin, source: &str) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let found = find(origin, source, false, &Patterns::default()).unwrap();
        found.iter().flat_map(Found::files).map(|item| (text(&item.path), text(item.to()))).collect()
    }

    /// The order of names, parents first, as one thread would see them.
    fn expected(dir: &Path, above: &str, kept: &dyn Fn(&str) -> bool, out: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = format!("{above}{}", entry.file_name().to_str().unwrap());
            if kept(&path) {
                out.push(path.clone());
            }
            if entry.file_type().unwrap().is_dir() {
                expected(&entry.path(), &format!("{path}/"), kept, out);
            }
        }
    }

    #[test]
    fn what_many_threads_find_is_in_the_order_of_one() {
        let dir = tempfile::tempdir().unwrap();
        // Shared out in the third level: those above have one directory each.
        let wide = dir.path().join("a/b");
        for number in 0..60 {
            let below = wide.join(format!("{number}/{}", number % 7));
            fs::create_dir_all(&below).unwrap();
            for file in 0..number % 5 {
                fs::write(below.join(format!("f{file}")), "").unwrap();
                fs::write(wide.join(format!("{number}x{file}")), "").unwrap();
            }
        }
        let mut all = Vec::new();
        expected(dir.path(), "", &|_| true, &mut all);
        assert!(all.len() > MANY);
        let found = names(&origin(dir.path(), &[]), "/");
        assert_eq!(found.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), all);
        assert!(found.iter().all(|(path, to)| path == to));
        let found = names(&origin(dir.path(), &[]), "/a/b");
        let below: Vec<_> = all.iter().filter_map(|path| path.strip_prefix("a/b/")).collect();
        assert_eq!(found.iter().map(|(_, to)| to.as_str()).collect::<Vec<_>>(), below);
        // Directories that are only there for what is in them.
        let mut some = Vec::new();
        let kept = |path: &str| !path.ends_with("f1") && path.matches('/').count() > 3;
        expected(dir.path(), "", &kept, &mut some);
        let wanted: Vec<_> = all
            .iter()
            .filter(|path| some.iter().any(|kept| kept == *path || kept.starts_with(&format!("{path}/"))))
            .collect();
        let found = names(&origin(dir.path(), &["**", "!a/b/*/*/f*", "**/f1"]), "/");
        assert_eq!(found.iter().map(|(path, _)| path).collect::<Vec<_>>(), wanted);
    }
}
