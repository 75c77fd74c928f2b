//! The patterns of the schema, each with the check that says the same: there is no engine for regular expressions here.
//!
//! An editor sees a file before its variables are resolved. The patterns for numbers and booleans let a `$` pass for
//! that reason; the checks run when no variable is left, and do not.

use serde::{Deserialize, Serialize};

/// Names of services, networks, volumes and the like.
pub const NAME: &str = "^[a-zA-Z0-9._-]+$";
/// Attributes that are for other programs.
pub const EXTENSION: &str = "^x-";
pub const FILLED: &str = ".+";
pub const INTEGER: &str = r"^[-+]?[0-9]+$|\$";
pub const NUMBER: &str = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$|\$";
pub const FLAG: &str = r"^([yY]([eE][sS])?|[tT][rR][uU][eE]|[oO][nN]|[nN][oO]?|[fF][aA][lL][sS][eE]|[oO][fF][fF])$|\$";
/// Unanchored, as in Compose: the engine has the last word on the name of a container.
pub const CONTAINER_NAME: &str = "[a-zA-Z0-9][a-zA-Z0-9_.-]+";
pub const PULL_POLICY: &str =
    r"^(always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+)$|\$";

/// What a text has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    Name,
    Extension,
    Filled,
    Integer,
    Number,
    Flag,
    ContainerName,
    PullPolicy,
}

const ALL: &[(&str, Pattern)] = &[
    (NAME, Pattern::Name),
    (EXTENSION, Pattern::Extension),
    (FILLED, Pattern::Filled),
    (INTEGER, Pattern::Integer),
    (NUMBER, Pattern::Number),
    (FLAG, Pattern::Flag),
    (CONTAINER_NAME, Pattern::ContainerName),
    (PULL_POLICY, Pattern::PullPolicy),
];

impl Pattern {
    pub fn of(regex: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == regex).map(|(_, pattern)| *pattern)
    }

    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Name => !text.is_empty() && text.bytes().all(of_name),
            Self::Extension => text.starts_with("x-"),
            // A dot of a regular expression is everything but a new line.
            Self::Filled => text.bytes().any(|byte| byte != b'\n'),
            Self::Integer => filled_digits(unsigned(text)),
            Self::Number => is_number(text),
            Self::Flag => {
                const WORDS: [&str; 8] = ["y", "yes", "true", "on", "n", "no", "false", "off"];
                WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
            }
            Self::ContainerName => {
                let bytes = text.as_bytes();
                bytes.windows(2).any(|pair| {
                    pair[0].is_ascii_alphanumeric()
                        && (pair[1].is_ascii_alphanumeric() || matches!(pair[1], b'_' | b'.' | b'-'))
                })
            }
            Self::PullPolicy => match text.strip_prefix("every_") {
                Some(time) => is_time(time),
                None => {
                    const WORDS: [&str; 8] =
                        ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
                    WORDS.contains(&text)
                }
            },
        }
    }
}

fn of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn filled_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match unsigned(text).split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(unsigned(exponent))),
        None => (unsigned(text), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(filled_digits)
}

/// `1d12h`: one number and one unit, as often as you like.
fn is_time(text: &str) -> bool {
    !text.is_empty()
        && text
            .split_inclusive(|c: char| !c.is_ascii_digit())
            .all(|part| part.strip_suffix(['w', 'd', 'h', 'm', 's']).is_some_and(filled_digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_says_what_its_pattern_says() {
        let texts = [
            "",
            "a",
            "a.b_c-9",
            "a b",
            "x-",
            "x-a",
            "ax-",
            "\n",
            "5",
            "-5",
            "+5",
            "--5",
            "5.",
            ".5",
            "5.5",
            "1e2",
            "1e",
            "1E+2",
            "e2",
            ".",
            "0x5",
            " 5",
            "yes",
            "Y",
            "oN",
            "ofF",
            "TRUE",
            "truex",
            "é",
            "_a",
            "a_",
            "/a",
            "/ab",
            "always",
            "alwaysx",
            "every_",
            "every_1d",
            "every_1d12h",
            "every_d",
            "every_1",
            "every_12",
            "daily",
            "every_1x",
        ];
        for (regex, pattern) in ALL {
            let without_variables = regex.strip_suffix(r"|\$").unwrap_or(regex);
            let schema = serde_json::json!({ "pattern": without_variables });
            let validator = jsonschema::validator_for(&schema).unwrap();
            for text in texts {
                assert_eq!(pattern.accepts(text), validator.is_valid(&text.into()), "{regex} and {text:?}");
            }
        }
    }
}
