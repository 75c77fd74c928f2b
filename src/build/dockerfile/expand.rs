//! Variables in words: `$x`, `${x:-d}` and the like, quotes and escapes, as BuildKit's lexer takes them.
//!
//! It resembles a shell and is none: words are split after expansion only where an instruction asks for it.

use super::pattern;
use std::{cell::RefCell, collections::BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    #[error("the quote {quote} in {text:?} is not closed")]
    OpenQuote { text: String, quote: char },
    #[error("\"${{\" in {text:?} has no \"}}\"")]
    OpenBrace { text: String },
    #[error("\"${{...}}\" in {text:?} names no variable")]
    NoName { text: String },
    #[error("\"${{{name}/...}}\" in {text:?} needs a second \"/\" between pattern and replacement")]
    NoReplacement { text: String, name: String },
    #[error(
        "\"{modifier}\" after the name of a variable in {text:?} is not known (known: :- :+ :? - + ? # ## % %% / //)"
    )]
    Modifier { text: String, modifier: String },
    #[error("the variable {name} {why}")]
    Required { name: String, why: String },
    #[error("the pattern {pattern:?} ends in a backslash or escapes what needs no escape")]
    Pattern { pattern: String },
    #[error("{text:?} has too many \"${{\" inside one another")]
    TooDeep { text: String },
    #[error("{text:?} grows by more than {} KiB", MAX_GROWTH >> 10)]
    TooLarge { text: String },
}

/// Variables that name variables can double a text line by line.
const MAX_GROWTH: usize = 1 << 20;
const MAX_DEPTH: usize = 50;

/// How a text is taken. All flags off is how words of instructions are.
#[derive(Clone, Copy, Debug)]
pub struct Lexer {
    pub escape: char,
    /// Quotes stay in the text.
    pub raw_quotes: bool,
    /// Escape characters stay in the text.
    pub raw_escapes: bool,
    /// Quotes are characters like all others: text of heredocs.
    pub skip_quotes: bool,
    /// Variables that are not set stay as they are written.
    pub skip_unset: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    pub text: String,
    /// Split at spaces that stood outside of quotes, those from values included.
    pub words: Vec<String>,
    pub matched: BTreeSet<String>,
    /// Variables that are not set although nothing says what then: `${x:-d}` is none of them.
    pub unmatched: BTreeSet<String>,
}

type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Lexer {
    pub fn new(escape: char) -> Self {
        Self { escape, raw_quotes: false, raw_escapes: false, skip_quotes: false, skip_unset: false }
    }

    pub fn expand(&self, text: &str, env: &Env<'_>) -> Result<Expanded, ExpandError> {
        // Most words hold nothing to do.
        let special = |c: char| c == '$' || c == '"' || c == '\'' || c == self.escape || c == '<' || c.is_whitespace();
        if !text.contains(special) {
            let words = if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
            return Ok(Expanded { text: text.to_owned(), words, ..Expanded::default() });
        }
        let mut run = Run {
            lexer: *self,
            source: text,
            chars: text.chars().collect(),
            at: 0,
            depth: 0,
            env,
            matched: RefCell::default(),
            unmatched: RefCell::default(),
        };
        let (text, words) = run.until(None)?;
        Ok(Expanded { text, words, matched: run.matched.into_inner(), unmatched: run.unmatched.into_inner() })
    }
}

/// Collects words beside the text.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
}

impl Words {
    fn split(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

struct Run<'a> {
    lexer: Lexer,
    source: &'a str,
    chars: Vec<char>,
    at: usize,
    depth: usize,
    env: &'a Env<'a>,
    matched: RefCell<BTreeSet<String>>,
    unmatched: RefCell<BTreeSet<String>>,
}

impl Run<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn limit(&self) -> usize {
        self.source.len() + MAX_GROWTH
    }

    fn text(&self) -> String {
        self.source.chars().take(200).collect()
    }

