//! Docker's side: base images are loaded, cases are built with `docker buildx build`, and what comes of them is saved.

use super::{Base, archive::Outcome, digest, frontend};
use crate::case::Case;
use muster::{
    build::{engine::Inputs, op::Op},
    image::Reference,
};
use serde_json::{Map, Value, json};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

const BUILT: &str = "muster-oracle-built:1";

pub struct Docker {
    program: OsString,
    /// Configurations of the images that are loaded, by name.
    loaded: RefCell<BTreeMap<String, Map<String, Value>>>,
}

/// Why something is not built, and the lines of the Dockerfile that are said to be why.
pub struct Refused {
    pub text: String,
    pub lines: Vec<usize>,
}

impl Refused {
    /// Errors that begin with `LINE:` or `LINE `; 0 is no line.
    pub fn of_muster(errors: &[String]) -> Self {
        let line = |error: &String| error.split([':', ' ']).next()?.parse().ok().filter(|line| *line > 0);
        Self { text: errors.join("\n"), lines: errors.iter().filter_map(line).collect() }
    }

    /// The end of what the client says: `Dockerfile:3`, an excerpt, where `>>>` marks the lines, and `ERROR: ...`.
    fn of_docker(output: &str) -> Self {
        let mut lines = Vec::new();
        for line in output.lines() {
            if let Some((number, _)) = line.split_once(" | >>>") {
                lines.extend(number.trim().parse::<usize>().ok());
            }
            if let Some((_, rest)) = line.split_once("parse error on line ") {
                lines.extend(rest.split(':').next().and_then(|number| number.parse::<usize>().ok()));
            }
        }
        let error = output.lines().rev().find(|line| line.starts_with("ERROR: ")).unwrap_or(output);
        Self { text: error.to_owned(), lines }
    }
}

impl Docker {
    pub fn new(program: OsString) -> Self {
        Self { program, loaded: RefCell::default() }
    }

    /// `base`, and whatever else the case stands on.
    pub fn load(&self, case: &Case, base: &Base) -> Result<(), String> {
        let mut images: BTreeSet<(String, String)> = BTreeSet::new();
        let amd64 = "linux/amd64".to_owned();
        images.insert(("base".to_owned(), amd64.clone()));
        for section in case.sections.iter().filter(|section| section.kind == "image") {
            images.insert((section.words[0].clone(), amd64.clone()));
        }
        for step in frontend::plan(case).iter().flat_map(|planned| &planned.plan.steps) {
            if let Op::Base(base) = &step.op {
                images.remove(&(base.image.clone(), amd64.clone()));
                images.insert((base.image.clone(), base.platform.clone()));
            }
        }
        for (image, platform) in images {
            let name = match Reference::parse(&image) {
                Ok(Reference::Registry(name)) => name.familiar(),
                _ => continue,
            };
            let mut document = frontend::configuration(case, &image, &platform);
            let known = self.loaded.borrow().get(&name) == Some(&document);
            if !known {
                let configuration = document.clone();
                document.insert("rootfs".into(), json!({"type": "layers", "diff_ids": [digest(&base.0.tar)]}));
                self.send(&name, &serde_json::to_vec(&document).unwrap(), &base.0.tar)?;
                self.loaded.borrow_mut().insert(name, configuration);
            }
        }
        Ok(())
    }

    fn send(&self, name: &str, config: &[u8], layer: &[u8]) -> Result<(), String> {
        let list = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).to_string();
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in [("config.json", config), ("layer.tar", layer), ("manifest.json", list.as_bytes())] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes).unwrap();
        }
        let archive = archive.into_inner().unwrap();
        let mut command = Command::new(&self.program);
        let command = command.arg("load").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        // What it does not read to the end it refuses.
        let _ = child.stdin.take().unwrap().write_all(&archive);
        let output = child.wait_with_output().unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("docker load {name}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    pub fn build(&self, case: &Case, dir: &Path, inputs: &Inputs) -> Result<Outcome, Refused> {
        let file = dir.join("Dockerfile");
        fs::write(&file, case.dockerfile()).unwrap();
        // Looked for beside the Dockerfile, which is not in the context here.
        let ignore = "Dockerfile.dockerignore";
        if dir.join("context").join(ignore).exists() {
            fs::copy(dir.join("context").join(ignore), dir.join(ignore)).unwrap();
        }
        let mut command = Command::new(&self.program);
        command.args(["buildx", "build", "--progress=plain", "--provenance=false", "--tag", BUILT, "--file"]).arg(file);
        self.options(case, dir, &mut command);
        for (name, context) in &inputs.named {
            command.arg(format!("--build-context={name}={}", context.dir.display()));
        }
        let output = command.arg(dir.join("context")).output().unwrap();
        if !output.status.success() {
            return Err(Refused::of_docker(&String::from_utf8_lossy(&output.stderr)));
        }
        let saved = Command::new(&self.program).args(["save", BUILT]).output().unwrap();
        Ok(if saved.status.success() { Outcome::read(&saved.stdout) } else { self.without_layers() })
    }

    /// An image without layers cannot be saved by docker. Its history is not to be had then.
    fn without_layers(&self) -> Outcome {
        let inspected = Command::new(&self.program).args(["image", "inspect", BUILT]).output().unwrap();
        let mut list: Value = serde_json::from_slice(&inspected.stdout).unwrap();
        let layers = &list[0]["RootFS"]["Layers"];
        assert!(layers.as_array().is_none_or(Vec::is_empty), "docker save fails");
        let mut config = Map::new();
        for (key, of_inspect) in
            [("architecture", "Architecture"), ("os", "Os"), ("author", "Author"), ("config", "Config")]
        {
            config.insert(key.into(), list[0][of_inspect].take());
        }
        // What containers have, and no image.
        let of_image = config["config"].as_object_mut().unwrap();
        of_image.retain(|key, _| !["Hostname", "Domainname", "Image"].contains(&key.as_str()));
        Outcome { config: config.into(), layers: Vec::new(), tree: BTreeMap::new() }
    }

    fn options(&self, case: &Case, dir: &Path, command: &mut Command) {
        let mut network = "none";
        // Nothing of the cases before, neither steps nor what cache mounts hold.
        command.args(["--no-cache", "--build-arg"]);
        command.arg(format!("BUILDKIT_CACHE_MOUNT_NS={}", dir.display()));
        for line in case.text("options").lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "target" | "platform" | "label" | "allow" => drop(command.arg(format!("--{key}={value}"))),
                "arg" => drop(command.arg(format!("--build-arg={value}"))),
                "extra-host" => drop(command.arg(format!("--add-host={}", value.replacen('=', ":", 1)))),
                "shm-size" => drop(command.arg(format!("--shm-size={value}"))),
                "ulimit" => drop(command.arg(format!("--ulimit={value}"))),
                "network" if value != "default" => network = value,
                "context" => {
                    if let Some((name, image)) = value.split_once(' ') {
                        command.arg(format!("--build-context={name}=docker-image://{image}"));
                    }
                }
                "secret" => {
                    let (id, text) = value.split_once('=').unwrap();
                    let file = dir.join(format!("secret-{id}"));
                    fs::write(&file, text).unwrap();
                    command.arg(format!("--secret=id={id},src={}", file.display()));
                }
                _ => {}
            }
        }
        command.arg(format!("--network={network}"));
    }
}
