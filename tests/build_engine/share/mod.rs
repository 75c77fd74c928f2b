//! Results of steps on their way from one host to another: directories, registries, images that carry their own cache.
//!
//! `faults` has what goes wrong on the way. Steps write random numbers: where the same image comes out, nothing was carried out again.

pub mod faults;

use crate::{
    Test,
    image_support::debian::Registry,
    world::{Plans, World, inline, runtime},
};
use muster::{
    build::{
        engine::{BuildError, Destination, Event, Secret},
        op::{Base, CopySource, Mount, Op, Plan, Source},
    },
    image::{self, Credentials, Image, Reference, depot::Place, progress},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub const TESTS: &[Test] = &[
    ("a_directory_brings_every_step_to_another_host", a_directory_brings_every_step_to_another_host),
    ("min_has_the_images_layers_and_max_all", min_has_the_images_layers_and_max_all),
    ("two_places_both_get_what_the_first_has_to_sweep", two_places_both_get_what_the_first_has_to_sweep),
    ("a_step_whose_files_nobody_has_is_carried_out_when_they_are_needed", files_nobody_has),
    ("a_step_that_fails_then_is_the_one_that_is_told", a_step_that_fails_then_is_the_one_that_is_told),
    ("a_registry_brings_every_step_to_another_host", a_registry_brings_every_step_to_another_host),
    ("an_image_carries_its_own_cache", an_image_carries_its_own_cache),
    ("what_shall_not_be_cached_is_not_taken_from_elsewhere", what_shall_not_be_cached),
    ("what_stands_on_this_host_stays_here", what_stands_on_this_host_stays_here),
];

/// Two stages: base, COPY lock, RUN, COPY src, RUN; then base, COPY --from, RUN, COPY conf.
fn staged() -> Plan {
    let mut plans = Plans::new();
    let base = plans.base();
    let lock = plans.copy(Some(base), &["lock"], "/app/");
    let installed = plans.run(lock, "mkdir /deps; head -c 16 /dev/urandom | md5sum > /deps/id; rm /etc/group");
    let source = plans.copy(Some(installed), &["src"], "/app/src/");
    let built = plans.run(source, "cat /deps/id /app/src/* > /app/out; ln /app/out /app/again; chmod 750 /app");
    let from = CopySource::Path { from: Source::Step(built), path: "/app".into() };
    let copied = plans.copy_with(Some(base), &[], "/app/", |copy| copy.sources = vec![from]);
    let set = plans.run(copied, "head -c 16 /dev/urandom > /seed; mkdir -p /var/lib/x; rm -r /home");
    let linked = plans.copy_with(Some(set), &["conf"], "/etc/conf", |copy| copy.link = true);
    plans.plan(linked)
}

fn sources(world: &World) {
    world.file("lock", "1");
    world.file("src/a", "a");
    world.file("src/b", "b");
    world.file("conf", "c");
}

fn first() -> World {
    let world = World::new();
    sources(&world);
    world
}

/// Another host: nothing of the first but its base, and the same files with other inodes and times.
fn other(world: &World) -> World {
    let other = World::without_base();
    let copied = Command::new("cp").arg("-a").arg(world.dir.join("base-layout")).arg(&other.dir).status().unwrap();
    assert!(copied.success());
    sources(&other);
    other.with_base()
}

fn directory(dir: &Path, tag: &str) -> Place {
    Place::Directory { dir: dir.to_owned(), tag: tag.to_owned(), digest: None }
}

fn registry(name: &str) -> Place {
    let Reference::Registry(name) = Reference::parse(name).unwrap() else { panic!("{name}") };
    Place::Registry(name)
}

fn destination(place: &Place, every_step: bool) -> Destination {
    Destination { place: place.clone(), every_step, ignore_error: false, reset: false }
}

fn warnings(world: &World) -> Vec<String> {
    let events = world.events.lock().unwrap();
    events.iter().filter_map(|event| if let Event::Warning(text) = event { Some(text.clone()) } else { None }).collect()
}

/// Layers in the cache of builds.
fn layers(world: &World) -> usize {
    fs::read_dir(world.dir.join("data/build/layers")).map_or(0, Iterator::count)
}

/// All files of an image as they are seen, without times below a second.
fn files(image: &Image) -> Vec<Vec<String>> {
    image.layers.iter().map(|layer| crate::world::tree(layer)).collect()
}

fn records(dir: &Path) -> Vec<Value> {
    let read = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let blob = |digest: &Value| read(dir.join("blobs/sha256").join(&digest.as_str().unwrap()[7..]));
    let index = read(dir.join("index.json"));
    let manifest = blob(&index["manifests"][0]["digest"]);
    blob(&manifest["config"]["digest"])["records"].as_array().unwrap().clone()
}

fn a_directory_brings_every_step_to_another_host() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let place = directory(&top.path().join("new/cache"), "latest");
    world.options.share.to = vec![destination(&place, true)];
    let image = world.build(staged());
    assert_eq!(world.counts().0, 7);
    let mut second = other(&world);
    second.options.share.from = vec![place.clone()];
    let again = second.build(staged());
    assert_eq!((second.counts(), warnings(&second)), ((0, 8), vec![]));
    assert_eq!((&again.id, files(&again)), (&image.id, files(&image)));
    assert_eq!(second.output(), "");
    // The layers of the stage were needed by nobody.
    assert_eq!(layers(&second), 3);
    second.assert_clean();
    // Now they are here: nothing is asked of the directory but its documents.
    fs::remove_dir_all(top.path().join("new/cache/blobs/sha256")).unwrap();
    assert_eq!(second.build(staged()).id, image.id);
    assert_eq!(warnings(&second).len(), 1);
    // One file changed: what is before it comes from there, also the files of the stage.
    world.build(staged());
    let mut third = other(&world);
    third.file("src/a", "A");
    third.options.share.from = vec![place];
    let changed = third.build(staged());
    assert_eq!((third.counts(), warnings(&third)), ((4, 4), vec![]));
    let id = |image: &Image| fs::read_to_string(image.layers[2].join("app/out")).unwrap();
    assert_eq!(id(&changed).replace("Ab", "ab"), id(&image));
}

