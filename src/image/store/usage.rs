//! What the images take on the disk, and who shares it.

use super::{Image, Store, index::Index};
use crate::image::{digest::Digest, error::Result};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
};

/// One image of `system df -v`.
#[derive(Clone, Debug)]
pub struct ImageUse {
    /// Under one of its names.
    pub image: Image,
    /// Bytes that no other image has as well.
    pub unique: u64,
    /// Its unpacked layers and its blobs, each with its bytes; what images share has one name.
    pub parts: Vec<(String, u64)>,
}

/// Everything that the store takes.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    pub images: Vec<ImageUse>,
    /// Bytes of unpacked layers, each counted once.
    pub layers: u64,
    /// Bytes of blobs: packed layers, kept for pushing and saving, and documents.
    pub blobs: u64,
    /// Bytes of pulls that were broken off.
    pub partial: u64,
}

impl Store {
    pub fn usage(&self) -> Result<Usage> {
        let mut seen = HashSet::new();
        let images: Vec<Image> = self.list()?.into_iter().filter(|image| seen.insert(image.id.clone())).collect();
        let sizes: Vec<Vec<(String, u64)>> = images.iter().map(|image| self.disk_parts(image)).collect();
        let mut users: HashMap<&str, u32> = HashMap::new();
        for (name, _) in sizes.iter().flatten() {
            *users.entry(name).or_default() += 1;
        }
        let unique = |parts: &[(String, u64)]| {
            parts.iter().filter(|(name, _)| users.get(name.as_str()) == Some(&1)).map(|(_, size)| size).sum()
        };
        let uniques: Vec<u64> = sizes.iter().map(|parts| unique(parts)).collect();
        let parts = images.into_iter().zip(uniques).zip(sizes);
        Ok(Usage {
            images: parts.map(|((image, unique), parts)| ImageUse { image, unique, parts }).collect(),
            layers: self.noted_bytes(),
            blobs: file_bytes(&self.blobs()),
            partial: file_bytes(&self.partials()),
        })
    }

    /// Bytes of the files of each layer, the lowest first.
    pub fn layer_sizes(&self, image: &Image) -> Vec<u64> {
        let id = |layer: &PathBuf| Digest::from_hex(layer.file_name()?.to_str()?);
        image.layers.iter().rev().filter_map(id).map(|id| self.unpacked_size(&[id])).collect()
    }

    /// The unpacked layers and the blobs of an image, each with its bytes.
    fn disk_parts(&self, image: &Image) -> Vec<(String, u64)> {
        let mut parts: Vec<(String, u64)> = Vec::new();
        for layer in &image.layers {
            let Some(id) = layer.file_name().and_then(|name| Digest::from_hex(name.to_str()?)) else { continue };
            parts.push((format!("layer {id}"), self.unpacked_size(&[id])));
        }
        let blobs = || -> Result<Vec<Digest>> {
            let index = Index::read(&self.index_path())?;
            let Some(entry) = index.find(&image.reference) else { return Ok(Vec::new()) };
            let (_, manifest) = self.manifest(entry)?;
            Ok(manifest.layers.iter().map(|layer| layer.digest).chain([entry.id, entry.manifest]).collect())
        };
        for blob in blobs().unwrap_or_default() {
            parts.push((format!("blob {blob}"), fs::metadata(self.blob(&blob)).map_or(0, |data| data.len())));
        }
        parts.sort();
        parts.dedup();
        parts
    }

    fn noted_bytes(&self) -> u64 {
        let Ok(entries) = fs::read_dir(self.layers()) else { return 0 };
        let notes = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "size"));
        notes.filter_map(|path| fs::read_to_string(path).ok()?.parse::<u64>().ok()).sum()
    }
}

fn file_bytes(directory: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}
