//! One step: is its result in the cache? Else carry it out and keep it.

use super::{
    cache::{Cache, Record},
    copy::{self, find::Origin, seen::Seen},
    error::{Result, StepError},
    input::{Inputs, Options},
    key::{Key, Name, Side},
    pack,
    report::Event,
    report::Report,
    run,
    share::{
        Numbers,
        import::Imports,
        later::{self, Later},
    },
    turn,
    upper::{Making, Upper},
    view::View,
};
use crate::{
    build::{
        dockerfile::Patterns,
        op::{self, Mkdir, Mount, Op, Source, Step, StepId},
    },
    image::{
        Digest, Store,
        digest::chain_ids,
        store::{ImageLayer, Workshop},
    },
    runtime,
    state::Layout,
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::Semaphore;

pub type Steps = HashMap<StepId, Arc<Snapshot>>;

/// What one build has at hand.
pub struct Engine {
    pub store: Store,
    pub layout: Layout,
    pub cache: Cache,
    pub workshop: Workshop,
    pub inputs: Inputs,
    pub options: Options,
    pub report: Report,
    pub cancelled: AtomicBool,
    /// Steps at once.
    pub permits: Arc<Semaphore>,
    /// Layers that are packed at once.
    pub packers: Arc<Semaphore>,
    /// Layers that are fetched at once.
    pub fetchers: Semaphore,
    pub imports: Imports,
    pub numbers: Numbers,
    /// Below it the cgroups of the steps of all builds.
    pub(super) cgroups: PathBuf,
    pub(super) seen: HashMap<String, Arc<Seen>>,
    pub(super) scans: copy::scan::Scans,
    pub(super) program: Mutex<Option<Arc<OwnedFd>>>,
    /// Made when it is needed.
    pub(super) private: PathBuf,
}

/// What a step gave: the files of an image.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The name of what is below the layers of steps; `None` where there is nothing.
    pub(super) ground: Option<Digest>,
    /// Another host would come to the same name: there is nothing of this one in it.
    pub portable: bool,
    /// What its uppermost layer is known by elsewhere; `None` where it means something on this host alone.
    pub shared: Option<Digest>,
    /// Lowest first.
    pub layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub(super) dir: PathBuf,
    pub from: From,
}

#[derive(Clone, Debug)]
pub enum From {
    /// A layer of an image of the store.
    Image(ImageLayer),
    /// A directory of this host (`rootfs:`), which is read where it is.
    Directory,
    Step {
        /// Under which it is in the cache.
        keys: Vec<Digest>,
        record: Record,
        /// Its files are elsewhere; what it is here it says once they are not.
        later: Option<Arc<Later>>,
    },
}

impl Layer {
    /// Its files. Those of a layer that is elsewhere are nowhere before `later::bring`.
    pub fn dir(&self) -> &Path {
        self.later().and_then(|later| later.here()).map_or(&self.dir, |here| &here.dir)
    }

    pub fn later(&self) -> Option<&Arc<Later>> {
        match &self.from {
            From::Step { later, .. } => later.as_ref(),
            From::Image(_) | From::Directory => None,
        }
    }

    pub fn record(&self) -> Option<&Record> {
        match &self.from {
            From::Step { record, later, .. } => {
                Some(later.as_ref().and_then(|later| later.here()).map_or(record, |here| &here.record))
            }
            From::Image(_) | From::Directory => None,
        }
    }
}

impl Engine {
    /// Directories for an overlay, uppermost first.
    pub fn lowers(&self, snapshot: Option<&Snapshot>) -> Vec<PathBuf> {
        let layers = snapshot.map(|snapshot| snapshot.layers.as_slice()).unwrap_or_default();
        layers.iter().rev().map(|layer| layer.dir().to_owned()).collect()
    }

