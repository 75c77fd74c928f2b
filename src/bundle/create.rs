//! Writes a bundle. What is to be in it is gathered first, since the index stands before it; the file gets its name when it
//! is whole and on disk. The same input gives the same bytes.

use super::{
    error::BundleError,
    index::{Blob, ImageEntry, Index, VERSION, VolumeEntry},
    pack,
};
use crate::{
    image::{self, Digest, Hold, Reference, Store, digest::Hasher},
    state::{self, Layout},
    volume::Volumes,
};
use ::tar::{Builder, EntryType, Header};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A bundle that is being gathered.
pub struct Draft {
    target: PathBuf,
    directory: PathBuf,
    store: Store,
    volumes: Volumes,
    /// Nothing leaves the store meanwhile.
    _hold: Hold,
    index: Index,
    blobs: BTreeMap<Digest, Source>,
}

enum Source {
    Text(Vec<u8>),
    /// Without a name on disk: it is gone when this is.
    Spool(File),
    Store(u64),
}

impl Draft {
    /// # Errors
    /// There is something at `target`, and `overwrite` is not set; or no file can be made there.
    pub fn begin(
        target: &Path,
        overwrite: bool,
        layout: &Layout,
        project: &str,
        platform: &str,
    ) -> Result<Self, BundleError> {
        match fs::symlink_metadata(target) {
            Ok(data) if !overwrite || !data.is_file() => return Err(BundleError::Exists { path: target.to_owned() }),
            _ => {}
        }
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let store = Store::open(layout)?;
        let blank = || Blob { digest: String::new(), size: 0 };
        Ok(Self {
            target: target.to_owned(),
            directory: directory.to_owned(),
            _hold: store.hold()?,
            store,
            volumes: Volumes::new(layout),
            index: Index {
                muster_bundle: VERSION,
                project: project.to_owned(),
                platform: platform.to_owned(),
                model: blank(),
                lock: blank(),
                files: None,
                images: Vec::new(),
                volumes: Vec::new(),
                outside: Vec::new(),
                blobs: BTreeMap::new(),
            },
            blobs: BTreeMap::new(),
        })
    }

    /// Takes the files at `selected` below `root` along; answers the digest by which the model finds them.
    pub fn files(&mut self, root: &Path, selected: &[PathBuf]) -> Result<String, BundleError> {
        let (digest, size) = self.spool(root, selected)?;
        self.index.files = Some(Blob { digest: digest.to_string(), size });
        Ok(digest.to_string())
    }

    /// Takes an image of the store along, which the model calls `image`; answers the digest of its manifest.
    pub fn image(
        &mut self,
        image: &str,
        reference: &Reference,
        names: impl Fn(Digest) -> Vec<Reference>,
    ) -> Result<Digest, BundleError> {
        let carried = image::carried(&self.store, reference)?;
        let size = carried.blobs.values().sum();
        self.blobs.extend(carried.blobs.iter().map(|(digest, size)| (*digest, Source::Store(*size))));
        self.index.images.push(ImageEntry {
            image: image.to_owned(),
            names: names(carried.manifest).iter().map(Reference::to_string).collect(),
            id: carried.id.to_string(),
            manifest: carried.manifest.to_string(),
            media_type: carried.media_type,
            size,
        });
        Ok(carried.manifest)
    }

    /// The image that has a manifest: `sha256:...`.
    pub fn id_of(&self, manifest: &Digest) -> Option<String> {
        let manifest = manifest.to_string();
        self.index.images.iter().find(|image| image.manifest == manifest).map(|image| image.id.clone())
    }

    /// Takes along what is in a volume. `false` where there is no such volume.
    pub fn volume(&mut self, name: &str, external: bool) -> Result<bool, BundleError> {
        let Some(record) = self.volumes.find(name)? else { return Ok(false) };
        let (digest, size) = self.spool(&self.volumes.data(name), &[PathBuf::new()])?;
        let entry =
            VolumeEntry { name: name.to_owned(), external, labels: record.labels, digest: digest.to_string(), size };
        self.index.volumes.push(entry);
        Ok(true)
    }

    /// Something that has to be on the host.
    pub fn outside(&mut self, what: String) {
        self.index.outside.push(what);
    }

