//! What is carried out again and what is not; what stays, and what the garbage collection takes.

use crate::{
    Test,
    world::{Plans, World, tree},
};
use muster::{
    build::{
        engine::{Prune, prune},
        op::{CopySource, Plan, Source},
    },
    image::{Image, Reference},
    model::{ImageId, PullPolicy},
};
use std::{fs, path::Path, process::Command, time::Duration};

pub const TESTS: &[Test] = &[
    ("a_build_that_is_cached_as_a_whole_gives_the_same_image", a_build_that_is_cached_as_a_whole_gives_the_same_image),
    ("content_counts_and_times_do_not", content_counts_and_times_do_not),
    ("a_stage_that_gives_the_same_files_ends_the_rebuilding", a_stage_that_gives_the_same_files_ends_the_rebuilding),
    (
        "what_shall_not_be_cached_is_carried_out_with_all_that_follows",
        what_shall_not_be_cached_is_carried_out_with_all_that_follows,
    ),
    ("an_image_that_was_removed_comes_back_from_the_cache", an_image_that_was_removed_comes_back_from_the_cache),
    ("pruning_leaves_images_whole", pruning_leaves_images_whole),
    ("with_an_epoch_two_hosts_build_the_same_image", with_an_epoch_two_hosts_build_the_same_image),
    (
        "a_copy_is_reused_on_another_root_that_looks_the_same_to_it",
        a_copy_is_reused_on_another_root_that_looks_the_same_to_it,
    ),
    ("a_copy_is_made_anew_where_its_root_looks_another_way", a_copy_is_made_anew_where_its_root_looks_another_way),
    ("stages_side_by_side_copy_the_same_once", stages_side_by_side_copy_the_same_once),
    ("another_store_takes_the_image_in", another_store_takes_the_image_in),
    ("a_step_of_two_builds_runs_once", a_step_of_two_builds_runs_once),
    ("skopeo_reads_the_image", skopeo_reads_the_image),
    ("records_of_another_boot_count_once_they_are_on_disk", records_of_another_boot_count_once_they_are_on_disk),
];

/// base, COPY dep, RUN, COPY src, RUN
fn usual() -> Plan {
    let mut plans = Plans::new();
    let base = plans.base();
    let dependencies = plans.copy(Some(base), &["deps"], "/app/");
    let installed = plans.run(dependencies, "echo install >> /log; cat /app/deps >> /log");
    let source = plans.copy(Some(installed), &["src"], "/app/src/");
    let built = plans.run(source, "cat /app/src/* > /app/out; date +%N > /app/when");
    plans.plan(built)
}

fn with_sources() -> World {
    let world = World::new();
    world.file("deps", "dep 1");
    world.file("src/a", "a");
    world.file("src/b", "b");
    world
}

fn a_build_that_is_cached_as_a_whole_gives_the_same_image() {
    let world = with_sources();
    let first = world.build(usual());
    assert_eq!(world.counts(), (4, 1));
    let files = listing(&world.dir.join("data"));
    let second = world.build(usual());
    assert_eq!(world.counts(), (0, 5));
    assert_eq!(first, second);
    // Not a file came or went but what is remembered of the context.
    let after: Vec<String> = listing(&world.dir.join("data"));
    let changed: Vec<&String> = after.iter().filter(|line| !files.contains(line)).collect();
    assert!(changed.iter().all(|line| line.contains("/contexts/")), "{changed:?}");
    world.assert_clean();
}

/// Paths and inodes.
fn listing(dir: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            lines.push(format!("{} {}", path.display(), meta.ino()));
            if meta.is_dir() {
                left.push(path);
            }
        }
    }
    lines.sort();
    lines
}

