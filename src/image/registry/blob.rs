//! One blob as a stream of bytes, across dropped connections.

use super::{Registry, Remote, cause, retry::Attempt};
use crate::image::{digest::Digest, error::Result};
use bytes::Bytes;
use reqwest::{StatusCode, header};
use std::{
    io::{self, Read},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Chunks under way between network and disk; each some tens of KiB.
const CHUNKS: usize = 16;

/// Broken connections within one blob.
const MAX_BREAKS: u32 = 32;

pub type Chunk = io::Result<Bytes>;

/// The reading end, for a thread that may block.
pub struct BlobReader {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
}

/// Starts to fetch a blob from the byte `from` on. The future does the work and has to be driven while the reader is
/// read.
pub fn fetch(remote: Arc<Remote>, digest: Digest, from: u64) -> (BlobReader, impl Future<Output = Result<()>> + Send) {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let reader = BlobReader { chunks, current: Bytes::new() };
    let work = async move {
        let result = remote.send_blob(digest, from, &sender).await;
        if result.is_err() {
            // Without this the reader would take the end of the channel for the end of the blob.
            let _ = sender.send(Err(io::Error::other("the download failed"))).await;
        }
        result
    };
    (reader, work)
}

impl Registry {
    /// A broken connection is taken up where it broke. Whoever reads checks the digest of the whole.
    pub async fn send_blob(&self, digest: Digest, sent: &mut u64, sender: &mpsc::Sender<Chunk>) -> Result<()> {
        let url = self.url("blobs", &digest.to_string())?;
        let mut attempt = Attempt::first();
        for _ in 0..MAX_BREAKS {
            let from = *sent;
            let response = self
                .request(&url, &|client| {
                    let request = client.get(url.clone()).header(header::ACCEPT, "*/*");
                    if from == 0 { request } else { request.header(header::RANGE, format!("bytes={from}-")) }
                })
                .await?;
            let mut response = match response.status() {
                // There is nothing behind what has come already: the reader will see whether that is all.
                StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return Ok(()),
                status if status.is_success() => response,
                _ => return Err(self.failure(response).await),
            };
            // A server that does not know ranges starts over.
            let mut skip = if response.status() == StatusCode::PARTIAL_CONTENT {
                if !starts_at(&response, from) {
                    return Err(self.distrusted("it answers with another part of a layer than was asked for".into()));
                }
                0
            } else {
                from
            };
            let why = loop {
                match response.chunk().await {
                    Ok(None) => return Ok(()),
                    Ok(Some(chunk)) => {
                        let skipped = skip.min(chunk.len() as u64);
                        skip -= skipped;
                        let fresh = chunk.slice(usize::try_from(skipped).unwrap_or(chunk.len())..);
                        if fresh.is_empty() {
                            continue;
                        }
                        *sent += fresh.len() as u64;
                        // It got further: the next break is a new one.
                        attempt = Attempt::first();
                        if sender.send(Ok(fresh)).await.is_err() {
                            // The reader knows why.
                            return Ok(());
                        }
                    }
                    Err(error) => break cause(&error),
                }
            };
            self.pause(&mut attempt, &url, why, None).await?;
        }
        Err(self.unreachable(format!("the connection broke {MAX_BREAKS} times within one layer")))
    }
}

fn starts_at(response: &reqwest::Response, position: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {position}-")))
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.current = chunk?,
            }
        }
        let piece = self.current.split_to(self.current.len().min(buffer.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}
