//! Keeps secret values out of causes: plans are printed, logged and sent as JSON.
//!
//! A heuristic on names, as values say nothing about themselves: better one value too many hidden than one shown.

use serde_json::Value;

pub const HIDDEN: &str = "(hidden)";

/// The value at `path` (`environment.DB_PASSWORD`, `command`) with what looks secret replaced.
pub fn masked(path: &str, value: &Value) -> Value {
    let name = path.split_once('.').map_or(path, |(_, name)| name);
    let keyed = path.starts_with("environment.") || path.starts_with("labels.");
    match value {
        Value::String(_) if keyed && is_secret_name(name) => HIDDEN.into(),
        Value::String(text) => words(text).into(),
        Value::Array(items) => arguments(items),
        Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), masked(path, item))).collect(),
        other => other.clone(),
    }
}

fn is_secret_name(name: &str) -> bool {
    const ANYWHERE: [&str; 6] = ["PASS", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "APIKEY"];
    const WHOLE_WORDS: [&str; 6] = ["KEY", "AUTH", "PWD", "PW", "DSN", "SALT"];
    let name = name.to_ascii_uppercase();
    // `POSTGRES_PASSWORD_FILE` names a file.
    if name.ends_with("_FILE") {
        return false;
    }
    ANYWHERE.iter().any(|part| name.contains(part))
        || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WHOLE_WORDS.contains(&word))
}

fn arguments(items: &[Value]) -> Value {
    let mut after_secret_flag = false;
    items
        .iter()
        .map(|item| match item {
            Value::String(text) => {
                let hide = std::mem::replace(&mut after_secret_flag, is_secret_flag(text));
                if hide { HIDDEN.into() } else { Value::from(words(text)) }
            }
            other => other.clone(),
        })
        .collect()
}

/// Word by word, so that the text of a `sh -c` is treated like a list of arguments.
fn words(text: &str) -> String {
    let mut after_secret_flag = false;
    let masked: Vec<String> = text
        .split(' ')
        .map(|word| {
            let hide = std::mem::replace(&mut after_secret_flag, is_secret_flag(word));
            if hide && !word.is_empty() { HIDDEN.to_owned() } else { assignment(word) }
        })
        .collect();
    masked.join(" ")
}

/// `--password`, whose value comes next.
fn is_secret_flag(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && is_secret_name(word.trim_start_matches('-'))
}

/// `--password=x`, `PASSWORD=x`, `postgres://user:x@host`
fn assignment(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret_name(name.trim_start_matches('-')) => {
            format!("{name}={HIDDEN}")
        }
        _ => url_passwords(word),
    }
}

fn url_passwords(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => format!("{user}@{host}"),
        },
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{}", url_passwords(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secret_values_are_hidden_and_others_are_not() {
        let shown = |path: &str, value: Value| masked(path, &value);
        assert_eq!(shown("environment.DB_PASSWORD", json!("x")), json!("(hidden)"));
        assert_eq!(shown("environment.AWS_ACCESS_KEY_ID", json!("x")), json!("(hidden)"));
        assert_eq!(shown("environment.KEYBOARD", json!("de")), json!("de"));
        assert_eq!(shown("environment.DB_PASSWORD_FILE", json!("/run/secrets/db")), json!("/run/secrets/db"));
        assert_eq!(shown("environment.URL", json!("pg://u:p@h/x?y=1")), json!("pg://u:(hidden)@h/x?y=1"));
        assert_eq!(
            shown("command", json!(["a", "--password", "x", "--token=y"])),
            json!(["a", "--password", "(hidden)", "--token=(hidden)"])
        );
        assert_eq!(
            shown("command", json!(["sh", "-c", "redis --requirepass x y"])),
            json!(["sh", "-c", "redis --requirepass (hidden) y"])
        );
    }
}
