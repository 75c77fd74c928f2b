//! Bundles: there and back, to a machine that has an empty store and no network at all.

use super::{
    ground::{Ground, binary},
    image::{self, digest},
    proc::eventually,
    registry::Registry,
    stack::{Ran, Stack, run},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// Another machine: roots of its own, and a network namespace without a single link but its own loopback, which is down.
struct Island {
    ground: Arc<Ground>,
    holder: Child,
    project: String,
}

impl Island {
    fn new(project: &str) -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn().unwrap();
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let pid = holder.id().to_string();
        eventually("the namespace is made", Duration::from_secs(10), || namespace(&pid) != namespace("self"));
        Self { ground: Arc::new(Ground::alone()), holder, project: project.to_owned() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let layout = self.ground.layout();
        let mut command = Command::new("nsenter");
        command.args(["--net", "-t", &self.holder.id().to_string()]).arg(binary()).args(args);
        command.env("MUSTER_DATA_ROOT", layout.data()).env("MUSTER_RUN_ROOT", layout.run());
        command.current_dir(self.ground.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "muster {}\n{ran:#?}", args.join(" "));
        ran
    }

    #[track_caller]
    fn shell(&self, service: &str, line: &str) -> String {
        self.ok(&["-p", &self.project, "exec", "-T", service, "sh", "-c", line]).stdout.trim_end().to_owned()
    }

    /// What anybody could see of a bundle that was refused.
    #[track_caller]
    fn is_untouched(&self) {
        let layout = self.ground.layout();
        let names = |path: &Path| -> Vec<String> {
            let entries = fs::read_dir(path).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        assert_eq!(names(&layout.volumes()), [""; 0]);
        assert_eq!(names(&layout.bundles(&self.project)), [""; 0]);
        assert_eq!(names(&layout.containers()), [""; 0]);
        assert_eq!(self.ok(&["images", "--all", "--quiet"]).stdout, "");
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let ran = self.run(&["-p", &self.project, "down", "-v", "-t", "0"]);
        if ran.code != 0 && !std::thread::panicking() {
            eprintln!("{ran:#?}");
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn push(registry: &Registry, stack: &Stack, name: &str) -> String {
    let directory = stack.directory().join(format!("image-{name}"));
    image::Layout::busybox(&stack.ground, &directory)
        .layer(&[("marker", name)])
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    registry.push(&directory, name, "v1");
    format!("127.0.0.1:{}/{name}:v1", registry.port)
}

/// A project whose only image is a layout: `app` with the volume `data`.
fn small(label: &str, volume: impl FnOnce(&Path)) -> (Stack, PathBuf) {
    let stack = Stack::on(Ground::shared(), label, "services: {}");
    let image = image::Layout::busybox(&stack.ground, &stack.directory().join("image"))
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    stack.write("conf/a.txt", "a file of the project");
    stack.compose(&format!(
        "services: {{app: {{image: '{image}', init: true, network_mode: none, volumes: ['data:/data', './conf:/conf:ro']}}}}\nvolumes: {{data: {{}}}}\n"
    ));
    stack.ok(&["create"]);
    volume(&stack.ground.layout().volume_data(&format!("{}_data", stack.name)));
    let file = stack.directory().join("app.bundle");
    stack.ok(&["bundle", "create", "--volumes", file.to_str().unwrap()]);
    (stack, file)
}

#[test]
fn a_bundle_runs_where_there_is_no_network_and_no_store() {
    let Some(registry) = Registry::start() else { return };
    let stack = Stack::on(Ground::shared(), "bundle", "services: {}");
    let (app, base) = (push(&registry, &stack, "app"), push(&registry, &stack, "base"));
    let local = image::Layout::busybox(&stack.ground, &stack.directory().join("local"))
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    stack.write("built/Dockerfile", &format!("FROM {base}\nCOPY extra /extra\n"));
    stack.write("built/extra", "built");
    stack.write("conf/sites/a.conf", "site a");
    stack.write("secret.txt", "hush");
    stack.write("app.env", "FROM_FILE=of the $$ file\n");
    stack.write(".env", "GREETING=hello\n");
    stack.compose(&format!(
        "
services:
  app:
    image: {app}
    init: true
    pull_policy: always
    env_file: app.env
    environment: {{GREETING: '${{GREETING}} $$you', NOT_SET: }}
    volumes: ['data:/data', './conf:/conf', '/usr/share:/outside:ro']
    secrets: [password]
    depends_on: [built]
  built: {{build: built, init: true}}
  local: {{image: '{local}', init: true}}
  off: {{image: '{app}', profiles: [off]}}
volumes: {{data: {{}}}}
secrets: {{password: {{file: secret.txt}}}}
"
    ));
    stack.ok(&["lock"]);
    stack.up();
    stack.shell(
        "app",
        "cd /data && echo kept > file && chown 70:71 file && chmod 2640 file && ln file second && ln -s file link && truncate -s 50M holes && echo x > .wh.odd && mkfifo pipe && chmod 700 /data && chown 70 /data",
    );
    let variables = "echo $GREETING, $FROM_FILE, ${NOT_SET-unset}";
    let said = stack.shell("app", variables).stdout.trim_end().to_owned();
    let file = stack.directory().join("shop.bundle");
    let file = file.to_str().unwrap();
    let ran = stack.run(&["bundle", "create", "--volumes", file]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains("is running"), "{ran:#?}");
    assert!(ran.stderr.contains("path /usr/share for bind of app"), "{ran:#?}");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let told = stack.fails(&["bundle", "create", file]);
    assert!(told.stderr.contains("--overwrite"), "{told:#?}");

    // Stopped, twice the same.
    stack.ok(&["stop", "-t", "0"]);
    stack.ok(&["bundle", "create", "--overwrite", "--volumes", file]);
    let again = stack.directory().join("again.bundle");
    stack.ok(&["bundle", "create", "--volumes", again.to_str().unwrap()]);
    assert!(fs::read(file).unwrap() == fs::read(&again).unwrap(), "the same project gives the same bytes");
    let index: Value = serde_json::from_str(&stack.ok(&["bundle", "inspect", "--format", "json", file])).unwrap();
    assert_eq!(index["images"].as_array().unwrap().len(), 3);
    assert_eq!(index["volumes"][0]["name"], format!("{}_data", stack.name));
    assert!(stack.ok(&["bundle", "inspect", file]).contains("outside"));
    drop(registry);

    let island = Island::new(&stack.name);
    let ran = island.ok(&["up", file, "-d"]);
    assert!(!ran.stderr.contains("is here already"), "{ran:#?}");
    assert_eq!(island.shell("app", "cat /marker"), "app");
    assert_eq!(island.shell("built", "cat /marker /extra"), "basebuilt");
    assert_eq!(island.shell("app", "cat /conf/sites/a.conf /run/secrets/password"), "site ahush");
    assert_eq!(island.shell("app", variables), said);
    assert!(said.starts_with("hello $you, of the "), "{said}");
    assert_eq!(
        island.shell("app", "cd /data && stat -c '%u %g %a %h' file && cat second && readlink link"),
        "70 71 2640 2\nkept\nfile"
    );
    assert_eq!(
        island.shell(
            "app",
            "cd /data && stat -c '%u %a' . && stat -c %s holes && cat .wh.odd && [ -p pipe ] && echo pipe"
        ),
        "70 700\n52428800\nx\npipe"
    );
    let holes = island.ground.layout().volume_data(&format!("{}_data", stack.name)).join("holes");
    assert!(fs::metadata(holes).unwrap().blocks() < 1000, "a hole stays one");
    let listed = island.ok(&["-p", &stack.name, "ps", "--format", "json"]).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains(&app), "it is called as it was: {listed}");
    island.ok(&["-p", &stack.name, "logs"]);

    // What is there is nobody's to overwrite; and the same bundle again changes nothing.
    island.shell("app", "echo mine > /data/file");
    let id = |island: &Island| island.ok(&["-p", &stack.name, "ps", "-q", "app"]).stdout;
    let before = id(&island);
    let ran = island.ok(&["bundle", "up", file, "-d", "--locked"]);
    assert!(ran.stderr.contains("is here already"), "{ran:#?}");
    assert_eq!(id(&island), before);
    assert_eq!(island.shell("app", "cat /data/file"), "mine");
    island.ok(&["-p", &stack.name, "down", "-t", "0"]);
    let refused = island.run(&["-p", "other", "up", file, "-d"]);
    assert!(refused.code != 0 && refused.stderr.contains(&stack.name), "{refused:#?}");
}

#[test]
fn a_bundle_is_never_taken_for_a_service() {
    let (stack, file) = small("bundle-word", |_| {});
    fs::copy(&file, stack.directory().join("app")).unwrap();
    let ran = stack.fails(&["up", "-d", "app"]);
    assert!(ran.stderr.contains("write ./app for the bundle"), "{ran:#?}");
    stack.write("app", "no bundle");
    stack.ok(&["up", "-d", "app"]);
    let ran = stack.fails(&["bundle", "up", "./app"]);
    assert!(ran.stderr.contains("is not a bundle"), "{ran:#?}");
    let ran = stack.fails(&["bundle", "inspect", "compose.yaml"]);
    assert!(ran.stderr.contains("is not a bundle"), "{ran:#?}");
    stack.compose("services: {x: {image: '%IMAGE%'}}");
    let ran = stack.fails(&["bundle", "create", "x.bundle"]);
    assert!(ran.stderr.contains("only images can be bundled"), "{ran:#?}");
    assert!(!stack.directory().join("x.bundle").exists());
}

/// The members of a bundle, the index apart.
fn take_apart(file: &Path) -> (Value, BTreeMap<String, Vec<u8>>) {
    let mut archive = tar::Archive::new(File::open(file).unwrap());
    let mut members: BTreeMap<String, Vec<u8>> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        })
        .collect();
    let index = serde_json::from_slice(&members.remove("bundle.json").unwrap()).unwrap();
    (index, members)
}

fn put_together(file: &Path, index: &Value, members: &BTreeMap<String, Vec<u8>>) {
    let mut archive = tar::Builder::new(File::create(file).unwrap());
    let index = index.to_string().into_bytes();
    for (name, bytes) in [("bundle.json", &index)].into_iter().chain(members.iter().map(|(n, b)| (n.as_str(), b))) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap();
}

fn blob(digest: &Value) -> String {
    format!("blobs/sha256/{}", &digest.as_str().unwrap()["sha256:".len()..])
}

/// Puts other bytes where `pointer` of the index has a blob, with the digest that they have.
fn replace(index: &mut Value, members: &mut BTreeMap<String, Vec<u8>>, pointer: &str, bytes: Vec<u8>) {
    let (digest, size) = (digest(&bytes), bytes.len());
    let place = index.pointer_mut(pointer).unwrap();
    members.remove(&blob(&place["digest"]));
    let old = std::mem::replace(&mut place["digest"], json!(digest));
    place["size"] = json!(size);
    index["blobs"].as_object_mut().unwrap().remove(old.as_str().unwrap());
    index["blobs"][&digest] = json!(size);
    members.insert(blob(&json!(digest)), bytes);
}

/// A tar of one member, whose name nothing has checked.
fn archive_of(name: &str, kind: tar::EntryType, link: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    bytes
}

#[test]
fn a_hostile_bundle_is_refused_and_nothing_is_changed() {
    let (stack, good) = small("bundle-bad", |data| fs::write(data.join("f"), "x").unwrap());
    let island = Island::new(&stack.name);
    let bad = island.ground.path().join("bad.bundle");
    let whole = fs::read(&good).unwrap();
    let (index, members) = take_apart(&good);
    let layer = |members: &BTreeMap<String, Vec<u8>>| {
        let largest = members.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
        largest.0.clone()
    };
    type Change<'a> = Box<dyn Fn(&mut Value, &mut BTreeMap<String, Vec<u8>>) + 'a>;
    let model = |text: &str| text.as_bytes().to_vec();
    let regular = tar::EntryType::Regular;
    let cases: Vec<(&str, Change<'_>)> = vec![
        ("newer muster", Box::new(|index, _| index["muster_bundle"] = json!(99))),
        ("no name of a project", Box::new(|index, _| index["project"] = json!("../x"))),
        ("is not listed", Box::new(|index, _| index["model"]["digest"] = json!(digest(b"other")))),
        ("is missing", Box::new(move |_, members| drop(members.remove(&layer(members))))),
        ("no part of a bundle", Box::new(|_, members| drop(members.insert("etc/passwd".into(), b"x".to_vec())))),
        (
            "digest",
            Box::new(move |_, members| {
                let name = layer(members);
                let bytes = members.get_mut(&name).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }),
        ),
        (
            "digest",
            Box::new(|index, members| {
                let bytes = members.get_mut(&blob(&index["volumes"][0]["digest"])).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }),
        ),
        ("digest", Box::new(|index, members| members.get_mut(&blob(&index["model"]["digest"])).unwrap()[3] ^= 1)),
        (
            "leads out",
            Box::new(|index, members| {
                replace(index, members, "/files", archive_of("../../../../escaped", regular, "", 1, b"x"));
            }),
        ),
        (
            "leads out",
            Box::new(|index, members| {
                replace(index, members, "/volumes/0", archive_of("../escaped", regular, "", 1, b"x"));
            }),
        ),
        (
            "escaped",
            Box::new(|index, members| {
                let link = archive_of("link", tar::EntryType::Link, "../../../escaped", 0, b"");
                replace(index, members, "/volumes/0", link);
            }),
        ),
        // A bomb says that it has more than fits.
        (
            "more than",
            Box::new(|index, members| {
                replace(index, members, "/volumes/0", archive_of("bomb", regular, "", 1 << 50, b"x"));
            }),
        ),
        (
            "not one of",
            Box::new({
                let text = model("{\"name\": \"another\", \"services\": {\"a\": {\"image\": \"x\"}}}");
                move |index, members| replace(index, members, "/model", text.clone())
            }),
        ),
        (
            "additional",
            Box::new({
                let text = model("{\"name\": \"another\", \"services\": {\"a\": {\"imagine\": \"x\"}}}");
                move |index, members| replace(index, members, "/model", text.clone())
            }),
        ),
        ("which no service", Box::new(|index, _| index["volumes"][0]["name"] = json!("other_data"))),
        (
            "is to be called",
            Box::new(|index, _| {
                index["images"][0]["names"] = json!([format!("docker.io/library/x@{}", digest(b"other"))]);
            }),
        ),
        (
            "its blob",
            Box::new(|index, members| {
                let name = layer(members);
                members.remove(&name);
                index["blobs"].as_object_mut().unwrap().remove(&format!("sha256:{}", &name["blobs/sha256/".len()..]));
            }),
        ),
    ];
    for (number, (why, change)) in cases.iter().enumerate() {
        let (mut index, mut members) = (index.clone(), members.clone());
        change(&mut index, &mut members);
        put_together(&bad, &index, &members);
        let ran = island.run(&["up", "bad.bundle", "-d"]);
        assert_ne!(ran.code, 0, "{number} {why}: {ran:#?}");
        assert!(
            ran.stderr.contains(why) || *why == "additional" && ran.stderr.contains("imagine"),
            "{number} {why}: {ran:#?}"
        );
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        island.is_untouched();
    }
    // Cut off anywhere.
    for part in 1..8 {
        fs::write(&bad, &whole[..whole.len() * part / 8]).unwrap();
        let ran = island.run(&["up", "./bad.bundle", "-d"]);
        assert_ne!(ran.code, 0, "{part}: {ran:#?}");
        island.is_untouched();
    }
    let outside = island.ground.path().join("escaped");
    assert!(!outside.exists() && !Path::new("/escaped").exists());
    // And the good one still runs.
    island.ok(&["up", good.to_str().unwrap(), "-d"]);
    assert_eq!(island.shell("app", "cat /data/f"), "x");
}

#[test]
fn killing_the_unpacking_leaves_nothing_half() {
    let noise = |data: &Path| {
        let mut random = File::open("/dev/urandom").unwrap().take(24 << 20);
        let mut out = File::create(data.join("noise")).unwrap();
        std::io::copy(&mut random, &mut out).unwrap();
        out.write_all_at(b"end", (24 << 20) - 3).unwrap();
    };
    let (stack, file) = small("bundle-kill", noise);
    let island = Island::new(&stack.name);
    let layout = island.ground.layout();
    let volume = layout.volume_data(&format!("{}_data", stack.name)).join("noise");
    let (mut early, mut late) = (0, 0);
    for attempt in 0..14_u64 {
        let mut child = island.command(&["up", file.to_str().unwrap(), "-d"]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + attempt * 35));
        let done = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        let _ = child.wait();
        if done {
            late += 1;
            break;
        }
        early += 1;
        if volume.exists() {
            assert_eq!(fs::metadata(&volume).unwrap().len(), 24 << 20, "a volume is whole or not there");
        }
        for image in island.ok(&["images", "--all", "--quiet"]).stdout.lines() {
            island.ok(&["image", "inspect", image]);
        }
    }
    assert!(early > 3, "{early} killed, {late} not");
    island.ok(&["up", file.to_str().unwrap(), "-d"]);
    assert_eq!(island.shell("app", "tail -c 3 /data/noise && cat /conf/a.txt"), "enda file of the project");
    let left = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.') || name.starts_with("session")).collect()
    };
    for directory in [layout.volumes(), layout.bundles(&stack.name), layout.images().join("tmp")] {
        assert_eq!(left(&directory), [""; 0], "{}", directory.display());
    }
}

