//! A text as statements: comments and continuations are gone, heredocs stand with the statement that opens them.

use super::{
    directive::Directives,
    error::{Error, Fault},
    heredoc::{self, Heredoc},
    place::Place,
};

/// One instruction as text, in one line, with where its parts come from.
#[derive(Clone, Debug)]
pub struct Statement {
    pub text: String,
    pub first_line: usize,
    pub last_line: usize,
    pub heredocs: Vec<Heredoc>,
    /// Offset in `text`, and the place of the byte there; ascending.
    pieces: Vec<(usize, Place)>,
}

impl Statement {
    /// Where the byte at `offset` of the text stands in the file.
    pub fn place(&self, offset: usize) -> Place {
        let piece = self.pieces.iter().rev().find(|(start, _)| *start <= offset);
        let Some((start, place)) = piece else { return Place::new(self.first_line, 1) };
        let between = self.text.get(*start..offset).map_or(0, |text| text.chars().count());
        Place::new(place.line, place.column + between)
    }

    /// A statement of one piece: what ONBUILD triggers.
    pub fn inner(&self, offset: usize) -> Self {
        let shift = |(start, place): &(usize, Place)| (start.saturating_sub(offset), *place);
        let mut pieces: Vec<_> = self.pieces.iter().filter(|(start, _)| *start >= offset).map(shift).collect();
        pieces.insert(0, (0, self.place(offset)));
        Self { text: self.text.get(offset..).unwrap_or_default().to_owned(), pieces, ..self.clone() }
    }
}

#[derive(Debug, Default)]
pub struct Lines {
    pub statements: Vec<Statement>,
    pub directives: Directives,
    /// Lines of statements that have empty lines inside.
    pub empty_continuations: Vec<usize>,
    pub errors: Vec<Error>,
}

pub fn read(text: &str) -> Lines {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines::default();
    let mut input = text.split_inclusive('\n').enumerate().map(|(index, line)| (index + 1, line));
    while let Some((number, raw)) = input.next() {
        let line = without_end(raw);
        let trimmed = line.trim_start();
        if let Err(error) = lines.directives.line(trimmed, number) {
            lines.errors.push(error);
            return lines;
        }
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let escape = lines.directives.escape();
        let indent = line.chars().count() - trimmed.chars().count();
        let mut statement = Statement {
            text: String::new(),
            first_line: number,
            last_line: number,
            heredocs: Vec::new(),
            pieces: Vec::new(),
        };
        let mut open = statement.add(trimmed, Place::new(number, indent + 1), escape);
        let mut empty = false;
        while open {
            let Some((number, raw)) = input.next() else { break };
            statement.last_line = number;
            let line = without_end(raw);
            match line.trim_start() {
                // A comment inside goes, whatever it ends with.
                comment if comment.starts_with('#') => {}
                "" => empty = true,
                _ => open = statement.add(line, Place::new(number, 1), escape),
            }
        }
        if empty {
            lines.empty_continuations.push(statement.last_line);
        }
        if statement.text.trim().is_empty() {
            lines.errors.push(Error::new(Place::new(number, indent + 1), Fault::ContinuesNothing));
            continue;
        }
        if let Err(error) = statement.read_heredocs(&mut input) {
            // What follows is the text of the heredoc, and no instruction.
            lines.errors.push(error);
            return lines;
        }
        lines.statements.push(statement);
    }
    lines
}

impl Statement {
    /// Adds a line of the file; true when the next one belongs to it as well.
    fn add(&mut self, line: &str, place: Place, escape: char) -> bool {
        let (line, open) = match continued(line, escape) {
            Some(line) => (line, true),
            None => (line, false),
        };
        self.pieces.push((self.text.len(), place));
        self.text.push_str(line);
        open
    }

    fn read_heredocs<'a>(&mut self, input: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<(), Error> {
        if !self.text.contains("<<") || !heredoc::may_stand_in(&self.text) {
            return Ok(());
        }
        let place = Place::new(self.first_line, 1);
        let openers = heredoc::openers(&self.text).map_err(|error| Error::new(place, error.into()))?;
        for mut document in openers {
            let open = Fault::HeredocOpen { name: document.name.clone() };
            loop {
                let Some((number, raw)) = input.next() else { return Err(Error::new(place, open)) };
                self.last_line = number;
                if document.ends_at(without_end(raw)) {
                    break;
                }
                document.content.push_str(raw);
            }
            self.heredocs.push(document);
        }
        Ok(())
    }
}

fn without_end(raw: &str) -> &str {
    raw.trim_end_matches(['\r', '\n'])
}

/// The line without its continuation character. Two of them are an escaped one, which continues nothing.
fn continued(line: &str, escape: char) -> Option<&str> {
    let line = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!line.ends_with(escape)).then_some(line)
}
