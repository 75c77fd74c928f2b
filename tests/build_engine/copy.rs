//! COPY and ADD: where files go, as whose, and what is refused.

use crate::{
    Test,
    image_support::gzip,
    world::{Plans, World, inline, octal, tree},
};
use muster::build::{
    dockerfile::Patterns,
    engine::Context,
    op::{Chmod, CopySource, Source, Unpack},
};
use std::{fs, os::unix::fs::symlink};

pub const TESTS: &[Test] = &[
    (
        "a_file_goes_into_a_directory_or_becomes_the_destination",
        a_file_goes_into_a_directory_or_becomes_the_destination,
    ),
    ("a_directory_is_its_content", a_directory_is_its_content),
    ("links_of_the_image_on_the_way_are_followed_within_it", links_of_the_image_on_the_way_are_followed_within_it),
    ("a_link_as_source_is_followed_and_one_inside_is_kept", a_link_as_source_is_followed_and_one_inside_is_kept),
    ("a_file_and_a_directory_do_not_replace_each_other", a_file_and_a_directory_do_not_replace_each_other),
    ("what_is_ignored_is_not_there", what_is_ignored_is_not_there),
    ("globs_and_excludes_choose", globs_and_excludes_choose),
    ("parents_are_kept_from_the_pivot_on", parents_are_kept_from_the_pivot_on),
    ("owners_and_modes_are_as_asked", owners_and_modes_are_as_asked),
    ("a_stage_gives_files_with_their_owners", a_stage_gives_files_with_their_owners),
    ("a_linked_layer_does_not_look_at_what_is_below", a_linked_layer_does_not_look_at_what_is_below),
    ("archives_are_unpacked_and_stay_inside", archives_are_unpacked_and_stay_inside),
    ("downloads_are_verified_and_not_repeated", downloads_are_verified_and_not_repeated),
    ("a_directory_of_the_host_gives_files_and_is_no_base", a_directory_of_the_host_gives_files_and_is_no_base),
    ("heredocs_become_files", heredocs_become_files),
    ("a_working_directory_is_made_with_its_parents", a_working_directory_is_made_with_its_parents),
    ("a_missing_source_is_named", a_missing_source_is_named),
    ("names_of_every_length_come_into_the_image", names_of_every_length_come_into_the_image),
];

/// The layer that one COPY over busybox makes.
fn copied(world: &World, sources: &[&str], destination: &str) -> Vec<String> {
    let mut plans = Plans::new();
    let base = plans.base();
    let copy = plans.copy(Some(base), sources, destination);
    tree(&world.build(plans.plan(copy)).layers[0])
}

fn refused(world: &World, sources: &[&str], destination: &str) -> String {
    let mut plans = Plans::new();
    let base = plans.base();
    let copy = plans.copy(Some(base), sources, destination);
    world.failure(plans.plan(copy))
}

fn a_file_goes_into_a_directory_or_becomes_the_destination() {
    let world = World::new();
    world.file("a", "a");
    world.file("b", "b");
    assert_eq!(copied(&world, &["a"], "/new/"), ["d 755 0:0 new", "f 644 0:0 new/a = a"]);
    assert_eq!(copied(&world, &["a"], "/new/name"), ["d 755 0:0 new", "f 644 0:0 new/name = a"]);
    assert_eq!(copied(&world, &["a"], "/root"), ["d 755 0:0 root", "f 644 0:0 root/a = a"]);
    assert_eq!(copied(&world, &["a", "b"], "/"), ["f 644 0:0 a = a", "f 644 0:0 b = b"]);
    assert_eq!(copied(&world, &["a"], "/etc/passwd"), ["d 755 0:0 etc", "f 644 0:0 etc/passwd = a"]);
    world.assert_clean();
}

