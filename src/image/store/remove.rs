//! Taking images away: names first, then what no name leads to.

use super::{
    Image, Session, Store,
    index::{Entry, Index},
    partial::KEPT,
};
use crate::{
    image::{
        config::Document,
        digest::{Digest, chain_ids},
        error::{ImageError, Result},
        reference::Reference,
        source::manifest,
    },
    model::ids::ImageId,
};
use std::{collections::HashSet, fs, io, path::Path, time::Duration};

/// Who uses an image, in words for a person (`container web-1`); `None` when nobody does.
pub type InUse<'a> = &'a dyn Fn(&ImageId) -> Option<String>;

/// What `remove` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that are gone, as people write them.
    pub untagged: Vec<String>,
    /// The image, when that was its last name.
    pub deleted: Option<ImageId>,
}

/// What `prune` took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub images: Vec<Removed>,
    /// On the disk.
    pub bytes: u64,
}

/// What `gc` took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub images: usize,
    pub blobs: usize,
    pub layers: usize,
    /// Of blobs and layers.
    pub bytes: u64,
}

impl Store {
    /// As `docker rmi`: a name is taken off the image, and with its last name the image goes, unless it is in use. An
    /// id stands for all names, if they are of one repository, or with `force`.
    ///
    /// `in_use` is asked under the store's lock, so that it sees who came before.
    pub fn remove(&self, reference: &Reference, force: bool, in_use: InUse<'_>) -> Result<Removed> {
        self.tidy();
        let guard = self.lock()?;
        let mut index = Index::read(&self.index_path())?;
        let entry = index.find(reference).cloned().ok_or_else(|| ImageError::NoSuchImage(reference.familiar()))?;
        let id = ImageId::new(entry.id.to_string());
        let doomed = match reference {
            Reference::Id(_) => all_names(&index, &entry, force)?,
            _ => entry.name.clone().into_iter().collect(),
        };
        let last =
            !index.entries.iter().any(|e| e.id == entry.id && e.name.as_ref().is_some_and(|n| !doomed.contains(n)));
        if last && let Some(user) = in_use(&id) {
            return Err(ImageError::InUse { image: reference.familiar(), user });
        }
        let busy = self.busy()?;
        index.take_away(&entry.id, &doomed, busy);
        index.write(&self.index_path())?;
        let trash = self.sweep(&index, KEPT, &mut Swept::default())?;
        drop(guard);
        drop(trash);
        let untagged = doomed.iter().map(Reference::familiar).collect();
        Ok(Removed { untagged, deleted: (last && !busy).then_some(id) })
    }

    /// Ends what a removal had begun that was killed when the image had left the list.
    pub fn finish_removals(&self) -> Result<()> {
        self.tidy();
        let guard = self.lock()?;
        let index = Index::read(&self.index_path())?;
        let trash = self.sweep(&index, KEPT, &mut Swept::default())?;
        drop(guard);
        drop(trash);
        Ok(())
    }

    /// As `docker image prune`: images that nobody uses and that are `doomed`, with all their names. That one is told
    /// of the image, as far as it is whole, and whether it has a name. Broken-off downloads go as well, however new.
    pub fn prune(&self, doomed: &dyn Fn(Option<&Image>, bool) -> bool, in_use: InUse<'_>) -> Result<Pruned> {
        self.tidy();
        let guard = self.lock()?;
        let mut index = Index::read(&self.index_path())?;
        let busy = self.busy()?;
        let mut pruned = Pruned::default();
        let mut ids: Vec<Digest> = index.entries.iter().map(|entry| entry.id).collect();
        ids.sort();
        ids.dedup();
        for id in ids {
            let names: Vec<Reference> =
                index.entries.iter().filter(|e| e.id == id).filter_map(|e| e.name.clone()).collect();
            let Some(entry) = index.entries.iter().find(|e| e.id == id).cloned() else { continue };
            let image_id = ImageId::new(id.to_string());
            if in_use(&image_id).is_some() {
                continue;
            }
            let image = match self.image(&index, &entry, Reference::Id(id)) {
                Err(ImageError::Damaged { .. }) => None,
                other => other?,
            };
            if !doomed(image.as_ref(), !names.is_empty()) || (busy && names.is_empty()) {
                continue;
            }
            index.take_away(&id, &names, busy);
            let untagged = names.iter().map(Reference::familiar).collect();
            pruned.images.push(Removed { untagged, deleted: (!busy).then_some(image_id) });
        }
        if !pruned.images.is_empty() {
            index.write(&self.index_path())?;
        }
        let mut swept = Swept::default();
        let trash = self.sweep(&index, Duration::ZERO, &mut swept)?;
        drop(guard);
        drop(trash);
        pruned.bytes = swept.bytes;
        Ok(pruned)
    }

