//! Builds the cases of `tests/build` on the real kernel, as root, and looks at the files of each image: sections `tree`
//! and `fails`.
//!
//! A step of a build runs in the program that builds, started again: this test is that program as well, by its first
//! argument. A word behind the name of the test chooses the cases whose name holds it.

#![allow(clippy::unwrap_used)]

#[path = "../build/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../build/frontend.rs"]
mod frontend;
#[path = "../image_support/mod.rs"]
mod image_support;
mod tree;

use case::Case;
use image_support::{Layer, Made, digest, write_image};
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
    let (mut built, mut failed) = (0, 0);
    for file in case::files() {
        for case in case::read(&fs::read_to_string(&file).unwrap()).unwrap() {
            let asked = filters.is_empty() || filters.iter().any(|filter| case.name.contains(*filter));
            if !asked || !case.sections.iter().any(|section| ["tree", "fails"].contains(&section.kind.as_str())) {
                continue;
            }
            let fault = catch_unwind(AssertUnwindSafe(|| check(&case, &base, &root.join("case"))));
            let fault = fault.unwrap_or_else(|_| Err("panics".to_owned()));
            let _ = fs::remove_dir_all(root.join("case"));
            built += 1;
            if let Err(fault) = fault {
                failed += 1;
                let file = file.file_name().unwrap().display();
                writeln!(out, "{file}: {}\n{fault}\n", case.name).unwrap();
            }
        }
    }
    let _ = fs::remove_dir_all(&root);
    writeln!(out, "{built} cases built, {failed} failed").unwrap();
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
    let planned = frontend::plan(case).map_err(|errors| errors.join("\n"))?;
    let layout = Layout::new(dir.join("data"), dir.join("run"));
    let store = Store::open(&layout).map_err(|error| error.to_string())?;
    let mut inputs = contexts(case, dir);
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
    let fails = case.sections.iter().find(|section| section.kind == "fails");
    match (result, fails) {
        (Ok(_), Some(_)) => Err("is built, and should not be".to_owned()),
        (Ok(image), None) => tree::check(case.text("tree"), &image.layers),
        (Err(error), None) => Err(format!("is not built: {}", told(&error))),
        (Err(error), Some(section)) => {
            let (line, part) = section.text.trim_end_matches('\n').split_once(' ').unwrap();
            let at = if let BuildError::Step { line, .. } = &error { *line } else { 0 };
            let fits = at.to_string() == line && told(&error).contains(part);
            if fits { Ok(()) } else { Err(format!("fails otherwise, on line {at}: {}", told(&error))) }
        }
    }
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
