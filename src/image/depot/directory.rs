//! An OCI image layout that several programs read and write at once, and that a person may carry elsewhere.
//!
//! ```text
//! oci-layout, index.json, blobs/sha256/<hex>   the layout; index.json is replaced as a whole
//! index.json.lock                              held while the index is replaced, by BuildKit as well
//! in-use.lock                                  shared by all who read or write; who has it alone may sweep
//! ```
//!
//! A blob has its name only when it is whole and on disk.

use super::{DepotError, Result, document, source::path_of};
use crate::{
    image::{
        digest::{Digest, Hasher},
        source::manifest::MAX_MANIFEST,
    },
    state::{self, Lock},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs::{self, File, Permissions},
    io::{
        self,
        ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem},
        Read, Write,
    },
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

pub const BLOBS: &str = "blobs/sha256";
const INDEX: &str = "index.json";
const IN_USE: &str = "in-use.lock";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Files that are being written.
const UNFINISHED: &str = ".muster-";
const BUFFER: usize = 256 << 10;

pub struct Directory {
    dir: PathBuf,
    /// Held shared; `None` where nobody has written one and this host may not.
    in_use: Option<File>,
}

impl Directory {
    /// One that is there.
    pub fn read(dir: &Path) -> Result<Self> {
        let index = dir.join(INDEX);
        fs::metadata(&index).map_err(DepotError::file("read", &index))?;
        let path = dir.join(IN_USE);
        let in_use = match state::open_plain(File::options().read(true), &path) {
            Ok(lock) => Some(lock),
            // A directory that cannot be written cannot be swept either.
            Err(error) if matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem) => None,
            Err(error) => return Err(DepotError::file("read", &path)(error)),
        };
        if let Some(lock) = &in_use {
            lock.lock_shared().map_err(DepotError::file("lock", &path))?;
        }
        Ok(Self { dir: dir.to_owned(), in_use })
    }

    /// Makes it where it lacks.
    pub fn write(dir: &Path) -> Result<Self> {
        let blobs = dir.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(DepotError::file("make", &blobs))?;
        let path = dir.join(IN_USE);
        let mut options = File::options();
        let lock = state::open_plain(options.read(true).write(true).create(true).truncate(false).mode(0o644), &path);
        let lock = lock.map_err(DepotError::file("write", &path))?;
        lock.lock_shared().map_err(DepotError::file("lock", &path))?;
        let this = Self { dir: dir.to_owned(), in_use: Some(lock) };
        let marker = dir.join("oci-layout");
        if !marker.exists() {
            this.replace(&marker, b"{\"imageLayoutVersion\":\"1.0.0\"}\n")?;
        }
        Ok(this)
    }

    /// Gives up the lock.
    pub fn release(&self) {
        if let Some(lock) = &self.in_use {
            let _ = lock.unlock();
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(path_of(digest))
    }

    pub fn holds(&self, digest: &Digest, size: u64) -> bool {
        fs::symlink_metadata(self.path(digest)).is_ok_and(|data| data.is_file() && data.len() == size)
    }

    /// A blob to be read. What is no plain file would keep a reader waiting, or lead elsewhere.
    pub fn blob(&self, digest: &Digest) -> Result<File> {
        open_plain(&self.path(digest))
    }

    /// A blob that is a document, whole.
    pub fn small(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let path = self.path(digest);
        let bytes = read_plain(&path, limit)?;
        match Digest::of(&bytes) {
            actual if actual == *digest => Ok(bytes),
            actual => Err(DepotError::Digest { what: path.display().to_string(), expected: *digest, actual }),
        }
    }

    /// The manifest under a tag.
    pub fn named(&self, tag: &str) -> Result<Digest> {
        let index = self.index()?.unwrap_or_default();
        let entry = index.iter().find(|entry| tag_of(entry) == Some(tag));
        let digest = entry.and_then(|entry| entry.get("digest")?.as_str()?.parse().ok());
        digest.ok_or_else(|| DepotError::NoTag(tag.to_owned()))
    }

    /// The entries as they are: what other programs note in them stays.
    fn index(&self) -> Result<Option<Vec<Value>>> {
        let path = self.dir.join(INDEX);
        let bytes = match read_plain(&path, MAX_MANIFEST) {
            Ok(bytes) => bytes,
            Err(DepotError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        let entries = value.as_ref().and_then(|value| value.get("manifests")?.as_array()).cloned();
        let reason = "it is not the index of an OCI image layout; move it away".to_owned();
        entries.map(Some).ok_or(DepotError::Damaged { path, reason })
    }

    /// Copies a blob in, checked on the way.
    pub fn put(&self, digest: &Digest, file: &Path) -> Result<()> {
        let mut source = File::open(file).map_err(DepotError::file("read", file))?;
        let target = self.path(digest);
        let wrong = || DepotError::file("write", &target);
        let mut temp = self.unfinished(&target)?;
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; BUFFER]);
        loop {
            let length = source.read(&mut buffer).map_err(DepotError::file("read", file))?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
            temp.write_all(&buffer[..length]).map_err(wrong())?;
        }
        let actual = hasher.finish();
        if actual != *digest {
            return Err(DepotError::Digest { what: file.display().to_string(), expected: *digest, actual });
        }
        self.finish(temp, &target)
    }

    /// A manifest gets a name; what had it before has none any more.
    pub fn name(&self, tag: &str, manifest: &[u8]) -> Result<()> {
        let digest = Digest::of(manifest);
        self.replace(&self.path(&digest), manifest)?;
        let path = self.dir.join("index.json.lock");
        let _lock = Lock::acquire(&path).map_err(DepotError::file("lock", &path))?;
        readable(&path).map_err(DepotError::file("write", &path))?;
        let mut entries = self.index()?.unwrap_or_default();
        entries.retain(|entry| tag_of(entry) != Some(tag));
        entries.push(json!({
            "mediaType": crate::image::source::manifest::OCI_MANIFEST,
            "digest": digest.to_string(),
            "size": manifest.len(),
            "annotations": {REF_NAME: tag},
        }));
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        self.replace(&self.dir.join(INDEX), index.to_string().as_bytes())
    }

    fn replace(&self, target: &Path, bytes: &[u8]) -> Result<()> {
        let mut temp = self.unfinished(target)?;
        temp.write_all(bytes).map_err(DepotError::file("write", target))?;
        self.finish(temp, target)
    }

    fn unfinished(&self, target: &Path) -> Result<tempfile::NamedTempFile> {
        let parent = target.parent().unwrap_or(&self.dir);
        let temp = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(parent);
        temp.map_err(DepotError::file("write in", parent))
    }

    fn finish(&self, temp: tempfile::NamedTempFile, target: &Path) -> Result<()> {
        let wrong = || DepotError::file("write", target);
        readable(temp.path()).map_err(wrong())?;
        temp.as_file().sync_data().map_err(wrong())?;
        temp.persist(target).map_err(|error| wrong()(error.error))?;
        let parent = target.parent().unwrap_or(&self.dir);
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(DepotError::file("sync", parent))
    }

    /// Removes what nobody names: with `all` everything, without it what manifests of the type `kind` have left. Nothing
    /// while anybody else is at work here, nor where a document cannot be read.
    pub fn sweep(&self, kind: &str, all: bool) -> Result<()> {
        let Some(lock) = self.in_use.as_ref().filter(|lock| lock.try_lock().is_ok()) else { return Ok(()) };
        let swept = self.sweep_alone(kind, all);
        let _ = lock.unlock();
        swept
    }

    fn sweep_alone(&self, kind: &str, all: bool) -> Result<()> {
        let mut named = HashSet::new();
        for entry in self.index()?.unwrap_or_default() {
            if !self.mark(&entry, 0, &mut named) {
                return Ok(());
            }
        }
        let blobs = self.dir.join(BLOBS);
        let mut lost: HashSet<Digest> = HashSet::new();
        for entry in fs::read_dir(&blobs).map_err(DepotError::file("read", &blobs))? {
            let entry = entry.map_err(DepotError::file("read", &blobs))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UNFINISHED) {
                remove(&entry.path())?;
                continue;
            }
            let Some(digest) = Digest::from_hex(&name).filter(|digest| !named.contains(digest)) else { continue };
            if all {
                lost.insert(digest);
            } else if let Some(parts) = self.parts(&digest, kind) {
                lost.insert(digest);
                lost.extend(parts.into_iter().filter(|part| !named.contains(part)));
            }
        }
        lost.iter().try_for_each(|digest| remove(&self.path(digest)))
    }

    /// Whatever a descriptor leads to. `false` where that cannot be told.
    fn mark(&self, descriptor: &Value, depth: u32, named: &mut HashSet<Digest>) -> bool {
        let text = |key: &str| descriptor.get(key).and_then(Value::as_str);
        let Some(digest) = text("digest").and_then(|text| text.parse::<Digest>().ok()) else { return false };
        let is_document = text("mediaType").is_none_or(|kind| kind.contains(".manifest.") || kind.contains(".index."));
        if !named.insert(digest) || !is_document {
            return true;
        }
        let Ok(bytes) = self.small(&digest, MAX_MANIFEST) else { return false };
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { return false };
        let list = |key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let below = list("manifests").into_iter().chain(list("layers")).chain(value.get("config").cloned());
        let below: Vec<Value> = below.chain(value.get("subject").cloned()).filter(|value| !value.is_null()).collect();
        depth < 8 && below.iter().all(|value| self.mark(value, depth + 1, named))
    }

    /// What a manifest of the type `kind` consists of; `None` for any other blob.
    fn parts(&self, digest: &Digest, kind: &str) -> Option<Vec<Digest>> {
        let path = self.path(digest);
        let mut first = [0];
        open_plain(&path).ok()?.read_exact(&mut first).ok()?;
        if first != *b"{" {
            return None;
        }
        let bytes = self.small(digest, MAX_MANIFEST).ok()?;
        match document::parse(&bytes, kind).ok()? {
            document::Parsing::Own(manifest) => {
                let layers = manifest.layers.iter().map(|layer| layer.digest);
                Some(layers.chain([manifest.config.digest]).collect())
            }
            _ => None,
        }
    }
}

