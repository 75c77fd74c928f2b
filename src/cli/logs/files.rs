//! The files of one container's log: `current.log` is the newest, `1.log` the one before it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// An open file of a log; its inode tells which one it is after a rotation has renamed it.
#[derive(Debug)]
pub struct LogFile {
    pub file: File,
    inode: u64,
}

/// Oldest first.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new(); // no run yet, or no log is kept
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbered: Vec<(u32, PathBuf)> = names
        .filter_map(|name| {
            let age = if name == "current.log" { 0 } else { name.strip_suffix(".log")?.parse().ok()? };
            Some((age, directory.join(name)))
        })
        .collect();
    numbered.sort_unstable_by_key(|(age, _)| std::cmp::Reverse(*age));
    numbered.into_iter().map(|(_, path)| path).collect()
}

fn open(path: &Path) -> io::Result<LogFile> {
    let file = File::open(path)?;
    let inode = file.metadata()?.ino();
    Ok(LogFile { file, inode })
}

/// All files, oldest first, opened together; one that a rotation takes away meanwhile is left out.
pub fn open_all(directory: &Path) -> Vec<LogFile> {
    let mut files: Vec<LogFile> = Vec::new();
    for file in paths(directory).iter().filter_map(|path| open(path).ok()) {
        // A rotation between two opens shows the same file under two names.
        if files.iter().all(|known| known.inode != file.inode) {
            files.push(file);
        }
    }
    files
}

/// The file that comes after `than`; the oldest there is when `than` is gone or nothing was open.
pub fn next(directory: &Path, than: Option<&LogFile>) -> Option<LogFile> {
    // Nearly always nothing has been rotated: one stat answers that.
    if let Some(than) = than
        && fs::metadata(directory.join("current.log")).is_ok_and(|current| current.ino() == than.inode)
    {
        return None;
    }
    let files = open_all(directory);
    let position = than.and_then(|than| files.iter().position(|file| file.inode == than.inode));
    files.into_iter().nth(position.map_or(0, |position| position + 1))
}
