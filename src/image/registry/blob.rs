//! One blob as a stream of bytes, across dropped connections.

use super::{Registry, cause, retry::Attempt};
use crate::image::{digest::Digest, error::Result};
use bytes::Bytes;
use reqwest::{Method, StatusCode, header};
use std::{
    io::{self, Read},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Chunks under way between network and disk; each some tens of KiB.
const CHUNKS: usize = 16;

/// Broken connections within one blob.
const MAX_BREAKS: u32 = 32;

type Chunk = io::Result<Bytes>;

/// The reading end, for a thread that may block.
pub struct BlobReader {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
}

/// Starts to fetch a blob. The future does the work and has to be driven while the reader is read.
pub fn fetch(registry: Arc<Registry>, digest: Digest) -> (BlobReader, impl Future<Output = Result<()>> + Send) {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let reader = BlobReader { chunks, current: Bytes::new() };
    (reader, async move { registry.send_blob(digest, &sender).await })
}

impl Registry {
    /// A broken connection is taken up where it broke. Whoever reads checks the digest of the whole.
    async fn send_blob(&self, digest: Digest, sender: &mpsc::Sender<Chunk>) -> Result<()> {
        let url = self.url("blobs", &digest.to_string())?;
        let mut attempt = Attempt::first();
        let mut sent: u64 = 0;
        for _ in 0..MAX_BREAKS {
            let from = (sent > 0).then_some(sent);
            let mut response = match self.request(Method::GET, &url, "*/*", from).await {
                Ok(response) if response.status().is_success() => response,
                Ok(response) => return self.give_up(self.failure(response).await, sender).await,
                Err(error) => return self.give_up(error, sender).await,
            };
            // A server that does not know ranges starts over.
            let mut skip = if response.status() == StatusCode::PARTIAL_CONTENT {
                if !starts_at(&response, sent) {
                    let error = self.distrusted("it answers with another part of a layer than was asked for".into());
                    return self.give_up(error, sender).await;
                }
                0
            } else {
                sent
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
                        sent += fresh.len() as u64;
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
            if let Err(error) = self.pause(&mut attempt, &url, why, None).await {
                return self.give_up(error, sender).await;
            }
        }
        let error = self.unreachable(format!("the connection broke {MAX_BREAKS} times within one layer"));
        self.give_up(error, sender).await
    }

    /// Without this the reader would take the end of the channel for the end of the blob.
    async fn give_up(&self, error: crate::image::ImageError, sender: &mpsc::Sender<Chunk>) -> Result<()> {
        let _ = sender.send(Err(io::Error::other("the download failed"))).await;
        Err(error)
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
