//! `RUN --mount`, and the mount points of everything that is mounted.
//!
//! A mount point that the image lacks is made in a layer of its own, between the image's layers and the upper
//! directory: the program sees it, and it never comes into the layer that the step makes. The directories above it are
//! there with owner, mode and time of those below.

use super::super::{
    copy::{self, find::Origin},
    error::{Result, StepError},
    input::Secret,
    step::{Engine, Snapshot},
    turn,
    upper::{Making, Upper},
    view::{Node, View, lexical},
};
use crate::{
    build::op::{self, Mount, Sharing, Source, StepId},
    image::Digest,
    runtime::spec::{self, MountSource, Root},
    state::Lock,
};
use rustix::fs::FileType;
use std::{
    collections::HashMap,
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// As the runtime reads what it mounts as a secret.
const MAX_SECRET: u64 = 16 << 20;

/// What a step's program gets mounted. The locks are held as long as it runs.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The image's layers and that of the mount points, uppermost first.
    pub lowers: Vec<PathBuf>,
    pub mounts: Vec<spec::Mount>,
    /// Stacks that some of the mounts are parts of.
    pub stacks: Vec<Root>,
    /// Secrets and the agent's socket, as variables.
    pub env: Vec<String>,
    _locks: Vec<Lock>,
    _relays: Vec<super::agent::Relay>,
}

/// Waits for the caches that a step has for itself. In the order of their names, so that no two steps wait for each
/// other.
pub async fn lock(engine: &Engine, run: &op::Run) -> Result<Vec<Lock>> {
    let mut paths: Vec<PathBuf> = run
        .mounts
        .iter()
        .filter_map(|mount| match mount {
            Mount::Cache { id, sharing: Sharing::Locked, .. } => Some(lock_path(engine, &cache_name(id, 0))),
            _ => None,
        })
        .collect();
    paths.sort();
    paths.dedup();
    let mut locks = Vec::with_capacity(paths.len());
    for path in paths {
        locks.push(turn::hold(&path).await?);
    }
    Ok(locks)
}

/// An id may be any text.
fn cache_name(id: &str, number: usize) -> String {
    let key = Digest::of(id.as_bytes()).hex();
    if number == 0 { key[..32].to_owned() } else { format!("{}-{number}", &key[..32]) }
}

fn lock_path(engine: &Engine, name: &str) -> PathBuf {
    engine.layout.build_mounts().join(format!("{name}.lock"))
}

pub fn prepare(
    engine: &Arc<Engine>,
    run: &op::Run,
    lowers: &[PathBuf],
    steps: &HashMap<StepId, Arc<Snapshot>>,
) -> Result<Prepared> {
    let image = View::open(lowers).map_err(StepError::file("read", Path::new("the files of a step")))?;
    let prepared = Prepared::default();
    let mut preparing = Preparing { engine, steps, image, prepared, points: Vec::new(), agents: 0 };
    for mount in &run.mounts {
        preparing.mount(mount)?;
    }
    for file in &run.files {
        let path = preparing.file(&file.content, file.mode)?;
        preparing.bind(&file.name, (path, true), true);
    }
    let Preparing { mut prepared, mut points, .. } = preparing;
    points.sort_by_key(|point| point.mount.target.components().count());
    prepared.lowers = with_mount_points(engine, lowers, &points)?;
    prepared.mounts = points.into_iter().map(|point| point.mount).collect();
    Ok(prepared)
}

/// A mount, and what its target has to be.
struct Point {
    mount: spec::Mount,
    is_file: bool,
}

struct Preparing<'a> {
    engine: &'a Arc<Engine>,
    steps: &'a HashMap<StepId, Arc<Snapshot>>,
    /// What the step stands on.
    image: View,
    prepared: Prepared,
    points: Vec<Point>,
    agents: usize,
}

