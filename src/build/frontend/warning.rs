//! What is right and surprises: the rules of BuildKit's checks that tell of more than of taste, some of our own, and
//! `# check=`.

use super::{
    Options,
    error::{Error, Problem},
};
use crate::build::dockerfile::{Directives, Located, Place};

pub type Warning = Located<Hint>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hint {
    #[error("empty lines inside of an instruction are going to be refused")]
    NoEmptyContinuation,
    #[error("{instruction} name value is the old form: {instruction} name=value")]
    LegacyKeyValueFormat { instruction: &'static str },
    #[error("MAINTAINER is out of use: LABEL org.opencontainers.image.authors=...")]
    MaintainerDeprecated,
    #[error("the stage name {name:?} is given before already; the later one counts from here on")]
    DuplicateStageName { name: String },
    #[error("the stage name {name:?} is reserved: a stage is better called otherwise")]
    ReservedStageName { name: String },
    #[error("${name} is not set: no ARG or ENV before names it{}", told(.hint))]
    UndefinedVar { name: String, hint: Option<String> },
    #[error("${name} is not set: no ARG before the first FROM names it{}", told(.hint))]
    UndefinedArgInFrom { name: String, hint: Option<String> },
    #[error("there is more than one {instruction} in this stage; the last one counts")]
    MultipleInstructionsDisallowed { instruction: &'static str },
    #[error("this looks like a list in JSON and is none, so that the shell runs it as it stands")]
    MalformedList,
    #[error("WORKDIR {path} stands on a directory that only the base image knows")]
    WorkdirRelativePath { path: String },
    #[error(
        "several sources and no slash at the end of {destination}: unless that is a directory already, each file is \
         written over the one before"
    )]
    SeveralSourcesToOneName { destination: String },
    #[error("--platform=$TARGETPLATFORM is the default")]
    RedundantTargetPlatform,
    #[error(
        "{instruction} {name} looks like a secret, which the image then holds; RUN --mount=type=secret keeps it out"
    )]
    SecretsUsedInArgOrEnv { instruction: &'static str, name: String },
    #[error("{what} has no effect here")]
    NoEffect { what: String },
    #[error("no ARG asks for the build argument {name}{}", told(.hint))]
    UnusedBuildArg { name: String, hint: Option<String> },
    #[error("{image} is an image of {found}, not of {wanted}")]
    InvalidBaseImagePlatform { image: String, found: String, wanted: String },
}

impl Hint {
    /// The name by which `# check=skip=` knows it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NoEmptyContinuation => "NoEmptyContinuation",
            Self::LegacyKeyValueFormat { .. } => "LegacyKeyValueFormat",
            Self::MaintainerDeprecated => "MaintainerDeprecated",
            Self::DuplicateStageName { .. } => "DuplicateStageName",
            Self::ReservedStageName { .. } => "ReservedStageName",
            Self::UndefinedVar { .. } => "UndefinedVar",
            Self::UndefinedArgInFrom { .. } => "UndefinedArgInFrom",
            Self::MultipleInstructionsDisallowed { .. } => "MultipleInstructionsDisallowed",
            Self::MalformedList => "MalformedList",
            Self::WorkdirRelativePath { .. } => "WorkdirRelativePath",
            Self::SeveralSourcesToOneName { .. } => "SeveralSourcesToOneName",
            Self::RedundantTargetPlatform => "RedundantTargetPlatform",
            Self::SecretsUsedInArgOrEnv { .. } => "SecretsUsedInArgOrEnv",
            Self::NoEffect { .. } => "NoEffect",
            Self::UnusedBuildArg { .. } => "UnusedBuildArg",
            Self::InvalidBaseImagePlatform { .. } => "InvalidBaseImagePlatform",
        }
    }
}

fn told(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!("; did you mean {hint}?")).unwrap_or_default()
}

/// `skip=all`, `skip=A,B;error=true`: what is told at all, and whether it ends the build.
#[derive(Debug, Default)]
pub struct Check {
    skip: Vec<String>,
    skip_all: bool,
    error: bool,
}

impl Check {
    /// From the directive, or from BUILDKIT_DOCKERFILE_CHECK, which wins.
    pub fn read(directives: &Directives, options: &Options) -> Result<Self, Error> {
        let given = options.args.get("BUILDKIT_DOCKERFILE_CHECK").map(|text| (text.as_str(), 0));
        let written = directives.check.as_ref().map(|(text, line)| (text.as_str(), *line));
        let mut check = Self::default();
        let Some((text, line)) = given.or(written) else { return Ok(check) };
        let bad = || Error::new(Place::new(line, line.min(1)), Problem::Check { text: text.to_owned() });
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("skip", "all")) => check.skip_all = true,
                Some(("skip", rules)) => check.skip.extend(rules.split(',').map(|rule| rule.trim().to_owned())),
                Some(("error", "true")) => check.error = true,
                Some(("error", "false")) => check.error = false,
                // Rules that are still tried out: there are none here.
                Some(("experimental", _)) => {}
                _ => return Err(bad()),
            }
        }
        Ok(check)
    }

    /// Those that are to be told, or the errors that they are.
    pub fn apply(&self, warnings: Vec<Warning>) -> Result<Vec<Warning>, Vec<Error>> {
        let skipped =
            |hint: &Hint| self.skip_all || self.skip.iter().any(|rule| rule.eq_ignore_ascii_case(hint.rule()));
        let mut told: Vec<Warning> = warnings.into_iter().filter(|warning| !skipped(&warning.kind)).collect();
        told.sort_by_key(|warning| warning.at);
        told.dedup();
        // What concerns the command line is no fault of the file.
        let of_file = |warning: &&Warning| warning.at.line > 0;
        if !self.error || told.iter().filter(of_file).count() == 0 {
            return Ok(told);
        }
        let error = |warning: &Warning| {
            let (rule, text) = (warning.kind.rule(), warning.kind.to_string());
            Error::new(warning.at, Problem::Warning { rule, text })
        };
        Err(told.iter().filter(of_file).map(error).collect())
    }
}
