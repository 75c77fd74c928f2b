//! What can be wrong with a Dockerfile whose text is right.

use crate::{
    build::dockerfile::{ExpandError, Fault, Located},
    image::reference::ReferenceError,
};
use std::sync::Arc;

pub type Error = Located<Problem>;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    #[error("{0}")]
    Text(#[from] Fault),
    #[error("{0}")]
    Expand(#[from] ExpandError),
    #[error("no stage: the file has no FROM")]
    NoStage,
    #[error(
        "the frontend {name:?} is asked for, and only Docker's own Dockerfile frontend (docker/dockerfile) is known"
    )]
    Frontend { name: String },
    #[error("the base {text:?} is empty once its variables are known{}", told(.hint))]
    EmptyBase { text: String, hint: Option<String> },
    #[error("{error}{}", unset_of(.unset))]
    Image { error: Arc<ReferenceError>, unset: Vec<String> },
    #[error("{text:?} is no platform such as linux/amd64{}", told(.hint))]
    Platform { text: String, hint: Option<String> },
    #[error("the platform {text:?} is empty once its variables are known{}", told(.hint))]
    EmptyPlatform { text: String, hint: Option<String> },
    #[error("platform {platform}: only images of Linux can be built")]
    ForeignPlatform { platform: String },
    #[error("there is no stage {name:?} to build{}; stages: {stages}", told(.hint))]
    NoTarget { name: String, hint: Option<String>, stages: String },
    #[error("there is no stage {number}: the file has {count}, counted from 0")]
    NoStageNumber { number: i64, count: usize },
    #[error("stages need one another in a circle: {stages}")]
    Circle { stages: String },
    #[error("the stage {name:?} is needed here and stands further below; move it before this one")]
    LaterStage { name: String },
    #[error("--from cannot hold a variable; name a stage with FROM ... AS and take that")]
    FromVariable,
    #[error("the configuration of {image} for {platform} is not there")]
    MissingConfiguration { image: String, platform: String },
    #[error("the configuration of {image} cannot be read: {why}")]
    BadConfiguration { image: String, why: String },
    #[error("{image} brings the trigger ONBUILD {trigger}: {fault}")]
    Trigger { image: String, trigger: String, fault: Box<Problem> },
    #[error("EXPOSE cannot take {text:?}: {why}")]
    Port { text: String, why: &'static str },
    #[error("{text:?} is no signal; names such as SIGTERM and numbers from 1 to 64 are")]
    Signal { text: String },
    #[error("a path of VOLUME is empty once its variables are known")]
    EmptyVolume,
    #[error("{instruction} names a variable that is empty")]
    BlankName { instruction: &'static str },
    #[error("--mount: {0}")]
    Mount(MountProblem),
    #[error("--network is default, none or host, not {text:?}{}", told(.hint))]
    Network { text: String, hint: Option<String> },
    #[error("--security is sandbox or insecure, not {text:?}{}", told(.hint))]
    Security { text: String, hint: Option<String> },
    #[error("--chmod is an octal number up to 7777 or a change such as u+x, not {text:?}")]
    Chmod { text: String },
    #[error("--checksum is sha256:, sha384: or sha512: with hexadecimal digits, not {text:?}")]
    Checksum { text: String },
    #[error("--checksum needs exactly one source, and that an http or https URL or a git repository")]
    ChecksumSource,
    #[error("COPY takes files alone, and {text:?} is a URL; ADD can download it")]
    CopyUrl { text: String },
    #[error("COPY takes files alone, and {text:?} is a git repository; ADD takes one")]
    CopyGit { text: String },
    #[error("--checksum of a git repository is a commit, not {text:?}")]
    CommitChecksum { text: String },
    #[error("--checksum={flag} and the URL's own {url} are two commits")]
    TwoChecksums { flag: String, url: String },
    #[error("{0}")]
    Remote(#[from] crate::build::remote::UrlError),
    #[error("{text:?}: only http and https can be downloaded")]
    Scheme { text: String },
    #[error("a pattern of --exclude: {0}")]
    Exclude(#[from] crate::build::dockerfile::BadPattern),
    #[error("{source}: {pattern}", source = "a source", pattern = .0)]
    Source(crate::build::dockerfile::BadPattern),
    #[error("SOURCE_DATE_EPOCH is a number of seconds, not {text:?}")]
    Epoch { text: String },
    #[error("{rule}: {text} (warnings are errors here: # check=error=true)")]
    Warning { rule: &'static str, text: String },
    #[error("the check {text:?} is not understood; skip=RULE,...;error=true is")]
    Check { text: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountProblem {
    #[error("{text:?} has quotes in places that they cannot have")]
    Quotes { text: String },
    #[error("{field:?} is no key=value")]
    Field { field: String },
    #[error("the type {text:?} is none of bind, cache, tmpfs, secret and ssh{}", told(.hint))]
    Type { text: String, hint: Option<String> },
    #[error("there is no option {key:?}{}", told(.hint))]
    Key { key: String, hint: Option<String> },
    #[error("{key} does not go with type={kind}")]
    KeyOfType { key: String, kind: &'static str },
    #[error("{key} cannot be {value:?}")]
    Value { key: String, value: String },
    #[error("sharing is shared, private or locked, not {text:?}{}", told(.hint))]
    Sharing { text: String, hint: Option<String> },
    #[error("the cache begins with nothing, so there is no {path:?} in it: from=... says whose it is")]
    SourceOfNothing { path: String },
    #[error("a secret needs an id, a source or a target")]
    NamelessSecret,
    #[error("a secret has an id or a source, not both")]
    TwoIds,
    #[error("the target {target:?} is the root")]
    Root { target: String },
}

impl Problem {
    /// An image's name may be wrong for a variable that has no value.
    pub(super) fn of_unset(self, unset: Vec<String>) -> Self {
        match self {
            Self::Image { error, .. } => Self::Image { error, unset },
            other => other,
        }
    }
}

fn unset_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; not set: ${}", names.join(", $")),
    }
}

fn told(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!("; did you mean {hint}?")).unwrap_or_default()
}
