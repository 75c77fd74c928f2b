//! What steps gave: a record by the step's key, and the directory of its layer.
//!
//! A record is written without waiting for the disk, and counts under the boot that wrote it alone; when a build ends
//! the file system is synced once and its records are made to last. So a power cut loses cached steps and never leaves
//! half of one.

use super::{key::Name, pack::Packed};
use crate::{
    image::{Digest, ImageError, Store, tree},
    state::{Durability, Layout, RecordError, boot, draft, record},
};
use rustix::fs::{self as rfs, AtFlags, CWD, Timespec, Timestamps};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("build cache: cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("build cache: {0}")]
    Record(#[from] RecordError),
    #[error("{0}")]
    Store(#[from] ImageError),
}

pub type Result<T, E = CacheError> = std::result::Result<T, E>;

fn failed<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CacheError + 'a {
    move |source| CacheError::Io { verb, path: path.to_owned(), source }
}

/// What a step gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// For a person who looks into the cache.
    pub title: String,
    /// What steps that read it are keyed by.
    id: Digest,
    /// The same in the caches of other hosts, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elsewhere: Option<Digest>,
    /// Name of the directory of its files.
    pub layer: String,
    /// RFC 3339.
    pub created: String,
    /// In its files.
    pub bytes: u64,
    /// Its blob, where it was part of an image.
    #[serde(default)]
    pub packed: Option<PackedRecord>,
    /// The boot that it counts under; `None` once it is on disk.
    #[serde(default)]
    boot: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackedRecord {
    pub diff_id: Digest,
    pub blob: Digest,
    pub size: u64,
}

impl From<&Packed> for PackedRecord {
    fn from(packed: &Packed) -> Self {
        Self { diff_id: packed.diff_id, blob: packed.blob, size: packed.size }
    }
}

#[derive(Debug)]
pub struct Cache {
    layout: Layout,
    boot: String,
    /// Written by this build, to be made to last.
    fresh: Mutex<HashSet<Digest>>,
}

impl Cache {
    pub fn open(layout: &Layout) -> Result<Self> {
        for directory in [layout.build_records(), layout.build_layers(), layout.build_mounts()] {
            fs::create_dir_all(&directory).map_err(failed("make", &directory))?;
        }
        let records = layout.build_records();
        draft::sweep(&records).map_err(failed("read", &records))?;
        // Layers may hold setuid programs: nobody but root comes near them (CVE-2021-41091).
        let top = layout.build();
        rfs::chmod(&top, rfs::Mode::from_raw_mode(0o700)).map_err(|error| failed("protect", &top)(error.into()))?;
        let boot = boot::current().map_err(failed("read", Path::new("/proc/sys/kernel/random/boot_id")))?;
        Ok(Self { layout: layout.clone(), boot, fresh: Mutex::default() })
    }

    pub fn layer(&self, record: &Record) -> PathBuf {
        self.layout.build_layer(&record.layer)
    }

    /// A record that cannot be read is none: the step is carried out again, and its record is written anew.
    pub fn find(&self, key: &Digest) -> Option<Record> {
        let path = self.layout.build_record(&key.hex());
        let record: Record = match record::read(&path) {
            Ok(record) => record?,
            Err(error) => {
                tracing::warn!("build cache: {error}");
                return None;
            }
        };
        let counts = record.boot.as_ref().is_none_or(|boot| *boot == self.boot);
        if !counts || !self.layer(&record).is_dir() {
            return None;
        }
        // When it was last of use, for the garbage collection; a note and nothing more.
        let now = Timespec { tv_sec: 0, tv_nsec: rfs::UTIME_NOW };
        let _ = rfs::utimensat(CWD, &path, &Timestamps { last_access: now, last_modification: now }, AtFlags::empty());
        Some(record)
    }

    /// Takes the layer at `dir`, which is on the same file system, and writes the record.
    pub fn keep(&self, key: &Digest, dir: &Path, record: Record) -> Result<Record> {
        let layer = format!("{}-{}", &key.hex()[..16], random());
        let target = self.layout.build_layer(&layer);
        fs::rename(dir, &target).map_err(failed("keep", &target))?;
        let record = Record { layer, ..record };
        self.write(key, &record)?;
        Ok(record)
    }

    /// Writes a record whose layer is here: under a further key, or with its blob.
    pub fn write(&self, key: &Digest, record: &Record) -> Result<()> {
        let record = Record { boot: Some(self.boot.clone()), ..record.clone() };
        record::write(&self.layout.build_record(&key.hex()), &record, Durability::Volatile)?;
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(*key);
        Ok(())
    }

    /// Makes what this build has written last.
    pub fn sync(&self) -> Result<()> {
        let fresh = std::mem::take(&mut *self.fresh.lock().unwrap_or_else(PoisonError::into_inner));
        if fresh.is_empty() {
            return Ok(());
        }
        let top = self.layout.build();
        File::open(&top).and_then(|file| tree::sync_file_system(&file)).map_err(failed("sync", &top))?;
        for key in fresh {
            let path = self.layout.build_record(&key.hex());
            if let Some(record) = record::read::<Record>(&path)? {
                record::write(&path, &Record { boot: None, ..record }, Durability::Volatile)?;
            }
        }
        Ok(())
    }
}

impl Record {
    pub fn new(title: &str, name: Name, created: String, bytes: u64) -> Self {
        let record = Self {
            title: title.to_owned(),
            id: name.here,
            elsewhere: None,
            layer: String::new(),
            created,
            bytes,
            packed: None,
            boot: None,
        };
        record.known_as(name)
    }

    /// What steps that read it are keyed by.
    pub fn name(&self) -> Name {
        Name { here: self.id, elsewhere: self.elsewhere.unwrap_or(self.id) }
    }

    /// The same files as the result of a step that steps above shall be keyed by in another way.
    pub fn known_as(self, name: Name) -> Self {
        Self { id: name.here, elsewhere: Some(name.elsewhere).filter(|elsewhere| *elsewhere != name.here), ..self }
    }
}

/// Sixteen digits.
pub fn random() -> String {
    let mut bytes = [0; 8];
    // A name that is taken already would be an error of the rename, and nothing worse.
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        bytes = (now.as_nanos() as u64).to_le_bytes();
    }
    crate::model::ids::hex(&bytes)
}

