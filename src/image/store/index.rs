//! `index.json`: which images are here, and under which names. An OCI image index; what muster has to know besides
//! stands in annotations.

use crate::{
    image::{
        digest::Digest,
        error::{ImageError, Result},
        reference::Reference,
    },
    state::{Durability, RecordError, record},
};
use jiff::Timestamp;
use oci_spec::image::{Descriptor, ImageIndex, MediaType};
use std::{collections::HashMap, fs, path::Path};

const NAME: &str = "org.opencontainers.image.ref.name";
const ID: &str = "muster.image.id";
const SIZE: &str = "muster.image.size";
const REPO_DIGEST: &str = "muster.image.repo-digest";
const ASKED: &str = "muster.image.asked";
const STAMP: &str = "muster.image.source-stamp";

#[derive(Debug, Default)]
pub(super) struct Index {
    pub entries: Vec<Entry>,
}

/// One name of one image. An image whose name went to another one keeps an entry without a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub name: Option<Reference>,
    pub id: Digest,
    pub manifest: Digest,
    pub manifest_type: String,
    pub manifest_size: u64,
    /// Bytes of the unpacked files.
    pub size: u64,
    /// `docker.io/library/postgres@sha256:…`, as the registry was asked.
    pub repo_digest: Option<String>,
    /// When its registry was last asked what the name stands for.
    pub asked: Option<Timestamp>,
    /// State of the file or directory that it was imported from.
    pub stamp: Option<String>,
}

impl Index {
    /// Empty where there is no file yet.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if super::missing(&error) => return Ok(Self::default()),
            Err(error) => return Err(ImageError::store("read", path)(error)),
        };
        let index: ImageIndex =
            serde_json::from_slice(&text).map_err(|source| RecordError::Damaged { path: path.to_owned(), source })?;
        // An entry without our annotations is another tool's: it stays out of our lists, and the next write drops it.
        Ok(Self { entries: index.manifests().iter().filter_map(Entry::read).collect() })
    }

    /// Replaces the file. The caller holds the store's lock.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut index = ImageIndex::default();
        index.set_schema_version(2);
        index.set_media_type(Some(MediaType::ImageIndex));
        index.set_manifests(self.entries.iter().filter_map(Entry::descriptor).collect());
        let text = serde_json::to_vec_pretty(&index)
            .map_err(|source| RecordError::Damaged { path: path.to_owned(), source })?;
        Ok(record::write_bytes(path, &text, Durability::Durable)?)
    }

    pub fn find(&self, reference: &Reference) -> Option<&Entry> {
        match reference {
            Reference::Id(id) => {
                let of_id = || self.entries.iter().filter(|entry| entry.id == *id);
                of_id().find(|entry| entry.name.is_some()).or_else(|| of_id().next())
            }
            Reference::Registry(name) => match name.digest() {
                None => self.entries.iter().find(|entry| entry.name.as_ref() == Some(reference)),
                Some(digest) => self.entries.iter().find(|entry| {
                    let by_registry = entry.repo_digest.as_deref() == Some(&name.at(digest).to_string());
                    let same_repository = matches!(&entry.name, Some(Reference::Registry(other))
                        if other.registry() == name.registry() && other.repository() == name.repository());
                    by_registry || (same_repository && entry.manifest == digest)
                }),
            },
            transport => self.entries.iter().find(|entry| entry.name.as_ref() == Some(transport)),
        }
    }

    /// Gives `entry.name` to `entry`. Whoever had it stays, without a name, when it has no other.
    pub fn put(&mut self, entry: Entry) {
        if let Some(name) = &entry.name {
            self.release(name, Some(entry.id));
        }
        self.entries.retain(|old| !(old.name.is_none() && old.id == entry.id));
        self.entries.push(entry);
    }

    /// Takes names off an image, and with the last one the image out of the list. With `keep` it stays without a name:
    /// somebody may be about to use it, and the next prune will know.
    pub fn take_away(&mut self, id: &Digest, names: &[Reference], keep: bool) {
        let Some(entry) = self.entries.iter().find(|entry| entry.id == *id).cloned() else { return };
        self.entries.retain(|e| e.id != *id || e.name.as_ref().is_some_and(|name| !names.contains(name)));
        if keep && !self.entries.iter().any(|e| e.id == *id) {
            self.entries.push(Entry { name: None, stamp: None, ..entry });
        }
    }

    fn release(&mut self, name: &Reference, successor: Option<Digest>) {
        let Some(position) = self.entries.iter().position(|entry| entry.name.as_ref() == Some(name)) else { return };
        let mut old = self.entries.remove(position);
        if successor == Some(old.id) || self.entries.iter().any(|entry| entry.id == old.id) {
            return;
        }
        old.name = None;
        old.stamp = None;
        self.entries.push(old);
    }
}

