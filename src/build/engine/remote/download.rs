//! A download into a file, asked for again only where the server says that it has changed.
//!
//! A conditional request (RFC 9110, section 13) with the server's ETag or time of change tells whether what is here
//! still holds.

use crate::image::{Digest, digest::Hasher, tree};
use reqwest::{Client, StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use std::{fs::File, io::Write, os::fd::AsFd, path::Path, time::Duration};

const CONNECT: Duration = Duration::from_secs(30);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 10;
/// Bytes between two reports.
const REPORT_EVERY: u64 = 512 << 10;

/// What is remembered of a URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub url: String,
    pub digest: Digest,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

pub enum Answer {
    /// What is known still holds.
    Unchanged,
    Arrived(Known),
}

/// What went wrong: at the server or the network, or with the file here.
pub enum Broken {
    There(String),
    Here(std::io::Error),
}

impl From<reqwest::Error> for Broken {
    /// reqwest's own text leaves out why, and has the whole URL in it.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text = inner.to_string();
            source = inner.source();
        }
        Self::There(text)
    }
}

/// Writes what `url` has now into `to`, which does not exist; not more than there is room for.
pub async fn download(
    url: &str,
    known: Option<&Known>,
    to: &Path,
    report: impl Fn(u64, Option<u64>),
) -> Result<Answer, Broken> {
    let parsed = Url::parse(url).map_err(|error| Broken::There(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Broken::There("only http and https are fetched".into()));
    }
    let mut request = client(&parsed)?.get(parsed);
    if let Some(known) = known {
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        } else if let Some(time) = &known.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, time);
        }
    }
    let mut response = request.send().await?;
    if response.status() == StatusCode::NOT_MODIFIED && known.is_some() {
        return Ok(Answer::Unchanged);
    }
    if !response.status().is_success() {
        return Err(Broken::There(format!("the server answers {}", response.status())));
    }
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (etag, last_modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
    let total = response.content_length();
    let room = room(to).map_err(Broken::Here)?;
    let too_big = || Broken::There(format!("it is larger than the {room} bytes that are free here"));
    if total.is_some_and(|total| total > room) {
        return Err(too_big());
    }
    let mut file = File::create_new(to).map_err(Broken::Here)?;
    let (mut hasher, mut bytes, mut told) = (Hasher::default(), 0, 0);
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len() as u64;
        // Not every server says before how much it is.
        if bytes > room {
            return Err(too_big());
        }
        hasher.update(&chunk);
        file.write_all(&chunk).map_err(Broken::Here)?;
        if bytes - told >= REPORT_EVERY {
            told = bytes;
            report(bytes, total);
        }
    }
    report(bytes, total);
    Ok(Answer::Arrived(Known { url: url.to_owned(), digest: hasher.finish(), etag, last_modified }))
}

/// Bytes that may be written where a file is to be.
fn room(file: &Path) -> std::io::Result<u64> {
    let directory = File::open(file.parent().unwrap_or(Path::new("/")))?;
    Ok(tree::room(directory.as_fd())?.0)
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
