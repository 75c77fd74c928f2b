//! What can go wrong between a host's files and a container's.

use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Its process is gone, or another one by now.
    #[error("the container is not running")]
    NotRunning,
    /// A file of the host.
    #[error("cannot {verb} {}: {source}", path.display())]
    Host { verb: &'static str, path: PathBuf, source: io::Error },
    /// A file of the container.
    #[error("cannot {verb} {} in the container: {source}", path.display())]
    Container { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is a directory in the container, and a file does not replace it", path.display())]
    IsDirectory { path: PathBuf },
    #[error("{} lies on a file system of the kernel, where nothing is copied to", path.display())]
    OfTheKernel { path: PathBuf },
    #[error("cannot open the files of the container: {0}")]
    Root(String),
    #[error("cannot find the container's user: {0}")]
    User(String),
}

impl TransferError {
    pub(super) fn host<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Host { verb, path: path.to_owned(), source }
    }

    pub(super) fn inside<'a, E: Into<io::Error>>(verb: &'static str, path: &'a Path) -> impl FnOnce(E) -> Self + 'a {
        move |source| Self::Container { verb, path: path.to_owned(), source: source.into() }
    }
}
