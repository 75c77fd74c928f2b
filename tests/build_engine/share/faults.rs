//! Caches that are damaged, hostile, of somebody else's making or not to be written, and builds that are killed or meet at
//! one: the build goes on where it can, and the directory stays whole.

use super::{destination, directory, first, other, records, registry, staged, warnings};
use crate::{
    Test,
    image_support::{self, Layer, debian::Registry, write_layout},
    world::{Plans, World, told},
};
use muster::{
    build::op::{CopySource, Plan, Source},
    image::Digest,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitCode},
    time::Instant,
};

pub const TESTS: &[Test] = &[
    ("what_is_missing_or_damaged_is_made_anew_and_healed", what_is_missing_or_damaged_is_made_anew_and_healed),
    ("a_hostile_cache_gets_nothing_out_of_its_layer", a_hostile_cache_gets_nothing_out_of_its_layer),
    ("a_hostile_cache_has_no_say_in_other_builds", a_hostile_cache_has_no_say_in_other_builds),
    ("what_the_second_cache_knows_by_content_stands_in", what_the_second_cache_knows_by_content_stands_in),
    ("a_cache_that_is_no_use_is_told_and_the_build_goes_on", a_cache_that_is_no_use_is_told_and_the_build_goes_on),
    ("a_cache_that_cannot_be_written_is_an_error_unless_ignored", a_cache_that_cannot_be_written),
    ("killed_while_it_exports_the_directory_stays_whole", killed_while_it_exports_the_directory_stays_whole),
    ("killed_while_it_imports_the_next_build_finishes", killed_while_it_imports_the_next_build_finishes),
    ("two_builds_export_into_one_directory", two_builds_export_into_one_directory),
];

fn what_is_missing_or_damaged_is_made_anew_and_healed() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let place = directory(top.path(), "latest");
    world.options.share.to = vec![destination(&place, true)];
    world.build(staged());
    let blob = |number: usize| {
        let layer = records(top.path())[number]["layer"]["blob"].as_str().unwrap().to_owned();
        top.path().join("blobs/sha256").join(&layer[7..])
    };
    // One of the image is gone, another is not what it was.
    fs::remove_file(blob(4)).unwrap();
    let mut bytes = fs::read(blob(5)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(blob(5), &bytes).unwrap();
    let mut second = other(&world);
    second.options.share.from = vec![place.clone()];
    second.options.share.to = vec![destination(&place, true)];
    let image = second.build(staged());
    let told = warnings(&second);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|text| text.contains("COPY /app/") && text.contains("No such file")), "{told:?}");
    assert!(told.iter().any(|text| text.contains("RUN head") && text.contains("has digest")), "{told:?}");
    // The copy needed the whole stage to be brought, and nothing of it to be made.
    assert_eq!(second.counts().0, 2);
    assert_eq!(second.build(staged()).id, image.id);
    // What was made here in the place of what was not to be had has its own name, and is found by it.
    let from = std::mem::take(&mut second.options.share.from);
    assert_eq!((second.build(staged()).id, second.counts().0), (image.id.clone(), 0));
    second.options.share.from = from;
    second.assert_clean();
    let mut third = other(&world);
    third.options.share.from = vec![place];
    assert_eq!(third.build(staged()).id, image.id);
    assert_eq!((third.counts().0, warnings(&third)), (0, vec![]));
}

