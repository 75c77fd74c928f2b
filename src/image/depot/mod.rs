//! What is kept like an image and is none: a configuration of its own kind, and layers, under a name. In a registry, or
//! in a directory that is an OCI image layout.
//!
//! ```text
//! document    what a manifest is: of the wanted kind, an image, or somebody else's              (pure)
//! source      one place to read from: documents at once, layers when they are wanted
//! target      one place to write to: blobs that lack, then the manifest, then its name
//! directory   the layout: blobs, index.json, who is at work in it, what nobody names any more
//! ```
//!
//! What is read is hostile, as an image is: bounded, checked against digests, and unpacked where it can name nothing
//! outside.

mod directory;
mod document;
mod source;
mod target;

pub use source::{Source, Taken, Wanted};
pub use target::Target;

use super::{
    digest::Digest,
    error::ImageError,
    layer::LayerError,
    reference::Name,
    source::manifest::{self, Blob},
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Where something is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Registry(Name),
    Directory {
        dir: PathBuf,
        /// `org.opencontainers.image.ref.name` of its entry.
        tag: String,
        /// Reading: this manifest, whatever the tag stands for.
        digest: Option<Digest>,
    },
}

impl Place {
    /// Whether the two are names in one directory.
    pub fn is_beside(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Directory { dir: one, .. }, Self::Directory { dir: two, .. }) if one == two)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(name) => f.write_str(&name.familiar()),
            Self::Directory { dir, digest: Some(digest), .. } => write!(f, "{}@{digest}", dir.display()),
            Self::Directory { dir, tag, .. } if tag == "latest" => write!(f, "{}", dir.display()),
            Self::Directory { dir, tag, .. } => write!(f, "{}:{tag}", dir.display()),
        }
    }
}

/// What was found at a place.
#[derive(Clone, Debug)]
pub enum Document {
    /// Of the kind that was asked for.
    Own { config: Vec<u8>, layers: Vec<Part> },
    /// An image; layers are those of its manifest.
    Image { config: Vec<u8>, layers: Vec<Part> },
    /// Something else, by the media type that tells what.
    Foreign(String),
}

/// A blob of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
}

impl From<Blob> for Part {
    fn from(blob: Blob) -> Self {
        Self { digest: blob.digest, size: blob.size, media_type: blob.media_type }
    }
}

impl From<&Part> for Blob {
    fn from(part: &Part) -> Self {
        Self { digest: part.digest, size: part.size, media_type: part.media_type.clone() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("it has nothing under the name `{0}`")]
    NoTag(String),
    #[error("{what} has digest {actual}, but {expected} was asked for")]
    Digest { what: String, expected: Digest, actual: Digest },
    #[error("it has nothing for {wanted}; it has {available}")]
    NoPlatform { wanted: String, available: String },
    #[error("{0}")]
    Manifest(#[from] manifest::ManifestError),
    #[error("layer {layer}: {source}")]
    Layer { layer: String, source: LayerError },
    #[error(transparent)]
    Image(#[from] ImageError),
}

pub type Result<T, E = DepotError> = std::result::Result<T, E>;

impl DepotError {
    fn file<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }

    /// Whether there is nothing yet, as before the first time.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::NoTag(_) | Self::Image(ImageError::NotFound { .. }) => true,
            _ => false,
        }
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let gone = |error: tokio::task::JoinError| {
        DepotError::Image(ImageError::Abandoned { image: "of a cache".into(), reason: error.to_string() })
    };
    tokio::task::spawn_blocking(work).await.map_err(gone)?
}
