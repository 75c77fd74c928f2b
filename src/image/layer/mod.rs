//! One layer: a stream of a compressed tar becomes a directory that overlayfs can mount.
//!
//! ```text
//! reader -> Intake (count, sha256, copy to the blob) -> decompress -> sha256 (diff id) -> tar -> unpack
//! ```
//!
//! One pass, one thread, bounded memory. Files appear while the digests are still being computed, but in a directory
//! that nobody uses and that is thrown away unless both digests match.

mod compression;
mod intake;
mod pax;
mod sparse;
mod tar;
mod unpack;
#[cfg(test)]
mod unpack_tests;

pub(crate) use compression::decompress;
pub(super) use intake::{Expected, Intaken, intake};
pub use tar::TarError;
pub(crate) use tar::{Kind, Member, TarReader};
pub(crate) use unpack::{Limits, MAX_REMEMBERED, unpack_plain};
pub(super) use unpack::{Unpacked, adopt_directories};

use super::digest::Digest;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error("its content has digest {actual}, but {expected} was asked for; it was thrown away")]
    BlobDigest { expected: Digest, actual: Digest },
    #[error("unpacked it has digest {actual}, but the image's configuration says {expected}; it was thrown away")]
    DiffId { expected: Digest, actual: Digest },
    #[error("it has {actual} bytes, but the manifest says {expected}")]
    Size { expected: u64, actual: u64 },
    #[error("{0}")]
    Tar(#[from] TarError),
    #[error("`{name}` leads out of the layer")]
    Escapes { name: String },
    #[error("cannot {verb} `{name}`: {source}")]
    Entry { verb: &'static str, name: String, source: io::Error },
    #[error("`{name}`: {reason}")]
    Malformed { name: String, reason: &'static str },
    #[error("it would take more than {limit} {what}, the most that is free or allowed here")]
    TooBig { what: &'static str, limit: u64 },
    #[error("it is compressed with {0}, which is not supported: only gzip and zstd are")]
    Compression(&'static str),
    #[error("reading it failed: {0}")]
    Read(io::Error),
    #[error("cannot write its blob: {0}")]
    Blob(io::Error),
}
