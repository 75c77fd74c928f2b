//! What a builder does in the store: works in a session, reads the layers of images, lists what it made.
//!
//! A layer that was built stays where the builder keeps it; `layers/<chain id>` is a link to it then, so that the next
//! build and the containers of this one share its files.

use super::{NewBlob, NewImage, Session, Store};
use crate::image::{
    config::Document,
    digest::{Digest, chain_ids},
    error::{ImageError, Result},
    reference::Reference,
    source::manifest::{self, Blob, Manifest},
    store::Image,
};
use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
};

/// A place to work in, and the promise that nothing is swept from the store meanwhile. What it holds goes with it.
#[derive(Debug)]
pub struct Workshop {
    store: Store,
    session: Session,
}

/// One layer of an image, or to be one.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageLayer {
    pub diff_id: Digest,
    pub blob: Digest,
    pub blob_size: u64,
    pub media_type: String,
    /// Its files.
    pub dir: PathBuf,
}

/// A layer that the builder made.
#[derive(Clone, Debug)]
pub struct BuiltLayer {
    pub layer: ImageLayer,
    /// The blob in the workshop; `None` where the store has it.
    pub fresh_blob: Option<PathBuf>,
    /// Bytes in its files; `None` for a layer of a base, which the store knows.
    pub bytes: Option<u64>,
}

/// An image that a builder made. Its configuration names the layers.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    pub config: Vec<u8>,
    /// Lowest first.
    pub layers: Vec<BuiltLayer>,
    pub names: Vec<Reference>,
}

impl Store {
    pub fn workshop(&self) -> Result<Workshop> {
        Ok(Workshop { store: self.clone(), session: self.begin()? })
    }

    /// Does something that nobody may be at work during; `None` while somebody is. What is moved into the workshop is
    /// deleted afterwards, without the lock.
    pub fn while_idle<T>(&self, work: impl FnOnce(&Workshop) -> Result<T>) -> Result<Option<T>> {
        self.tidy();
        let guard = self.lock()?;
        if self.busy()? {
            return Ok(None);
        }
        let workshop = Workshop { store: self.clone(), session: self.new_session()? };
        let done = work(&workshop)?;
        drop(guard);
        Ok(Some(done))
    }

    /// Whether the blob of a layer is here.
    pub fn holds_blob(&self, digest: &Digest) -> bool {
        self.has_blob(digest)
    }

    /// The file of a blob that is here.
    pub fn blob_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.has_blob(digest).then(|| self.blob(digest))
    }

    /// The layers of an image, lowest first, and its configuration document. A directory that is taken as an image has
    /// neither.
    pub fn parts(&self, image: &Image) -> Result<Option<(Vec<ImageLayer>, Vec<u8>)>> {
        let Ok(id) = image.id.as_str().parse::<Digest>() else { return Ok(None) };
        let unknown = || ImageError::NoSuchImage(image.reference.familiar());
        let index = super::Index::read(&self.index_path())?;
        let entry = index.entries.iter().find(|entry| entry.id == id).ok_or_else(unknown)?;
        let config = self.read_blob(&id)?.ok_or_else(unknown)?;
        let manifest = self.read_blob(&entry.manifest)?.ok_or_else(unknown)?;
        let damaged = |path: PathBuf, reason: String| ImageError::Damaged { path, reason };
        let layers =
            Manifest::parse(&manifest).map_err(|error| damaged(self.blob(&entry.manifest), error.to_string()))?.layers;
        let diff_ids = Document::parse(&config)
            .map_err(|error| damaged(self.blob(&id), error.to_string()))?
            .diff_ids()
            .map_err(|error| damaged(self.blob(&id), error.to_string()))?;
        let chain = chain_ids(&diff_ids);
        let layers = diff_ids.iter().zip(&chain).zip(layers).map(|((diff_id, chain_id), blob)| ImageLayer {
            diff_id: *diff_id,
            blob: blob.digest,
            blob_size: blob.size,
            media_type: blob.media_type,
            dir: self.layer(chain_id),
        });
        Ok(Some((layers.collect(), config)))
    }
}

impl Workshop {
    pub fn path(&self) -> &Path {
        self.session.path()
    }

    /// A path in it that nothing has yet.
    pub fn fresh(&self, kind: &str) -> PathBuf {
        self.session.fresh(kind)
    }

