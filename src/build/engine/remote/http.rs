//! A context from a URL: an archive is unpacked, any other file is a Dockerfile that comes alone. As BuildKit has it.

use super::{
    Answer, Broken, Known, Place, Tree, download,
    error::{RemoteError, Result},
};
use crate::{
    build::{
        engine::{
            copy::{unpack, write::Writer},
            upper::Upper,
        },
        remote::redacted,
    },
    image::layer::{LayerError, Limits},
    state::{Durability, Layout, record},
};
use std::{
    fs::{self, File},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// What a file that comes alone is called, in its context as well.
const ALONE: &str = "context";

/// Bytes that have come, and how many there are.
type Told<'a> = &'a (dyn Fn(u64, Option<u64>) + Sync);

/// With `unpack` an archive is replaced by its members.
pub async fn http(layout: &Layout, url: &str, unpack: bool, report: Told<'_>) -> Result<Tree> {
    let place = Place::open(layout, url).await?;
    let note = place.dir.join("http.json");
    let known: Option<Known> = record::read(&note).unwrap_or(None).filter(|known: &Known| known.url == url);
    let name = |known: &Known| format!("{}{}", known.digest.hex(), if unpack { "" } else { "-plain" });
    let known = match known {
        // Without its files a "not modified" would be of no use.
        Some(known) if place.tree(&name(&known)).is_dir() => Some(known),
        _ => None,
    };
    let fresh = place.fresh()?;
    let path = fresh.0.join("download");
    let answer = download(url, known.as_ref(), &path, report).await.map_err(|broken| match broken {
        Broken::There(reason) => RemoteError::Download { url: redacted(url), reason },
        Broken::Here(source) => RemoteError::file("write", &path)(source),
    })?;
    let known = match (answer, known) {
        (Answer::Arrived(new), _) => {
            record::write(&note, &new, Durability::Volatile)?;
            new
        }
        (Answer::Unchanged, Some(known)) => known,
        (Answer::Unchanged, None) => {
            let reason = "the server says that nothing has changed, and was not asked".to_owned();
            return Err(RemoteError::Download { url: redacted(url), reason });
        }
    };
    let name = name(&known);
    let tree = match place.find(&name)? {
        Some(tree) => tree,
        None => {
            let made = fresh.0.join("made");
            let (from, to, shown) = (path.clone(), made.clone(), redacted(url));
            // Who drops this future wants no more of it; the thread sees it and ends.
            let cancelled = Cancel(Arc::default());
            let flag = cancelled.0.clone();
            let work = tokio::task::spawn_blocking(move || open(&from, &to, &shown, unpack, &flag));
            work.await.map_err(|error| RemoteError::Download { url: redacted(url), reason: error.to_string() })??;
            place.keep(&made, &name)?
        }
    };
    let alone = tree.dir.parent().is_some_and(|dir| dir.join("alone").exists());
    Ok(Tree { dockerfile: alone.then_some(ALONE), ..tree })
}

struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes `made/files` of the download, and `made/alone` where it is no archive.
fn open(path: &Path, made: &Path, url: &str, unpack_it: bool, cancelled: &AtomicBool) -> Result<()> {
    fs::create_dir(made).map_err(RemoteError::file("make", made))?;
    let files = made.join("files");
    let mut file = File::open(path).map_err(RemoteError::file("read", path))?;
    let upper = Upper::create(&files, &[]).map_err(RemoteError::file("make", &files))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = (i64::try_from(now.as_secs()).unwrap_or(0), 0);
    let mut writer = Writer::new(upper, "/", None, None, now, cancelled);
    let wrong =
        |error: &dyn std::fmt::Display| RemoteError::Download { url: url.to_owned(), reason: error.to_string() };
    let limits = Limits::of(&files).map_err(|error| wrong(&error))?;
    if unpack_it && unpack::is_archive(&mut file) {
        // Its name is told already.
        unpack::unpack(&mut writer, &mut file, "the archive", limits).map_err(|error| wrong(&error))?;
    } else {
        let bytes = file.metadata().map_err(RemoteError::file("read", path))?.len();
        if bytes > limits.bytes {
            return Err(wrong(&LayerError::TooBig { what: "bytes", limit: limits.bytes }));
        }
        let alone = made.join("alone");
        fs::write(&alone, "").map_err(RemoteError::file("write", &alone))?;
        std::io::Seek::rewind(&mut file).map_err(RemoteError::file("read", path))?;
        writer.file(ALONE.as_ref(), 0o600, now, &mut file).map_err(|error| wrong(&error))?;
    }
    writer.upper.finish().map_err(RemoteError::file("write", &files))
}
