//! A host of one worker: data root, run root and project in a directory that is put back to how it was before each case,
//! and what must hold there whatever has happened.

use crate::{
    calls::Fault,
    image_support::{digest, http::Server},
};
use muster::{
    image::{Digest, Image, Reference, Store},
    state::Layout,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than any verb takes here, retries with their pauses included.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a case is put back to, and what the verb changes.
const PARTS: [&str; 3] = ["data", "run", "project"];

pub struct World {
    pub dir: PathBuf,
    pub layout: Layout,
    pub server: Option<Server>,
}

/// How a program ended under the tracer.
#[derive(Debug, Default)]
pub struct Ended {
    /// `None` where it did not end in time.
    pub code: Option<i32>,
    /// All of its processes are gone.
    pub alone: bool,
    pub stderr: String,
    /// The object of the call at which the fault was injected.
    pub hit: Option<String>,
    pub points: Vec<String>,
}

impl World {
    pub fn new(dir: &Path) -> Self {
        let layout = Layout::new(dir.join("data"), dir.join("run"));
        let world = Self { dir: dir.to_owned(), layout, server: None };
        world.empty();
        world
    }

    fn empty(&self) {
        let _ = fs::remove_dir_all(&self.dir);
        fs::create_dir_all(self.dir.join("project")).unwrap();
    }

    /// Anew, with what `prepare` makes; that is what each case begins with.
    pub fn begin(&mut self, prepare: impl FnOnce(&mut Self)) {
        self.empty();
        self.server = None;
        prepare(self);
        fs::create_dir(self.dir.join("template")).unwrap();
        for part in PARTS.iter().filter(|part| self.dir.join(part).exists()) {
            copy(&self.dir.join(part), &self.dir.join("template"));
        }
    }

    pub fn restore(&self) {
        for part in PARTS {
            let _ = fs::remove_dir_all(self.dir.join(part));
            let kept = self.dir.join("template").join(part);
            if kept.exists() {
                copy(&kept, &self.dir);
            }
        }
    }

    pub fn store(&self) -> Store {
        Store::open(&self.layout).unwrap()
    }

    pub fn project(&self, name: &str) -> PathBuf {
        self.dir.join("project").join(name)
    }

    /// A name in the registry of this world.
    pub fn remote(&self, name: &str) -> String {
        format!("{}/{name}", self.server.as_ref().unwrap().address)
    }

    pub fn find(&self, name: &str) -> Option<Image> {
        self.store().find(&Reference::parse(name).unwrap()).unwrap()
    }

    fn dressed<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.dir.join("project"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.dir)
            .env("DOCKER_CONFIG", self.dir.join("docker"))
            .env("MUSTER_DATA_ROOT", self.layout.data())
            .env("MUSTER_RUN_ROOT", self.layout.run())
            .stdin(Stdio::null())
    }

    /// Without a fault.
    pub fn run(&self, args: &[String]) -> Ended {
        let output = self.dressed(Command::new(binary()).args(args)).output().unwrap();
        Ended {
            code: output.status.code(),
            alone: true,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            ..Ended::default()
        }
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let ended = self.run(&args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    }

    /// Traced; with the fault at the `number`th time at the point, or with none.
    pub fn trace(&self, args: &[String], fault: Option<(Fault, usize, &str)>) -> Ended {
        // Beside the directory, whose files have points.
        let beside = |kind| self.dir.with_extension(kind);
        let (report, out, err) = (beside("report"), beside("stdout"), beside("stderr"));
        let _ = fs::remove_file(&report);
        let (word, number, point) =
            fault.map_or(("-".into(), 0, ""), |(fault, number, point)| (fault.word(), number, point));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--inject").args([&self.dir, &report]).args([&word, &number.to_string(), point]);
        command.arg(binary()).args(args);
        self.dressed(&mut command).stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        // What it leaves dies with it: the tracer says so to the kernel.
        wait(&mut command.spawn().unwrap());
        let mut ended =
            Ended { stderr: String::from_utf8_lossy(&fs::read(&err).unwrap()).into_owned(), ..Ended::default() };
        for line in fs::read_to_string(&report).unwrap_or_default().lines() {
            match line.split_once(' ') {
                Some(("point", point)) => ended.points.push(point.to_owned()),
                Some(("hit", object)) => ended.hit = Some(object.to_owned()),
                Some(("exit", code)) => ended.code = code.parse().ok(),
                _ => ended.alone |= line == "end",
            }
        }
        ended
    }

    /// What is said to be here is here, and is what it is said to be.
    pub fn is_whole(&self) -> Result<(), String> {
        let images = self.dir.join("data/images");
        if !images.exists() {
            return Ok(());
        }
        let listed = self.store().list().map_err(|error| format!("the store cannot be listed: {error}"))?;
        for image in &listed {
            if let Some(layer) = image.layers.iter().find(|layer| !layer.is_dir()) {
                return Err(format!("{} lacks {}", image.reference, layer.display()));
            }
        }
        for name in names(&images.join("blobs/sha256")) {
            let actual = digest(&fs::read(images.join("blobs/sha256").join(&name)).unwrap());
            if actual != format!("sha256:{name}") {
                return Err(format!("blob {name} is {actual}"));
            }
        }
        let Ok(index) = fs::read(images.join("index.json")) else { return Ok(()) };
        let index: Value = serde_json::from_slice(&index).map_err(|error| format!("index.json: {error}"))?;
        let entries = index["manifests"].as_array().map_or(0, Vec::len);
        if entries != listed.len() {
            return Err(format!("{entries} images have a record, {} are usable", listed.len()));
        }
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let hex = entry["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:");
            let manifest =
                fs::read(images.join("blobs/sha256").join(hex)).map_err(|e| format!("manifest {hex}: {e}"))?;
            let manifest: Value = serde_json::from_slice(&manifest).map_err(|e| format!("manifest {hex}: {e}"))?;
            for layer in manifest["layers"].as_array().into_iter().flatten() {
                let hex = layer["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:");
                if !images.join("blobs/sha256").join(hex).exists() {
                    return Err(format!("an image lacks the blob {hex} of a layer"));
                }
            }
        }
        Ok(())
    }

    /// How builds of this data root name what they make in the kernel.
    fn builds(&self) -> String {
        format!(".build-{}", &Digest::of(self.layout.data().as_os_str().as_encoded_bytes()).hex()[..8])
    }

    /// Their bridge, and how the links on it end.
    fn links_of_builds(&self) -> (String, String) {
        let network = Digest::of(self.builds().as_bytes()).hex();
        (format!("mst-{}", &network[..8]), network[..4].to_owned())
    }

    /// Nothing is left of what died.
    pub fn is_clean(&self) -> Result<(), String> {
        for place in ["data/images/tmp", "data/images/partial", "data/networks", "run/builds"] {
            let left = names(&self.dir.join(place));
            if !left.is_empty() {
                return Err(format!("{place} has {left:?}"));
            }
        }
        for directory in walk(&self.dir) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let made_first = [".tmp-", ".new-", ".seed-", ".muster-"];
            if made_first.iter().any(|prefix| name.starts_with(prefix)) {
                return Err(format!("{} is left", directory.display()));
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        if mounts.contains(&format!("{}/", self.dir.display())) {
            return Err("a mount is left".into());
        }
        let name = format!("muster/{}", self.builds());
        let tops = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        let (bridge, ports) = self.links_of_builds();
        if let Some(left) = names(Path::new("/sys/class/net"))
            .iter()
            .find(|n| **n == bridge || n.starts_with("mst") && n.len() == 15 && n.ends_with(&ports))
        {
            return Err(format!("the link {left} is left"));
        }
        if let Some(left) = tops.chain(["/sys/fs/cgroup".into()]).map(|top| top.join(&name)).find(|path| path.exists())
        {
            return Err(format!("{} is left", left.display()));
        }
        let ours = format!("MUSTER_DATA_ROOT={}\0", self.layout.data().display());
        for process in names(Path::new("/proc")).iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
            let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            if String::from_utf8_lossy(&environment).contains(&ours) {
                return Err(format!("process {process} is left"));
            }
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for kind in ["report", "stdout", "stderr"] {
            let _ = fs::remove_file(self.dir.with_extension(kind));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The binary under test: `MUSTER_TEST_BINARY`, or the one of this build.
fn binary() -> PathBuf {
    std::env::var_os("MUSTER_TEST_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_muster")), PathBuf::from)
}

/// Kills what does not end, and all that it traces with it.
fn wait(child: &mut Child) {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            child.wait().unwrap();
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn copy(from: &Path, into: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, into]).status().unwrap().success());
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every path below a directory.
pub fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(directory) {
        let path = directory.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|data| data.is_dir()) {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

/// Names, kinds, modes, owners and contents below a directory.
pub fn tree(directory: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    for path in walk(directory) {
        let data = fs::symlink_metadata(&path).unwrap();
        let kind = data.file_type();
        let content = match () {
            () if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
            () if kind.is_file() => digest(&fs::read(&path).unwrap()),
            () if kind.is_char_device() => format!("device {}", data.rdev()),
            () => String::new(),
        };
        let text = format!("{:o} {}:{} {content}", data.mode(), data.uid(), data.gid());
        tree.insert(path.strip_prefix(directory).unwrap().display().to_string(), text);
    }
    tree
}

/// The trees of an image's layers, lowest first.
pub fn trees(image: &Image) -> Vec<BTreeMap<String, String>> {
    image.layers.iter().rev().map(|layer| tree(layer)).collect()
}