/// What is taken out of the cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prune {
    /// Only what nobody has used for that long.
    pub unused_for: Option<Duration>,
    /// Only as much, oldest use first, that not more than this stays.
    pub keep_bytes: Option<u64>,
    /// Cache mounts as well, and what was fetched from elsewhere.
    pub mounts: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub records: usize,
    pub layers: usize,
    pub mounts: usize,
    /// Of the files in the layers.
    pub bytes: u64,
}

/// Takes results of steps out of the cache; layers that images have stay. `None` while a build or a pull is at work.
pub fn prune(store: &Store, layout: &Layout, wanted: Prune) -> Result<Option<Pruned>> {
    let cache = Cache::open(layout)?;
    Ok(store.while_idle(|workshop| {
        let mut pruned = Pruned::default();
        let linked: HashSet<OsString> = workshop.linked_layers()?;
        let mut kept = linked.clone();
        let mut records = cache.records().map_err(store_error)?;
        // The last used first: they are the ones to stay.
        records.sort_by_key(|known| std::cmp::Reverse(known.used));
        let (now, mut total) = (SystemTime::now(), 0);
        // A layer may be the result of several steps, and takes its room once.
        let mut given_up: HashMap<OsString, u64> = HashMap::new();
        for known in &records {
            let Some(record) = &known.record else {
                remove_file(&known.path)?;
                pruned.records += 1;
                continue;
            };
            let layer = OsString::from(&record.layer);
            let more = if kept.contains(&layer) && !linked.contains(&layer) { 0 } else { record.bytes };
            let recent = wanted.unused_for.is_some_and(|age| known.used + age > now);
            let fits = wanted.keep_bytes.is_some_and(|limit| total + more <= limit);
            if recent || fits {
                total += more;
                kept.insert(layer);
            } else {
                remove_file(&known.path)?;
                pruned.records += 1;
                given_up.insert(layer, record.bytes);
            }
        }
        // What an image has as well stays on the disk.
        pruned.bytes = given_up.iter().filter(|(layer, _)| !kept.contains(*layer)).map(|(_, bytes)| bytes).sum();
        pruned.layers = move_others(&layout.build_layers(), &kept, workshop)?;
        if wanted.mounts {
            pruned.mounts = move_others(&layout.build_mounts(), &HashSet::new(), workshop)?;
            move_others(&layout.build_contexts(), &HashSet::new(), workshop)?;
            move_others(&layout.build_remotes(), &HashSet::new(), workshop)?;
        }
        Ok(pruned)
    })?)
}

/// What the cache takes on the disk beside the images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Layers in the cache.
    pub layers: usize,
    /// Of these, those that images have as well: they go with the last image.
    pub shared: usize,
    /// Directories that nothing but the cache needs: layers of no image, and cache mounts.
    pub own: Vec<PathBuf>,
}

/// Looks, and changes nothing.
pub fn cache_use(store: &Store, layout: &Layout) -> Result<CacheUse> {
    let shared = store.workshop()?.linked_layers()?;
    let mut found = CacheUse::default();
    for path in entries_of(&layout.build_layers())? {
        found.layers += 1;
        if path.file_name().is_some_and(|name| shared.contains(name)) {
            found.shared += 1;
        } else {
            found.own.push(path);
        }
    }
    found.own.extend(entries_of(&layout.build_mounts())?);
    found.own.extend(entries_of(&layout.build_remotes())?);
    Ok(found)
}

fn entries_of(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(failed("read", directory)),
    }
}

struct Known {
    path: PathBuf,
    used: SystemTime,
    /// `None` for one that no lookup would take.
    record: Option<Record>,
}

impl Cache {
    fn records(&self) -> Result<Vec<Known>> {
        let directory = self.layout.build_records();
        let entries = fs::read_dir(&directory).map_err(failed("read", &directory))?;
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed("read", &directory))?.path();
            let used = fs::metadata(&path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let record = record::read::<Record>(&path).ok().flatten();
            let record = record.filter(|record| self.layer(record).is_dir());
            records.push(Known { path, used, record });
        }
        Ok(records)
    }
}

fn store_error(error: CacheError) -> ImageError {
    match error {
        CacheError::Io { verb, path, source } => ImageError::Store { verb, path, source },
        CacheError::Record(error) => error.into(),
        CacheError::Store(error) => error,
    }
}

fn remove_file(path: &Path) -> std::result::Result<(), ImageError> {
    Ok(record::remove(path)?)
}

/// They are deleted when the workshop is closed, without the lock.
fn move_others(
    directory: &Path,
    keep: &HashSet<OsString>,
    trash: &crate::image::store::Workshop,
) -> std::result::Result<usize, ImageError> {
    let mut moved = 0;
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(ImageError::store("read", directory))?,
    };
    for entry in entries {
        let entry = entry.map_err(ImageError::store("read", directory))?;
        if !keep.contains(&entry.file_name()) {
            let path = entry.path();
            fs::rename(&path, trash.fresh("pruned")).map_err(ImageError::store("remove", &path))?;
            moved += 1;
        }
    }
    Ok(moved)
}
