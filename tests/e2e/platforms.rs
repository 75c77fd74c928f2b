//! Images for other processors: built from stages that run here and bases that do not, pulled by `platform`, and what is
//! said where nothing can run them.

use super::{
    ground::busybox,
    image_support::{
        Layer, Made, OCI_INDEX, OCI_MANIFEST, digest,
        http::{Response, Server, blob_path},
    },
    stack::Stack,
};
use muster::image::{Image, Reference, Store};
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// This host's processor in the words of images, another, and the number of that in an ELF header.
const fn processors() -> (&'static str, &'static str, u16) {
    if cfg!(target_arch = "x86_64") { ("amd64", "arm64", 183) } else { ("arm64", "amd64", 62) }
}

fn made(architecture: &str, program: Vec<u8>) -> Made {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, mode, bytes) in [("arch", 0o644, architecture.as_bytes()), ("bin/sh", 0o755, &program)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let layer = Layer { blob: tar.clone(), tar, media_type: "application/vnd.oci.image.layer.v1.tar" };
    Made::for_platform(architecture, vec![layer], json!({"Cmd": ["/bin/sh"]}))
}

/// A platform whose programs this host's processor runs as well.
const fn lesser() -> (&'static str, &'static str, &'static str) {
    if cfg!(target_arch = "x86_64") { ("linux/386", "386", "") } else { ("linux/arm/v7", "arm", "v7") }
}

/// `app:1` for both processors, and for what this host's runs as well. Each version has other layers.
fn version(number: usize) -> [Made; 3] {
    let (own, other, machine) = processors();
    let mut program = fs::read(busybox()).unwrap();
    program.resize(program.len() + number, 0);
    let mut foreign = program.clone();
    foreign[18..20].copy_from_slice(&machine.to_le_bytes());
    [made(own, program.clone()), made(other, foreign), made(lesser().1, program)]
}

