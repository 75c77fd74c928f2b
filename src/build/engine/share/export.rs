//! After the build: what is known of its steps goes to the places of `cache_to`, with the layers that they lack.

use super::{
    super::{
        cache::PackedRecord,
        error::{BuildError, Result, StepError},
        export,
        report::Event,
        step::{self, Engine, Snapshot, Steps},
    },
    Destination, KIND, Task,
    later::{self, Later},
    records::{Entry, Layer, Records},
};
use crate::{
    build::op::{Plan, StepId},
    image::{
        Digest,
        depot::{Part, Place, Target},
        progress,
        store::ImageLayer,
    },
};
use futures_util::{StreamExt, stream};
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Layers at once.
const PARALLEL: usize = 4;

/// A step whose result means something elsewhere.
struct Shared {
    id: StepId,
    /// Without its layer.
    entry: Entry,
    snapshot: Arc<Snapshot>,
}

/// The layers that the image has, by their steps.
pub type Made = HashMap<StepId, ImageLayer>;

/// In the order of the plan, each key once.
fn shared(plan: &Plan, steps: &Steps) -> Vec<Shared> {
    let mut keys = HashSet::new();
    let one = |index: usize| {
        let snapshot = steps.get(&StepId(index))?;
        let key = snapshot.shared.filter(|key| keys.insert(*key))?;
        let record = snapshot.layers.last()?.record()?;
        let entry = Entry { key, id: record.name().elsewhere, created: record.created.clone(), layer: None };
        Some(Shared { id: StepId(index), entry, snapshot: snapshot.clone() })
    };
    (0..plan.steps.len()).filter_map(one).collect()
}

/// What the image itself carries: its own layers are at hand wherever it is, of other steps only the names are known.
pub fn inline(plan: &Plan, steps: &Steps, made: &Made) -> Records {
    let record = |shared: Shared| {
        let layer = made.get(&shared.id).map(|layer| Layer { diff_id: layer.diff_id, blob: None });
        Entry { layer, ..shared.entry }
    };
    Records { records: shared(plan, steps).into_iter().map(record).collect() }
}

/// A place that has all the layers, and is to learn what they are.
struct Filled {
    target: Target,
    records: Vec<u8>,
    layers: Vec<Part>,
}

/// # Errors
/// The first place that cannot be written, unless its errors are to be ignored. The others are written, and the image is
/// there all the same.
pub async fn all(engine: &Arc<Engine>, plan: &Plan, steps: &Steps, made: &Made) -> Result<(), BuildError> {
    let destinations = &engine.options.share.to;
    let mut failure = None;
    let mut end = |to: &Destination, task: Task<'_>, result: Result<()>| match result {
        Ok(()) => task.done(),
        Err(error) if to.ignore_error => {
            task.done();
            let told = format!("cache_to {}: {error}; that is ignored, as it says", to.place);
            (engine.report)(Event::Warning(told));
        }
        Err(source) => {
            task.failed(source.to_string());
            failure.get_or_insert(BuildError::Share { to: to.place.to_string(), source });
        }
    };
    let mut filled = Vec::new();
    for to in destinations {
        let title = match &to.place {
            Place::Registry(name) => format!("exporting cache to registry {}", name.familiar()),
            Place::Directory { .. } => format!("exporting cache to {}", to.place),
        };
        let task = Task::begin(engine, title);
        match fill(engine, plan, steps, made, to).await {
            Ok(place) => filled.push((to, task, place)),
            Err(error) => end(to, task, Err(error)),
        }
    }
    // Whoever publishes sweeps, and the place may be one that layers for the others came from: now all have them.
    engine.imports.release();
    for (to, task, Filled { target, records, layers }) in filled {
        // Of two names in one directory the last sweeps, for both.
        let reset = destinations.iter().any(|other| other.reset && other.place.is_beside(&to.place));
        let published = target.publish(KIND, records, layers, engine.workshop.path(), reset).await;
        end(to, task, published.map_err(StepError::from));
    }
    let owned = engine.clone();
    let synced = engine.clone().blocking(move || Ok(owned.cache.sync()?)).await;
    failure.map_or(Ok(()), Err)?;
    synced.map_err(BuildError::Export)
}