fn a_directory_is_its_content() {
    let world = World::new();
    world.file("dir/x", "x");
    world.file("dir/sub/y", "y");
    let mode = |path: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(world.dir.join("context").join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("dir", 0o700);
    mode("dir/sub", 0o750);
    // The destination is made as any other, and directories inside keep their mode.
    let expected = ["d 755 0:0 to", "d 750 0:0 to/sub", "f 644 0:0 to/sub/y = y", "f 644 0:0 to/x = x"];
    assert_eq!(copied(&world, &["dir"], "/to"), expected);
    assert_eq!(copied(&world, &["dir/"], "/to/"), expected);
    // One that exists keeps its own.
    assert_eq!(copied(&world, &["dir"], "/tmp")[0], "d 1777 0:0 tmp");
    // Inside it takes over those of the source, also where it exists.
    world.file("home/app/z", "z");
    mode("home/app", 0o711);
    let lines = copied(&world, &["home"], "/home");
    assert_eq!(lines, ["d 755 0:0 home", "d 711 0:0 home/app", "f 644 0:0 home/app/z = z"]);
    // The whole context.
    assert!(copied(&world, &["."], "/all").contains(&"f 644 0:0 all/dir/sub/y = y".to_owned()));
}

fn links_of_the_image_on_the_way_are_followed_within_it() {
    let world = World::new();
    world.file("a", "a");
    // lib -> usr/lib
    let expected = ["d 755 0:0 usr", "d 755 0:0 usr/lib", "f 644 0:0 usr/lib/a = a"];
    assert_eq!(copied(&world, &["a"], "/lib/"), expected);
    assert_eq!(copied(&world, &["a"], "/lib"), expected);
    let mut plans = Plans::new();
    let base = plans.base();
    let link = plans.run(base, "ln -s /../../../../up /out; ln -s loop /loop; ln -s nowhere /dangling");
    let copy = plans.copy(Some(link), &["a"], "/out/");
    let lines = tree(&world.build(plans.plan(copy)).layers[0]);
    assert_eq!(lines, ["d 755 0:0 up", "f 644 0:0 up/a = a"]);
    let mut plans = Plans::new();
    let base = plans.base();
    let link = plans.run(base, "ln -s /../../../../up /out; ln -s loop /loop; ln -s nowhere /dangling");
    let copy = plans.copy(Some(link), &["a"], "/dangling");
    assert_eq!(tree(&world.build(plans.plan(copy)).layers[0]), ["f 644 0:0 nowhere = a"]);
    let mut plans = Plans::new();
    let base = plans.base();
    let link = plans.run(base, "ln -s /../../../../up /out; ln -s loop /loop; ln -s nowhere /dangling");
    let copy = plans.copy(Some(link), &["a"], "/loop/");
    assert!(world.failure(plans.plan(copy)).contains("Too many levels of symbolic links"));
    assert!(!std::path::Path::new("/up").exists());
}

fn a_link_as_source_is_followed_and_one_inside_is_kept() {
    let world = World::new();
    world.file("real/x", "x");
    symlink("real", world.dir.join("context/link")).unwrap();
    symlink("real/x", world.dir.join("context/file-link")).unwrap();
    symlink("/etc/passwd", world.dir.join("context/outside")).unwrap();
    symlink("../x", world.dir.join("context/real/inside")).unwrap();
    let lines = copied(&world, &["link"], "/to");
    assert_eq!(lines, ["d 755 0:0 to", "l 0:0 to/inside -> ../x", "f 644 0:0 to/x = x"]);
    assert_eq!(copied(&world, &["file-link"], "/to/"), ["d 755 0:0 to", "f 644 0:0 to/file-link = x"]);
    // Counted from the top of the context, where there is no such file.
    assert!(refused(&world, &["outside"], "/to/").contains("\"/outside\": not found"));
    assert!(refused(&world, &["../context/real"], "/to/").contains("not found"));
}

fn a_file_and_a_directory_do_not_replace_each_other() {
    let world = World::new();
    world.file("dir/passwd", "x");
    world.file("tree/etc", "a file");
    assert!(refused(&world, &["dir"], "/etc/passwd").contains("cannot copy to non-directory /etc/passwd"));
    assert!(refused(&world, &["tree"], "/").contains("cannot replace the directory /etc with a file"));
    world.file("other/lib/x", "x");
    assert!(refused(&world, &["other"], "/").contains("cannot copy to non-directory /lib"));
    world.assert_clean();
}

fn what_is_ignored_is_not_there() {
    let mut world = World::new();
    world.file("keep", "k");
    world.file("secret", "s");
    world.file("out/a", "a");
    world.file("out/b", "b");
    world.file("empty/only", "o");
    let ignore = Patterns::read("secret\nout\n!out/b\nempty/*\n").unwrap();
    world.inputs.context = Some(Context { ignore, ..world.inputs.context.clone().unwrap() });
    let lines = copied(&world, &["."], "/to/");
    let expected =
        ["d 755 0:0 to", "d 755 0:0 to/empty", "f 644 0:0 to/keep = k", "d 755 0:0 to/out", "f 644 0:0 to/out/b = b"];
    assert_eq!(lines, expected);
    let message = refused(&world, &["secret"], "/to/");
    assert!(message.contains("\"/secret\": not found: line 1 of the ignore file (`secret`)"), "{message}");
    assert_eq!(copied(&world, &["*"], "/to/"), ["d 755 0:0 to", "f 644 0:0 to/b = b", "f 644 0:0 to/keep = k"]);
}

fn globs_and_excludes_choose() {
    let world = World::new();
    for name in ["a.txt", "b.txt", "c.md", "d/e.txt", "d/f.md", "[x]"] {
        world.file(name, name);
    }
    assert_eq!(
        copied(&world, &["*.txt"], "/t/"),
        ["d 755 0:0 t", "f 644 0:0 t/a.txt = a.txt", "f 644 0:0 t/b.txt = b.txt"]
    );
    assert_eq!(copied(&world, &["*/*.txt"], "/t/"), ["d 755 0:0 t", "f 644 0:0 t/e.txt = d/e.txt"]);
    // One that matches nothing is no error.
    assert_eq!(copied(&world, &["a.txt", "*.none"], "/t/"), ["d 755 0:0 t", "f 644 0:0 t/a.txt = a.txt"]);
    assert_eq!(copied(&world, &["[[]x]"], "/t/"), ["d 755 0:0 t", "f 644 0:0 t/[x] = [x]"]);
    let mut plans = Plans::new();
    let base = plans.base();
    let copy = plans.copy_with(Some(base), &["."], "/t/", |copy| copy.exclude = vec!["**/*.md".into(), "b*".into()]);
    let lines = tree(&world.build(plans.plan(copy)).layers[0]);
    assert_eq!(
        lines,
        [
            "d 755 0:0 t",
            "f 644 0:0 t/[x] = [x]",
            "f 644 0:0 t/a.txt = a.txt",
            "d 755 0:0 t/d",
            "f 644 0:0 t/d/e.txt = d/e.txt"
        ]
    );
}

fn parents_are_kept_from_the_pivot_on() {
    let world = World::new();
    world.file("x/a.txt", "a");
    world.file("y/z/b.txt", "b");
    world.file("y/c.md", "c");
    let with = |sources: &[&str]| {
        let mut plans = Plans::new();
        let base = plans.base();
        let copy = plans.copy_with(Some(base), sources, "/p/", |copy| copy.parents = true);
        tree(&world.build(plans.plan(copy)).layers[0])
    };
    assert_eq!(with(&["x/a.txt"]), ["d 755 0:0 p", "d 755 0:0 p/x", "f 644 0:0 p/x/a.txt = a"]);
    assert_eq!(
        with(&["**/*.txt"]),
        [
            "d 755 0:0 p",
            "d 755 0:0 p/x",
            "f 644 0:0 p/x/a.txt = a",
            "d 755 0:0 p/y",
            "d 755 0:0 p/y/z",
            "f 644 0:0 p/y/z/b.txt = b"
        ]
    );
    assert_eq!(with(&["y/./z/b.txt"]), ["d 755 0:0 p", "d 755 0:0 p/z", "f 644 0:0 p/z/b.txt = b"]);
}

fn owners_and_modes_are_as_asked() {
    let world = World::new();
    world.file("d/x", "x");
    let with = |chown: Option<&str>, chmod: Option<Chmod>| {
        let mut plans = Plans::new();
        let base = plans.base();
        let copy = plans.copy_with(Some(base), &["d"], "/new", |copy| {
            copy.chown = chown.map(str::to_owned);
            copy.chmod = chmod;
        });
        world.try_build(plans.plan(copy)).map(|image| tree(&image.layers[0])).map_err(|error| error.to_string())
    };
    assert_eq!(with(Some("app:web"), None).unwrap(), ["d 755 1000:33 new", "f 644 1000:33 new/x = x"]);
    assert_eq!(with(Some("app"), octal(0o600)).unwrap(), ["d 755 1000:1001 new", "f 600 1000:1001 new/x = x"]);
    assert_eq!(with(Some("7"), octal(0o4711)).unwrap()[1], "f 4711 7:7 new/x = x");
    assert_eq!(with(None, Some(Chmod::Symbolic("go-r,u+x".into()))).unwrap()[1], "f 700 0:0 new/x = x");
    // As docker has it.
    assert_eq!(with(Some("nobody"), None).unwrap(), ["d 755 0:0 new", "f 644 0:0 new/x = x"]);
}

fn a_stage_gives_files_with_their_owners() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let made =
        plans.run(base, "mkdir -p /o/d; echo 1 > /o/d/f; chown -R app /o; ln /o/d/f /o/g; ln -s /o/d /o/l; rm /bin/dd");
    let from = |path: &str| CopySource::Path { from: Source::Step(made), path: path.into() };
    let copy = plans.copy_with(None, &[], "/out/", |copy| copy.sources = vec![from("/o"), from("/o/l/f")]);
    let image = world.build(plans.plan(copy));
    assert_eq!(
        tree(&image.layers[0]),
        [
            "d 755 0:0 out",
            "d 755 1000:0 out/d",
            "f 644 1000:0 out/d/f = 1\n",
            "f 644 1000:0 out/f = 1\n",
            "f 644 1000:0 out/g = 1\n",
            "l 0:0 out/l -> /o/d",
        ]
    );
    assert_eq!(image.layers.len(), 1);
    let mut plans = Plans::new();
    let base = plans.base();
    let made = plans.run(base, "rm /bin/dd");
    let gone = CopySource::Path { from: Source::Step(made), path: "/bin/dd".into() };
    let copy = plans.copy_with(None, &[], "/", |copy| copy.sources = vec![gone]);
    assert!(world.failure(plans.plan(copy)).contains("\"/bin/dd\": not found"));
}

