//! The image store, from sources of this host: layouts, archives, directories; names, removal, and what a crash leaves.
#![allow(clippy::unwrap_used)]

mod image_support;

use image_support::*;
use muster::{
    image::{Image, ImageError, Reference, load, progress},
    model::{ImageId, PullPolicy},
};
use serde_json::json;
use std::{
    fs::{self, File},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

fn nobody(_: &ImageId) -> Option<String> {
    None
}

async fn load_bytes(host: &Host, name: &str, bytes: &[u8]) -> Result<Vec<Image>, ImageError> {
    let path = host.path(name);
    fs::write(&path, bytes).unwrap();
    load(&host.store, File::open(&path).unwrap(), &path, progress::silent()).await
}

fn parse(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

#[tokio::test]
async fn a_layout_is_imported_with_all_that_its_image_says() {
    let host = Host::new();
    let layers = vec![
        layer(&[("etc/os", "base"), ("etc/old", "old"), ("bin/sh", "shell")], Packing::Plain),
        layer(&[("etc/os", "patched"), ("etc/.wh.old", "")], Packing::Zstd),
        layer(&[("app/run", "run")], Packing::Gzip),
    ];
    let config = json!({"Entrypoint": ["/app/run"], "Cmd": ["serve"], "Env": ["A=1"], "User": "web", "WorkingDir": "/app",
        "Volumes": {"/data": {}}, "StopSignal": "SIGQUIT", "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000}});
    let made = Made::new(layers, config);
    let dir = host.path("layout");
    write_image(&dir, &made, "v1");
    let name = format!("oci:{}", dir.display());
    assert!(host.find(&name).is_none());
    let image = host.get(&name).await.unwrap();
    assert_eq!(image.id.as_str(), made.id());
    assert_eq!(image.config.entrypoint, ["/app/run"]);
    assert_eq!(image.config.user, "web");
    assert_eq!(image.config.stop_signal.as_deref(), Some("SIGQUIT"));
    assert!(image.config.healthcheck.is_some());
    assert_eq!(image.layers.len(), 3);
    assert_eq!(read(&image, "etc/os"), "patched");
    assert_eq!(read(&image, "app/run"), "run");
    // Uppermost first: the whiteout stands above the file that it hides.
    let whiteout = fs::symlink_metadata(image.layers[1].join("etc/old")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    assert_eq!(image.size, "basepatchedoldshellrun".len() as u64);
    assert_eq!(host.find(&name).unwrap(), image);
    assert_eq!(host.find(&format!("{name}:v1")), None);
    host.get(&format!("{name}:v1")).await.unwrap();
    assert_eq!(fs::metadata(host.images()).unwrap().mode() & 0o777, 0o700);
    // The store is a layout itself.
    assert_eq!(host.names("blobs/sha256").len(), 5);
    assert_eq!(host.names("tmp"), Vec::<String>::new());
}

#[tokio::test]
async fn overlayfs_shows_the_layers_as_the_image_means_them() {
    let host = Host::new();
    let layers = vec![
        layer(
            &[("etc/os", "base"), ("etc/old", "old"), ("opt/a", "a"), ("srv/x", "x"), ("gone/y", "y")],
            Packing::Gzip,
        ),
        layer(&[("etc/.wh.old", ""), ("opt/.wh..wh..opq", ""), ("opt/b", "b"), (".wh.gone", "")], Packing::Gzip),
        layer(&[("etc/os", "patched"), (".wh.srv", ""), ("srv/z", "z")], Packing::Gzip),
    ];
    write_image(&host.path("layout"), &Made::new(layers, json!({})), "1");
    let image = host.get(&format!("oci:{}", host.path("layout").display())).await.unwrap();
    let lower: Vec<String> = image.layers.iter().map(|layer| layer.display().to_string()).collect();
    let root = host.path("root");
    fs::create_dir(&root).unwrap();
    // In a mount namespace of its own, which ends with the command.
    let script =
        "mount -t overlay overlay -o \"ro,lowerdir=$0\" \"$1\" && cd \"$1\" && cat etc/os && find . -type f | sort";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, &lower.join(":")])
        .arg(&root)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "patched./etc/os\n./opt/b\n./srv/z\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_layout_with_several_images_wants_to_be_told_which() {
    let host = Host::new();
    let (a, b) = (hello("a"), hello("b"));
    let tagged =
        |image: &Made, tag: &str| image.entry(json!({"annotations": {"org.opencontainers.image.ref.name": tag}}));
    let blobs: Vec<&[u8]> = a.blobs().into_iter().chain(b.blobs()).chain([&a.manifest[..], &b.manifest[..]]).collect();
    let dir = host.path("layout");
    write_layout(&dir, &index(&[tagged(&a, "one"), tagged(&b, "two")]), &blobs);
    let name = format!("oci:{}", dir.display());
    let error = host.get(&name).await.unwrap_err().to_string();
    assert!(error.contains("several images: one, two"), "{error}");
    let error = host.get(&format!("{name}:three")).await.unwrap_err().to_string();
    assert!(error.contains("no image `three`; it has one, two"), "{error}");
    assert_eq!(read(&host.get(&format!("{name}:two")).await.unwrap(), "hello"), "b");
}

#[tokio::test]
async fn the_build_for_this_machine_is_chosen_also_from_an_index_within_the_index() {
    let host = Host::new();
    let mine = hello("mine");
    let other = Made::for_platform("s390x", vec![layer(&[("hello", "other")], Packing::Gzip)], json!({}));
    let platform = |architecture: &str| json!({"platform": {"os": "linux", "architecture": architecture}});
    let inner = index(&[other.entry(platform("s390x")), mine.entry(platform(host_architecture()))]);
    let outer = index(&[descriptor(OCI_INDEX, &inner)]);
    let blobs: Vec<&[u8]> = mine.blobs().into_iter().chain([&mine.manifest[..], &inner[..]]).collect();
    write_layout(&host.path("nested"), &outer, &blobs);
    let image = host.get(&format!("oci:{}", host.path("nested").display())).await.unwrap();
    assert_eq!(read(&image, "hello"), "mine");

    let foreign = index(&[other.entry(platform("s390x"))]);
    write_layout(&host.path("foreign"), &index(&[descriptor(OCI_INDEX, &foreign)]), &[&foreign]);
    let error = host.get(&format!("oci:{}", host.path("foreign").display())).await.unwrap_err();
    assert!(matches!(&error, ImageError::NoPlatform { available, .. } if available == "linux/s390x"), "{error}");
}

#[tokio::test]
async fn an_archive_that_changes_is_read_again() {
    let host = Host::new();
    let file = host.path("app.tar");
    let name = format!("docker-archive:{}", file.display());
    fs::write(&file, Made::docker_archive(&[(&hello("one"), &["app:1"])])).unwrap();
    let first = host.get(&name).await.unwrap();
    assert_eq!(host.find(&name).unwrap().id, first.id);
    fs::write(&file, Made::docker_archive(&[(&hello("two"), &["app:1"])])).unwrap();
    assert!(host.find(&name).is_none());
    for policy in [PullPolicy::Never, PullPolicy::Always] {
        let second = host.get_as(&name, policy, &muster::image::Credentials::none()).await.unwrap();
        assert_eq!(read(&second, "hello"), "two");
    }
    // The first is without a name now, and stays while somebody uses it.
    assert_eq!(host.store.list().unwrap().len(), 2);
    let user = |id: &ImageId| (*id == first.id).then(|| "container app-1".to_owned());
    assert_eq!(host.store.gc(&user).unwrap().images, 0);
    assert!(first.layers[0].is_dir());
    let swept = host.store.gc(&nobody).unwrap();
    assert_eq!((swept.images, swept.layers, swept.blobs), (1, 2, 3));
    assert!(!first.layers[0].exists());
    fs::remove_file(&file).unwrap();
    assert!(host.find(&name).is_none());
    assert!(host.get(&name).await.unwrap_err().to_string().contains("no such file"));
}

#[tokio::test]
async fn load_takes_every_kind_of_archive_and_gives_the_names() {
    let shared = layer(&[("base", "base")], Packing::Plain);
    let top = |text| layer(&[("top", text)], Packing::Plain);
    let (a, b) = (Made::new(vec![shared.clone(), top("a")], json!({})), Made::new(vec![shared, top("b")], json!({})));
    let archive = Made::docker_archive(&[(&a, &["guestbook-web:latest", "other.example:5000/x:1"]), (&b, &["b:2"])]);
    for (name, bytes) in [("plain.tar", archive.clone()), ("packed.tar.gz", gzip(&archive))] {
        let host = Host::new();
        let images = load_bytes(&host, name, &bytes).await.unwrap();
        let names: Vec<String> = images.iter().map(|image| image.reference.familiar()).collect();
        assert_eq!(names, ["guestbook-web:latest", "other.example:5000/x:1", "b:2"]);
        let web = host.get_as("guestbook-web", PullPolicy::Never, &muster::image::Credentials::none()).await.unwrap();
        assert_eq!((read(&web, "base"), read(&web, "top")), ("base".into(), "a".into()));
        assert_eq!(host.layers().len(), 3);
        // Twice is as good as once.
        load_bytes(&host, name, &bytes).await.unwrap();
        assert_eq!(host.store.list().unwrap().len(), 3);
        assert_eq!(host.names("tmp"), Vec::<String>::new());
    }
    let host = Host::new();
    let dir = host.path("layout");
    let named = |made: &Made, name: &str| {
        made.entry(json!({"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}}))
    };
    let blobs: Vec<&[u8]> = a.blobs().into_iter().chain([&a.manifest[..]]).collect();
    write_layout(&dir, &index(&[named(&a, "docker.io/library/oci-one:1")]), &blobs);
    let images = load_bytes(&host, "oci.tar", &tar_of(&dir)).await.unwrap();
    assert_eq!(images[0].reference.familiar(), "oci-one:1");
    write_image(&dir, &a, "bare-tag");
    let images = load_bytes(&Host::new(), "bare.tar", &tar_of(&dir)).await.unwrap();
    assert_eq!(images[0].reference.to_string(), a.id());
    let name = format!("oci-archive:{}:bare-tag", host.path("oci2.tar").display());
    fs::write(host.path("oci2.tar"), tar_of(&dir)).unwrap();
    assert_eq!(host.get(&name).await.unwrap().id.as_str(), a.id());
}

#[tokio::test]
async fn a_bad_archive_says_what_is_bad_and_leaves_nothing() {
    let made = hello("x");
    let mut foreign = made.clone();
    foreign.config = String::from_utf8(made.config.clone()).unwrap().replace("linux", "windows").into_bytes();
    let mut wrong = made.clone();
    wrong.layers[0] = layer(&[("hello", "evil")], Packing::Gzip);
    let mut fewer = made.clone();
    fewer.layers.clear();
    let whole = Made::docker_archive(&[(&made, &["x"])]);
    for (bytes, why) in [
        (Made::docker_archive(&[(&foreign, &["x"])]), "it is made for windows"),
        (Made::docker_archive(&[(&wrong, &["x"])]), "unpacked it has digest"),
        (Made::docker_archive(&[(&fewer, &["x"])]), "manifest has 0 layers, its configuration 1"),
        (whole[..whole.len() / 3].to_vec(), "archive"),
        (tar_of(Path::new("tests/image_support")), "no index.json"),
        (b"not a tar at all".repeat(100), "not a proper tar"),
        (b"\xfd7zXZ\0 and so on".to_vec(), "xz"),
        (Vec::new(), "no index.json"),
    ] {
        let host = Host::new();
        let error = load_bytes(&host, "bad.tar", &bytes).await.unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert!(host.store.list().unwrap().is_empty());
        assert_eq!(host.layers(), Vec::<String>::new(), "{why}");
        assert_eq!(host.names("tmp"), Vec::<String>::new(), "{why}");
    }
}

#[tokio::test]
async fn a_plain_directory_is_an_image_as_it_stands() {
    let host = Host::new();
    let image = host.get("rootfs:/").await.unwrap();
    assert_eq!(image.id.as_str(), "rootfs:/");
    assert_eq!(image.layers, [Path::new("/")]);
    assert!(image.config.cmd.is_empty());
    assert!(host.find("rootfs:/nonexistent").is_none());
    assert!(host.get("rootfs:/nonexistent").await.unwrap_err().to_string().contains("no such directory"));
}

#[tokio::test]
async fn names_are_taken_off_one_by_one_and_the_image_goes_with_the_last() {
    let host = Host::new();
    let archive = Made::docker_archive(&[(&hello("x"), &["a:1", "a:2", "b:1"])]);
    let images = load_bytes(&host, "x.tar", &archive).await.unwrap();
    let id = images[0].id.clone();
    let used = |asked: &ImageId| (*asked == id).then(|| "container web-1".to_owned());
    let short = &id.short()[..6];
    assert_eq!(host.store.resolve(short).unwrap().id, id);
    assert_eq!(host.store.resolve(id.as_str()).unwrap().id, id);
    assert!(matches!(host.store.resolve("ffffffffffff0"), Err(ImageError::NoSuchImage(_))));
    let by_id = parse(id.as_str());
    assert!(matches!(host.store.remove(&by_id, false, &nobody), Err(ImageError::SeveralNames { .. })));
    // In use, but not by its last name.
    let removed = host.store.remove(&parse("b:1"), false, &used).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec!["b:1".to_owned()], None));
    let error = host.store.remove(&by_id, false, &used).unwrap_err().to_string();
    assert!(error.contains("in use by container web-1"), "{error}");
    assert_eq!(host.layers().len(), 1);
    let removed = host.store.remove(&by_id, false, &nobody).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec!["a:1".to_owned(), "a:2".to_owned()], Some(id)));
    assert_eq!(host.layers(), Vec::<String>::new());
    assert_eq!(host.names("blobs/sha256"), Vec::<String>::new());
    assert!(matches!(host.store.remove(&parse("a:1"), false, &nobody), Err(ImageError::NoSuchImage(_))));
}

#[tokio::test]
async fn layers_that_another_image_needs_stay() {
    let host = Host::new();
    let base = layer(&[("base", "base")], Packing::Gzip);
    let with = |text| Made::new(vec![base.clone(), layer(&[("top", text)], Packing::Gzip)], json!({}));
    let archive = Made::docker_archive(&[(&with("a"), &["a"]), (&with("b"), &["b"])]);
    load_bytes(&host, "x.tar", &archive).await.unwrap();
    assert_eq!(host.layers().len(), 3);
    host.store.remove(&parse("a"), false, &nobody).unwrap();
    assert_eq!(host.layers().len(), 2);
    assert_eq!(read(&host.find("b").unwrap(), "base"), "base");
}

#[tokio::test]
async fn an_image_without_layers_can_be_mounted_all_the_same() {
    let host = Host::new();
    let archive = Made::docker_archive(&[(&Made::new(vec![], json!({"Cmd": ["x"]})), &["bare"])]);
    let image = &load_bytes(&host, "x.tar", &archive).await.unwrap()[0];
    assert_eq!(image.layers.len(), 1);
    assert!(image.layers[0].is_dir());
    host.store.gc(&nobody).unwrap();
    assert!(image.layers[0].is_dir());
}

#[tokio::test]
async fn damage_is_named_and_heals_by_taking_the_image_in_again() {
    let host = Host::new();
    let archive = Made::docker_archive(&[(&hello("x"), &["x"]), (&hello("y"), &["y"])]);
    let image = load_bytes(&host, "x.tar", &archive).await.unwrap().remove(0);
    // A layer is gone: the image counts as absent, and the next import completes it.
    fs::remove_dir_all(&image.layers[0]).unwrap();
    assert!(host.find("x").is_none());
    load_bytes(&host, "x.tar", &archive).await.unwrap();
    assert_eq!(read(&host.find("x").unwrap(), "hello"), "x");
    // A blob is changed: an error, for this image alone.
    let config = host.images().join("blobs/sha256").join(&image.id.as_str()[7..]);
    fs::write(&config, "{}").unwrap();
    let error = host.store.find(&parse("x")).unwrap_err().to_string();
    assert!(error.contains("is damaged") && error.contains("Remove the image"), "{error}");
    assert_eq!(host.store.list().unwrap().len(), 1);
    assert_eq!(read(&host.find("y").unwrap(), "hello"), "y");
    host.store.remove(&parse("x"), false, &nobody).unwrap();
    load_bytes(&host, "x.tar", &archive).await.unwrap();
    assert_eq!(read(&host.find("x").unwrap(), "hello"), "x");
}

#[tokio::test]
async fn imports_at_once_from_several_processes_do_not_disturb_each_other() {
    let host = Host::new();
    let base = layer(&[("base", &"b".repeat(200_000))], Packing::Gzip);
    let threads: Vec<_> = (0..6)
        .map(|n| {
            let made =
                Made::new(vec![base.clone(), layer(&[("top", &format!("{}", n % 3))], Packing::Gzip)], json!({}));
            let path = host.path(&format!("{n}.tar"));
            fs::write(&path, Made::docker_archive(&[(&made, &[&format!("image-{n}")])])).unwrap();
            let store = host.again();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let file = File::open(&path).unwrap();
                runtime.block_on(load(&store, file, &path, progress::silent())).unwrap();
                store.gc(&|_| None).unwrap();
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for n in 0..6 {
        let image = host.find(&format!("image-{n}")).unwrap();
        assert_eq!(read(&image, "top"), format!("{}", n % 3));
        assert_eq!(read(&image, "base").len(), 200_000);
    }
    assert_eq!(host.layers().len(), 4);
    assert_eq!(host.names("tmp"), Vec::<String>::new());
}
