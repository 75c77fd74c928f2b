//! Writes OCI image layouts around the busybox root, so that tests have images with a configuration of their own.

use super::ground::Ground;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

pub struct Layout {
    directory: PathBuf,
    layers: Vec<Value>,
    diffs: Vec<String>,
}

impl Layout {
    /// A layout with busybox as its first layer.
    pub fn busybox(ground: &Ground, directory: &Path) -> Self {
        let mut layout = Self { directory: directory.to_owned(), layers: Vec::new(), diffs: Vec::new() };
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        tar.follow_symlinks(false);
        tar.append_dir_all(".", ground.rootfs()).unwrap();
        layout.add(tar.into_inner().unwrap());
        layout
    }

    /// Another layer: directories end in `/`, files have their content.
    pub fn layer(mut self, files: &[(&str, &str)]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            let directory = path.ends_with('/');
            header.set_entry_type(if directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
            header.set_mode(if directory { 0o755 } else { 0o644 });
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        self.add(tar.into_inner().unwrap());
        self
    }

    fn add(&mut self, tar: Vec<u8>) {
        self.diffs.push(digest(&tar));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let descriptor = self.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip.finish().unwrap());
        self.layers.push(descriptor);
    }

    /// Finishes the layout with the `config` of the image; answers what a compose file calls it.
    pub fn finish(self, config: &Value) -> String {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let image = json!({
            "architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": self.diffs},
        });
        let config = self.blob("application/vnd.oci.image.config.v1+json", image.to_string().as_bytes());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": self.layers});
        let manifest = self.blob(kind, manifest.to_string().as_bytes());
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [manifest]});
        fs::write(self.directory.join("index.json"), index.to_string()).unwrap();
        fs::write(self.directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        format!("oci:{}", self.directory.display())
    }

    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        fs::write(self.directory.join("blobs/sha256").join(&digest["sha256:".len()..]), bytes).unwrap();
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    }
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
