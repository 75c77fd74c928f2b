//! Brings what is in a bundle onto this host.
//!
//! ```text
//! stage     model and files -> a directory of ours; the caller looks whether the model is one
//! install   volumes -> drafts; images -> the store, unlisted; all of it verified and on disk
//!           then images are listed, volumes and directories get their names
//! ```
//!
//! A run that is killed leaves drafts, which the next one takes away; or some of the names, each of a whole thing, and then
//! the next one goes on.

use super::{
    MODEL,
    error::BundleError,
    files_directory,
    index::{Blob, ImageEntry, VolumeEntry},
    read::Bundle,
    short,
};
use crate::{
    image::{
        self, Arrival, Digest, Reference, Report, Store,
        layer::{Limits, decompress, unpack_plain},
        tree,
    },
    model::ContainerId,
    state::{Durability, Layout, Lock, record},
    volume::{Seed, VolumeSpec, Volumes},
};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufReader},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The name of the lock beside the model.
const LOCK_FILE: &str = "compose.lock";
const DRAFT: &str = ".new-";

/// The model and its files, not yet in their place. Dropped, it leaves nothing.
pub struct Staged {
    bundle: Bundle,
    layout: Layout,
    directory: PathBuf,
    /// One command at a time for each project.
    _lock: Lock,
}

/// What became of a bundle.
#[derive(Debug)]
pub struct Installed {
    /// The Compose file.
    pub model: PathBuf,
    /// Volumes that were here, and are as they were.
    pub kept: Vec<String>,
}

impl Bundle {
    /// Unpacks the model and its files.
    pub fn stage(self, layout: &Layout) -> Result<Staged, BundleError> {
        let project = layout.bundles(&self.index().project);
        DirBuilder::new().recursive(true).mode(0o700).create(&project).map_err(BundleError::io("make", &project))?;
        let lock = layout.host_lock(&format!("bundle-{}", self.index().project));
        let lock = Lock::acquire(&lock).map_err(BundleError::io("lock", &lock))?;
        remove_drafts(&project)?;
        let directory = project.join(format!("{DRAFT}{}", short(&self.digest.to_string())));
        make(&directory)?;
        let staged = Staged { bundle: self, layout: layout.clone(), directory, _lock: lock };
        staged.fill()?;
        Ok(staged)
    }

    fn model_directory(&self) -> String {
        format!("model-{}", short(&self.digest.to_string()))
    }

    /// Unpacks an archive blob into an empty directory.
    fn unpack(&self, blob: &Blob, into: &Path, what: &str) -> Result<(), BundleError> {
        let wrong = |source| BundleError::Unpack { what: what.to_owned(), source };
        let mut reader = self.reader(blob)?;
        let limits = Limits::of(into).map_err(wrong)?;
        let unpacked = decompress(BufReader::with_capacity(256 << 10, &mut reader))
            .and_then(|plain| unpack_plain(plain, into, limits));
        // Also after a failure: when the bytes are not those of the digest, that is the true cause.
        if let Err(error) = reader.finish()
            && error.kind() == io::ErrorKind::InvalidData
        {
            return Err(BundleError::malformed(&self.path, format!("its {what}: {error}")));
        }
        unpacked.map(drop).map_err(wrong)
    }
}

impl Staged {
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The Compose file, where nobody but the caller sees it.
    pub fn model(&self) -> PathBuf {
        self.directory.join(self.bundle.model_directory()).join(MODEL)
    }

    fn fill(&self) -> Result<(), BundleError> {
        let index = self.bundle.index();
        let model = self.directory.join(self.bundle.model_directory());
        make(&model)?;
        for (name, blob) in [(MODEL, &index.model), (LOCK_FILE, &index.lock)] {
            record::write_bytes(&model.join(name), &self.bundle.text(blob)?, Durability::Volatile)?;
        }
        if let Some(files) = &index.files {
            let directory = self.directory.join(files_directory(&files.digest));
            make(&directory)?;
            self.bundle.unpack(files, &directory, "files")?;
        }
        Ok(())
    }

    /// Images into the store, volumes where there are none of their names, then model and files into their place. `now`
    /// is RFC 3339.
    pub async fn install(self, now: &str, report: &Report) -> Result<Installed, BundleError> {
        let index = self.bundle.index();
        let (seeds, mut kept) = self.seed(now)?;
        let arrivals = index.images.iter().map(|image| self.arrival(image)).collect::<Result<Vec<_>, _>>()?;
        let store = Store::open(&self.layout)?;
        sync(&self.directory)?;
        image::arrive(&store, &arrivals, &self.bundle.file, &self.bundle.places, report).await?;
        for seed in seeds {
            let name = seed.name().to_owned();
            if !seed.adopt()? {
                kept.push(name);
            }
        }
        Ok(Installed { model: self.settle()?, kept })
    }

