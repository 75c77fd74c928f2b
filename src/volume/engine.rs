//! Making, finding and removing volumes. Every call is short but `remove`, which takes as long as the files do.

use super::{delete, error::VolumeError, seed};
use crate::state::{Durability, Layout, Lock, record, records::ContainerRecord};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A volume that is to exist.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeSpec {
    /// `<project>_<key>`, what `name:` says, or 64 hexadecimal digits for an anonymous one.
    pub name: String,
    pub project: String,
    pub anonymous: bool,
    pub labels: IndexMap<String, String>,
}

/// `volume.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeRecord {
    pub name: String,
    /// The project that made it. Another one uses it as it is; that is worth a warning unless it is external there.
    pub project: String,
    pub anonymous: bool,
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// RFC 3339, UTC.
    pub created_at: String,
}

#[derive(Clone, Debug)]
pub struct Volumes {
    pub(super) layout: Layout,
}

impl Volumes {
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone() }
    }

    /// The volume exists when this returns, and what was in it is untouched. `now` is RFC 3339.
    pub fn ensure(&self, spec: &VolumeSpec, now: &str) -> Result<VolumeRecord, VolumeError> {
        check_name(&spec.name)?;
        let _lock = self.lock()?;
        if let Some(volume) = self.find(&spec.name)? {
            return Ok(volume);
        }
        let volume = VolumeRecord {
            name: spec.name.clone(),
            project: spec.project.clone(),
            anonymous: spec.anonymous,
            labels: spec.labels.clone(),
            created_at: now.to_owned(),
        };
        self.make(&volume)?;
        Ok(volume)
    }

    /// `None` where there is none. An external volume has to be there: `VolumeError::Unknown` is for the caller.
    pub fn find(&self, name: &str) -> Result<Option<VolumeRecord>, VolumeError> {
        check_name(name)?;
        match record::read(&self.layout.volume_record(name))? {
            Some(volume) => Ok(Some(volume)),
            None if self.layout.volume(name).exists() => {
                Err(VolumeError::NoRecord { name: name.to_owned(), record: self.layout.volume_record(name) })
            }
            None => Ok(None),
        }
    }

    /// What the containers see.
    pub fn data(&self, name: &str) -> PathBuf {
        self.layout.volume_data(name)
    }

    /// By name.
    pub fn list(&self) -> Result<Vec<VolumeRecord>, VolumeError> {
        let mut volumes = Vec::new();
        for name in self.names()? {
            if check_name(&name).is_ok() {
                volumes.extend(self.find(&name)?);
            }
        }
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Removes a volume and everything in it. Refused while a container's record names it; one that does not exist is
    /// no error.
    pub fn remove(&self, name: &str) -> Result<(), VolumeError> {
        check_name(name)?;
        let trash = {
            let _lock = self.lock()?;
            let path = self.layout.volume(name);
            if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                return Ok(());
            }
            self.refuse_while_used(name)?;
            let trash = self.layout.volume(&format!(".trash-{}", unique()?));
            fs::rename(&path, &trash).map_err(VolumeError::file("remove", &path))?;
            sync(&self.layout.volumes())?;
            trash
        };
        delete::tree(&trash)
    }

    /// Takes away what a killed command left half made or half removed.
    pub fn tidy(&self) -> Result<(), VolumeError> {
        let _lock = self.lock()?;
        for name in self.names()? {
            let left = name.starts_with(".new-") || name.starts_with(".trash-");
            if left || seed::is_abandoned(&self.layout, &name)? {
                delete::tree(&self.layout.volume(&name))?;
            }
        }
        Ok(())
    }

    /// Names of the containers whose records name the volume.
    pub fn users(&self, name: &str) -> Result<Vec<String>, VolumeError> {
        let mut users = Vec::new();
        for id in names_in(&self.layout.containers())? {
            let path = self.layout.container_record(&crate::model::ContainerId::new(id));
            if let Some(container) = record::read::<ContainerRecord>(&path)?
                && container.volumes.iter().any(|volume| volume.name == name)
            {
                users.push(container.name);
            }
        }
        users.sort();
        Ok(users)
    }

    fn refuse_while_used(&self, name: &str) -> Result<(), VolumeError> {
        let containers = self.users(name)?;
        if containers.is_empty() { Ok(()) } else { Err(VolumeError::InUse { name: name.to_owned(), containers }) }
    }

    /// Under a temporary name first, then renamed: whole or not there.
    fn make(&self, volume: &VolumeRecord) -> Result<(), VolumeError> {
        let root = self.layout.volumes();
        // Others than root have no business here (CVE-2021-41091); containers come in by their mounts.
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(VolumeError::file("make", &root))?;
        let draft_name = format!(".new-{}", unique()?);
        let draft = self.layout.volume(&draft_name);
        let data = self.layout.volume_data(&draft_name);
        DirBuilder::new().mode(0o700).create(&draft).map_err(VolumeError::file("make", &draft))?;
        // The mode that Docker gives; a copy-up from the image changes it.
        DirBuilder::new().mode(0o755).create(&data).map_err(VolumeError::file("make", &data))?;
        record::write(&self.layout.volume_record(&draft_name), volume, Durability::Durable)?;
        let path = self.layout.volume(&volume.name);
        fs::rename(&draft, &path).map_err(VolumeError::file("make", &path))?;
        sync(&root)
    }

    fn names(&self) -> Result<Vec<String>, VolumeError> {
        names_in(&self.layout.volumes())
    }

    pub(super) fn lock(&self) -> Result<Lock, VolumeError> {
        let path = self.layout.host_lock("volumes");
        Lock::acquire(&path).map_err(VolumeError::file("lock", path))
    }
}