    /// Drops images without a name that nobody uses, and every blob and layer that no image needs.
    pub fn gc(&self, in_use: InUse<'_>) -> Result<Swept> {
        self.tidy();
        let guard = self.lock()?;
        let mut swept = Swept::default();
        let mut index = Index::read(&self.index_path())?;
        let before = index.entries.len();
        if !self.busy()? {
            index.entries.retain(|e| e.name.is_some() || in_use(&ImageId::new(e.id.to_string())).is_some());
        }
        swept.images = before - index.entries.len();
        if swept.images > 0 {
            index.write(&self.index_path())?;
        }
        let trash = self.sweep(&index, KEPT, &mut swept)?;
        drop(guard);
        drop(trash);
        Ok(swept)
    }

    /// Downloads that were broken off go when they are `partial` old.
    ///
    /// Moves what the index does not need into a session, whose end deletes it after the lock is given back. Does
    /// nothing while a pull is at work: it may count on what it found. The caller holds the store's lock.
    fn sweep(&self, index: &Index, partial: Duration, swept: &mut Swept) -> Result<Option<Session>> {
        if self.busy()? {
            return Ok(None);
        }
        let Some((blobs, layers)) = self.needed(index)? else { return Ok(None) };
        let trash = self.new_session()?;
        swept.bytes += self.unneeded_layer_bytes(&layers);
        swept.blobs = move_others(&self.blobs(), &blobs, &trash, "blob", &mut swept.bytes)?;
        swept.layers = move_others(&self.layers(), &layers, &trash, "layer", &mut 0)?;
        self.sweep_partial(partial, &trash, &mut swept.bytes)?;
        Ok(Some(trash))
    }

    /// By the notes beside the layers.
    fn unneeded_layer_bytes(&self, keep: &HashSet<String>) -> u64 {
        let Ok(entries) = fs::read_dir(self.layers()) else { return 0 };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let doomed = names.filter(|name| name.ends_with(".size") && !keep.contains(name));
        doomed.filter_map(|name| fs::read_to_string(self.layers().join(name)).ok()?.parse::<u64>().ok()).sum()
    }

    /// File names to keep. `None` when a document cannot be read: then nobody knows what it needs.
    fn needed(&self, index: &Index) -> Result<Option<(HashSet<String>, HashSet<String>)>> {
        let (mut blobs, mut layers) = (HashSet::new(), HashSet::from(["empty".to_owned()]));
        for entry in &index.entries {
            blobs.extend([entry.id.hex(), entry.manifest.hex()]);
            // One that is missing needs nothing any more; a damaged one might.
            match self.read_blob(&entry.manifest) {
                Ok(Some(bytes)) => match manifest::Manifest::parse(&bytes) {
                    Ok(manifest) => blobs.extend(manifest.layers.iter().map(|layer| layer.digest.hex())),
                    Err(_) => return Ok(None),
                },
                Ok(None) => {}
                Err(ImageError::Damaged { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
            match self.read_blob(&entry.id) {
                Ok(Some(bytes)) => match Document::parse(&bytes).map(|document| document.diff_ids()) {
                    Ok(Ok(diff_ids)) => {
                        layers.extend(
                            chain_ids(&diff_ids).iter().flat_map(|id| [id.hex(), format!("{}.size", id.hex())]),
                        );
                    }
                    _ => return Ok(None),
                },
                Ok(None) => {}
                Err(ImageError::Damaged { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some((blobs, layers)))
    }
}

fn all_names(index: &Index, entry: &Entry, force: bool) -> Result<Vec<Reference>> {
    let names: Vec<Reference> =
        index.entries.iter().filter(|e| e.id == entry.id).filter_map(|e| e.name.clone()).collect();
    let repository = |name: &Reference| match name {
        Reference::Registry(name) => name.familiar_repository(),
        other => other.to_string(),
    };
    if !force && names.windows(2).any(|pair| repository(&pair[0]) != repository(&pair[1])) {
        let names = names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", ");
        return Err(ImageError::SeveralNames { image: entry.id.short(), names });
    }
    Ok(names)
}

fn move_others(
    directory: &Path,
    keep: &HashSet<String>,
    trash: &Session,
    kind: &str,
    bytes: &mut u64,
) -> Result<usize> {
    let mut moved = 0;
    let entries = fs::read_dir(directory).map_err(ImageError::store("read", directory))?;
    for entry in entries {
        let entry = entry.map_err(ImageError::store("read", directory))?;
        if entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
            continue;
        }
        let path = entry.path();
        *bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        match fs::rename(&path, trash.fresh(kind)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::store("remove", &path)(error));
            }
            _ => moved += 1,
        }
    }
    Ok(moved)
}
