//! `ADD` of an archive: its members instead of itself, as tar would unpack them over the destination.
//!
//! The archive is hostile: names are read as paths of the image, links on the way are followed within it, and nothing
//! leads out.

use super::{
    super::{
        error::{Result, StepError},
        upper::{Making, Upper, is_overlay},
        view::{Node, lexical},
    },
    compression::plain,
    write::Writer,
};
use crate::image::{
    layer::{Kind, LayerError, Limits, MAX_REMEMBERED, Member, TarError, TarReader},
    tree::Attributes,
};
use rustix::fs::{self as rfs, FileType};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufReader, Read, Seek, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

const BUFFER: usize = 256 << 10;
const MAX_PATH: usize = 4096;

/// Whether a file is an archive: it begins with a tar header, once it is decompressed. What cannot be decompressed is a
/// file as any other.
pub fn is_archive(file: &mut File) -> bool {
    let mut head = [0; 512];
    let whole = plain(file).is_ok_and(|mut plain| plain.read_exact(&mut head).is_ok());
    // An empty archive is zeros; Docker copies it as a file.
    let header = || TarReader::new(&head[..]).next();
    // What follows the header is not in the head.
    whole && head[0] != 0 && matches!(header(), Ok(Some(_)) | Err(TarError::Read(_)))
}

/// Unpacks into the destination, which becomes a directory. A small archive may hold more than the disk: it takes no
/// more than the limits.
pub fn unpack(writer: &mut Writer<'_>, file: &mut File, name: &str, limits: Limits) -> Result<()> {
    let wrong = |reason: String| StepError::Refused(format!("{name}: {reason}"));
    let destination = Path::new(writer.destination);
    let making = writer.making();
    let root =
        writer.upper.make_directories(&lexical(destination), making).map_err(StepError::file("make", destination))?;
    let plain = plain(file).map_err(|error| wrong(error.to_string()))?;
    let mut archive = TarReader::new(BufReader::with_capacity(BUFFER, plain));
    let mut directories: Vec<(PathBuf, (i64, u32))> = Vec::new();
    let mut left = Left::of(limits);
    while let Some(member) = archive.next().map_err(|error| wrong(error.to_string()))? {
        if writer.cancelled.load(Ordering::Relaxed) {
            return Err(StepError::Abandoned("the build was cancelled".into()));
        }
        let path =
            path_of(&member).ok_or_else(|| wrong(format!("a member's name leads out of it: {}", shown(&member))))?;
        let place = Place { root: &root, path: &path, making };
        let unpacked = place.member(writer, &member, &mut archive, &mut directories, &mut left);
        unpacked.map_err(|error| wrong(format!("cannot unpack {}: {error}", shown(&member))))?;
    }
    for (path, mtime) in directories {
        writer.upper.set_time(&path, mtime);
    }
    Ok(())
}

fn shown(member: &Member) -> String {
    String::from_utf8_lossy(&member.name[..member.name.len().min(256)]).into_owned()
}

/// Relative, without `..`; `None` for one that climbs above the top.
fn path_of(member: &Member) -> Option<PathBuf> {
    if member.name.len() >= MAX_PATH || member.name.contains(&0) {
        return None;
    }
    let mut clean = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(&member.name)).components() {
        match part {
            std::path::Component::Normal(name) => clean.push(name),
            std::path::Component::ParentDir if !clean.pop() => return None,
            _ => {}
        }
    }
    Some(clean)
}

/// What is left of the limits.
struct Left {
    limits: Limits,
    bytes: u64,
    files: u64,
    /// Bytes of directories' names in memory, whose times are set at the end.
    remembered: usize,
    /// The directory of the last member: most have the same as the one before.
    above: PathBuf,
}

impl Left {
    fn of(limits: Limits) -> Self {
        let Limits { bytes, files } = limits;
        Self { limits, bytes, files, remembered: 0, above: PathBuf::new() }
    }