    /// Writes the file.
    pub fn finish(mut self, model: Vec<u8>, lock: Vec<u8>) -> Result<Index, BundleError> {
        self.index.model = self.text(model);
        self.index.lock = self.text(lock);
        self.index.images.sort_by(|a, b| a.image.cmp(&b.image));
        self.index.volumes.sort_by(|a, b| a.name.cmp(&b.name));
        self.index.outside.sort();
        for (digest, source) in &self.blobs {
            let size = match source {
                Source::Text(text) => text.len() as u64,
                Source::Spool(file) => file.metadata().map_err(BundleError::io("read", &self.directory))?.len(),
                Source::Store(size) => *size,
            };
            self.index.blobs.insert(digest.to_string(), size);
        }
        let wrong = |verb| BundleError::io(verb, &self.target);
        // It may hold secrets.
        let draft = state::Draft::beside(&self.target, 0o600).map_err(BundleError::io("write in", &self.directory))?;
        self.write(io::BufWriter::with_capacity(1 << 20, draft.file()))?;
        draft.file().sync_all().map_err(wrong("sync"))?;
        draft.place().map_err(wrong("write"))?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(wrong("sync"))?;
        Ok(self.index)
    }

    fn text(&mut self, text: Vec<u8>) -> Blob {
        let (digest, size) = (Digest::of(&text), text.len() as u64);
        self.blobs.insert(digest, Source::Text(text));
        Blob { digest: digest.to_string(), size }
    }

    /// Packs and compresses into a file beside the target.
    fn spool(&mut self, root: &Path, selected: &[PathBuf]) -> Result<(Digest, u64), BundleError> {
        let beside = BundleError::io("write in", &self.directory);
        let file = tempfile::tempfile_in(&self.directory).map_err(beside)?;
        let metered = Metered { inner: file, hasher: Hasher::default(), count: 0 };
        let mut encoder = GzEncoder::new(metered, Compression::fast());
        let packed = pack::pack(root, selected, &mut encoder).and_then(|()| encoder.finish());
        let Metered { inner: mut file, hasher, count } = packed.map_err(BundleError::io("pack", root))?;
        let digest = hasher.finish();
        file.seek(SeekFrom::Start(0)).map_err(BundleError::io("read", &self.directory))?;
        self.blobs.insert(digest, Source::Spool(file));
        Ok((digest, count))
    }

    fn write(&self, out: impl Write) -> Result<(), BundleError> {
        let wrong = |error: io::Error| BundleError::io("write", &self.target)(error);
        let mut archive = Builder::new(out);
        let mut index = serde_json::to_vec(&self.index).map_err(|error| wrong(error.into()))?;
        index.push(b'\n');
        append(&mut archive, "bundle.json", index.len() as u64, &index[..]).map_err(wrong)?;
        for (digest, source) in &self.blobs {
            let name = format!("blobs/sha256/{}", digest.hex());
            match source {
                Source::Text(text) => append(&mut archive, &name, text.len() as u64, &text[..]).map_err(wrong)?,
                Source::Spool(file) => {
                    let size = file.metadata().map_err(wrong)?.len();
                    append(&mut archive, &name, size, file).map_err(wrong)?;
                }
                Source::Store(size) => {
                    let file = self.store.open_blob(digest)?;
                    let mut source = Metered { inner: file, hasher: Hasher::default(), count: 0 };
                    append(&mut archive, &name, *size, &mut source).map_err(wrong)?;
                    // What a bad disk made of it must not spread.
                    if source.hasher.finish() != *digest {
                        let reason = format!("blob {digest} of the image store does not have its digest");
                        return Err(BundleError::malformed(&self.target, reason));
                    }
                }
            }
        }
        for (name, document) in [("index.json", self.layout()), ("oci-layout", json!({"imageLayoutVersion": "1.0.0"}))]
        {
            let text = document.to_string();
            append(&mut archive, name, text.len() as u64, text.as_bytes()).map_err(wrong)?;
        }
        archive.into_inner().and_then(|mut out| out.flush()).map_err(wrong)
    }

    /// The images as other tools look for them.
    fn layout(&self) -> serde_json::Value {
        let manifests = self.index.images.iter().map(|image| {
            let mut notes = json!({"org.opencontainers.image.ref.name": image.image});
            // A name with a tag, if there is one.
            if let Some(name) = image.names.iter().find(|name| !name.contains('@')) {
                notes["io.containerd.image.name"] = json!(name);
            }
            json!({
                "mediaType": image.media_type,
                "digest": image.manifest,
                "size": self.index.blobs.get(&image.manifest),
                "annotations": notes,
            })
        });
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests.collect::<Vec<_>>(),
        })
    }
}

fn append(archive: &mut Builder<impl Write>, name: &str, size: u64, data: impl Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut data = data.take(size);
    archive.append_data(&mut header, name, &mut data)?;
    if data.limit() > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

struct Metered<T> {
    inner: T,
    hasher: Hasher,
    count: u64,
}

impl<T: Write> Write for Metered<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.count += length as u64;
        Ok(length)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Metered<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.count += length as u64;
        Ok(length)
    }
}
