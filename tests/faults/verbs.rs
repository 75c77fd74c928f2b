//! The verbs whose calls fail: what each begins with, and what it has done when it is done.

use crate::{
    image_support::{
        Layer, Made, Packing, digest, host_architecture,
        http::{Request, Response, Server, blob_path, honest},
        layer, noise,
    },
    world::{World, names, tree, trees, walk},
};
use serde_json::json;
use std::{fs, os::unix::fs::symlink};

pub struct Verb {
    pub name: &'static str,
    /// `REMOTE` is the image in the world's registry.
    pub args: &'static [&'static str],
    pub prepare: fn(&mut World),
    /// What it made, as a text that is the same for the same; an error says what lacks.
    pub made: fn(&World) -> Result<String, String>,
    /// The code it ends with when nothing goes wrong, and what it says then.
    pub ends: (i32, &'static str),
    /// What it may say instead where it had been done before the fault.
    pub was_done: &'static str,
}

impl Verb {
    pub fn words(&self, world: &World) -> Vec<String> {
        let word = |word: &&str| if *word == "REMOTE" { world.remote("app:1") } else { (*word).to_owned() };
        self.args.iter().map(word).collect()
    }
}

const fn verb(
    name: &'static str,
    args: &'static [&'static str],
    prepare: fn(&mut World),
    made: fn(&World) -> Result<String, String>,
) -> Verb {
    Verb { name, args, prepare, made, ends: (0, ""), was_done: "" }
}

pub const VERBS: &[Verb] =
    &[
        verb("pull", &["image", "pull", "-q", "REMOTE"], with_registry, |world| image(world, &world.remote("app:1"))),
        verb("resumed pull", &["image", "pull", "-q", "REMOTE"], with_partials, |world| {
            image(world, &world.remote("app:1"))
        }),
        verb("load", &["load", "-i", "app.tar"], with_archive, |world| {
            Ok(image(world, "app:1")? + &image(world, "app:2")?)
        }),
        verb("save", &["save", "-o", "out.tar", "app:1"], loaded, |world| file(world, "out.tar")),
        verb("tag", &["tag", "app:1", "other:2"], loaded, |world| image(world, "other:2")),
        Verb {
            was_done: "no such image",
            ..verb("rmi", &["rmi", "keep:1"], loaded, |world| match image(world, "keep:1") {
                Ok(_) => Err("keep:1 is there".into()),
                // With what is left on the disk.
                Err(_) => Ok(format!("{:?} {}", kept(world), image(world, "app:1")?)),
            })
        },
        verb("image prune", &["image", "prune", "-a", "-f"], with_rubbish, |world| {
            let left = kept(world);
            if left.is_empty() { Ok(String::new()) } else { Err(format!("{left:?} is there")) }
        }),
        verb("push", &["image", "push", "-q", "REMOTE"], to_push, pushed),
        verb("lock", &["lock"], to_lock, |world| {
            let text =
                fs::read_to_string(world.project("compose.lock")).map_err(|error| format!("compose.lock: {error}"))?;
            // Each world has a registry of its own, and each run its time.
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("locked:"));
            Ok(lines.map(|line| line.replace(&world.remote(""), "") + "\n").collect())
        }),
        verb("build", &["build"], to_build, built),
        verb("cached build", &["build"], built_once, built),
        verb("builder prune", &["builder", "prune", "-a", "-f"], built_once, |world| {
            let left: Vec<_> = walk(&world.dir.join("data/build"))
                .into_iter()
                .filter(|path| path.is_file() && !path.to_string_lossy().contains("/layers/"))
                .collect();
            if left.is_empty() { built(world) } else { Err(format!("{left:?} is there")) }
        }),
        verb("bundle create", &["bundle", "create", "--volumes", "--overwrite", "app.bundle"], to_bundle, |world| {
            file(world, "app.bundle")
        }),
        Verb {
            ends: (1, "no such service"),
            ..verb("up BUNDLE", &["up", "./app.bundle", "nothing"], bundled, |world| {
                let bundles: Vec<_> = walk(&world.layout.bundles("app"))
                    .iter()
                    .filter(|path| path.is_file())
                    .map(|path| (path.strip_prefix(&world.dir).unwrap().to_owned(), fs::read_to_string(path).unwrap()))
                    .collect();
                let volume = tree(&world.layout.volume_data("app_data"));
                if bundles.is_empty() || volume.is_empty() {
                    return Err(format!("{bundles:?} {volume:?}"));
                }
                Ok(format!("{bundles:?} {volume:?} {}", image(world, "app:1")?))
            })
        },
    ];

/// Blobs and layers.
fn kept(world: &World) -> Vec<String> {
    let names = ["blobs/sha256", "layers", "partial"].map(|part| names(&world.dir.join("data/images").join(part)));
    names.concat().into_iter().filter(|name| name != "empty").collect()
}

