//! What can go wrong with a build: which step, on which line, why.

use super::{cache::CacheError, remote::RemoteError};
use crate::{
    build::op::StepId,
    image::{ImageError, depot::DepotError},
    network::NetworkError,
    state::RecordError,
    sys,
};
use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{title}: {source}")]
    Step {
        title: String,
        /// Of the Dockerfile; 0 where none is.
        line: usize,
        source: StepError,
    },
    /// The image is made of its layers and listed.
    #[error("cannot finish the image: {0}")]
    Export(#[source] StepError),
    /// The image is there.
    #[error("the image is built, but its cache cannot be written to {to}: {source}")]
    Share { to: String, source: StepError },
    #[error("cannot begin the build: {0}")]
    Begin(#[source] StepError),
    /// A plan that no frontend makes.
    #[error("the plan of the build is not one: {0}")]
    Plan(&'static str),
}

#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A program that ran and failed.
    #[error("the process \"{}\" did not complete successfully: exit code: {code}{}", shortened(command), if *oom { " (the kernel killed for want of memory)" } else { "" })]
    Exit {
        command: String,
        code: i32,
        oom: bool,
        /// The last lines of what it wrote.
        output: Vec<String>,
    },
    #[error("{0}")]
    Start(String),
    #[error("\"{path}\": not found{hint}")]
    NotFound { path: String, hint: String },
    #[error("{0}")]
    Refused(String),
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("secret `{0}` is not given to this build, and the step requires it")]
    NoSecret(String),
    #[error("SSH agent `{0}` is not given to this build, and the step requires it")]
    NoAgent(String),
    #[error("the step asks for {0}, which this build is not allowed (entitlements: {1})")]
    NotEntitled(&'static str, &'static str),
    #[error("{url}: {reason}")]
    Download { url: String, reason: String },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// Another step is to blame: it had to be carried out after all.
    #[error("{source}")]
    Of { step: StepId, source: Box<Self> },
    #[error("it was given up: {0}")]
    Abandoned(String),
}

pub type Result<T, E = StepError> = std::result::Result<T, E>;

/// A script is known by its beginning.
fn shortened(command: &str) -> String {
    const MAX: usize = 200;
    let first = command.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let is_whole = first.len() == command.trim_end().len() && first.len() <= MAX;
    let shown: String = first.chars().take(MAX).collect();
    if is_whole { shown } else { format!("{} ...", shown.trim_end()) }
}

impl StepError {
    /// Whose error it is: that of `step`, unless it says otherwise.
    pub fn blamed(self, step: StepId) -> (StepId, Self) {
        match self {
            Self::Of { step, source } => source.blamed(step),
            own => (step, own),
        }
    }

    pub fn file<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }
}