fn a_linked_layer_does_not_look_at_what_is_below() {
    let world = World::new();
    world.file("a", "a");
    let build = |script: &str, chown: Option<&str>| {
        let mut plans = Plans::new();
        let base = plans.base();
        let below = plans.run(base, script);
        let copy = plans.copy_with(Some(below), &["a"], "/lib/a", |copy| {
            copy.link = true;
            copy.chown = chown.map(str::to_owned);
        });
        world.try_build(plans.plan(copy))
    };
    let image = build("echo one", None).unwrap();
    assert_eq!(tree(&image.layers[0]), ["d 755 0:0 lib", "f 644 0:0 lib/a = a"]);
    // Another base: the layer is there already.
    let again = build("echo two > /two", None).unwrap();
    assert_eq!(world.counts(), (1, 2));
    assert_eq!(fs::canonicalize(&image.layers[0]).unwrap(), fs::canonicalize(&again.layers[0]).unwrap());
    assert!(build("echo one", Some("app")).is_err());
}

fn archives_are_unpacked_and_stay_inside() {
    let world = World::new();
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, link: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        header.set_mode(if kind == tar::EntryType::Directory { 0o750 } else { 0o640 });
        header.set_uid(1000);
        header.set_gid(5);
        if link.is_empty() {
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        } else {
            tar.append_link(&mut header, name, link).unwrap();
        }
    };
    add("d/", tar::EntryType::Directory, "", "");
    add("d/f", tar::EntryType::Regular, "", "text");
    add("d/hard", tar::EntryType::Link, "d/f", "");
    add("out", tar::EntryType::Symlink, "/../../../outside", "");
    add("out/x", tar::EntryType::Regular, "", "inside");
    let bytes = tar.into_inner().unwrap();
    fs::write(world.dir.join("context/a.tar.gz"), gzip(&bytes)).unwrap();
    fs::write(world.dir.join("context/a.tar.xz"), XZ).unwrap();
    fs::write(world.dir.join("context/a.tbz"), BZIP2).unwrap();
    fs::write(world.dir.join("context/broken.xz"), &XZ[..60]).unwrap();
    world.file("plain.gz", "no archive");
    let add = |sources: &[&str], chown: Option<&str>| {
        let mut plans = Plans::new();
        let base = plans.base();
        let copy = plans.copy_with(Some(base), sources, "/to", |copy| {
            copy.unpack = Unpack::Local;
            copy.chown = chown.map(str::to_owned);
        });
        world.try_build(plans.plan(copy)).map(|image| tree(&image.layers[0])).map_err(|error| error.to_string())
    };
    assert_eq!(
        add(&["a.tar.gz"], None).unwrap(),
        [
            "d 755 0:0 outside",
            "f 640 1000:5 outside/x = inside",
            "d 755 0:0 to",
            "d 750 1000:5 to/d",
            "f 640 1000:5 to/d/f = text",
            "f 640 1000:5 to/d/hard = text",
            "l 1000:5 to/out -> /../../../outside",
        ]
    );
    assert!(!std::path::Path::new("/outside").exists());
    assert_eq!(add(&["a.tar.gz"], Some("app")).unwrap()[4], "f 640 1000:1001 to/d/f = text");
    assert_eq!(add(&["plain.gz"], None).unwrap(), ["f 644 0:0 to = no archive"]);
    for name in ["a.tar.xz", "a.tbz"] {
        assert_eq!(add(&[name], None).unwrap(), ["d 755 0:0 to", "f 600 0:0 to/inside = text\n"]);
    }
    assert!(add(&["broken.xz"], None).unwrap()[0].starts_with("f 644 0:0 to = "));
    // COPY takes it as it is.
    assert_eq!(copied(&world, &["a.tar.gz"], "/to/").len(), 2);
}

