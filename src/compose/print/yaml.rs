//! Values as YAML text. The writer of the YAML library leaves `yes` and `0440` without quotes, which readers of YAML
//! 1.1, and those of Go, take for something else than a string.

use serde_json::{Map, Value};
use std::fmt::Write;

const INDENT: usize = 2;

pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => mapping(&mut out, entries, 0),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        scalar => {
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
    out
}

fn mapping(out: &mut String, entries: &Map<String, Value>, indent: usize) {
    for (index, (key, value)) in entries.iter().enumerate() {
        // The first entry of a mapping in a list stands behind its dash.
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            let _ = write!(out, "{:indent$}", "");
        }
        out.push_str(&string(key));
        out.push(':');
        nested(out, value, indent + INDENT);
    }
}

fn sequence(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        let _ = write!(out, "{:indent$}-", "");
        match item {
            Value::Object(entries) if !entries.is_empty() => {
                out.push(' ');
                mapping(out, entries, indent + INDENT);
            }
            _ => nested(out, item, indent + INDENT),
        }
    }
}

/// What stands behind a colon or a dash.
fn nested(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            mapping(out, entries, indent);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            sequence(out, items, indent);
        }
        _ => {
            let _ = writeln!(out, " {}", inline(value));
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
    }
}

fn string(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Words that some version of YAML takes for a boolean or for nothing.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];

fn is_plain(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '_' | '$'));
    let relative = text.starts_with("./") || text.starts_with("../");
    (first || relative)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric())
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => out.push(c),
            c if u32::from(c) <= 0xff => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_is_quoted() {
        let words = [
            "plain",
            "/a/b",
            "./a",
            "two words",
            "a:b",
            "",
            "yes",
            "On",
            "null",
            "0440",
            "1_000",
            "22:22",
            "1e3",
            "-",
            "- a",
            "a: b",
            "a #b",
            "a:",
            "#",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "{a",
            "[a",
            ">",
            "|",
            "?",
            "~",
            "a\nb",
            "\u{7}é\u{2028}😀",
            ".5",
            "<<",
            "=",
            "2024-01-01",
            "a$$b",
        ];
        let value = Value::Array(words.iter().map(|word| Value::String((*word).into())).collect());
        let text = write(&value);
        let back: Vec<String> = serde_yaml::from_str(&text).unwrap();
        assert_eq!(back, words);
        let plain: Vec<&str> = text.lines().filter(|line| !line.contains('"')).collect();
        assert_eq!(plain, ["- plain", "- /a/b", "- ./a", "- two words", "- a:b", "- a$$b"]);
    }

    #[test]
    fn nesting_is_written_in_blocks() {
        let value: Value = serde_yaml::from_str("a: {b: [1, {c: d, e: [f]}, []], g: {}, h: null, i: [[x]]}").unwrap();
        let text = write(&value);
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), value);
        insta::assert_snapshot!(text, @r"
        a:
          b:
            - 1
            - c: d
              e:
                - f
            - []
          g: {}
          h: null
          i:
            -
              - x
        ");
    }
}
