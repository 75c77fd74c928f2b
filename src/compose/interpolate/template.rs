//! The grammar of `${VARIABLES}`: text -> parts -> text.
//!
//! ```text
//! $$                    a dollar
//! $NAME  ${NAME}        the value, empty with a warning where there is none
//! ${NAME:-x} ${NAME-x}  x where NAME is unset (with the colon: or empty)
//! ${NAME:?x} ${NAME?x}  an error saying x in the same cases
//! ${NAME:+x} ${NAME+x}  x in all other cases, else nothing
//! ```
//!
//! `x` is itself a template, and is looked at only where it is used. A dollar before anything else stays as it is.

use std::ops::Range;

const MAX_NESTING: usize = 50;

#[derive(Debug, PartialEq)]
pub enum Part {
    Literal(String),
    Variable(Reference),
}

#[derive(Debug, PartialEq)]
pub struct Reference {
    pub name: String,
    /// Bytes of the text that was parsed, from the dollar on.
    pub range: Range<usize>,
    pub operation: Option<Operation>,
}

#[derive(Debug, PartialEq)]
pub struct Operation {
    pub operator: Operator,
    /// An empty value counts as none (`:`).
    pub or_empty: bool,
    pub operand: Vec<Part>,
    /// The operand as written.
    pub raw: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Default,
    Required,
    Alternate,
}

/// A `${` that is not closed or holds something else than the grammar allows.
#[derive(Debug, PartialEq)]
pub struct Malformed {
    pub range: Range<usize>,
}

pub fn parse(text: &str) -> Result<Vec<Part>, Malformed> {
    let mut parser = Parser { text, at: 0, balanced: true };
    parser.parts(0)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Braces inside of an operand come in pairs; where they do not, the first one that closes ends the operand.
    balanced: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Up to the end of the text, or inside braces up to the one that closes them.
    fn parts(&mut self, depth: usize) -> Result<Vec<Part>, Malformed> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        // That are text, such as those of an escaped `$${`: their closing braces are text as well.
        let mut open_braces = 0usize;
        while let Some(c) = self.rest().chars().next() {
            match c {
                '$' => match self.dollar(depth)? {
                    Some(reference) => {
                        if !literal.is_empty() {
                            parts.push(Part::Literal(std::mem::take(&mut literal)));
                        }
                        parts.push(Part::Variable(reference));
                    }
                    None => {
                        literal.push('$');
                        if !self.balanced && self.text[..self.at].ends_with("$$") && self.rest().starts_with('{') {
                            open_braces += 1;
                        }
                    }
                },
                '}' if depth > 0 && open_braces == 0 => break,
                c => {
                    match c {
                        '{' if self.balanced => open_braces += 1,
                        '}' => open_braces = open_braces.saturating_sub(1),
                        _ => {}
                    }
                    literal.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(parts)
    }

    /// At a dollar: a reference, or `None` after eating a `$$` or a lone `$`.
    fn dollar(&mut self, depth: usize) -> Result<Option<Reference>, Malformed> {
        let start = self.at;
        self.at += 1;
        match self.rest().chars().next() {
            Some('$') => {
                self.at += 1;
                Ok(None)
            }
            Some('{') => {
                self.at += 1;
                self.braced(start, depth + 1).map(Some)
            }
            Some(c) if is_name_start(c) => {
                let name = self.name();
                Ok(Some(Reference { name, range: start..self.at, operation: None }))
            }
            _ => Ok(None),
        }
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_name_start(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        self.at += end;
        name
    }

    fn braced(&mut self, start: usize, depth: usize) -> Result<Reference, Malformed> {
        if depth > MAX_NESTING || !self.rest().starts_with(is_name_start) {
            return Err(self.malformed(start));
        }
        let name = self.name();
        let operation = self.operation(start, depth)?;
        if !self.rest().starts_with('}') {
            return Err(self.malformed(start));
        }
        self.at += 1;
        Ok(Reference { name, range: start..self.at, operation })
    }

    fn operation(&mut self, start: usize, depth: usize) -> Result<Option<Operation>, Malformed> {
        if self.rest().starts_with('}') {
            return Ok(None);
        }
        let or_empty = self.rest().starts_with(':');
        self.at += usize::from(or_empty);
        let operator = match self.rest().chars().next() {
            Some('-') => Operator::Default,
            Some('?') => Operator::Required,
            Some('+') => Operator::Alternate,
            _ => return Err(self.malformed(start)),
        };
        self.at += 1;
        let operand_start = self.at;
        if depth == 1 && self.balanced {
            self.balanced = closes(self.rest());
        }
        let operand = self.parts(depth)?;
        let raw = self.text[operand_start..self.at].to_owned();
        Ok(Some(Operation { operator, or_empty, operand, raw }))
    }

    /// Up to the closing brace of the same line where there is one.
    fn malformed(&self, start: usize) -> Malformed {
        let rest = &self.text[start..];
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let end = line.find('}').map_or(line.len(), |brace| brace + 1);
        Malformed { range: start..start + end }
    }
}

/// True if a brace that is open before `text` is closed in it.
fn closes(text: &str) -> bool {
    let mut open = 1usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        open == 0
    })
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_whole_reference() {
        let text = "é ${A:-${B}} $C";
        let parts = parse(text).unwrap();
        let ranges: Vec<&str> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Variable(reference) => Some(&text[reference.range.clone()]),
                Part::Literal(_) => None,
            })
            .collect();
        assert_eq!(ranges, ["${A:-${B}}", "$C"]);
    }

    #[test]
    fn what_is_no_reference_after_a_brace_is_malformed() {
        for (text, range) in [
            ("${", 0..2),
            ("a ${}", 2..5),
            ("${1A} x", 0..5),
            ("${A", 0..3),
            ("${A!}", 0..5),
            ("${A:}", 0..5),
            ("${A:-${B}", 0..9),
            ("${A x}", 0..6),
            ("${é}", 0..5),
        ] {
            assert_eq!(parse(text), Err(Malformed { range }), "{text}");
        }
        assert!(parse(&"${A:-".repeat(100_000)).is_err());
    }
}
