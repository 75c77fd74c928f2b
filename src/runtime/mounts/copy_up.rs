//! Filling an empty volume from what the image has at its place.
//!
//! A file beside the volume, `<name>.copy-up`, is the lock against a second container that starts at the same time,
//! and with the word `copying` in it the sign of a copy that was not finished: power may fail at any moment, and the
//! next start then empties the volume and copies again. It is gone, durably, before any container sees the volume.

mod tree;

use crate::sys::{
    Errno, Error, Result,
    file::{self, Kind, Within},
};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

const COPYING: &[u8] = b"copying\n";

/// `root` is the container's overlay, `target` the place in it, `volume` a directory of the host.
pub(super) fn fill(root: BorrowedFd<'_>, target: &Path, volume: &Path) -> Result<()> {
    let marker = marker(volume)?;
    let destination = open_directory(file::open_path(volume)?)?;
    if !marker.exists() && !is_empty(&destination)? {
        return Ok(());
    }
    let lock = lock(&marker)?;
    let unfinished = lock.metadata().map_err(|error| Error::from_io("stat", marker.display(), &error))?.len() > 0;
    if unfinished {
        tree::clear(destination.as_fd())?;
    }
    if (unfinished || is_empty(&destination)?)
        && let Some(source) = image_directory(root, target)?
    {
        copy(&source, &destination, &lock, &marker)?;
    }
    remove(&marker)
}

/// Beside the volume, where no container looks.
fn marker(volume: &Path) -> Result<PathBuf> {
    let name = volume.file_name().ok_or_else(|| Error::new("copy", volume.display(), Errno::INVAL))?;
    let mut name = name.to_owned();
    name.push(".copy-up");
    Ok(volume.with_file_name(name))
}

/// Waits for a copy that is under way. Its file may be gone by then, and another one in its place.
fn lock(marker: &Path) -> Result<File> {
    loop {
        let named = |call| move |error| Error::from_io(call, marker.display(), &error);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).custom_flags(file::NOFOLLOW).open(marker);
        let file = file.map_err(named("open"))?;
        file.lock().map_err(named("flock"))?;
        let held = file.metadata().map_err(named("stat"))?;
        match fs::symlink_metadata(marker) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => return Ok(file),
            _ => {}
        }
    }
}

fn open_directory(path: OwnedFd) -> Result<OwnedFd> {
    file::open_directory(path.as_fd(), ".".as_ref())
}

fn is_empty(directory: &OwnedFd) -> Result<bool> {
    Ok(file::list(directory.as_fd())?.is_empty())
}

/// `None` where the image has no directory at this place.
fn image_directory(root: BorrowedFd<'_>, target: &Path) -> Result<Option<OwnedFd>> {
    let found = match file::resolve(root, target, Within::Root) {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        result => result?,
    };
    match file::kind(&file::stat(found.as_fd())?) {
        Kind::Directory => Ok(Some(open_directory(found)?)),
        _ => Ok(None),
    }
}

fn copy(source: &OwnedFd, destination: &OwnedFd, mut lock: &File, marker: &Path) -> Result<()> {
    let empty = is_empty(source)?;
    if !empty {
        let named = |error| Error::from_io("write", marker.display(), &error);
        lock.write_all(COPYING).map_err(named)?;
        lock.sync_all().map_err(named)?;
        sync_parent(marker)?;
        tree::copy(source.as_fd(), destination.as_fd())?;
    }
    tree::copy_attributes(source.as_fd(), destination.as_fd())?;
    // Nothing that could be half there needs no wait for the disk.
    if empty { Ok(()) } else { file::sync_file_system(destination.as_fd()) }
}

/// The volume counts as filled from the moment this is on the disk.
fn remove(marker: &Path) -> Result<()> {
    let copied = fs::metadata(marker).is_ok_and(|found| found.len() > 0);
    fs::remove_file(marker).map_err(|error| Error::from_io("unlink", marker.display(), &error))?;
    if copied { sync_parent(marker) } else { Ok(()) }
}

fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let named = |error| Error::from_io("fsync", parent.display(), &error);
    File::open(parent).map_err(named)?.sync_all().map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Place {
        directory: tempfile::TempDir,
        root: OwnedFd,
    }

    impl Place {
        /// An image with files at /data, and an empty volume.
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let image = directory.path().join("image/data");
            fs::create_dir_all(image.join("sub")).unwrap();
            fs::create_dir_all(directory.path().join("vol")).unwrap();
            fs::write(image.join("a"), "one").unwrap();
            fs::hard_link(image.join("a"), image.join("sub/b")).unwrap();
            symlink("../a", image.join("sub/link")).unwrap();
            fs::set_permissions(image.join("sub"), fs::Permissions::from_mode(0o1750)).unwrap();
            fs::set_permissions(&image, fs::Permissions::from_mode(0o700)).unwrap();
            let root = file::open_path(&directory.path().join("image")).unwrap();
            Self { directory, root }
        }
        fn volume(&self) -> PathBuf {
            self.directory.path().join("vol")
        }
        fn fill(&self) {
            fill(self.root.as_fd(), Path::new("/data"), &self.volume()).unwrap();
        }
        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> =
                fs::read_dir(self.volume()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn an_empty_volume_gets_the_image_s_tree_with_modes_and_links() {
        let place = Place::new();
        place.fill();
        let volume = place.volume();
        assert_eq!(fs::metadata(&volume).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(fs::metadata(volume.join("sub")).unwrap().mode() & 0o7777, 0o1750);
        assert_eq!(fs::read_link(volume.join("sub/link")).unwrap(), Path::new("../a"));
        assert_eq!(fs::metadata(volume.join("a")).unwrap().ino(), fs::metadata(volume.join("sub/b")).unwrap().ino());
        assert!(!place.directory.path().join("vol.copy-up").exists());
    }

    #[test]
    fn a_volume_with_files_is_left_alone() {
        let place = Place::new();
        fs::write(place.volume().join("mine"), "").unwrap();
        place.fill();
        assert_eq!(place.names(), ["mine"]);
    }

    #[test]
    fn an_unfinished_copy_is_done_again() {
        let place = Place::new();
        fs::create_dir_all(place.volume().join("half/deep")).unwrap();
        fs::write(place.volume().join("half/deep/file"), "x").unwrap();
        fs::write(place.directory.path().join("vol.copy-up"), COPYING).unwrap();
        place.fill();
        assert_eq!(place.names(), ["a", "sub"]);
        assert!(!place.directory.path().join("vol.copy-up").exists());
    }

    #[test]
    fn a_lock_that_was_left_without_a_copy_does_no_harm() {
        let place = Place::new();
        fs::write(place.volume().join("mine"), "").unwrap();
        fs::write(place.directory.path().join("vol.copy-up"), "").unwrap();
        place.fill();
        assert_eq!(place.names(), ["mine"]);
    }

    #[test]
    fn two_containers_that_start_at_once_copy_once() {
        let place = Place::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| place.fill());
            }
        });
        assert_eq!(place.names(), ["a", "sub"]);
        assert_eq!(fs::read_to_string(place.volume().join("a")).unwrap(), "one");
        assert!(!place.directory.path().join("vol.copy-up").exists());
    }

    #[test]
    fn an_image_without_the_directory_fills_nothing() {
        let place = Place::new();
        fill(place.root.as_fd(), Path::new("/nothing/here"), &place.volume()).unwrap();
        assert!(place.names().is_empty());
    }
}