#[test]
fn a_full_disk_and_a_gone_directory_leave_no_bundle() {
    let (stack, _) = small("bundle-full", |data| fs::write(data.join("f"), vec![7; 1 << 20]).unwrap());
    let ran = stack.fails(&["bundle", "create", "no/such/place.bundle"]);
    assert!(ran.stderr.contains("no/such"), "{ran:#?}");
    let place = stack.directory().join("small");
    fs::create_dir(&place).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&place).status().unwrap();
    assert!(mounted.success());
    let ran = stack.run(&["bundle", "create", "--volumes", "small/x.bundle"]);
    let left = fs::read_dir(&place).unwrap().count();
    assert!(Command::new("umount").arg(&place).status().unwrap().success());
    assert_ne!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains("space"), "{ran:#?}");
    assert_eq!(left, 0);
    let mut file = File::create(stack.directory().join("kept.bundle")).unwrap();
    file.write_all(b"precious").unwrap();
    stack.fails(&["bundle", "create", "kept.bundle"]);
    assert_eq!(fs::read(stack.directory().join("kept.bundle")).unwrap(), b"precious");
}

#[test]
fn a_newer_bundle_replaces_what_runs_and_what_the_older_one_brought() {
    let (stack, file) = small("bundle-new", |data| fs::write(data.join("f"), "seed").unwrap());
    let island = Island::new(&stack.name);
    island.ok(&["up", file.to_str().unwrap(), "-d"]);
    island.shell("app", "echo mine > /data/f");
    stack.write("conf/a.txt", "a newer file");
    let newer = stack.directory().join("newer.bundle");
    let newer = newer.to_str().unwrap();
    stack.ok(&["bundle", "create", newer]);
    island.ok(&["up", newer, "-d"]);
    assert_eq!(island.shell("app", "cat /conf/a.txt /data/f"), "a newer filemine");
    // What the first one brought was in use until then.
    island.ok(&["up", newer, "-d"]);
    let brought = fs::read_dir(island.ground.layout().bundles(&stack.name)).unwrap();
    let mut names: Vec<String> = brought.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() == 2 && names[0].starts_with("files-") && names[1].starts_with("model-"), "{names:?}");
    assert_eq!(island.shell("app", "cat /conf/a.txt"), "a newer file");
}
