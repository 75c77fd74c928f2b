//! The whole way of an image onto this host: look, resolve, take in the layers in parallel, commit, list.
//!
//! Threads do what blocks (hashing, unpacking, files); the network part runs on tokio. Dropping the future ends the
//! work: the threads see their streams end, throw away what they have, and the last one removes the session.

use super::{
    credentials::Credentials,
    digest::{Digest, chain_ids},
    error::{ImageError, Result},
    layer::{self, Expected, Intaken, LayerError, Unpacked},
    platform,
    progress::{Progress, Report},
    reference::{Name, Reference},
    registry::{self, Remote},
    source::{
        self, From, Package, Part,
        manifest::{self, Blob},
    },
    store::{Image, NewBlob, NewImage, NewLayer, Partial, Session, Store},
    tree,
};
use crate::{
    model::PullPolicy,
    state::{Layout, Lock},
};
use futures_util::{StreamExt, stream};
use std::{
    fs::File,
    io::{self, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_blocking;

/// Layers at once: as many as there are processors to unpack them, within these bounds. More connections to one
/// registry gain nothing, and each has buffers.
const PARALLEL: RangeInclusive<usize> = 4..=8;
/// Bytes of a blob from which on it is kept when its pull is broken off.
const WORTH_KEEPING: u64 = 1 << 20;
/// Bytes between two reports about one layer.
const REPORT_EVERY: u64 = 512 << 10;

/// The image, fetched or imported when the policy asks for it.
///
/// A transport (`oci:` and its like) is read again when its file has changed, whatever the policy: nothing is pulled.
pub async fn ensure(
    store: &Store,
    reference: &Reference,
    policy: PullPolicy,
    credentials: &Credentials,
    report: Report,
) -> Result<Image> {
    store.tidy();
    let here = store.find(reference)?;
    let (name, here) = match (reference, here) {
        (Reference::Registry(name), here) => (name, here),
        (_, Some(image)) => return Ok(image),
        (Reference::Rootfs(dir), None) => {
            let reason = "no such directory".to_owned();
            return Err(ImageError::Source { image: reference.to_string(), path: dir.clone(), reason });
        }
        (Reference::Id(_), None) => return Err(ImageError::NoSuchImage(reference.to_string())),
        (_, None) => return import(store, reference, report).await,
    };
    match (policy, here) {
        (PullPolicy::Missing | PullPolicy::Never | PullPolicy::Build, Some(image)) => Ok(image),
        (PullPolicy::Never, None) => Err(ImageError::NotLocal { image: reference.familiar() }),
        (PullPolicy::Every(seconds), Some(image))
            if store.was_asked_within(reference, Duration::from_secs(seconds))? =>
        {
            Ok(image)
        }
        (PullPolicy::Missing | PullPolicy::Build, None) => {
            let _turn = turn(store, reference).await?;
            // Whoever was before us may have brought it.
            match store.find(reference)? {
                Some(image) => Ok(image),
                None => pull(store, reference, name, None, credentials, report).await,
            }
        }
        (PullPolicy::Always | PullPolicy::Every(_), here) => {
            let _turn = turn(store, reference).await?;
            pull(store, reference, name, here, credentials, report).await
        }
    }
}

/// Takes in every image of an archive (`docker save`, or a tar of an OCI layout), plain or compressed, from a file or
/// a pipe. `path` is for messages. One `Image` per name; an image without a name has its id.
pub async fn load(store: &Store, archive: File, path: &Path, report: Report) -> Result<Vec<Image>> {
    let session = begin(store, &path.display().to_string()).await?;
    let (spool, path) = (session.fresh("spool"), path.to_owned());
    let label = path.display().to_string();
    let packages = blocking(&label, move || source::open_all(archive, &path, &spool)).await?;
    let mut images = Vec::new();
    for package in packages {
        let names = package.names.clone();
        let id = take_in(store, &session, package, None, &report).await?;
        let names = if names.is_empty() { vec![Reference::Id(id)] } else { names };
        for name in names {
            images.extend(store.find(&name)?);
        }
    }
    Ok(images)
}

/// One process at a time fetches one reference; the others then find it.
pub(super) async fn turn(store: &Store, reference: &Reference) -> Result<Turn> {
    let path = pull_lock(store.layout(), reference);
    blocking(&reference.familiar(), move || {
        let lock = Lock::acquire(&path).map_err(ImageError::store("lock", &path))?;
        Ok(Turn { path, _lock: lock })
    })
    .await
}

/// Takes its file along: there would be one for every image that was ever pulled.
pub(super) struct Turn {
    path: PathBuf,
    _lock: Lock,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // One that stays is the lock of the next pull.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn pull_lock(layout: &Layout, reference: &Reference) -> PathBuf {
    layout.host_lock(&format!("pull-{}", Digest::of(reference.to_string().as_bytes()).short()))
}

async fn import(store: &Store, reference: &Reference, report: Report) -> Result<Image> {
    let image = reference.to_string();
    let _turn = turn(store, reference).await?;
    if let Some(image) = store.find(reference)? {
        return Ok(image);
    }
    let session = begin(store, &image).await?;
    let (spool, wanted) = (session.fresh("spool"), reference.clone());
    let package = blocking(&image, move || source::open(&wanted, &spool)).await?;
    take_in(store, &session, package, None, &report).await?;
    found(store, reference)
}

async fn pull(
    store: &Store,
    reference: &Reference,
    name: &Name,
    here: Option<Image>,
    credentials: &Credentials,
    report: Report,
) -> Result<Image> {
    let registry = Remote::open(name, credentials, report.clone())?;
    if let Some(image) = here
        && let Some(digest) = registry.head().await?
        && image.repo_digests.contains(&name.at(digest).to_string())
    {
        store.asked(reference)?;
        return Ok(image);
    }
    let session = begin(store, &name.familiar()).await?;
    let package = registry.resolve(&platform::host()).await?;
    take_in(store, &session, package, Some(registry), &report).await?;
    found(store, reference)
}

pub(super) fn found(store: &Store, reference: &Reference) -> Result<Image> {
    let image = reference.familiar();
    let reason = "it was removed, or its file changed, while it was being taken in".to_owned();
    store.find(reference)?.ok_or(ImageError::Abandoned { image, reason })
}

pub(super) async fn begin(store: &Store, image: &str) -> Result<Arc<Session>> {
    let store = store.clone();
    blocking(image, move || store.begin()).await.map(Arc::new)
}

/// From a package to a listed image.
pub(super) async fn take_in(
    store: &Store,
    session: &Arc<Session>,
    package: Package,
    registry: Option<Arc<Remote>>,
    report: &Report,
) -> Result<Digest> {
    let image = package.image.clone();
    let new = bring_in(store, session, package, registry, report).await?;
    let store = store.clone();
    blocking(&image, move || store.publish(&new).map(|()| new.id)).await
}

/// From a package to an image that is whole in the store, and not listed yet.
pub(super) async fn bring_in(
    store: &Store,
    session: &Arc<Session>,
    package: Package,
    registry: Option<Arc<Remote>>,
    report: &Report,
) -> Result<NewImage> {
    let image = package.image.clone();
    let chain = chain_ids(&package.diff_ids);
    let bytes = package.layers.iter().filter_map(|part| part.size).sum();
    report(Progress::Started { layers: chain.len(), bytes });
    let (taken, failure) = take_layers(store, session, &package, &chain, registry, report).await;

    let (store, session) = (store.clone(), session.clone());
    blocking(&image, move || {
        let (mut blobs, layers) = sort_out(&chain, &taken);
        if let Some(failure) = failure {
            // What is whole is kept, so that the next attempt has less to do.
            store.commit(&session, &blobs, &layers)?;
            return Err(failure);
        }
        let new = documents(&session, &package, &taken, &mut blobs)?;
        store.ensure_empty_layer()?;
        store.commit(&session, &blobs, &layers)?;
        let size = store.unpacked_size(&chain);
        Ok(NewImage { size, ..new })
    })
    .await
}

/// What became of one layer.
struct Taken {
    index: usize,
    blob: Blob,
    /// The copy in the session; `None` where the store has the blob.
    fresh_blob: Option<PathBuf>,
    /// The files in the session; `None` where the store has the layer.
    fresh_layer: Option<(PathBuf, Unpacked)>,
}

/// All layers, several at once. Ends with the first failure; gives what was finished by then.
async fn take_layers(
    store: &Store,
    session: &Arc<Session>,
    package: &Package,
    chain: &[Digest],
    registry: Option<Arc<Remote>>,
    report: &Report,
) -> (Vec<Taken>, Option<ImageError>) {
    let jobs: Vec<_> = package
        .layers
        .iter()
        .enumerate()
        .map(|(index, part)| Job {
            index,
            image: package.image.clone(),
            part: part.clone(),
            diff_id: package.diff_ids[index],
            dir: (!store.has_layer(&chain[index])).then(|| session.fresh("layer")),
            blob: part.digest.is_none_or(|digest| !store.has_blob(&digest)).then(|| session.fresh("blob")),
            store: store.clone(),
            _session: session.clone(),
            registry: registry.clone(),
            report: report.clone(),
        })
        .collect();
    let mut running = stream::iter(jobs).map(Job::run).buffer_unordered(parallel());
    let mut taken = Vec::new();
    while let Some(result) = running.next().await {
        match result {
            Ok(layer) => taken.push(layer),
            Err(failure) => {
                taken.sort_by_key(|layer| layer.index);
                return (taken, Some(failure));
            }
        }
    }
    taken.sort_by_key(|layer| layer.index);
    (taken, None)
}

fn parallel() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from).clamp(*PARALLEL.start(), *PARALLEL.end())
}

