//! Names for images that are here already, and what the documents of an image say.

use super::{Entry, Image, Store, index::Index};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
    reference::{Name, Reference},
    source::manifest::{Manifest, ManifestError},
};
use jiff::Timestamp;
use std::{path::PathBuf, time::Duration};

impl Store {
    /// Gives an image of this host one more name. Whatever had the name before keeps its other ones.
    pub fn tag(&self, source: &Image, target: &Name) -> Result<()> {
        let _guard = self.lock()?;
        let mut index = Index::read(&self.index_path())?;
        let entry = index.find(&source.reference).cloned();
        let entry = entry.ok_or_else(|| ImageError::NoSuchImage(source.reference.familiar()))?;
        let same_repository = |digest: &String| match Reference::parse(digest) {
            Ok(Reference::Registry(name)) => {
                name.registry() == target.registry() && name.repository() == target.repository()
            }
            _ => false,
        };
        let repo_digest = source.repo_digests.iter().find(|digest| same_repository(digest)).cloned();
        let name = Some(Reference::Registry(target.clone()));
        index.put(Entry { name, repo_digest, asked: None, stamp: None, ..entry });
        index.write(&self.index_path())
    }

    /// The names of a repository that are on this host, newest first.
    pub fn names_of(&self, repository: &Name) -> Result<Vec<Reference>> {
        let index = Index::read(&self.index_path())?;
        let of_it = |name: &Reference| {
            matches!(name, Reference::Registry(name)
            if name.registry() == repository.registry() && name.repository() == repository.repository())
        };
        Ok(index.entries.into_iter().rev().filter_map(|entry| entry.name).filter(of_it).collect())
    }

    pub(in crate::image) fn entry(&self, reference: &Reference) -> Result<Entry> {
        let index = Index::read(&self.index_path())?;
        index.find(reference).cloned().ok_or_else(|| ImageError::NoSuchImage(reference.familiar()))
    }

    /// The manifest of an entry, as it came and as it reads.
    pub(in crate::image) fn manifest(&self, entry: &Entry) -> Result<(Vec<u8>, Manifest)> {
        let path = self.blob(&entry.manifest);
        let damaged = |reason: String| ImageError::Damaged { path: path.clone(), reason };
        let bytes = self.read_blob(&entry.manifest)?.ok_or_else(|| damaged("it is not there".into()))?;
        let manifest = Manifest::parse(&bytes).map_err(|error: ManifestError| damaged(error.to_string()))?;
        Ok((bytes, manifest))
    }

    /// The configuration document as it is.
    pub fn configuration(&self, image: &Image) -> Result<Option<Vec<u8>>> {
        match Reference::parse(image.id.as_str()) {
            Ok(Reference::Id(digest)) => self.read_blob(&digest),
            _ => Ok(None),
        }
    }

    pub(in crate::image) fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.blob(digest)
    }

    /// Repositories of this registry that have had each of these blobs, as far as this host has pulled from or pushed
    /// to them; one list a blob.
    pub(in crate::image) fn repositories_with(&self, name: &Name, blobs: &[Digest]) -> Result<Vec<Vec<String>>> {
        let index = Index::read(&self.index_path())?;
        let mut found = vec![Vec::new(); blobs.len()];
        for entry in &index.entries {
            let Some(digest) = &entry.repo_digest else { continue };
            let Ok(Reference::Registry(other)) = Reference::parse(digest) else { continue };
            if other.registry() != name.registry() || other.repository() == name.repository() {
                continue;
            }
            // One that is damaged or gone is no help, and no obstacle.
            let Ok((_, manifest)) = self.manifest(entry) else { continue };
            for (blob, found) in blobs.iter().zip(&mut found) {
                let repository = other.repository().to_owned();
                if manifest.layers.iter().any(|layer| layer.digest == *blob) && !found.contains(&repository) {
                    found.push(repository);
                }
            }
        }
        Ok(found)
    }

    /// Whether the registry of a name was asked for it within that time before now.
    pub fn was_asked_within(&self, reference: &Reference, time: Duration) -> Result<bool> {
        let index = Index::read(&self.index_path())?;
        let asked = index.find(reference).and_then(|entry| entry.asked);
        // A clock that was set back makes it a time ahead: ask again.
        let age = asked.and_then(|asked| Duration::try_from(Timestamp::now().duration_since(asked)).ok());
        Ok(age.is_some_and(|age| age < time))
    }

    /// Remembers that the registry still has under this name what is here.
    pub(in crate::image) fn asked(&self, reference: &Reference) -> Result<()> {
        let _guard = self.lock()?;
        let mut index = Index::read(&self.index_path())?;
        let Some(entry) = index.entries.iter_mut().find(|entry| entry.name.as_ref() == Some(reference)) else {
            return Ok(());
        };
        entry.asked = Some(Timestamp::now());
        index.write(&self.index_path())
    }

    /// Remembers that a registry has the manifest of an image under this name.
    pub(in crate::image) fn pushed(&self, reference: &Reference, name: &Name, manifest: Digest) -> Result<()> {
        let _guard = self.lock()?;
        let mut index = Index::read(&self.index_path())?;
        let digest = name.at(manifest).to_string();
        let entry = index.entries.iter_mut().find(|e| e.name.as_ref() == Some(reference) && e.manifest == manifest);
        match entry {
            // What it was pulled by, the digest of an index perhaps, says more.
            Some(entry) if entry.repo_digest.is_none() => entry.repo_digest = Some(digest),
            _ => return Ok(()),
        }
        index.write(&self.index_path())
    }
}
