//! How work becomes part of the store: everything is on disk before anything has its final name, and has its final
//! name before the index lists it.

use super::{Session, Store, index::Entry, index::Index};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
    layer::{Unpacked, adopt_directories},
    reference::Reference,
    source::stamp,
    tree,
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A verified blob in a session.
pub(in crate::image) struct NewBlob {
    pub digest: Digest,
    pub file: PathBuf,
}

/// A verified, unpacked layer in a session.
pub(in crate::image) struct NewLayer {
    pub chain_id: Digest,
    /// Chain ids of the layers below, uppermost first.
    pub below: Vec<Digest>,
    pub dir: PathBuf,
    pub unpacked: Unpacked,
}

/// What is to be listed.
pub(in crate::image) struct NewImage {
    pub names: Vec<Reference>,
    pub id: Digest,
    pub manifest: Digest,
    pub manifest_type: String,
    pub manifest_size: u64,
    pub size: u64,
    pub repo_digest: Option<String>,
}

impl Store {
    /// Moves blobs and layers (lowest first) from the session into the store. What another process brought in the
    /// meantime is as good as ours.
    pub(in crate::image) fn commit(&self, session: &Session, blobs: &[NewBlob], layers: &[NewLayer]) -> Result<()> {
        for layer in layers {
            self.complete(layer, layers)?;
            let (file, size) = (self.layer_size(&layer.chain_id), layer.unpacked.bytes.to_string());
            fs::write(&file, size).map_err(ImageError::store("write", &file))?;
        }
        if blobs.is_empty() && layers.is_empty() {
            return Ok(());
        }
        // One flush of the file system instead of one fsync a file.
        sync_file_system(session.path()).map_err(ImageError::store("sync", session.path()))?;
        for blob in blobs {
            let target = self.blob(&blob.digest);
            fs::rename(&blob.file, &target).map_err(ImageError::store("write", &target))?;
        }
        for layer in layers {
            let target = self.layer(&layer.chain_id);
            match fs::rename(&layer.dir, &target) {
                Err(error) if is_taken(&error) => {}
                other => other.map_err(ImageError::store("write", &target))?,
            }
        }
        for directory in [self.blobs(), self.layers()] {
            File::open(&directory).and_then(|d| d.sync_all()).map_err(ImageError::store("sync", &directory))?;
        }
        Ok(())
    }

    /// A directory that the layer implied would hide owner and mode of the one below: it takes them over.
    fn complete(&self, layer: &NewLayer, others: &[NewLayer]) -> Result<()> {
        if layer.unpacked.implied.is_empty() {
            return Ok(());
        }
        let below: Vec<PathBuf> = layer
            .below
            .iter()
            .map(|id| {
                let fresh = others.iter().find(|other| other.chain_id == *id);
                fresh.map_or_else(|| self.layer(id), |other| other.dir.clone())
            })
            .collect();
        adopt_directories(&layer.dir, &below, &layer.unpacked.implied)
            .map_err(ImageError::store("complete", &layer.dir))
    }

    pub(in crate::image) fn ensure_empty_layer(&self) -> Result<()> {
        let path = self.empty_layer();
        match tree::make_top(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(ImageError::store("make", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Lists an image whose blobs and layers are in the store.
    pub(in crate::image) fn publish(&self, image: &NewImage) -> Result<()> {
        let _guard = self.lock()?;
        let mut index = Index::read(&self.index_path())?;
        let entry = |name: Option<&Reference>| Entry {
            name: name.cloned(),
            id: image.id,
            manifest: image.manifest,
            manifest_type: image.manifest_type.clone(),
            manifest_size: image.manifest_size,
            size: image.size,
            repo_digest: image.repo_digest.clone(),
            stamp: name.and_then(stamp),
        };
        for name in &image.names {
            index.put(entry(Some(name)));
        }
        if image.names.is_empty() && !index.entries.iter().any(|old| old.id == image.id) {
            index.put(entry(None));
        }
        index.write(&self.index_path())
    }
}

fn is_taken(error: &io::Error) -> bool {
    // What a builder made is a link to a directory.
    let taken = [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::AlreadyExists, io::ErrorKind::NotADirectory];
    taken.contains(&error.kind())
}

fn sync_file_system(path: &Path) -> io::Result<()> {
    tree::sync_file_system(&File::open(path)?)
}
