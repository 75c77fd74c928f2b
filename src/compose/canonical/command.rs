//! Commands: `command` and `entrypoint` of services and hooks, and the test of a health check.

use super::pass::Pass;
use crate::compose::tree::{Kind, Node};
use std::rc::Rc;

/// A string is split into words, without a shell. Nothing leaves what the image says; an empty list or string clears
/// it.
pub fn words(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.string() else { return node.clone() };
    match split(text) {
        Ok(split) => {
            if let Some(operator) = split.cut {
                let help = "there is no shell here: write `sh -c '...'`, or quote it";
                let what = format!("ends at the unquoted `{operator}`, the rest is dropped");
                pass.warning_with_help(node.span, what, help);
            }
            let words = split.words.into_iter().map(|word| Rc::new(node.with(Kind::string(word))));
            Rc::new(node.with(Kind::Sequence(words.collect())))
        }
        Err(why) => {
            pass.error(node.span, format!("is no command: {why}"));
            node.clone()
        }
    }
}

/// A test that is a string is one for the shell.
pub fn health_test(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.string() else { return node.clone() };
    let word = |word: &str| Rc::new(node.with(Kind::string(word)));
    Rc::new(node.with(Kind::Sequence(vec![word("CMD-SHELL"), word(text)])))
}

#[derive(Debug, PartialEq)]
pub struct Words {
    pub words: Vec<String>,
    /// The shell operator that ended the command.
    pub cut: Option<char>,
}

/// As Compose splits (mattn/go-shellwords): a backslash takes the next character as it is, also inside of double
/// quotes; an unquoted `;`, `&`, `|`, `<` or `>` silently ends the command; `#` is a character like any other.
pub fn split(text: &str) -> Result<Words, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    // Within `$(...)`, which no shell will carry out: it stays one word.
    let mut substitution = false;
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
            (None, '(') if !substitution && word.as_deref().is_some_and(|word| word.ends_with('$')) => {
                substitution = true;
                word.get_or_insert_default().push(c);
            }
            (None, ')') if substitution => {
                substitution = false;
                word.get_or_insert_default().push(c);
            }
            (None, _) if substitution => word.get_or_insert_default().push(c),
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
    if substitution {
        return Err("a parenthesis is not closed");
    }
    words.extend(word);
    Ok(Words { words, cut: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::canonical::testing::check;

    #[test]
    fn only_commands_are_split_into_words() {
        check(&[
            (r#"command: a b "c d""#, r#"["a","b","c d"]"#),
            (r#"command: "echo $(date +%s) $(pwd)x""#, r#"["echo","$(date +%s)","$(pwd)x"]"#),
            (r#"command: """#, "[]"),
            ("command: []", "[]"),
            ("command: null", "null"),
            (r#"command: [a, "b c"]"#, r#"["a","b c"]"#),
            (r#"command: "a 'b""#, "10: `command` is no command: a quote is not closed"),
            ("entrypoint: sh -c 'a b'", r#"["sh","-c","a b"]"#),
            (r#"post_start: [{command: a b, privileged: "true"}]"#, r#"[{"command":["a","b"],"privileged":true}]"#),
            ("pre_start: [{command: a b, image: i}]", r#"[{"command":["a","b"],"image":"i"}]"#),
            (
                "develop: {watch: [{path: a, action: sync+exec, exec: {command: a b}}]}",
                r#"{"watch":[{"path":"/w/a","action":"sync+exec","exec":{"command":["a","b"]}}]}"#,
            ),
            ("healthcheck: {test: curl -f a}", r#"{"test":["CMD-SHELL","curl -f a"]}"#),
            (r#"healthcheck: {test: [CMD, "a b"]}"#, r#"{"test":["CMD","a b"]}"#),
        ]);
    }

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
