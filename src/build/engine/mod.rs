//! Carries out a plan: steps that do not need each other run at the same time, each is looked up in the cache first,
//! and the last one becomes an image of the store. It decides nothing about Dockerfiles.
//!
//! ```text
//! build (this file)   the graph of steps; which runs now
//! step                one step: cache or work          key     what a step is, in a hash
//! cache               records and layers of steps      pack    a layer as a blob; archive: tar members
//! view, upper         stacks of layers, read and written without a mount
//! turn                whoever is at the same step waits
//! keys                an agent for the private keys of build.ssh
//! remote/             repositories and downloads: contexts, sources of ADD
//! copy/               COPY, ADD                        run/    RUN
//! export              layers, configuration, names -> the store
//! share/              what comes from other hosts and goes to them: cache_from, cache_to
//! ```
//!
//! Everything that is unfinished lies in a session of the image store, and goes with the process that works in it. A
//! step's layer and then its record come into the cache by a rename. Whatever kills a build leaves whole results and
//! rubbish that the next session sweeps.

mod archive;
mod cache;
mod copy;
mod error;
mod export;
mod input;
mod key;
pub mod keys;
mod pack;
pub mod remote;
mod report;
mod run;
mod share;
mod step;
mod turn;
mod upper;
mod view;

pub use cache::{CacheError, CacheUse, Prune, Pruned, cache_use, prune};
pub use error::{BuildError, StepError};
pub use input::{Context, Inputs, Options, Secret};
pub use report::{Event, Report, Stream, silent};
pub use run::role::main as step_main;
pub use share::{Destination, Share};

use super::op::{Op, Plan, StepId};
use crate::{
    image::{Digest, Image, Reference, Store, tree},
    runtime::cgroup::Cgroup,
    state::Layout,
};
use cache::Cache;
use copy::seen::Seen;
use export::Packaged;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use step::{Done, Engine, Snapshot, Steps};
use tokio::sync::Semaphore;

/// Layers that are fetched at once.
const FETCHES: usize = 6;

/// Builds the image of a plan. Dropping the future cancels the build: programs that run are killed at once, and
/// nothing of them is left when the drop returns.
pub async fn build(
    store: &Store,
    layout: &Layout,
    plan: Plan,
    inputs: Inputs,
    options: Options,
    report: Report,
) -> Result<Image, BuildError> {
    check(&plan)?;
    refuse_directory(&plan, &inputs)?;
    let engine = open(store, layout, inputs, options, report).await.map_err(BuildError::Begin)?;
    let cancel = Cancel(engine.clone());
    share::import::begin(&engine).await;
    let carried = carry_out(&engine, &plan).await;
    // What was seen is of use also after a failure.
    for seen in engine.seen.values() {
        let _ = seen.save();
    }
    if carried.is_err() {
        let owned = engine.clone();
        let _ = engine.clone().blocking(move || Ok(owned.cache.sync()?)).await;
    }
    let carried = carried?;
    (engine.report)(Event::Exporting);
    let steps = carried.steps.clone();
    let made = carried.packed.iter().map(|(id, layer)| (*id, layer.layer().clone())).collect();
    let image = export(&engine, &plan, carried, &made).await.map_err(BuildError::Export)?;
    if !engine.options.share.to.is_empty() {
        (engine.report)(Event::Exported);
        share::export::all(&engine, &plan, &steps, &made).await?;
    }
    drop(cancel);
    Ok(image)
}

/// Tells the threads of a build that is dropped to stop.
struct Cancel(Arc<Engine>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }
}

fn check(plan: &Plan) -> Result<(), BuildError> {
    for (index, step) in plan.steps.iter().enumerate() {
        if step.op.needs().iter().any(|need| need.0 >= index) {
            return Err(BuildError::Plan("a step stands before one that it needs"));
        }
    }
    match plan.outcome.root {
        Some(root) if root.0 >= plan.steps.len() => Err(BuildError::Plan("its outcome is no step of it")),
        _ => Ok(()),
    }
}

