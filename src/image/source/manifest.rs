//! Manifests and indexes, OCI's and Docker's (schema 2). Checked for what they are, not for what a header calls them: a
//! document that could be read as both an index and a manifest is refused (CVE-2021-41190).

use crate::image::digest::{Digest, DigestError};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};

/// The kinds of document that a registry is asked for.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// Bytes of a manifest or an index; registries have the same limit.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Bytes of a configuration.
pub const MAX_CONFIG: u64 = 8 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("its manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its manifest can be read as two kinds of document at once, which only an attack needs")]
    Ambiguous,
    #[error("its manifest is of version {0}, and only 2 is supported")]
    Version(u64),
    #[error("it is a `{0}`")]
    Artifact(String),
    #[error("a layer is of type `{0}`, which is not supported")]
    LayerType(String),
    #[error(transparent)]
    Digest(#[from] DigestError),
}

pub enum Parsed {
    Index(Vec<Descriptor>),
    Image(Manifest),
}

pub struct Manifest {
    pub media_type: String,
    pub config: Blob,
    pub layers: Vec<Blob>,
}

/// What a manifest says about a blob.
#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
}

impl Blob {
    pub fn of(descriptor: &Descriptor) -> Result<Self, DigestError> {
        Ok(Self {
            digest: descriptor.digest().as_ref().parse()?,
            size: descriptor.size(),
            media_type: descriptor.media_type().to_string(),
        })
    }
}

/// `declared` is the Content-Type or the type in the descriptor that led here, when there was one.
pub fn parse(bytes: &[u8], declared: Option<&str>) -> Result<Parsed, ManifestError> {
    let value: serde_json::Value = serde_json::from_slice(bytes)?;
    let has = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
    match value.get("schemaVersion").and_then(serde_json::Value::as_u64) {
        Some(2) => {}
        other => return Err(ManifestError::Version(other.unwrap_or(0))),
    }
    let is_index = has("manifests");
    if is_index && (has("layers") || has("config") || has("fsLayers")) {
        return Err(ManifestError::Ambiguous);
    }
    let own = value.get("mediaType").and_then(serde_json::Value::as_str);
    for name in [own, declared].into_iter().flatten() {
        let known_manifest = name == OCI_MANIFEST || name == DOCKER_MANIFEST;
        if (is_index && known_manifest) || (!is_index && INDEXES.contains(&name)) {
            return Err(ManifestError::Ambiguous);
        }
    }
    if is_index {
        let index: ImageIndex = serde_json::from_value(value)?;
        return Ok(Parsed::Index(index.manifests().clone()));
    }
    let media_type = own.or(declared).unwrap_or(OCI_MANIFEST).to_owned();
    Manifest::from_value(value, media_type).map(Parsed::Image)
}

impl Manifest {
    /// One of the store's own blobs.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        match parse(bytes, None)? {
            Parsed::Image(manifest) => Ok(manifest),
            Parsed::Index(_) => Err(ManifestError::Ambiguous),
        }
    }

    fn from_value(value: serde_json::Value, media_type: String) -> Result<Self, ManifestError> {
        let manifest: ImageManifest = serde_json::from_value(value)?;
        let config = Blob::of(manifest.config())?;
        if config.media_type != OCI_CONFIG && config.media_type != DOCKER_CONFIG {
            return Err(ManifestError::Artifact(config.media_type));
        }
        let layers = manifest.layers().iter().map(Blob::of).collect::<Result<Vec<_>, _>>()?;
        if let Some(layer) = layers.iter().find(|layer| !is_layer(&layer.media_type)) {
            return Err(ManifestError::LayerType(layer.media_type.clone()));
        }
        Ok(Self { media_type, config, layers })
    }
}

/// A tar, compressed in whatever way: the content tells which. Foreign (Windows) and encrypted layers are others.
fn is_layer(media_type: &str) -> bool {
    let suffix = |base: &str| media_type.strip_prefix(base).map(str::to_owned);
    let oci = suffix(OCI_LAYER).or_else(|| suffix("application/vnd.oci.image.layer.nondistributable.v1.tar"));
    match (oci, suffix(DOCKER_LAYER)) {
        (Some(suffix), _) => matches!(suffix.as_str(), "" | "+gzip" | "+zstd"),
        (None, Some(suffix)) => matches!(suffix.as_str(), "" | ".gzip" | ".zstd"),
        (None, None) => false,
    }
}

/// The manifest of an image that came without one.
pub fn build(config: &Blob, layers: &[Blob]) -> Vec<u8> {
    let blob = |blob: &Blob| serde_json::json!({"mediaType": blob.media_type, "digest": blob.digest.to_string(), "size": blob.size});
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(config),
        "layers": layers.iter().map(blob).collect::<Vec<_>>(),
    });
    manifest.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(config: &str, layer: &str) -> String {
        let digest = Digest::of(b"");
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{digest}","size":1}},
            "layers":[{{"mediaType":"{layer}","digest":"{digest}","size":2}}]}}"#
        )
    }

    fn error(text: &str, declared: Option<&str>) -> String {
        parse(text.as_bytes(), declared).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn both_families_are_read() {
        for (config, layer) in [
            (OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+gzip"),
            (OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd"),
            (OCI_CONFIG, OCI_LAYER),
            (DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
            (DOCKER_CONFIG, DOCKER_LAYER),
        ] {
            let manifest = Manifest::parse(image(config, layer).as_bytes()).unwrap();
            assert_eq!((manifest.config.size, manifest.layers[0].size), (1, 2));
        }
        let built = build(
            &Blob { digest: Digest::of(b"c"), size: 1, media_type: OCI_CONFIG.into() },
            &[Blob { digest: Digest::of(b"l"), size: 2, media_type: OCI_LAYER.into() }],
        );
        assert_eq!(Manifest::parse(&built).unwrap().layers[0].digest, Digest::of(b"l"));
    }

    #[test]
    fn a_document_of_two_kinds_is_refused() {
        let both = image(OCI_CONFIG, OCI_LAYER).replace(r#""layers""#, r#""manifests":[],"layers""#);
        assert!(error(&both, None).contains("two kinds"));
        let plain = image(OCI_CONFIG, OCI_LAYER);
        assert!(error(&plain, Some(INDEXES[0])).contains("two kinds"));
        assert!(error(r#"{"schemaVersion":2,"manifests":[]}"#, Some(OCI_MANIFEST)).contains("two kinds"));
        assert!(
            error(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
                None
            )
            .contains("two kinds")
        );
        assert_eq!(error(&plain, Some("application/json")), "");
    }

    #[test]
    fn what_is_no_image_is_named() {
        assert!(error(&image("application/vnd.cncf.helm.config.v1+json", OCI_LAYER), None).contains("helm"));
        let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
        assert!(error(&image(OCI_CONFIG, encrypted), None).contains("encrypted"));
        assert!(error(r#"{"schemaVersion":1,"fsLayers":[]}"#, None).contains("version 1"));
        assert!(error("<html>", None).contains("cannot be read"));
        assert!(!error(&image(OCI_CONFIG, OCI_LAYER).replace("sha256:e3", "sha256:zz"), None).is_empty());
    }
}
