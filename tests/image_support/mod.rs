//! Images made in memory, and the small servers that the image tests pull them from.
#![allow(dead_code, clippy::unwrap_used)]

pub mod debian;
pub mod http;

use flate2::{Compression, write::GzEncoder};
use muster::{
    image::{Credentials, Digest, Image, ImageError, Reference, Store, ensure, progress},
    model::PullPolicy,
    state::Layout,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A store of its own, gone with the test.
pub struct Host {
    pub dir: TempDir,
    pub store: Store,
}

impl Host {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Self::layout_of(dir.path())).unwrap();
        Self { dir, store }
    }
    fn layout_of(dir: &Path) -> Layout {
        Layout::new(dir.join("data"), dir.join("run"))
    }
    /// The same store, as another process would open it.
    pub fn again(&self) -> Store {
        Store::open(&Self::layout_of(self.dir.path())).unwrap()
    }
    pub fn images(&self) -> PathBuf {
        self.dir.path().join("data/images")
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Names in a directory of the store, sorted.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.images().join(directory)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
    /// Unpacked layers, without the notes beside them.
    pub fn layers(&self) -> Vec<String> {
        self.names("layers").into_iter().filter(|name| !name.ends_with(".size") && name != "empty").collect()
    }
    pub async fn get(&self, reference: &str) -> Result<Image, ImageError> {
        self.get_as(reference, PullPolicy::Missing, &Credentials::none()).await
    }
    pub async fn get_as(&self, name: &str, policy: PullPolicy, login: &Credentials) -> Result<Image, ImageError> {
        ensure(&self.store, &Reference::parse(name)?, policy, login, progress::silent()).await
    }
    pub fn find(&self, reference: &str) -> Option<Image> {
        self.store.find(&Reference::parse(reference).unwrap()).unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// One layer, ready to be stored or sent.
#[derive(Clone)]
pub struct Layer {
    pub tar: Vec<u8>,
    pub blob: Vec<u8>,
    pub media_type: &'static str,
}

/// A layer of text files.
pub fn layer(files: &[(&str, &str)], packing: Packing) -> Layer {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let (blob, media_type) = match packing {
        Packing::Plain => (tar.clone(), "application/vnd.oci.image.layer.v1.tar"),
        Packing::Gzip => (gzip(&tar), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        Packing::Zstd => {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            (ruzstd::encoding::compress_to_vec(&tar[..], level), "application/vnd.oci.image.layer.v1.tar+zstd")
        }
    };
    Layer { tar, blob, media_type }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A whole image: blobs by digest, and the manifest.
#[derive(Clone)]
pub struct Made {
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
    pub layers: Vec<Layer>,
}

impl Made {
    pub fn new(layers: Vec<Layer>, config: Value) -> Self {
        Self::for_platform("amd64", layers, config)
    }

    pub fn for_platform(architecture: &str, layers: Vec<Layer>, config: Value) -> Self {
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(&layer.tar)).collect();
        let config = json!({"architecture": architecture, "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": config, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []});
        Self::with_config(layers, config.to_string().into_bytes())
    }

    pub fn with_config(layers: Vec<Layer>, config: Vec<u8>) -> Self {
        let descriptors: Vec<Value> = layers.iter().map(|layer| descriptor(layer.media_type, &layer.blob)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config), "layers": descriptors});
        Self { config, manifest: manifest.to_string().into_bytes(), layers }
    }

    pub fn id(&self) -> String {
        digest(&self.config)
    }

    pub fn blobs(&self) -> Vec<&[u8]> {
        self.layers.iter().map(|layer| &layer.blob[..]).chain([&self.config[..]]).collect()
    }

    /// An entry of an index, with what is beside type, digest and size.
    pub fn entry(&self, more: Value) -> Value {
        let mut entry = descriptor(OCI_MANIFEST, &self.manifest);
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    }

    /// As `docker save` wrote it before version 25: layers by directory, shared ones linked.
    pub fn docker_archive(images: &[(&Self, &[&str])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes).unwrap();
        };
        let mut items = Vec::new();
        let mut links = Vec::new();
        let mut seen: Vec<(Vec<u8>, String)> = Vec::new();
        for (number, (image, names)) in images.iter().enumerate() {
            let config = format!("{}.json", &image.id()[7..]);
            add(&config, &image.config);
            let mut paths = Vec::new();
            for (position, layer) in image.layers.iter().enumerate() {
                let path = format!("{number}-{position}/layer.tar");
                match seen.iter().find(|(blob, _)| *blob == layer.blob) {
                    Some((_, first)) => links.push((path.clone(), format!("../{first}"))),
                    None => {
                        add(&path, &layer.blob);
                        seen.push((layer.blob.clone(), path.clone()));
                    }
                }
                paths.push(path);
            }
            items.push(json!({"Config": config, "RepoTags": names, "Layers": paths}));
        }
        add("manifest.json", json!(items).to_string().as_bytes());
        for (path, target) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, target).unwrap();
        }
        builder.into_inner().unwrap()
    }
}

pub fn index(entries: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string().into_bytes()
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

pub fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// Writes an OCI layout.
pub fn write_layout(dir: &Path, index: &[u8], blobs: &[&[u8]]) {
    let sha = dir.join("blobs/sha256");
    fs::create_dir_all(&sha).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for blob in blobs {
        fs::write(sha.join(&digest(blob)[7..]), blob).unwrap();
    }
    fs::write(dir.join("index.json"), index).unwrap();
}

/// A layout with one image under one tag.
pub fn write_image(dir: &Path, image: &Made, tag: &str) {
    let entry = image.entry(json!({"annotations": {"org.opencontainers.image.ref.name": tag}}));
    let blobs: Vec<&[u8]> = image.blobs().into_iter().chain([&image.manifest[..]]).collect();
    write_layout(dir, &index(&[entry]), &blobs);
}

/// The tar of a directory.
pub fn tar_of(dir: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", dir).unwrap();
    builder.into_inner().unwrap()
}

/// The content of a file as the uppermost layer that has it shows it.
pub fn read(image: &Image, name: &str) -> String {
    let layer = image.layers.iter().find(|layer| layer.join(name).exists());
    fs::read_to_string(layer.unwrap_or_else(|| panic!("no layer has {name}")).join(name)).unwrap()
}

/// An image of this machine's platform with one layer, which holds `hello`.
pub fn hello(text: &str) -> Made {
    let layers = vec![layer(&[("hello", text)], Packing::Gzip)];
    Made::for_platform(host_architecture(), layers, json!({"Cmd": ["cat", "/hello"]}))
}

pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Text that gzip makes little of.
pub fn noise(length: usize) -> String {
    let mut state = 1u64;
    let letter = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + (*state >> 57) as u8 % 95)
    };
    (0..length).map(|_| letter(&mut state)).collect()
}
