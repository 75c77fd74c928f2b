//! `ADD https://...`: a download, into a file of the workshop.
//!
//! What is asked again is not taken again: the server's ETag or time of change is remembered with the file's digest.

use super::super::{
    error::{Result, StepError},
    remote::{Answer, Broken, Known, download},
    report::Event,
    step::Engine,
};
use crate::{
    build::op::StepId,
    image::Digest,
    state::{Durability, record},
};
use std::path::PathBuf;

/// What a URL gave.
#[derive(Clone, Debug)]
pub struct Download {
    pub digest: Digest,
    /// Seconds since 1970, from Last-Modified.
    pub modified: Option<i64>,
    /// `None` where the server says that it is what it was: nothing was fetched yet.
    pub file: Option<PathBuf>,
}

/// Asks what the URL has now. With `whole` the file is fetched in any case.
pub async fn fetch(engine: &Engine, step: StepId, url: &str, checksum: Option<&str>, whole: bool) -> Result<Download> {
    let wrong = |reason: String| StepError::Download { url: url.to_owned(), reason };
    let expected = checksum.map(str::parse::<Digest>).transpose().map_err(|error| wrong(error.to_string()))?;
    // With its digest known there is nothing to ask.
    if let Some(digest) = expected.filter(|_| !whole) {
        return Ok(Download { digest, modified: None, file: None });
    }
    let note = engine.layout.build_context(&format!("url-{}.json", &Digest::of(url.as_bytes()).hex()[..32]));
    let known: Option<Known> = record::read(&note).unwrap_or(None).filter(|known: &Known| known.url == url);
    let known = known.filter(|_| !whole);
    let path = engine.workshop.fresh("download");
    let report = |bytes, total| (engine.report)(Event::Fetched { step, bytes, total });
    let answer = download(url, known.as_ref(), &path, report).await.map_err(|broken| match broken {
        Broken::There(reason) => wrong(reason),
        Broken::Here(source) => StepError::file("write", &path)(source),
    })?;
    let arrived = match (answer, known) {
        (Answer::Arrived(arrived), _) => arrived,
        (Answer::Unchanged, Some(known)) => {
            let modified = known.last_modified.as_deref().and_then(http_date);
            return Ok(Download { digest: known.digest, modified, file: None });
        }
        (Answer::Unchanged, None) => return Err(wrong("the server says that nothing has changed".into())),
    };
    let digest = arrived.digest;
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(wrong(format!("it has digest {digest}, but {expected} was asked for")));
    }
    let modified = arrived.last_modified.as_deref().and_then(http_date);
    if arrived.etag.is_some() || arrived.last_modified.is_some() {
        record::write(&note, &arrived, Durability::Volatile)?;
    }
    Ok(Download { digest, modified, file: Some(path) })
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