    /// Reads up to `stop`, or to the end where there is none.
    fn until(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), ExpandError> {
        let mut text = String::new();
        let mut words = Words::default();
        loop {
            if text.len() > self.limit() {
                return Err(ExpandError::TooLarge { text: self.text() });
            }
            let Some(c) = self.peek() else { break };
            if Some(c) == stop {
                self.at += 1;
                return Ok((text, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    value.chars().for_each(|c| words.split(c));
                    text.push_str(&value);
                }
                '\'' | '"' if !self.lexer.skip_quotes => {
                    let inner = if c == '"' { self.double()? } else { self.single()? };
                    words.word.push_str(&inner);
                    text.push_str(&inner);
                }
                '<' if !self.lexer.skip_quotes => {
                    let inner = self.angle();
                    words.word.push_str(&inner);
                    text.push_str(&inner);
                }
                c if c == self.lexer.escape => {
                    self.at += 1;
                    if self.lexer.raw_escapes {
                        words.word.push(c);
                        text.push(c);
                    }
                    let Some(c) = self.next() else { break };
                    words.word.push(c);
                    text.push(c);
                }
                c => {
                    self.at += 1;
                    words.split(c);
                    text.push(c);
                }
            }
        }
        match stop {
            None => Ok((text, words.finish())),
            Some(_) => Err(ExpandError::OpenBrace { text: self.text() }),
        }
    }

    /// `<<` or `<<-` with the spaces behind, which may stand before the name of a heredoc.
    fn angle(&mut self) -> String {
        let mut text: String = self.next().into_iter().collect();
        if self.peek() == Some('<') {
            text.extend(self.next());
            if self.peek() == Some('-') {
                text.extend(self.next());
            }
            while self.peek().is_some_and(|c| c == ' ' || c == '\t') {
                text.extend(self.next());
            }
        }
        text
    }

    /// Everything up to the next single quote; nothing escapes.
    fn single(&mut self) -> Result<String, ExpandError> {
        let mut text = String::new();
        self.at += 1;
        if self.lexer.raw_quotes {
            text.push('\'');
        }
        loop {
            match self.next() {
                None => return Err(ExpandError::OpenQuote { text: self.text(), quote: '\'' }),
                Some('\'') => break,
                Some(c) => text.push(c),
            }
        }
        if self.lexer.raw_quotes {
            text.push('\'');
        }
        Ok(text)
    }

    /// Variables are expanded; the escape character escapes `"`, `$` and itself alone.
    fn double(&mut self) -> Result<String, ExpandError> {
        let mut text = String::new();
        self.at += 1;
        if self.lexer.raw_quotes {
            text.push('"');
        }
        loop {
            if text.len() > self.limit() {
                return Err(ExpandError::TooLarge { text: self.text() });
            }
            match self.peek() {
                None => return Err(ExpandError::OpenQuote { text: self.text(), quote: '"' }),
                Some('"') => {
                    self.at += 1;
                    break;
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.lexer.escape => {
                    self.at += 1;
                    if self.lexer.raw_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        // The quote is open at the end: the next turn says so.
                        None => {}
                        Some(next) if next == '"' || next == '$' || next == c => {
                            self.at += 1;
                            text.push(next);
                        }
                        Some(_) => text.push(c),
                    }
                }
                Some(c) => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
        if self.lexer.raw_quotes {
            text.push('"');
        }
        Ok(text)
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.at += 1;
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.value(&name) {
                None if self.lexer.skip_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep { text: self.text() });
        }
        let value = self.braces();
        self.depth -= 1;
        value
    }

    /// What stands after `${`.
    fn braces(&mut self) -> Result<String, ExpandError> {
        match self.peek() {
            None => return Err(ExpandError::OpenBrace { text: self.text() }),
            Some('{' | '}' | ':') => return Err(ExpandError::NoName { text: self.text() }),
            Some(_) => {}
        }
        let name = self.name();
        let Some(first) = self.next() else { return Err(ExpandError::OpenBrace { text: self.text() }) };
        match first {
            '}' => Ok(match self.value(&name) {
                None if self.lexer.skip_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            ':' => {
                let Some(kind) = self.next() else { return Err(ExpandError::OpenBrace { text: self.text() }) };
                self.modified(&name, kind, true)
            }
            '/' => self.replaced(&name),
            kind => self.modified(&name, kind, false),
        }
    }

    /// `${name-word}` and its like; after a colon, an empty value counts as none.
    fn modified(&mut self, name: &str, kind: char, colon: bool) -> Result<String, ExpandError> {
        let modifier = if colon { format!(":{kind}") } else { kind.to_string() };
        if !"+-?#%".contains(kind) {
            return Err(ExpandError::Modifier { text: self.text(), modifier });
        }
        let trims = kind == '#' || kind == '%';
        let word = self.with_raw_escapes(trims, |run| run.until(Some('}')))?.0;
        let value = if trims { self.value(name) } else { (self.env)(name) };
        if value.is_none() && self.lexer.skip_unset {
            return Ok(format!("${{{name}{modifier}{word}}}"));
        }
        let unset = value.is_none();
        let value = value.filter(|value| !(colon && value.is_empty()));
        match kind {
            '-' => Ok(value.unwrap_or(word)),
            '+' => Ok(value.map(|_| word).unwrap_or_default()),
            '?' => value.ok_or_else(|| {
                let why = match word.as_str() {
                    "" if unset => "is required and not set".to_owned(),
                    "" => "is required and empty".to_owned(),
                    word => format!("is required: {word}"),
                };
                ExpandError::Required { name: name.to_owned(), why }
            }),
            _ => {
                let value = value.unwrap_or_default();
                let (pattern, longest) = match word.strip_prefix(kind) {
                    Some(pattern) => (pattern, true),
                    None => (word.as_str(), false),
                };
                let matcher = self.pattern(pattern)?;
                Ok(match kind {
                    '#' => matcher.without_prefix(&value, longest),
                    _ => matcher.without_suffix(&value, longest),
                })
            }
        }
    }

    /// `${name/pattern/replacement}`, and with two slashes wherever the pattern matches.
    fn replaced(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let missing = ExpandError::NoReplacement { text: self.text(), name: name.to_owned() };
        let (pattern, replacement) = self.with_raw_escapes(true, |run| {
            let pattern = run.until(Some('/')).map_err(|error| match error {
                ExpandError::OpenBrace { .. } => missing,
                error => error,
            })?;
            Ok((pattern.0, run.until(Some('}'))?.0))
        })?;
        let Some(value) = self.value(name) else {
            let slash = if all { "//" } else { "/" };
            return Ok(match self.lexer.skip_unset {
                true => format!("${{{name}{slash}{pattern}/{replacement}}}"),
                false => String::new(),
            });
        };
        let value = self.pattern(&pattern)?.replaced(&value, &replacement, all);
        if value.len() > self.limit() {
            return Err(ExpandError::TooLarge { text: self.text() });
        }
        Ok(value)
    }

    fn pattern(&self, text: &str) -> Result<pattern::Pattern, ExpandError> {
        pattern::Pattern::parse(text).ok_or_else(|| ExpandError::Pattern { pattern: text.to_owned() })
    }

    /// Patterns take escapes away themselves.
    fn with_raw_escapes<T>(&mut self, raw: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.lexer.raw_escapes;
        self.lexer.raw_escapes |= raw;
        let result = read(self);
        self.lexer.raw_escapes = before;
        result
    }

    /// Letters, digits and `_`; digits alone, or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.peek() {
            Some(c) if c.is_numeric() => {
                while self.peek().is_some_and(char::is_numeric) {
                    name.extend(self.next());
                }
            }
            Some(c) if "@*#?-$!".contains(c) => name.extend(self.next()),
            _ => {
                while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    name.extend(self.next());
                }
            }
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        let value = (self.env)(name);
        let seen = if value.is_some() { &self.matched } else { &self.unmatched };
        seen.borrow_mut().insert(name.to_owned());
        value
    }
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