    /// One that is a directory is remembered by its path.
    fn file(&mut self, path: &Path) -> io::Result<()> {
        self.remembered += path.as_os_str().len();
        if self.remembered > MAX_REMEMBERED {
            return Err(too_big("bytes of directory names", MAX_REMEMBERED as u64));
        }
        self.files = self.files.checked_sub(1).ok_or_else(|| too_big("files", self.limits.files))?;
        Ok(())
    }

    /// Where they are missing they are made, though no member says so; how many are is not looked at closely.
    fn directories_above(&mut self, writer: &Writer<'_>, above: &Path) -> io::Result<()> {
        if self.above != above {
            if writer.upper.walk(above, true)?.node.is_none() {
                above.iter().try_for_each(|_| self.file(above))?;
            }
            above.clone_into(&mut self.above);
        }
        Ok(())
    }

    /// Holes take none.
    fn bytes(&mut self, member: &Member) -> io::Result<()> {
        let bytes = match &member.parts {
            None => Some(member.size),
            Some(parts) => parts.iter().try_fold(0u64, |sum, (_, length)| sum.checked_add(*length)),
        };
        let left = bytes.and_then(|bytes| self.bytes.checked_sub(bytes));
        self.bytes = left.ok_or_else(|| too_big("bytes", self.limits.bytes))?;
        Ok(())
    }
}

fn too_big(what: &'static str, limit: u64) -> io::Error {
    io::Error::other(LayerError::TooBig { what, limit })
}

struct Place<'a> {
    /// Real path of the destination.
    root: &'a Path,
    path: &'a Path,
    making: Making,
}

