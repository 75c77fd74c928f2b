//! A volume that is filled before it exists: whole under its name, or not there. Filling takes as long as the files do,
//! so nothing is locked meanwhile but the draft itself.

use super::{
    VolumeRecord, VolumeSpec, Volumes, delete,
    engine::{check_name, sync, unique},
    error::VolumeError,
};
use crate::state::{Durability, Layout, Lock, record};
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
};

const PREFIX: &str = ".seed-";
/// In the draft; held by the process that fills it.
const LOCK: &str = "lock";

/// Dropped without `adopt`, it leaves nothing.
#[derive(Debug)]
pub struct Seed {
    volumes: Volumes,
    spec: VolumeSpec,
    now: String,
    draft: String,
    _lock: Lock,
}

impl Volumes {
    /// `None` where the volume exists: what is in it is somebody's data. `now` is RFC 3339.
    pub fn seed(&self, spec: &VolumeSpec, now: &str) -> Result<Option<Seed>, VolumeError> {
        check_name(&spec.name)?;
        let _guard = self.lock()?;
        if self.find(&spec.name)?.is_some() {
            return Ok(None);
        }
        let root = self.layout.volumes();
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(VolumeError::file("make", &root))?;
        let draft = format!("{PREFIX}{}", unique()?);
        let (path, data) = (self.layout.volume(&draft), self.layout.volume_data(&draft));
        DirBuilder::new().mode(0o700).create(&path).map_err(VolumeError::file("make", &path))?;
        let lock = Lock::acquire(&path.join(LOCK)).map_err(VolumeError::file("lock", &path))?;
        DirBuilder::new().mode(0o755).create(&data).map_err(VolumeError::file("make", &data))?;
        Ok(Some(Seed { volumes: self.clone(), spec: spec.clone(), now: now.to_owned(), draft, _lock: lock }))
    }
}

impl Seed {
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The directory to fill.
    pub fn data(&self) -> PathBuf {
        self.volumes.layout.volume_data(&self.draft)
    }

    /// Gives the volume its name; what is in it is on disk by now. `false` where another one was faster.
    pub fn adopt(self) -> Result<bool, VolumeError> {
        let layout = &self.volumes.layout;
        let volume = VolumeRecord {
            name: self.spec.name.clone(),
            project: self.spec.project.clone(),
            anonymous: self.spec.anonymous,
            labels: self.spec.labels.clone(),
            created_at: self.now.clone(),
        };
        record::write(&layout.volume_record(&self.draft), &volume, Durability::Durable)?;
        let _guard = self.volumes.lock()?;
        if self.volumes.find(&volume.name)?.is_some() {
            return Ok(false);
        }
        let (draft, path) = (layout.volume(&self.draft), layout.volume(&volume.name));
        let lock = draft.join(LOCK);
        fs::remove_file(&lock).map_err(VolumeError::file("remove", &lock))?;
        fs::rename(&draft, &path).map_err(VolumeError::file("make", &path))?;
        sync(&layout.volumes())?;
        Ok(true)
    }
}

impl Drop for Seed {
    /// What fails here is tidied later.
    fn drop(&mut self) {
        let _ = delete::tree(&self.volumes.layout.volume(&self.draft));
    }
}

/// Whether a name is that of a draft whose process is gone. The caller holds the lock of the volumes.
pub fn is_abandoned(layout: &Layout, name: &str) -> Result<bool, VolumeError> {
    if !name.starts_with(PREFIX) {
        return Ok(false);
    }
    let lock = layout.volume(name).join(LOCK);
    let free = Lock::try_acquire(&lock).map_err(VolumeError::file("lock", &lock))?;
    Ok(free.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn spec() -> VolumeSpec {
        VolumeSpec { name: "shop_data".into(), project: "shop".into(), anonymous: false, labels: IndexMap::new() }
    }

    #[test]
    fn a_seed_is_a_volume_when_it_is_adopted_and_nothing_before() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(&Layout::new(dir.path().join("data"), dir.path().join("run")));
        let seed = volumes.seed(&spec(), NOW).unwrap().unwrap();
        fs::write(seed.data().join("file"), "x").unwrap();
        assert_eq!(volumes.list().unwrap(), []);
        // Somebody lives: it is not tidied away.
        volumes.tidy().unwrap();
        assert!(seed.data().exists());
        assert!(seed.adopt().unwrap());
        assert_eq!(fs::read_to_string(volumes.data("shop_data").join("file")).unwrap(), "x");
        assert_eq!(fs::read_dir(volumes.layout.volume("shop_data")).unwrap().count(), 2);
        assert!(volumes.seed(&spec(), NOW).unwrap().is_none());
    }

    #[test]
    fn a_seed_that_is_dropped_or_left_by_the_dead_goes() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(&Layout::new(dir.path().join("data"), dir.path().join("run")));
        drop(volumes.seed(&spec(), NOW).unwrap());
        assert_eq!(fs::read_dir(volumes.layout.volumes()).unwrap().count(), 0);
        fs::create_dir_all(volumes.layout.volume(".seed-dead").join("data/x")).unwrap();
        volumes.tidy().unwrap();
        assert_eq!(fs::read_dir(volumes.layout.volumes()).unwrap().count(), 0);
    }
}