fn content_counts_and_times_do_not() {
    let world = with_sources();
    world.build(usual());
    world.file("src/a", "a");
    world.build(usual());
    assert_eq!(world.counts(), (0, 5));
    world.file("src/a", "A");
    let image = world.build(usual());
    assert_eq!(world.counts(), (2, 3));
    assert!(tree(&image.layers[0])[1].ends_with("= Ab"), "{:?}", tree(&image.layers[0]));
    world.file("src/a", "a");
    world.build(usual());
    assert_eq!(world.counts(), (0, 5));
    fs::remove_file(world.dir.join("context/src/b")).unwrap();
    world.build(usual());
    assert_eq!(world.counts(), (2, 3));
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(world.dir.join("context/src/a"), fs::Permissions::from_mode(0o755)).unwrap();
    world.build(usual());
    assert_eq!(world.counts(), (2, 3));
}

fn a_stage_that_gives_the_same_files_ends_the_rebuilding() {
    let world = World::new();
    let plan = |comment: &str| {
        let mut plans = Plans::new();
        let base = plans.base();
        let stage = plans.run(base, &format!("echo result > /out; : {comment}"));
        let from = CopySource::Path { from: Source::Step(stage), path: "/out".into() };
        let copy = plans.copy_with(Some(base), &[], "/", |copy| copy.sources = vec![from]);
        let last = plans.run(copy, "cp /out /copied");
        plans.plan(last)
    };
    let first = world.build(plan("one"));
    let second = world.build(plan("two"));
    assert_eq!(world.counts(), (1, 3));
    assert_eq!(first.id, second.id);
    world.build(plan("two"));
    assert_eq!(world.counts(), (0, 4));
}

fn what_shall_not_be_cached_is_carried_out_with_all_that_follows() {
    let world = with_sources();
    world.build(usual());
    let mut plan = usual();
    plan.steps[2].no_cache = true;
    world.build(plan);
    assert_eq!(world.counts(), (3, 2));
    // What it gave is what counts from now on.
    world.build(usual());
    assert_eq!(world.counts(), (0, 5));
}

fn nobody(_: &ImageId) -> Option<String> {
    None
}

fn an_image_that_was_removed_comes_back_from_the_cache() {
    let world = with_sources();
    let image = world.build(usual());
    let name = Reference::parse("built:1").unwrap();
    world.store.remove(&name, false, &nobody).unwrap();
    assert!(world.store.find(&name).unwrap().is_none());
    let again = world.build(usual());
    assert_eq!(world.counts(), (0, 5));
    assert_eq!(image, again);
    world.assert_clean();
}

fn pruning_leaves_images_whole() {
    let world = with_sources();
    let image = world.build(usual());
    let before = tree(&image.layers[0]);
    let recent = Prune { unused_for: Some(Duration::from_secs(3600)), ..Prune::default() };
    assert_eq!(prune(&world.store, &world.layout, recent).unwrap().unwrap().records, 0);
    let pruned = prune(&world.store, &world.layout, Prune { mounts: true, ..Prune::default() }).unwrap().unwrap();
    // A copy has one more, by what it sees of its root.
    assert_eq!((pruned.records, pruned.layers), (6, 0));
    assert_eq!(tree(&image.layers[0]), before);
    world.store.remove(&Reference::parse("built:1").unwrap(), false, &nobody).unwrap();
    let pruned = prune(&world.store, &world.layout, Prune::default()).unwrap().unwrap();
    assert_eq!((pruned.records, pruned.layers), (0, 4));
    assert_eq!(fs::read_dir(world.dir.join("data/build/layers")).unwrap().count(), 0);
    world.build(usual());
    assert_eq!(world.counts(), (4, 1));
    world.assert_clean();
}

/// base, RUN `before`, COPY src to `destination`, RUN
fn copied_behind(before: &str, destination: &str) -> Plan {
    let mut plans = Plans::new();
    let base = plans.base();
    let prepared = plans.run(base, before);
    let copied = plans.copy(Some(prepared), &["src"], destination);
    let read = plans.run(copied, "cat /app/src/[ab] > /read");
    plans.plan(read)
}