    /// Where files of a source are read.
    pub fn origin(&self, from: &Source, steps: &Steps) -> Result<Origin> {
        let no_context = |what: String| StepError::NotFound { path: what, hint: String::new() };
        let context = match from {
            Source::Context => self.inputs.context.as_ref().ok_or_else(|| no_context("build context".into()))?,
            Source::Named(name) => {
                self.inputs.named.get(name).ok_or_else(|| no_context(format!("build context {name}")))?
            }
            Source::Step(id) => {
                let snapshot = steps.get(id).ok_or_else(|| StepError::Abandoned("a step is missing".into()))?;
                let lowers = self.lowers(Some(snapshot));
                let view = View::open(&lowers).map_err(StepError::file("read", Path::new("the files of a step")))?;
                return Ok(Origin { view, ignore: Patterns::default(), foreign: false });
            }
            Source::Scratch => {
                let empty = self.workshop.fresh("empty");
                crate::image::tree::make_top(&empty).map_err(StepError::file("make", &empty))?;
                let view = View::open([&empty]).map_err(StepError::file("read", &empty))?;
                return Ok(Origin { view, ignore: Patterns::default(), foreign: false });
            }
        };
        context.origin().map_err(StepError::file("read the build context", &context.dir))
    }

    pub fn seen(&self, from: &Source) -> Option<Arc<Seen>> {
        let name = match from {
            Source::Context => "",
            Source::Named(name) => name,
            _ => return None,
        };
        self.seen.get(name).cloned()
    }

    /// The time of what is made: SOURCE_DATE_EPOCH or now.
    pub fn now(&self) -> (i64, u32) {
        if let Some(epoch) = self.options.epoch {
            return (epoch, 0);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (i64::try_from(now.as_secs()).unwrap_or(0), now.subsec_nanos())
    }

    /// RFC 3339.
    pub fn created(&self) -> String {
        match self.options.epoch {
            Some(epoch) => Timestamp::from_second(epoch).unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            None => Timestamp::now().to_string(),
        }
    }

    /// This program, for the role that runs steps.
    pub fn program(&self) -> Result<Arc<OwnedFd>> {
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = &*program {
            return Ok(program.clone());
        }
        let sealed = Arc::new(runtime::sealed_self_exe()?);
        *program = Some(sealed.clone());
        Ok(sealed)
    }

    /// With the name of the session: whoever sweeps knows by it whether somebody lives who uses the cgroup.
    pub fn cgroup(&self, name: &str) -> PathBuf {
        let session = self.workshop.path().file_name().unwrap_or_default().to_string_lossy();
        self.cgroups.join(format!("{session}-{name}"))
    }

    /// A directory below the run directory, for what shall touch no disk. It goes with the build.
    pub fn private_dir(&self) -> Result<&Path> {
        use std::os::unix::fs::DirBuilderExt;
        let path = &self.private;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StepError::file("make", path))?;
        Ok(path)
    }

    /// A file with the bytes of a secret, where no disk sees them.
    pub fn secret_file(&self, bytes: &[u8]) -> Result<PathBuf> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let path = self.private_dir()?.join(format!("secret-{}", super::cache::random()));
        let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        open.and_then(|mut file| file.write_all(bytes)).map_err(StepError::file("write", &path))?;
        Ok(path)
    }

    /// Runs what blocks on a thread of its own.
    pub async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = tokio::task::spawn_blocking(work).await;
        // Kept until the thread is done: the workshop is its.
        drop(self);
        result.map_err(|error| StepError::Abandoned(error.to_string()))?
    }
}

impl Drop for Engine {
    /// What fails here goes with the next boot.
    fn drop(&mut self) {
        let _ = crate::image::tree::remove(&self.private);
    }
}

/// A step's result, and whether it was there already.
pub struct Done {
    pub snapshot: Snapshot,
    pub cached: bool,
}

