//! Where something stands in a Dockerfile, and errors and warnings that say so.

use std::fmt;

/// Line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub fn new(line: usize, column: usize) -> Self {
        Self { line, column }
    }
}

/// A part of an instruction that stands at a place of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub at: Place,
}

/// What is wrong, and where. A line of 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<K> {
    pub at: Place,
    pub kind: K,
}

impl<K> Located<K> {
    pub fn new(at: Place, kind: K) -> Self {
        Self { at, kind }
    }

    pub fn map<L>(self, into: impl FnOnce(K) -> L) -> Located<L> {
        Located { at: self.at, kind: into(self.kind) }
    }
}

impl<K: fmt::Display> fmt::Display for Located<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.line {
            0 => self.kind.fmt(f),
            line => write!(f, "line {line}: {}", self.kind),
        }
    }
}

impl<K: fmt::Display + fmt::Debug> std::error::Error for Located<K> {}

/// Characters of a line that are shown; a file in one line would be shown whole for every error.
const SHOWN: usize = 200;

impl<K: fmt::Display> Located<K> {
    /// The message with the line that it is about and a mark below the place:
    ///
    /// ```text
    /// Dockerfile:3:1: unknown instruction "COPPY"; did you mean COPY?
    ///   3 | COPPY a b
    ///     | ^
    /// ```
    pub fn render(&self, file: &str, source: &str) -> String {
        let Place { line, column } = self.at;
        if line == 0 {
            return format!("{file}: {}", self.kind);
        }
        let head = format!("{file}:{line}:{column}: {}", self.kind);
        let Some(text) = source.split('\n').nth(line - 1) else { return head };
        let text: String = text.trim_end().chars().take(SHOWN).collect();
        // A tab stays a tab in the mark's line as well, so that the mark stands below what it marks.
        let before: String =
            text.chars().take(column.saturating_sub(1)).map(|c| if c == '\t' { c } else { ' ' }).collect();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        match column <= SHOWN {
            true => format!("{head}\n  {number} | {text}\n  {margin} | {before}^"),
            false => format!("{head}\n  {number} | {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_line_and_marks_the_place() {
        let error = Located::new(Place::new(2, 6), "no such thing");
        assert_eq!(
            error.render("Dockerfile", "FROM a\n\tRUN b\r\n"),
            "Dockerfile:2:6: no such thing\n  2 | \tRUN b\n    | \t    ^"
        );
        assert_eq!(error.to_string(), "line 2: no such thing");
        assert_eq!(Located::new(Place::default(), "empty").render("D", ""), "D: empty");
    }
}
