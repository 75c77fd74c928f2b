//! From the store to an archive that is two things at once, as what `docker save` writes is: an OCI image layout, and
//! by its `manifest.json` what older tools load.
//!
//! ```text
//! oci-layout, index.json          the layout; an entry a name
//! blobs/sha256/<hex>              manifests, configurations, layers as they came
//! manifest.json                   configuration, names and layers of each image, by path
//! ```
//!
//! The same images give the same bytes.

use super::{
    digest::{Digest, Hasher},
    error::{ImageError, Result},
    reference::Reference,
    source::manifest::Blob,
    store::Store,
};
use ::tar::{Builder, EntryType, Header};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const FULL_NAME: &str = "io.containerd.image.name";

/// Writes the images with these names; one by its id comes without a name. Blocks.
pub fn save(store: &Store, references: &[Reference], out: impl Write) -> Result<()> {
    let _hold = store.hold()?;
    let mut archive = Archive { builder: Builder::new(out), written: BTreeMap::new() };
    let (mut index, mut items): (Vec<Value>, BTreeMap<Digest, Item>) = (Vec::new(), BTreeMap::new());
    let mut order = Vec::new();
    for reference in references {
        let entry = store.entry(reference)?;
        let (bytes, manifest) = store.manifest(&entry)?;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            archive.blob(store, blob)?;
        }
        archive.blob(
            store,
            &Blob { digest: entry.manifest, size: bytes.len() as u64, media_type: manifest.media_type.clone() },
        )?;
        let mut descriptor = json!({
            "mediaType": manifest.media_type,
            "digest": entry.manifest.to_string(),
            "size": bytes.len(),
        });
        let item = items.entry(entry.manifest).or_insert_with(|| {
            order.push(entry.manifest);
            Item { config: manifest.config.digest, layers: manifest.layers.clone(), names: Vec::new() }
        });
        if let Reference::Registry(name) = reference {
            let mut notes = json!({FULL_NAME: name.to_string()});
            if let Some(tag) = name.tag() {
                notes[REF_NAME] = tag.into();
                item.names.push(name.familiar());
            }
            descriptor["annotations"] = notes;
        }
        index.push(descriptor);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": index,
    });
    let list: Vec<Value> = order.iter().filter_map(|digest| items.get(digest)).map(Item::describe).collect();
    archive.document("index.json", &index)?;
    archive.document("manifest.json", &Value::Array(list))?;
    archive.document("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
    let mut out = archive.builder.into_inner().map_err(written)?;
    out.flush().map_err(written)
}

struct Item {
    config: Digest,
    layers: Vec<Blob>,
    names: Vec<String>,
}

impl Item {
    fn describe(&self) -> Value {
        let names = if self.names.is_empty() { Value::Null } else { json!(self.names) };
        let layers: Vec<String> = self.layers.iter().map(|layer| path_of(&layer.digest)).collect();
        json!({"Config": path_of(&self.config), "RepoTags": names, "Layers": layers})
    }
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

struct Archive<W: Write> {
    builder: Builder<W>,
    written: BTreeMap<Digest, ()>,
}

impl<W: Write> Archive<W> {
    /// Copies a blob once, and checks it on the way: what a bad disk made of it must not spread.
    fn blob(&mut self, store: &Store, blob: &Blob) -> Result<()> {
        if self.written.insert(blob.digest, ()).is_some() {
            return Ok(());
        }
        let path = store.blob_file(&blob.digest);
        let file = File::open(&path).map_err(ImageError::store("read", &path))?;
        let size = file.metadata().map_err(ImageError::store("read", &path))?.len();
        let mut source = Hashing { source: file, hasher: Hasher::default() };
        self.builder.append_data(&mut header(size), path_of(&blob.digest), &mut source).map_err(written)?;
        if source.hasher.finish() != blob.digest {
            return Err(ImageError::Damaged { path, reason: "it does not have its digest".into() });
        }
        Ok(())
    }

    fn document(&mut self, name: &str, value: &Value) -> Result<()> {
        let text = value.to_string();
        self.builder.append_data(&mut header(text.len() as u64), name, text.as_bytes()).map_err(written)
    }
}

fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header
}

fn written(source: io::Error) -> ImageError {
    ImageError::Write { source }
}

struct Hashing<R> {
    source: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