/// `steps` are those before it.
pub async fn carry_out(engine: &Arc<Engine>, id: StepId, step: &Step, steps: &Steps) -> Result<Done> {
    let root = step.op.root().map(|root| steps.get(&root).cloned().ok_or_else(missing)).transpose()?;
    match &step.op {
        Op::Base(base) => from_image(engine, base),
        Op::Mkdir(mkdir) => directory(engine, id, step, mkdir, root, steps).await,
        Op::Copy(copy) => copy::step::carry_out(engine, id, step, copy, root, steps).await,
        Op::Run(op) => {
            let key = async || {
                let (owned, given, known) = (engine.clone(), op.clone(), steps.clone());
                engine.clone().blocking(move || Name::both(|side| run_key(&owned, &given, &known, side))).await
            };
            let portable = are_portable(&step.op.needs(), steps);
            let shared = |key: Name| portable.then_some(key.elsewhere);
            let early = key().await?;
            if let Some(done) = engine.look_up(id, step, &[early], root.as_deref(), shared(early)) {
                return Ok(done);
            }
            later::bring_all(engine, &step.op.needs(), steps).await?;
            // What has arrived, or had to be made here, may be called something else than was said of it.
            let key = key().await?;
            let shared = shared(key);
            let _alone = match step.no_cache {
                true => None,
                false => Some(turn::alone(&engine.layout, &key.here).await?),
            };
            // Whoever was before us may have carried it out.
            if let Some(done) = engine.look_up(id, step, &[key], root.as_deref(), shared) {
                return Ok(done);
            }
            let dir = run::run(engine, id, op, root.as_deref(), steps).await?;
            keep(engine, step, vec![key], dir, root, shared).await
        }
    }
}

pub(super) fn are_portable(ids: &[StepId], steps: &Steps) -> bool {
    ids.iter().all(|id| steps.get(id).is_some_and(|snapshot| snapshot.portable))
}

pub fn missing() -> StepError {
    StepError::Abandoned("a step that it needs is missing".into())
}

impl Engine {
    pub async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        self.permits.clone().acquire_owned().await.map_err(|error| StepError::Abandoned(error.to_string()))
    }

    /// The result under a key on this host. To builds that name no cache nobody's word elsewhere counts, nor do they
    /// pass it on.
    pub(super) fn find(&self, key: &Name) -> Option<Record> {
        let record = self.cache.find(&key.here)?;
        match self.options.share.from.is_empty() {
            true => Some(record.clone().known_as(Name::same(record.name().here))),
            false => Some(record),
        }
    }

    /// The result under one of these keys; the last of them is by content.
    pub(super) fn look_up(
        &self,
        id: StepId,
        step: &Step,
        keys: &[Name],
        root: Option<&Snapshot>,
        shared: Option<Digest>,
    ) -> Option<Done> {
        if step.no_cache {
            return None;
        }
        if let Some((key, record)) = keys.iter().find_map(|key| Some((key.here, self.find(key)?))) {
            let (dir, from) = (self.cache.layer(&record), From::Step { keys: vec![key], record, later: None });
            return Some(Done { snapshot: stacked(root, Layer { dir, from }, shared)?, cached: true });
        }
        let known = keys.iter().find_map(|key| self.imports.find(&key.elsewhere))?;
        let later = Later::new(id, step, keys, known);
        let record = Record::new(&step.title, later.name(), later.known().created.clone(), 0);
        let later = Some(Arc::new(later));
        let from = From::Step { keys: keys.iter().map(|key| key.here).collect(), record, later };
        let layer = Layer { dir: self.workshop.path().join("elsewhere"), from };
        Some(Done { snapshot: stacked(root, layer, shared)?, cached: true })
    }
}

/// `None` for a layer that no step has made.
pub(super) fn stacked(root: Option<&Snapshot>, layer: Layer, shared: Option<Digest>) -> Option<Snapshot> {
    layer.record()?;
    let mut layers = root.map(|root| root.layers.clone()).unwrap_or_default();
    layers.push(layer);
    let portable = shared.is_some() && root.is_none_or(|root| root.portable);
    Some(Snapshot { ground: root.and_then(|root| root.ground), portable, shared, layers })
}