    /// Fills drafts of the volumes that are not here, and names the others.
    fn seed(&self, now: &str) -> Result<(Vec<Seed>, Vec<String>), BundleError> {
        let volumes = Volumes::new(&self.layout);
        // What the dead left takes room that is needed now.
        volumes.tidy()?;
        let (mut seeds, mut kept) = (Vec::new(), Vec::new());
        for VolumeEntry { name, labels, digest, size, .. } in &self.bundle.index().volumes {
            let spec = VolumeSpec {
                name: name.clone(),
                project: self.bundle.index().project.clone(),
                anonymous: false,
                labels: labels.clone(),
            };
            let Some(seed) = volumes.seed(&spec, now)? else {
                kept.push(name.clone());
                continue;
            };
            let blob = Blob { digest: digest.clone(), size: *size };
            self.bundle.unpack(&blob, &seed.data(), &format!("volume {name}"))?;
            sync(&seed.data())?;
            seeds.push(seed);
        }
        Ok((seeds, kept))
    }

    fn arrival(&self, image: &ImageEntry) -> Result<Arrival, BundleError> {
        let wrong = |reason: String| BundleError::malformed(&self.bundle.path, reason);
        let manifest: Digest = image.manifest.parse().map_err(|error| wrong(format!("{error}")))?;
        let names = image.names.iter().map(|name| Reference::parse(name).map_err(|error| wrong(error.to_string())));
        Ok(Arrival { image: image.image.clone(), manifest, names: names.collect::<Result<_, _>>()? })
    }

    /// What has the name already is the same: the names are digests.
    fn settle(&self) -> Result<PathBuf, BundleError> {
        let project = self.layout.bundles(&self.bundle.index().project);
        let model = self.bundle.model_directory();
        let files = self.bundle.index().files.as_ref().map(|files| files_directory(&files.digest));
        for name in files.iter().chain([&model]) {
            let target = project.join(name);
            match fs::rename(self.directory.join(name), &target) {
                Err(error) if target.is_dir() && is_taken(&error) => {}
                other => other.map_err(BundleError::io("write", &target))?,
            }
        }
        File::open(&project).and_then(|directory| directory.sync_all()).map_err(BundleError::io("sync", &project))?;
        self.sweep(&project, &[Some(model.clone()), files].into_iter().flatten().collect::<Vec<_>>())?;
        Ok(project.join(model).join(MODEL))
    }

    /// Takes away what earlier bundles of the project brought, but for files that a container still mounts.
    fn sweep(&self, project: &Path, keep: &[String]) -> Result<(), BundleError> {
        let mounted = mounted(&self.layout)?;
        for entry in fs::read_dir(project).map_err(BundleError::io("read", project))? {
            let path = entry.map_err(BundleError::io("read", project))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let ours = name.starts_with("model-") || name.starts_with("files-");
            if ours && !keep.contains(&name) && !mounted.iter().any(|source| source.starts_with(&path)) {
                tree::remove(&path).map_err(BundleError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

impl Drop for Staged {
    /// What fails here is removed by the next one.
    fn drop(&mut self) {
        let _ = tree::remove(&self.directory);
        // The last one of a project that has nothing else.
        if let Some(project) = self.directory.parent() {
            let _ = fs::remove_dir(project);
        }
    }
}

fn make(directory: &Path) -> Result<(), BundleError> {
    DirBuilder::new().mode(0o755).create(directory).map_err(BundleError::io("make", directory))
}

fn sync(directory: &Path) -> Result<(), BundleError> {
    let synced = File::open(directory).and_then(|directory| tree::sync_file_system(&directory));
    synced.map_err(BundleError::io("sync", directory))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

/// Paths of the host that the containers of all projects have, or begin with when they start again.
fn mounted(layout: &Layout) -> Result<Vec<PathBuf>, BundleError> {
    let containers = layout.containers();
    let entries = match fs::read_dir(&containers) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BundleError::io("read", &containers)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let id = entry.map_err(BundleError::io("read", &containers))?.file_name().to_string_lossy().into_owned();
        // The specification names every source, also those of secrets and configs.
        let spec = layout.container_spec(&ContainerId::new(id));
        let spec = match fs::read(&spec) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or(serde_json::Value::Null),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(BundleError::io("read", &spec)(error)),
        };
        strings(&spec, &mut paths);
    }
    Ok(paths)
}

fn strings(value: &serde_json::Value, found: &mut Vec<PathBuf>) {
    match value {
        serde_json::Value::String(text) if text.starts_with('/') => found.push(PathBuf::from(text)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}

/// The caller holds the project's lock: nobody is at work in them.
fn remove_drafts(project: &Path) -> Result<(), BundleError> {
    for entry in fs::read_dir(project).map_err(BundleError::io("read", project))? {
        let path = entry.map_err(BundleError::io("read", project))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DRAFT)) {
            tree::remove(&path).map_err(BundleError::io("remove", &path))?;
        }
    }
    Ok(())
}