fn a_copy_is_reused_on_another_root_that_looks_the_same_to_it() {
    let (world, fresh) = (with_sources(), with_sources());
    // The directory above is the same to the last tick of its clock, what is elsewhere is not.
    let first = "mkdir -p /app /etc/x; touch -d @1600000000 /app /";
    let second = "mkdir -p /app /etc/x; echo 2 > /etc/x/y; touch -d @1600000000 /app /";
    world.build(copied_behind(first, "/app/src/"));
    assert_eq!(world.counts(), (3, 1));
    let image = world.build(copied_behind(second, "/app/src/"));
    // RUN, RUN; the copy in between is there.
    assert_eq!(world.counts(), (2, 2));
    let anew = fresh.build(copied_behind(second, "/app/src/"));
    assert_eq!(fresh.counts(), (3, 1));
    assert_eq!(tree(&image.layers[1]), tree(&anew.layers[1]));
    assert_eq!(fs::read_to_string(image.layers[0].join("read")).unwrap(), "ab");
    // From now on it is a result of this root as well.
    world.build(copied_behind(second, "/app/src/"));
    assert_eq!(world.counts(), (0, 4));
    let pruned = prune(&world.store, &world.layout, Prune { keep_bytes: Some(1 << 30), ..Prune::default() });
    assert_eq!(pruned.unwrap().unwrap().layers, 0);
    world.assert_clean();
}

