//! `bundle.json`: what a bundle holds. Pure.

use crate::image::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Of the format that this muster writes.
pub const VERSION: u64 = 1;
/// Bytes of an index; one of a thousand images has some 300 KiB.
pub const MAX_INDEX: u64 = 16 << 20;
/// Bytes of a model or a lock, as the loader bounds them.
pub const MAX_TEXT: u64 = 32 << 20;

/// The order of the fields is the order in the file: the version is what other versions look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Version of the format.
    pub muster_bundle: u64,
    pub project: String,
    /// What the images are for: `linux/amd64`
    pub platform: String,
    /// The Compose file.
    pub model: Blob,
    /// `compose.lock`
    pub lock: Blob,
    /// An archive of the files that services mount.
    pub files: Option<Blob>,
    pub images: Vec<ImageEntry>,
    pub volumes: Vec<VolumeEntry>,
    /// What has to be on the host: paths, external networks and volumes, in words.
    pub outside: Vec<String>,
    /// Every blob with its size.
    pub blobs: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// `sha256:...`
    pub digest: String,
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageEntry {
    /// As the model names it.
    pub image: String,
    /// Whole names that it gets.
    pub names: Vec<String>,
    /// Digest of its configuration.
    pub id: String,
    pub manifest: String,
    pub media_type: String,
    /// Bytes of its blobs.
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeEntry {
    /// The real name.
    pub name: String,
    pub external: bool,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: indexmap::IndexMap<String, String>,
    pub digest: String,
    pub size: u64,
}

/// Why a text is no index.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    Newer(u64),
    Malformed(String),
}

impl Index {
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let wrong = |error: serde_json::Error| Fault::Malformed(format!("its index: {error}"));
        #[derive(Deserialize)]
        struct Version {
            muster_bundle: u64,
        }
        let Version { muster_bundle } = serde_json::from_slice(bytes).map_err(wrong)?;
        if muster_bundle > VERSION {
            return Err(Fault::Newer(muster_bundle));
        }
        let index: Self = serde_json::from_slice(bytes).map_err(wrong)?;
        index.check().map(|()| index).map_err(Fault::Malformed)
    }

    fn check(&self) -> Result<(), String> {
        if !is_project(&self.project) {
            return Err(format!("{:?} is no name of a project", self.project));
        }
        let texts = [(&self.model, "model"), (&self.lock, "lock")];
        let parts = texts.into_iter().chain(self.files.as_ref().map(|files| (files, "files")));
        let parts = parts.map(|(blob, what)| (&blob.digest, blob.size, what.to_owned()));
        let volumes = self.volumes.iter().map(|v| (&v.digest, v.size, format!("volume {}", v.name)));
        for (digest, size, what) in parts.chain(volumes) {
            if self.blobs.get(digest) != Some(&size) {
                return Err(format!("the blob of its {what} is not listed with that size"));
            }
        }
        if let Some((_, what)) = texts.into_iter().find(|(blob, _)| blob.size > MAX_TEXT) {
            return Err(format!("its {what} is larger than {} MiB", MAX_TEXT >> 20));
        }
        for digest in self.blobs.keys().chain(self.images.iter().flat_map(|image| [&image.id, &image.manifest])) {
            digest.parse::<Digest>().map_err(|error| error.to_string())?;
        }
        if let Some(image) = self.images.iter().find(|image| !self.blobs.contains_key(&image.manifest)) {
            return Err(format!("the manifest of {} is not listed", image.image));
        }
        let names: BTreeSet<&str> = self.volumes.iter().map(|volume| volume.name.as_str()).collect();
        if names.len() < self.volumes.len() {
            return Err("it has a volume twice".into());
        }
        Ok(())
    }

    /// Bytes of all blobs.
    pub fn size(&self) -> u64 {
        self.blobs.values().fold(0, |sum, size| sum.saturating_add(*size))
    }
}

/// A name that becomes a directory: as Compose has it.
fn is_project(name: &str) -> bool {
    let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    name.len() <= 200
        && name.bytes().all(good)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub fn digest(of: &str) -> String {
        Digest::of(of.as_bytes()).to_string()
    }

    fn index() -> Value {
        json!({
            "muster_bundle": 1, "project": "shop", "platform": "linux/amd64",
            "model": {"digest": digest("model"), "size": 5}, "lock": {"digest": digest("lock"), "size": 4},
            "files": null, "images": [], "outside": [],
            "volumes": [{"name": "shop_data", "external": false, "labels": {}, "digest": digest("v"), "size": 1}],
            "blobs": {digest("model"): 5, digest("lock"): 4, digest("v"): 1},
        })
    }

    fn parse(index: &Value) -> Result<Index, Fault> {
        Index::parse(index.to_string().as_bytes())
    }

    #[test]
    fn a_whole_index_is_read_and_written_the_same() {
        let read = parse(&index()).unwrap();
        assert_eq!(Index::parse(&serde_json::to_vec(&read).unwrap()).unwrap(), read);
        assert!(serde_json::to_string(&read).unwrap().starts_with(r#"{"muster_bundle":1,"#));
    }

    #[test]
    fn what_is_no_index_is_told() {
        let mut newer = index();
        newer["muster_bundle"] = json!(7);
        newer["what"] = json!("nobody knows yet");
        assert_eq!(parse(&newer), Err(Fault::Newer(7)));
        for (pointer, value, why) in [
            ("/project", json!("../../etc"), "no name of a project"),
            ("/project", json!(""), "no name of a project"),
            ("/project", json!(".hidden"), "no name of a project"),
            ("/model/size", json!(6), "model is not listed"),
            ("/volumes/0/digest", json!(digest("other")), "volume shop_data is not listed"),
            ("/files", json!({"digest": digest("f"), "size": 1}), "files is not listed"),
            ("/blobs", json!({"sha256:x": 1}), "is not listed"),
            ("/muster_bundle", json!("1"), "its index"),
            ("/surprise", json!(1), "unknown field"),
        ] {
            let mut broken = index();
            match broken.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => broken["surprise"] = value,
            }
            let told = parse(&broken).unwrap_err();
            assert!(matches!(&told, Fault::Malformed(reason) if reason.contains(why)), "{pointer}: {told:?}");
        }
    }
}
