//! The syntax of `.env` files.
//!
//! ```text
//! [export ]KEY=value          up to the end of the line or ` #`; variables are resolved
//! [export ]KEY: value         the same
//! KEY='literal \' text'       as it stands, over several lines if need be
//! KEY="text\n"                escapes and variables are resolved, over several lines if need be
//! KEY                         from the environment, left out where it is not set there
//! ```
//!
//! What stands behind a closing quote is the next statement, as in Compose; that is so odd that it gets a warning.
//!
//! Values see the environment first, then the keys before them.

use super::{
    diagnostics::{Diagnostic, Span},
    interpolate::{Interpolator, failure_finding, unset_warning},
    tree::Origin,
};
use indexmap::IndexMap;

/// Reads `text`, which is source number `source`.
///
/// `interpolator` holds the environment, which wins over this file, and learns the keys of the file.
/// A value of `None` is a key without one that the environment does not have either.
pub fn parse(
    source: u32,
    text: &str,
    interpolator: &mut Interpolator,
    findings: &mut Vec<Diagnostic>,
) -> IndexMap<String, Option<String>> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { source, text, at: start, interpolator, findings, values: IndexMap::new() };
    while reader.skip_to_statement() {
        if reader.statement().is_none() {
            reader.skip_line();
        }
    }
    reader.values
}

struct Reader<'a> {
    source: u32,
    text: &'a str,
    at: usize,
    interpolator: &'a mut Interpolator,
    findings: &'a mut Vec<Diagnostic>,
    values: IndexMap<String, Option<String>>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { source: self.source, start: start as u32, end: end as u32 }
    }

    /// `None`, for `?`: the rest of the line is skipped.
    fn fail(&mut self, message: impl Into<String>, start: usize, end: usize) -> Option<()> {
        self.findings.push(Diagnostic::error(message).at(self.span(start, end)));
        None
    }

    fn skip_to_statement(&mut self) -> bool {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn skip_blanks(&mut self) {
        let blank = |c: char| c != '\n' && c != '\r' && c.is_whitespace();
        self.at += self.rest().len() - self.rest().trim_start_matches(blank).len();
    }

    fn statement(&mut self) -> Option<()> {
        if let Some(rest) = self.rest().strip_prefix("export")
            && rest.starts_with([' ', '\t'])
        {
            self.at += "export".len();
            self.skip_blanks();
        }
        let start = self.at;
        let key = self.key()?;
        self.skip_blanks();
        match self.rest().chars().next() {
            Some('=' | ':') => {
                self.at += 1;
                self.skip_blanks();
                let value = self.value()?;
                let line = self.span(start, start + self.text[start..self.at].trim_end().len());
                self.define(key, value, line);
            }
            None | Some('\n' | '\r' | '#') => {
                let inherited = self.interpolator.get(&key).map(str::to_owned);
                self.values.insert(key, inherited);
                self.skip_line();
            }
            Some(_) => {
                let start = self.at - 1;
                return self.fail("a key cannot contain a space", start, start + 1);
            }
        }
        Some(())
    }

    fn key(&mut self) -> Option<String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_key(c)).unwrap_or(rest.len());
        let after = rest[end..].chars().next();
        if end == 0 || !matches!(after, None | Some('=' | ':' | ' ' | '\t' | '\r' | '\n' | '#')) {
            let wrong = after.unwrap_or(' ');
            let at = self.at + end;
            self.fail(format!("unexpected character {wrong:?} in a variable name"), at, at + wrong.len_utf8())?;
        }
        self.at += end;
        Some(rest[..end].to_owned())
    }

    fn value(&mut self) -> Option<String> {
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            _ => self.unquoted(),
        }
    }

    fn unquoted(&mut self) -> Option<String> {
        let start = self.at;
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let end = line.find(" #").unwrap_or(line.len());
        let raw = line[..end].trim_end();
        self.at += line.len();
        self.resolve(raw, start, raw)
    }

    /// At the opening quote.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let mut escaped = false;
        let close = rest.char_indices().find(|(_, c)| match *c {
            _ if escaped => {
                escaped = false;
                false
            }
            '\\' => {
                escaped = true;
                false
            }
            c => c == quote,
        });
        let Some((close, _)) = close else {
            let end = start + self.text[start..].find('\n').unwrap_or(self.text.len() - start);
            self.findings.push(Diagnostic::error("unterminated quoted value").at(self.span(start, end)));
            // What follows belongs to the value.
            self.at = self.text.len();
            return None;
        };
        let raw = &rest[..close];
        self.at += close + 1;
        self.after_quoted();
        if quote == '\'' {
            return Some(raw.replace("\\'", "'"));
        }
        self.resolve(&unescape(raw), start + 1, raw)
    }

    fn after_quoted(&mut self) {
        self.skip_blanks();
        if matches!(self.rest().chars().next(), None | Some('\n' | '\r' | '#')) {
            return self.skip_line();
        }
        let end = self.at + self.rest().find('\n').unwrap_or(self.rest().len());
        let warning = Diagnostic::warning("text after a quoted value is read as the next variable");
        self.findings.push(warning.at(self.span(self.at, end)));
    }

    /// Variables of a value; `raw` is how it stands in the file at `start`.
    fn resolve(&mut self, value: &str, start: usize, raw: &str) -> Option<String> {
        let place = |part: &str| match raw.find(part) {
            Some(offset) => (start + offset, start + offset + part.len()),
            None => (start, start + raw.len()),
        };
        match self.interpolator.text(value) {
            Ok(outcome) => {
                for (name, range) in outcome.unset {
                    let (from, to) = place(&value[range]);
                    self.findings.push(unset_warning(&name).at(self.span(from, to)));
                }
                Some(outcome.text)
            }
            Err(failure) => {
                let (from, to) = place(&value[failure.range]);
                self.findings.push(failure_finding(&failure.reason, self.span(from, to)));
                Some(String::new())
            }
        }
    }

    /// `line` is what gives the value, from the key to its end.
    fn define(&mut self, key: String, value: String, line: Span) {
        self.interpolator.learn(&key, value.clone(), Origin::File(line));
        self.values.insert(key, Some(value));
    }
}