fn a_copy_is_made_anew_where_its_root_looks_another_way() {
    let world = with_sources();
    let touch = "touch -c -d @1600000000 /app /app/src /; true";
    let roots = [
        "mkdir /app",
        "mkdir -m 700 /app",
        "mkdir /app; chown 5:5 /app",
        "mkdir -p /app/src; echo old > /app/src/a",
        "mkdir -p /app/src/other",
        "mkdir -p /app/src; chmod 750 /app/src",
        "mkdir -p /real/src /app; ln -s /real/src /app/src",
    ];
    for root in roots {
        let image = world.build(copied_behind(&format!("{root}; {touch}"), "/app/src/"));
        assert_eq!(world.counts(), (3, 1), "{root}");
        assert_eq!(fs::read_to_string(image.layers[0].join("read")).unwrap(), "ab", "{root}");
    }
    let image = world.build(copied_behind(&format!("mkdir -m 700 /app; echo; {touch}"), "/app/src/"));
    assert_eq!(world.counts(), (2, 2));
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(image.layers[1].join("app")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

fn stages_side_by_side_copy_the_same_once() {
    let world = with_sources();
    let mut plans = Plans::new();
    let base = plans.base();
    let mut sources = Vec::new();
    for number in 0..3 {
        let copied = plans.copy(Some(base), &["src"], "/src/");
        let run = plans.run(copied, &format!("echo {number} > /out{number}"));
        sources.push(CopySource::Path { from: Source::Step(run), path: format!("/out{number}") });
    }
    let end = plans.copy_with(None, &[], "/", |copy| copy.sources = sources);
    let plan = plans.plan(end);
    world.build(plan);
    // One copy, three programs, and what gathers them.
    assert_eq!(world.counts(), (5, 3));
    world.assert_clean();
}

fn with_an_epoch_two_hosts_build_the_same_image() {
    let build = |world: &mut World| -> Image {
        world.options.epoch = Some(1_600_000_000);
        world.file("deps", "dep 1");
        world.file("src/a", "a");
        let mut plans = Plans::new();
        let base = plans.base();
        let dir = plans.mkdir(Some(base), "/app", "app");
        let source = plans.copy(Some(dir), &["."], "/app/src/");
        let built = plans.run(source, "mkdir -p /x/y; echo 1 > /x/y/z; ln /x/y/z /x/hard; ln -s z /x/l; rm /etc/group");
        world.build(plans.plan(built))
    };
    let mut one = World::new();
    let first = build(&mut one);
    std::thread::sleep(Duration::from_millis(1100));
    let mut two = World::without_base();
    let from = one.dir.join("base-layout");
    copy_dir(&from, &two.dir.join("base-layout"));
    two = two.with_base();
    let second = build(&mut two);
    assert_eq!(first.id, second.id);
    assert_eq!(first.created.as_deref(), Some("2020-09-13T12:26:40Z"));
    let time = fs::metadata(first.layers[0].join("x/y/z")).unwrap().modified().unwrap();
    assert_eq!(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_600_000_000);
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn another_store_takes_the_image_in() {
    let world = with_sources();
    let mut plans = Plans::new();
    let base = plans.base();
    let one = plans.run(base, "mkdir /d /e; echo 1 > /d/f; ln /d/f /d/g; chown app /d/f; chmod 4711 /d/f");
    let two = plans.run(one, "rm -r /d /e; mkdir /d; echo 2 > /d/h; mknod /dev0 b 7 1; mkfifo /fifo; touch -d @1 /old");
    let image = world.build(plans.plan(two));
    let other = World::without_base();
    let name = format!("oci:{}", world.dir.join("data/images").display());
    let reference = Reference::parse(&format!("{name}:docker.io/library/built:1")).unwrap();
    let taken = crate::world::runtime()
        .block_on(muster::image::ensure(
            &other.store,
            &reference,
            PullPolicy::Missing,
            &muster::image::Credentials::none(),
            muster::image::progress::silent(),
        ))
        .unwrap();
    assert_eq!(taken.id, image.id);
    for (own, theirs) in image.layers.iter().zip(&taken.layers) {
        assert_eq!(tree(own), tree(theirs));
    }
}

fn a_step_of_two_builds_runs_once() {
    let world = World::new();
    let plan = || {
        let mut plans = Plans::new();
        let base = plans.base();
        let run = plans.run(base, "sleep 0.5; date +%N > /when");
        plans.plan(run)
    };
    let build = || {
        let (inputs, options) = (world.inputs.clone(), world.options.clone());
        muster::build::engine::build(&world.store, &world.layout, plan(), inputs, options, world.report())
    };
    let (one, two, three) = crate::world::runtime().block_on(async { tokio::join!(build(), build(), build()) });
    assert_eq!(one.unwrap().id, two.unwrap().id);
    three.unwrap();
    assert_eq!(world.counts(), (1, 5));
    world.assert_clean();
}

/// Where it is installed: an independent opinion on manifest, configuration and layers.
fn skopeo_reads_the_image() {
    let world = with_sources();
    world.build(usual());
    let source = format!("oci:{}:docker.io/library/built:1", world.dir.join("data/images").display());
    let target = format!("docker-archive:{}:built:1", world.dir.join("out.tar").display());
    let policy = world.dir.join("policy.json");
    fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).unwrap();
    let skopeo = Command::new("skopeo").arg("--policy").arg(&policy).args(["copy", "-q", &source, &target]).output();
    let Ok(output) = skopeo else { return };
    assert!(output.status.success(), "{output:?}");
    // And back: what it wrote is the same image.
    let other = World::without_base();
    let archive = world.dir.join("out.tar");
    let images = crate::world::runtime().block_on(muster::image::load(
        &other.store,
        fs::File::open(&archive).unwrap(),
        &archive,
        muster::image::progress::silent(),
    ));
    let here = world.store.find(&Reference::parse("built:1").unwrap()).unwrap().unwrap();
    let there = images.unwrap().remove(0);
    for (own, theirs) in here.layers.iter().zip(&there.layers) {
        assert_eq!(tree(own), tree(theirs));
    }
}

fn records_of_another_boot_count_once_they_are_on_disk() {
    let world = with_sources();
    world.build(usual());
    let records = world.dir.join("data/build/records");
    for entry in fs::read_dir(&records).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"boot\":null"), "{text}");
        fs::write(&path, text.replace("\"boot\":null", "\"boot\":\"another\"")).unwrap();
    }
    world.build(usual());
    assert_eq!(world.counts(), (4, 1));
    // A record that is damaged is carried out anew.
    for entry in fs::read_dir(&records).unwrap() {
        fs::write(entry.unwrap().path(), "{").unwrap();
    }
    world.build(usual());
    assert_eq!(world.counts(), (4, 1));
}