fn downloads_are_verified_and_not_repeated() {
    use crate::image_support::{
        digest,
        http::{Response, Server},
    };
    let world = World::new();
    let server = Server::start(|request| match request.path.as_str() {
        "/d/file.txt" if request.header("if-none-match") == Some("\"one\"") => Response::new(304, ""),
        "/d/file.txt" => {
            Response::ok("downloaded").with("ETag", "\"one\"").with("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
        }
        "/plain" => Response::ok("plain"),
        _ => Response::new(404, "no"),
    });
    let add = |path: &str, checksum: Option<String>| {
        let mut plans = Plans::new();
        let base = plans.base();
        let url = format!("http://{}{path}", server.address);
        let copy = plans.copy_with(Some(base), &[], "/to/", |copy| {
            copy.sources = vec![CopySource::Url { url: url.clone(), checksum: checksum.clone() }];
            copy.unpack = Unpack::Local;
        });
        world.try_build(plans.plan(copy)).map_err(|error| error.to_string())
    };
    let image = add("/d/file.txt?query=/x", None).unwrap();
    assert_eq!(tree(&image.layers[0]), ["d 755 0:0 to", "f 600 0:0 to/file.txt = downloaded"]);
    let time = fs::metadata(image.layers[0].join("to/file.txt")).unwrap().modified().unwrap();
    assert_eq!(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 784_111_777);
    add("/d/file.txt?query=/x", None).unwrap();
    assert_eq!(world.counts(), (0, 2));
    assert_eq!(server.count("/d/file.txt"), 2);
    let right = digest(b"plain");
    add("/plain", Some(right.clone())).unwrap();
    // What its digest says is here already needs no server.
    add("/plain", Some(right)).unwrap();
    assert_eq!((world.counts(), server.count("/plain")), ((0, 2), 1));
    let message = add("/plain", Some(digest(b"other"))).unwrap_err();
    assert!(message.contains("it has digest sha256:"), "{message}");
    let message = add("/none", None).unwrap_err();
    assert!(message.contains("/none: the server answers 404 Not Found"), "{message}");
    world.assert_clean();
}

fn a_directory_of_the_host_gives_files_and_is_no_base() {
    let mut world = World::new();
    let dir = world.dir.join("host");
    fs::create_dir_all(dir.join("bin")).unwrap();
    fs::copy("/bin/busybox", dir.join("bin/sh")).unwrap();
    fs::write(dir.join("file"), "one").unwrap();
    std::os::unix::fs::chown(dir.join("file"), Some(5), Some(6)).unwrap();
    let reference = muster::image::Reference::parse(&format!("rootfs:{}", dir.display())).unwrap();
    let image = world.store.find(&reference).unwrap().unwrap();
    world.inputs.images.insert("busybox".into(), image);
    let plan = |from_run: bool| {
        let mut plans = Plans::new();
        let base = plans.base();
        let ran = plans.run(base, "echo more > /more");
        let path = if from_run { "/more" } else { "/file" };
        let from = CopySource::Path { from: Source::Step(if from_run { ran } else { base }), path: path.into() };
        let copy = plans.copy_with(None, &[], "/", |copy| copy.sources = vec![from]);
        plans.plan(copy)
    };
    assert_eq!(tree(&world.build(plan(false)).layers[0]), ["f 644 5:6 file = one"]);
    assert_eq!(tree(&world.build(plan(true)).layers[0]), ["f 644 0:0 more = more\n"]);
    fs::write(dir.join("file"), "two").unwrap();
    assert_eq!(tree(&world.build(plan(false)).layers[0]), ["f 644 5:6 file = two"]);
    assert!(!dir.join("more").exists());
    let mut plans = Plans::new();
    let base = plans.base();
    let ran = plans.run(base, "true");
    assert!(world.failure(plans.plan(ran)).contains("is a directory of this host"));
    world.assert_clean();
}

fn heredocs_become_files() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let copy = plans.copy_with(Some(base), &[], "/to/", |copy| {
        copy.sources = vec![inline("one", "1\n"), inline("two", "2\n")];
        copy.chmod = octal(0o755);
    });
    let image = world.build(plans.plan(copy));
    assert_eq!(tree(&image.layers[0]), ["d 755 0:0 to", "f 755 0:0 to/one = 1\n", "f 755 0:0 to/two = 2\n"]);
}

