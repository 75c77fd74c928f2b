//! A store of its own with an image of busybox in it, a context, and plans by hand. All is gone with the test.

use crate::image_support::{Layer, Made, write_image};
use muster::{
    build::{
        engine::{self, BuildError, Context, Event, Inputs, Options, Report},
        op::{
            Base, Chmod, Copy, CopySource, History, InlineFile, Mkdir, Network, Op, Outcome, Plan, Run, Security,
            Source, Step, StepId, Unpack,
        },
    },
    image::{Credentials, Image, Reference, Store, ensure, progress},
    model::PullPolicy,
    state::Layout,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

const APPLETS: &str = "sh cat ls echo id sleep true false mkdir touch ps kill stat hostname head tail grep wc env pwd \
    mount umount mknod chmod chown rm rmdir ln mv cp readlink sed sort seq date test find sync nc nslookup ip ping \
    wget dd yes md5sum tr setsid mkfifo du";

pub struct World {
    pub dir: PathBuf,
    pub layout: Layout,
    pub store: Store,
    pub inputs: Inputs,
    pub options: Options,
    pub events: Arc<Mutex<Vec<Event>>>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl World {
    pub fn new() -> Self {
        Self::without_base().with_base()
    }

    pub fn without_base() -> Self {
        let base = std::env::var_os("TMPDIR").map_or("/var/tmp".into(), PathBuf::from);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let world = Self::at(&base.join(format!("muster-build-test-{}-{number}", std::process::id())));
        fs::create_dir_all(world.dir.join("context")).unwrap();
        world
    }

    pub fn at(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let layout = Layout::new(dir.join("data"), dir.join("run"));
        let store = Store::open(&layout).unwrap();
        let context = Context { dir: dir.join("context"), ..Context::default() };
        let inputs = Inputs { context: Some(context), ..Inputs::default() };
        let options = Options { names: vec![Reference::parse("built:1").unwrap()], ..Options::default() };
        Self { dir: dir.to_owned(), layout, store, inputs, options, events: Arc::default() }
    }

    pub fn with_base(mut self) -> Self {
        let layout = self.dir.join("base-layout");
        if !layout.exists() {
            let files = self.dir.join("base-files");
            make_root(&files);
            let tar = archive_of(&files);
            let layer = Layer { blob: tar.clone(), tar, media_type: "application/vnd.oci.image.layer.v1.tar" };
            let config = json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]});
            write_image(&layout, &Made::new(vec![layer], config), "1");
            fs::remove_dir_all(&files).unwrap();
        }
        let reference = Reference::parse(&format!("oci:{}", layout.display())).unwrap();
        let image = runtime().block_on(ensure(
            &self.store,
            &reference,
            PullPolicy::Missing,
            &Credentials::none(),
            progress::silent(),
        ));
        self.inputs.images.insert("busybox".into(), image.unwrap());
        self
    }

    /// A file of the context; its parents as well.
    pub fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.dir.join("context").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn report(&self) -> Report {
        let events = self.events.clone();
        Arc::new(move |event| events.lock().unwrap().push(event))
    }

    pub fn try_build(&self, plan: Plan) -> Result<Image, BuildError> {
        self.events.lock().unwrap().clear();
        runtime().block_on(engine::build(
            &self.store,
            &self.layout,
            plan,
            self.inputs.clone(),
            self.options.clone(),
            self.report(),
        ))
    }

    pub fn build(&self, plan: Plan) -> Image {
        self.try_build(plan).unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    /// In a child of the test: an error goes to standard error, and the directory stays, which is the parent's to
    /// remove.
    pub fn build_for_parent(mut self, plan: Plan) -> ExitCode {
        let result = self.try_build(plan);
        self.dir = "/nonexistent".into();
        match result {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => {
                use std::io::Write;
                let mut out = std::io::stderr();
                writeln!(out, "{}", told(&error)).unwrap();
                ExitCode::FAILURE
            }
        }
    }

    /// The build's error as a person sees it.
    pub fn failure(&self, plan: Plan) -> String {
        match self.try_build(plan) {
            Ok(_) => panic!("it was built"),
            Err(error) => told(&error),
        }
    }

    /// What programs wrote.
    pub fn output(&self) -> String {
        let events = self.events.lock().unwrap();
        let bytes = events.iter().filter_map(|event| match event {
            Event::Output { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>().concat()).into_owned()
    }

    /// Steps that were carried out, and those that were cached.
    pub fn counts(&self) -> (usize, usize) {
        let events = self.events.lock().unwrap();
        // Work on caches elsewhere is no step of the plan.
        let of_plan = |step: &StepId| step.0 < 1000;
        let done = events.iter().filter(|event| matches!(event, Event::Done { step, .. } if of_plan(step))).count();
        let cached = events.iter().filter(|event| matches!(event, Event::Cached(_))).count();
        (done, cached)
    }

    /// Nothing of a build is left: no session, no cgroup, no mount, no link, nothing below the run directory.
    pub fn assert_clean(&self) {
        let names = |dir: PathBuf| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(self.dir.join("data/images/tmp")), Vec::<String>::new(), "sessions");
        assert_eq!(names(self.dir.join("run/builds")), Vec::<String>::new(), "private files");
        assert_eq!(names(self.dir.join("data/networks")), Vec::<String>::new(), "networks");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&*self.dir.to_string_lossy()), "{mounts}");
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new(), "cgroups");
    }

    /// Of the cgroup above those of the steps of this world.
    pub fn cgroups_name(&self) -> String {
        let digest = muster::image::Digest::of(self.dir.join("data").as_os_str().as_encoded_bytes()).hex();
        format!(".build-{}", &digest[..8])
    }

    pub fn cgroups(&self) -> Vec<PathBuf> {
        let name = self.cgroups_name();
        let tops = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        let tops = tops.chain(["/sys/fs/cgroup".into()]);
        tops.map(|top: PathBuf| top.join("muster").join(&name)).filter(|path| path.exists()).collect()
    }
}

