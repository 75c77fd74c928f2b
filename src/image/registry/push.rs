//! Pushing: blobs that the registry lacks, then the manifest (distribution-spec, "Push").
//!
//! ```text
//! HEAD blobs/DIGEST                              -> there already
//! POST blobs/uploads/?mount=DIGEST&from=OTHER    -> 201 taken over from another repository of the registry
//!                                                -> 202 an upload with a Location
//! PUT  LOCATION?digest=DIGEST                    -> the whole blob in one request
//! PUT  manifests/TAG                             -> known under its name
//! ```
//!
//! A Location may lead to another host, as storage services do: nothing of our login goes there.

use super::{
    Registry, cause,
    client::{READ_TIMEOUT, is_safe},
    resolve::header_digest,
    retry::Attempt,
};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
    progress::Progress,
};
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Response, StatusCode, Url, header};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::task::spawn_blocking;

/// Bytes read from the disk at once.
const PIECE: usize = 256 << 10;

/// A blob of the store on its way to a registry.
#[derive(Clone, Debug)]
pub(in crate::image) struct Upload {
    pub digest: Digest,
    pub size: u64,
    pub file: PathBuf,
    /// Repositories of the same registry that probably have it.
    pub mounts: Vec<String>,
}

/// What it took to get a blob there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::image) enum Sent {
    Exists,
    Mounted { from: String },
    Uploaded,
}

impl Registry {
    pub async fn put_blob(&self, upload: &Upload) -> Result<Sent> {
        if self.has_blob(&upload.digest).await? {
            return Ok(Sent::Exists);
        }
        let mut attempt = Attempt::first();
        let mut from = upload.mounts.first();
        loop {
            let url = match self.begin_upload(upload, from).await? {
                Begun::Mounted => return Ok(Sent::Mounted { from: from.cloned().unwrap_or_default() }),
                Begun::At(url) => url,
            };
            // Once refused, a second question would get the same answer.
            from = None;
            match self.upload(upload, &url).await? {
                Uploaded::Whole => return Ok(Sent::Uploaded),
                Uploaded::Broken(why) => self.pause(&mut attempt, &url, why, None).await?,
            }
        }
    }

