//! Single values: every coercion that Compose makes.

use super::{At, Decoder, units};
use crate::compose::tree::{Kind, Plain};
use std::{net::IpAddr, ops::RangeInclusive, str::FromStr, time::Duration};

impl Decoder<'_> {
    /// A string. What YAML reads as something else must be quoted.
    pub fn text(&mut self, at: &At<'_>) -> Option<String> {
        match (&at.node.kind, at.node.plain()) {
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => Some(text.clone()),
            (Kind::Scalar { text, .. }, Some(Plain::Bool(_) | Plain::Int(_) | Plain::Float(_))) => {
                let found = at.node.describe();
                self.error_with_help(at, format!("must be a string, not {found}"), format!("quote it: \"{text}\""));
                None
            }
            _ => {
                self.error(at, format!("must be a string, not {}", at.node.describe()));
                None
            }
        }
    }

    /// A string that says something.
    pub fn filled(&mut self, at: &At<'_>) -> Option<String> {
        let text = self.text(at)?;
        if text.is_empty() {
            self.error(at, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// A string, number or boolean as text; nothing is `None`. The outer `None`: it is something else.
    pub fn loose_text(&mut self, at: &At<'_>) -> Option<Option<String>> {
        match (&at.node.kind, at.node.plain()) {
            (_, Some(Plain::Null)) => Some(None),
            (_, Some(plain)) => Some(Some(plain.to_text())),
            (Kind::Scalar { text, .. }, None) => Some(Some(text.clone())),
            _ => {
                self.error(at, format!("must be a string, number or boolean, not {}", at.node.describe()));
                None
            }
        }
    }

    /// A string or a number, as text.
    pub fn text_or_number(&mut self, at: &At<'_>) -> Option<String> {
        match at.node.plain() {
            Some(plain @ (Plain::Int(_) | Plain::Float(_))) => Some(plain.to_text()),
            _ => self.text(at),
        }
    }

    pub fn boolean(&mut self, at: &At<'_>) -> Option<bool> {
        if let Some(Plain::Bool(value)) = at.node.plain() {
            return Some(value);
        }
        let word = match &at.node.kind {
            Kind::Scalar { text, .. } => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            "y" | "yes" | "on" => {
                self.warning(at, format!("is `{word}`: write `true`"));
                Some(true)
            }
            "n" | "no" | "off" => {
                self.warning(at, format!("is `{word}`: write `false`"));
                Some(false)
            }
            _ => {
                self.error(at, format!("must be true or false, not {}", at.node.describe()));
                None
            }
        }
    }

    pub fn integer(&mut self, at: &At<'_>, range: RangeInclusive<i64>) -> Option<i64> {
        let value = match (&at.node.kind, at.node.plain()) {
            (_, Some(Plain::Int(value))) => Some(value),
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => text.parse().ok(),
            _ => None,
        };
        let Some(value) = value else {
            self.error(at, format!("must be an integer, not {}", at.node.describe()));
            return None;
        };
        if !range.contains(&value) {
            self.error(at, format!("is {value}, which {}", outside(value, &range)));
            return None;
        }
        Some(value)
    }

    pub fn count(&mut self, at: &At<'_>) -> Option<u32> {
        self.integer(at, 0..=i64::from(u32::MAX)).and_then(|value| u32::try_from(value).ok())
    }

    pub fn float(&mut self, at: &At<'_>) -> Option<f64> {
        let value = match (&at.node.kind, at.node.plain()) {
            (_, Some(Plain::Int(value))) => Some(value as f64),
            (_, Some(Plain::Float(value))) => Some(value),
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => text.parse().ok(),
            _ => None,
        };
        match value.filter(|value: &f64| value.is_finite()) {
            Some(value) if value < 0.0 => {
                self.error(at, "must not be negative");
                None
            }
            Some(value) => Some(value),
            None => {
                self.error(at, format!("must be a number, not {}", at.node.describe()));
                None
            }
        }
    }

    /// `512m`, `1.5gb`, `1024`; units of 1024.
    pub fn bytes(&mut self, at: &At<'_>) -> Option<u64> {
        let value = match (&at.node.kind, at.node.plain()) {
            (_, Some(Plain::Int(value))) => u64::try_from(value).ok(),
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => units::bytes(text, 1024),
            _ => None,
        };
        if value.is_none() {
            let found = at.node.describe();
            self.error_with_help(
                at,
                format!("must be a size, not {found}"),
                "sizes look like `512m`, `1.5gb` or `1048576`",
            );
        }
        value
    }

    /// A size where nothing means no limit.
    pub fn limit(&mut self, at: &At<'_>) -> Option<u64> {
        self.bytes(at).filter(|bytes| *bytes > 0)
    }

    /// `1m30s`, `500ms`, `1d`.
    pub fn duration(&mut self, at: &At<'_>) -> Option<Duration> {
        const HELP: &str = "durations look like `1m30s`, `500ms` or `2h`";
        let text = match (&at.node.kind, at.node.plain()) {
            (_, Some(Plain::Int(seconds))) => {
                let help = format!("a number needs a unit: `{seconds}s`");
                self.error_with_help(at, format!("must be a duration, not {}", at.node.describe()), help);
                return None;
            }
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => text,
            _ => {
                self.error_with_help(at, format!("must be a duration, not {}", at.node.describe()), HELP);
                return None;
            }
        };
        match units::duration(text) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.error_with_help(at, format!("is no duration: {why} in \"{text}\""), HELP);
                None
            }
        }
    }

    /// File permissions: a string is octal, a YAML integer is what it is.
    pub fn mode(&mut self, at: &At<'_>) -> Option<u32> {
        let value = match (&at.node.kind, at.node.plain()) {
            (_, Some(Plain::Int(value))) => u32::try_from(value).ok(),
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => {
                u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok()
            }
            _ => None,
        };
        let value = value.filter(|mode| *mode <= 0o7777);
        if value.is_none() {
            let found = at.node.describe();
            self.error_with_help(at, format!("must be file permissions, not {found}"), "permissions look like `0440`");
        }
        value
    }

    /// A user or group by number: nothing here can ask the container's /etc/passwd.
    pub fn id(&mut self, at: &At<'_>) -> Option<u32> {
        self.integer(at, 0..=i64::from(u32::MAX) - 1).and_then(|id| u32::try_from(id).ok())
    }

    pub fn ip<T: FromStr + Into<IpAddr>>(&mut self, at: &At<'_>, what: &str) -> Option<T> {
        let text = self.text(at)?;
        match text.parse() {
            Ok(ip) => Some(ip),
            Err(_) => {
                self.error(at, format!("must be {what}, not \"{text}\""));
                None
            }
        }
    }

    /// An absolute path inside of the container.
    pub fn container_path(&mut self, at: &At<'_>, text: &str) -> Option<std::path::PathBuf> {
        if !text.starts_with('/') {
            self.error(at, format!("needs an absolute path in the container, not \"{text}\""));
            return None;
        }
        Some(super::clean(std::path::Path::new(text)))
    }
}

fn outside(value: i64, range: &RangeInclusive<i64>) -> String {
    if value < *range.start() {
        format!("is less than {}", range.start())
    } else {
        format!("is more than {}", range.end())
    }
}