fn what_the_second_cache_knows_by_content_stands_in() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let plan = |script: &str, anew: bool| {
        let mut plans = Plans::new();
        let base = plans.base();
        let made = plans.run(base, script);
        let from = CopySource::Path { from: Source::Step(made), path: "/same".into() };
        let copied = plans.copy_with(Some(base), &[], "/", |copy| copy.sources = vec![from]);
        if anew {
            plans.no_cache(copied);
        }
        plans.plan(copied)
    };
    let (one, two) = (directory(&top.path().join("one"), "latest"), directory(&top.path().join("two"), "latest"));
    // Made anew it has a name of its own there, and not that of its content.
    world.options.share.to = vec![destination(&one, true)];
    world.build(plan("echo same > /same; echo more > /more", true));
    let mut second = other(&world);
    second.options.share.to = vec![destination(&two, true)];
    let image = second.build(plan("echo same > /same; echo more > /more; true", false));
    let copied = records(&top.path().join("one"))[1].clone();
    assert_ne!(copied["id"], records(&top.path().join("two"))[1]["id"]);
    let blob = copied["layer"]["blob"].as_str().unwrap()[7..].to_owned();
    fs::write(top.path().join("one/blobs/sha256").join(blob), "damaged").unwrap();
    let mut third = other(&world);
    third.options.share.from = vec![one, two];
    let again = third.build(plan("echo same > /same; echo more > /more", false));
    assert_eq!((third.counts().0, warnings(&third).len()), (0, 1), "{:?}", warnings(&third));
    assert_eq!(super::files(&again), super::files(&image));
    third.assert_clean();
}

/// A layout under `latest` with one layer for every record of the first.
fn forged(dir: &Path, from: &[Value], layer: &Layer, change: impl Fn(&mut Value)) {
    let diff_id = Digest::of(&layer.tar).to_string();
    let mut records = from.to_vec();
    for record in &mut records {
        record["layer"] = json!({"diff_id": diff_id, "blob": image_support::digest(&layer.blob)});
        change(record);
    }
    let config = json!({ "records": records }).to_string().into_bytes();
    let kind = "application/vnd.muster.build.cache.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": image_support::OCI_MANIFEST,
        "config": image_support::descriptor(kind, &config),
        "layers": [image_support::descriptor(layer.media_type, &layer.blob)]})
    .to_string()
    .into_bytes();
    let mut entry = image_support::descriptor(image_support::OCI_MANIFEST, &manifest);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    write_layout(dir, &image_support::index(&[entry]), &[&config, &manifest, &layer.blob]);
}

fn tarred(entries: &[(&str, tar::EntryType, &str)], gzip: bool) -> Layer {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, target) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let text = if *kind == tar::EntryType::Regular { "hostile" } else { "" };
        header.set_size(text.len() as u64);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let blob = if gzip { image_support::gzip(&tar) } else { tar.clone() };
    Layer { tar, blob, media_type: "application/vnd.oci.image.layer.v1.tar+gzip" }
}

fn a_hostile_cache_gets_nothing_out_of_its_layer() {
    use tar::EntryType::{Regular, Symlink};
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let honest = top.path().join("honest");
    world.options.share.to = vec![destination(&directory(&honest, "latest"), true)];
    world.build(staged());
    let honest = records(&honest);
    let outside = top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let link = outside.display().to_string();
    let through = [("way", Symlink, link.as_str()), ("way/file", Regular, "")];
    let up = [("../../../../escaped", Regular, "")];
    let plain = [("fine", Regular, "")];
    type Change<'a> = &'a dyn Fn(&mut Value);
    let same: Change<'_> = &|_| {};
    let other_id: Change<'_> = &|record| record["layer"]["diff_id"] = json!(Digest::of(b"other").to_string());
    let no_time: Change<'_> = &|record| record["created"] = json!("\u{1b}[2J");
    let no_blob: Change<'_> = &|record| record["layer"]["blob"] = json!(Digest::of(b"not in the manifest").to_string());
    for (name, layer, change, why) in [
        ("up", tarred(&up, true), same, "leads out of the layer"),
        ("plain", tarred(&plain, false), same, "not compressed with gzip"),
        ("other", tarred(&plain, true), other_id, "unpacked it has digest"),
        ("time", tarred(&plain, true), no_time, ""),
        ("blob", tarred(&plain, true), no_blob, ""),
    ] {
        let dir = top.path().join(name);
        forged(&dir, &honest, &layer, change);
        let mut second = other(&world);
        second.options.share.from = vec![directory(&dir, "latest")];
        second.build(staged());
        let told = warnings(&second);
        assert_eq!(told.iter().any(|text| text.contains(why)), !why.is_empty(), "{name}: {told:?}");
        assert_eq!(second.counts().0, 7, "{name}");
        second.assert_clean();
    }
    // A link may point anywhere; what is written through it stays within.
    let dir = top.path().join("through");
    forged(&dir, &honest, &tarred(&through, true), same);
    let mut second = other(&world);
    second.options.share.from = vec![directory(&dir, "latest")];
    second.build(staged());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!top.path().join("escaped").exists() && !world.dir.join("escaped").exists());
    second.assert_clean();
    // Documents that are none.
    fs::write(dir.join("index.json"), "{").unwrap();
    second = other(&world);
    second.options.share.from = vec![directory(&dir, "latest")];
    second.build(staged());
    assert!(warnings(&second)[0].contains("not the index of an OCI image layout"), "{:?}", warnings(&second));
}

