//! The instructions as types. Words that variables may stand in are unexpanded.

use super::{
    heredoc::Heredoc,
    place::{Place, Word},
};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub at: Place,
    /// The last line that belongs to it, heredocs included.
    pub last_line: usize,
    /// In one line, without comments and heredoc bodies.
    pub source: String,
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Add(Copy),
    Arg(Vec<Arg>),
    Cmd(CommandLine),
    Copy(Copy),
    Entrypoint(CommandLine),
    Env(Vec<Pair>),
    Expose(Vec<Word>),
    From(From),
    /// `None` is NONE.
    Healthcheck(Option<Healthcheck>),
    Label(Vec<Pair>),
    Maintainer(String),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Vec<String>),
    StopSignal(Word),
    User(Word),
    Volume(Vec<Word>),
    Workdir(Word),
}

/// The instructions by name, in the order of their documentation.
pub const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Command {
    pub fn name(&self) -> &'static str {
        match self {
            Command::Add(_) => "ADD",
            Command::Arg(_) => "ARG",
            Command::Cmd(_) => "CMD",
            Command::Copy(_) => "COPY",
            Command::Entrypoint(_) => "ENTRYPOINT",
            Command::Env(_) => "ENV",
            Command::Expose(_) => "EXPOSE",
            Command::From(_) => "FROM",
            Command::Healthcheck(_) => "HEALTHCHECK",
            Command::Label(_) => "LABEL",
            Command::Maintainer(_) => "MAINTAINER",
            Command::Onbuild(_) => "ONBUILD",
            Command::Run(_) => "RUN",
            Command::Shell(_) => "SHELL",
            Command::StopSignal(_) => "STOPSIGNAL",
            Command::User(_) => "USER",
            Command::Volume(_) => "VOLUME",
            Command::Workdir(_) => "WORKDIR",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    pub base: Word,
    /// In small letters.
    pub name: Option<Word>,
    pub platform: Option<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub command: CommandLine,
    pub heredocs: Vec<Heredoc>,
    pub mounts: Vec<Mount>,
    pub network: Option<Word>,
    pub security: Option<Word>,
}

/// `--mount=`: a list of options, read when their variables are known. The source alone is known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub options: Word,
    pub from: Option<String>,
}

/// COPY or ADD. What only one of the two has is empty in the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    pub sources: Vec<Word>,
    pub heredocs: Vec<Heredoc>,
    pub destination: Word,
    pub from: Option<Word>,
    pub chown: Option<Word>,
    pub chmod: Option<Word>,
    pub checksum: Option<Word>,
    pub exclude: Vec<Word>,
    pub link: bool,
    pub parents: bool,
    pub keep_git_dir: Option<Place>,
    pub unpack: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// For the shell; may be empty.
    Shell(String),
    Exec(Vec<String>),
}

/// `name=value`, or the old `name value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub value: String,
    pub at: Place,
    pub old_form: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    pub name: String,
    pub default: Option<String>,
    pub at: Place,
}

/// `None` is the engine's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    pub command: CommandLine,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub start_period: Option<Duration>,
    pub start_interval: Option<Duration>,
    pub retries: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// As the image's configuration holds it, with the bodies of heredocs.
    pub trigger: String,
}
