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
    store::{Image, Store},
};
use crate::model::PullPolicy;

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
    let here = find_for(store, reference, platform)?;
    if let Some(image) = here.filter(|_| policy != PullPolicy::Always) {
        return Ok(image);
    }
    if policy == PullPolicy::Never {
        return Err(ImageError::NotLocal { image: format!("{} for {platform}", reference.familiar()) });
    }
    let _turn = turn(store, reference).await?;
    let registry = Remote::open(name, credentials, report.clone())?;
    let session = begin(store, &name.familiar()).await?;
    let mut package = registry.resolve(&platform::named(platform)).await?;
    let no_manifest = || ImageError::Abandoned { image: name.familiar(), reason: "it has no manifest".into() };
    let (manifest, _) = package.manifest.as_ref().ok_or_else(no_manifest)?;
    let own = Reference::Registry(name.at(Digest::of(manifest)));
    package.names = vec![own.clone()];
    package.repo_digest = None;
    take_in(store, &session, package, Some(registry), &report).await?;
    store.note_variant(reference, platform, &own)?;
    found(store, &own)
}

/// The image of that name for that platform, if it is here.
pub fn find_for(store: &Store, reference: &Reference, platform: &str) -> Result<Option<Image>> {
    let fits = |image: &Image| platform::is_same(platform, &image.platform);
    if let Some(image) = store.find(reference)?.filter(fits) {
        return Ok(Some(image));
    }
    match store.variant(reference, platform)? {
        Some(own) => store.find(&own),
        None => Ok(None),
    }
}
