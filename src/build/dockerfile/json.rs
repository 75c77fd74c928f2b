//! The exec form: a JSON list of strings. What only looks like one is text for the shell.

use super::error::Fault;

/// `None` where `text` is no JSON list at all; an error where it is one of something else than strings.
pub fn strings(instruction: &'static str, text: &str) -> Result<Option<Vec<String>>, Fault> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(Fault::NotStrings { instruction }),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

pub fn is_strings(text: &str) -> bool {
    strings("", text).is_ok_and(|strings| strings.is_some())
}
