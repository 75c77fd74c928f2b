//! What a finding of the check says: the place, what is there, what the schema expects there, and how to write it.

use super::{check::Path, patterns::Pattern, shape::Shape};
use crate::compose::{
    diagnostics::{Diagnostic, Span, did_you_mean},
    tree::{Node, Plain},
};

fn about(path: &Path<'_>, node: &Node, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("`{path}` {what}")).at(node.span)
}

pub fn unknown(section: &Path<'_>, name: &str, key: Span, meant: Option<&str>) -> Diagnostic {
    let section = section.to_string();
    let place = if section.is_empty() { "at the top level".into() } else { format!("in `{section}`") };
    let finding = Diagnostic::error(format!("unknown attribute `{name}` {place}")).at(key);
    match meant {
        Some(meant) => finding.help(format!("did you mean `{meant}`?")),
        None => finding,
    }
}

pub fn bad_name(section: &Path<'_>, name: &str, key: Span) -> Diagnostic {
    Diagnostic::error(format!("`{name}` is no name for one of `{section}`"))
        .at(key)
        .help("names are made of letters, digits, `.`, `_` and `-`")
}

pub fn missing(section: &Path<'_>, node: &Node, name: &str) -> Diagnostic {
    about(section, node, format!("lacks `{name}`"))
}

pub fn repeated(list: &Path<'_>, index: usize, item: &Node, first: usize, twin: &Node) -> Diagnostic {
    Diagnostic::error(format!("`{list}[{index}]` repeats `{list}[{first}]`"))
        .at(item.span)
        .because(twin.span, "first here")
}

pub fn out_of_range(path: &Path<'_>, node: &Node, than: &str, bound: i64) -> Diagnostic {
    let found = node.describe();
    let value = found.rsplit(' ').next().unwrap_or(&found);
    about(path, node, format!("is {value}, which is {than} than {bound}"))
}

pub fn no_such_word(path: &Path<'_>, node: &Node, words: &[String], text: &str) -> Diagnostic {
    let finding = about(path, node, format!("must be {}, not {}", quoted(words), node.describe()));
    // `healthy` is far from `service_healthy` letter by letter, and yet all of it is there.
    let part_of = || words.iter().map(String::as_str).find(|word| text.len() > 2 && word.contains(text));
    match did_you_mean(text, words.iter().map(String::as_str)).or_else(part_of) {
        Some(meant) => finding.help(format!("did you mean `{meant}`?")),
        None => finding,
    }
}

/// A text that does not look as it must.
pub fn mismatch(path: &Path<'_>, node: &Node, shape: &Shape) -> Diagnostic {
    match (shape.text.as_ref().and_then(|text| text.pattern), &shape.title) {
        (Some(Pattern::Integer | Pattern::Number | Pattern::Flag), _) | (_, None) => wrong_kind(path, node, shape),
        (pattern, Some(title)) => {
            let finding = about(path, node, format!("is no {title}: {}", node.describe()));
            match pattern {
                Some(Pattern::ContainerName) => {
                    finding.help("names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`")
                }
                Some(Pattern::PullPolicy) => finding.help(
                    "it is `always`, `never`, `missing`, `build`, `daily`, `weekly` or a time such as `every_12h`",
                ),
                _ => finding,
            }
        }
    }
}

pub fn wrong_kind(path: &Path<'_>, node: &Node, shape: &Shape) -> Diagnostic {
    let finding = about(path, node, format!("must be {}, not {}", expected(shape), node.describe()));
    match how_to_write(node, shape) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// What may stand in a place: "a string or a list".
fn expected(shape: &Shape) -> String {
    if let Some(noun) = noun(shape) {
        return with_article(noun);
    }
    let pattern = shape.text.as_ref().and_then(|text| text.pattern);
    let words = shape.text.as_ref().map(|text| text.words.as_slice()).unwrap_or_default();
    let mut forms = Vec::new();
    match pattern {
        // The text stands for a value of another kind.
        Some(Pattern::Flag) => forms.push("true or false".to_owned()),
        Some(Pattern::Integer) => forms.push("an integer".to_owned()),
        Some(Pattern::Number) => forms.push("a number".to_owned()),
        _ => {
            if !words.is_empty() {
                forms.push(quoted(words));
            } else if shape.text.is_some() {
                forms.push("a string".into());
            }
            if let Some(number) = &shape.number {
                forms.push(if number.whole { "an integer" } else { "a number" }.into());
            }
            if shape.boolean {
                forms.push(if shape.text.is_some() { "a boolean" } else { "true or false" }.into());
            }
        }
    }
    if shape.list.is_some() {
        forms.push("a list".into());
    }
    if shape.mapping.is_some() {
        forms.push("a mapping".into());
    }
    one_of(&forms)
}

/// The name of a value that is more than its kind.
fn noun(shape: &Shape) -> Option<&str> {
    let is_scalar = shape.list.is_none() && shape.mapping.is_none();
    shape.title.as_deref().filter(|_| is_scalar && !shape.examples.is_empty())
}

fn how_to_write(node: &Node, shape: &Shape) -> Option<String> {
    if let Some(noun) = noun(shape) {
        if let (Some(Plain::Int(value)), "duration") = (node.plain(), noun) {
            return Some(format!("a number needs a unit: `{value}s`"));
        }
        return Some(format!("{noun}s look like {}", quoted(&shape.examples)));
    }
    if node.is_null() {
        let empty = if shape.list.is_some() { Some("[]") } else { shape.mapping.as_ref().map(|_| "{}") };
        return empty.map(|empty| format!("take the attribute out, or write `{empty}`"));
    }
    let accepts_text = shape.text.as_ref().is_some_and(|text| text.words.is_empty() && text.pattern.is_none());
    match (node.plain(), &node.kind) {
        (Some(Plain::Bool(_) | Plain::Int(_) | Plain::Float(_)), crate::compose::tree::Kind::Scalar { text, .. })
            if accepts_text =>
        {
            Some(format!("quote it: \"{text}\""))
        }
        (_, crate::compose::tree::Kind::Scalar { text, .. }) if shape.list.is_some() && text.len() < 40 => {
            let quote = if text.contains([':', ',', '#']) { "\"" } else { "" };
            Some(format!("a list of one is written `[{quote}{text}{quote}]`"))
        }
        (_, crate::compose::tree::Kind::Mapping(entries))
            if accepts_text && shape.list.is_none() && entries.len() == 1 =>
        {
            let (key, value) = entries.first()?;
            let value = value.value.scalar()?;
            Some(format!("write `{key}={value}`, or take the `-` away"))
        }
        _ if shape.list.is_some() && shape.text.is_none() && shape.mapping.is_none() => {
            Some("an item of a list starts with `- `".into())
        }
        _ => None,
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    one_of(&words)
}

/// "a", "a or b", "a, b or c".
fn one_of(forms: &[String]) -> String {
    match forms {
        [] => "left out".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
