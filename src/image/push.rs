//! From the store to a registry: blobs first, several at once, the manifest last, so that nobody ever sees half an
//! image. Manifest and layers go as they are, so that the image has the digest there that it has here.

use super::{
    credentials::Credentials,
    digest::Digest,
    error::{ImageError, Result},
    progress::{Progress, Report},
    reference::{Name, Reference},
    registry::{Access, Registry, Sent, Upload},
    store::Store,
};
use futures_util::{StreamExt, stream};
use std::{collections::BTreeSet, fs, sync::Arc};

/// Blobs at once.
const PARALLEL: usize = 4;
/// Repositories that blobs may be taken over from; a token names each of them.
const MAX_MOUNTS: usize = 5;

/// What a registry has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub name: Name,
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
}

/// Sends the image that has this name here to the registry that the name says.
pub async fn push(store: &Store, reference: &Reference, credentials: &Credentials, report: Report) -> Result<Pushed> {
    let Reference::Registry(name) = reference else {
        return Err(ImageError::NoRegistry { image: reference.to_string() });
    };
    // Keeps the blobs here until they are there.
    let _hold = store.hold()?;
    let entry = store.entry(reference)?;
    let (bytes, manifest) = store.manifest(&entry)?;
    let mut seen = BTreeSet::new();
    let layers: Vec<Digest> =
        manifest.layers.iter().map(|layer| layer.digest).filter(|digest| seen.insert(*digest)).collect();
    let mounts = store.repositories_with(name, &layers)?;
    let mut from: Vec<String> = mounts.iter().flatten().cloned().collect();
    from.sort();
    from.dedup();
    from.truncate(MAX_MOUNTS);
    let uploads = layers
        .iter()
        .zip(mounts)
        .map(|(digest, repositories)| {
            let mounts = repositories.into_iter().filter(|repository| from.contains(repository)).collect();
            upload(store, digest, mounts)
        })
        .collect::<Result<Vec<_>>>()?;
    report(Progress::Started { layers: uploads.len(), bytes: uploads.iter().map(|upload| upload.size).sum() });

    let endpoint = credentials.hosts()?.origin(name.registry())?;
    let access = Access::Push { from };
    let registry = Registry::connect(name, &endpoint, credentials, access, report.clone()).await?;
    let mut running =
        stream::iter(uploads).map(|upload| one(registry.clone(), upload, report.clone())).buffer_unordered(PARALLEL);
    while let Some(result) = running.next().await {
        result?;
    }
    drop(running);
    registry.put_blob(&upload(store, &manifest.config.digest, Vec::new())?).await?;
    registry.put_manifest(&name.selector(), &bytes, &manifest.media_type).await?;
    store.pushed(reference, name, entry.manifest)?;
    Ok(Pushed { name: name.clone(), digest: entry.manifest, size: bytes.len() as u64 })
}

fn upload(store: &Store, digest: &Digest, mounts: Vec<String>) -> Result<Upload> {
    let file = store.blob_file(digest);
    let size = fs::metadata(&file).map_err(ImageError::store("read", &file))?.len();
    Ok(Upload { digest: *digest, size, file, mounts })
}

async fn one(registry: Arc<Registry>, upload: Upload, report: Report) -> Result<()> {
    let (layer, total) = (upload.digest, upload.size);
    match registry.put_blob(&upload).await? {
        Sent::Exists => report(Progress::Exists { layer, size: total }),
        Sent::Mounted { from } => report(Progress::Mounted { layer, size: total, from }),
        Sent::Uploaded => report(Progress::Pushed { layer, bytes: total, total }),
    }
    Ok(())
}
