//! Blobs: content by its digest.

use super::{Store, missing};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
};
use std::fs;

impl Store {
    pub(in crate::image) fn has_blob(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// A manifest or configuration, whole; `None` where it is not here. A blob that no longer has its digest is an
    /// error: a disk or a person changed it.
    pub(in crate::image) fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.blob(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(ImageError::store("read", &path)(error)),
        };
        if Digest::of(&bytes) != *digest {
            return Err(ImageError::Damaged { path, reason: "it does not have its digest".into() });
        }
        Ok(Some(bytes))
    }

    /// Bytes in the files of these layers.
    pub(in crate::image) fn unpacked_size(&self, chain: &[Digest]) -> u64 {
        let size = |id| fs::read_to_string(self.layer_size(id)).ok()?.parse::<u64>().ok();
        chain.iter().filter_map(size).sum()
    }

    pub(in crate::image) fn has_layer(&self, chain_id: &Digest) -> bool {
        self.layer(chain_id).is_dir()
    }
}
