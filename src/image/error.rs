//! What can go wrong with an image. Each error says what failed, on which object, and where it helps, what to do.

use super::{
    credentials::CredentialError, digest::Digest, digest::DigestError, hosts::HostsError, reference::ReferenceError,
};
use crate::state::RecordError;
use std::{
    io,
    path::{Path, PathBuf},
};

pub type Result<T, E = ImageError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Hosts(#[from] HostsError),
    #[error("image {image} is not on this host, and its pull policy is `never`")]
    NotLocal { image: String },
    /// The registry says no, and does not tell a missing repository from a hidden one.
    #[error(
        "image {image}: {registry} denies access: the repository does not exist, or needs a login (`muster login {registry}`){detail}"
    )]
    Unauthorized { image: String, registry: String, detail: String },
    #[error("{registry} does not take this user and password{detail}")]
    LoginRefused { registry: String, detail: String },
    #[error("cannot log in to {registry}: {reason}")]
    LoginFailed { registry: String, reason: String },
    #[error(
        "image {image}: {registry} answers no more for now{detail}. Most registries allow more to who is logged in (`muster login`), and a mirror needs to ask but once"
    )]
    RateLimited { image: String, registry: String, detail: String },
    #[error("image {image}: {registry} has no such image{detail}")]
    NotFound { image: String, registry: String, detail: String },
    #[error("image {image}: cannot reach {registry}: {reason}")]
    Unreachable { image: String, registry: String, reason: String },
    #[error("image {image}: {registry} answers {status}{detail}")]
    Registry { image: String, registry: String, status: u16, detail: String },
    /// Refused for safety: the text says what.
    #[error("image {image}: {registry} is not trusted: {reason}")]
    Distrusted { image: String, registry: String, reason: String },
    #[error("image {image}: {what} has digest {actual}, but {expected} was asked for; the data was thrown away")]
    DigestMismatch { image: String, what: String, expected: Digest, actual: Digest },
    #[error("image {image}: {what}: {source}")]
    Digest { image: String, what: &'static str, source: DigestError },
    #[error("image {image} has nothing for {wanted}; it has {available}")]
    NoPlatform { image: String, wanted: String, available: String },
    #[error("image {image} is not a container image: {reason}")]
    NotAnImage { image: String, reason: String },
    #[error("image {image}: layer {layer}: {source}")]
    Layer { image: String, layer: String, source: super::layer::LayerError },
    /// A transport's file or directory.
    #[error("image {image}: {}: {reason}", path.display())]
    Source { image: String, path: PathBuf, reason: String },
    #[error("image {image} is in use by {user}; remove that first")]
    InUse { image: String, user: String },
    #[error("image {image} has no registry in its name to push it to; give it one with `muster tag`")]
    NoRegistry { image: String },
    #[error("image {image} is a directory of this host and has no layers of its own")]
    NotStored { image: String },
    #[error("cannot write the archive: {source}")]
    Write { source: io::Error },
    #[error("no such image: {0}")]
    NoSuchImage(String),
    #[error("`{prefix}` is the beginning of several image ids: {matches}")]
    Ambiguous { prefix: String, matches: String },
    #[error("image {image} has several names ({names}); remove those")]
    SeveralNames { image: String, names: String },
    #[error("image store: cannot {verb} {}: {source}", path.display())]
    Store { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("image store: {} is damaged: {reason}. Remove the image that it belongs to and pull it again", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("image store: {0}")]
    Record(#[from] RecordError),
    #[error("image {image}: the work on it was given up: {reason}")]
    Abandoned { image: String, reason: String },
}

impl ImageError {
    pub(crate) fn store<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Store { verb, path: path.to_owned(), source }
    }
}