/// It knows another project's Dockerfile, and gives its own files the names of that one's.
fn a_hostile_cache_has_no_say_in_other_builds() {
    let (world, top) = (first(), tempfile::tempdir().unwrap());
    let plan = |source: &str, destination: &str| {
        let mut plans = Plans::new();
        let base = plans.base();
        let copied = plans.copy(Some(base), &[source], destination);
        let seen = plans.run(copied, "cat /app/lock > /seen || true");
        plans.plan(seen)
    };
    let (victim, bait) = (plan("lock", "/app/"), plan("conf", "/conf"));
    let honest = |name: &str, plan: &Plan| {
        let mut world = other(&world);
        world.options.share.to = vec![destination(&directory(&top.path().join(name), "latest"), true)];
        world.build(plan.clone());
        records(&top.path().join(name))
    };
    let (theirs, own) = (honest("victim", &victim), honest("bait", &bait));
    let layer = tarred(&[("app/lock", tar::EntryType::Regular, "")], true);
    let dir = top.path().join("forged");
    forged(&dir, &own[..1], &layer, |record| record["id"] = theirs[0]["key"].clone());
    let mut second = other(&world);
    second.options.share.from = vec![directory(&dir, "latest")];
    let image = second.build(bait.clone());
    assert_eq!((second.counts(), warnings(&second)), ((1, 2), vec![]));
    assert_eq!(fs::read_to_string(image.layers[0].join("seen")).unwrap(), "hostile");
    // Again it is all there, also without asking.
    assert_eq!(second.build(bait.clone()).id, image.id);
    assert_eq!(second.counts().0, 0);
    second.options.share.from.clear();
    let passed_on = top.path().join("passed on");
    second.options.share.to = vec![destination(&directory(&passed_on, "latest"), true)];
    assert_eq!(second.build(bait).id, image.id);
    assert_eq!(second.counts().0, 0);
    let is_theirs =
        |record: &Value| theirs.iter().any(|other| [&record["key"], &record["id"]].contains(&&other["key"]));
    assert!(!records(&passed_on).iter().any(is_theirs));
    let image = second.build(victim);
    assert_eq!(second.counts().0, 2);
    assert_eq!(fs::read_to_string(image.layers[0].join("seen")).unwrap(), "1");
    assert_eq!(fs::read_to_string(image.layers[1].join("app/lock")).unwrap(), "1");
}

