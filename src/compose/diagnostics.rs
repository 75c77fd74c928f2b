//! Errors and warnings that show the line they are about, in the form of rustc's.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use std::{fmt, sync::Arc};

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

/// A range of bytes of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Index into `Diagnostics::sources`.
    pub source: u32,
    pub start: u32,
    pub end: u32,
}

/// A text that spans point into.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// As shown: relative to the working directory where it is below it.
    pub name: String,
    pub text: Arc<str>,
}

/// One finding. The first place is the one the finding is about; the others explain it.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    pub places: Vec<(Span, String)>,
    pub help: Vec<String>,
}

/// Where a finding is; line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), places: Vec::new(), help: Vec::new() }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Underlines `span`; the first call names the place of the finding.
    pub fn at(self, span: Span) -> Self {
        self.because(span, "")
    }

    /// Underlines `span` with a few words beside it.
    pub fn because(mut self, span: Span, words: impl Into<String>) -> Self {
        self.places.push((span, words.into()));
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }
}

/// More are of no use to anybody.
pub const MAX_SHOWN: usize = 200;

/// Bytes of a line that can still be shown: a file in one line would be shown whole for every finding.
const MAX_LINE: usize = 16 << 10;

/// Bytes of a message. Some quote what the file says.
const MAX_WORDS: usize = 2_000;

/// Findings, with the texts that they point into.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    sources: Vec<SourceText>,
}

impl Diagnostics {
    pub fn new(items: Vec<Diagnostic>, sources: Vec<SourceText>) -> Self {
        Self { items, sources }
    }

    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    /// Place of a finding, where it has one.
    pub fn location(&self, item: &Diagnostic) -> Option<Location> {
        item.places.first().and_then(|(span, _)| self.locate(*span))
    }

    pub(super) fn locate(&self, span: Span) -> Option<Location> {
        let source = self.sources.get(span.source as usize)?;
        let before = source.text.get(..span.start as usize)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some(Location {
            file: source.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }

    /// All findings, an empty line between two; of very many, the first ones and how many there are.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut texts: Vec<String> =
            self.items.iter().take(MAX_SHOWN).map(|item| self.render_one(item, &renderer)).collect();
        if let Some(more) = self.items.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
            texts.push(
                renderer.render(&[Group::with_title(Level::NOTE.primary_title(format!("{more} more like these")))]),
            );
        }
        texts.join("\n\n")
    }

    fn render_one(&self, item: &Diagnostic, renderer: &Renderer) -> String {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(printable(&item.message)));
        for snippet in self.snippets(item) {
            group = group.element(snippet);
        }
        for help in &item.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        renderer.render(&[group])
    }

    /// Only the place.
    fn without_text(&self, span: Span) -> Element<'_> {
        let location = self.locate(span);
        let (file, line, column) = location.map_or((String::new(), 1, 1), |l| (printable(&l.file), l.line, l.column));
        Origin::path(file).line(line).char_column(column).into()
    }

    /// One snippet a source, in the order in which the finding names them.
    fn snippets<'a>(&'a self, item: &'a Diagnostic) -> Vec<Element<'a>> {
        let mut order: Vec<u32> = Vec::new();
        for (span, _) in &item.places {
            if !order.contains(&span.source) {
                order.push(span.source);
            }
        }
        let primary = item.places.first().map(|(span, _)| *span);
        let snippet = |index: u32| {
            let source = self.sources.get(index as usize)?;
            let here = || item.places.iter().filter(move |(span, _)| span.source == index);
            let ranges = here().map(|(span, _)| visible(&source.text, *span));
            let (window, line) = window(&source.text, ranges);
            if source.text[window.clone()].lines().any(|line| line.len() > MAX_LINE) {
                return Some(self.without_text(here().next().map(|(span, _)| *span)?));
            }
            let annotations = here().map(|(span, words)| {
                let kind = if Some(*span) == primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                let range = visible(&source.text, *span);
                let annotation = kind.span(range.start - window.start..range.end - window.start);
                if words.is_empty() { annotation } else { annotation.label(printable(words)) }
            });
            let text = &source.text[window.clone()];
            Some(Snippet::source(text).line_start(line).path(printable(&source.name)).annotations(annotations).into())
        };
        order.into_iter().filter_map(snippet).collect()
    }
}

