//! The digest that a registry holds for a name right now, without fetching the image.

use super::{
    credentials::Credentials,
    digest::Digest,
    error::Result,
    progress,
    reference::{Name, Reference},
    registry::Remote,
};

/// `docker.io/library/redis:7` as `docker.io/library/redis:7@sha256:...`. What has a digest keeps it; what no registry
/// has (`oci:DIR`, an image id) is as fixed as it can be.
pub async fn pin(reference: &Reference, credentials: &Credentials) -> Result<String> {
    let Reference::Registry(name) = reference else { return Ok(reference.to_string()) };
    if name.digest().is_some() {
        return Ok(name.to_string());
    }
    let digest = digest_of(name, credentials).await?;
    Ok(format!("{name}@{digest}"))
}

async fn digest_of(name: &Name, credentials: &Credentials) -> Result<Digest> {
    let remote = Remote::open(name, credentials, progress::silent())?;
    match remote.head().await? {
        Some(digest) => Ok(digest),
        None => remote.top().await,
    }
}
