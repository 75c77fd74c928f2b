//! Where images come from. Every source ends in the same `Package`: a configuration, a manifest, and layers that can be
//! read as streams.

pub mod archive;
mod docker;
mod local;
pub mod manifest;
mod oci;

pub(super) use archive::Archive;
pub(super) use local::{open, open_all};

use super::{
    config::Document,
    digest::Digest,
    error::{ImageError, Result},
    reference::Reference,
};
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::Arc,
};

/// Images of more layers than that cannot be mounted: overlayfs stacks at most 500 (fs/overlayfs/ovl_entry.h).
const MAX_LAYERS: usize = 500;

/// One image, about to be taken in.
pub(super) struct Package {
    /// For messages.
    pub image: String,
    pub config: Vec<u8>,
    pub diff_ids: Vec<Digest>,
    pub layers: Vec<Part>,
    /// As it came, with its media type. A docker-archive has none; the store makes one.
    pub manifest: Option<(Vec<u8>, String)>,
    /// Names that the image is to have here.
    pub names: Vec<Reference>,
    pub repo_digest: Option<String>,
}

/// One layer of a package.
#[derive(Clone)]
pub(super) struct Part {
    /// `None` where only the content will tell.
    pub digest: Option<Digest>,
    pub size: Option<u64>,
    pub media_type: String,
    pub from: From,
}

#[derive(Clone)]
pub(super) enum From {
    /// A blob of the registry that the package was resolved at.
    Registry,
    File(Window),
}

/// A range of a file, read by position, so that several threads can read one file.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub file: Arc<fs::File>,
    pub position: u64,
    pub end: u64,
}

impl Window {
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.len()).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..length], self.position)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Package {
    /// Checks what all sources have in common: a Linux image whose layers and diff ids correspond.
    pub fn new(image: String, config: Vec<u8>, layers: Vec<Part>) -> Result<Self> {
        let not = |reason: String| ImageError::NotAnImage { image: image.clone(), reason };
        let document = Document::parse(&config).map_err(|error| not(format!("its configuration: {error}")))?;
        if document.os != "linux" {
            return Err(not(format!("it is made for {}", document.platform())));
        }
        let diff_ids = document.diff_ids().map_err(|source| ImageError::Digest {
            image: image.clone(),
            what: "a diff id",
            source,
        })?;
        if diff_ids.len() != layers.len() {
            let (layers, ids) = (layers.len(), diff_ids.len());
            return Err(not(format!("its manifest has {layers} layers, its configuration {ids}")));
        }
        if layers.len() > MAX_LAYERS {
            return Err(not(format!(
                "it has {} layers, and {MAX_LAYERS} is the most that can be mounted",
                layers.len()
            )));
        }
        Ok(Self { image, config, diff_ids, layers, manifest: None, names: Vec::new(), repo_digest: None })
    }
}

/// The state of the file behind a transport; `None` for a name of a registry, or where there is no such file. Another
/// state means another image, perhaps.
pub(super) fn stamp(reference: &Reference) -> Option<String> {
    let of = |path: &Path| {
        let data = fs::metadata(path).ok()?;
        let (dev, ino, size) = (data.dev(), data.ino(), data.size());
        Some(format!(
            "{dev}-{ino}-{size}-{}.{}-{}.{}",
            data.mtime(),
            data.mtime_nsec(),
            data.ctime(),
            data.ctime_nsec()
        ))
    };
    match reference {
        Reference::OciLayout { dir, .. } => of(&dir.join("index.json")),
        Reference::OciArchive { file, .. } | Reference::DockerArchive { file, .. } => of(file),
        Reference::Registry(_) | Reference::Id(_) | Reference::Rootfs(_) => None,
    }
}
