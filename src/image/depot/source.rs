//! One place to read from.

use super::{
    Document, Part, Place, Result, blocking,
    directory::{self, Directory},
    document::{self, Parsing},
};
use crate::image::{
    credentials::Credentials,
    depot::DepotError,
    digest::Digest,
    layer::{self, Expected, LayerError},
    progress::Report,
    registry::{self, Remote},
    source::manifest::{Blob, MAX_CONFIG, MAX_MANIFEST, ManifestError},
    tree,
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An index of an index of an index is nothing that anybody writes.
const MAX_DEPTH: u32 = 3;

/// A place that answers. Cheap to copy.
#[derive(Clone)]
pub struct Source {
    place: Place,
    from: From,
}

#[derive(Clone)]
enum From {
    Registry(Arc<Remote>),
    Directory(Arc<Directory>),
}

/// A layer as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub digest: Digest,
    pub size: u64,
    pub diff_id: Digest,
}

/// A layer that was read, verified and unpacked.
#[derive(Debug)]
pub struct Taken {
    /// In its files.
    pub bytes: u64,
    implied: Vec<PathBuf>,
}

impl Source {
    pub async fn open(place: &Place, credentials: &Credentials, report: Report) -> Result<Self> {
        let from = match place {
            Place::Registry(name) => From::Registry(Remote::open(name, credentials, report)?),
            Place::Directory { dir, .. } => {
                let dir = dir.clone();
                From::Directory(Arc::new(blocking(move || Directory::read(&dir)).await?))
            }
        };
        Ok(Self { place: place.clone(), from })
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is read from now on may be swept.
    pub fn release(&self) {
        if let From::Directory(directory) = &self.from {
            directory.release();
        }
    }

    /// What the place has, with a configuration of the type `wanted` or an image's. Fetches no layer.
    pub async fn document(&self, wanted: &str) -> Result<Document> {
        let mut bytes = self.top().await?;
        for _ in 0..MAX_DEPTH {
            let (manifest, is_own) = match document::parse(&bytes, wanted)? {
                Parsing::Own(manifest) => (manifest, true),
                Parsing::Image(manifest) => (manifest, false),
                Parsing::Foreign(kind) => return Ok(Document::Foreign(kind)),
                Parsing::Next(blob) => {
                    bytes = self.manifest(&blob).await?;
                    continue;
                }
            };
            let config = self.small(&manifest.config, MAX_CONFIG).await?;
            let layers = manifest.layers;
            return Ok(if is_own { Document::Own { config, layers } } else { Document::Image { config, layers } });
        }
        Err(ManifestError::Ambiguous.into())
    }

    async fn top(&self) -> Result<Vec<u8>> {
        match (&self.from, &self.place) {
            (From::Registry(remote), Place::Registry(name)) => {
                Ok(remote.manifest(&name.selector(), name.digest()).await?)
            }
            (From::Directory(directory), Place::Directory { tag, digest, .. }) => {
                let (directory, tag, digest) = (directory.clone(), tag.clone(), *digest);
                blocking(move || {
                    let digest = digest.map_or_else(|| directory.named(&tag), Ok)?;
                    directory.small(&digest, MAX_MANIFEST)
                })
                .await
            }
            _ => Err(ManifestError::Ambiguous.into()),
        }
    }

    async fn manifest(&self, blob: &Blob) -> Result<Vec<u8>> {
        match &self.from {
            From::Registry(remote) => Ok(remote.manifest(&blob.digest.to_string(), Some(blob.digest)).await?),
            From::Directory(_) => self.small(blob, MAX_MANIFEST).await,
        }
    }

    async fn small(&self, blob: &Blob, limit: u64) -> Result<Vec<u8>> {
        match &self.from {
            From::Registry(remote) => Ok(remote.small_blob(blob).await?),
            From::Directory(directory) => {
                let (directory, digest) = (directory.clone(), blob.digest);
                blocking(move || directory.small(&digest, limit)).await
            }
        }
    }

    /// Reads a layer: its files into `dir`, which does not exist, and its blob into the file `blob`. Nothing is believed
    /// unless both digests match; after an error both are to be thrown away. `arrived` is told each number of bytes, and
    /// lives as long as anything is written.
    pub async fn take(
        &self,
        wanted: &Wanted,
        dir: &Path,
        blob: &Path,
        arrived: impl FnMut(u64) + Send + 'static,
    ) -> Result<Taken> {
        let (wanted, dir, blob) = (wanted.clone(), dir.to_owned(), blob.to_owned());
        match &self.from {
            From::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || take(directory.blob(&wanted.digest)?, &wanted, &dir, &blob, arrived)).await
            }
            From::Registry(remote) => {
                let (reader, work) = registry::fetch(remote.clone(), wanted.digest, 0);
                let reading = blocking(move || take(reader, &wanted, &dir, &blob, arrived));
                let (fetched, read) = futures_util::join!(work, reading);
                // When the download failed, that is why the reading did.
                fetched?;
                read
            }
        }
    }
}

fn take(source: impl Read, wanted: &Wanted, dir: &Path, blob: &Path, mut arrived: impl FnMut(u64)) -> Result<Taken> {
    tree::make_top(dir).map_err(DepotError::file("make", dir))?;
    let copy = File::options().read(true).write(true).create_new(true).open(blob);
    let copy = copy.map_err(DepotError::file("write", blob))?;
    let expected = Expected { digest: Some(wanted.digest), size: Some(wanted.size), diff_id: wanted.diff_id };
    let wrong = |source: LayerError| DepotError::Layer { layer: wanted.digest.short(), source };
    let taken = layer::intake(source, expected, Some((copy, 0)), Some(dir), &mut arrived).map_err(wrong)?;
    Ok(Taken { bytes: taken.unpacked.bytes, implied: taken.unpacked.implied })
}

impl Taken {
    /// What the archive implied gets owner, mode and time of what is below; `below` are directories, uppermost first.
    pub fn complete(&self, dir: &Path, below: &[PathBuf]) -> Result<()> {
        layer::adopt_directories(dir, below, &self.implied).map_err(DepotError::file("complete", dir))
    }
}

impl Part {
    /// Whether it can be a layer at all, and is not the stand-in for none.
    pub fn is_layer(&self) -> bool {
        self.media_type != document::EMPTY
    }
}

/// Of a blob of a layout.
pub(super) fn path_of(digest: &Digest) -> PathBuf {
    Path::new(directory::BLOBS).join(digest.hex())
}
