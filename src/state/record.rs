//! How a record reaches the disk, and comes back.

use super::Draft;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Version of the records this binary writes.
pub const VERSION: u32 = 1;

/// Whether a record has to outlive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// fsync of the file and of its directory.
    Durable,
    /// Whole, but its loss in a power cut does no harm: it describes what a power cut ends anyway.
    Volatile,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("cannot {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is damaged: {source}. Move it away and run the command again", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("{} was written by a newer muster (record version {found}, this one knows {VERSION}). Use that version", path.display())]
    Newer { path: PathBuf, found: u64 },
}

impl RecordError {
    pub fn io<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { verb, path: path.to_owned(), source }
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    #[serde(flatten)]
    record: &'a T,
}

/// Writes `record`, a struct, with its version, whole or not at all. Makes the directory where it lacks.
pub fn write<T: Serialize>(path: &Path, record: &T, durability: Durability) -> Result<(), RecordError> {
    let mut text = serde_json::to_vec(&Envelope { version: VERSION, record })
        .map_err(|source| RecordError::Damaged { path: path.to_owned(), source })?;
    text.push(b'\n');
    write_bytes(path, &text, durability)
}

/// The same for a file that is not JSON.
pub fn write_bytes(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), RecordError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(RecordError::io("make", directory))?;
    let draft = Draft::beside(path, 0o600).map_err(RecordError::io("write in", directory))?;
    draft.file().write_all(bytes).map_err(RecordError::io("write", path))?;
    if durability == Durability::Durable {
        draft.file().sync_data().map_err(RecordError::io("sync", path))?;
    }
    draft.place().map_err(RecordError::io("write", path))?;
    if durability == Durability::Durable {
        File::open(directory).and_then(|dir| dir.sync_all()).map_err(RecordError::io("sync", directory))?;
    }
    Ok(())
}

/// `None` where there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RecordError::io("read", path)(error)),
    };
    let damaged = |source| RecordError::Damaged { path: path.to_owned(), source };
    let mut value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    if let Some(found) = value.get("version").and_then(serde_json::Value::as_u64)
        && found > u64::from(VERSION)
    {
        return Err(RecordError::Newer { path: path.to_owned(), found });
    }
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("version");
    }
    serde_json::from_value(value).map(Some).map_err(damaged)
}

/// Removes a file; it is no error when it is gone already.
pub fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
    }

    #[test]
    fn what_is_written_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        assert_eq!(read::<Sample>(&path).unwrap(), None);
        for durability in [Durability::Durable, Durability::Volatile] {
            write(&path, &Sample { name: "x".into() }, durability).unwrap();
            assert_eq!(read::<Sample>(&path).unwrap(), Some(Sample { name: "x".into() }));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\":1,\"name\":\"x\"}\n");
    }

    #[test]
    fn a_damaged_record_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.json");
        fs::write(&path, "{\"version\":1,\"na").unwrap();
        let message = read::<Sample>(&path).unwrap_err().to_string();
        assert!(message.contains("b.json is damaged"), "{message}");
    }

    #[test]
    fn a_newer_record_is_not_guessed_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.json");
        fs::write(&path, "{\"version\":99,\"name\":\"x\"}").unwrap();
        assert!(read::<Sample>(&path).unwrap_err().to_string().contains("newer muster"));
    }
}
