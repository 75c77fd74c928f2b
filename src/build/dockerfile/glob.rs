//! File name patterns: Go's `filepath.Match` for the sources of COPY, and the parts that .dockerignore has besides.
//!
//! Paths are followed through all states of a pattern side by side: no pattern is slow on any path.

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} {why}")]
pub struct BadPattern {
    pub pattern: String,
    pub why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Char(char),
    /// `?`: one character but `/`.
    One,
    /// `*`: any number of characters but `/`.
    Star,
    /// `[a-z]`; matches `/` where it is in it.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**` at the end: anything at all.
    All,
    /// `**/`: nothing, or directories up to a slash. Always before `Inside`.
    Directories,
    /// Where `Directories` is after its first character.
    Inside,
}

/// A pattern of `filepath.Match`: `*`, `?`, `[...]` and `\`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    pub fn parse(pattern: &str) -> Result<Self, BadPattern> {
        let mut chars = pattern.chars().peekable();
        let mut tokens = Vec::new();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                c => token(c, &mut chars, pattern)?,
            };
            tokens.push(token);
        }
        Ok(Self { tokens })
    }

    pub fn matches(&self, path: &str) -> bool {
        matches(&self.tokens, path)
    }
}

/// Whether a source is a pattern at all.
pub fn has_wildcards(text: &str) -> bool {
    let mut escaped = false;
    text.chars().any(|c| {
        let special = !escaped && matches!(c, '*' | '?' | '[');
        escaped = !escaped && c == '\\';
        special
    })
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The token that begins with `c`, which is no `*`.
pub(super) fn token(c: char, chars: &mut Chars<'_>, pattern: &str) -> Result<Token, BadPattern> {
    let bad = |why| BadPattern { pattern: pattern.to_owned(), why };
    match c {
        '?' => Ok(Token::One),
        '\\' => chars.next().map(Token::Char).ok_or_else(|| bad("ends in a backslash that escapes nothing")),
        '[' => class(chars).ok_or_else(|| bad("has a \"[\" that is not closed, or a range that is none")),
        c => Ok(Token::Char(c)),
    }
}

fn class(chars: &mut Chars<'_>) -> Option<Token> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut Chars<'_>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

pub(super) fn matches(tokens: &[Token], path: &str) -> bool {
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    skip_empty(tokens, &mut states);
    for c in path.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (state, token) in tokens.iter().enumerate().filter(|(state, _)| states[*state]) {
            match token {
                Token::Char(want) if *want == c => next[state + 1] = true,
                Token::One if c != '/' => next[state + 1] = true,
                Token::Star if c != '/' => next[state] = true,
                Token::All => next[state] = true,
                Token::Class { negated, ranges } => {
                    let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                    next[state + 1] |= within != *negated;
                }
                Token::Directories => {
                    next[state + 1] = true;
                    next[state + 2] |= c == '/';
                }
                Token::Inside => {
                    next[state] = true;
                    next[state + 1] |= c == '/';
                }
                _ => {}
            }
        }
        if !next.contains(&true) {
            return false;
        }
        skip_empty(tokens, &mut next);
        states = next;
    }
    states[tokens.len()]
}

/// Parts that may stand for nothing are passed. `Directories` is only passed before it has taken anything.
fn skip_empty(tokens: &[Token], states: &mut [bool]) {
    for (state, token) in tokens.iter().enumerate().filter(|(_, token)| token.may_be_empty()) {
        if states[state] {
            states[state + token.width()] = true;
        }
    }
}

impl Token {
    fn may_be_empty(&self) -> bool {
        matches!(self, Token::Star | Token::All | Token::Directories)
    }

    fn width(&self) -> usize {
        if *self == Token::Directories { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of Go's own test of `filepath.Match`.
    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[\\-x]", "a", false),
            ("*x", "xxx", true),
            ("**", "a/b", false),
            ("**/b", "a/b", true),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
        for bad in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "[a"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_escaped_wildcard_is_none() {
        assert!(has_wildcards("a/*.c") && has_wildcards("[ab]") && has_wildcards("a?") && has_wildcards(r"\\*"));
        assert!(!has_wildcards(r"a\*b") && !has_wildcards("a/b"));
    }
}
