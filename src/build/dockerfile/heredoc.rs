//! Heredocs: `<<NAME`, `<<-NAME`, `<<"NAME"`, `3<<NAME`.

use super::{
    expand::{ExpandError, Lexer},
    json, split,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    pub name: String,
    /// As it stands in the file, line ends included.
    pub content: String,
    /// `<<-`: tabs before each line go.
    pub chomp: bool,
    /// Variables inside are expanded: no part of the name is quoted.
    pub expand: bool,
}

impl Heredoc {
    /// The heredoc that `text` opens, where that is all of it.
    pub fn opened_by(text: &str) -> Result<Option<Self>, ExpandError> {
        parse(text)
    }

    pub fn ends_at(&self, line: &str) -> bool {
        let line = if self.chomp { line.trim_start_matches('\t') } else { line };
        line == self.name
    }

    /// The content as a file gets it.
    pub fn text(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Whether this statement may open heredocs: RUN, COPY and ADD, and ONBUILD of these, but for the exec form, which has
/// no shell that would read one.
pub fn may_stand_in(statement: &str) -> bool {
    let mut part = split::split(statement);
    if part.keyword.eq_ignore_ascii_case("ONBUILD") {
        part = split::split(part.rest);
    }
    ["RUN", "COPY", "ADD"].iter().any(|name| part.keyword.eq_ignore_ascii_case(name)) && !json::is_strings(part.rest)
}

/// The heredocs that a line opens, without their content.
pub fn openers(line: &str) -> Result<Vec<Heredoc>, ExpandError> {
    let lexer = Lexer { raw_quotes: true, raw_escapes: true, skip_unset: true, ..Lexer::new('\\') };
    let mut found = Vec::new();
    // A shell text whose quotes this lexer cannot pair opens none.
    let Ok(line) = lexer.expand(line, &|_| None) else { return Ok(found) };
    for word in line.words {
        found.extend(parse(&word)?);
    }
    Ok(found)
}

/// A word that opens a heredoc: digits of a descriptor, `<<`, `-` or not, and a name.
pub fn parse(word: &str) -> Result<Option<Heredoc>, ExpandError> {
    let Some(rest) = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<") else { return Ok(None) };
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let lexer = Lexer { skip_unset: true, ..Lexer::new('\\') };
    let plain = lexer.expand(rest, &|_| None)?.words;
    let [name] = plain.as_slice() else { return Ok(None) };
    let raw = Lexer { raw_quotes: true, ..lexer }.expand(rest, &|_| None)?.words;
    let quotes = |words: &[String]| words.iter().flat_map(|word| word.chars()).filter(|c| "'\"".contains(*c)).count();
    let expand = quotes(&plain) == quotes(&raw);
    Ok(Some(Heredoc { name: name.clone(), content: String::new(), chomp, expand }))
}
