//! The layer of a step whose result is known from elsewhere. It is fetched when somebody needs its files, and becomes
//! part of this host's cache. Where it cannot be had, or is not what it should be, the step is carried out after all.

use super::{
    super::{
        cache::{PackedRecord, Record},
        error::{Result, StepError},
        key::{Key, Name},
        report::Event,
        step::{self, Engine, From, Snapshot, Steps},
    },
    Task,
    import::{Held, Known},
};
use crate::{
    build::op::{Op, Step, StepId},
    image::{Digest, depot::Taken},
};
use futures_util::future::join_all;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Instant,
};
use tokio::sync::OnceCell;

/// Bytes between two reports about one layer.
const REPORT_EVERY: u64 = 512 << 10;
/// Images that are made of these layers say of each that it is gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug)]
pub struct Later {
    id: StepId,
    step: Step,
    /// It was asked for by these; under no other does it go into the cache.
    keys: Vec<Name>,
    known: Arc<Known>,
    fetched: OnceCell<Option<Fetched>>,
    here: OnceCell<Here>,
}

/// In the workshop.
#[derive(Debug)]
struct Fetched {
    dir: PathBuf,
    blob: PathBuf,
    packed: PackedRecord,
    taken: Taken,
}

/// In the cache.
#[derive(Debug)]
pub struct Here {
    pub dir: PathBuf,
    pub keys: Vec<Digest>,
    pub record: Record,
    /// As it was fetched; it may have gone into the store since.
    pub blob: Option<PathBuf>,
}

impl Later {
    pub fn new(id: StepId, step: &Step, keys: &[Name], known: Arc<Known>) -> Self {
        let keys = keys.to_vec();
        Self { id, step: step.clone(), keys, known, fetched: OnceCell::new(), here: OnceCell::new() }
    }

    /// As long as it is not here, what it will be called if the first place keeps its word.
    pub fn name(&self) -> Name {
        self.name_with(self.known.held.first().map(|held| held.wanted.diff_id))
    }

    /// What steps above are keyed by. A name from elsewhere counts on this host where it is one that this host has asked
    /// for: else whoever writes the cache could give its files the name of any others.
    fn name_with(&self, diff_id: Option<Digest>) -> Name {
        let elsewhere = self.known.id;
        if let Some(asked) = self.keys.iter().find(|key| key.elsewhere == elsewhere) {
            return *asked;
        }
        let key = Key::new("from elsewhere").list(&self.keys, |key, name| key.bytes(name.here.as_bytes()));
        let here = key.option(diff_id, |key, id| key.bytes(id.as_bytes())).finish();
        Name { here, elsewhere }
    }

    pub fn known(&self) -> &Known {
        &self.known
    }

    /// `None` before `bring`.
    pub fn here(&self) -> Option<&Here> {
        self.here.get()
    }

    /// The blob alone, for whoever passes it on.
    pub async fn blob(&self, engine: &Arc<Engine>) -> Option<(PackedRecord, PathBuf)> {
        self.fetch(engine).await.map(|fetched| (fetched.packed.clone(), fetched.blob.clone()))
    }

    async fn fetch(&self, engine: &Arc<Engine>) -> Option<&Fetched> {
        let fetch = async {
            for held in &self.known.held {
                match self.fetch_from(engine, held).await {
                    Ok(fetched) => return Some(fetched),
                    Err(why) => {
                        engine.imports.is_bad(held.wanted.digest);
                        let (title, place) = (&self.step.title, held.source.place());
                        (engine.report)(Event::Warning(format!("cache_from {place}: the layer of {title}: {why}")));
                    }
                }
            }
            None
        };
        self.fetched.get_or_init(|| fetch).await.as_ref()
    }

    async fn fetch_from(&self, engine: &Arc<Engine>, held: &Held) -> Result<Fetched, String> {
        let _turn = engine.fetchers.acquire().await.map_err(|error| error.to_string())?;
        let task = Task::begin(engine, format!("{} (cached at {})", self.step.title, held.source.place()));
        let (dir, blob) = (engine.workshop.fresh("layer"), engine.workshop.fresh("blob"));
        let (owned, number, total) = (engine.clone(), task.step(), held.wanted.size);
        let (mut bytes, mut told) = (0, 0);
        // The workshop lives as long as somebody writes into it.
        let arrived = move |count: u64| {
            bytes += count;
            if bytes - told >= REPORT_EVERY {
                told = bytes;
                (owned.report)(Event::Fetched { step: number, bytes, total: Some(total) });
            }
        };
        let taken = held.source.take(&held.wanted, &dir, &blob, arrived).await.map_err(|error| error.to_string());
        let taken = taken.and_then(|taken| match is_gzip(&blob) {
            Ok(true) => Ok(taken),
            Ok(false) => Err("it is not compressed with gzip".into()),
            Err(error) => Err(error.to_string()),
        });
        let wanted = &held.wanted;
        match taken {
            Ok(taken) => {
                task.done();
                let packed = PackedRecord { diff_id: wanted.diff_id, blob: wanted.digest, size: wanted.size };
                Ok(Fetched { dir, blob, packed, taken })
            }
            Err(why) => {
                task.failed(why.clone());
                Err(why)
            }
        }
    }

