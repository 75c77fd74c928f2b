//! The one table: what went wrong -> exit code and what to do about it.
//!
//! | end | code |
//! |---|---|
//! | done | 0 |
//! | any error, wrong usage included | 1 |
//! | `plan --detailed-exitcode` with something to do; `lock --check` with a drift | 2 |
//! | `run`, `exec`, `up --exit-code-from` | the command's own |
//! | the container could not be set up / the command is not executable / not found | 125 / 126 / 127 |
//! | interrupted | 130 |
//! | standard output was closed by its reader | 0 |

use crate::{
    api::Failure, build::engine::CacheError, bundle::BundleError, compose::Diagnostics, image::ImageError,
    shim::wire::ClientError, state::RecordError, transfer::TransferError,
};
use std::{io, path::PathBuf};

/// Exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    pub const SUCCESS: Self = Self(0);
    pub const FAILURE: Self = Self(1);
    pub const CHANGES: Self = Self(2);
    pub const INTERRUPTED: Self = Self(130);

    /// Of a container or process: 0-255, what does not fit is a failure all the same.
    pub fn of_process(code: i32) -> Self {
        Self(u8::try_from(code).unwrap_or(255))
    }
}

/// What a verb returns.
pub type Outcome = Result<Code, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Compose files; rendered with their lines, never in one sentence.
    #[error("the Compose files are not usable")]
    Compose(Diagnostics),
    #[error("no such service: {name}")]
    NoSuchService { name: String, similar: Option<String> },
    #[error("service \"{service}\" is not running{}", container.as_deref().map(|name| format!(" container {name}")).unwrap_or_default())]
    NotRunning { service: String, container: Option<String> },
    #[error("{0}")]
    Usage(String),
    #[error("{message}")]
    Refused { message: String, hint: Option<String> },
    /// The supervisor's answer.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
    /// Told in full already; only the code is left.
    #[error("failed")]
    Reported,
    #[error("{message}")]
    NotStarted { message: String, code: i32 },
    #[error("cannot {verb} the supervisor of project {project}: {why}")]
    Supervisor { verb: &'static str, project: String, why: String, hint: Option<String> },
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {verb}: {source}")]
    System { verb: &'static str, source: io::Error },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    BuildCache(#[from] CacheError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Standard output or error does not take what is written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("interrupted")]
    Interrupted,
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Failed { failure } => Self::NotStarted { message: failure.message, code: failure.code },
            error => Self::refused(error.to_string()),
        }
    }
}

impl Error {
    pub fn file<'a>(verb: &'static str, path: &'a std::path::Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }

    /// For kernel calls that are about no file.
    pub fn system<E: Into<io::Error>>(verb: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { verb, source: source.into() }
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: None }
    }

    /// The reader has gone; there is nobody to tell.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub fn code(&self) -> Code {
        match self {
            Self::NotStarted { code, .. } => Code::of_process(*code),
            Self::Interrupted => Code::INTERRUPTED,
            error if error.is_closed_output() => Code::SUCCESS,
            _ => Code::FAILURE,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchService { similar: Some(name), .. } => Some(format!("did you mean {name}?")),
            Self::NotRunning { service, .. } => Some(format!("start it with `muster up -d {service}`")),
            Self::Refused { hint, .. } | Self::Supervisor { hint, .. } => hint.clone(),
            Self::Failed(failure) => failure.hint.clone(),
            Self::File { source, .. } | Self::System { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Some("muster has to run as root".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_code() {
        let table = [
            (Error::Usage("x".into()), 1),
            (Error::NoSuchService { name: "wbe".into(), similar: Some("web".into()) }, 1),
            (Error::NotStarted { message: "no such file".into(), code: 127 }, 127),
            (Error::Interrupted, 130),
            (Error::Output(io::ErrorKind::BrokenPipe.into()), 0),
            (Error::Output(io::ErrorKind::StorageFull.into()), 1),
        ];
        for (error, code) in table {
            assert_eq!(error.code(), Code(code), "{error:?}");
        }
        assert_eq!(Code::of_process(137), Code(137));
        assert_eq!(Code::of_process(-1), Code(255));
    }

    #[test]
    fn a_misspelt_service_gets_a_hint() {
        let error = Error::NoSuchService { name: "wbe".into(), similar: Some("web".into()) };
        assert_eq!(error.hint().as_deref(), Some("did you mean web?"));
    }
}
