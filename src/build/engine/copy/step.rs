//! COPY as a step: the names that its result may be known by already, and the work where none of them is.

use super::{
    super::{
        error::{Result, StepError},
        key::Name,
        remote,
        share::later,
        step::{Done, Engine, From, Layer, Snapshot, Steps, are_portable, keep, stacked},
        turn,
    },
    Came, Gathered, fetch, footprint, gather, quick_key,
};
use crate::{
    build::op::{Copy, CopySource, Source, Step, StepId},
    image::Digest,
};
use std::sync::Arc;

pub async fn carry_out(
    engine: &Arc<Engine>,
    id: StepId,
    step: &Step,
    op: &Copy,
    root: Option<Arc<Snapshot>>,
    steps: &Steps,
) -> Result<Done> {
    let quick = quick_key(engine, op, steps)?;
    let source = |source: &CopySource| match source {
        CopySource::Path { from: Source::Step(id), .. } => Some(*id),
        _ => None,
    };
    let sources: Vec<StepId> = op.sources.iter().filter_map(source).collect();
    let below: Vec<StepId> = op.root.into_iter().filter(|_| !op.link).collect();
    // By its sources, where those have the same names everywhere; by their content is the same everywhere.
    let (by_steps, upon) = (are_portable(&sources, steps), are_portable(&below, steps));
    let shared = |quick: Option<Name>, content: Digest| {
        upon.then_some(quick.filter(|_| by_steps).map_or(content, |quick| quick.elsewhere))
    };
    if let Some(quick) = quick
        && let Some(mut done) =
            engine.look_up(id, step, &[quick], root.as_deref(), shared(Some(quick), quick.elsewhere))
    {
        if !by_steps && let Some(record) = done.snapshot.layers.last().and_then(|layer| layer.record()) {
            done.snapshot.shared = shared(None, record.name().elsewhere);
        }
        return Ok(done);
    }
    later::bring_all(engine, &sources, steps).await?;
    let permit = engine.turn().await?;
    let mut came = Came::default();
    for source in &op.sources {
        match source {
            CopySource::Url { url, checksum } => {
                came.downloads.push(fetch::fetch(engine, id, url, checksum.as_deref(), false).await?);
            }
            CopySource::Git { url, keep_git_dir } => {
                came.trees.push(remote::checkout(&engine.layout, &engine.inputs.access, url, *keep_git_dir).await?);
            }
            CopySource::Path { .. } | CopySource::Inline(_) => {}
        }
    }
    let (owned, given, known) = (engine.clone(), op.clone(), steps.clone());
    let gathered = engine.clone().blocking(move || gather(&owned, &given, &known, came)).await?;
    // The sources are here: now it is certain what they are called.
    let names = |gathered: &Gathered| {
        let (quick, content) = (quick_key(engine, op, steps)?, gathered.name(engine, op, steps)?);
        Ok::<_, StepError>(Names { quick, placed: None, content })
    };
    let early = names(&gathered)?;
    if let Some(done) =
        engine.look_up(id, step, &early.all(), root.as_deref(), shared(early.quick, early.content.elsewhere))
    {
        if let (Some(quick), Some(From::Step { record, later: None, .. })) =
            (early.quick, done.snapshot.layers.last().map(|l| &l.from))
        {
            engine.cache.write(&quick.here, record)?;
        }
        return Ok(done);
    }
    // Who waits for another, or for steps that have to be carried out for this, keeps nobody from working.
    drop(permit);
    later::bring_all(engine, &below, steps).await?;
    let permit = engine.turn().await?;
    let (owned, given, under) = (engine.clone(), op.clone(), root.clone());
    let look = move || footprint::footprint(&owned, &given, &gathered, under.as_deref()).map(|key| (gathered, key));
    let (mut gathered, placed) = engine.clone().blocking(look).await?;
    let names = Names { placed, ..names(&gathered)? };
    let shared = shared(names.quick, names.content.elsewhere);
    drop(permit);
    let _alone = match step.no_cache {
        true => None,
        false => Some(turn::alone(&engine.layout, &placed.unwrap_or(names.content.here)).await?),
    };
    if let Some(done) = engine.copied(step, names, root.as_deref(), shared)? {
        return Ok(done);
    }
    let _permit = engine.turn().await?;
    for (number, url, checksum) in gathered.absent() {
        let download = fetch::fetch(engine, id, &url, checksum.as_deref(), true).await?;
        gathered.arrived(number, download);
    }
    let dir = engine.workshop.fresh("layer");
    let (owned, given, below, to) = (engine.clone(), op.clone(), root.clone(), dir.clone());
    engine.clone().blocking(move || gathered.write(&owned, &given, below.as_deref(), &to)).await?;
    keep(engine, step, names.all(), dir, root, shared).await
}

/// The keys of a COPY.
#[derive(Clone, Copy)]
struct Names {
    /// By the steps that it reads.
    quick: Option<Name>,
    /// By what it reads, and what it sees of its root.
    placed: Option<Digest>,
    /// By what it reads, and its root.
    content: Name,
}

impl Names {
    /// The one that the result is known by comes last.
    fn all(self) -> Vec<Name> {
        self.quick.into_iter().chain(self.placed.map(Name::same)).chain([self.content]).collect()
    }
}

impl Engine {
    /// The result of a COPY that somebody else has carried out meanwhile, or that stands on another root.
    fn copied(
        &self,
        step: &Step,
        names: Names,
        root: Option<&Snapshot>,
        shared: Option<Digest>,
    ) -> Result<Option<Done>> {
        if step.no_cache {
            return Ok(None);
        }
        let record = match (self.find(&names.content), names.placed) {
            (Some(record), _) => record,
            (None, Some(placed)) => match self.find(&Name::same(placed)) {
                // The same files on another root: for those above it is a result of its own.
                Some(record) => {
                    let record = record.known_as(names.content);
                    self.cache.write(&names.content.here, &record)?;
                    record
                }
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        if let Some(quick) = names.quick {
            self.cache.write(&quick.here, &record)?;
        }
        let keys = names.all().iter().map(|name| name.here).collect();
        let (dir, from) = (self.cache.layer(&record), From::Step { keys, record, later: None });
        Ok(stacked(root, Layer { dir, from }, shared).map(|snapshot| Done { snapshot, cached: true }))
    }
}