fn a_working_directory_is_made_with_its_parents() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let first = plans.mkdir(Some(base), "/lib/a/b", "app");
    let second = plans.mkdir(Some(first), "/root", "");
    let image = world.build(plans.plan(second));
    assert_eq!(
        tree(&image.layers[1]),
        ["d 755 0:0 usr", "d 755 0:0 usr/lib", "d 755 1000:1001 usr/lib/a", "d 755 1000:1001 usr/lib/a/b"]
    );
    assert_eq!(tree(&image.layers[0]), [""; 0]);
}

fn a_missing_source_is_named() {
    let world = World::new();
    world.file("a", "a");
    let message = refused(&world, &["a", "none"], "/to/");
    assert_eq!(message, "COPY /to/: \"/none\": not found");
    assert!(refused(&world, &["a/b"], "/to/").contains("\"/a/b\": not found"));
    world.assert_clean();
}

fn names_of_every_length_come_into_the_image() {
    let world = World::new();
    let long = format!("{}/{}/grüße-{}", "d".repeat(200), "e".repeat(200), "f".repeat(150));
    world.file(&long, "deep");
    let path = world.dir.join("context").join(&long);
    rustix::fs::setxattr(&path, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
    let lines = copied(&world, &["."], "/");
    assert!(lines.contains(&format!("f 644 0:0 {long} = deep")));
    // Through the archive and back: another store unpacks it.
    let image = world.store.find(&muster::image::Reference::parse("built:1").unwrap()).unwrap().unwrap();
    let (parts, _) = world.store.parts(&image).unwrap().unwrap();
    let blob = world.dir.join("data/images/blobs/sha256").join(parts[1].blob.hex());
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(blob).unwrap()));
    let mut found = false;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().to_string_lossy() == long {
            let extensions: Vec<String> =
                entry.pax_extensions().unwrap().unwrap().map(|e| e.unwrap().key().unwrap().to_owned()).collect();
            assert!(extensions.contains(&"SCHILY.xattr.user.note".to_owned()), "{extensions:?}");
            found = true;
        }
    }
    assert!(found);
}