struct Job {
    index: usize,
    image: String,
    part: Part,
    diff_id: Digest,
    /// Where to put the files and the copy, when the store lacks them.
    dir: Option<PathBuf>,
    blob: Option<PathBuf>,
    store: Store,
    /// Keeps the two paths alive.
    _session: Arc<Session>,
    registry: Option<Arc<Remote>>,
    report: Report,
}

/// The copy of a blob while it is written.
struct Copy {
    path: PathBuf,
    file: File,
    /// Bytes that an earlier attempt left in it.
    kept: u64,
}

impl Job {
    async fn run(self) -> Result<Taken> {
        // What people see: the blob's name where it has one.
        let label = self.part.digest.unwrap_or(self.diff_id);
        let (report, index) = (self.report.clone(), self.index);
        if let (Some(digest), None, None) = (self.part.digest, &self.dir, &self.blob) {
            report(Progress::Exists { layer: label, size: self.part.size.unwrap_or(0) });
            let blob = Blob { digest, size: self.part.size.unwrap_or(0), media_type: self.part.media_type };
            return Ok(Taken { index, blob, fresh_blob: None, fresh_layer: None });
        }
        let (dir, media_type, image) = (self.dir.clone(), self.part.media_type.clone(), self.image.clone());
        let (intaken, fresh_blob) = match (self.part.from.clone(), self.registry.clone()) {
            (From::File(window), _) => {
                let copy = self.blob.as_deref().map(fresh_copy).transpose()?;
                let path = self.blob.clone();
                (blocking(&image, move || self.read(window, copy, label)).await?, path)
            }
            // The blob is here and its files are not: damage, or a layer that was removed by hand.
            (From::Registry, _) if self.blob.is_none() => {
                let path = self.store.blob_file(&label);
                let file = File::open(&path).map_err(ImageError::store("read", &path))?;
                (blocking(&image, move || self.read(file, None, label)).await?, None)
            }
            (From::Registry, Some(registry)) => self.fetch(registry, label).await?,
            (From::Registry, None) => {
                let reason = "a layer without a source".to_owned();
                return Err(ImageError::Abandoned { image, reason });
            }
        };
        report(Progress::Unpacked { layer: label });
        let blob = Blob { digest: intaken.digest, size: intaken.size, media_type };
        Ok(Taken { index, blob, fresh_blob, fresh_layer: dir.map(|dir| (dir, intaken.unpacked)) })
    }