pub fn told(error: &BuildError) -> String {
    let mut text = error.to_string();
    if let BuildError::Step { source: engine::StepError::Exit { output, .. }, .. } = error {
        text += &format!("\n{}", output.join("\n"));
    }
    text
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn archive_of(dir: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", dir).unwrap();
    builder.into_inner().unwrap()
}

fn make_root(root: &Path) {
    for name in ["bin", "etc", "root", "home/app", "var/run", "usr/lib"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::create_dir(root.join("tmp")).unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\nweb:x:33:app\n").unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
}

/// Steps one after the other, and what they lead to.
#[derive(Default)]
pub struct Plans {
    steps: Vec<Step>,
}

impl Plans {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn step(&mut self, op: Op) -> StepId {
        let title = match &op {
            Op::Base(base) => format!("FROM {}", base.image),
            Op::Run(run) => format!("RUN {}", run.args.last().unwrap()),
            Op::Copy(copy) => format!("COPY {}", copy.destination),
            Op::Mkdir(mkdir) => format!("WORKDIR {}", mkdir.path),
        };
        self.steps.push(Step { op, title, line: self.steps.len() + 1, no_cache: false });
        StepId(self.steps.len() - 1)
    }

    pub fn base(&mut self) -> StepId {
        self.step(Op::Base(Base { image: "busybox".into(), platform: "linux/amd64".into() }))
    }

    pub fn run(&mut self, root: StepId, script: &str) -> StepId {
        self.run_with(root, script, |_| {})
    }

    pub fn run_with(&mut self, root: StepId, script: &str, change: impl FnOnce(&mut Run)) -> StepId {
        let mut run = Run {
            root: Some(root),
            args: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            files: Vec::new(),
            env: vec!["PATH=/bin".into()],
            proxy_env: Vec::new(),
            user: String::new(),
            cwd: "/".into(),
            mounts: Vec::new(),
            network: Network::None,
            security: Security::Sandbox,
            extra_hosts: Vec::new(),
            shm_size: None,
            ulimits: BTreeMap::new(),
        };
        change(&mut run);
        self.step(Op::Run(run))
    }

    pub fn copy(&mut self, root: Option<StepId>, sources: &[&str], destination: &str) -> StepId {
        self.copy_with(root, sources, destination, |_| {})
    }

    pub fn copy_with(
        &mut self,
        root: Option<StepId>,
        sources: &[&str],
        destination: &str,
        change: impl FnOnce(&mut Copy),
    ) -> StepId {
        let path = |source: &&str| CopySource::Path { from: Source::Context, path: (*source).to_owned() };
        let mut copy = Copy {
            root,
            sources: sources.iter().map(path).collect(),
            destination: destination.to_owned(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
            unpack: Unpack::Never,
        };
        change(&mut copy);
        self.step(Op::Copy(copy))
    }

    pub fn mkdir(&mut self, root: Option<StepId>, path: &str, user: &str) -> StepId {
        self.step(Op::Mkdir(Mkdir { root, path: path.to_owned(), user: user.to_owned() }))
    }

    pub fn no_cache(&mut self, step: StepId) {
        self.steps[step.0].no_cache = true;
    }

    /// The image of a step.
    pub fn plan(self, root: StepId) -> Plan {
        let mut history = Vec::new();
        let mut at = Some(root);
        while let Some(id) = at {
            let step = &self.steps[id.0];
            if !matches!(step.op, Op::Base(_)) {
                history.push(History::Made {
                    created_by: step.title.clone(),
                    comment: "buildkit.dockerfile.v0".into(),
                    author: String::new(),
                    step: Some(id),
                });
            }
            at = step.op.root();
        }
        history.reverse();
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]}});
        let config = config.as_object().unwrap().clone();
        Plan { steps: self.steps, outcome: Outcome { root: Some(root), config, history } }
    }
}

pub fn inline(name: &str, text: &str) -> CopySource {
    CopySource::Inline(InlineFile { name: name.into(), content: text.as_bytes().to_vec(), mode: 0o644 })
}

pub fn octal(mode: u32) -> Option<Chmod> {
    Some(Chmod::Octal(mode))
}

/// `kind mode uid:gid path[ -> target][ = text]` of everything in a layer but its top, sorted.
pub fn tree(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(dir, Path::new(""), &mut lines);
    lines
}

fn walk(dir: &Path, path: &Path, lines: &mut Vec<String>) {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut entries: Vec<_> = fs::read_dir(dir.join(path)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    entries.sort();
    for name in entries {
        let path = path.join(name);
        let here = dir.join(&path);
        let meta = fs::symlink_metadata(&here).unwrap();
        let kind = meta.file_type();
        let state = format!("{:o} {}:{} {}", meta.mode() & 0o7777, meta.uid(), meta.gid(), path.display());
        if kind.is_dir() {
            lines.push(format!("d {state}"));
            walk(dir, &path, lines);
        } else if kind.is_symlink() {
            lines.push(format!(
                "l {}:{} {} -> {}",
                meta.uid(),
                meta.gid(),
                path.display(),
                fs::read_link(&here).unwrap().display()
            ));
        } else if kind.is_char_device() && meta.rdev() == 0 {
            lines.push(format!("whiteout {}", path.display()));
        } else if kind.is_file() {
            lines.push(format!("f {state} = {}", String::from_utf8_lossy(&fs::read(&here).unwrap())));
        } else {
            lines.push(format!("? {state}"));
        }
    }
}
