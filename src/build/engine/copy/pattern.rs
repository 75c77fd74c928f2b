//! A path with wildcards, matched name by name while a tree is walked. With `--parents` `**` stands for any number of
//! directories, and without for one name, as a single star does.

use crate::build::dockerfile::{BadPattern, Glob};
use std::ffi::OsStr;

#[derive(Debug)]
pub struct Pattern(Vec<Part>);

#[derive(Debug)]
enum Part {
    Name(Glob),
    Directories,
}

impl Pattern {
    pub fn parse(text: &str, deep: bool) -> Result<Self, BadPattern> {
        let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
        let part =
            |part: &str| if deep && part == "**" { Ok(Part::Directories) } else { Glob::parse(part).map(Part::Name) };
        parts.map(part).collect::<Result<_, _>>().map(Self)
    }

    /// Where the pattern is at the top of the tree.
    pub fn start(&self) -> Vec<usize> {
        self.closed(vec![0])
    }

    /// Where it is behind one more name; nowhere, if the name does not match.
    pub fn step(&self, states: &[usize], name: &OsStr) -> Vec<usize> {
        let name = name.to_string_lossy();
        let mut next = Vec::new();
        for state in states {
            match self.0.get(*state) {
                Some(Part::Directories) => next.push(*state),
                Some(Part::Name(glob)) if glob.matches(&name) => next.push(state + 1),
                _ => {}
            }
        }
        self.closed(next)
    }

    /// Whether a path that ends here matches.
    pub fn is_whole(&self, states: &[usize]) -> bool {
        states.contains(&self.0.len())
    }

    /// `**` may stand for no directory at all.
    fn closed(&self, mut states: Vec<usize>) -> Vec<usize> {
        let mut at = 0;
        while at < states.len() {
            let state = states[at];
            if matches!(self.0.get(state), Some(Part::Directories)) && !states.contains(&(state + 1)) {
                states.push(state + 1);
            }
            at += 1;
        }
        states.sort_unstable();
        states.dedup();
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, deep: bool, path: &str) -> bool {
        let pattern = Pattern::parse(pattern, deep).unwrap();
        let states = path.split('/').fold(pattern.start(), |states, name| pattern.step(&states, OsStr::new(name)));
        pattern.is_whole(&states)
    }

    #[test]
    fn names_match_one_by_one() {
        for (pattern, path, expected) in [
            ("*.go", "a.go", true),
            ("*.go", "d/a.go", false),
            ("d/*.go", "d/a.go", true),
            ("**/*.go", "a.go", true),
            ("**/*.go", "x/y/a.go", true),
            ("x/**/a.go", "x/a.go", true),
            ("x/**/a.go", "x/y/z/a.go", true),
            ("x/**/a.go", "y/a.go", false),
            ("x/**", "x/y", true),
            ("?", "ab", false),
        ] {
            assert_eq!(matches(pattern, true, path), expected, "{pattern} {path}");
        }
        for (path, expected) in [("a.go", false), ("x/a.go", true), ("x/y/a.go", false)] {
            assert_eq!(matches("**/*.go", false, path), expected, "{path}");
        }
    }
}