fn image(world: &World, name: &str) -> Result<String, String> {
    let image = world.find(name).ok_or_else(|| format!("{name} is not there"))?;
    Ok(format!("{} {:?}", image.id.as_str(), trees(&image)))
}

fn built(world: &World) -> Result<String, String> {
    // Its identity has times in it.
    let image = world.find("built:1").ok_or("built:1 is not there")?;
    Ok(format!("{:?} {:?}", image.config.env, trees(&image)))
}

fn file(world: &World, name: &str) -> Result<String, String> {
    fs::read(world.project(name)).map(|bytes| digest(&bytes)).map_err(|error| format!("{name}: {error}"))
}

/// Small, of every compression, with every kind of file.
fn app() -> Made {
    let text = noise(1 << 20);
    let layers = vec![
        // Large enough to be taken up where it broke.
        layer(&[("large", &text)], Packing::Plain),
        layer(&[("etc/conf", "y"), ("big", &text[..150_000]), ("small", "x")], Packing::Gzip),
        odd_layer(),
        layer(&[("last", "z"), ("more", &text[..50_000])], Packing::Zstd),
    ];
    Made::for_platform(host_architecture(), layers, json!({"Cmd": ["/bin/app"]}))
}

/// Links, a pipe, a whiteout, an attribute, owners.
fn odd_layer() -> Layer {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let mut add = |kind: tar::EntryType, name: &str, text: &str, link: Option<&str>| {
        header.set_entry_type(kind);
        header.set_mode(0o750);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000);
        header.set_size(text.len() as u64);
        match link {
            Some(link) => builder.append_link(&mut header, name, link).unwrap(),
            None => builder.append_data(&mut header, name, text.as_bytes()).unwrap(),
        }
    };
    add(tar::EntryType::Directory, "d/", "", None);
    add(tar::EntryType::Regular, "d/file", "text", None);
    add(tar::EntryType::Link, "d/hard", "", Some("d/file"));
    add(tar::EntryType::Symlink, "d/soft", "", Some("file"));
    add(tar::EntryType::Fifo, "d/pipe", "", None);
    add(tar::EntryType::Regular, "etc/.wh.conf", "", None);
    add(tar::EntryType::Regular, "d/.wh..wh..opq", "", None);
    let tar = builder.into_inner().unwrap();
    Layer { blob: tar.clone(), tar, media_type: "application/vnd.oci.image.layer.v1.tar" }
}

/// An honest registry that answers ranges.
fn registry() -> Server {
    let made = app();
    Server::start(move |request: &Request| {
        let response = honest(&made, request);
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        match range.and_then(|from| from.parse::<usize>().ok()) {
            Some(from) if made.layers.iter().any(|layer| request.path == blob_path(&layer.blob)) => {
                if from >= response.body.len() {
                    return Response::new(416, "");
                }
                let length = response.body.len();
                Response::new(206, response.body[from..].to_vec())
                    .with("Content-Range", &format!("bytes {from}-{}/{length}", length - 1))
            }
            _ => response,
        }
    })
}

fn with_registry(world: &mut World) {
    world.server = Some(registry());
}

/// What a pull leaves that is killed on its way.
fn with_partials(world: &mut World) {
    world.server = Some(registry());
    let partial = world.dir.join("data/images/partial");
    fs::create_dir_all(&partial).unwrap();
    let large = app().layers.remove(0).blob;
    fs::write(partial.join(digest(&large).trim_start_matches("sha256:")), &large[..large.len() / 2]).unwrap();
}

fn with_archive(world: &mut World) {
    let made = app();
    fs::write(world.project("app.tar"), Made::docker_archive(&[(&made, &["app:1", "app:2"])])).unwrap();
}

fn loaded(world: &mut World) {
    let keep = Made::for_platform(host_architecture(), vec![layer(&[("kept", "k")], Packing::Gzip)], json!({}));
    let archive = Made::docker_archive(&[(&app(), &["app:1"]), (&keep, &["keep:1"])]);
    fs::write(world.project("app.tar"), archive).unwrap();
    world.ok(&["load", "-q", "-i", "app.tar"]);
}

fn with_rubbish(world: &mut World) {
    loaded(world);
    fs::create_dir_all(world.dir.join("data/images/partial")).unwrap();
    fs::write(world.dir.join("data/images/partial").join("a".repeat(64)), "half").unwrap();
}

