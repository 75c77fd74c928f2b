//! `ADD https://...`: a download, into a file of the workshop.
//!
//! What is asked again is not taken again: the server's ETag or time of change is remembered with the file's digest,
//! and a conditional request (RFC 9110, section 13) tells whether it still holds.

use super::super::{
    error::{Result, StepError},
    report::Event,
    step::Engine,
};
use crate::{
    build::op::StepId,
    image::{Digest, digest::Hasher},
    state::{Durability, record},
};
use reqwest::{Client, StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use std::{fs::File, io::Write, path::PathBuf, time::Duration};

const CONNECT: Duration = Duration::from_secs(30);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 10;
/// Bytes between two reports.
const REPORT_EVERY: u64 = 512 << 10;

/// What a URL gave.
#[derive(Clone, Debug)]
pub struct Download {
    pub digest: Digest,
    /// Seconds since 1970, from Last-Modified.
    pub modified: Option<i64>,
    /// `None` where the server says that it is what it was: nothing was fetched yet.
    pub file: Option<PathBuf>,
}

/// What is remembered of a URL.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    url: String,
    digest: Digest,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// Asks what the URL has now. With `whole` the file is fetched in any case.
pub async fn fetch(engine: &Engine, step: StepId, url: &str, checksum: Option<&str>, whole: bool) -> Result<Download> {
    let wrong = |reason: String| StepError::Download { url: url.to_owned(), reason };
    let expected = checksum.map(str::parse::<Digest>).transpose().map_err(|error| wrong(error.to_string()))?;
    // With its digest known there is nothing to ask.
    if let Some(digest) = expected.filter(|_| !whole) {
        return Ok(Download { digest, modified: None, file: None });
    }
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong("only http and https are fetched".into()));
    }
    let note = engine.layout.build_context(&format!("url-{}.json", &Digest::of(url.as_bytes()).hex()[..32]));
    let known: Option<Remembered> = record::read(&note).unwrap_or(None).filter(|known: &Remembered| known.url == url);
    let known = known.filter(|_| !whole);
    let mut request = client(&parsed).map_err(|error| wrong(cause(&error)))?.get(parsed);
    if let Some(known) = &known {
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        } else if let Some(time) = &known.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, time);
        }
    }
    let mut response = request.send().await.map_err(|error| wrong(cause(&error)))?;
    if let (StatusCode::NOT_MODIFIED, Some(known)) = (response.status(), known) {
        let modified = known.last_modified.as_deref().and_then(http_date);
        return Ok(Download { digest: known.digest, modified, file: None });
    }
    if !response.status().is_success() {
        return Err(wrong(format!("the server answers {}", response.status())));
    }
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (etag, last_modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
    let path = engine.workshop.fresh("download");
    let mut file = File::create_new(&path).map_err(StepError::file("write", &path))?;
    let total = response.content_length();
    let (mut hasher, mut bytes, mut told) = (Hasher::default(), 0, 0);
    while let Some(chunk) = response.chunk().await.map_err(|error| wrong(cause(&error)))? {
        hasher.update(&chunk);
        file.write_all(&chunk).map_err(StepError::file("write", &path))?;
        bytes += chunk.len() as u64;
        if bytes - told >= REPORT_EVERY {
            told = bytes;
            (engine.report)(Event::Fetched { step, bytes, total });
        }
    }
    (engine.report)(Event::Fetched { step, bytes, total });
    let digest = hasher.finish();
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(wrong(format!("it has digest {digest}, but {expected} was asked for")));
    }
    let modified = last_modified.as_deref().and_then(http_date);
    if etag.is_some() || last_modified.is_some() {
        let remembered = Remembered { url: url.to_owned(), digest, etag, last_modified };
        record::write(&note, &remembered, Durability::Volatile)?;
    }
    Ok(Download { digest, modified, file: Some(path) })
}

fn client(url: &Url) -> reqwest::Result<Client> {
    // A second call is refused, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let loopback = url.host_str().is_some_and(|host| host == "localhost");
    let builder = Client::builder()
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS));
    // Needs no resolver and must not go to one.
    let builder = if loopback { builder.resolve("localhost", ([127, 0, 0, 1], 0).into()) } else { builder };
    builder.build()
}

/// reqwest's own text leaves out why.
fn cause(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers write.
fn http_date(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("yesterday"), None);
    }
}