fn min_has_the_images_layers_and_max_all() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let (min, max) = (directory(&top.path().join("min"), "latest"), directory(&top.path().join("max"), "latest"));
    world.options.share.to = vec![destination(&min, false), destination(&max, true)];
    let image = world.build(staged());
    let with_layer = |name: &str| {
        let records = records(&top.path().join(name));
        (records.len(), records.iter().filter(|record| record.get("layer").is_some()).count())
    };
    assert_eq!((with_layer("min"), with_layer("max")), ((7, 3), (7, 7)));
    // Layers stand in the manifest, so that registries keep them.
    let blobs = |name: &str| fs::read_dir(top.path().join(name).join("blobs/sha256")).unwrap().count();
    assert_eq!((blobs("min"), blobs("max")), (5, 9));
    let mut second = other(&world);
    second.options.share.from = vec![min.clone()];
    // What comes from elsewhere goes on: no layer was here, and none is needed.
    second.options.share.to = vec![destination(&directory(&top.path().join("third"), "latest"), true)];
    assert_eq!(second.build(staged()).id, image.id);
    assert_eq!(second.counts().0, 0);
    assert_eq!(with_layer("third"), (7, 3));
    let mut third = other(&world);
    third.options.share.from = vec![max];
    third.options.share.to = vec![destination(&directory(&top.path().join("fourth"), "latest"), true)];
    assert_eq!(third.build(staged()).id, image.id);
    assert_eq!((with_layer("fourth"), layers(&third)), ((7, 7), 3));
}

