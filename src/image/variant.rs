//! Images for other platforms than this host's: fetched under the digest of their own manifest, so that the name itself
//! goes on standing for what runs here.

use super::{
    credentials::Credentials,
    digest::Digest,
    ensure::{begin, found, take_in, turn},
    error::{ImageError, Result},
    platform,
    progress::Report,
    reference::Reference,
    registry::Remote,
    store::{Image, Note, Store},
};
use crate::model::PullPolicy;
use std::time::Duration;

/// The image as its name has it for `platform`; for this host's it is as `ensure` has it.
///
/// What is here under the name and is for that platform counts: it was built or loaded so. What a transport gives is
/// taken as it is.
pub async fn ensure_for(
    store: &Store,
    reference: &Reference,
    platform: &str,
    policy: PullPolicy,
    credentials: &Credentials,
    report: Report,
) -> Result<Image> {
    let Reference::Registry(name) = reference else {
        return super::ensure(store, reference, policy, credentials, report).await;
    };
    if platform::is_host(platform) {
        return super::ensure(store, reference, policy, credentials, report).await;
    }
    let settled = || -> Result<Option<Image>> {
        match (policy, find_for(store, reference, platform)?) {
            (PullPolicy::Always, _) => Ok(None),
            (PullPolicy::Every(seconds), Some(image)) => {
                let is_fresh = store.was_asked_within(&image.reference, Duration::from_secs(seconds))?;
                Ok(is_fresh.then_some(image))
            }
            (_, here) => Ok(here),
        }
    };
    if let Some(image) = settled()? {
        return Ok(image);
    }
    if policy == PullPolicy::Never {
        return Err(ImageError::NotLocal { image: format!("{} for {platform}", reference.familiar()) });
    }
    let _turn = turn(store, reference).await?;
    // Whoever was before us may have brought it.
    if let Some(image) = settled()? {
        return Ok(image);
    }
    let registry = Remote::open(name, credentials, report.clone())?;
    let session = begin(store, &name.familiar()).await?;
    let mut package = registry.resolve(&platform::named(platform)).await?;
    let no_manifest = || ImageError::Abandoned { image: name.familiar(), reason: "it has no manifest".into() };
    let (manifest, _) = package.manifest.as_ref().ok_or_else(no_manifest)?;
    let own = Reference::Registry(name.at(Digest::of(manifest)));
    package.names = vec![own.clone()];
    // What was built or loaded for that platform under the name itself would go on hiding what was asked for.
    if store.find(reference)?.is_some_and(|image| platform::is_same(platform, &image.platform)) {
        package.names.push(reference.clone());
    }
    package.repo_digest = None;
    take_in(store, &session, package, Some(registry), &report).await?;
    store.asked(&own)?;
    store.note_variant(Note::Pulled, reference, platform, &own)?;
    found(store, &own)
}

/// The image of that name for that platform, if it is here. What the name itself stands for comes first.
pub fn find_for(store: &Store, reference: &Reference, platform: &str) -> Result<Option<Image>> {
    if let Some(image) = store.find(reference)? {
        let was_built = |image: &Image| match store.variant(Note::Built, reference, platform) {
            Some(Reference::Id(id)) => id.to_string() == image.id.to_string(),
            _ => false,
        };
        if platform::is_same(platform, &image.platform) || was_built(&image) {
            return Ok(Some(image));
        }
    }
    match store.variant(Note::Pulled, reference, platform) {
        Some(own) => store.find(&own),
        None => Ok(None),
    }
}

/// Remembers what an image was built for, where it says something else: with `FROM --platform=` a Dockerfile has the last
/// word, and another build would not change it.
pub fn note_built(store: &Store, image: &Image, platform: &str) -> Result<()> {
    if platform::is_same(platform, &image.platform) {
        return Ok(());
    }
    let id = Reference::parse(&image.id.to_string())?;
    store.note_variant(Note::Built, &image.reference, platform, &id)
}
