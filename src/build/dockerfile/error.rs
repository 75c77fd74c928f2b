//! What can be wrong with the text of a Dockerfile.

use super::{expand::ExpandError, place::Located};

pub type Error = Located<Fault>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the file holds no instruction")]
    Empty,
    #[error("unknown instruction {name:?}{}", did_you_mean(.hint))]
    UnknownInstruction { name: String, hint: Option<&'static str> },
    #[error("{instruction} knows no flag --{flag}{}", flag_hint(.hint))]
    UnknownFlag { instruction: &'static str, flag: String, hint: Option<&'static str> },
    #[error("the flag --{flag} needs a value: --{flag}=VALUE")]
    FlagWithoutValue { flag: String },
    #[error("the flag --{flag} is given twice")]
    FlagTwice { flag: String },
    #[error("the flag --{flag} is true or false, not {value:?}")]
    FlagNotBoolean { flag: String, value: String },
    #[error("the directive {name:?} is given twice")]
    DirectiveTwice { name: String },
    #[error("the escape character is a backslash or a backtick, not {value:?}")]
    EscapeCharacter { value: String },
    #[error("the heredoc {name:?} is not ended: a line that holds {name} alone is missing")]
    HeredocOpen { name: String },
    #[error("a heredoc cannot be the destination of {instruction}")]
    HeredocDestination { instruction: &'static str },
    #[error("{instruction} needs {expected}")]
    Arguments { instruction: &'static str, expected: &'static str },
    #[error("{instruction} takes the form of a JSON list: {instruction} [\"...\", \"...\"]")]
    NotJson { instruction: &'static str },
    #[error("a JSON list of {instruction} holds strings alone")]
    NotStrings { instruction: &'static str },
    #[error("{instruction} expects name=value, and {word:?} has no \"=\"")]
    NoEquals { instruction: &'static str, word: String },
    #[error("{instruction} expects a name before \"=\"")]
    BlankName { instruction: &'static str },
    #[error("FROM expects an image, or an image AS a name")]
    FromForm,
    #[error(
        "{name:?} cannot name a stage: a letter comes first, then letters, digits, \"-\", \"_\" and \".\" may follow"
    )]
    StageName { name: String },
    #[error("{instruction} stands before the first FROM, where only ARG may stand")]
    BeforeFrom { instruction: &'static str },
    #[error("a line continuation leads to no instruction")]
    ContinuesNothing,
    #[error("{instruction} cannot be what ONBUILD triggers")]
    OnbuildTrigger { instruction: &'static str },
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthNone,
    #[error("HEALTHCHECK expects CMD or NONE, not {word:?}")]
    HealthKind { word: String },
    #[error("--{flag} expects a duration such as 30s or 1m30s, not {value:?}")]
    Duration { flag: String, value: String },
    #[error("--{flag} is at least 1ms, not {value}")]
    ShortDuration { flag: String, value: String },
    #[error("--retries expects a number from 0 on, not {value:?}")]
    Retries { value: String },
    #[error("the source of a mount's \"from\" cannot hold a variable; name a stage with FROM ... AS and take that")]
    MountFromVariable,
    #[error("{0}")]
    Expand(#[from] ExpandError),
}

fn did_you_mean(hint: &Option<&'static str>) -> String {
    hint.map(|hint| format!("; did you mean {hint}?")).unwrap_or_default()
}

fn flag_hint(hint: &Option<&'static str>) -> String {
    hint.map(|hint| format!("; did you mean --{hint}?")).unwrap_or_default()
}

/// The known word that is meant by a misspelt one.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let far = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&word, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
