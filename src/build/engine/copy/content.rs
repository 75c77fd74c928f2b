//! The digest of what a step reads: names, kinds, modes, owners as they will be copied, bytes, link targets, xattrs.
//! Not times, and not who links to whom.

use super::{
    super::{
        error::{Result, StepError},
        key::Key,
        pack::xattrs,
        view::{Cursor, Leaf, Node},
    },
    find::{Found, Item, Origin},
    seen::Seen,
};
use crate::image::{Digest, digest::Hasher};
use rustix::{
    fd::AsFd,
    fs::{self as rfs, FileType},
};
use std::{
    ffi::CString,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    sync::atomic::{AtomicBool, Ordering},
};

const BUFFER: usize = 256 << 10;

/// Of everything that the sources stand for.
pub fn digest(origin: &Origin, found: &[Found], seen: Option<&Seen>, cancelled: &AtomicBool) -> Result<Digest> {
    let mut key = Key::new("content").number(found.len() as u64);
    let mut cursor = Cursor::new(&origin.view);
    for found in found {
        key = key.bytes(found.name.as_bytes()).flag(found.is_dir()).number(found.items.len() as u64);
        // Also a directory itself: an archive is told from it, and its state goes nowhere.
        for item in found.files() {
            if cancelled.load(Ordering::Relaxed) {
                return Err(StepError::Abandoned("the build was cancelled".into()));
            }
            key = item_key(key, origin, &mut cursor, item, seen).map_err(StepError::file("read", &item.path))?;
        }
    }
    Ok(key.finish())
}

fn item_key(key: Key, origin: &Origin, cursor: &mut Cursor<'_>, item: &Item, seen: Option<&Seen>) -> io::Result<Key> {
    let stat = &item.stat;
    let owner = if origin.foreign { (0, 0) } else { (stat.st_uid, stat.st_gid) };
    let key = key.bytes(item.to().as_os_str().as_bytes()).number(stat.st_mode).number(owner.0).number(owner.1);
    match item.kind() {
        FileType::RegularFile => {
            let digest = match seen.and_then(|seen| seen.digest(&item.path, stat)) {
                Some(digest) => digest,
                None => {
                    let digest = file(cursor, item)?;
                    if let Some(seen) = seen {
                        seen.remember(&item.path, stat, digest);
                    }
                    digest
                }
            };
            Ok(key.bytes(digest.as_bytes()))
        }
        FileType::Symlink => {
            let leaf = leaf(cursor, item)?;
            Ok(key.bytes(leaf.target()?.as_os_str().as_bytes()))
        }
        FileType::CharacterDevice | FileType::BlockDevice => Ok(key.number(stat.st_rdev)),
        _ => Ok(key),
    }
}

pub fn leaf(cursor: &mut Cursor<'_>, item: &Item) -> io::Result<Leaf> {
    match cursor.node(&item.path)? {
        Some(Node::Leaf(leaf)) => Ok(leaf),
        _ => Err(changed()),
    }
}

pub fn changed() -> io::Error {
    io::Error::other("it changed while it was being read; build again")
}

/// Bytes and xattrs: with both in one digest a file that is known need not be opened.
fn file(cursor: &mut Cursor<'_>, item: &Item) -> io::Result<Digest> {
    let mut file = leaf(cursor, item)?.open()?;
    let mut hasher = Hasher::default();
    for (name, value) in attributes(&file)? {
        hasher.update(name.as_bytes_with_nul());
        hasher.update(&(value.len() as u64).to_le_bytes());
        hasher.update(&value);
    }
    hasher.update(b"\0");
    let mut buffer = vec![0; BUFFER.min(usize::try_from(item.stat.st_size).unwrap_or(0) + 1)];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finish())
}

pub fn attributes(file: &impl AsFd) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let fd = file.as_fd();
    xattrs(|buffer| rfs::flistxattr(fd, buffer), |name, buffer| rfs::fgetxattr(fd, name, buffer))
}
