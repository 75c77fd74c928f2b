//! Reads a bundle: its index, and blobs that are checked against their digests while they are read.

use super::{
    error::BundleError,
    index::{Blob, Fault, Index, MAX_INDEX, VERSION},
};
use crate::image::{
    Digest,
    digest::Hasher,
    layer::{Kind, TarReader},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

const INDEX: &str = "bundle.json";
/// The header of the first member, and how the index begins.
const BLOCK: usize = 512;
const MAGIC: &[u8] = b"{\"muster_bundle\":";
/// Members: a few for each image.
const MAX_MEMBERS: usize = 100_000;

/// A bundle whose index is read, and whose blobs are all there, with the sizes that it says.
pub struct Bundle {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// Digest of the index.
    pub(super) digest: Digest,
    pub(super) places: BTreeMap<Digest, (u64, u64)>,
    index: Index,
}

impl Bundle {
    /// Whether a word of a command line is a bundle: a regular file that begins like one.
    pub fn is_one(path: &Path) -> bool {
        // Opening a pipe would wait, and a device may do anything.
        if !path.metadata().is_ok_and(|data| data.is_file()) {
            return false;
        }
        let mut start = [0; BLOCK + MAGIC.len()];
        let read = File::open(path).and_then(|file| file.read_exact_at(&mut start, 0));
        read.is_ok() && starts_as_bundle(&start)
    }

    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let wrong = |reason: String| BundleError::malformed(path, reason);
        let file = File::open(path).map_err(BundleError::io("read", path))?;
        let data = file.metadata().map_err(BundleError::io("read", path))?;
        let mut start = [0; BLOCK + MAGIC.len()];
        if !data.is_file() || file.read_exact_at(&mut start, 0).is_err() || !starts_as_bundle(&start) {
            return Err(BundleError::NotABundle { path: path.to_owned() });
        }
        let members = list(&file, data.len()).map_err(wrong)?;
        let bytes = match members.get(INDEX) {
            Some((_, size)) if *size > MAX_INDEX => {
                return Err(wrong(format!("its index has more than {MAX_INDEX} bytes")));
            }
            Some((start, size)) => {
                let mut bytes = vec![0; usize::try_from(*size).unwrap_or(0)];
                file.read_exact_at(&mut bytes, *start).map_err(BundleError::io("read", path))?;
                bytes
            }
            None => return Err(wrong("it has no index".into())),
        };
        let index = Index::parse(&bytes).map_err(|fault| match fault {
            Fault::Newer(found) => BundleError::Newer { path: path.to_owned(), found, known: VERSION },
            Fault::Malformed(reason) => wrong(reason),
        })?;
        let mut places = BTreeMap::new();
        for (text, size) in &index.blobs {
            let digest: Digest = text.parse().map_err(|error| wrong(format!("{error}")))?;
            match members.get(&format!("blobs/sha256/{}", digest.hex())) {
                Some((start, there)) if there == size => drop(places.insert(digest, (*start, *size))),
                Some((_, there)) => return Err(wrong(format!("{text} has {there} bytes, and its index says {size}"))),
                None => return Err(wrong(format!("{text} is missing"))),
            }
        }
        Ok(Self { path: path.to_owned(), file: Arc::new(file), digest: Digest::of(&bytes), places, index })
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// A small blob, whole.
    pub(super) fn text(&self, blob: &Blob) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        let mut reader = self.reader(blob)?;
        reader.read_to_end(&mut bytes).map_err(BundleError::io("read", &self.path))?;
        Ok(bytes)
    }

    pub(super) fn reader(&self, blob: &Blob) -> Result<Verified, BundleError> {
        let missing = || BundleError::malformed(&self.path, format!("{} is missing", blob.digest));
        let digest: Digest = blob.digest.parse().map_err(|_| missing())?;
        let (position, size) = *self.places.get(&digest).ok_or_else(missing)?;
        Ok(Verified {
            file: self.file.clone(),
            position,
            end: position + size,
            digest,
            hasher: Some(Hasher::default()),
        })
    }
}

fn starts_as_bundle(start: &[u8]) -> bool {
    let mut name = [0; 100];
    name[..INDEX.len()].copy_from_slice(INDEX.as_bytes());
    start.starts_with(&name) && start[257..].starts_with(b"ustar") && start[BLOCK..].starts_with(MAGIC)
}

/// Where each member's data stands, by name. Data is jumped over.
fn list(file: &File, length: u64) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let mut members = BTreeMap::new();
    let mut reader = TarReader::new(BufReader::with_capacity(4096, file));
    while let Some(member) = reader.next_seeking().map_err(|error| error.to_string())? {
        let name = String::from_utf8_lossy(&member.name).into_owned();
        let known = [INDEX, "index.json", "oci-layout"].contains(&name.as_str()) || name.starts_with("blobs/sha256/");
        if !known || member.kind != Kind::File || member.parts.is_some() {
            return Err(format!("{name:?} is no part of a bundle"));
        }
        let start = reader.position();
        match start.checked_add(member.size) {
            Some(end) if end <= length => {}
            _ => return Err("it is cut off".into()),
        }
        if members.insert(name.clone(), (start, member.size)).is_some() {
            return Err(format!("{name:?} is in it twice"));
        }
        if members.len() > MAX_MEMBERS {
            return Err(format!("it has more than {MAX_MEMBERS} members"));
        }
    }
    Ok(members)
}

/// A blob. Its end is an error where its digest is another.
pub struct Verified {
    file: Arc<File>,
    position: u64,
    end: u64,
    digest: Digest,
    hasher: Option<Hasher>,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        if buffer.is_empty() {
            return Ok(0);
        }
        if length == 0 {
            let actual = self.hasher.take().map(Hasher::finish);
            return match actual.filter(|actual| *actual != self.digest) {
                None => Ok(0),
                Some(actual) => {
                    let reason = format!("it has digest {actual}, and {} was expected", self.digest);
                    Err(io::Error::new(io::ErrorKind::InvalidData, reason))
                }
            };
        }
        let count = self.file.read_at(&mut buffer[..length], self.position)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Verified {
    /// Reads what is left, so that all of it is checked.
    pub fn finish(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }
}