fn two_places_both_get_what_the_first_has_to_sweep() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let (cache, more) = (directory(&top.path().join("cache"), "latest"), directory(&top.path().join("more"), "latest"));
    world.options.share.to = vec![destination(&cache, true)];
    world.build(staged());
    let mut second = other(&world);
    second.options.share.from = vec![cache.clone()];
    second.options.share.to = vec![destination(&cache, false), destination(&more, true)];
    second.build(staged());
    assert_eq!((second.counts().0, warnings(&second)), (0, vec![]));
    let with_layer = |name: &str| {
        let records = records(&top.path().join(name));
        records.iter().filter(|record| record.get("layer").is_some()).count()
    };
    assert_eq!((with_layer("cache"), with_layer("more")), (3, 7));
    let blobs = |name: &str| fs::read_dir(top.path().join(name).join("blobs/sha256")).unwrap().count();
    assert_eq!((blobs("cache"), blobs("more")), (5, 9));
}

fn files_nobody_has() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let place = directory(top.path(), "latest");
    world.options.share.to = vec![destination(&place, false)];
    let image = world.build(staged());
    // The last step alone: the stage stays what it is, a name.
    let mut second = other(&world);
    second.file("conf", "C");
    second.options.share.from = vec![place.clone()];
    let changed = second.build(staged());
    assert_eq!(second.counts(), (1, 7));
    assert_eq!(changed.layers.len(), image.layers.len());
    assert_eq!(layers(&second), 3);
    // In the stage: what the changed step stands on has to be made.
    let mut third = other(&world);
    third.file("src/a", "A");
    third.options.share.from = vec![place];
    third.build(staged());
    assert_eq!((third.counts().0, warnings(&third)), (6, vec![]));
    third.build(staged());
    assert_eq!(third.counts().0, 0);
    third.assert_clean();
}

/// A stage with a step that wants a secret, which no key knows the words of.
fn hushed() -> Plan {
    let mut plans = Plans::new();
    let base = plans.base();
    let secret = Mount::Secret {
        id: "word".into(),
        target: Some("/word".into()),
        env: None,
        required: true,
        mode: 0o400,
        uid: 0,
        gid: 0,
    };
    let hushed = plans.run_with(base, "cat /word > /said", |run| run.mounts = vec![secret]);
    let source = plans.copy(Some(hushed), &["src"], "/src/");
    let built = plans.run(source, "cat /said /src/a > /out");
    let from = CopySource::Path { from: Source::Step(built), path: "/out".into() };
    let copied = plans.copy_with(Some(base), &[], "/", |copy| copy.sources = vec![from]);
    plans.plan(copied)
}

fn a_step_that_fails_then_is_the_one_that_is_told() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let place = directory(top.path(), "latest");
    world.inputs.secrets.insert("word".into(), Secret::Bytes(b"hush".to_vec()));
    world.options.share.to = vec![destination(&place, false)];
    world.build(hushed());
    let mut second = other(&world);
    second.options.share.from = vec![place];
    // As long as its files are needed by nobody, nobody needs the secret.
    second.build(hushed());
    assert_eq!(second.counts().0, 0);
    second.file("src/a", "A");
    match second.try_build(hushed()) {
        Err(BuildError::Step { title, line: 2, .. }) => assert_eq!(title, "RUN cat /word > /said"),
        other => panic!("{other:?}"),
    }
    second.inputs.secrets = world.inputs.secrets.clone();
    second.build(hushed());
    second.assert_clean();
}

fn a_registry_brings_every_step_to_another_host() {
    let (mut world, server) = (first(), Registry::start(None));
    let place = registry(&format!("{}/team/cache:web", server.address));
    world.options.share.to = vec![destination(&place, true)];
    let image = world.build(staged());
    let mut second = other(&world);
    second.options.share.from = vec![place.clone()];
    let again = second.build(staged());
    assert_eq!((second.counts(), warnings(&second)), ((0, 8), vec![]));
    assert_eq!((&again.id, files(&again)), (&image.id, files(&image)));
    // Once more, to the same name, from what is here: nothing has to be packed or sent.
    second.options.share.to = vec![destination(&place, true)];
    second.build(staged());
    let mut third = other(&world);
    third.file("src/b", "B");
    third.options.share.from = vec![place];
    third.build(staged());
    assert_eq!((third.counts(), warnings(&third)), ((4, 4), vec![]));
    third.assert_clean();
}