impl Place<'_> {
    fn member(
        &self,
        writer: &mut Writer<'_>,
        member: &Member,
        data: &mut impl Read,
        directories: &mut Vec<(PathBuf, (i64, u32))>,
        left: &mut Left,
    ) -> io::Result<()> {
        let attributes = attributes(writer, member)?;
        let Some(name) = self.path.file_name() else {
            // The top of the archive says what the destination is.
            if member.kind == Kind::Directory {
                writer.upper.change_directory(self.root, &attributes)?;
                directories.push((self.root.to_owned(), attributes.mtime));
            }
            return Ok(());
        };
        let above = self.root.join(self.path.parent().unwrap_or(Path::new("")));
        left.directories_above(writer, &above)?;
        left.file(if member.kind == Kind::Directory { self.path } else { Path::new("") })?;
        let making = Making { uid: 0, gid: 0, ..self.making };
        let parent = writer.upper.make_directories(&above, making)?;
        let there = writer.upper.stat(&parent, name)?.map(|stat| FileType::from_raw_mode(stat.st_mode));
        if member.kind == Kind::Directory {
            if there.is_some_and(|kind| kind != FileType::Directory) {
                writer.upper.clear(&parent, name)?;
            }
            if there != Some(FileType::Directory) {
                writer.upper.new_directory(&parent, name, self.making)?;
            }
            let path = parent.join(name);
            writer.upper.change_directory(&path, &attributes)?;
            directories.push((path, attributes.mtime));
            return Ok(());
        }
        if there.is_some() {
            writer.upper.clear(&parent, name)?;
        }
        match member.kind {
            Kind::File => {
                left.bytes(member)?;
                self.file(writer, &parent, name, member, &attributes, data)
            }
            Kind::HardLink => self.hard_link(writer, &parent, name, member),
            Kind::Symlink => writer.upper.new_link(&parent, name, OsStr::from_bytes(&member.link), &attributes),
            Kind::Character => self.special(writer, &parent, name, FileType::CharacterDevice, member, &attributes),
            Kind::Block => self.special(writer, &parent, name, FileType::BlockDevice, member, &attributes),
            Kind::Fifo => self.special(writer, &parent, name, FileType::Fifo, member, &attributes),
            Kind::Directory => Ok(()),
        }
    }

    fn file(
        &self,
        writer: &mut Writer<'_>,
        parent: &Path,
        name: &OsStr,
        member: &Member,
        attributes: &Attributes,
        data: &mut impl Read,
    ) -> io::Result<()> {
        let mut file = writer.upper.new_file(parent, name)?;
        match &member.parts {
            None => {
                if io::copy(&mut data.take(member.size), &mut file)? < member.size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Some(parts) => {
                for (offset, length) in parts {
                    file.seek(io::SeekFrom::Start(*offset))?;
                    if io::copy(&mut data.by_ref().take(*length), &mut file)? < *length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                file.flush()?;
                file.set_len(member.size)?;
            }
        }
        Upper::finish_file(&file, attributes)
    }

    /// The target counts from the top of the archive. One that only the layers below have is copied: a link cannot
    /// cross layers.
    fn hard_link(&self, writer: &mut Writer<'_>, parent: &Path, name: &OsStr, member: &Member) -> io::Result<()> {
        let target = lexical(Path::new(OsStr::from_bytes(&member.link)));
        let Some(target_name) = target.file_name().map(OsStr::to_owned) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let above = self.root.join(target.parent().unwrap_or(Path::new("")));
        let place = writer.upper.walk(&above, true)?;
        if !matches!(place.node, Some(Node::Dir(_))) {
            return Err(io::ErrorKind::NotFound.into());
        }
        writer.upper.raise(&place.path, &target_name)?;
        writer.upper.new_hard_link(parent, name, (&place.path, &target_name))
    }

    fn special(
        &self,
        writer: &mut Writer<'_>,
        parent: &Path,
        name: &OsStr,
        kind: FileType,
        member: &Member,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let device = rfs::makedev(member.device.0, member.device.1);
        if kind == FileType::CharacterDevice && device == 0 {
            return Err(io::Error::other("a device 0/0 would hide files instead of being one"));
        }
        writer.upper.new_special(parent, name, kind, device, attributes)
    }
}

fn attributes(writer: &Writer<'_>, member: &Member) -> io::Result<Attributes> {
    let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or(io::ErrorKind::InvalidData);
    let (uid, gid) = match writer.owner {
        Some(owner) => owner,
        None => (id(member.uid)?, id(member.gid)?),
    };
    let xattrs = member.xattrs.iter().filter(|(name, _)| !is_overlay(name.as_bytes())).cloned().collect();
    Ok(Attributes { uid, gid, mode: member.mode, mtime: member.mtime, xattrs })
}

/// What a download is called in a directory.
pub fn name_of_url(url: &str) -> OsString {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let name = path.split('/').skip(1).filter(|part| !part.is_empty()).last();
    OsString::from_vec(name.map_or(b"__unnamed__".to_vec(), |name| name.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::engine::upper::Upper;
    use std::sync::atomic::AtomicBool;

    /// What unpacking it with room for 100 bytes and 8 files says.
    fn unpacked(members: &[(&str, usize)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            let kind = if name.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular };
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header.set_size(*bytes as u64);
            archive.append_data(&mut header, name, &vec![b'x'; *bytes][..]).unwrap();
        }
        let mut file = archive.into_inner().unwrap();
        file.rewind().unwrap();
        let upper = Upper::create(&dir.path().join("layer"), &[]).unwrap();
        let cancelled = AtomicBool::new(false);
        let mut writer = Writer::new(upper, "/", None, None, (0, 0), &cancelled);
        let limits = Limits { bytes: 100, files: 8 };
        unpack(&mut writer, &mut file, "a", limits).map_or_else(|error| error.to_string(), |()| "whole".into())
    }

    #[test]
    fn an_archive_takes_no_more_than_it_may() {
        assert_eq!(unpacked(&[("d/", 0), ("d/a", 50), ("d/b", 50), ("d/e/", 0), ("d/e/f", 0)]), "whole");
        let told = unpacked(&[("a", 60), ("b", 60)]);
        assert!(told.contains("cannot unpack b: it would take more than 100 bytes"), "{told}");
        let many = ["1", "2", "3", "4", "5", "6", "7", "8", "9"].map(|name| (name, 0));
        assert_eq!(unpacked(&many[..8]), "whole");
        assert!(unpacked(&many).contains("cannot unpack 9: it would take more than 8 files"));
        // Directories that nobody has described take as much room.
        assert!(unpacked(&[("1/2/3/4/5/6/7/8/9", 0)]).contains("more than 8 files"));
    }
}