fn a_cache_that_is_no_use_is_told_and_the_build_goes_on() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let buildkit = top.path().join("buildkit");
    let config = b"{}";
    let mut entry = image_support::descriptor("application/vnd.buildkit.cacheconfig.v0", config);
    let inner = image_support::index(&[entry.clone()]);
    entry = image_support::descriptor(image_support::OCI_INDEX, &inner);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    write_layout(&buildkit, &image_support::index(&[entry]), &[config, &inner]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Registry::start(None);
    world.options.share.from = vec![
        directory(&top.path().join("missing"), "latest"),
        directory(&buildkit, "latest"),
        directory(&buildkit, "another"),
        directory(&world.dir.join("base-layout"), "1"),
        registry(&format!("{nobody}/cache:1")),
        registry(&format!("{}/cache:1", server.address)),
    ];
    world.build(staged());
    assert_eq!(world.counts().0, 7);
    let told = warnings(&world);
    let expected = [
        "there is none yet",
        "it was made by BuildKit (`application/vnd.buildkit.cacheconfig.v0`)",
        "there is none yet (it has nothing under the name `another`)",
        "the image carries no cache",
        "cannot reach",
        "there is none yet",
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for what in expected {
        assert!(told.iter().any(|text| text.contains(what)), "{what}: {told:?}");
    }
    world.assert_clean();
}

fn a_cache_that_cannot_be_written() {
    let (mut world, top) = (first(), tempfile::tempdir().unwrap());
    let file = top.path().join("file");
    fs::write(&file, "").unwrap();
    let mut to = destination(&directory(&file.join("cache"), "latest"), false);
    world.options.share.to = vec![to.clone()];
    let error = told(&world.try_build(staged()).unwrap_err());
    assert!(error.contains("the image is built, but its cache cannot be written") && error.contains("Not a directory"));
    // The image is there.
    assert!(world.store.find(&world.options.names[0]).unwrap().is_some());
    to.ignore_error = true;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut pushed = destination(&registry(&format!("{nobody}/cache:1")), false);
    pushed.ignore_error = true;
    world.options.share.to = vec![to, pushed];
    world.build(staged());
    assert_eq!(warnings(&world).len(), 2, "{:?}", warnings(&world));
    // A read-only file system, which only this child sees.
    let dir = world.dir.join("read-only");
    fs::create_dir(&dir).unwrap();
    let script = format!(
        "mount --bind -o ro {0} {0} && mount -o remount,bind,ro {0} && \"$1\" --share {1} latest read-only",
        dir.display(),
        world.dir.display()
    );
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-m".as_ref(), "sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), exe.as_os_str()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("Read-only file system"), "{told}");
    // A disk that is full: nothing has a name that is not whole, and the next one finds room.
    world.file("src/big", &image_support::noise(6 << 20));
    let small = world.dir.join("small");
    fs::create_dir(&small).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=2m none {0} && ! \"$1\" --share {1} latest small && ls {0} {0}/blobs/sha256 > {1}/left && \
         mount -o remount,size=32m {0} && \"$1\" --share {1} latest small && ls {0} {0}/blobs/sha256 | wc -l",
        small.display(),
        world.dir.display()
    );
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-m".as_ref(), "sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), exe.as_os_str()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("No space left on device"), "{told}");
    let left = fs::read_to_string(world.dir.join("left")).unwrap();
    assert!(!left.contains("index.json") && !left.contains(".muster-"), "{left}");
    world.assert_clean();
}

/// `--share DIR TAG PATH`: a build that exports into PATH below DIR; `--import DIR TAG PATH`: one that imports from it.
pub fn build_in(how: &str, dir: &str, tag: &str, path: &str) -> ExitCode {
    let mut world = World::at(Path::new(dir)).with_base();
    let place = directory(&world.dir.join(path), tag);
    match how {
        "--import" => world.options.share.from = vec![place],
        _ => world.options.share.to = vec![destination(&place, true)],
    }
    world.build_for_parent(staged())
}

fn start(world: &World, tag: &str) -> Child {
    child("--share", world, tag)
}

fn child(how: &str, world: &World, tag: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([how.as_ref(), world.dir.as_os_str(), tag.as_ref(), "cache".as_ref()])
        .spawn()
        .unwrap()
}

