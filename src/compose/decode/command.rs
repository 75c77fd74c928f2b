//! `command` and `entrypoint`: a list, or a string that is split into words as Compose splits it.

use super::{At, Decoder};
use crate::compose::tree::Kind;

impl Decoder<'_> {
    /// Nothing leaves what the image says; an empty list or string clears it.
    pub fn command(&mut self, at: &At<'_>) -> Option<Vec<String>> {
        match &at.node.kind {
            _ if at.node.is_null() => None,
            Kind::Sequence(_) => {
                let items = self.items(at);
                Some(items.iter().filter_map(|item| self.text(item)).collect())
            }
            Kind::Scalar { .. } => {
                let text = self.text(at)?;
                match split(&text) {
                    Ok(words) => {
                        if let Some(operator) = words.cut {
                            let help = "there is no shell here: write `sh -c '...'`, or quote it";
                            let what = format!("ends at the unquoted `{operator}`, the rest is dropped");
                            self.warning(at, what);
                            if let Some(last) = self.findings.last_mut() {
                                last.help.push(help.into());
                            }
                        }
                        Some(words.words)
                    }
                    Err(why) => {
                        self.error(at, format!("is no command: {why}"));
                        None
                    }
                }
            }
            Kind::Mapping(_) => {
                self.error(at, "must be a string or a list, not a mapping");
                None
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Words {
    words: Vec<String>,
    /// The shell operator that ended the command.
    cut: Option<char>,
}

/// As Compose splits (mattn/go-shellwords): a backslash takes the next character as it is, also inside of double
/// quotes; an unquoted `;`, `&`, `|`, `<` or `>` silently ends the command; `#` is a character like any other.
fn split(text: &str) -> Result<Words, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(c),
            (_, '\\') => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("it ends with a backslash"),
            },
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            (None, ';' | '&' | '|' | '<' | '>') => {
                // `2>` is a redirection as a whole.
                if c == '>' && word.as_deref().is_some_and(|w| w.starts_with(|d: char| d.is_ascii_digit())) {
                    word = None;
                }
                words.extend(word.take());
                return Ok(Words { words, cut: Some(c) });
            }
            (None, '(' | ')') => return Err("a parenthesis must be quoted"),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(Words { words, cut: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_split_as_compose_splits_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("  a  b\n c", &["a", "b", "c"]),
            (r#"echo "a\tb" 'c\td' "e\"f" g\ h"#, &["echo", "atb", r"c\td", "e\"f", "g h"]),
            ("a'b'\"c\"d ''", &["abcd", ""]),
            ("a #b", &["a", "#b"]),
            ("sh -c \"a && b; c > d\"", &["sh", "-c", "a && b; c > d"]),
            ("a $b ${c}", &["a", "$b", "${c}"]),
        ] {
            assert_eq!(split(text).unwrap().words, expected, "{text}");
        }
    }

    #[test]
    fn shell_operators_end_the_command() {
        for (text, words, operator) in
            [("a > b", &["a"][..], '>'), ("a && b", &["a"], '&'), ("a b; c", &["a", "b"], ';'), ("a 2> b", &["a"], '>')]
        {
            let split = split(text).unwrap();
            assert_eq!(
                (split.words.as_slice(), split.cut),
                (&*words.iter().map(|w| w.to_string()).collect::<Vec<_>>(), Some(operator))
            );
        }
        assert!(split("a \"b").is_err());
        assert!(split("a 'b").is_err());
        assert!(split("a (b)").is_err());
        assert!(split("a \\").is_err());
    }
}