fn is_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']')
}

/// Escapes of a double-quoted value. `\$` becomes `$$`, which interpolation takes for a dollar.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('a') => out.push('\x07'),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\x0b'),
            Some('$') => out.push_str("$$"),
            Some(quoted @ ('"' | '\\')) => out.push(quoted),
            Some('0') => {
                let digits: String = chars.clone().take_while(char::is_ascii_digit).take(3).collect();
                chars.by_ref().take(digits.len()).for_each(drop);
                match u8::from_str_radix(&digits, 8) {
                    // No environment can hold a NUL.
                    Ok(0) if digits.len() == 3 => {}
                    Ok(code) if digits.len() == 3 => out.push(char::from(code)),
                    _ => {
                        out.push('\\');
                        out.push_str(&digits);
                    }
                }
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// `format: raw`: `KEY=value` lines as they stand, without quotes, escapes or variables.
pub fn parse_raw(
    source: u32,
    text: &str,
    interpolator: &Interpolator,
    findings: &mut Vec<Diagnostic>,
) -> IndexMap<String, Option<String>> {
    let mut values = IndexMap::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim_end_matches(['\n', '\r']).trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (key, value) = match content.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (content.trim_end(), interpolator.get(content.trim_end()).map(str::to_owned)),
        };
        if key.is_empty() || key.contains([' ', '\t']) {
            let span = Span { source, start: start as u32, end: (start + content.len()) as u32 };
            findings.push(Diagnostic::error(format!("{key:?} is not the name of a variable")).at(span));
            continue;
        }
        values.insert(key.to_owned(), value);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::diagnostics::{Diagnostics, SourceText};

    fn read(text: &str) -> (Vec<(String, Option<String>)>, String) {
        let mut interpolator = Interpolator::new([("HOST".to_owned(), "host".to_owned())].into());
        let mut findings = Vec::new();
        let values = parse(0, text, &mut interpolator, &mut findings);
        let sources = vec![SourceText { name: ".env".into(), text: text.into() }];
        (values.into_iter().collect(), Diagnostics::new(findings, sources).render(false))
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("A=b", "b"),
            ("A = b  ", "b"),
            ("export A=b", "b"),
            ("A: b", "b"),
            ("\u{feff}A=b", "b"),
            ("A=", ""),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=#c", "#c"),
            ("A= #c", "#c"),
            ("A=b\t# c", "b\t# c"),
            ("A='b # $HOST \\' c'", "b # $HOST ' c"),
            ("A='b\nc' # d", "b\nc"),
            (r#"A="b\tc\\d\"e\$HOST $HOST \0101""#, "b\tc\\d\"e$HOST host A"),
            ("A=${NOPE:-d e}", "d e"),
            ("A=$HOST/$HOST", "host/host"),
            ("A=b\r\n", "b"),
            ("A=a=b:c", "a=b:c"),
            ("A=it's", "it's"),
            (r#"A="\c\d\0\08\0777""#, r"\c\d\\8\777"),
            ("A=\u{a0}b", "b"),
        ] {
            let (values, findings) = read(text);
            assert_eq!(findings, "", "{text}");
            assert_eq!(values, [("A".to_owned(), Some(expected.to_owned()))], "{text}");
        }
    }

    #[test]
    fn later_keys_see_earlier_ones_and_the_environment_wins() {
        let (values, findings) = read("A=1\nHOST=mine\nB=$A$HOST\nHOST\nNOPE\n");
        assert_eq!(findings, "");
        let text: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        assert_eq!(text, [r#"A=Some("1")"#, r#"HOST=Some("host")"#, r#"B=Some("1host")"#, "NOPE=None"]);
    }

    #[test]
    fn every_error_of_a_file_is_reported_at_its_place() {
        insta::assert_snapshot!(read("A B=1\nC%=2\nD=${\nE=${X:?first}\nF=\"a\" b\nG=$NOPE\n=1\nH='open\n").1, @r#"
        error: a key cannot contain a space
         --> .env:1:2
          |
        1 | A B=1
          |  ^

        error: unexpected character '%' in a variable name
         --> .env:2:2
          |
        2 | C%=2
          |  ^

        error: invalid interpolation format
         --> .env:3:3
          |
        3 | D=${
          |   ^^
          |
          = help: write `$$` for a dollar that starts no variable

        error: required variable X is missing a value: first
         --> .env:4:3
          |
        4 | E=${X:?first}
          |   ^^^^^^^^^^^

        warning: text after a quoted value is read as the next variable
         --> .env:5:7
          |
        5 | F="a" b
          |       ^

        warning: The "NOPE" variable is not set. Defaulting to a blank string.
         --> .env:6:3
          |
        6 | G=$NOPE
          |   ^^^^^

        error: unexpected character '=' in a variable name
         --> .env:7:1
          |
        7 | =1
          | ^

        error: unterminated quoted value
         --> .env:8:3
          |
        8 | H='open
          |   ^^^^^
        "#);
    }

    #[test]
    fn raw_files_keep_quotes_and_dollars() {
        let interpolator = Interpolator::new([("HOST".to_owned(), "host".to_owned())].into());
        let mut findings = Vec::new();
        let values = parse_raw(0, "# c\nA=\"$HOST\" # x\nHOST\nNOPE\r\na b=1\n", &interpolator, &mut findings);
        assert_eq!(values["A"].as_deref(), Some("\"$HOST\" # x"));
        assert_eq!(values["HOST"].as_deref(), Some("host"));
        assert_eq!(values["NOPE"], None);
        assert_eq!(findings.len(), 1);
    }
}
