//! Carries out a plan: steps that do not need each other run at the same time, each is looked up in the cache first,
//! and the last one becomes an image of the store. It decides nothing about Dockerfiles.
//!
//! ```text
//! build (this file)   the graph of steps; which runs now
//! step                one step: cache or work          key     what a step is, in a hash
//! cache               records and layers of steps      pack    a layer as a blob; archive: tar members
//! view, upper         stacks of layers, read and written without a mount
//! copy/               COPY, ADD                        run/    RUN
//! export              layers, configuration, names -> the store
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
mod pack;
mod report;
mod run;
mod step;
mod upper;
mod view;

pub use cache::{Prune, Pruned, prune};
pub use error::{BuildError, StepError};
pub use input::{Context, Inputs, Options, Secret};
pub use report::{Event, Report, Stream, silent};
pub use run::role::main as step_main;

use super::op::{Plan, StepId};
use crate::{
    image::{Digest, Image, Store, tree},
    runtime::cgroup::Cgroup,
    state::Layout,
};
use cache::Cache;
use copy::seen::Seen;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use step::{Done, Engine, Snapshot, Steps};
use tokio::sync::Semaphore;

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
    let engine = open(store, layout, inputs, options, report).await.map_err(BuildError::Begin)?;
    let cancel = Cancel(engine.clone());
    let steps = carry_out(&engine, &plan).await;
    // What was seen is of use also after a failure.
    for seen in engine.seen.values() {
        let _ = seen.save();
    }
    if steps.is_err() {
        let owned = engine.clone();
        let _ = engine.clone().blocking(move || Ok(owned.cache.sync()?)).await;
    }
    let steps = steps?;
    (engine.report)(Event::Exporting);
    let image = export(&engine, &plan, &steps).await.map_err(BuildError::Export)?;
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

async fn open(
    store: &Store,
    layout: &Layout,
    inputs: Inputs,
    options: Options,
    report: Report,
) -> Result<Arc<Engine>, StepError> {
    let (store, layout) = (store.clone(), layout.clone());
    let (engine, stale) = tokio::task::spawn_blocking(move || {
        let workshop = store.workshop()?;
        let cache = Cache::open(&layout)?;
        let processors = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let session = workshop.path().file_name().unwrap_or_default().to_owned();
        let private = layout.run_builds().join(&session);
        let cgroups = cgroups_of(&layout);
        let stale = sweep(&layout, &workshop, &cgroups);
        let contexts = inputs.context.iter().map(|context| (String::new(), context));
        let contexts = contexts.chain(inputs.named.iter().map(|(name, context)| (name.clone(), context)));
        let seen = contexts.map(|(name, context)| (name, Arc::new(Seen::open(&layout, &context.dir)))).collect();
        let engine = Engine {
            permits: Arc::new(Semaphore::new(options.parallel.unwrap_or(processors.max(4)))),
            store,
            cache,
            workshop,
            inputs,
            options,
            report,
            cancelled: AtomicBool::new(false),
            cgroups,
            seen,
            program: Mutex::default(),
            private,
            layout,
        };
        Ok::<_, StepError>((Arc::new(engine), stale))
    })
    .await
    .map_err(|error| StepError::Abandoned(error.to_string()))??;
    if stale && let Err(error) = run::network::sweep(&engine.layout).await {
        tracing::debug!(%error, "the network of a killed build is left to the next");
    }
    Ok(engine)
}

/// No project has a dot at the head of its name. Two stores on one host are strangers to each other.
fn cgroups_of(layout: &Layout) -> PathBuf {
    let store = Digest::of(layout.data().as_os_str().as_encoded_bytes()).hex();
    PathBuf::from("muster").join(format!(".build-{}", &store[..8]))
}

/// Removes what builds that were killed have left outside of their sessions, which the store has swept already. Whether
/// there may be more.
fn sweep(layout: &Layout, workshop: &crate::image::store::Workshop, cgroups: &Path) -> bool {
    let sessions = workshop.path().parent().unwrap_or(Path::new("/"));
    let mut alone = true;
    for entry in std::fs::read_dir(layout.run_builds()).into_iter().flatten().flatten() {
        if !sessions.join(entry.file_name()).exists() {
            let _ = tree::remove(&entry.path());
        }
    }
    for entry in std::fs::read_dir(sessions).into_iter().flatten().flatten() {
        alone &= entry.path() == workshop.path();
    }
    // With nobody else at work every cgroup is of somebody who is gone.
    if alone {
        for name in Cgroup::names_below(cgroups) {
            if let Ok(cgroup) = Cgroup::open(&cgroups.join(name)) {
                let _ = cgroup.kill();
                let _ = cgroup.remove();
            }
        }
    }
    alone
}

/// Runs every step as soon as those that it needs are done. The first failure ends the others.
async fn carry_out(engine: &Arc<Engine>, plan: &Plan) -> Result<Steps, BuildError> {
    let mut done: Steps = HashMap::with_capacity(plan.steps.len());
    let mut waiting: Vec<StepId> = (0..plan.steps.len()).map(StepId).collect();
    let mut running = FuturesUnordered::new();
    let mut at_work: Vec<StepId> = Vec::new();
    loop {
        let ready = |id: &StepId| plan.steps[id.0].op.needs().iter().all(|need| done.contains_key(need));
        let (now, later): (Vec<StepId>, Vec<StepId>) = waiting.into_iter().partition(ready);
        waiting = later;
        for id in now {
            at_work.push(id);
            running.push(one(engine.clone(), id, &plan.steps[id.0], done.clone()));
        }
        let Some((id, result)) = running.next().await else { return Ok(done) };
        at_work.retain(|other| *other != id);
        match result {
            Ok(snapshot) => {
                done.insert(id, Arc::new(snapshot));
            }
            Err(source) => {
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
    }
}

async fn one(
    engine: Arc<Engine>,
    id: StepId,
    step: &super::op::Step,
    steps: Steps,
) -> (StepId, Result<Snapshot, StepError>) {
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
    (id, result.map(|done| done.snapshot))
}

fn elapsed(since: Instant) -> Duration {
    Instant::now().saturating_duration_since(since)
}

async fn export(engine: &Arc<Engine>, plan: &Plan, steps: &Steps) -> Result<Image, StepError> {
    let root = plan.outcome.root.and_then(|root| steps.get(&root)).cloned();
    let layers = export::package_all(engine, root.as_deref()).await?;
    let base_created = base_created(engine, plan);
    let (owned, outcome) = (engine.clone(), plan.outcome.clone());
    engine.clone().blocking(move || export::publish(&owned, &outcome, base_created, layers)).await
}

/// Of the image that the outcome stands on.
fn base_created(engine: &Engine, plan: &Plan) -> Option<String> {
    let mut at = plan.outcome.root?;
    loop {
        let op = &plan.steps.get(at.0)?.op;
        if let super::op::Op::Base(base) = op {
            return engine.inputs.images.get(&base.image)?.created.clone();
        }
        at = op.root()?;
    }
}
