//! How the history of an image tells of an instruction: the words that BuildKit writes.

use crate::build::op::{History, StepId};
use std::{collections::BTreeSet, fmt::Write};

const COMMENT: &str = "buildkit.dockerfile.v0";

/// An entry; RUN, COPY and ADD say that BuildKit's form of them is meant.
pub fn entry(created_by: String, step: Option<StepId>) -> History {
    History::Made { created_by, comment: COMMENT.to_owned(), author: String::new(), step }
}

/// A list of strings as Go's `%q` writes it: `["a" "b"]`.
pub fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word, '"')).collect();
    format!("[{}]", words.join(" "))
}

/// A list as Go's `%v` writes it: `[a b]`.
pub fn plain(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// A set as Go's `%v` writes it, by its keys: `map[53/udp:{} 80/tcp:{}]`.
pub fn set(words: &[String]) -> String {
    let words: BTreeSet<&String> = words.iter().collect();
    let words: Vec<String> = words.into_iter().map(|word| format!("{word}:{{}}")).collect();
    format!("map[{}]", words.join(" "))
}

/// A health check as Go's `%q` writes it: `&{["CMD" "a"] "30s" "0s" "0s" "0s" '\x03'}`, where the number of retries has
/// become a character.
pub fn health(test: &[String], times: [u64; 4], retries: u32) -> String {
    let times = times.map(|nanos| format!("\"{}\"", duration(nanos))).join(" ");
    let retries = quote(&char::from_u32(retries).unwrap_or(char::REPLACEMENT_CHARACTER).to_string(), '\'');
    format!("&{{{} {times} {retries}}}", quoted(test))
}

/// Go's `strconv.Quote`, and with another mark `strconv.QuoteRune`.
fn quote(text: &str, mark: char) -> String {
    let mut quoted = String::from(mark);
    for c in text.chars() {
        // A String takes every write.
        let _ = match c {
            c if c == mark || c == '\\' => write!(quoted, "\\{c}"),
            '\u{7}' => write!(quoted, "\\a"),
            '\u{8}' => write!(quoted, "\\b"),
            '\u{c}' => write!(quoted, "\\f"),
            '\n' => write!(quoted, "\\n"),
            '\r' => write!(quoted, "\\r"),
            '\t' => write!(quoted, "\\t"),
            '\u{b}' => write!(quoted, "\\v"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => write!(quoted, "\\x{:02x}", c as u32),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => write!(quoted, "\\u{:04x}", c as u32),
            c => write!(quoted, "{c}"),
        };
    }
    quoted.push(mark);
    quoted
}

/// A duration as Go writes it: `1m30s`, `500ms`, `0s`.
pub fn duration(nanos: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let decimal = |value: u64, unit: u64, name: &str| {
        let part = format!("{:09}", value % unit * (SECOND / unit));
        let part = part.trim_end_matches('0');
        if part.is_empty() { format!("{}{name}", value / unit) } else { format!("{}.{part}{name}", value / unit) }
    };
    match nanos {
        0 => "0s".to_owned(),
        _ if nanos < 1_000 => format!("{nanos}ns"),
        _ if nanos < 1_000_000 => decimal(nanos, 1_000, "\u{b5}s"),
        _ if nanos < SECOND => decimal(nanos, 1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (nanos / (60 * SECOND), nanos % (60 * SECOND));
            let seconds = decimal(rest, SECOND, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_forms_are_written() {
        assert_eq!(quoted(&["a b".into(), "c\"\\\n\u{1}é\u{a0}".into()]), r#"["a b" "c\"\\\n\x01é\u00a0"]"#);
        let times = [
            (0, "0s"),
            (90_000_000_000, "1m30s"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (1_500_000, "1.5ms"),
            (1_001, "1.001µs"),
            (7, "7ns"),
            (3_600_000_000_000, "1h0m0s"),
            (60_000_000_000, "1m0s"),
        ];
        for (nanos, text) in times {
            assert_eq!(duration(nanos), text);
        }
    }
}
