//! `cache_from` and `cache_to` through the command line, from one host to another: two data roots that share nothing.

use super::{
    ground::Ground,
    registry::Registry,
    stack::{Ran, Stack},
};
use std::{process::Command, sync::Arc};

const DOCKERFILE: &str = "FROM scratch AS base\nCOPY --from=root / /\nFROM base AS made\n\
    RUN head -c 16 /dev/urandom | md5sum > /made\nFROM base\nCOPY --from=made /made /made\nCOPY page /page\n\
    RUN head -c 16 /dev/urandom | md5sum > /random\n";

fn stack(label: &str, build: &str) -> Stack {
    let stack = Stack::on(Arc::new(Ground::alone()), label, "services: {}");
    said(&stack, build);
    stack.write("src/Dockerfile", DOCKERFILE);
    stack.write("src/page", "hello");
    stack
}

fn said(stack: &Stack, build: &str) {
    let root = stack.ground.rootfs().display().to_string();
    stack.compose(&format!(
        "services:\n  web:\n    {build}\n    init: true\n    command: [sleep, '1000']\n    build:\n      context: src\n      \
         additional_contexts: {{root: '{root}'}}\n",
    ));
}

/// The same with what a build says of caches.
fn with_caches(stack: &Stack, image: &str, caches: &str) {
    said(stack, image);
    let text = std::fs::read_to_string(stack.directory().join("compose.yaml")).unwrap();
    stack.compose(&format!("{text}      {caches}\n"));
}

#[track_caller]
fn built(stack: &Stack, args: &[&str]) -> Ran {
    let ran = stack.run(&[&["--progress", "plain", "build"], args].concat());
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran
}

/// Steps that ran, by their lines.
fn ran(ran: &Ran) -> usize {
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let is_step = |line: &&&str| line.contains("] RUN ") || line.contains("] COPY ");
    let number = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let cached = |line: &str| lines.contains(&&*format!("{} CACHED", number(line)));
    lines.iter().filter(is_step).filter(|line| !line.contains("(cached at") && !cached(line)).count()
}

#[test]
fn a_directory_in_the_project_is_carried_from_host_to_host() {
    let (first, second) = (stack("cache-a", "image: own"), stack("cache-b", "image: own"));
    let caches = "cache_from: ['type=local,src=.cache']\n      cache_to: ['type=local,dest=.cache,mode=max']";
    with_caches(&first, "image: own", caches);
    with_caches(&second, "image: own", caches);
    // There is none the first time, and that is no error. Typed elsewhere it is the project's directory all the same.
    let file = first.directory().join("compose.yaml");
    let mut command = first.command(&["--progress", "plain", "-f", file.to_str().unwrap(), "build"]);
    let output = command.current_dir("/").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("there is none yet"), "{told}");
    for words in ["[web] importing cache manifest from", "[web] exporting cache to", "/.cache"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let to = second.directory().join(".cache");
    assert!(Command::new("cp").arg("-r").arg(first.directory().join(".cache")).arg(to).status().unwrap().success());
    let again = built(&second, &[]);
    assert_eq!(ran(&again), 0, "{again:#?}");
    assert!(!again.stderr.contains("warning"), "{again:#?}");
    for stack in [&first, &second] {
        stack.ok(&["up", "-d", "--no-build"]);
    }
    for file in ["/random", "/made", "/page"] {
        assert_eq!(first.exec("web", &["cat", file]), second.exec("web", &["cat", file]), "{file}");
    }
    // What shall be built anew asks nobody.
    assert_eq!(ran(&built(&second, &["--no-cache"])), 5);
    first.ok(&["down"]);
    second.ok(&["down"]);
}

#[test]
fn an_image_in_a_registry_is_the_cache_of_the_next_host() {
    let Some(registry) = Registry::start() else { return };
    let image = format!("127.0.0.1:{}/team/app:1", registry.port);
    let line = format!("image: '{image}'");
    let (first, second) = (stack("inline-a", &line), stack("inline-b", &line));
    with_caches(&first, &line, "args: {BUILDKIT_INLINE_CACHE: '1'}");
    built(&first, &[]);
    first.ok(&["push"]);
    with_caches(&second, &line, &format!("cache_from: ['{image}']"));
    let again = built(&second, &[]);
    assert_eq!(ran(&again), 0, "{again:#?}");
    assert!(again.stderr.contains(&format!("importing cache manifest from {image}")), "{again:#?}");
    // A name that a registry does not have, and kinds that are not there.
    let refused = "cache_from: ['type=gha']\n      cache_to: ['type=disk,dest=x']";
    with_caches(&second, &line, refused);
    let told = second.fails(&["build"]).stderr;
    assert!(told.contains("compose.yaml:10:") && told.contains("a type that is not known: \"disk\""), "{told}");
    let unwritten = format!("cache_to: ['type=registry,ref=127.0.0.1:{}/CAPITALS']", registry.port);
    with_caches(&second, &line, &unwritten);
    assert!(second.fails(&["build"]).stderr.contains("an upper-case letter"));
    let gone = registry.port;
    drop(registry);
    with_caches(&second, &line, &format!("cache_to: ['type=registry,ref=127.0.0.1:{gone}/cache']"));
    let told = second.fails(&["build"]).stderr;
    assert!(told.contains("the image is built, but its cache cannot be written to") && told.contains("cannot reach"));
}