impl Entry {
    fn read(descriptor: &Descriptor) -> Option<Self> {
        let note = |key| descriptor.annotations().as_ref()?.get(key).cloned();
        Some(Self {
            name: note(NAME).map(|name| Reference::parse(&name)).transpose().ok()?,
            id: note(ID)?.parse().ok()?,
            manifest: descriptor.digest().as_ref().parse().ok()?,
            manifest_type: descriptor.media_type().to_string(),
            manifest_size: descriptor.size(),
            size: note(SIZE)?.parse().ok()?,
            repo_digest: note(REPO_DIGEST),
            asked: note(ASKED).and_then(|time| time.parse().ok()),
            stamp: note(STAMP),
        })
    }

    fn descriptor(&self) -> Option<Descriptor> {
        let notes = [
            (NAME, self.name.as_ref().map(Reference::to_string)),
            (ID, Some(self.id.to_string())),
            (SIZE, Some(self.size.to_string())),
            (REPO_DIGEST, self.repo_digest.clone()),
            (ASKED, self.asked.map(|time| time.to_string())),
            (STAMP, self.stamp.clone()),
        ];
        let digest: oci_spec::image::Digest = self.manifest.to_string().parse().ok()?;
        let mut descriptor = Descriptor::new(MediaType::from(self.manifest_type.as_str()), self.manifest_size, digest);
        let notes: HashMap<String, String> =
            notes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        descriptor.set_annotations(Some(notes));
        Some(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, id: &str) -> Entry {
        Entry {
            name: Some(Reference::parse(name).unwrap()),
            id: Digest::of(id.as_bytes()),
            manifest: Digest::of(format!("manifest of {id}").as_bytes()),
            manifest_type: MediaType::ImageManifest.to_string(),
            manifest_size: 7,
            size: 1 << 40,
            repo_digest: Some(format!("docker.io/library/x@{}", Digest::of(b"index"))),
            asked: Some("2026-11-22T10:00:00Z".parse().unwrap()),
            stamp: Some("1-2-3".into()),
        }
    }

    #[test]
    fn an_index_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        assert!(Index::read(&path).unwrap().entries.is_empty());
        let mut index = Index::default();
        index.put(entry("x:1", "a"));
        index.put(entry("oci:/d:1", "b"));
        index.write(&path).unwrap();
        assert_eq!(Index::read(&path).unwrap().entries, index.entries);
    }

    #[test]
    fn a_name_belongs_to_one_image_and_the_old_one_stays_without_it() {
        let mut index = Index::default();
        index.put(entry("x:1", "a"));
        index.put(entry("x:1", "a"));
        assert_eq!(index.entries.len(), 1);
        index.put(entry("x:1", "b"));
        assert_eq!(index.entries.len(), 2);
        let old = index.find(&Reference::Id(Digest::of(b"a"))).unwrap();
        assert_eq!((&old.name, &old.stamp), (&None, &None));
        assert_eq!(index.find(&Reference::parse("x:1").unwrap()).unwrap().id, Digest::of(b"b"));
        // Named again, the nameless entry goes.
        index.put(entry("x:2", "a"));
        assert_eq!(index.entries.len(), 2);
    }

    #[test]
    fn a_digest_finds_what_was_pulled_by_it_in_its_own_repository_alone() {
        let mut index = Index::default();
        index.put(entry("x:1", "a"));
        let find = |text: String| index.find(&Reference::parse(&text).unwrap()).is_some();
        assert!(find(format!("x@{}", Digest::of(b"index"))));
        assert!(find(format!("x@{}", Digest::of(b"manifest of a"))));
        assert!(find(format!("x:9@{}", Digest::of(b"index"))));
        assert!(!find(format!("y@{}", Digest::of(b"index"))));
        assert!(!find(format!("y@{}", Digest::of(b"manifest of a"))));
    }

    #[test]
    fn a_damaged_index_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        fs::write(&path, "{").unwrap();
        assert!(Index::read(&path).unwrap_err().to_string().contains("index.json is damaged"));
    }
}
