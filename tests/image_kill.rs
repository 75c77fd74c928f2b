//! Processes that are killed in the middle of what they do with images: whatever they had done by then, the store is
//! whole, and the next command finishes. The moments are spread over the whole of the work.
#![allow(clippy::unwrap_used)]

mod image_support;

use image_support::{
    http::{Request, Response, Server, blob_path, honest},
    *,
};
use muster::{image::Reference, model::ImageId};
use serde_json::json;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Moments of death in one sweep.
const MOMENTS: u32 = 24;

fn nobody(_: &ImageId) -> Option<String> {
    None
}

/// The binary on a host of the test's own.
fn muster(host: &Host, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command
        .args(args)
        .current_dir(host.dir.path())
        .env("MUSTER_DATA_ROOT", host.path("data"))
        .env("MUSTER_RUN_ROOT", host.path("run"))
        .env("DOCKER_CONFIG", host.path("docker"))
        .env("HOME", host.dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// How long the command takes when nobody kills it.
fn lasts(host: &Host, args: &[&str]) -> Duration {
    let begun = Instant::now();
    let output = muster(host, args).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    begun.elapsed()
}

fn kill_after(host: &Host, args: &[&str], wait: Duration) {
    let mut child = muster(host, args).spawn().unwrap();
    thread::sleep(wait);
    let _ = child.kill();
    child.wait().unwrap();
}

/// Every image that is listed can be used, whatever happened before.
fn assert_whole(host: &Host) {
    for image in host.again().list().unwrap() {
        assert!(image.layers.iter().all(|layer| layer.is_dir()), "{}", image.reference);
        assert!(fs::read_dir(&image.layers[0]).unwrap().count() > 0, "{}", image.reference);
    }
    for blob in host.names("blobs/sha256") {
        let bytes = fs::read(host.images().join("blobs/sha256").join(&blob)).unwrap();
        assert_eq!(digest(&bytes), format!("sha256:{blob}"), "a blob has its name only when it is whole");
    }
}

/// Nothing is left of dead processes once somebody swept.
fn assert_swept(host: &Host) {
    host.store.gc(&nobody).unwrap();
    // A session removes what others left.
    let output = muster(host, &["image", "prune", "-f"]).output().unwrap();
    assert!(output.status.success());
    let text = image_of_nothing(host);
    fs::write(host.path("nothing.tar"), text).unwrap();
    lasts(host, &["load", "-i", "nothing.tar"]);
    assert_eq!(host.names("tmp"), Vec::<String>::new());
}

fn image_of_nothing(host: &Host) -> Vec<u8> {
    let dir = host.path("nothing");
    write_image(&dir, &hello("nothing"), "nothing");
    tar_of(&dir)
}

fn layers() -> Made {
    let text = noise(3 << 20);
    let layers = vec![
        layer(&[("big", &text), ("small", "x")], Packing::Gzip),
        layer(&[("etc/conf", "y"), ("bin/app", &text[..300_000])], Packing::Plain),
        layer(&[("last", "z")], Packing::Zstd),
    ];
    Made::for_platform(host_architecture(), layers, json!({"Cmd": ["/bin/app"]}))
}

/// An honest registry that takes its time, and answers ranges.
fn slow(made: Made) -> Server {
    Server::start(move |request: &Request| {
        thread::sleep(Duration::from_millis(10));
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

#[test]
fn a_pull_may_be_killed_at_any_moment() {
    let made = layers();
    let server = slow(made.clone());
    let name = format!("{}/app:1", server.address);
    let pull = ["image", "pull", "-q", &name];
    let whole = lasts(&Host::new(), &pull);
    let host = Host::new();
    for moment in 0..MOMENTS {
        kill_after(&host, &pull, whole * moment / MOMENTS);
        assert_whole(&host);
    }
    lasts(&host, &pull);
    let image = host.find(&name).unwrap();
    assert_eq!((image.id.as_str(), read(&image, "etc/conf")), (made.id().as_str(), "y".into()));
    assert_whole(&host);
    assert_swept(&host);
    assert_eq!(host.names("partial"), Vec::<String>::new());
}

#[test]
fn loading_removing_and_pruning_may_be_killed_at_any_moment() {
    let host = Host::new();
    let made = layers();
    let archive = Made::docker_archive(&[(&made, &["app:1", "app:2"])]);
    fs::write(host.path("app.tar"), &archive).unwrap();
    let whole = lasts(&host, &["load", "-i", "app.tar"]);
    let short = whole / 4;
    for moment in 0..MOMENTS {
        kill_after(&host, &["load", "-i", "app.tar"], whole * moment / MOMENTS);
        assert_whole(&host);
        kill_after(&host, &["rmi", "app:1"], short * moment / MOMENTS);
        assert_whole(&host);
        kill_after(&host, &["image", "prune", "-a", "-f"], short * moment / MOMENTS);
        assert_whole(&host);
    }
    lasts(&host, &["load", "-i", "app.tar"]);
    assert_eq!(read(&host.find("app:2").unwrap(), "small"), "x");
    lasts(&host, &["image", "prune", "-a", "-f"]);
    assert!(host.store.list().unwrap().is_empty());
    assert_swept(&host);
    lasts(&host, &["image", "prune", "-a", "-f"]);
    assert_eq!((host.layers(), host.names("blobs/sha256")), (Vec::new(), Vec::new()));
}

#[test]
fn a_pull_on_a_full_disk_says_so_and_leaves_the_store_whole() {
    let host = Host::new();
    let small = host.path("data");
    let _ = fs::remove_dir_all(&small);
    fs::create_dir(&small).unwrap();
    let made =
        Made::for_platform(host_architecture(), vec![layer(&[("big", &noise(6 << 20))], Packing::Gzip)], json!({}));
    let server = slow(made);
    let name = format!("{}/app:1", server.address);
    // In a mount namespace of its own, which takes the file system along when it ends.
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs '{data}' && ! \"$MUSTER\" image pull -q {name} 2>'{said}' \
         && [ -z \"$(ls '{data}/images/layers' | grep -v empty)\" ] && [ -z \"$(ls '{data}/images/partial')\" ] && mount -o remount,size=64m '{data}' \
         && \"$MUSTER\" image pull -q {name} && \"$MUSTER\" image ls -q | grep -q .",
        data = small.display(),
        said = host.path("said").display(),
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script])
        .env("MUSTER", env!("CARGO_BIN_EXE_muster"))
        .env("MUSTER_DATA_ROOT", &small)
        .env("MUSTER_RUN_ROOT", host.path("run"))
        .env("DOCKER_CONFIG", host.path("docker"));
    let output = command.output().unwrap();
    let said = fs::read_to_string(host.path("said")).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("most that is free") || said.contains("No space left"), "{said}");
    assert!(Path::new(&small).exists());
    assert!(Reference::parse(&name).is_ok());
}
