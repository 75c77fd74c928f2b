//! Builds the cases of `tests/build` on the real kernel, as root, and looks at the files of each image: sections `tree`
//! and `fails`.
//!
//! A step of a build runs in the program that builds, started again: this test is that program as well, by its first
//! argument. A word behind the name of the test chooses the cases whose name holds it, or whose file it names. With MUSTER_DOCKER_ORACLE every
//! case is compared with docker as well: see `live`.

#![allow(clippy::unwrap_used)]

#[path = "../build/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../build/frontend.rs"]
mod frontend;
#[path = "../image_support/mod.rs"]
mod image_support;
mod live;
mod tree;

use base64::Engine;
use case::Case;
use image_support::{Layer, Made, digest, write_image};
use live::Live;
use muster::{
    build::{
        dockerfile::Patterns,
        engine::{self, BuildError, Context, Inputs, Options, Secret, StepError},
        op::Op,
    },
    image::{Credentials, Image, Reference, Store, ensure, progress},
    model::PullPolicy,
    state::Layout,
};
use serde_json::json;
use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "__build-step") {
        return engine::step_main();
    }
    let mut out = std::io::stdout();
    if args.iter().any(|arg| arg == "--list") || !rustix::process::geteuid().is_root() {
        writeln!(out, "the_cases_are_built: test").unwrap();
        return ExitCode::SUCCESS;
    }
    let has_value = |arg: &str| matches!(arg, "--skip" | "--test-threads" | "--color" | "--format");
    let is_value = |index: usize| index > 0 && has_value(&args[index - 1]);
    let words = args.iter().enumerate().filter(|(index, arg)| !arg.starts_with("--") && !is_value(*index));
    let filters: Vec<&String> = words.map(|(_, arg)| arg).collect();
    let root = std::env::var_os("TMPDIR").map_or("/var/tmp".into(), PathBuf::from);
    let root = root.join(format!("muster-build-cases-{}", std::process::id()));
    let base = Base::new(&root);
    let live = Live::from_env(&base);
    let (mut built, mut compared, mut failed, mut names) = (0, 0, 0, Vec::new());
    for file in case::files() {
        let text = fs::read_to_string(&file).unwrap();
        let mut cases = case::read(&text).unwrap();
        for case in &mut cases {
            names.push(case.name.clone());
            let holds = |filter: &&String| case.name.contains(*filter) || file.to_string_lossy().ends_with(*filter);
            if !filters.is_empty() && !filters.iter().any(holds) {
                continue;
            }
            let try_it = |check: &mut dyn FnMut(&Path) -> Result<(), String>| {
                let fault = catch_unwind(AssertUnwindSafe(|| check(&root.join("case"))));
                let _ = fs::remove_dir_all(root.join("case"));
                fault.unwrap_or_else(|_| Err("panics".to_owned()))
            };
            let mut faults = Vec::new();
            if let Some(live) = &live {
                compared += 1;
                let fault = try_it(&mut |dir| live.check(case, &base, dir)).err();
                faults.extend(fault.map(|fault| format!("live: {fault}")));
            }
            if case.sections.iter().any(|section| ["tree", "fails"].contains(&section.kind.as_str())) {
                built += 1;
                faults.extend(try_it(&mut |dir| check(case, &base, dir)).err());
            }
            failed += usize::from(!faults.is_empty());
            for fault in faults {
                writeln!(out, "{}: {}\n{fault}\n", file.file_name().unwrap().display(), case.name).unwrap();
            }
        }
        if live.is_some() && std::env::var_os("BLESS").is_some() {
            fs::write(&file, case::write(&text, &cases)).unwrap();
        }
    }
    let _ = fs::remove_dir_all(&root);
    for name in live.iter().flat_map(|live| live.forgotten(&names)) {
        failed += 1;
        writeln!(out, "a difference is listed for {name:?}, which is no case").unwrap();
    }
    writeln!(out, "{built} cases built, {compared} compared with docker, {failed} failed").unwrap();
    ExitCode::from(u8::from(failed > 0))
}

/// The layer of `base`.
struct Base(Layer);