impl Preparing<'_> {
    fn mount(&mut self, mount: &Mount) -> Result<()> {
        match mount {
            Mount::Bind { from, source, target, writable } => {
                let path = self.source(from, source, *writable)?;
                self.bind(target, path, !writable);
                Ok(())
            }
            Mount::Cache { id, target, sharing, read_only, from, source, mode, uid, gid } => {
                let path = self.cache(id, *sharing, (from, source), (*mode, *uid, *gid))?;
                self.bind(target, (path, false), *read_only);
                Ok(())
            }
            Mount::Tmpfs { target, size } => {
                // As the directory that it covers, or open to everybody where none is.
                let covered = match self.image.find(Path::new(target)) {
                    Ok(Some(Node::Dir(dir))) => dir.stat.st_mode & 0o7777,
                    _ => 0o1777,
                };
                let mut options = vec![format!("mode={covered:o}"), "exec".to_owned()];
                options.extend(size.map(|size| format!("size={size}")));
                self.add(target, MountSource::Tmpfs { options }, false, false);
                Ok(())
            }
            Mount::Secret { id, target, env, required, mode, uid, gid } => {
                self.secret(id, target.as_deref(), env.as_deref(), *required, (*mode, *uid, *gid))
            }
            Mount::Ssh { id, target, required, mode, uid, gid } => {
                self.agent(id, target.as_deref(), *required, (*mode, *uid, *gid))
            }
        }
    }

    fn add(&mut self, target: &str, source: MountSource, read_only: bool, is_file: bool) {
        self.points.push(Point { mount: spec::Mount { target: PathBuf::from(target), source, read_only }, is_file });
    }

    /// With the path whether it is a file.
    fn bind(&mut self, target: &str, (source, is_file): (PathBuf, bool), read_only: bool) {
        self.add(target, MountSource::Bind { source, propagation: None, copy_up: false }, read_only, is_file);
    }

    /// A file of the workshop.
    fn file(&self, content: &[u8], mode: u32) -> Result<PathBuf> {
        let path = self.engine.workshop.fresh("file");
        let write = || {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
        };
        write().map_err(StepError::file("write", &path))?;
        Ok(path)
    }

    /// Where the files of a source lie, for a mount. Writes to it reach nothing that stays.
    fn source(&mut self, from: &Source, source: &str, writable: bool) -> Result<(PathBuf, bool)> {
        let (stack, path) = match from {
            Source::Step(id) => {
                let snapshot = self.steps.get(id).ok_or(StepError::Abandoned("a step is missing".into()))?;
                (self.engine.lowers(Some(snapshot)), lexical(Path::new(source)))
            }
            Source::Scratch => (vec![self.empty()?], PathBuf::new()),
            // Docker hands over the context without what is ignored, and as root's.
            Source::Context | Source::Named(_) => {
                let origin = self.engine.origin(from, self.steps)?;
                let dir = self.snapshot(&origin, source)?;
                let kind = FileType::from_raw_mode(self.kind_in(&origin, source)?);
                let path = if kind == FileType::Directory { PathBuf::new() } else { PathBuf::from("file") };
                (vec![dir], path)
            }
        };
        let view = super::super::view::View::open(&stack).map_err(StepError::file("read", Path::new(source)))?;
        let place = view.walk(&path, true).map_err(StepError::file("look at", Path::new(source)))?;
        let Some(node) = place.node else {
            return Err(StepError::NotFound { path: source.to_owned(), hint: String::new() });
        };
        let is_file = !matches!(node, Node::Dir(_));
        // A layer alone may hold whiteouts; those of a stack are no files.
        let plain = matches!(from, Source::Scratch | Source::Context | Source::Named(_));
        if plain && !writable {
            return Ok((stack[0].join(&place.path), is_file));
        }
        let upper = self.stack(stack)?;
        Ok((upper.join(&place.path), is_file))
    }

    /// An overlay in the mount namespace of the role.
    fn stack(&mut self, lower: Vec<PathBuf>) -> Result<PathBuf> {
        let upper = self.empty()?;
        let work = self.empty()?;
        self.prepared.stacks.push(Root { lower, upper: upper.clone(), work, read_only: false, volatile: true });
        Ok(upper)
    }

    fn empty(&self) -> Result<PathBuf> {
        let path = self.engine.workshop.fresh("mount");
        crate::image::tree::make_top(&path).map_err(StepError::file("make", &path))?;
        Ok(path)
    }

    fn kind_in(&self, origin: &Origin, source: &str) -> Result<u32> {
        let node = origin.view.find(Path::new(source)).map_err(StepError::file("look at", Path::new(source)))?;
        let missing = || StepError::NotFound { path: source.to_owned(), hint: String::new() };
        Ok(node.ok_or_else(missing)?.stat().st_mode)
    }

    /// The files of a context as they are now: a directory's content, or one file named `file`.
    fn snapshot(&self, origin: &Origin, source: &str) -> Result<PathBuf> {
        let dir = self.engine.workshop.fresh("mount");
        let upper = Upper::create(&dir, &[]).map_err(StepError::file("make", &dir))?;
        let is_dir = FileType::from_raw_mode(self.kind_in(origin, source)?) == FileType::Directory;
        let destination = if is_dir { "/" } else { "/file" };
        let cancelled = &self.engine.cancelled;
        let now = self.engine.now();
        let mut writer = copy::write::Writer::new(upper, destination, None, None, now, cancelled);
        for found in copy::find::find(origin, source, false, &Default::default())? {
            writer.copy(origin, &found, false)?;
        }
        writer.upper.finish().map_err(StepError::file("write", &dir))?;
        Ok(dir)
    }

    /// The directory of a cache mount, under its lock where one was asked for.
    fn cache(
        &mut self,
        id: &str,
        sharing: Sharing,
        initial: (&Source, &str),
        (mode, uid, gid): (u32, u32, u32),
    ) -> Result<PathBuf> {
        let engine = self.engine;
        let held = |name: &str| {
            let path = lock_path(engine, name);
            Lock::try_acquire(&path).map_err(StepError::file("lock", &path))
        };
        let (name, lock) = match sharing {
            // Held already: see `lock`.
            Sharing::Shared | Sharing::Locked => (cache_name(id, 0), None),
            Sharing::Private => {
                let mut number = 0;
                loop {
                    if let Some(lock) = held(&cache_name(id, number))? {
                        break (cache_name(id, number), Some(lock));
                    }
                    number += 1;
                }
            }
        };
        self.prepared._locks.extend(lock);
        let path = engine.layout.build_mount(&name);
        if !path.is_dir() {
            self.fill(&path, initial, (mode, uid, gid))?;
        }
        Ok(path)
    }

    /// Whole or not at all: another step may be at the same.
    fn fill(&mut self, path: &Path, (from, source): (&Source, &str), (mode, uid, gid): (u32, u32, u32)) -> Result<()> {
        let fresh = self.engine.workshop.fresh("mount");
        let making = Making { uid, gid, mode, mtime: self.engine.now() };
        let upper = Upper::create(&fresh, &[]).map_err(StepError::file("make", &fresh))?;
        let mut writer = copy::write::Writer::new(upper, "/", None, None, making.mtime, &self.engine.cancelled);
        let (mut mode, mut uid, mut gid) = (mode, uid, gid);
        if *from != Source::Scratch {
            let origin = self.engine.origin(from, self.steps)?;
            for found in copy::find::find(&origin, source, false, &Default::default())? {
                writer.copy(&origin, &found, false)?;
                // As in BuildKit, where the cache is that directory.
                if source != "/" && found.is_dir() {
                    let stat = &found.root.stat;
                    mode = stat.st_mode & 0o7777;
                    (uid, gid) = if origin.foreign { (0, 0) } else { (stat.st_uid, stat.st_gid) };
                }
            }
        }
        let attributes = crate::image::tree::Attributes { uid, gid, mode, mtime: making.mtime, xattrs: Vec::new() };
        writer.upper.change_directory(Path::new(""), &attributes).map_err(StepError::file("make", &fresh))?;
        writer.upper.finish().map_err(StepError::file("write", &fresh))?;
        match fs::rename(&fresh, path) {
            Err(error) if path.is_dir() && error.kind() != std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(StepError::file("make", path)),
        }
    }

    fn secret(
        &mut self,
        id: &str,
        target: Option<&str>,
        env: Option<&str>,
        required: bool,
        (mode, uid, gid): (u32, u32, u32),
    ) -> Result<()> {
        let Some(secret) = self.engine.inputs.secrets.get(id) else {
            return if required { Err(StepError::NoSecret(id.to_owned())) } else { Ok(()) };
        };
        if let Some(name) = env {
            let bytes = match secret {
                Secret::Bytes(bytes) => bytes.clone(),
                Secret::File(path) => read_secret(path)?,
            };
            let text = String::from_utf8(bytes)
                .map_err(|_| StepError::Refused(format!("secret `{id}`: a variable can only hold text")))?;
            self.prepared.env.push(format!("{name}={text}"));
        }
        if let Some(target) = target {
            // The runtime reads it into a tmpfs of the container.
            let source = match secret {
                Secret::File(path) => path.clone(),
                Secret::Bytes(bytes) => self.engine.secret_file(bytes)?,
            };
            self.add(target, MountSource::Content { source, uid, gid, mode }, true, true);
        }
        Ok(())
    }

    /// A socket of ours with the owner and mode that were asked for; what is said there goes to the agent and back.
    fn agent(&mut self, id: &str, target: Option<&str>, required: bool, owner: (u32, u32, u32)) -> Result<()> {
        let Some(agent) = self.engine.inputs.ssh.get(id) else {
            return if required { Err(StepError::NoAgent(id.to_owned())) } else { Ok(()) };
        };
        let number = self.agents;
        self.agents += 1;
        let target = target.map_or_else(|| format!("/run/buildkit/ssh_agent.{number}"), str::to_owned);
        if number == 0 {
            self.prepared.env.push(format!("SSH_AUTH_SOCK={target}"));
        }
        let (socket, relay) = super::agent::relay(self.engine.private_dir()?, agent, owner)?;
        self.prepared._relays.push(relay);
        self.bind(&target, (socket, true), true);
        Ok(())
    }
}

