//! What can go wrong with a bundle, with its file and the way out.

use crate::{
    image::{ImageError, layer::LayerError},
    state::RecordError,
    volume::VolumeError,
};
use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not a bundle", path.display())]
    NotABundle { path: PathBuf },
    #[error("{} was written by a newer muster (bundle version {found}, this one knows {known}). Use that version", path.display())]
    Newer { path: PathBuf, found: u64, known: u64 },
    #[error("{} is no proper bundle: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("{} exists; --overwrite replaces it", path.display())]
    Exists { path: PathBuf },
    #[error("the bundle's {what}: {source}")]
    Unpack { what: String, source: LayerError },
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl BundleError {
    pub(super) fn io<E: Into<io::Error>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source: source.into() }
    }

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), reason: reason.into() }
    }
}
