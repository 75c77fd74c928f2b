//! What a source of a context stands for, and the digest of it: looked at once by steps that copy the same at about the
//! same time. One that comes later, behind a step that took its time, looks again: files are edited while a build runs.

use super::{
    content,
    find::{self, Found, Origin},
    seen,
};
use crate::{
    build::{
        dockerfile::Patterns,
        engine::{
            error::{Result, StepError},
            input::Context,
            remote::Tree,
            step::{Engine, Steps},
        },
        op::Source,
    },
    image::Digest,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long what was seen may be taken for what is.
const FRESH: Duration = Duration::from_secs(1);

/// The files of one source.
#[derive(Debug)]
pub struct Scan {
    pub origin: Origin,
    pub found: Vec<Found>,
    pub digest: Digest,
}

/// Those of a build. Steps that stand side by side and copy the same wait for one of them.
#[derive(Debug, Default)]
pub struct Scans(Mutex<HashMap<Wanted, Arc<Mutex<Seen>>>>);

/// The last look at a source, and when it began.
type Seen = Option<(Instant, Arc<Scan>)>;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Wanted {
    /// Of the additional context; the build context has none.
    context: Option<String>,
    path: String,
    parents: bool,
    exclude: Vec<String>,
}

pub fn scan(
    engine: &Engine,
    steps: &Steps,
    from: &Source,
    path: &str,
    parents: bool,
    exclude: &[String],
) -> Result<Arc<Scan>> {
    let context = match from {
        Source::Context => None,
        Source::Named(name) => Some(name.clone()),
        // Each is another one, and is named by its step where that can be.
        Source::Step(_) | Source::Scratch => return look(engine, steps, from, path, parents, exclude).map(Arc::new),
    };
    let wanted = Wanted { context, path: path.to_owned(), parents, exclude: exclude.to_vec() };
    // A look that began after it was asked for is as good as one's own.
    let asked = Instant::now();
    let place = engine.scans.0.lock().unwrap_or_else(PoisonError::into_inner).entry(wanted).or_default().clone();
    let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
    match &*known {
        Some((begun, scan)) if asked.saturating_duration_since(*begun) < FRESH => Ok(scan.clone()),
        _ => {
            let begun = Instant::now();
            let scan = Arc::new(look(engine, steps, from, path, parents, exclude)?);
            *known = Some((begun, scan.clone()));
            Ok(scan)
        }
    }
}

fn look(engine: &Engine, steps: &Steps, from: &Source, path: &str, parents: bool, exclude: &[String]) -> Result<Scan> {
    let exclude = patterns(exclude)?;
    let origin = engine.origin(from, steps)?;
    let found = find::find(&origin, path, parents, &exclude)?;
    let digest = content::digest(&origin, &found, engine.seen(from).as_deref(), &engine.cancelled)?;
    Ok(Scan { origin, found, digest })
}

/// All of a repository.
pub fn tree(engine: &Engine, tree: &Tree, exclude: &[String]) -> Result<Scan> {
    let context = Context { dir: tree.dir.clone(), ignore: Patterns::default() };
    let origin = context.origin().map_err(StepError::file("read", &tree.dir))?;
    let found = find::find(&origin, "/", false, &patterns(exclude)?)?;
    let seen = seen::Seen::open(&engine.layout, &tree.dir);
    let digest = content::digest(&origin, &found, Some(&seen), &engine.cancelled)?;
    seen.save()?;
    Ok(Scan { origin, found, digest })
}

fn patterns(exclude: &[String]) -> Result<Patterns> {
    Patterns::new(exclude.iter().map(String::as_str)).map_err(|bad| StepError::Refused(bad.to_string()))
}
