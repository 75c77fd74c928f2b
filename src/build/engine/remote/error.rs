//! Why a source that is elsewhere did not come.

use crate::{image::ImageError, state::RecordError};
use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("{url} is a git repository, and the program git is not on this host; install the package git")]
    NoGit { url: String },
    #[error("cannot {verb} {url}: {reason}")]
    Git { verb: &'static str, url: String, reason: String },
    #[error("{url} has no branch or tag {reference:?}; a commit is written with all its 40 digits")]
    NoReference { url: String, reference: String },
    #[error("{url}: {reference} is the commit {found}, but {expected} was asked for")]
    Checksum { url: String, reference: String, found: String, expected: String },
    #[error("{url} has no directory {subdir:?}")]
    NoDirectory { url: String, subdir: String },
    #[error("{url}: {reason}")]
    Download { url: String, reason: String },
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

pub type Result<T, E = RemoteError> = std::result::Result<T, E>;

impl RemoteError {
    pub fn file<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }
}