    /// Names of the directories that layers of images are links to.
    pub fn linked_layers(&self) -> Result<HashSet<OsString>> {
        let layers = self.store.layers();
        let wrong = || ImageError::store("read", &layers);
        let mut names = HashSet::new();
        for entry in fs::read_dir(&layers).map_err(wrong())? {
            let entry = entry.map_err(wrong())?;
            if entry.file_type().map_err(wrong())?.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(wrong())?;
                names.extend(target.file_name().map(ToOwned::to_owned));
            }
        }
        Ok(names)
    }

    /// Brings the image into the store and lists it. What lies outside, the directories of its layers, is on disk
    /// before.
    pub fn publish(&self, image: &BuiltImage) -> Result<Image> {
        let store = &self.store;
        let mut blobs: Vec<NewBlob> = Vec::new();
        for layer in &image.layers {
            if let Some(file) = &layer.fresh_blob
                && !blobs.iter().any(|blob| blob.digest == layer.layer.blob)
            {
                blobs.push(NewBlob { digest: layer.layer.blob, file: file.clone() });
            }
        }
        let mut add = |bytes: &[u8]| -> Result<Blob> {
            let (digest, file) = (Digest::of(bytes), self.fresh("document"));
            fs::write(&file, bytes).map_err(ImageError::store("write", &file))?;
            blobs.push(NewBlob { digest, file });
            Ok(Blob { digest, size: bytes.len() as u64, media_type: manifest::OCI_CONFIG.to_owned() })
        };
        let config = add(&image.config)?;
        let layers: Vec<Blob> = image.layers.iter().map(|layer| blob_of(&layer.layer)).collect();
        let manifest = add(&manifest::build(&config, &layers))?;
        store.ensure_empty_layer()?;
        store.commit(&self.session, &blobs, &[])?;
        let diff_ids: Vec<Digest> = image.layers.iter().map(|layer| layer.layer.diff_id).collect();
        let chain = chain_ids(&diff_ids);
        for (layer, chain_id) in image.layers.iter().zip(&chain) {
            if let Some(bytes) = layer.bytes {
                self.link(&layer.layer.dir, chain_id, bytes)?;
            }
        }
        let new = NewImage {
            names: image.names.clone(),
            id: config.digest,
            manifest: manifest.digest,
            manifest_type: manifest::OCI_MANIFEST.to_owned(),
            manifest_size: manifest.size,
            size: store.unpacked_size(&chain),
            repo_digest: None,
        };
        store.publish(&new)?;
        let gone = || ImageError::NoSuchImage(config.digest.to_string());
        let reference = image.names.first().cloned().unwrap_or(Reference::Id(config.digest));
        store.find(&reference)?.ok_or_else(gone)
    }

    /// `layers/<chain id>` for a directory outside of them.
    fn link(&self, dir: &Path, chain_id: &Digest, bytes: u64) -> Result<()> {
        let store = &self.store;
        let target = store.layer(chain_id);
        if store.has_layer(chain_id) {
            return Ok(());
        }
        let size = store.layer_size(chain_id);
        fs::write(&size, bytes.to_string()).map_err(ImageError::store("write", &size))?;
        let fresh = self.fresh("link");
        symlink(relative(&store.layers(), dir), &fresh).map_err(ImageError::store("make", &fresh))?;
        // In place of a link to a layer that the builder has given up.
        match fs::rename(&fresh, &target) {
            Err(error) if target.is_dir() && error.kind() != io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(ImageError::store("write", &target)),
        }?;
        let layers = store.layers();
        fs::File::open(&layers).and_then(|dir| dir.sync_all()).map_err(ImageError::store("sync", &layers))
    }
}

/// From one absolute directory to another: the store may be moved or mounted elsewhere, as a whole.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = (common..from.len()).map(|_| Component::ParentDir);
    up.chain(to[common..].iter().copied()).collect()
}

/// In an OCI manifest the layers of a Docker base go by OCI's types; the bytes are the same.
fn blob_of(layer: &ImageLayer) -> Blob {
    let media_type = match layer.media_type.strip_prefix("application/vnd.docker.image.rootfs.diff.tar") {
        Some("") => "application/vnd.oci.image.layer.v1.tar".to_owned(),
        Some(".gzip") => "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        Some(".zstd") => "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
        _ => layer.media_type.clone(),
    };
    Blob { digest: layer.blob, size: layer.blob_size, media_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_the_way_from_its_own_directory() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/images/layers", "/a/build/layers/x"), Path::new("../../build/layers/x"));
        assert_eq!(way("/a", "/b/c"), Path::new("../b/c"));
    }
}