/// A name becomes a directory: it must not leave the root, nor look like a draft.
pub(super) fn check_name(name: &str) -> Result<(), VolumeError> {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if starts && goes_on && name.len() <= 200 { Ok(()) } else { Err(VolumeError::BadName(name.to_owned())) }
}

fn names_in(directory: &Path) -> Result<Vec<String>, VolumeError> {
    let failed = || VolumeError::file("read", directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed()(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed())?.file_name().into_string().ok());
    }
    Ok(names)
}

pub(super) fn unique() -> Result<String, VolumeError> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| VolumeError::file("draw a name from", "/dev/urandom")(errno.into()))?;
    Ok(crate::model::ids::hex(&bytes))
}

pub(super) fn sync(directory: &Path) -> Result<(), VolumeError> {
    File::open(directory).and_then(|open| open.sync_all()).map_err(VolumeError::file("sync", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn volumes() -> (tempfile::TempDir, Volumes) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        (dir, Volumes::new(&layout))
    }
    fn spec(name: &str) -> VolumeSpec {
        VolumeSpec { name: name.into(), project: "shop".into(), anonymous: false, labels: IndexMap::new() }
    }

    #[test]
    fn a_volume_keeps_its_data_and_its_first_owner() {
        let (_dir, volumes) = volumes();
        assert_eq!(volumes.find("shop_data").unwrap(), None);
        volumes.ensure(&spec("shop_data"), NOW).unwrap();
        fs::write(volumes.data("shop_data").join("file"), "kept").unwrap();
        let again = VolumeSpec { project: "other".into(), ..spec("shop_data") };
        let record = volumes.ensure(&again, "2027-01-01T00:00:00Z").unwrap();
        assert_eq!((record.project.as_str(), record.created_at.as_str()), ("shop", NOW));
        assert_eq!(fs::read_to_string(volumes.data("shop_data").join("file")).unwrap(), "kept");
        assert_eq!(volumes.list().unwrap(), [record]);
    }

    #[test]
    fn removal_takes_everything_and_follows_no_link() {
        let (dir, volumes) = volumes();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "").unwrap();
        volumes.ensure(&spec("shop_data"), NOW).unwrap();
        let data = volumes.data("shop_data");
        std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
        fs::create_dir_all(data.join("a/b/c")).unwrap();
        fs::write(data.join("a/b/c/file"), "").unwrap();
        volumes.remove("shop_data").unwrap();
        volumes.remove("shop_data").unwrap();
        assert!(outside.join("precious").exists());
        assert_eq!(names_in(&volumes.layout.volumes()).unwrap(), [""; 0]);
    }

    #[test]
    fn a_tree_deeper_than_descriptors_or_paths_allow_is_removed() {
        let (_dir, volumes) = volumes();
        volumes.ensure(&spec("deep"), NOW).unwrap();
        let mut directory = File::open(volumes.data("deep")).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&directory, "d", 0o700.into()).unwrap();
            let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
            directory = rustix::fs::openat(&directory, "d", flags, rustix::fs::Mode::empty()).unwrap().into();
        }
        drop(directory);
        volumes.remove("deep").unwrap();
        assert_eq!(names_in(&volumes.layout.volumes()).unwrap(), [""; 0]);
    }

    #[test]
    fn what_a_killed_command_left_is_tidied_and_never_shown() {
        let (_dir, volumes) = volumes();
        volumes.ensure(&spec("kept"), NOW).unwrap();
        for name in [".trash-1", ".new-2"] {
            fs::create_dir_all(volumes.layout.volume(name).join("data/x")).unwrap();
        }
        assert_eq!(volumes.list().unwrap().len(), 1);
        volumes.tidy().unwrap();
        assert_eq!(names_in(&volumes.layout.volumes()).unwrap(), ["kept"]);
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let (_dir, volumes) = volumes();
        for name in ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a\0b", &"x".repeat(201)] {
            assert!(matches!(volumes.ensure(&spec(name), NOW), Err(VolumeError::BadName(_))), "{name:?}");
            assert!(matches!(volumes.remove(name), Err(VolumeError::BadName(_))), "{name:?}");
        }
    }

    #[test]
    fn a_directory_without_a_record_is_not_taken_for_a_volume() {
        let (_dir, volumes) = volumes();
        fs::create_dir_all(volumes.layout.volume("odd").join("data")).unwrap();
        assert!(matches!(volumes.ensure(&spec("odd"), NOW), Err(VolumeError::NoRecord { .. })));
    }
}