/// A tar with one file, by xz and by bzip2.
const XZ: &[u8] = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\xe0\x27\xff\x00\x5f\x5d\x00\x34\x9b\x8a\xcd\x36\x03\x80\x7f\x84\x24\x5a\x59\x44\x13\x94\x40\x9c\x8c\xd9\x21\xe4\x9a\xed\xc9\x55\xb8\x7d\xd4\xbd\x2e\x38\x20\xb5\xd0\xd9\xb8\x92\x8f\x00\x29\x0d\x3c\x1d\x5c\x30\xd0\xf0\xa9\xd8\x4d\x26\x07\x48\x0a\x6c\x79\x1d\xfc\x1b\x6b\xa1\x19\xc5\xbe\xfa\xac\x81\x8f\xac\xb7\x33\x93\xab\xab\x56\xcb\x08\xaa\xe3\x3d\x7e\x46\xd5\xef\x98\xe8\x8f\x20\x7c\x71\x5c\x81\xf4\x52\x00\x00\x00\xf0\x47\xda\x54\x45\xd8\x49\x35\x00\x01\x7b\x80\x50\x00\x00\x00\xef\x96\x5b\xd8\xb1\xc4\x67\xfb\x02\x00\x00\x00\x00\x04\x59\x5a";
const BZIP2: &[u8] = b"\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xec\x34\x69\xc2\x00\x00\x6f\xfb\x80\xc9\x90\x00\x02\x40\x00\x73\x80\x00\x10\x66\x21\x1e\x40\x08\x08\x20\x00\x54\x42\x00\x00\x00\x68\x24\xa9\xe5\x0c\x46\x40\x68\xd0\x7d\xc4\x86\x42\x08\x5e\x84\x22\x9d\x61\x03\x4c\x9f\x14\x08\xb8\x2c\xc5\x1d\x26\x8b\x08\xdd\xc4\x0f\x6a\xd2\xca\x51\x81\xda\xd1\xf9\x94\xef\x9d\xf2\xc8\x8a\x22\x22\x01\xf1\x77\x24\x53\x85\x09\x0e\xc3\x46\x9c\x20";
