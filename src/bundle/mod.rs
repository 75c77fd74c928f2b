//! A project in one file: its model, its images, and, where asked for, what is in its volumes. It runs on a machine that
//! has an empty store and no network.
//!
//! ```text
//! bundle.json                  the index, first: what is here, with digests and sizes
//! blobs/sha256/<hex>           the model, its lock, the files it mounts, volumes, images; each once
//! index.json, oci-layout       the images as an OCI image layout, for other tools
//!
//! index      the index as a value; what is wrong with it                          (pure)
//! pack       a directory -> tar: owners, modes, times, xattrs, holes, hard links
//! create     store, volumes, files -> the file
//! read       the file -> index and blobs, verified as they are read
//! install    -> store, volumes, state directory; nothing is visible before all is verified
//! ```
//!
//! A bundle is hostile until its digests match, and its paths stay hostile after that. What its model asks for, it gets:
//! running one is like running a Compose file. This folder knows no Compose file: the model is a text to it.

mod create;
mod error;
mod index;
mod install;
mod pack;
mod read;

pub use create::Draft;
pub use error::BundleError;
pub use index::{Blob, ImageEntry, Index, VolumeEntry};
pub use install::{Installed, Staged};
pub use read::Bundle;

/// The file name of the model.
pub const MODEL: &str = "compose.json";

/// The name of the directory beside that of the model in which the files are.
pub fn files_directory(digest: &str) -> String {
    format!("files-{}", short(digest))
}

/// The first digits of `sha256:...`.
fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..16).unwrap_or(hex)
}