fn an_image_carries_its_own_cache() {
    let (mut world, server) = (first(), Registry::start(None));
    let name = format!("{}/team/app:1", server.address);
    world.options.names = vec![Reference::parse(&name).unwrap()];
    world.options.share.inline = true;
    let image = world.build(staged());
    assert_eq!(world.build(staged()).id, image.id, "cached as a whole it is the same");
    let push = |world: &World| {
        let reference = Reference::parse(&name).unwrap();
        runtime().block_on(image::push(&world.store, &reference, &Credentials::none(), progress::silent())).unwrap()
    };
    let pushed = push(&world);
    let mut second = other(&world);
    second.options.names = world.options.names.clone();
    second.options.share.from = vec![registry(&name)];
    second.options.share.inline = true;
    let again = second.build(staged());
    assert_eq!((second.counts(), warnings(&second)), ((0, 8), vec![]));
    assert_eq!(again.id, image.id);
    assert_eq!(push(&second).digest, pushed.digest);
    // Without records of its own it is an image like any other.
    second.options.share.inline = false;
    assert_ne!(second.build(staged()).id, image.id);
    push(&second);
    let mut third = other(&world);
    third.options.share.from = vec![registry(&name)];
    third.build(staged());
    assert_eq!(third.counts().0, 7);
    assert!(warnings(&third)[0].contains("the image carries no cache"), "{:?}", warnings(&third));
}

fn what_shall_not_be_cached() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let place = directory(top.path(), "latest");
    let plan = |anew: bool| {
        let mut plans = Plans::new();
        let base = plans.base();
        let one = plans.run(base, "head -c 16 /dev/urandom > /one");
        let two = plans.run(one, "head -c 16 /dev/urandom > /two");
        if anew {
            plans.no_cache(two);
        }
        plans.plan(two)
    };
    world.options.share.to = vec![destination(&place, true)];
    let first = world.build(plan(true));
    let mut second = other(&world);
    second.options.share.from = vec![place.clone()];
    second.build(plan(true));
    assert_eq!(second.counts(), (1, 2));
    // What was made anew is of use to who does not ask for that.
    let mut third = other(&world);
    third.options.share.from = vec![place];
    assert_eq!(third.build(plan(false)).id, first.id);
    assert_eq!(third.counts().0, 0);
}

fn what_stands_on_this_host_stays_here() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let root = world.dir.join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/name"), "host").unwrap();
    let reference = Reference::Rootfs(root);
    let image = world.store.find(&reference).unwrap().unwrap();
    world.inputs.images.insert("host".into(), image);
    let mut plans = Plans::new();
    let host = plans.step(Op::Base(Base { image: "host".into(), platform: "linux/amd64".into() }));
    let on_host = plans.copy(Some(host), &["conf"], "/etc/");
    let made = plans.mkdir(Some(on_host), "/made", "");
    let base = plans.base();
    let from = |step, path: &str| CopySource::Path { from: Source::Step(step), path: path.into() };
    let copied = plans.copy_with(Some(base), &[], "/", |copy| copy.sources = vec![from(host, "/etc/name")]);
    let behind = plans.copy_with(Some(copied), &[], "/", |copy| {
        copy.sources = vec![from(made, "/etc/conf"), inline("note", "text")];
    });
    let last = plans.run(behind, "cat /name /conf > /all");
    let plan = plans.plan(last);
    world.options.share.to = vec![destination(&directory(top.path(), "latest"), true)];
    world.build(plan.clone());
    // The copies are known by what they copy, and so is the step upon them.
    assert_eq!(records(top.path()).len(), 3);
    let keys: Vec<Value> = records(top.path()).iter().map(|record| record["key"].clone()).collect();
    world.build(plan);
    let again: Vec<Value> = records(top.path()).iter().map(|record| record["key"].clone()).collect();
    assert_eq!(keys, again);
    let documents = fs::read_dir(top.path().join("blobs/sha256")).unwrap().filter_map(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes.starts_with(b"{").then(|| String::from_utf8(bytes).unwrap())
    });
    let documents: Vec<String> = documents.collect();
    assert_eq!(documents.len(), 2);
    assert!(documents.iter().all(|text| !text.contains('/') || !text.contains(&*world.dir.to_string_lossy())));
}