fn index(images: &[Made; 3]) -> String {
    let (own, other, _) = processors();
    let (_, lesser, variant) = lesser();
    let entries: Vec<_> = [(own, ""), (other, ""), (lesser, variant)]
        .iter()
        .zip(images)
        .map(|((architecture, variant), image)| {
            image.entry(json!({"platform": {"os": "linux", "architecture": architecture, "variant": variant}}))
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string()
}

fn registry() -> (Server, [Made; 3]) {
    let images = version(0);
    (registry_of(vec![images.clone()]).0, images)
}

/// The number says which of the versions `app:1` is.
fn registry_of(versions: Vec<[Made; 3]>) -> (Server, Arc<AtomicUsize>) {
    let current = Arc::new(AtomicUsize::new(0));
    let moving = current.clone();
    let server = Server::start(move |request| {
        if request.path == "/v2/" {
            return Response::ok("{}");
        }
        for (number, images) in versions.iter().enumerate() {
            let index = index(images);
            let by_digest = format!("/v2/app/manifests/{}", digest(index.as_bytes()));
            let is_named = request.path == "/v2/app/manifests/1" && moving.load(Ordering::SeqCst) == number;
            if is_named || request.path == by_digest {
                let answer = Response::ok(index.clone()).with("Content-Type", OCI_INDEX);
                return answer.with("Docker-Content-Digest", &digest(index.as_bytes()));
            }
            for image in images {
                if request.path == format!("/v2/app/manifests/{}", digest(&image.manifest)) {
                    return Response::ok(image.manifest.clone()).with("Content-Type", OCI_MANIFEST);
                }
                if let Some(blob) = image.blobs().into_iter().find(|blob| request.path == blob_path(blob)) {
                    return Response::ok(blob);
                }
            }
        }
        Response::new(404, "")
    });
    (server, current)
}

fn image(stack: &Stack, service: &str) -> Image {
    let store = Store::open(&stack.ground.layout()).unwrap();
    let reference = Reference::parse(&format!("{}-{service}", stack.name)).unwrap();
    store.find(&reference).unwrap().unwrap_or_else(|| panic!("no image of {service}"))
}

fn file(image: &Image, path: &str) -> Option<String> {
    image.layers.iter().rev().find_map(|layer| fs::read_to_string(layer.join(path)).ok())
}

/// Somebody has an emulator: then it runs.
fn is_emulated() -> bool {
    let names = ["qemu-aarch64", "qemu-x86_64"];
    names.iter().any(|name| Path::new("/proc/sys/fs/binfmt_misc").join(name).exists())
}

#[test]
fn an_image_for_another_processor_is_built_by_stages_that_run_here() {
    let (own, other, _) = processors();
    let (server, _) = registry();
    let base = format!("{}/app:1", server.address);
    let stack = Stack::new("cross", "services: {}");
    let root = stack.ground.rootfs().display().to_string();
    stack.compose(&format!(
        "
services:
  other: {{build: {{context: src, platforms: [linux/{other}], additional_contexts: {{root: '{root}'}}}}}}
  by_service: {{platform: linux/{other}, build: {{context: src, additional_contexts: {{root: '{root}'}}}}}}
  own: {{build: {{context: src, additional_contexts: {{root: '{root}'}}}}}}
"
    ));
    stack.write(
        "src/Dockerfile",
        &format!(
            "FROM --platform=$BUILDPLATFORM {base} AS native
COPY --from=root / /
ARG BUILDPLATFORM
ARG TARGETPLATFORM
RUN echo $BUILDPLATFORM $TARGETPLATFORM > /platforms
FROM {base}
ARG TARGETARCH
COPY --from=native /platforms /arch /native/
LABEL arch=$TARGETARCH
"
        ),
    );
    stack.ok(&["build"]);
    for (service, target) in [("other", other), ("by_service", other), ("own", own)] {
        let image = image(&stack, service);
        assert_eq!(image.platform, format!("linux/{target}"), "{service}");
        assert_eq!(image.config.labels["arch"], target);
        assert_eq!(file(&image, "arch").as_deref(), Some(target));
        assert_eq!(file(&image, "native/arch").as_deref(), Some(own));
        assert_eq!(file(&image, "native/platforms"), Some(format!("linux/{own} linux/{target}\n")));
    }
    // All is here: the registry is not asked again.
    let asked = server.requests().len();
    stack.ok(&["build"]);
    assert_eq!(server.requests().len(), asked);
    // The name itself is what runs here.
    let store = Store::open(&stack.ground.layout()).unwrap();
    let named = store.find(&Reference::parse(&base).unwrap()).unwrap().unwrap();
    assert_eq!(named.platform, format!("linux/{own}"));
}

#[test]
fn what_runs_here_as_well_is_not_taken_for_this_hosts() {
    let (own, other, _) = processors();
    let (platform, lesser, _) = lesser();
    let (server, images) = registry();
    let base = format!("{}/app:1", server.address);
    let stack = Stack::new("lesser", "services: {}");
    stack.write("own/Dockerfile", &format!("FROM {base}\nLABEL is=own\n"));
    stack.write("from/Dockerfile", &format!("FROM --platform={platform} {base}\nLABEL is=from\n"));
    stack.compose(&format!(
        "
services:
  own: {{build: own}}
  from: {{build: from}}
  by_service: {{platform: {platform}, build: own}}
  pulled: {{platform: {platform}, image: '{base}'}}
"
    ));
    stack.ok(&["build", "own"]);
    stack.ok(&["create"]);
    for (service, is) in [("own", own), ("from", lesser), ("by_service", lesser)] {
        assert_eq!(file(&image(&stack, service), "arch").as_deref(), Some(is), "{service}");
    }
    assert_eq!(stack.record("pulled").image_id.to_string(), images[2].id());
    // None of these is this host's own.
    stack.compose(&format!("services: {{web: {{build: {{context: own, platforms: [{platform}, linux/{other}]}}}}}}"));
    let told = stack.fails(&["create"]).stderr;
    assert!(told.contains("at once are not supported"), "{told}");
}

#[test]
fn an_image_that_was_built_for_another_platform_is_built_again() {
    let (own, other, _) = processors();
    let (server, _) = registry();
    let stack = Stack::new("moved", "services: {}");
    stack.write("src/Dockerfile", &format!("FROM {}/app:1\nLABEL a=b\n", server.address));
    let file = |platform: &str, dir: &str| stack.compose(&format!("services: {{web: {{{platform} build: {dir}}}}}"));
    let is_due = || {
        let plan = stack.ok(&["plan"]);
        assert_eq!(plan.contains("is for another platform"), plan.contains("1 to build"), "{plan}");
        plan.contains("1 to build")
    };
    file("", "src");
    stack.ok(&["create"]);
    assert!(!is_due());
    for (platform, expected) in [(format!("platform: linux/{other},"), other), (String::new(), own)] {
        file(&platform, "src");
        assert!(is_due(), "{platform}");
        let told = stack.fails(&["create", "--no-build"]).stderr;
        assert!(told.contains("that is here is for linux/") && told.contains(expected), "{told}");
        stack.ok(&["create"]);
        let built = image(&stack, "web");
        assert_eq!(built.platform, format!("linux/{expected}"));
        assert_eq!(stack.record("web").image_id, built.id);
        assert!(!is_due(), "{platform}");
    }
    // The Dockerfile has the last word: there is nothing that another build would change.
    stack.write("fixed/Dockerfile", &format!("FROM --platform=linux/{other} {}/app:1\n", server.address));
    file("", "fixed");
    stack.ok(&["build"]);
    assert_eq!(image(&stack, "web").platform, format!("linux/{other}"));
    assert!(!is_due());
    file(&format!("platform: linux/{other},"), "fixed");
    assert!(!is_due());
}

#[test]
fn a_variant_is_pulled_once_and_anew_when_that_is_asked_for() {
    let (_, other, _) = processors();
    let versions = [version(0), version(1)];
    let (server, current) = registry_of(versions.to_vec());
    let stack = Stack::new("variant", "services: {}");
    // What `db` needs is nowhere: who pulls it fails.
    let file = |more: &str| {
        stack.compose(&format!(
            "
services:
  web: &web {{platform: linux/{other}, image: '{0}/app:1', depends_on: [db]{more}}}
  twin: *web
  db: {{platform: linux/{other}, image: '{0}/none:1'}}
",
            server.address
        ));
    };
    let up = |more: &[&str]| {
        stack.ok(&[&["up", "--no-start", "--no-deps"], more, &["web", "twin"]].concat());
        ["web", "twin"].map(|service| stack.record(service).image_id.to_string())
    };
    let asked = || server.count("/v2/app/manifests/1");
    let [first, second] = versions.map(|images| [images[1].id(), images[1].id()]);
    file("");
    assert_eq!(up(&[]), first);
    assert_eq!(asked(), 1, "each found what the other had brought");
    current.store(1, Ordering::SeqCst);
    assert_eq!(up(&[]), first);
    assert_eq!(asked(), 1, "the image was here");
    assert_eq!(up(&["--pull", "always"]), second);
    let plan = stack.ok(&["plan", "--no-deps", "web", "twin"]);
    assert!(plan.contains(" 0 to recreate"), "{plan}");
    // The registry was asked just now.
    let before = asked();
    file(", pull_policy: daily");
    assert_eq!(up(&[]), second);
    assert_eq!(asked(), before);
}

#[test]
fn what_cannot_run_here_is_told_with_what_would_help() {
    let (_, other, _) = processors();
    let (server, images) = registry();
    let stack = Stack::new("foreign", "services: {}");
    stack.compose(&format!(
        "services:\n  run: {{platform: linux/{other}, image: '{}/app:1', command: [/bin/sh, -c, 'true']}}\n",
        server.address
    ));
    stack.ok(&["create"]);
    assert_eq!(stack.record("run").image_id.to_string(), images[1].id());
    let asked = server.requests().len();
    if !is_emulated() {
        let told = stack.fails(&["up", "-d"]).stderr;
        assert!(told.contains("exec format error") && told.contains("binfmt_misc"), "{told}");
    }
    assert_eq!(server.requests().len(), asked, "the image was here");
    stack.ok(&["down"]);
    stack.compose(&format!("services: {{web: {{build: {{context: src, platforms: [linux/{other}]}}}}}}"));
    stack.write("src/Dockerfile", &format!("FROM {}/app:1\nRUN true\n", server.address));
    if !is_emulated() {
        let told = stack.fails(&["build"]).stderr;
        assert!(told.contains("exec format error") && told.contains("binfmt_misc"), "{told}");
    }
    stack.compose("services: {web: {build: {context: src, platforms: [linux/s390x]}}}");
    let told = stack.fails(&["build"]).stderr;
    assert!(told.contains("linux/s390x") && told.contains(&format!("linux/{other}")), "{told}");
}

#[test]
fn of_several_platforms_one_is_built_to_be_run_and_all_are_refused() {
    let (own, other, _) = processors();
    let stack = Stack::new("several", "services: {}");
    let root = stack.ground.rootfs().display().to_string();
    stack.compose(&format!(
        "services: {{web: {{build: {{context: src, platforms: [linux/{other}, linux/{own}], additional_contexts: {{root: \
         '{root}'}}}}, command: [sleep, '1000'], init: true}}}}"
    ));
    stack.write("src/Dockerfile", "FROM scratch\nCOPY --from=root / /\n");
    let told = stack.fails(&["build"]).stderr;
    assert!(told.contains("build.platforms") && told.contains("at once are not supported"), "{told}");
    stack.up();
    assert_eq!(image(&stack, "web").platform, format!("linux/{own}"));
    stack.ok(&["down", "--rmi", "all"]);
    // The service says which, in whatever words.
    let alias = if own == "amd64" { "x86_64" } else { "aarch64" };
    for (word, expected) in [(own, own), (alias, own), (other, other)] {
        stack.compose(&format!(
            "services: {{web: {{platform: linux/{word}, build: {{context: src, platforms: [linux/arm/v6, linux/{word}], \
             additional_contexts: {{root: '{root}'}}}}}}}}"
        ));
        stack.ok(&["build"]);
        assert_eq!(image(&stack, "web").platform, format!("linux/{expected}"));
    }
}
