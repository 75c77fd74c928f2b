//! Before the build: every place of `cache_from` is asked what it has. Only documents are fetched. A place that does not
//! answer costs a warning, and its help.

use super::{
    super::{report::Event, step::Engine},
    ANY_KIND, KIND, Task,
    records::{INLINE, INLINE_OF_BUILDKIT, Records},
};
use crate::image::{
    Digest,
    depot::{Document, Part, Place, Source, Wanted},
    progress,
};
use futures_util::future::join_all;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

const BUILDKIT: &str = "application/vnd.buildkit.cacheconfig.";

/// What is known from elsewhere.
#[derive(Default)]
pub struct Imports {
    table: OnceLock<HashMap<Digest, Arc<Known>>>,
    /// Keys whose results could not be had: their steps are carried out.
    forsaken: Mutex<HashSet<Digest>>,
    /// Blobs that were not what they should be.
    bad: Mutex<HashSet<Digest>>,
    sources: Mutex<Vec<Source>>,
}

/// The result of a step, elsewhere.
pub struct Known {
    pub id: Digest,
    pub created: String,
    /// Places that have its layer, in the order of `cache_from`.
    pub held: Vec<Held>,
}

pub struct Held {
    pub source: Source,
    pub wanted: Wanted,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("id", &self.id).field("held", &self.held.len()).finish()
    }
}

impl Imports {
    pub fn find(&self, key: &Digest) -> Option<Arc<Known>> {
        let known = self.table.get()?.get(key)?;
        let forsaken = self.forsaken.lock().unwrap_or_else(PoisonError::into_inner);
        (!forsaken.contains(key)).then(|| known.clone())
    }

    pub fn forsake(&self, keys: impl IntoIterator<Item = Digest>) {
        self.forsaken.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
    }

    /// Nothing is read any more: whoever sweeps need not wait for this build.
    pub fn release(&self) {
        let sources = std::mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        sources.iter().for_each(Source::release);
    }

    pub fn is_bad(&self, blob: Digest) {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner).insert(blob);
    }

    pub fn bad(&self) -> HashSet<Digest> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks all places at once; what the first of them knows counts.
pub async fn begin(engine: &Engine) {
    let places = &engine.options.share.from;
    if places.is_empty() {
        return;
    }
    let mut table: HashMap<Digest, Known> = HashMap::new();
    let found = join_all(places.iter().map(|place| ask(engine, place))).await;
    for (names, known) in found.into_iter().flatten() {
        for name in names {
            add(&mut table, name, &known);
        }
    }
    let table = table.into_iter().map(|(key, known)| (key, Arc::new(known))).collect();
    let _ = engine.imports.table.set(table);
}

/// A result that can be had counts more than one of which only the names are known.
fn add(table: &mut HashMap<Digest, Known>, name: Digest, known: &Known) {
    let held = |known: &Known| -> Vec<Held> {
        known.held.iter().map(|held| Held { source: held.source.clone(), wanted: held.wanted.clone() }).collect()
    };
    let fresh = || Known { id: known.id, created: known.created.clone(), held: held(known) };
    match table.get_mut(&name) {
        Some(before) if before.id == known.id => before.held.extend(held(known)),
        Some(before) if before.held.is_empty() && !known.held.is_empty() => *before = fresh(),
        Some(_) => {}
        None => {
            table.insert(name, fresh());
        }
    }
}

/// A result, and what it can be found under.
type Found = (Vec<Digest>, Known);

async fn ask(engine: &Engine, place: &Place) -> Vec<Found> {
    let task = Task::begin(engine, format!("importing cache manifest from {place}"));
    let answer = async {
        let source = Source::open(place, &engine.options.share.credentials, progress::silent()).await?;
        let document = source.document(KIND).await?;
        Ok::<_, crate::image::depot::DepotError>((source, document))
    };
    let found = match answer.await {
        Ok((source, document)) => {
            let sources = &engine.imports.sources;
            sources.lock().unwrap_or_else(PoisonError::into_inner).push(source.clone());
            read(&source, &document)
        }
        Err(error) if error.is_absent() => Err(format!("there is none yet ({error})")),
        Err(error) => Err(error.to_string()),
    };
    let found = found.unwrap_or_else(|why| {
        (engine.report)(Event::Warning(format!("cache_from {place}: {why}; the build goes on without it")));
        Vec::new()
    });
    task.done();
    found
}

fn read(source: &Source, document: &Document) -> Result<Vec<Found>, String> {
    let unreadable = |error: serde_json::Error| format!("its records cannot be read: {error}");
    match document {
        Document::Own { config, layers } => {
            let records = Records::parse(config).map_err(unreadable)?;
            let by_digest: HashMap<Digest, &Part> = layers.iter().map(|part| (part.digest, part)).collect();
            Ok(known(source, records, |layer| by_digest.get(&layer.blob?).copied().filter(|part| part.is_layer())))
        }
        Document::Image { config, layers } => {
            let value: Value = serde_json::from_slice(config).map_err(unreadable)?;
            let Some(inline) = value.get(INLINE) else {
                return Err(match value.get(INLINE_OF_BUILDKIT) {
                    Some(_) => "its cache was made by BuildKit, whose records mean nothing here".into(),
                    None => "the image carries no cache; `cache_to: [type=inline]` puts one into it".into(),
                });
            };
            let records = Records::parse(inline.to_string().as_bytes()).map_err(unreadable)?;
            let diff_ids = value.pointer("/rootfs/diff_ids").and_then(Value::as_array).cloned().unwrap_or_default();
            if diff_ids.len() != layers.len() {
                return Err("its manifest and its configuration do not fit each other".into());
            }
            let diff_ids = diff_ids.iter().filter_map(|id| id.as_str()?.parse::<Digest>().ok());
            let by_diff_id: HashMap<Digest, &Part> = diff_ids.zip(layers).collect();
            Ok(known(source, records, |layer| by_diff_id.get(&layer.diff_id).copied()))
        }
        Document::Foreign(kind) if kind.starts_with(BUILDKIT) => {
            Err(format!("it was made by BuildKit (`{kind}`), whose records mean nothing here"))
        }
        Document::Foreign(kind) if kind.starts_with(ANY_KIND) => {
            Err(format!("it was made by another version of muster (`{kind}`)"))
        }
        Document::Foreign(kind) => Err(format!("it is no cache of builds but a `{kind}`")),
    }
}

fn known<'a>(
    source: &Source,
    records: Records,
    part: impl Fn(&super::records::Layer) -> Option<&'a Part>,
) -> Vec<Found> {
    let found = |entry: super::records::Entry| {
        let held = entry.layer.as_ref().and_then(|layer| {
            let part = part(layer)?;
            let wanted = Wanted { digest: part.digest, size: part.size, diff_id: layer.diff_id };
            Some(Held { source: source.clone(), wanted })
        });
        let known = Known { id: entry.id, created: entry.created, held: held.into_iter().collect() };
        // A copy whose sources changed may still copy the same: it is looked up by its content then, which is its id.
        let mut names = vec![entry.key];
        if entry.id != entry.key {
            names.push(entry.id);
        }
        (names, known)
    };
    records.records.into_iter().map(found).collect()
}