/// The range to underline: inside the text, on character borders, and of a long value only its first line.
fn visible(text: &str, span: Span) -> std::ops::Range<usize> {
    let start = floor(text, span.start as usize);
    let mut end = floor(text, span.end as usize).max(start);
    if let Some(newline) = text[start..end].find('\n') {
        end = start + newline;
    }
    start..end
}

/// The lines that hold all `ranges`, and the number of the first one: rendering takes time in proportion.
fn window(text: &str, ranges: impl Iterator<Item = std::ops::Range<usize>>) -> (std::ops::Range<usize>, usize) {
    let whole = ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
    let start = text[..whole.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[whole.end..].find('\n').map_or(text.len(), |newline| whole.end + newline);
    (start..end, text[..start].matches('\n').count() + 1)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Without control characters and of a length that can be read: a hostile file must not reach the terminal through a
/// message, nor fill it.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_WORDS));
    for c in text.chars() {
        if out.len() > MAX_WORDS {
            out.push_str("...");
            break;
        }
        match c {
            '\n' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// Names that a wrong one is compared with: with each of a hostile file it would take hours.
const MAX_CANDIDATES: usize = 1_000;

/// The candidate that `wrong` was probably meant to be.
pub fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing is quadratic in length, and nothing that long is a slip of the finger.
    if wrong.len() > 64 {
        return None;
    }
    let lower = wrong.to_lowercase();
    let most = |candidate: &str| 1.max(candidate.len().min(wrong.len()) / 3);
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        // A cheap bound from below, since a file may be wrong in a great many places.
        .filter(|candidate| candidate.len() <= 64 && candidate.len().abs_diff(wrong.len()) <= most(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= most(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(item: Diagnostic) -> Diagnostics {
        let source = |name: &str, text: &str| SourceText { name: name.into(), text: text.into() };
        Diagnostics::new(vec![item], vec![source("compose.yaml", "a: é\nb: cde\n"), source("other.yaml", "b: [\n")])
    }

    #[test]
    fn a_finding_shows_its_line_and_the_lines_that_explain_it() {
        let span = |source, start, end| Span { source, start, end };
        let findings = one(Diagnostic::error("`b` is wrong")
            .because(span(0, 9, 12), "this")
            .because(span(1, 0, 1), "first set here")
            .help("write `c`"));
        assert_eq!(
            findings.location(&findings.items[0]),
            Some(Location { file: "compose.yaml".into(), line: 2, column: 4 })
        );
        insta::assert_snapshot!(findings.render(false), @r"
        error: `b` is wrong
         --> compose.yaml:2:4
          |
        2 | b: cde
          |    ^^^ this
          |
         ::: other.yaml:1:1
          |
        1 | b: [
          | - first set here
          |
          = help: write `c`
        ");
    }

    #[test]
    fn ranges_outside_of_the_text_and_control_characters_do_no_harm() {
        let findings = one(Diagnostic::warning("bell \x07 and \x1b[31m").at(Span { source: 0, start: 4, end: 9000 }));
        insta::assert_snapshot!(findings.render(false), @r"
        warning: bell \u{7} and \u{1b}[31m
         --> compose.yaml:1:4
          |
        1 | a: é
          |    ^
        ");
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_not_shown() {
        let sources =
            vec![SourceText { name: "compose.yaml".into(), text: format!("a\n{}", "é ".repeat(20_000)).into() }];
        let finding = Diagnostic::error("wrong").because(Span { source: 0, start: 5, end: 7 }, "here");
        insta::assert_snapshot!(Diagnostics::new(vec![finding], sources).render(false), @r"
        error: wrong
        --> compose.yaml:2:3
        ");
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_different_word_is_not() {
        let keys = ["image", "environment", "volumes", "volumes_from"];
        assert_eq!(did_you_mean("imgae", keys), Some("image"));
        assert_eq!(did_you_mean("enviroment", keys), Some("environment"));
        assert_eq!(did_you_mean("volume", keys), Some("volumes"));
        assert_eq!(did_you_mean("frobnicate", keys), None);
    }
}
