//! The image store: an OCI image layout plus the unpacked layers.
//!
//! ```text
//! <images>/oci-layout, index.json, blobs/sha256/<hex>   the layout; index.json is the only list of what is here
//! <images>/layers/<chain id>/                           the files of one layer, in overlayfs' own form
//! <images>/variants/<hash>.json                         names for other platforms than this host's
//! <images>/partial/<hex>                                a blob as far as it came, locked by who fetches it
//! <images>/tmp/<session>/                               work in progress, locked by the process that does it
//! ```
//!
//! A blob or layer has its final name only when it is whole, verified and on disk. `index.json` is replaced under the
//! host lock `images`, which is never held over a download. What is below `tmp` and locked by nobody is rubbish.

mod blob;
mod commit;
mod index;
mod partial;
mod remove;
mod session;
mod tag;
mod usage;
mod variant;
mod workshop;

pub use remove::{InUse, Pruned, Removed, Swept};
pub use session::Hold;
pub use usage::{ImageUse, Usage};
pub(in crate::image) use variant::Note;
pub use workshop::{BuiltImage, BuiltLayer, ImageLayer, Workshop};

pub(super) use index::Entry;
pub(super) use partial::Partial;

pub(super) use commit::{NewBlob, NewImage, NewLayer};
pub(super) use session::Session;

use super::{
    config::{Document, ImageConfig},
    digest::{Digest, chain_ids},
    error::{ImageError, Result},
    platform,
    reference::Reference,
    source::stamp,
    tree,
};
use crate::{
    model::ids::ImageId,
    state::{Layout, Lock},
};
use index::Index;
use serde::Serialize;
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use tracing::warn;

/// An image on this host, complete and unpacked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Image {
    /// `sha256:<config digest>`, or `rootfs:<directory>`.
    pub id: ImageId,
    /// The name under which it was looked up; `Reference::Id` where it has none.
    #[serde(serialize_with = "as_text")]
    pub reference: Reference,
    pub config: ImageConfig,
    /// Directories for overlayfs' lowerdir, uppermost first; at least one.
    pub layers: Vec<PathBuf>,
    /// Bytes of the unpacked files.
    pub size: u64,
    /// RFC 3339.
    pub created: Option<String>,
    /// `linux/arm/v7`
    pub platform: String,
    /// `docker.io/library/postgres@sha256:…`
    pub repo_digests: Vec<String>,
}

fn as_text<S: serde::Serializer>(reference: &Reference, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(reference)
}

/// The images of this host. Cheap to open; every process opens its own.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    layout: Layout,
}

impl Store {
    /// Makes the directories where they lack.
    pub fn open(layout: &Layout) -> Result<Self> {
        let store = Self { root: layout.images(), layout: layout.clone() };
        if !store.root.join("oci-layout").exists() {
            store.create()?;
        }
        Ok(store)
    }