async fn fill(engine: &Arc<Engine>, plan: &Plan, steps: &Steps, made: &Made, to: &Destination) -> Result<Filled> {
    let share = &engine.options.share;
    let target = Target::open(&to.place, &share.credentials, engine.imports.bad(), progress::silent()).await?;
    let wanted = |shared: &Shared| to.every_step || made.contains_key(&shared.id);
    let sent = Mutex::new(HashSet::new());
    let jobs = shared(plan, steps).into_iter().map(|shared| {
        let (target, sent, wanted) = (&target, &sent, wanted(&shared));
        async move {
            let part = match wanted {
                true => send(engine, target, sent, &shared, steps, made).await?,
                false => None,
            };
            Ok::<_, StepError>((shared.entry, part))
        }
    });
    let results: Vec<_> = stream::iter(jobs).buffered(PARALLEL).collect().await;
    let (mut records, mut layers, mut seen) = (Records::default(), Vec::new(), HashSet::new());
    for result in results {
        let (entry, packed) = result?;
        let layer = packed.as_ref().map(|packed| Layer { diff_id: packed.diff_id, blob: Some(packed.blob) });
        records.records.push(Entry { layer, ..entry });
        if let Some(packed) = packed.filter(|packed| seen.insert(packed.blob)) {
            layers.push(Part { digest: packed.blob, size: packed.size, media_type: export::LAYER.to_owned() });
        }
    }
    let records = records.write().map_err(|error| StepError::Abandoned(error.to_string()))?;
    Ok(Filled { target, records, layers })
}

/// Sees to it that a layer is there. `None` for one that cannot be had. A blob that several steps share goes once.
async fn send(
    engine: &Arc<Engine>,
    target: &Target,
    sent: &Mutex<HashSet<Digest>>,
    shared: &Shared,
    steps: &Steps,
    made: &Made,
) -> Result<Option<PackedRecord>> {
    let layer = shared.snapshot.layers.last().ok_or_else(step::missing)?;
    let (packed, file) = match (made.get(&shared.id), layer.later().filter(|later| later.here().is_none())) {
        (Some(made), _) => {
            let packed = PackedRecord { diff_id: made.diff_id, blob: made.blob, size: made.blob_size };
            (packed, engine.store.blob_path(&made.blob))
        }
        (None, Some(later)) => match elsewhere(engine, target, later).await? {
            Some(found) => found,
            None => return Ok(None),
        },
        (None, None) => {
            let known = layer.record().and_then(|record| record.packed.clone());
            match known {
                Some(packed) if target.holds(&packed.blob, packed.size).await? => (packed, None),
                _ => pack(engine, &shared.snapshot, steps).await?,
            }
        }
    };
    let first = sent.lock().unwrap_or_else(PoisonError::into_inner).insert(packed.blob);
    match file {
        Some(_) if !first => {}
        Some(file) => target.put(packed.blob, packed.size, file).await?,
        None if target.holds(&packed.blob, packed.size).await? => {}
        None => return Ok(None),
    }
    Ok(Some(packed))
}

/// A layer that nobody here has needed.
async fn elsewhere(
    engine: &Arc<Engine>,
    target: &Target,
    later: &Arc<Later>,
) -> Result<Option<(PackedRecord, Option<PathBuf>)>> {
    for held in &later.known().held {
        let wanted = &held.wanted;
        if target.holds(&wanted.digest, wanted.size).await? {
            let packed = PackedRecord { diff_id: wanted.diff_id, blob: wanted.digest, size: wanted.size };
            return Ok(Some((packed, None)));
        }
    }
    Ok(later.blob(engine).await.map(|(packed, file)| (packed, Some(file))))
}

async fn pack(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    steps: &Steps,
) -> Result<(PackedRecord, Option<PathBuf>)> {
    later::bring(engine, snapshot, steps).await?;
    let turn = engine.packers.clone().acquire_owned().await;
    let (owned, snapshot) = (engine.clone(), snapshot.clone());
    let packaged = engine.clone().blocking(move || {
        let _turn = turn;
        export::package_top(&owned, &snapshot)
    });
    let packaged = packaged.await?;
    let layer = packaged.layer();
    let packed = PackedRecord { diff_id: layer.diff_id, blob: layer.blob, size: layer.blob_size };
    let file = packaged.fresh_blob().or_else(|| engine.store.blob_path(&packed.blob));
    Ok((packed, file))
}