    /// Makes the manifest known under a tag or digest.
    pub async fn put_manifest(&self, selector: &str, bytes: &[u8], media_type: &str) -> Result<()> {
        let url = self.url("manifests", selector)?;
        let body = Bytes::copy_from_slice(bytes);
        let response = self
            .request(&url, &|client| {
                client.put(url.clone()).header(header::CONTENT_TYPE, media_type).body(body.clone())
            })
            .await?;
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        let expected = Digest::of(bytes);
        match header_digest(&response).filter(|told| *told != expected) {
            None => Ok(()),
            Some(actual) => {
                let (image, what) = (self.name.familiar(), "its manifest, as the registry keeps it,".to_owned());
                Err(ImageError::DigestMismatch { image, what, expected, actual })
            }
        }
    }

    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let url = self.url("blobs", &digest.to_string())?;
        let response = self.request(&url, &|client| client.head(url.clone())).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            // A repository that is yet to be made may be hidden until somebody pushes to it.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
            _ => Err(self.failure(response).await),
        }
    }

    async fn begin_upload(&self, upload: &Upload, from: Option<&String>) -> Result<Begun> {
        let mut url = self.url("blobs", "uploads/")?;
        if let Some(from) = from {
            url.query_pairs_mut().append_pair("mount", &upload.digest.to_string()).append_pair("from", from);
        }
        let response = self.request(&url, &|client| client.post(url.clone()).header(header::CONTENT_LENGTH, 0)).await?;
        match response.status() {
            StatusCode::CREATED if from.is_some() => Ok(Begun::Mounted),
            StatusCode::ACCEPTED => self.place(&response).map(Begun::At),
            status if status.is_success() => {
                Err(self.distrusted(format!("it answers {status} where an upload should begin")))
            }
            _ => Err(self.failure(response).await),
        }
    }

    /// Where a registry wants the blob to be sent.
    fn place(&self, response: &Response) -> Result<Url> {
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.distrusted("it begins an upload without saying where".into()))?;
        let url = response
            .url()
            .join(location)
            .map_err(|error| self.distrusted(format!("it wants an upload to go to `{location}`: {error}")))?;
        if is_safe(&url) || self.may_be_told(&url) {
            return Ok(url);
        }
        let origin = url.origin().ascii_serialization();
        Err(self.distrusted(format!("it wants an upload to go to {origin}, which is not HTTPS")))
    }

    async fn upload(&self, upload: &Upload, place: &Url) -> Result<Uploaded> {
        let mut url = place.clone();
        url.query_pairs_mut().append_pair("digest", &upload.digest.to_string());
        let file = File::open(&upload.file).map_err(ImageError::store("read", &upload.file))?;
        let file = Arc::new(file);
        let client = self.client_for_upload(&url)?;
        let taken = Arc::new(AtomicU64::new(0));
        let mut logged_in = false;
        loop {
            let request = client
                .put(url.clone())
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, upload.size)
                .body(self.body(upload, file.clone(), taken.clone()));
            let own = url.origin() == self.base.origin();
            let request = if own { self.authority.sign(request) } else { request };
            let response = match unless_still(request.send(), &taken).await {
                Some(Ok(response)) => response,
                Some(Err(error)) if error.is_redirect() => return Err(self.distrusted(cause(&error))),
                Some(Err(error)) => return Ok(Uploaded::Broken(cause(&error))),
                None => return Ok(Uploaded::Broken(format!("it took nothing for {} seconds", READ_TIMEOUT.as_secs()))),
            };
            match response.status() {
                StatusCode::CREATED => return Ok(Uploaded::Whole),
                // A token may have grown old over a long upload.
                StatusCode::UNAUTHORIZED if own && !logged_in => {
                    logged_in = true;
                    if !self.authority.log_in(self, &response).await? {
                        return Err(self.failure(response).await);
                    }
                }
                status if status.is_success() => return Ok(Uploaded::Whole),
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    return Ok(Uploaded::Broken(format!("it answers {status}")));
                }
                _ => return Err(self.failure(response).await),
            }
        }
    }

    /// The file piece by piece, as fast as the other side takes it; `taken` counts them.
    fn body(&self, upload: &Upload, file: Arc<File>, taken: Arc<AtomicU64>) -> Body {
        let (digest, size, report) = (upload.digest, upload.size, self.report.clone());
        Body::wrap_stream(stream::unfold(0u64, move |position| {
            let (file, report) = (file.clone(), report.clone());
            taken.fetch_add(1, Ordering::Relaxed);
            async move {
                report(Progress::Pushed { layer: digest, bytes: position, total: size });
                if position >= size {
                    return None;
                }
                let want = PIECE.min(usize::try_from(size - position).unwrap_or(PIECE));
                let piece = spawn_blocking(move || -> io::Result<Bytes> {
                    let mut piece = vec![0; want];
                    file.read_exact_at(&mut piece, position)?;
                    Ok(piece.into())
                });
                let piece = piece.await.unwrap_or_else(|error| Err(io::Error::other(error)));
                Some((piece, position + want as u64))
            }
        }))
    }
}

/// `None` when for a while nothing has been taken, and nothing been answered.
async fn unless_still<T>(request: impl Future<Output = T>, taken: &AtomicU64) -> Option<T> {
    let mut request = std::pin::pin!(request);
    loop {
        let before = taken.load(Ordering::Relaxed);
        match tokio::time::timeout(READ_TIMEOUT, &mut request).await {
            Ok(answer) => return Some(answer),
            Err(_) if taken.load(Ordering::Relaxed) == before => return None,
            Err(_) => {}
        }
    }
}

enum Begun {
    Mounted,
    At(Url),
}

enum Uploaded {
    Whole,
    /// The connection, or a server that may be better later.
    Broken(String),
}
