//! A file on its way to its name: written beside it, and renamed when it is whole.
//!
//! The name that it has meanwhile is made of its own, and its writer holds a lock on it. So what a writer left that was
//! killed lies where the next one looks, who writes over it, and nothing piles up.

use super::lock::is_at;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

const PREFIX: &str = ".muster-new-";
/// Of a file's name, in bytes (NAME_MAX).
const LONGEST: usize = 255;

/// Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
    file: File,
    placed: bool,
}

impl Draft {
    /// An empty file. `mode` is that of a new one, from which the umask takes. Waits for whoever writes the same.
    pub fn beside(target: &Path, mode: u32) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let path = target.with_file_name(fresh_name(name));
        loop {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)?;
            // In a directory of everybody, somebody else's file may wait here to be written to.
            let found = file.metadata()?;
            if !found.is_file() || found.nlink() > 1 || found.uid() != rustix::process::geteuid().as_raw() {
                let what = format!("{} is in the way", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            file.lock()?;
            if is_at(&file, &path)? {
                // What a dead writer left may be read by more than what is written now.
                if found.mode() & 0o777 & !mode != 0 {
                    fs::remove_file(&path)?;
                    continue;
                }
                let draft = Self { target: target.to_owned(), path, file, placed: false };
                draft.file.set_len(0)?;
                return Ok(draft);
            }
        }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name. What had that is replaced.
    pub fn place(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            // What fails here is written over by the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the drafts in a directory whose writers are gone: for one with files that are seldom written twice.
pub fn sweep(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() && is_at(&file, &path)? {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Long names that begin alike share one, and their writers wait for each other.
fn fresh_name(name: &OsStr) -> OsString {
    let name = name.as_bytes();
    let mut fresh = OsString::from(PREFIX);
    fresh.push(OsStr::from_bytes(&name[..name.len().min(LONGEST - PREFIX.len())]));
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::unix::fs::symlink};

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_what_the_dead_left_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        fs::write(dir.path().join(".muster-new-x"), "left by a dead writer").unwrap();
        let draft = Draft::beside(&target, 0o600).unwrap();
        draft.file().write_all(b"whole").unwrap();
        assert!(!target.exists());
        draft.place().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        drop(Draft::beside(&target, 0o600).unwrap());
        assert_eq!((names(dir.path()), fs::read(&target).unwrap()), (vec!["x".into()], b"whole".to_vec()));
    }

    #[test]
    fn what_the_dead_left_gives_nobody_more_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (target, left) = (dir.path().join("x"), dir.path().join(".muster-new-x"));
        fs::write(&left, "left").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        let open = File::open(&left).unwrap();
        let draft = Draft::beside(&target, 0o600).unwrap();
        draft.file().write_all(b"secret").unwrap();
        draft.place().unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
        assert_eq!(io::read_to_string(open).unwrap(), "left");
    }

    #[test]
    fn writers_of_one_file_come_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let write = |text: &[u8]| {
            let draft = Draft::beside(&target, 0o600).unwrap();
            for byte in text {
                draft.file().write_all(&[*byte]).unwrap();
            }
            draft.place().unwrap();
        };
        std::thread::scope(|scope| {
            for text in [b"aaaa", b"bbbb", b"cccc", b"dddd"] {
                scope.spawn(move || (0..50).for_each(|_| write(text)));
            }
        });
        let text = fs::read(&target).unwrap();
        assert!(text.len() == 4 && text.iter().all(|byte| *byte == text[0]), "{text:?}");
        assert_eq!(names(dir.path()), [OsString::from("x")]);
    }

    #[test]
    fn what_waits_under_its_name_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink("victim", dir.path().join(".muster-new-x")).unwrap();
        assert!(Draft::beside(&dir.path().join("x"), 0o600).is_err());
        fs::hard_link(&victim, dir.path().join(".muster-new-y")).unwrap();
        let said = Draft::beside(&dir.path().join("y"), 0o600).unwrap_err().to_string();
        assert!(said.contains(".muster-new-y is in the way"), "{said}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    }

    #[test]
    fn what_the_dead_left_is_swept_and_what_the_living_write_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in [".muster-new-dead", "file"] {
            fs::write(path(name), "x").unwrap();
        }
        let living = Draft::beside(&path("living"), 0o600).unwrap();
        sweep(dir.path()).unwrap();
        living.place().unwrap();
        let mut left = names(dir.path());
        left.sort();
        assert_eq!(left, ["file", "living"].map(OsString::from));
    }

    #[test]
    fn the_longest_name_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x".repeat(LONGEST));
        Draft::beside(&target, 0o600).unwrap().place().unwrap();
        assert!(target.exists());
    }
}