/// By everybody: whoever carries the directory elsewhere, as CI does, need not be root.
fn readable(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

fn tag_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
}

fn open_plain(path: &Path) -> Result<File> {
    state::open_plain(File::options().read(true), path).map_err(DepotError::file("read", path))
}

fn read_plain(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?.take(limit + 1).read_to_end(&mut bytes).map_err(DepotError::file("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(DepotError::Damaged { path: path.to_owned(), reason: format!("it has more than {limit} bytes") });
    }
    Ok(bytes)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DepotError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::depot::Part;

    const KIND: &str = "application/vnd.example.v1+json";

    fn put(directory: &Directory, bytes: &[u8]) -> Part {
        let file = directory.dir.join("given");
        fs::write(&file, bytes).unwrap();
        directory.put(&Digest::of(bytes), &file).unwrap();
        fs::remove_file(file).unwrap();
        Part { digest: Digest::of(bytes), size: bytes.len() as u64, media_type: "application/x".into() }
    }

    fn export(dir: &Path, tag: &str, config: &[u8], layers: &[&[u8]], all: bool) {
        let directory = Directory::write(dir).unwrap();
        let config = Part { media_type: KIND.into(), ..put(&directory, config) };
        let layers: Vec<Part> = layers.iter().map(|layer| put(&directory, layer)).collect();
        directory.name(tag, &document::write(&config, &layers)).unwrap();
        directory.sweep(KIND, all).unwrap();
    }

    #[test]
    fn everybody_can_carry_a_directory_elsewhere() {
        let top = tempfile::tempdir().unwrap();
        export(top.path(), "a", b"config", &[b"layer"], false);
        let mut left = vec![top.path().to_owned()];
        let mut files = 0;
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let data = fs::metadata(&path).unwrap();
                assert_eq!(data.permissions().mode() & 0o044, 0o044, "{}", path.display());
                if data.is_dir() { left.push(path) } else { files += 1 }
            }
        }
        assert_eq!(files, 7);
    }

    fn blobs(dir: &Path) -> usize {
        fs::read_dir(dir.join(BLOBS)).unwrap().count()
    }

    #[test]
    fn several_names_share_a_directory_and_what_a_name_leaves_goes() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path();
        export(dir, "a", b"config a", &[b"one", b"both"], false);
        export(dir, "b", b"config b", &[b"both", b"two"], false);
        let directory = Directory::read(dir).unwrap();
        assert_ne!(directory.named("a").unwrap(), directory.named("b").unwrap());
        assert!(matches!(directory.named("c"), Err(DepotError::NoTag(_))));
        drop(directory);
        assert_eq!(blobs(dir), 7);
        // `one` and the two documents of the old `a` are named by nobody.
        export(dir, "a", b"config c", &[b"three"], false);
        assert_eq!(blobs(dir), 7);
        let directory = Directory::read(dir).unwrap();
        assert!(directory.holds(&Digest::of(b"both"), 4) && !directory.holds(&Digest::of(b"one"), 3));
        // Who reads keeps everything.
        export(dir, "a", b"config d", &[], false);
        assert_eq!(blobs(dir), 9);
        drop(directory);
        fs::write(dir.join(BLOBS).join(".muster-half"), "x").unwrap();
        fs::write(dir.join(BLOBS).join(Digest::of(b"alone").hex()), "alone").unwrap();
        export(dir, "a", b"config d", &[], false);
        assert_eq!(blobs(dir), 7);
        export(dir, "a", b"config d", &[], true);
        assert_eq!(blobs(dir), 6);
    }

    #[test]
    fn what_others_have_in_the_index_stays_and_what_is_no_layout_is_not_touched() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path();
        let foreign = json!({"mediaType": "application/x.manifest.v1", "digest": Digest::of(b"x").to_string(),
            "size": 1, "annotations": {REF_NAME: "theirs"}, "note": 1});
        fs::write(dir.join(INDEX), json!({"schemaVersion": 2, "manifests": [foreign]}).to_string()).unwrap();
        export(dir, "a", b"config", &[b"old"], true);
        let index: Value = serde_json::from_slice(&fs::read(dir.join(INDEX)).unwrap()).unwrap();
        assert_eq!(index["manifests"][0], foreign);
        // What theirs leads to cannot be read: nothing is swept.
        export(dir, "a", b"config", &[b"new"], true);
        assert_eq!(blobs(dir), 5);
        fs::write(dir.join(INDEX), "text").unwrap();
        let error = Directory::write(dir).unwrap().name("a", b"{}").unwrap_err().to_string();
        assert!(error.contains("index of an OCI image layout"), "{error}");
        assert_eq!(fs::read(dir.join(INDEX)).unwrap(), b"text");
    }

    #[test]
    fn locks_are_plain_files() {
        let top = tempfile::tempdir().unwrap();
        let (dir, elsewhere) = (top.path().join("cache"), top.path().join("elsewhere"));
        export(&dir, "a", b"config", &[b"layer"], false);
        let lock = dir.join(IN_USE);
        let refused = || {
            let told = [Directory::read(&dir).map(drop), Directory::write(&dir).map(drop)];
            told.into_iter().all(|told| told.is_err_and(|error| error.to_string().contains("no plain file")))
        };
        let replace = |with: &dyn Fn(&Path)| {
            fs::remove_file(&lock).unwrap();
            with(&lock);
        };
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        replace(&|path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        });
        // With both ends open nobody waits, and a pipe that is taken for a lock is seen.
        let pipe = File::options().read(true).write(true).open(&lock).unwrap();
        assert!(refused());
        drop(pipe);
        replace(&|path| std::os::unix::fs::symlink(&elsewhere, path).unwrap());
        assert!(refused() && !elsewhere.exists());
        fs::remove_file(&lock).unwrap();
        assert!(Directory::read(&dir).unwrap().in_use.is_none());
        std::os::unix::fs::symlink(&elsewhere, dir.join("index.json.lock.new")).unwrap();
        fs::rename(dir.join("index.json.lock.new"), dir.join("index.json.lock")).unwrap();
        let error = Directory::write(&dir).unwrap().name("a", b"{}").unwrap_err().to_string();
        assert!(error.contains("no plain file") && !elsewhere.exists(), "{error}");
    }

    #[test]
    fn a_blob_is_a_plain_file_with_its_digest() {
        let top = tempfile::tempdir().unwrap();
        let directory = Directory::write(top.path()).unwrap();
        let digest = Digest::of(b"right");
        fs::write(top.path().join("given"), "wrong").unwrap();
        assert!(matches!(directory.put(&digest, &top.path().join("given")), Err(DepotError::Digest { .. })));
        assert!(!directory.holds(&digest, 5));
        std::os::unix::fs::symlink("/etc/passwd", directory.path(&digest)).unwrap();
        assert!(directory.blob(&digest).is_err() && directory.small(&digest, 100).is_err());
        fs::remove_file(directory.path(&digest)).unwrap();
        fs::write(directory.path(&digest), "wrong").unwrap();
        assert!(matches!(directory.small(&digest, 100), Err(DepotError::Digest { .. })));
        assert!(matches!(directory.small(&digest, 2), Err(DepotError::Damaged { .. })));
    }
}