fn to_push(world: &mut World) {
    world.server = Some(Server::start(|request| match (request.method.as_str(), request.path.as_str()) {
        (_, "/v2/") => Response::ok("{}"),
        ("HEAD", _) => Response::new(404, ""),
        ("POST", _) => Response::new(202, "").with("Location", "/v2/app/blobs/uploads/1"),
        ("PUT", _) => Response::new(201, ""),
        _ => Response::new(405, ""),
    }));
    // Text alone: the server keeps what it gets as one.
    let layers = vec![layer(&[("one", &noise(100_000))], Packing::Plain), layer(&[("two", "2")], Packing::Plain)];
    let made = Made::for_platform(host_architecture(), layers, json!({"Cmd": ["x"]}));
    let name = world.remote("app:1");
    fs::write(world.project("app.tar"), Made::docker_archive(&[(&made, &[&name])])).unwrap();
    world.ok(&["load", "-q", "-i", "app.tar"]);
}

/// The last manifest that arrived, and that what came for each digest has it.
fn pushed(world: &World) -> Result<String, String> {
    let requests = world.server.as_ref().unwrap().requests();
    let puts: Vec<&Request> = requests.iter().filter(|request| request.method == "PUT").collect();
    let manifest = puts.last().filter(|request| request.path.contains("/manifests/")).ok_or("no manifest came last")?;
    for put in puts.iter().filter(|request| request.path.contains("/uploads/")) {
        let named = put.query.replace("%3A", ":").replace("digest=", "");
        if named != digest(put.body.as_bytes()) {
            return Err(format!("what came for {named} is {}", digest(put.body.as_bytes())));
        }
    }
    Ok(digest(manifest.body.as_bytes()))
}

fn to_lock(world: &mut World) {
    world.server = Some(registry());
    fs::write(
        world.project("compose.yaml"),
        format!("name: app\nservices: {{x: {{image: '{}'}}}}\n", world.remote("app:1")),
    )
    .unwrap();
}

const DOCKERFILE: &str = "
FROM base:1 AS one
COPY a sub /src/
RUN --network=none cat /src/a /src/b > /all; mkdir /d; ln /all /d/hard; ln -s hard /d/soft
FROM base:1 AS two
RUN --mount=type=cache,target=/kept echo two | tee /kept/two > /two
FROM base:1
COPY --from=one /all /d /out/
COPY --from=two --chown=7:8 /two /two
RUN --network=none rm /etc/passwd; echo end > /end
";

fn to_build(world: &mut World) {
    let root = world.dir.join("root");
    for name in ["bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let busybox = ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|path| fs::exists(path).unwrap());
    fs::copy(busybox.expect("busybox-static"), root.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "mkdir", "ln", "tee", "rm"] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", &root).unwrap();
    let tar = builder.into_inner().unwrap();
    let layer = Layer { blob: tar.clone(), tar, media_type: "application/vnd.oci.image.layer.v1.tar" };
    let made = Made::for_platform(host_architecture(), vec![layer], json!({"Env": ["PATH=/bin"]}));
    fs::write(world.dir.join("base.tar"), Made::docker_archive(&[(&made, &["base:1"])])).unwrap();
    world.ok(&["load", "-q", "-i", "../base.tar"]);
    fs::create_dir_all(world.project("src/sub/deep")).unwrap();
    fs::write(world.project("src/a"), noise(70_000)).unwrap();
    fs::write(world.project("src/sub/b"), "b\n").unwrap();
    fs::write(world.project("src/Dockerfile"), DOCKERFILE).unwrap();
    fs::write(world.project("compose.yaml"), "name: app\nservices: {x: {image: 'built:1', build: src}}\n").unwrap();
}

fn built_once(world: &mut World) {
    to_build(world);
    world.ok(&["build"]);
}

fn to_bundle(world: &mut World) {
    loaded(world);
    fs::create_dir_all(world.project("conf")).unwrap();
    fs::write(world.project("conf/a.txt"), "a file of the project").unwrap();
    let text = "name: app\nservices:\n  x: {image: 'app:1', volumes: ['data:/data', './conf:/conf:ro']}\n\
                volumes: {data: {}}\n";
    fs::write(world.project("compose.yaml"), text).unwrap();
    let data = world.layout.volume_data("app_data");
    let volumes = muster::volume::Volumes::new(&world.layout);
    let spec = muster::volume::VolumeSpec {
        name: "app_data".into(),
        project: "app".into(),
        anonymous: false,
        labels: Default::default(),
    };
    assert!(volumes.seed(&spec, "2026-11-22T10:00:00Z").unwrap().unwrap().adopt().unwrap());
    fs::write(data.join("kept"), noise(40_000)).unwrap();
}

/// The bundle, on a host that has nothing.
fn bundled(world: &mut World) {
    to_bundle(world);
    world.ok(&["bundle", "create", "--volumes", "app.bundle"]);
    for part in ["data", "run", "project/conf", "project/compose.yaml", "project/app.tar"] {
        let path = world.dir.join(part);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
}