    /// From the registry, behind what an earlier attempt left. When that turns out to be another content, once more
    /// without it.
    async fn fetch(mut self, registry: Arc<Remote>, label: Digest) -> Result<(Intaken, Option<PathBuf>)> {
        let image = self.image.clone();
        let copy = self.copy(label)?;
        let (path, kept) = (copy.path.clone(), copy.kept);
        let again = (kept > 0).then(|| self.again());
        let beginning = copy.file.try_clone().map_err(ImageError::store("read", &copy.path))?.take(kept);
        let (reader, work) = registry::fetch(registry.clone(), label, kept);
        let reading = blocking(&image, move || self.read(beginning.chain(reader), Some(copy), label));
        let (fetched, read) = futures_util::join!(work, reading);
        match (fetched, read, again) {
            (Ok(()), Ok(intaken), _) => Ok((intaken, Some(path))),
            (Ok(()), Err(error), Some(again)) if is_about_content(&error) => {
                std::fs::remove_file(&path).map_err(ImageError::store("remove", &path))?;
                if let Some(dir) = &again.dir {
                    tree::remove(dir).map_err(ImageError::store("remove", dir))?;
                }
                Box::pin(again.fetch(registry, label)).await
            }
            // What was kept would be no use, or keep a full disk full.
            (Ok(()), Err(error), _) if is_about_content(&error) || is_about_room(&error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
            // When the download failed, that is why the reading did.
            (fetched, read, _) => Err(fetched.err().or(read.err()).unwrap_or(ImageError::Abandoned {
                image,
                reason: "neither reading nor fetching says why it failed".into(),
            })),
        }
    }

    /// The same task for a second attempt.
    fn again(&mut self) -> Self {
        Self {
            index: self.index,
            image: self.image.clone(),
            part: self.part.clone(),
            diff_id: self.diff_id,
            dir: self.dir.clone(),
            blob: self.blob.clone(),
            store: self.store.clone(),
            _session: self._session.clone(),
            registry: self.registry.clone(),
            report: self.report.clone(),
        }
    }

    /// Where the blob is written to: behind what is there of it, or for small ones and those that another process
    /// fetches just now, a new file.
    fn copy(&self, digest: Digest) -> Result<Copy> {
        let size = self.part.size.unwrap_or(0);
        if size >= WORTH_KEEPING
            && let Some(Partial { path, file, length }) = self.store.partial(&digest, size)?
        {
            return Ok(Copy { path, file, kept: length });
        }
        let path = self.blob.clone().unwrap_or_else(|| self._session.fresh("blob"));
        fresh_copy(&path)
    }

    /// Blocks until the layer is read, verified and unpacked.
    fn read(self, source: impl Read, copy: Option<Copy>, label: Digest) -> Result<Intaken> {
        if let Some(dir) = &self.dir {
            tree::make_top(dir).map_err(ImageError::store("make", dir))?;
        }
        let expected = Expected { digest: self.part.digest, size: self.part.size, diff_id: self.diff_id };
        let (mut bytes, mut told) = (0, 0);
        let mut arrived = |count: u64| {
            bytes += count;
            if count == 0 || bytes - told >= REPORT_EVERY {
                told = bytes;
                (self.report)(Progress::Fetched { layer: label, bytes, total: self.part.size.unwrap_or(0) });
            }
        };
        let blob = copy.map(|copy| (copy.file, copy.kept));
        layer::intake(source, expected, blob, self.dir.as_deref(), &mut arrived).map_err(|error| match error {
            LayerError::BlobDigest { expected, actual } => {
                let (image, what) = (self.image.clone(), "a layer of it".to_owned());
                ImageError::DigestMismatch { image, what, expected, actual }
            }
            source => ImageError::Layer { image: self.image.clone(), layer: label.short(), source },
        })
    }
}

fn fresh_copy(path: &Path) -> Result<Copy> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    Ok(Copy { path: path.to_owned(), file: file.map_err(ImageError::store("write", path))?, kept: 0 })
}