/// Before anything runs for nothing.
fn refuse_directory(plan: &Plan, inputs: &Inputs) -> Result<(), BuildError> {
    let Some(step) = plan.chain().first().and_then(|id| plan.steps.get(id.0)) else { return Ok(()) };
    let Op::Base(base) = &step.op else { return Ok(()) };
    match inputs.image(base).map(|image| &image.reference) {
        Some(Reference::Rootfs(dir)) => {
            let source = StepError::Refused(format!(
                "{} is a directory of this host: steps can run on it and copy from it, but an image that stands on it \
                 would be all of it; begin from scratch, and COPY --from it what is needed",
                dir.display()
            ));
            Err(BuildError::Step { title: step.title.clone(), line: step.line, source })
        }
        _ => Ok(()),
    }
}

async fn open(
    store: &Store,
    layout: &Layout,
    inputs: Inputs,
    options: Options,
    report: Report,
) -> Result<Arc<Engine>, StepError> {
    let (store, layout) = (store.clone(), layout.clone());
    let engine = tokio::task::spawn_blocking(move || {
        let workshop = store.workshop()?;
        let cache = Cache::open(&layout)?;
        let processors = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let session = workshop.path().file_name().unwrap_or_default().to_owned();
        let private = layout.run_builds().join(&session);
        let cgroups = cgroups_of(&layout);
        sweep(&layout, &workshop, &cgroups);
        let contexts = inputs.context.iter().map(|context| (String::new(), context));
        let contexts = contexts.chain(inputs.named.iter().map(|(name, context)| (name.clone(), context)));
        let seen: HashMap<_, _> =
            contexts.map(|(name, context)| (name, Arc::new(Seen::open(&layout, &context.dir)))).collect();
        // While files are looked at; who needs it waits for it.
        for seen in seen.values() {
            let seen = seen.clone();
            tokio::task::spawn_blocking(move || seen.read());
        }
        let engine = Engine {
            permits: Arc::new(Semaphore::new(options.parallel.unwrap_or(processors.max(4)))),
            packers: Arc::new(Semaphore::new(processors)),
            fetchers: Semaphore::new(FETCHES),
            imports: share::import::Imports::default(),
            numbers: share::Numbers::default(),
            store,
            cache,
            workshop,
            inputs,
            options,
            report,
            cancelled: AtomicBool::new(false),
            cgroups,
            seen,
            scans: copy::scan::Scans::default(),
            program: Mutex::default(),
            private,
            layout,
        };
        Ok::<_, StepError>(Arc::new(engine))
    })
    .await
    .map_err(|error| StepError::Abandoned(error.to_string()))??;
    if let Err(error) = run::network::sweep(&engine.layout).await {
        tracing::debug!(%error, "the network of a killed build is left to the next");
    }
    Ok(engine)
}

/// No project has a dot at the head of its name. Two stores on one host are strangers to each other.
fn cgroups_of(layout: &Layout) -> PathBuf {
    let store = Digest::of(layout.data().as_os_str().as_encoded_bytes()).hex();
    PathBuf::from("muster").join(format!(".build-{}", &store[..8]))
}

/// Removes what builds that were killed have left outside of their sessions, which the store has swept already. What is
/// of use has the name of a session that lives: of whatever process, and this one may hold several.
fn sweep(layout: &Layout, workshop: &crate::image::store::Workshop, cgroups: &Path) {
    let sessions = workshop.path().parent().unwrap_or(Path::new("/"));
    for entry in std::fs::read_dir(layout.run_builds()).into_iter().flatten().flatten() {
        if !sessions.join(entry.file_name()).exists() {
            let _ = tree::remove(&entry.path());
        }
    }
    for name in Cgroup::names_below(cgroups) {
        let session = name.to_str().and_then(|name| Some(name.rsplit_once('-')?.0));
        if session.is_some_and(|session| !sessions.join(session).exists())
            && let Ok(cgroup) = Cgroup::open(&cgroups.join(&name))
        {
            let _ = cgroup.kill();
            let _ = cgroup.remove();
        }
    }
}

/// What is at work in a build.
type Job<'a> = Pin<Box<dyn Future<Output = Finished> + Send + 'a>>;

enum Finished {
    Step(StepId, Result<Snapshot, StepError>),
    /// Layers that the outcome has, packed while later steps run.
    Packed(StepId, Result<Packaged, StepError>),
}

/// All steps, and the layers of the outcome by their steps.
struct Carried {
    steps: Steps,
    packed: HashMap<StepId, Packaged>,
}