/// Makes the layer at `dir` part of the cache, under all keys.
pub(super) async fn keep(
    engine: &Arc<Engine>,
    step: &Step,
    keys: Vec<Name>,
    dir: PathBuf,
    root: Option<Arc<Snapshot>>,
    shared: Option<Digest>,
) -> Result<Done> {
    let (owned, title, no_cache) = (engine.clone(), step.title.clone(), step.no_cache);
    engine
        .clone()
        .blocking(move || {
            let engine = owned;
            let bytes = pack::settle(&dir, engine.options.epoch).map_err(StepError::file("look through", &dir))?;
            let by_content = keys.last().copied().ok_or_else(missing)?;
            // What was made anew may differ from what steps above were made of before.
            let anew = || Key::new("anew").text(&super::cache::random()).text(&super::cache::random()).finish();
            let name = if no_cache { Name::same(anew()) } else { by_content };
            let keys: Vec<Digest> = keys.iter().map(|key| key.here).collect();
            let record = Record::new(&title, name, engine.created(), bytes);
            let record = engine.cache.keep(&by_content.here, &dir, record)?;
            for key in &keys[..keys.len() - 1] {
                engine.cache.write(key, &record)?;
            }
            let (dir, from) = (engine.cache.layer(&record), From::Step { keys, record, later: None });
            let snapshot = stacked(root.as_deref(), Layer { dir, from }, shared).ok_or_else(missing)?;
            Ok(Done { snapshot, cached: false })
        })
        .await
}

fn from_image(engine: &Engine, base: &op::Base) -> Result<Done> {
    let image = engine.inputs.image(base).ok_or_else(|| StepError::NotFound {
        path: base.image.clone(),
        hint: ": the image was not fetched before the build".into(),
    })?;
    let Some((layers, _)) = engine.store.parts(image)? else {
        return Ok(Done { snapshot: of_host(&image.layers), cached: true });
    };
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
    let id = chain_ids(&diff_ids).last().copied().unwrap_or_else(|| Key::new("no layers").finish());
    let layers = layers.into_iter().map(|layer| Layer { dir: layer.dir.clone(), from: From::Image(layer) });
    let snapshot = Snapshot { ground: Some(id), portable: true, shared: None, layers: layers.collect() };
    Ok(Done { snapshot, cached: true })
}

/// A directory of this host as what steps stand on. Steps over it are keyed by what a package manager touches: to look
/// at all of `rootfs:/` would take longer than most steps. What is copied from it is keyed by content.
fn of_host(dirs: &[PathBuf]) -> Snapshot {
    const TOUCHED: [&str; 8] =
        [".", "etc", "usr", "usr/bin", "usr/lib", "usr/local/bin", "var/lib/dpkg/status", "lib/apk/db/installed"];
    let mut key = Key::new("host");
    for dir in dirs {
        key = key.text(&dir.to_string_lossy());
        for data in TOUCHED.iter().filter_map(|name| std::fs::metadata(dir.join(name)).ok()) {
            key = key.number(data.dev()).number(data.ino()).number(data.mtime()).number(data.mtime_nsec());
        }
    }
    let layers = dirs.iter().rev().map(|dir| Layer { dir: dir.clone(), from: From::Directory });
    Snapshot { ground: Some(key.finish()), portable: false, shared: None, layers: layers.collect() }
}

impl Snapshot {
    /// Steps that read it are keyed by it. Of a layer that is elsewhere it is known for certain once that is here.
    pub fn name(&self) -> Name {
        let made = self.layers.iter().filter_map(|layer| layer.record().map(Record::name));
        let ground = self.ground.map(Name::same);
        // The layer of a link does not know what it is stacked on; who reads the stack does.
        let name = made.fold(ground, |below, own| Some(below.map_or(own, |below| own.upon(below))));
        name.unwrap_or_else(|| Name::same(Key::new("no layers").finish()))
    }

    /// Whether its files may change without its id.
    pub fn is_of_host(&self) -> bool {
        self.layers.last().is_some_and(|layer| matches!(layer.from, From::Directory))
    }
}

