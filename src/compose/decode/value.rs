//! Single values, as the canonical form has them.

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
        match at.node.plain() {
            Some(Plain::Bool(value)) => Some(value),
            _ => {
                self.error(at, format!("must be true or false, not {}", at.node.describe()));
                None
            }
        }
    }

    pub fn integer(&mut self, at: &At<'_>, range: RangeInclusive<i64>) -> Option<i64> {
        let Some(Plain::Int(value)) = at.node.plain() else {
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
            // What `deploy` limits is a text.
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

    /// Bytes, as decimal text.
    pub fn bytes(&mut self, at: &At<'_>) -> Option<u64> {
        let value = at.node.scalar().and_then(|text| text.parse().ok());
        if value.is_none() {
            self.error(at, format!("must be a number of bytes, not {}", at.node.describe()));
        }
        value
    }

    /// A size where nothing means no limit.
    pub fn limit(&mut self, at: &At<'_>) -> Option<u64> {
        self.bytes(at).filter(|bytes| *bytes > 0)
    }

    /// `1m30s`, `500ms`.
    pub fn duration(&mut self, at: &At<'_>) -> Option<Duration> {
        let duration = at.node.scalar().and_then(|text| units::duration(text).ok());
        if duration.is_none() {
            self.error(at, format!("must be a duration, not {}", at.node.describe()));
        }
        duration
    }

    /// File permissions.
    pub fn mode(&mut self, at: &At<'_>) -> Option<u32> {
        self.integer(at, 0..=0o7777).and_then(|mode| u32::try_from(mode).ok())
    }

    /// A user or group by number: nothing here can ask the container's /etc/passwd.
    pub fn id(&mut self, at: &At<'_>) -> Option<u32> {
        let id = at.node.scalar().and_then(|text| text.parse().ok()).filter(|id| *id != u32::MAX);
        if id.is_none() {
            self.error(at, format!("must be the number of a user or group, not {}", at.node.describe()));
        }
        id
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