/// Runs every step as soon as those that it needs are done. The first failure ends the others.
async fn carry_out(engine: &Arc<Engine>, plan: &Plan) -> Result<Carried, BuildError> {
    let mut done: Steps = HashMap::with_capacity(plan.steps.len());
    let mut packed = HashMap::new();
    let mut waiting: Vec<StepId> = (0..plan.steps.len()).map(StepId).collect();
    let mut running: FuturesUnordered<Job<'_>> = FuturesUnordered::new();
    let mut at_work: Vec<StepId> = Vec::new();
    let kept = plan.chain();
    loop {
        let ready = |id: &StepId| plan.steps[id.0].op.needs().iter().all(|need| done.contains_key(need));
        let (now, later): (Vec<StepId>, Vec<StepId>) = waiting.into_iter().partition(ready);
        waiting = later;
        for id in now {
            at_work.push(id);
            running.push(Box::pin(one(engine.clone(), id, &plan.steps[id.0], done.clone())));
        }
        let Some(finished) = running.next().await else { return Ok(Carried { steps: done, packed }) };
        let (id, source) = match finished {
            Finished::Step(id, Ok(snapshot)) => {
                at_work.retain(|other| *other != id);
                let snapshot = Arc::new(snapshot);
                done.insert(id, snapshot.clone());
                if kept.contains(&id) && plan.steps[id.0].op.makes_layer() {
                    running.push(Box::pin(package(engine.clone(), id, snapshot, done.clone())));
                }
                continue;
            }
            Finished::Packed(id, Ok(layer)) => {
                packed.insert(id, layer);
                continue;
            }
            Finished::Step(id, Err(error)) | Finished::Packed(id, Err(error)) => (id, error),
        };
        at_work.retain(|other| *other != id);
        let (id, source) = source.blamed(id);
        engine.cancelled.store(true, Ordering::Relaxed);
        // Dropping them kills what they run.
        drop(running);
        for id in at_work {
            (engine.report)(Event::Cancelled(id));
        }
        let step = &plan.steps[id.0];
        return Err(BuildError::Step { title: step.title.clone(), line: step.line, source });
    }
}

/// The uppermost layer of a step's result, as a blob.
async fn package(engine: Arc<Engine>, id: StepId, snapshot: Arc<Snapshot>, steps: Steps) -> Finished {
    if let Err(error) = share::later::bring(&engine, &snapshot, &steps).await {
        return Finished::Packed(id, Err(error));
    }
    let turn = engine.packers.clone().acquire_owned().await;
    let owned = engine.clone();
    let packed = engine.blocking(move || {
        let _turn = turn;
        export::package_top(&owned, &snapshot)
    });
    Finished::Packed(id, packed.await)
}

async fn one(engine: Arc<Engine>, id: StepId, step: &super::op::Step, steps: Steps) -> Finished {
    let begun = Instant::now();
    (engine.report)(Event::Started(id));
    let result = step::carry_out(&engine, id, step, &steps).await;
    match &result {
        Ok(Done { cached: true, .. }) => (engine.report)(Event::Cached(id)),
        Ok(Done { cached: false, .. }) => {
            (engine.report)(Event::Done { step: id, took: elapsed(begun) });
        }
        Err(error) => (engine.report)(Event::Failed { step: id, message: error.to_string() }),
    }
    Finished::Step(id, result.map(|done| done.snapshot))
}

fn elapsed(since: Instant) -> Duration {
    Instant::now().saturating_duration_since(since)
}

async fn export(
    engine: &Arc<Engine>,
    plan: &Plan,
    mut carried: Carried,
    made: &share::export::Made,
) -> Result<Image, StepError> {
    let inline = engine.options.share.inline.then(|| share::export::inline(plan, &carried.steps, made));
    let mut layers = Vec::new();
    for id in plan.chain() {
        match carried.packed.remove(&id) {
            Some(layer) => layers.push(layer),
            None => {
                if let Some(base) = carried.steps.get(&id) {
                    layers.extend(export::of_base(base)?);
                }
            }
        }
    }
    let base_created = base_created(engine, plan);
    let (owned, outcome) = (engine.clone(), plan.outcome.clone());
    engine.clone().blocking(move || export::publish(&owned, &outcome, base_created, layers, inline.as_ref())).await
}

/// Of the image that the outcome stands on.
fn base_created(engine: &Engine, plan: &Plan) -> Option<String> {
    match &plan.steps.get(plan.chain().first()?.0)?.op {
        Op::Base(base) => engine.inputs.image(base)?.created.clone(),
        _ => None,
    }
}
