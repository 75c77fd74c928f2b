//! `COPY` and `ADD`: files of contexts, stages, heredocs and URLs become a layer.
//!
//! ```text
//! step      the names of a result, and the order of the work
//! find      which files a source names: globs, ignore files, --exclude, --parents
//! walk      through a directory, with several threads
//! content   the digest of what is read, which is the step's name; seen: what need not be read again
//! scan      find and content of a context's source, once a build
//! footprint what of its root a step depends on
//! write     where they go; owner: --chown, --chmod; unpack: archives of ADD
//! fetch     downloads of ADD
//! ```

mod compression;
pub mod content;
pub mod fetch;
pub mod find;
pub mod footprint;
pub mod owner;
mod pattern;
pub mod scan;
pub mod seen;
pub mod step;
pub mod unpack;
mod walk;
pub mod write;

use super::{
    error::{Result, StepError},
    key::{Key, Name, Side},
    remote::Tree,
    report::Event,
    step::{Engine, Snapshot},
    upper::Upper,
    view::{Cursor, View},
};
use crate::{
    build::op::{Chmod, Copy, CopySource, Source, StepId, Unpack},
    image::{Digest, layer::Limits},
};
use fetch::Download;
use find::{Found, Origin};
use scan::Scan;
use std::{collections::HashMap, ffi::OsStr, fs::File, path::Path, sync::Arc};

type Steps = HashMap<StepId, Arc<Snapshot>>;

/// The key by what the step is and the steps it reads; `None` where it reads what is no step, whose content has to be
/// looked at.
pub fn quick_key(engine: &Engine, copy: &Copy, steps: &Steps) -> Result<Option<Name>> {
    let all_steps = copy.sources.iter().all(|source| match source {
        CopySource::Path { from: Source::Step(id), .. } => steps.get(id).is_some_and(|step| !step.is_of_host()),
        CopySource::Path { from, .. } => matches!(from, Source::Scratch),
        CopySource::Inline(_) => true,
        CopySource::Url { .. } | CopySource::Git { .. } => false,
    });
    if !all_steps {
        return Ok(None);
    }
    Name::both(|side| by_steps(engine, copy, steps, side)).map(Some)
}

fn by_steps(engine: &Engine, copy: &Copy, steps: &Steps, side: Side) -> Result<Digest> {
    let mut key = settings(engine, copy, root_of(copy, steps)?.map(side), "copy by steps");
    for source in &copy.sources {
        key = match source {
            CopySource::Path { from: Source::Step(id), path } => {
                let snapshot = steps.get(id).ok_or_else(missing)?;
                key.text("step").bytes(side(snapshot.name()).as_bytes()).text(path)
            }
            CopySource::Path { path, .. } => key.text("scratch").text(path),
            CopySource::Inline(file) => key.text("inline").text(&file.name).bytes(&file.content).number(file.mode),
            CopySource::Url { url, .. } => key.text("url").text(url),
            CopySource::Git { url, .. } => key.text("git").text(&url.remote),
        };
    }
    Ok(key.finish())
}

/// What the step is put upon, as far as it looks at that.
fn root_of(copy: &Copy, steps: &Steps) -> Result<Option<Name>> {
    match copy.root {
        Some(id) if !copy.link => Ok(Some(steps.get(&id).ok_or_else(missing)?.name())),
        _ => Ok(None),
    }
}

/// Everything of the step but what it reads.
fn settings(engine: &Engine, copy: &Copy, root: Option<Digest>, kind: &str) -> Key {
    Key::new(kind)
        .option(root, |key, id| key.bytes(id.as_bytes()))
        .text(&copy.destination)
        .option(copy.chown.as_deref(), Key::text)
        .option(copy.chmod.as_ref(), |key, chmod| match chmod {
            Chmod::Octal(mode) => key.number(*mode),
            Chmod::Symbolic(text) => key.text(text),
        })
        .flag(copy.parents)
        .list(&copy.exclude, |key, pattern| key.text(pattern))
        .number(match copy.unpack {
            Unpack::Never => 0u8,
            Unpack::Local => 1,
            Unpack::All => 2,
        })
        .option(engine.options.epoch, Key::number)
}

fn missing() -> StepError {
    StepError::Abandoned("a step that it needs is missing".into())
}

/// What a step reads, as it is now.
pub struct Gathered {
    pieces: Vec<Piece>,
    /// Everything that the step reads but its root.
    content: Digest,
    /// Repositories that pieces are read from.
    _trees: Vec<Tree>,
}

/// What a step reads from elsewhere, each in the order of its sources.
#[derive(Default)]
pub struct Came {
    pub downloads: Vec<Download>,
    pub trees: Vec<Tree>,
}

enum Piece {
    Files(Arc<Scan>),
    Inline(crate::build::op::InlineFile),
    Url { url: String, checksum: Option<String>, download: Download },
}