impl Base {
    fn new(root: &Path) -> Self {
        let files = root.join("base");
        for name in ["bin", "etc", "root", "home/user", "tmp"] {
            fs::create_dir_all(files.join(name)).unwrap();
        }
        fs::set_permissions(files.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::copy("/bin/busybox", files.join("bin/busybox")).unwrap();
        let tools = Command::new("/bin/busybox").arg("--list").output().unwrap().stdout;
        for tool in String::from_utf8(tools).unwrap().lines().filter(|tool| *tool != "busybox") {
            symlink("busybox", files.join("bin").join(tool)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
        fs::write(files.join("etc/passwd"), passwd).unwrap();
        fs::write(files.join("etc/group"), "root:x:0:\nuser:x:1000:\nstaff:x:50:\n").unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        builder.follow_symlinks(false);
        builder.append_dir_all(".", &files).unwrap();
        let tar = builder.into_inner().unwrap();
        fs::remove_dir_all(&files).unwrap();
        Self(Layer { blob: tar.clone(), tar, media_type: "application/vnd.oci.image.layer.v1.tar" })
    }
}

fn check(case: &Case, base: &Base, dir: &Path) -> Result<(), String> {
    frontend::plan(case).map_err(|errors| errors.join("\n"))?;
    let (_, result) = muster(case, base, dir, contexts(case, dir));
    let fails = case.sections.iter().find(|section| section.kind == "fails");
    match (result, fails) {
        (Ok(_), Some(_)) => Err("is built, and should not be".to_owned()),
        (Ok(image), None) => tree::check(case.text("tree"), &image.layers),
        (Err(error), None) => Err(format!("is not built: {}", told(&error))),
        (Err(error), Some(section)) => {
            let (line, part) = section.text.trim_end_matches('\n').split_once(' ').unwrap();
            let fits = line_of(&error).to_string() == line && told(&error).contains(part);
            if fits { Ok(()) } else { Err(format!("fails otherwise: {}", located(&error))) }
        }
    }
}

/// What muster makes of a case that has a plan.
fn muster(case: &Case, base: &Base, dir: &Path, mut inputs: Inputs) -> (Store, Result<Image, BuildError>) {
    let planned = frontend::plan(case).unwrap();
    let layout = Layout::new(dir.join("data"), dir.join("run"));
    let store = Store::open(&layout).unwrap();
    for (number, step) in planned.plan.steps.iter().enumerate() {
        if let Op::Base(op) = &step.op {
            let image = image(case, base, &op.image, &dir.join(format!("image-{number}")), &store);
            inputs.images.insert(op.image.clone(), image);
        }
    }
    let mut options =
        Options { names: vec![Reference::parse("built:1").unwrap()], epoch: planned.epoch, ..Options::default() };
    for line in case.text("options").lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("secret", pair) => {
                let (name, value) = pair.split_once('=').unwrap();
                inputs.secrets.insert(name.to_owned(), Secret::Bytes(value.as_bytes().to_vec()));
            }
            ("allow", "network.host") => options.allow_host_network = true,
            ("allow", "security.insecure") => options.allow_insecure = true,
            _ => {}
        }
    }
    let build = engine::build(&store, &layout, planned.plan, inputs, options, engine::silent());
    let result = runtime().block_on(build);
    (store, result)
}

/// With its line in front.
fn located(error: &BuildError) -> String {
    format!("{} {}", line_of(error), told(error))
}

fn line_of(error: &BuildError) -> usize {
    if let BuildError::Step { line, .. } = error { *line } else { 0 }
}

fn told(error: &BuildError) -> String {
    match error {
        BuildError::Step { source: StepError::Exit { output, .. }, .. } => format!("{error}\n{}", output.join("\n")),
        error => error.to_string(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Long ago, so that it can be seen whose time a file has. No two files have one: to docker a file of the size and the
/// time of one that it has seen is that.
fn time_of_file() -> SystemTime {
    static FILES: AtomicU64 = AtomicU64::new(0);
    let program = SystemTime::now() - Duration::from_secs(500_000_000);
    program + Duration::from_secs(FILES.fetch_add(1, Ordering::Relaxed))
}

/// The context of a case, and the named ones; each has its own ignore file.
fn contexts(case: &Case, dir: &Path) -> Inputs {
    let place = |path: &str| match path.split_once(':') {
        Some((context, path)) => dir.join("named").join(context).join(path),
        None => dir.join("context").join(path),
    };
    fs::create_dir_all(dir.join("context")).unwrap();
    for section in &case.sections {
        match (section.kind.as_str(), section.words.as_slice()) {
            ("file", [path, mode @ ..]) => {
                let path = place(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &section.text).unwrap();
                let mode = mode.first().map_or(0o644, |mode| u32::from_str_radix(mode, 8).unwrap());
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                fs::File::open(&path).unwrap().set_modified(time_of_file()).unwrap();
            }
            ("binary", [path]) => {
                let path = place(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let text: String = section.text.split_whitespace().collect();
                fs::write(&path, base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                fs::File::open(&path).unwrap().set_modified(time_of_file()).unwrap();
            }
            ("dir", [path, mode @ ..]) => {
                fs::create_dir_all(place(path)).unwrap();
                let mode = mode.first().map_or(0o755, |mode| u32::from_str_radix(mode, 8).unwrap());
                fs::set_permissions(place(path), fs::Permissions::from_mode(mode)).unwrap();
            }
            ("link", [path, target]) => {
                let path = place(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink(target, path).unwrap();
            }
            _ => {}
        }
    }
    let mut inputs =
        Inputs { context: Some(Context { dir: dir.join("context"), ignore: case.ignore() }), ..Inputs::default() };
    for entry in fs::read_dir(dir.join("named")).into_iter().flatten() {
        let dir = entry.unwrap().path();
        let ignore = fs::read_to_string(dir.join(".dockerignore")).unwrap_or_default();
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        inputs.named.insert(name, Context { dir, ignore: Patterns::read(&ignore).unwrap() });
    }
    inputs
}

/// `base` with the configuration that the case gives to an image.
fn image(case: &Case, base: &Base, name: &str, dir: &Path, store: &Store) -> Image {
    let mut document = frontend::configuration(case, name, "linux/amd64");
    document.insert("rootfs".into(), json!({"type": "layers", "diff_ids": [digest(&base.0.tar)]}));
    let config = serde_json::to_vec(&document).unwrap();
    write_image(dir, &Made::with_config(vec![base.0.clone()], config), "1");
    let reference = Reference::parse(&format!("oci:{}", dir.display())).unwrap();
    let login = Credentials::none();
    let image = ensure(store, &reference, PullPolicy::Missing, &login, progress::silent());
    runtime().block_on(image).unwrap()
}