    /// Readable by root alone: a layer may hold setuid programs (CVE-2021-41091).
    fn create(&self) -> Result<()> {
        for directory in [self.root.clone(), self.blobs(), self.layers(), self.sessions()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(ImageError::store("make", &directory))?;
        }
        tree::spread(&self.sessions());
        let marker = self.root.join("oci-layout");
        crate::state::record::write_bytes(
            &marker,
            b"{\"imageLayoutVersion\":\"1.0.0\"}\n",
            crate::state::Durability::Durable,
        )?;
        Ok(())
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }
    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }
    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }
    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }
    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }
    fn layer(&self, chain_id: &Digest) -> PathBuf {
        self.layers().join(chain_id.hex())
    }
    /// Bytes in the files of a layer, for `images`. A note: without it a size is wrong and nothing else.
    fn layer_size(&self, chain_id: &Digest) -> PathBuf {
        self.layers().join(format!("{}.size", chain_id.hex()))
    }
    /// The one layer of an image that has none: overlayfs wants a lowerdir.
    fn empty_layer(&self) -> PathBuf {
        self.layers().join("empty")
    }
    fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }
    fn sessions(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// For changes of the index and of what it lists. Held for milliseconds.
    fn lock(&self) -> Result<Lock> {
        let path = self.layout.host_lock("images");
        Lock::acquire(&path).map_err(ImageError::store("lock", &path))
    }

    /// The image on this host, `None` where it is not here, not whole, or older than the file it came from. Asks no
    /// network.
    pub fn find(&self, reference: &Reference) -> Result<Option<Image>> {
        if let Reference::Rootfs(dir) = reference {
            return Ok(dir.is_dir().then(|| rootfs(dir)));
        }
        let index = Index::read(&self.index_path())?;
        let Some(entry) = index.find(reference) else { return Ok(None) };
        if entry.stamp.is_some() && entry.stamp != stamp(reference) {
            return Ok(None);
        }
        self.image(&index, entry, reference.clone())
    }

    /// What a person types for an image: a name, a whole id, or the beginning of one.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        let unknown = || ImageError::NoSuchImage(text.to_owned());
        let reference = Reference::parse(text);
        if let Ok(reference) = &reference
            && let Some(image) = self.find(reference)?
        {
            return Ok(image);
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            reference?;
            return Err(unknown());
        }
        let index = Index::read(&self.index_path())?;
        let mut ids: Vec<Digest> =
            index.entries.iter().map(|entry| entry.id).filter(|id| id.hex().starts_with(digits)).collect();
        ids.sort();
        ids.dedup();
        match ids[..] {
            [] => Err(unknown()),
            [id] => self.find(&Reference::Id(id))?.ok_or_else(unknown),
            _ => Err(ImageError::Ambiguous {
                prefix: text.to_owned(),
                matches: ids.iter().map(Digest::short).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Every name with its image, and the images that have none. One that is not whole is left out, one that is
    /// damaged is logged: the others can still be told.
    pub fn list(&self) -> Result<Vec<Image>> {
        let index = Index::read(&self.index_path())?;
        let mut images = Vec::with_capacity(index.entries.len());
        for entry in &index.entries {
            let reference = entry.name.clone().unwrap_or(Reference::Id(entry.id));
            match self.image(&index, entry, reference) {
                Ok(image) => images.extend(image),
                Err(ImageError::Damaged { path, reason }) => warn!("{} is damaged: {reason}", path.display()),
                Err(error) => return Err(error),
            }
        }
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.reference.cmp(&b.reference)));
        Ok(images)
    }

    fn image(&self, index: &Index, entry: &Entry, reference: Reference) -> Result<Option<Image>> {
        let Some(bytes) = self.read_blob(&entry.id)? else { return Ok(None) };
        let damaged = |reason: String| ImageError::Damaged { path: self.blob(&entry.id), reason };
        let document = Document::parse(&bytes).map_err(|error| damaged(error.to_string()))?;
        let diff_ids = document.diff_ids().map_err(|error| damaged(error.to_string()))?;
        let mut layers: Vec<PathBuf> = chain_ids(&diff_ids).iter().rev().map(|id| self.layer(id)).collect();
        if layers.is_empty() {
            layers.push(self.empty_layer());
        }
        if !layers.iter().all(|layer| layer.is_dir()) {
            return Ok(None);
        }
        let mut repo_digests: Vec<String> =
            index.entries.iter().filter(|e| e.id == entry.id).filter_map(|e| e.repo_digest.clone()).collect();
        repo_digests.dedup();
        Ok(Some(Image {
            id: ImageId::new(entry.id.to_string()),
            reference,
            layers,
            size: entry.size,
            created: document.created.clone(),
            platform: document.platform(),
            repo_digests,
            config: document.into_config(),
        }))
    }
}

fn rootfs(dir: &Path) -> Image {
    Image {
        id: ImageId::new(format!("rootfs:{}", dir.display())),
        reference: Reference::Rootfs(dir.to_owned()),
        config: ImageConfig::default(),
        layers: vec![dir.to_owned()],
        size: 0,
        created: None,
        platform: platform::host_name(),
        repo_digests: Vec::new(),
    }
}

fn missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