fn read_secret(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(StepError::file("read", path))?;
    file.take(MAX_SECRET).read_to_end(&mut bytes).map_err(StepError::file("read", path))?;
    Ok(bytes)
}

/// Targets of what is mounted in every container.
const STANDARD: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Files of ours.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// The layers with one more on top, where a mount point lacks.
fn with_mount_points(engine: &Engine, lowers: &[PathBuf], points: &[Point]) -> Result<Vec<PathBuf>> {
    let dir = engine.workshop.fresh("mount-points");
    let mut upper = Upper::create(&dir, lowers).map_err(no_point(&dir))?;
    let making = Making { uid: 0, gid: 0, mode: 0o755, mtime: engine.now() };
    for target in STANDARD {
        upper.make_directories(Path::new(target), making).map_err(no_point(Path::new(target)))?;
    }
    for target in FILES {
        file_point(&mut upper, Path::new(target), making).map_err(no_point(Path::new(target)))?;
    }
    for Point { mount, is_file } in points {
        let target = lexical(&mount.target);
        // In a file system of the container itself.
        if STANDARD.iter().any(|standard| target.starts_with(&standard[1..])) {
            continue;
        }
        let made = if *is_file {
            file_point(&mut upper, &target, making)
        } else {
            upper.make_directories(&target, making).map(drop)
        };
        made.map_err(no_point(&mount.target))?;
    }
    upper.finish().map_err(no_point(&dir))?;
    // Over `rootfs:/` it could not be mounted: overlayfs refuses a lower layer that lies within another (ELOOP).
    let is_empty =
        fs::read_dir(&dir).and_then(|mut entries| entries.next().transpose()).map_err(no_point(&dir))?.is_none();
    if is_empty {
        return Ok(lowers.to_vec());
    }
    Ok(std::iter::once(dir).chain(lowers.iter().cloned()).collect())
}

fn file_point(upper: &mut Upper, path: &Path, making: Making) -> std::io::Result<()> {
    let above = path.parent().unwrap_or(Path::new(""));
    upper.make_directories(above, making)?;
    let place = upper.walk(path, true)?;
    if place.node.is_some() {
        return Ok(());
    }
    // A link to a file that is not there: what it names is made.
    let above = place.path.parent().unwrap_or(Path::new("")).to_owned();
    upper.make_directories(&above, making)?;
    let Some(name) = place.path.file_name() else { return Ok(()) };
    let file = upper.new_file(&above, name)?;
    let attributes = crate::image::tree::Attributes { mode: 0o644, mtime: making.mtime, ..Default::default() };
    Upper::finish_file(&file, &attributes)
}

fn no_point(path: &Path) -> impl FnOnce(std::io::Error) -> StepError + '_ {
    StepError::file("make the mount point", path)
}