/// Every blob has its digest, and everything that the index leads to is there.
fn assert_whole(dir: &Path) {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let read = |digest: &Value| {
        let digest = digest.as_str().unwrap();
        let bytes = fs::read(dir.join("blobs/sha256").join(&digest[7..])).unwrap();
        assert_eq!(image_support::digest(&bytes), digest);
        bytes
    };
    for entry in index["manifests"].as_array().unwrap() {
        let manifest: Value = serde_json::from_slice(&read(&entry["digest"])).unwrap();
        read(&manifest["config"]["digest"]);
        manifest["layers"].as_array().unwrap().iter().for_each(|layer| drop(read(&layer["digest"])));
    }
    for entry in fs::read_dir(dir.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name.starts_with(".muster-") || image_support::digest(&fs::read(&path).unwrap())[7..] == name,
            "{name}"
        );
    }
}

fn killed_while_it_exports_the_directory_stays_whole() {
    let world = first();
    world.file("src/big", &image_support::noise(6 << 20));
    let cache = world.dir.join("cache");
    assert!(start(&world, "latest").wait().unwrap().success());
    assert_whole(&cache);
    // Everything is cached: what takes time now is the export.
    fs::remove_dir_all(&cache).unwrap();
    let begun = Instant::now();
    assert!(start(&world, "latest").wait().unwrap().success());
    let whole = begun.elapsed();
    for round in 0..16u32 {
        match round % 2 {
            // From nothing, and over what is there.
            0 => fs::remove_dir_all(&cache).unwrap(),
            _ => drop(fs::remove_file(cache.join("index.json"))),
        }
        let mut child = start(&world, "latest");
        std::thread::sleep(whole * round / 16);
        child.kill().unwrap();
        child.wait().unwrap();
        if cache.join("index.json").exists() {
            assert_whole(&cache);
        }
        assert!(start(&world, "latest").wait().unwrap().success());
        assert_whole(&cache);
        let left = fs::read_dir(cache.join("blobs/sha256")).unwrap().count();
        assert_eq!(left, 9, "round {round}: what was unfinished is gone");
        let mut second = other(&world);
        fs::copy(world.dir.join("context/src/big"), second.dir.join("context/src/big")).unwrap();
        second.options.share.from = vec![directory(&cache, "latest")];
        second.build(staged());
        assert_eq!((second.counts().0, warnings(&second)), (0, vec![]), "round {round}");
    }
}

fn killed_while_it_imports_the_next_build_finishes() {
    let mut world = first();
    world.file("src/big", &image_support::noise(6 << 20));
    let cache = world.dir.join("cache");
    world.options.share.to = vec![destination(&directory(&cache, "latest"), true)];
    let image = world.build(staged());
    let mut second = other(&world);
    fs::copy(world.dir.join("context/src/big"), second.dir.join("context/src/big")).unwrap();
    let copied = Command::new("cp").arg("-r").arg(&cache).arg(&second.dir).status().unwrap();
    assert!(copied.success());
    let begun = Instant::now();
    assert!(child("--import", &second, "latest").wait().unwrap().success());
    let whole = begun.elapsed();
    second.options.share.from = vec![directory(&second.dir.join("cache"), "latest")];
    for round in 0..12u32 {
        fs::remove_dir_all(second.dir.join("data/build")).unwrap();
        fs::remove_dir_all(second.dir.join("data/images")).unwrap();
        second.store = muster::image::Store::open(&second.layout).unwrap();
        second = second.with_base();
        let mut child = child("--import", &second, "latest");
        std::thread::sleep(whole * round / 12);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(second.build(staged()).id, image.id, "round {round}");
        assert_eq!((second.counts().0, warnings(&second)), (0, vec![]), "round {round}");
        second.assert_clean();
    }
}

fn two_builds_export_into_one_directory() {
    let world = first();
    let cache = world.dir.join("cache");
    for tags in [["a", "b", "c"], ["same", "same", "same"]] {
        let mut children: Vec<Child> = tags.iter().map(|tag| start(&world, tag)).collect();
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
        assert_whole(&cache);
        for tag in tags {
            let mut second = other(&world);
            second.options.share.from = vec![directory(&cache, tag)];
            second.build(staged());
            assert_eq!((second.counts().0, warnings(&second)), (0, vec![]), "{tag}");
        }
    }
    let index: Value = serde_json::from_slice(&fs::read(cache.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4);
}
