//! An archive file as a set of named byte ranges. Its members are found once, by jumping over their data.

use super::Window;
use crate::image::{
    layer::{Kind, TarError, TarReader, decompress},
    tree,
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// Members of an archive: a few per layer in any real one.
const MAX_MEMBERS: usize = 100_000;

#[derive(Debug)]
pub struct Archive {
    file: Arc<File>,
    members: HashMap<String, Place>,
}

#[derive(Debug)]
enum Place {
    Data {
        start: u64,
        end: u64,
    },
    /// `docker save` before version 25 stores a layer that two images share once, and links to it.
    Link(String),
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tar(#[from] TarError),
    #[error("{0}")]
    Compression(String),
    #[error("unpacked it would take more than the {0} bytes that are free here")]
    NoRoom(u64),
    #[error("it has more than {MAX_MEMBERS} members")]
    TooMany,
}

impl Archive {
    /// Reads the list of members. A compressed archive, or one that cannot be jumped in (a pipe), is first written out
    /// plain to `spool`.
    pub fn open(mut file: File, spool: &Path) -> Result<Self, ArchiveError> {
        let mut start = [0; 4];
        let seekable = file.metadata()?.is_file();
        let plain = seekable && {
            let length = read_start(&mut file, &mut start)?;
            file.seek(SeekFrom::Start(0))?;
            decompresses_to_itself(&start[..length])
        };
        if !plain {
            let mut out = File::options().read(true).write(true).create_new(true).open(spool)?;
            let source = BufReader::with_capacity(256 << 10, file);
            let mut source = decompress(source).map_err(|error| ArchiveError::Compression(error.to_string()))?;
            let room = tree::Tree::open(spool.parent().unwrap_or(Path::new(".")))?;
            let (room, _) = tree::room(room.root())?;
            if io::copy(&mut source.by_ref().take(room), &mut out)? == room {
                return Err(ArchiveError::NoRoom(room));
            }
            out.seek(SeekFrom::Start(0))?;
            file = out;
        }
        let members = list(&file)?;
        Ok(Self { file: Arc::new(file), members })
    }

    pub fn get(&self, name: &str) -> Option<Window> {
        let mut name = clean(name);
        for _ in 0..8 {
            match self.members.get(&name)? {
                Place::Data { start, end } => {
                    return Some(Window { file: self.file.clone(), position: *start, end: *end });
                }
                Place::Link(target) => name = clean(target),
            }
        }
        None
    }

    /// A small member, whole; `None` where there is none. One larger than `limit` is an error.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut window) = self.get(name) else { return Ok(None) };
        if window.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("`{name}` has more than {limit} bytes")));
        }
        let mut bytes = Vec::new();
        window.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn read_start(file: &mut File, start: &mut [u8; 4]) -> io::Result<usize> {
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// A tar begins with a file name, and no file name begins like a compressed stream.
fn decompresses_to_itself(start: &[u8]) -> bool {
    start.iter().all(|byte| byte.is_ascii_graphic() || *byte == 0) && !start.starts_with(b"BZh")
}

fn list(file: &File) -> Result<HashMap<String, Place>, ArchiveError> {
    let size = file.metadata()?.len();
    let mut members = HashMap::new();
    let mut reader = TarReader::new(BufReader::with_capacity(4096, file));
    while let Some(member) = reader.next_seeking()? {
        let name = clean(&String::from_utf8_lossy(&member.name));
        let start = reader.position();
        match member.kind {
            Kind::File if member.parts.is_none() => {
                let end = start.checked_add(member.size).filter(|end| *end <= size);
                let end = end.ok_or(TarError::Read(io::ErrorKind::UnexpectedEof.into()))?;
                members.insert(name, Place::Data { start, end });
            }
            Kind::Symlink => {
                let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
                let target = format!("{directory}/{}", String::from_utf8_lossy(&member.link));
                members.insert(name, Place::Link(target));
            }
            Kind::HardLink => {
                members.insert(name, Place::Link(String::from_utf8_lossy(&member.link).into_owned()));
            }
            _ => {}
        }
        if members.len() > MAX_MEMBERS {
            return Err(ArchiveError::TooMany);
        }
    }
    Ok(members)
}

/// Names are only keys here: nothing is opened by them.
fn clean(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