fn is_about_room(error: &ImageError) -> bool {
    let ImageError::Layer { source, .. } = error else { return false };
    let full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    match source {
        LayerError::TooBig { .. } => true,
        LayerError::Blob(error) | LayerError::Entry { source: error, .. } => full(error),
        _ => false,
    }
}

/// The bytes are not those that were asked for; all others may come again.
fn is_about_content(error: &ImageError) -> bool {
    matches!(
        error,
        ImageError::DigestMismatch { .. }
            | ImageError::Layer { source: LayerError::Size { .. } | LayerError::DiffId { .. }, .. }
    )
}

/// What of the session goes into the store: all blobs, and the layers up to the first that lacks, since a layer is
/// completed from those below.
fn sort_out(chain: &[Digest], taken: &[Taken]) -> (Vec<NewBlob>, Vec<NewLayer>) {
    let blobs = taken
        .iter()
        .filter_map(|layer| Some(NewBlob { digest: layer.blob.digest, file: layer.fresh_blob.clone()? }))
        .collect();
    let whole = taken.iter().enumerate().take_while(|(position, layer)| *position == layer.index);
    let layers = whole.filter_map(|(index, layer)| {
        let (dir, unpacked) = layer.fresh_layer.clone()?;
        let below = chain[..index].iter().rev().copied().collect();
        Some(NewLayer { chain_id: chain[index], below, dir, unpacked })
    });
    (blobs, layers.collect())
}

/// Writes configuration and manifest into the session, and says what is to be listed.
fn documents(session: &Session, package: &Package, taken: &[Taken], blobs: &mut Vec<NewBlob>) -> Result<NewImage> {
    let mut add = |bytes: &[u8]| -> Result<Digest> {
        let (digest, file) = (Digest::of(bytes), session.fresh("document"));
        std::fs::write(&file, bytes).map_err(ImageError::store("write", &file))?;
        blobs.push(NewBlob { digest, file });
        Ok(digest)
    };
    let id = add(&package.config)?;
    let config = Blob { digest: id, size: package.config.len() as u64, media_type: manifest::OCI_CONFIG.to_owned() };
    let (bytes, media_type) = package.manifest.clone().unwrap_or_else(|| {
        let layers: Vec<Blob> = taken.iter().map(|layer| layer.blob.clone()).collect();
        (manifest::build(&config, &layers), manifest::OCI_MANIFEST.to_owned())
    });
    let manifest = add(&bytes)?;
    Ok(NewImage {
        names: package.names.clone(),
        id,
        manifest,
        manifest_type: media_type,
        manifest_size: bytes.len() as u64,
        size: 0,
        repo_digest: package.repo_digest.clone(),
    })
}

/// Runs what blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    image: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| ImageError::Abandoned { image: image.to_owned(), reason: error.to_string() })?
}
