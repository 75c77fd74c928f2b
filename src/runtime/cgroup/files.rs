//! Reading, writing, making and removing in a cgroup tree.

use crate::sys::{Errno, Error, Result};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

pub fn make(directory: &Path) -> Result<()> {
    fs::create_dir(directory).map_err(|error| Error::from_io("mkdir", directory.display(), &error))
}

/// What does not exist is removed already.
pub fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|error| Error::from_io("rmdir", directory.display(), &error)),
    }
}

/// With the cgroups that the container made below its own.
pub fn remove_tree(directory: &Path) -> Result<()> {
    match remove(directory) {
        Err(error) if error.errno == Errno::BUSY => {}
        result => return result,
    }
    for below in tree(directory)?.iter().rev() {
        remove(below)?;
    }
    Ok(())
}

/// The directory and all below it, parents first.
pub fn tree(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![directory.to_owned()];
    let mut next = 0;
    while next < found.len() {
        let entries = match fs::read_dir(&found[next]) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                found.remove(next);
                continue;
            }
            Err(error) => return Err(Error::from_io("read", found[next].display(), &error)),
        };
        let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let directories: Vec<PathBuf> = directories.map(|entry| entry.path()).collect();
        found.extend(directories);
        next += 1;
    }
    Ok(found)
}

/// Makes a v2 directory's children have these controllers, those of them that it has itself.
pub fn hand_down(directory: &Path, controllers: &[&str]) -> Result<()> {
    if controllers.is_empty() {
        return Ok(());
    }
    let has = read(&directory.join("cgroup.controllers"))?;
    let given = read(&directory.join("cgroup.subtree_control"))?;
    let listed = |list: &str, name: &str| list.split_whitespace().any(|word| word == name);
    let missing: Vec<String> = controllers
        .iter()
        .filter(|name| listed(&has, name) && !listed(&given, name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    write(&directory.join("cgroup.subtree_control"), &missing.join(" "))
}

pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| Error::from_io("read", file.display(), &error))
}

/// Never creates: a file that a cgroup lacks stays an error.
pub fn write(file: &Path, value: &str) -> Result<()> {
    let written = open_for_writing(file)?.write_all(value.as_bytes());
    written.map_err(|error| Error::from_io("write", format_args!("{value} to {}", file.display()), &error))
}

pub fn open_for_writing(file: &Path) -> Result<File> {
    fs::OpenOptions::new().write(true).open(file).map_err(|error| Error::from_io("open", file.display(), &error))
}

/// Value of a line `key value`; `None` where the file or the line is missing.
pub fn read_key(file: &Path, key: &str) -> Result<Option<u64>> {
    let Some(text) = read_existing(file)? else { return Ok(None) };
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}

pub fn read_number(file: &Path) -> Result<Option<u64>> {
    Ok(read_existing(file)?.and_then(|text| text.trim().parse().ok()))
}

fn read_existing(file: &Path) -> Result<Option<String>> {
    match read(file) {
        // NODEV: the cgroup went while it was read.
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NODEV) => Ok(None),
        result => result.map(Some),
    }
}

/// Members of this very directory.
pub fn pids(directory: &Path) -> Result<Vec<i32>> {
    let text = read_existing(&directory.join("cgroup.procs"))?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Whether a v2 directory and all below it have no process; one that does not exist has none.
pub fn is_unpopulated(directory: &Path) -> Result<bool> {
    Ok(read_key(&directory.join("cgroup.events"), "populated")?.unwrap_or(0) == 0)
}
