//! What a manifest is, by what stands in it.

use super::{DepotError, Part, Result};
use crate::image::{
    platform,
    source::manifest::{self, Blob, ManifestError, OCI_CONFIG, Parsed},
};
use oci_spec::image::{Descriptor, ImageManifest};
use serde_json::Value;

const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A manifest without layers has this one, the two bytes `{}` (image-spec, "Guidance for an Empty Descriptor"): older
/// registries refuse an empty list.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

pub enum Parsing {
    /// Of the wanted kind.
    Own(Manifest),
    Image(Manifest),
    /// An index: what this machine wants of it.
    Next(Blob),
    Foreign(String),
}

pub struct Manifest {
    pub config: Blob,
    pub layers: Vec<Part>,
}

/// `wanted` is the media type of a configuration.
pub fn parse(bytes: &[u8], wanted: &str) -> Result<Parsing> {
    let value: Value = serde_json::from_slice(bytes).map_err(ManifestError::from)?;
    if value.get("manifests").is_some_and(|value| !value.is_null()) {
        return match manifest::parse(bytes, None)? {
            Parsed::Index(entries) => next(&entries),
            Parsed::Image(_) => Err(ManifestError::Ambiguous.into()),
        };
    }
    match value.get("schemaVersion").and_then(Value::as_u64) {
        Some(2) => {}
        other => return Err(ManifestError::Version(other.unwrap_or(0)).into()),
    }
    let manifest: ImageManifest = serde_json::from_value(value).map_err(ManifestError::from)?;
    let blob = |descriptor: &Descriptor| Blob::of(descriptor).map_err(ManifestError::from);
    let config = blob(manifest.config())?;
    let kind = config.media_type.clone();
    if kind != wanted && kind != OCI_CONFIG && kind != DOCKER_CONFIG {
        return Ok(Parsing::Foreign(kind));
    }
    let layers = manifest.layers().iter().map(|layer| blob(layer).map(Part::from)).collect::<Result<_, _>>()?;
    let manifest = Manifest { config, layers };
    Ok(if kind == wanted { Parsing::Own(manifest) } else { Parsing::Image(manifest) })
}

/// An index may be that of an image for several platforms, or, as BuildKit writes them, a list of blobs that are no
/// manifests.
fn next(entries: &[Descriptor]) -> Result<Parsing> {
    let types = || entries.iter().map(|entry| entry.media_type().to_string());
    let is_document = |kind: &String| kind.contains(".manifest.") || kind.contains(".index.");
    let is_layer = |kind: &String| kind.contains(".layer.") || kind.contains(".rootfs.diff.");
    if let Some(kind) = types().find(|kind| !is_document(kind) && !is_layer(kind)) {
        return Ok(Parsing::Foreign(kind));
    }
    let chosen = platform::choose(entries, &platform::host()).or(match entries {
        [entry] if entry.platform().is_none() => Some(entry),
        _ => None,
    });
    match chosen {
        Some(entry) => Ok(Parsing::Next(Blob::of(entry).map_err(ManifestError::from)?)),
        None => Err(DepotError::NoPlatform { wanted: platform::host_name(), available: platform::names(entries) }),
    }
}

/// A manifest of our own kind.
pub fn write(config: &Part, layers: &[Part]) -> Vec<u8> {
    let layers: Vec<Blob> = layers.iter().map(Blob::from).collect();
    manifest::build(&config.into(), &layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Digest, source::manifest::OCI_MANIFEST};
    use serde_json::json;

    const OWN: &str = "application/vnd.example.v1+json";

    fn part(kind: &str) -> Part {
        Part { digest: Digest::of(kind.as_bytes()), size: 3, media_type: kind.into() }
    }

    fn kind(bytes: &[u8]) -> String {
        match parse(bytes, OWN) {
            Ok(Parsing::Own(manifest)) => format!("own, {} layers", manifest.layers.len()),
            Ok(Parsing::Image(_)) => "image".into(),
            Ok(Parsing::Next(blob)) => format!("next {}", blob.size),
            Ok(Parsing::Foreign(kind)) => format!("foreign {kind}"),
            Err(error) => error.to_string(),
        }
    }

    fn index(entries: &[Value]) -> Vec<u8> {
        json!({"schemaVersion": 2, "manifests": entries}).to_string().into_bytes()
    }

    fn entry(kind: &str, platform: Option<&str>) -> Value {
        let mut entry = json!({"mediaType": kind, "digest": Digest::of(b"x").to_string(), "size": 7});
        if let Some(architecture) = platform {
            entry["platform"] = json!({"os": "linux", "architecture": architecture});
        }
        entry
    }

    #[test]
    fn a_document_is_told_by_its_configuration() {
        let layer = part("application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(kind(&write(&part(OWN), &[layer.clone(), layer.clone()])), "own, 2 layers");
        assert_eq!(kind(&write(&part(OCI_CONFIG), std::slice::from_ref(&layer))), "image");
        let buildkit = "application/vnd.buildkit.cacheconfig.v0";
        assert_eq!(kind(&write(&part(buildkit), &[])), format!("foreign {buildkit}"));
        assert_eq!(kind(b"{\"schemaVersion\":1}"), "its manifest is of version 1, and only 2 is supported");
        assert!(kind(b"<html>").contains("cannot be read"));
    }

    #[test]
    fn an_index_leads_to_this_machines_manifest_or_is_a_list_of_blobs() {
        let here = platform::host_name();
        let here = here.split('/').nth(1).unwrap();
        assert_eq!(kind(&index(&[entry(OCI_MANIFEST, Some("none")), entry(OCI_MANIFEST, Some(here))])), "next 7");
        assert_eq!(kind(&index(&[entry(OCI_MANIFEST, None)])), "next 7");
        assert!(kind(&index(&[entry(OCI_MANIFEST, Some("none"))])).contains("it has linux/none"));
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let buildkit = "application/vnd.buildkit.cacheconfig.v0";
        assert_eq!(kind(&index(&[entry(layer, None), entry(buildkit, None)])), format!("foreign {buildkit}"));
        let both = json!({"schemaVersion": 2, "manifests": [], "layers": []}).to_string();
        assert!(kind(both.as_bytes()).contains("two kinds"));
    }
}