async fn directory(
    engine: &Arc<Engine>,
    id: StepId,
    step: &Step,
    mkdir: &Mkdir,
    root: Option<Arc<Snapshot>>,
    steps: &Steps,
) -> Result<Done> {
    let key = |side: Side| {
        let key = Key::new("mkdir")
            .option(root.as_ref(), |key, root| key.bytes(side(root.name()).as_bytes()))
            .text(&mkdir.path)
            .text(&mkdir.user)
            .option(engine.options.epoch, Key::number);
        Ok::<_, StepError>(key.finish())
    };
    let portable = are_portable(&step.op.needs(), steps);
    let shared = |key: Name| portable.then_some(key.elsewhere);
    let early = Name::both(key)?;
    if let Some(done) = engine.look_up(id, step, &[early], root.as_deref(), shared(early)) {
        return Ok(done);
    }
    later::bring_all(engine, &step.op.needs(), steps).await?;
    let key = Name::both(key)?;
    let shared = shared(key);
    let dir = engine.workshop.fresh("layer");
    let (owned, below, mkdir, to) = (engine.clone(), root.clone(), mkdir.clone(), dir.clone());
    engine
        .clone()
        .blocking(move || {
            let lowers = owned.lowers(below.as_deref());
            let path = Path::new(&mkdir.path);
            let (uid, gid) = match mkdir.user.as_str() {
                "" => (0, 0),
                user => {
                    let view = View::open(&lowers).map_err(StepError::file("read", path))?;
                    copy::owner::look_up(&view, user, &mut |text| (owned.report)(Event::Warning(text)))?
                }
            };
            let mut upper = Upper::create(&to, &lowers).map_err(StepError::file("make", &to))?;
            let making = Making { uid, gid, mode: 0o755, mtime: owned.now() };
            upper.make_directories(path, making).map_err(StepError::file("make", path))?;
            upper.finish().map_err(StepError::file("make", path))
        })
        .await?;
    keep(engine, step, vec![key], dir, root, shared).await
}

/// By what the program is given: the steps it stands on, the content of contexts that it has mounted.
fn run_key(engine: &Engine, run: &op::Run, steps: &Steps, side: Side) -> Result<Digest> {
    let id = |id: &StepId| steps.get(id).map(|snapshot| side(snapshot.name())).ok_or_else(missing);
    let root = run.root.as_ref().map(id).transpose()?;
    let mut key = Key::new("run")
        .option(root, |key, id| key.bytes(id.as_bytes()))
        .list(&run.args, |key, text| key.text(text))
        .list(&run.env, |key, text| key.text(text))
        .list(&run.files, |key, file| key.text(&file.name).bytes(&file.content).number(file.mode))
        .text(&run.user)
        .text(&run.cwd)
        .number(run.network as u8)
        .number(run.security as u8)
        .list(&run.extra_hosts, |key, (name, address)| key.text(name).text(address))
        .option(run.shm_size, Key::number)
        .list(&run.ulimits, |key, (name, (soft, hard))| key.text(name).number(*soft).number(*hard))
        .option(engine.options.epoch, Key::number)
        .number(run.mounts.len() as u64);
    for mount in &run.mounts {
        key = match mount {
            Mount::Bind { from, source, target, writable } => {
                let content = source_key(engine, from, source, steps, side)?;
                key.text("bind").bytes(content.as_bytes()).text(source).text(target).flag(*writable)
            }
            // What a cache holds is nobody's input.
            Mount::Cache { id, target, .. } => key.text("cache").text(id).text(target),
            Mount::Tmpfs { target, size } => key.text("tmpfs").text(target).option(*size, Key::number),
            Mount::Secret { id, target, env, .. } => {
                let key = key.text("secret").text(id);
                key.option(target.as_deref(), Key::text).option(env.as_deref(), Key::text)
            }
            Mount::Ssh { id, target, .. } => key.text("ssh").text(id).option(target.as_deref(), Key::text),
        };
    }
    Ok(key.finish())
}

fn source_key(engine: &Engine, from: &Source, source: &str, steps: &Steps, side: Side) -> Result<Digest> {
    match from {
        Source::Step(id) => Ok(side(steps.get(id).ok_or_else(missing)?.name())),
        Source::Scratch => Ok(Key::new("scratch").finish()),
        Source::Context | Source::Named(_) => Ok(copy::scan::scan(engine, steps, from, source, false, &[])?.digest),
    }
}
