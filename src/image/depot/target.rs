//! One place to write to. Blobs come first, and the name last: nobody ever finds something that lacks a part.

use super::{DepotError, Part, Place, Result, blocking, directory::Directory, document};
use crate::image::{
    credentials::Credentials,
    digest::Digest,
    error::ImageError,
    progress::Report,
    reference::Name,
    registry::{Access, Registry, Upload},
    source::manifest::OCI_MANIFEST,
};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct Target {
    to: To,
    /// Blobs that are to be written even where there is something under their name.
    distrusted: HashSet<Digest>,
}

enum To {
    Registry { registry: Arc<Registry>, name: Name },
    Directory { directory: Arc<Directory>, tag: String },
}

impl Target {
    pub async fn open(
        place: &Place,
        credentials: &Credentials,
        distrusted: HashSet<Digest>,
        report: Report,
    ) -> Result<Self> {
        let to = match place {
            Place::Registry(name) => {
                let endpoint = credentials.hosts().map_err(ImageError::from)?.origin(name.registry());
                let endpoint = endpoint.map_err(ImageError::from)?;
                let access = Access::Push { from: Vec::new() };
                let registry = Registry::connect(name, &endpoint, credentials, access, report).await?;
                To::Registry { registry, name: name.clone() }
            }
            Place::Directory { dir, tag, .. } => {
                let dir = dir.clone();
                let directory = blocking(move || Directory::write(&dir)).await?;
                To::Directory { directory: Arc::new(directory), tag: tag.clone() }
            }
        };
        Ok(Self { to, distrusted })
    }

    /// Whether a blob is there already.
    pub async fn holds(&self, digest: &Digest, size: u64) -> Result<bool> {
        if self.distrusted.contains(digest) {
            return Ok(false);
        }
        match &self.to {
            To::Registry { registry, .. } => Ok(registry.has_blob(digest).await?),
            To::Directory { directory, .. } => Ok(directory.holds(digest, size)),
        }
    }

    /// Brings a blob there.
    pub async fn put(&self, digest: Digest, size: u64, file: PathBuf) -> Result<()> {
        match &self.to {
            To::Directory { .. } if self.holds(&digest, size).await? => Ok(()),
            To::Registry { registry, .. } => {
                registry.put_blob(&Upload { digest, size, file, mounts: Vec::new() }).await?;
                Ok(())
            }
            To::Directory { directory, .. } => {
                let directory = directory.clone();
                blocking(move || directory.put(&digest, &file)).await
            }
        }
    }

    /// Names what is there: a configuration of the type `kind`, and layers. `scratch` is a directory for small files.
    /// With `reset` everything goes that nobody names, and without it what names of this kind have left behind.
    pub async fn publish(
        self,
        kind: &str,
        config: Vec<u8>,
        mut layers: Vec<Part>,
        scratch: &Path,
        reset: bool,
    ) -> Result<()> {
        let config = self.document(config, kind, scratch).await?;
        if layers.is_empty() {
            layers.push(self.document(b"{}".to_vec(), document::EMPTY, scratch).await?);
        }
        let manifest = document::write(&config, &layers);
        match self.to {
            To::Registry { registry, name } => {
                Ok(registry.put_manifest(&name.selector(), &manifest, OCI_MANIFEST).await?)
            }
            To::Directory { directory, tag } => {
                let kind = kind.to_owned();
                blocking(move || {
                    directory.name(&tag, &manifest)?;
                    match Arc::into_inner(directory) {
                        Some(directory) => directory.sweep(&kind, reset),
                        None => Ok(()),
                    }
                })
                .await
            }
        }
    }

    async fn document(&self, bytes: Vec<u8>, kind: &str, scratch: &Path) -> Result<Part> {
        let part = Part { digest: Digest::of(&bytes), size: bytes.len() as u64, media_type: kind.to_owned() };
        let file = scratch.join(format!("document-{}", part.digest.hex()));
        fs::write(&file, &bytes).map_err(DepotError::file("write", &file))?;
        self.put(part.digest, part.size, file).await?;
        Ok(part)
    }
}