    /// `below` are the layers that it lies upon, which are here.
    async fn settle(&self, engine: &Arc<Engine>, below: &[step::Layer], steps: &Steps) -> Result<Here> {
        // Another build may have brought it.
        if let Some((key, record)) = self.keys.iter().find_map(|key| Some((key.here, engine.find(key)?))) {
            let (dir, keys) = (engine.cache.layer(&record), vec![key]);
            return Ok(Here { dir, keys, record, blob: None });
        }
        let Some(fetched) = self.fetched.get().and_then(Option::as_ref) else {
            return self.carry_out(engine, below, steps).await;
        };
        // A link does not look at what it is stacked on.
        let link = matches!(&self.step.op, Op::Copy(copy) if copy.link);
        let below: Vec<PathBuf> = match link {
            true => Vec::new(),
            false => below.iter().rev().map(|layer| layer.dir().to_owned()).collect(),
        };
        fetched.taken.complete(&fetched.dir, &below)?;
        let name = self.name_with(Some(fetched.packed.diff_id));
        let mut record = Record::new(&self.step.title, name, self.known.created.clone(), fetched.taken.bytes);
        record.packed = Some(fetched.packed.clone());
        let keys: Vec<Digest> = self.keys.iter().map(|key| key.here).collect();
        let (first, rest) = keys.split_first().ok_or_else(step::missing)?;
        let record = engine.cache.keep(first, &fetched.dir, record)?;
        for key in rest {
            engine.cache.write(key, &record)?;
        }
        Ok(Here { dir: engine.cache.layer(&record), keys, record, blob: Some(fetched.blob.clone()) })
    }

    async fn carry_out(&self, engine: &Arc<Engine>, below: &[step::Layer], steps: &Steps) -> Result<Here> {
        engine.imports.forsake(self.keys.iter().map(|key| key.elsewhere).chain([self.known.id]));
        let begun = Instant::now();
        (engine.report)(Event::Started(self.id));
        let blamed = |source: StepError| {
            (engine.report)(Event::Failed { step: self.id, message: source.to_string() });
            StepError::Of { step: self.id, source: Box::new(source) }
        };
        let done = step::carry_out(engine, self.id, &self.step, steps).await.map_err(blamed)?;
        if !done.cached {
            (engine.report)(Event::Done { step: self.id, took: super::super::elapsed(begun) });
        }
        let layer = done.snapshot.layers.last().ok_or_else(step::missing)?;
        match &layer.from {
            From::Step { keys, record, later: None } => {
                Ok(Here { dir: layer.dir().to_owned(), keys: keys.clone(), record: record.clone(), blob: None })
            }
            // Looked at more closely it is known under yet another name; each that fails is not found again.
            From::Step { later: Some(other), .. } => {
                other.fetch(engine).await;
                Box::pin(other.settle(engine, below, steps)).await
            }
            From::Image(_) | From::Directory => Err(step::missing()),
        }
    }
}

fn is_gzip(blob: &Path) -> std::io::Result<bool> {
    let mut first = [0; 2];
    File::open(blob)?.read_exact(&mut first)?;
    Ok(first == GZIP)
}

/// Sees to it that the files of a snapshot are here. `steps` are those that it came from, at least.
///
/// Whoever waits for this holds neither the lock of a step nor a turn: steps that have to be carried out need both.
pub fn bring<'a>(
    engine: &'a Arc<Engine>,
    snapshot: &'a Snapshot,
    steps: &'a Steps,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
    Box::pin(async move {
        let layers = &snapshot.layers;
        let laters = || layers.iter().filter_map(|layer| layer.later()).filter(|later| later.here().is_none());
        join_all(laters().map(|later| later.fetch(engine))).await;
        for (index, layer) in layers.iter().enumerate() {
            if let Some(later) = layer.later() {
                later.here.get_or_try_init(|| later.settle(engine, &layers[..index], steps)).await?;
            }
        }
        Ok(())
    })
}

/// The same for all steps in a list.
pub async fn bring_all(engine: &Arc<Engine>, ids: &[StepId], steps: &Steps) -> Result<()> {
    for id in ids {
        bring(engine, steps.get(id).ok_or_else(step::missing)?, steps).await?;
    }
    Ok(())
}