/// Looks at everything that the step reads; copies nothing.
pub fn gather(engine: &Engine, copy: &Copy, steps: &Steps, came: Came) -> Result<Gathered> {
    let (mut downloads, mut trees) = (came.downloads.into_iter(), came.trees.into_iter());
    let mut pieces = Vec::with_capacity(copy.sources.len());
    let mut key = Key::new("copied");
    let mut kept = Vec::new();
    for source in &copy.sources {
        pieces.push(match source {
            CopySource::Path { from, path } => {
                let scan = scan::scan(engine, steps, from, path, copy.parents, &copy.exclude)?;
                key = key.bytes(scan.digest.as_bytes());
                Piece::Files(scan)
            }
            CopySource::Inline(file) => {
                key = key.text(&file.name).bytes(&file.content).number(file.mode);
                Piece::Inline(file.clone())
            }
            CopySource::Url { url, checksum } => {
                let download = downloads.next().ok_or_else(missing)?;
                key = key.text(url).bytes(download.digest.as_bytes()).option(download.modified, Key::number);
                Piece::Url { url: url.clone(), checksum: checksum.clone(), download }
            }
            CopySource::Git { .. } => {
                let tree = trees.next().ok_or_else(missing)?;
                let scan = Arc::new(scan::tree(engine, &tree, &copy.exclude)?);
                key = key.bytes(scan.digest.as_bytes());
                kept.push(tree);
                Piece::Files(scan)
            }
        });
    }
    Ok(Gathered { pieces, content: key.finish(), _trees: kept })
}

impl Gathered {
    /// The name by what is read, and the root.
    pub fn name(&self, engine: &Engine, copy: &Copy, steps: &Steps) -> Result<Name> {
        let root = root_of(copy, steps)?;
        let content = self.content.as_bytes();
        Name::both(|side| Ok(settings(engine, copy, root.map(side), "copy").bytes(content).finish()))
    }

    /// URLs whose bytes are not here yet, with their place among the downloads.
    pub fn absent(&self) -> Vec<(usize, String, Option<String>)> {
        let urls = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Url { url, checksum, download } => Some((url, checksum, download)),
            _ => None,
        });
        let absent = urls.enumerate().filter(|(_, (_, _, download))| download.file.is_none());
        absent.map(|(number, (url, checksum, _))| (number, url.clone(), checksum.clone())).collect()
    }

    pub fn arrived(&mut self, number: usize, arrived: Download) {
        let mut urls = self.pieces.iter_mut().filter_map(|piece| match piece {
            Piece::Url { download, .. } => Some(download),
            _ => None,
        });
        if let Some(download) = urls.nth(number) {
            *download = arrived;
        }
    }

    /// Writes the layer into `dir`, which does not exist.
    pub fn write(&self, engine: &Engine, copy: &Copy, root: Option<&Snapshot>, dir: &Path) -> Result<()> {
        let lowers = if copy.link { Vec::new() } else { engine.lowers(root) };
        let owner = match &copy.chown {
            None => None,
            Some(chown) => {
                let view = View::open(&lowers).map_err(StepError::file("read", dir))?;
                Some(owner::look_up(&view, chown, &mut |text| (engine.report)(Event::Warning(text)))?)
            }
        };
        let upper = Upper::create(dir, &lowers).map_err(StepError::file("make", dir))?;
        let chmod = copy.chmod.as_ref();
        let mut writer = write::Writer::new(upper, &copy.destination, owner, chmod, engine.now(), &engine.cancelled);
        for piece in &self.pieces {
            match piece {
                Piece::Files(scan) => {
                    for found in &scan.found {
                        if !(copy.unpack != Unpack::Never && unpacked(&mut writer, &scan.origin, found, dir)?) {
                            writer.copy(&scan.origin, found, copy.parents)?;
                        }
                    }
                }
                Piece::Inline(file) => {
                    let mut content = file.content.as_slice();
                    let now = engine.now();
                    writer.file(OsStr::new(&file.name), file.mode, now, &mut content)?;
                }
                Piece::Url { url, download, .. } => self.download(engine, copy, &mut writer, url, download, dir)?,
            }
        }
        writer.upper.finish().map_err(StepError::file("write", dir))
    }

    fn download(
        &self,
        engine: &Engine,
        copy: &Copy,
        writer: &mut write::Writer<'_>,
        url: &str,
        download: &Download,
        dir: &Path,
    ) -> Result<()> {
        let path = download.file.as_ref().ok_or_else(missing)?;
        let mut file = File::open(path).map_err(StepError::file("read", path))?;
        if copy.unpack == Unpack::All && unpack::is_archive(&mut file) {
            return unpack::unpack(writer, &mut file, url, limits(dir)?);
        }
        let mtime = download.modified.map_or_else(|| engine.now(), |modified| (modified, 0));
        // As Docker: nobody but the owner has to do with what came from somewhere.
        writer.file(&unpack::name_of_url(url), 0o600, mtime, &mut file)
    }
}

/// `false` where it is no archive.
fn unpacked(writer: &mut write::Writer<'_>, origin: &Origin, found: &Found, dir: &Path) -> Result<bool> {
    if found.root.kind() != rustix::fs::FileType::RegularFile {
        return Ok(false);
    }
    let path = &found.root.path;
    let open = || content::leaf(&mut Cursor::new(&origin.view), &found.root)?.open();
    let mut file = open().map_err(StepError::file("read", path))?;
    let name = path.to_string_lossy();
    if !unpack::is_archive(&mut file) {
        return Ok(false);
    }
    unpack::unpack(writer, &mut file, &name, limits(dir)?)?;
    Ok(true)
}

/// Of an archive that is unpacked where the layer is written.
fn limits(dir: &Path) -> Result<Limits> {
    Limits::of(dir).map_err(|error| StepError::Refused(error.to_string()))
}
