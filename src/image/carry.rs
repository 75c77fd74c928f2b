//! Images on their way from one host to another in a file of blobs: what one consists of, and how it arrives.
//!
//! An image is carried by the digest of its manifest. Unlike that of an index, which may have named it, anybody can check
//! it: nobody can pass off an image under the digest of another one.

use super::{
    digest::Digest,
    ensure::{begin, blocking, bring_in},
    error::{ImageError, Result},
    progress::Report,
    reference::Reference,
    source::{
        From, Package, Part, Window,
        manifest::{MAX_CONFIG, MAX_MANIFEST, Manifest},
    },
    store::Store,
};
use std::{collections::BTreeMap, fs::File, io::Read, sync::Arc};

/// An image of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub id: Digest,
    pub manifest: Digest,
    pub media_type: String,
    /// With their sizes: manifest, configuration, layers.
    pub blobs: BTreeMap<Digest, u64>,
}

/// What has to be written down of an image.
pub fn carried(store: &Store, reference: &Reference) -> Result<Carried> {
    if matches!(reference, Reference::Rootfs(_)) {
        return Err(ImageError::NotStored { image: reference.to_string() });
    }
    let entry = store.entry(reference)?;
    let (bytes, manifest) = store.manifest(&entry)?;
    let mut blobs = BTreeMap::from([(entry.manifest, bytes.len() as u64)]);
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        let path = store.blob_file(&blob.digest);
        let size = std::fs::metadata(&path).map_err(ImageError::store("read", &path))?.len();
        blobs.insert(blob.digest, size);
    }
    Ok(Carried { id: entry.id, manifest: entry.manifest, media_type: manifest.media_type, blobs })
}

impl Store {
    /// A blob as it came.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_file(digest);
        File::open(&path).map_err(ImageError::store("read", &path))
    }
}

/// An image that is to come here.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// For messages.
    pub image: String,
    pub manifest: Digest,
    /// A digest in a name is that of the manifest. A name without one is given where nobody has it yet.
    pub names: Vec<Reference>,
}

/// Where blobs stand in a file: offset and size.
pub type Places = BTreeMap<Digest, (u64, u64)>;

/// Takes images in. All are verified and unpacked before the first is listed: when one is not what it says, none came.
pub async fn arrive(
    store: &Store,
    arrivals: &[Arrival],
    file: &Arc<File>,
    places: &Places,
    report: &Report,
) -> Result<()> {
    let session = begin(store, "the bundle").await?;
    let mut new = Vec::new();
    for arrival in arrivals {
        let package = package(arrival, file, places)?;
        let mut image = bring_in(store, &session, package, None, report).await?;
        for name in &arrival.names {
            match name {
                Reference::Registry(parts) if parts.digest().is_none() && store.find(name)?.is_some() => {}
                name => image.names.push(name.clone()),
            }
        }
        new.push(image);
    }
    let store = store.clone();
    blocking("the bundle", move || new.iter().try_for_each(|image| store.publish(image))).await
}

fn package(arrival: &Arrival, file: &Arc<File>, places: &Places) -> Result<Package> {
    let image = &arrival.image;
    let not = |reason: String| ImageError::NotAnImage { image: image.clone(), reason };
    for name in &arrival.names {
        match name {
            Reference::Registry(name) if name.digest().is_none_or(|digest| digest == arrival.manifest) => {}
            other => return Err(not(format!("it is to be called {other}, and is not that"))),
        }
    }
    let window = |digest: &Digest| {
        let (position, size) = places.get(digest).ok_or_else(|| not(format!("its blob {digest} is missing")))?;
        Ok::<_, ImageError>(Window { file: file.clone(), position: *position, end: position + size })
    };
    let document = |digest: &Digest, limit: u64| {
        let mut window = window(digest)?;
        if window.len() > limit {
            return Err(not(format!("its document {digest} has more than {limit} bytes")));
        }
        let mut bytes = Vec::new();
        window.read_to_end(&mut bytes).map_err(|error| not(error.to_string()))?;
        match Digest::of(&bytes) {
            actual if actual == *digest => Ok(bytes),
            actual => Err(ImageError::DigestMismatch {
                image: image.clone(),
                what: "a document of it".into(),
                expected: *digest,
                actual,
            }),
        }
    };
    let bytes = document(&arrival.manifest, MAX_MANIFEST)?;
    let manifest = Manifest::parse(&bytes).map_err(|error| not(error.to_string()))?;
    let config = document(&manifest.config.digest, MAX_CONFIG)?;
    let layers = manifest.layers.iter().map(|layer| {
        let from = From::File(window(&layer.digest)?);
        Ok(Part { digest: Some(layer.digest), size: Some(layer.size), media_type: layer.media_type.clone(), from })
    });
    let mut package = Package::new(image.clone(), config, layers.collect::<Result<_>>()?)?;
    package.manifest = Some((bytes, manifest.media_type));
    Ok(package)
}
