//! Build contexts that are elsewhere: repositories over git's own protocol and over plain HTTP. Everything is served from
//! loopback; what was built is read from the layers of the image.

use super::{
    ground::Ground,
    image_support::http::{Response, Server},
    proc::{eventually, processes},
    stack::{Ran, Stack, free_port},
};
use muster::{
    build::engine::remote,
    image::{Reference, Store},
};
use std::{
    fs,
    net::TcpStream,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Repositories below one directory, and a daemon that serves them.
struct Origin {
    directory: tempfile::TempDir,
    port: u16,
    daemon: Child,
}

impl Origin {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("srv")).unwrap();
        let path = Command::new("git").arg("--exec-path").output().expect("git is missing: apt-get install git").stdout;
        let program = PathBuf::from(String::from_utf8(path).unwrap().trim()).join("git-daemon");
        let port = free_port();
        let daemon = Command::new(program)
            .args(["--listen=127.0.0.1", "--reuseaddr", "--export-all", "--verbose"])
            .args([format!("--port={port}"), format!("--base-path={}", directory.path().join("srv").display())])
            .stdin(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let origin = Self { directory, port, daemon };
        eventually("the daemon listens", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", origin.port)).is_ok()
        });
        origin
    }

    /// A git in the working copy of a repository.
    fn git(&self, name: &str, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]);
        command.args(["-c", "protocol.file.allow=always"]).args(args).current_dir(self.work(name));
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn work(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes the repository and its first commit; the commit comes back.
    fn make(&self, name: &str, files: &[(&str, &str)]) -> String {
        fs::create_dir(self.work(name)).unwrap();
        self.git(name, &["init", "-q"]);
        self.commit(name, files)
    }

    fn commit(&self, name: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.work(name).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.git(name, &["add", "-A"]);
        self.git(name, &["commit", "-q", "-m", "x"]);
        self.publish(name);
        self.git(name, &["rev-parse", "HEAD"])
    }

    fn publish(&self, name: &str) {
        let bare = self.served(name);
        if !bare.exists() {
            fs::create_dir_all(&bare).unwrap();
            self.git(name, &["init", "-q", "--bare", &bare.display().to_string()]);
        }
        self.git(name, &["push", "-q", "--all", "--force", &bare.display().to_string()]);
        self.git(name, &["push", "-q", "--tags", "--force", &bare.display().to_string()]);
        let status = Command::new("git").arg("update-server-info").current_dir(&bare).status().unwrap();
        assert!(status.success());
    }

    fn served(&self, name: &str) -> PathBuf {
        self.directory.path().join("srv").join(format!("{name}.git"))
    }

    fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}.git", self.port)
    }

    /// Connections so far.
    fn connections(&self) -> usize {
        fs::read_to_string(self.directory.path().join("log")).unwrap().matches("Connection from").count()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A project with one service for each context, on a data root of its own.
pub(super) fn stack(label: &str, contexts: &[(&str, String)]) -> Stack {
    let stack = Stack::on(Arc::new(Ground::alone()), label, "services: {}");
    compose(&stack, contexts);
    stack
}

pub(super) fn compose(stack: &Stack, contexts: &[(&str, String)]) {
    let service = |(name, build): &(&str, String)| format!("  {name}: {{build: {{{build}}}}}\n");
    stack.compose(&format!("services:\n{}", contexts.iter().map(service).collect::<String>()));
}

pub(super) fn context(url: impl std::fmt::Display) -> String {
    format!("context: '{url}'")
}

pub(super) fn build(stack: &Stack) -> Ran {
    let ran = stack.run(&["--progress", "plain", "build"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran
}

pub(super) fn failure(stack: &Stack) -> String {
    stack.fails(&["--progress", "plain", "build"]).stderr
}

/// A file of the image of a service: of its uppermost layer that has it.
pub(super) fn file(stack: &Stack, service: &str, path: &str) -> Option<String> {
    let store = Store::open(&stack.ground.layout()).unwrap();
    let reference = Reference::parse(&format!("{}-{service}", stack.name)).unwrap();
    let image = store.find(&reference).unwrap().unwrap_or_else(|| panic!("no image of {service}"));
    image.layers.iter().rev().find_map(|layer| fs::read_to_string(layer.join(path)).ok())
}

pub(super) fn steps(ran: &Ran, state: &str) -> usize {
    ran.stderr.lines().filter(|line| line.ends_with(state)).count()
}

/// What is kept of the one remote of a stack: names of its entries, without random parts.
pub(super) fn kept(stack: &Stack) -> Vec<String> {
    let remotes = stack.ground.layout().build_remotes();
    let mut names = Vec::new();
    for remote in fs::read_dir(remotes).unwrap().flatten() {
        for entry in fs::read_dir(remote.path()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            names.push(name.split('-').next().unwrap().to_owned());
        }
    }
    names.sort();
    names
}

pub(super) const DOCKERFILE: (&str, &str) = ("Dockerfile", "FROM scratch\nCOPY . /\n");

#[test]
fn a_repository_is_a_context_by_branch_tag_and_commit() {
    let origin = Origin::new();
    origin.make("lib", &[("code", "library\n")]);
    let first = origin.make("app", &[DOCKERFILE, ("f", "one\n"), (".dockerignore", "left-out\n"), ("left-out", "x")]);
    origin.git("app", &["tag", "-a", "v1", "-m", "first"]);
    origin.git("app", &["submodule", "add", "-q", &origin.url("lib"), "vendor/lib"]);
    let relative = fs::read_to_string(origin.work("app").join(".gitmodules")).unwrap();
    let relative = relative.replace(&origin.url("lib"), "../lib.git");
    origin.commit(
        "app",
        &[("f", "two\n"), ("web/Dockerfile", DOCKERFILE.1), ("web/g", "g\n"), (".gitmodules", &relative)],
    );
    origin.git("app", &["branch", "release/1"]);
    symlink("web", origin.work("app").join("link")).unwrap();
    origin.commit("app", &[("f", "three\n")]);
    let url = origin.url("app");
    let stack = stack(
        "gitctx",
        &[
            ("head", context(&url)),
            ("tag", context(format!("{url}#v1"))),
            ("commit", context(format!("{url}#{first}"))),
            ("branch", context(format!("{url}#release/1"))),
            ("subdir", context(format!("{url}#:web"))),
            ("link", context(format!("{url}#:link"))),
            ("fields", context(format!("{url}##ref=release/1,subdir=/web"))),
            ("alone", context(format!("{url}?branch=main&submodules=false"))),
            ("other", format!("context: '{url}', dockerfile: web/Dockerfile")),
            ("inline", format!("context: '{url}', dockerfile_inline: \"FROM scratch\\nCOPY web /w\"")),
        ],
    );
    build(&stack);
    let of = |service: &str, path: &str| file(&stack, service, path);
    assert_eq!(of("head", "f").as_deref(), Some("three\n"));
    assert_eq!(of("tag", "f").as_deref(), Some("one\n"));
    assert_eq!(of("commit", "f").as_deref(), Some("one\n"));
    assert_eq!(of("branch", "f").as_deref(), Some("two\n"));
    for service in ["subdir", "link", "fields"] {
        assert_eq!((of(service, "g").as_deref(), of(service, "f")), (Some("g\n"), None), "{service}");
    }
    assert_eq!(of("other", "f").as_deref(), Some("three\n"));
    assert_eq!((of("inline", "w/g").as_deref(), of("inline", "f")), (Some("g\n"), None));
    // Submodules are files, and nothing of git is among them.
    assert_eq!(of("head", "vendor/lib/code").as_deref(), Some("library\n"));
    assert_eq!(of("alone", "vendor/lib/code"), None);
    for path in [".git", ".git/HEAD", "vendor/lib/.git", "left-out"] {
        assert_eq!(of("head", path), None, "{path}");
    }

    // The same again: nothing is fetched, every step is there.
    let before = kept(&stack);
    let again = build(&stack);
    assert_eq!(steps(&again, " CACHED"), 10, "{again:#?}");
    assert_eq!(kept(&stack), before);
    // A commit is not even asked for.
    compose(&stack, &[("commit", context(format!("{url}#{first}")))]);
    let asked = origin.connections();
    build(&stack);
    assert_eq!(origin.connections(), asked);

    // What is new comes, and the trees that nobody uses any more go.
    compose(&stack, &[("head", context(&url))]);
    for number in 0..6 {
        let text = format!("four {number}\n");
        origin.commit("app", &[("f", &text)]);
        build(&stack);
        assert_eq!(of("head", "f"), Some(text));
    }
    let remote = fs::read_dir(stack.ground.layout().build_remotes()).unwrap().flatten();
    let trees = remote.filter_map(|entry| fs::read_dir(entry.path().join("trees")).ok()).flat_map(Iterator::flatten);
    assert_eq!(trees.count(), 4);

    let pruned = stack.run(&["builder", "prune", "-a", "-f"]);
    assert_eq!(pruned.code, 0, "{pruned:#?}");
    assert_eq!(fs::read_dir(stack.ground.layout().build_remotes()).unwrap().count(), 0);
}

#[test]
fn the_key_of_a_host_is_remembered_when_everything_is_pruned() {
    let stack = stack("gitkeys", &[("a", context("ssh://git@127.0.0.1:1/x.git"))]);
    // Where the ssh of git notes keys is told by the ssh itself.
    let path = stack.directory().join("bin");
    fs::create_dir(&path).unwrap();
    let script = "#!/bin/sh\nfor word; do case $word in UserKnownHostsFile=*) f=${word#*=\\\"}; echo key > \"${f%%\\\"*}\";; esac; \
                  done\nexit 255\n";
    fs::write(path.join("ssh"), script).unwrap();
    fs::set_permissions(path.join("ssh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = stack.command(&["build"]);
    let paths = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    assert_ne!(super::stack::run(command.env("PATH", paths)).code, 0);
    let known = || fs::read_to_string(stack.ground.layout().build_git().join("known_hosts")).unwrap_or_default();
    assert_eq!(known(), "key\n");
    stack.ok(&["builder", "prune", "-a", "-f"]);
    assert_eq!(known(), "key\n");
}

#[test]
fn what_was_fetched_of_a_repository_does_not_grow_for_ever() {
    let origin = Origin::new();
    let first = origin.make("app", &[DOCKERFILE, ("f", "0\n")]);
    let ground = Ground::alone();
    let (layout, access) = (ground.layout(), remote::Access::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fetch = |reference: &str| {
        let url = muster::build::remote::git(&format!("{}#{reference}", origin.url("app"))).unwrap().unwrap();
        let tree = runtime.block_on(remote::checkout(&layout, &access, &url, false)).unwrap();
        fs::read_to_string(tree.dir.join("f")).unwrap()
    };
    assert_eq!(fetch(&first), "0\n");
    let remote = fs::read_dir(layout.build_remotes()).unwrap().next().unwrap().unwrap().path();
    let repository = || {
        let found = fs::read_dir(&remote).unwrap().flatten().map(|entry| entry.path());
        found.into_iter().find(|path| path.display().to_string().contains("/repository-")).unwrap()
    };
    let one = repository();
    let files = || {
        let objects = Command::new("find").arg(repository().join("objects")).args(["-type", "f"]).output().unwrap();
        let refs = Command::new("git").arg("for-each-ref").current_dir(repository()).output().unwrap();
        (String::from_utf8(objects.stdout).unwrap().lines().count(), String::from_utf8(refs.stdout).unwrap())
    };
    // As often as a branch and a commit that is named; a pack has up to three files.
    for number in 1..=40 {
        let text = format!("{number}\n");
        let commit = origin.commit("app", &[("f", &text)]);
        assert_eq!(fetch(if number % 2 == 0 { "main" } else { &commit }), text);
        let (objects, refs) = files();
        assert!(objects <= 32 * 3 + 6 && refs.lines().count() <= 33, "{number}: {objects} files, {refs}");
    }
    assert_eq!(repository(), one);
    // Old ones are gone, and come again.
    let has = |commit: &str| {
        let mut git = Command::new("git");
        git.args(["cat-file", "-e", commit]).current_dir(&one).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(has(&origin.git("app", &["rev-parse", "HEAD"])) && !has(&first));
    let checked = Command::new("git").args(["fsck", "--full"]).current_dir(&one).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(fetch(&first), "0\n");
    assert_eq!(fetch("main"), "40\n");
}

#[test]
fn the_directory_of_git_is_kept_when_it_is_asked_for() {
    let origin = Origin::new();
    let commit = origin.make("app", &[DOCKERFILE, ("f", "one\n")]);
    let url = origin.url("app");
    let inline = |from: &str| format!("dockerfile_inline: \"FROM scratch\\n{from}\"");
    let kept = "args: {BUILDKIT_CONTEXT_KEEP_GIT_DIR: '1'}";
    let stack = stack(
        "gitdir",
        &[
            ("kept", format!("context: '{url}', {kept}")),
            ("added", format!("context: '.', {}", inline(&format!("ADD --keep-git-dir=true {url} /src")))),
            ("plain", format!("context: '.', {}", inline(&format!("ADD {url}#main /src")))),
            ("checked", format!("context: '.', {}", inline(&format!("ADD --checksum={commit} {url} /src/")))),
        ],
    );
    build(&stack);
    assert_eq!(file(&stack, "kept", ".git/HEAD").as_deref(), Some(format!("{commit}\n").as_str()));
    assert_eq!(file(&stack, "added", "src/.git/HEAD").as_deref(), Some(format!("{commit}\n").as_str()));
    for service in ["plain", "checked"] {
        assert_eq!(file(&stack, service, "src/f").as_deref(), Some("one\n"));
        assert_eq!(file(&stack, service, "src/.git/HEAD"), None);
    }
    let again = build(&stack);
    assert_eq!(steps(&again, " CACHED"), 4, "{again:#?}");

    let wrong = format!("ADD --checksum={} {url} /src", commit.chars().rev().collect::<String>());
    compose(&stack, &[("checked", format!("context: '.', {}", inline(&wrong)))]);
    let told = failure(&stack);
    assert!(told.contains(&format!("is the commit {commit}, but")), "{told}");
}

#[test]
fn a_repository_that_means_harm_gets_nowhere() {
    let origin = Origin::new();
    let mark = origin.work("mark");
    origin.make("app", &[DOCKERFILE, ("f", "one\n")]);
    let work = origin.work("app");
    symlink("/usr", work.join("out")).unwrap();
    symlink("../../../../../../../etc/passwd", work.join("Stolen")).unwrap();
    origin.commit("app", &[("hooks/post-checkout", "#!/bin/sh\ntouch /tmp/x\n")]);
    origin.git("app", &["checkout", "-q", "-b", "ext"]);
    let command = format!("ext::sh -c touch% {}", mark.display());
    let modules = format!("[submodule \"m\"]\n\tpath = m\n\turl = {command}\n");
    fs::write(work.join(".gitmodules"), modules).unwrap();
    let head = origin.git("app", &["rev-parse", "HEAD"]);
    let link = || {
        origin.git("app", &["add", ".gitmodules"]);
        origin.git("app", &["update-index", "--add", "--cacheinfo", &format!("160000,{head},m")]);
        origin.git("app", &["commit", "-q", "-m", "submodule"]);
        origin.publish("app");
    };
    link();
    origin.git("app", &["checkout", "-q", "-b", "file"]);
    let modules = format!("[submodule \"m\"]\n\tpath = m\n\turl = file://{}\n", origin.served("app").display());
    fs::write(work.join(".gitmodules"), modules).unwrap();
    link();

    let url = origin.url("app");
    let stack = stack("githarm", &[]);
    for (build, expected) in [
        (context(format!("{url}#main:out")), "has no directory \"out\""),
        (context(format!("{url}#main:../..")), "has no directory \"../..\""),
        (context(format!("{url}#main:f")), "has no directory \"f\""),
        (format!("context: '{url}#main', dockerfile: Stolen"), "there is no Stolen in the build context"),
        (format!("context: '{url}#main', dockerfile: ../../../../etc/passwd"), "there is no ../../../../etc/passwd"),
        (context(format!("{url}#ext")), "transport 'ext' not allowed"),
        (context(format!("{url}#file")), "transport 'file' not allowed"),
        (context(format!("{url}#none")), "has no branch or tag \"none\""),
        (context(format!("{url}#--upload-pack=touch")), "could be taken for an option"),
        (context("ssh://-oProxyCommand=touch/x"), "could be taken for an option"),
        (context("ext::sh://x"), "is neither a directory of this host nor"),
        (context(origin.url("none")), "cannot read the branches of"),
    ] {
        compose(&stack, &[("a", build.clone())]);
        let told = failure(&stack);
        assert!(told.contains(expected), "{build}: {told}");
        assert!(!told.contains("root:"), "{told}");
    }
    assert!(!mark.exists());
    assert!(!kept(&stack).contains(&"tmp".to_owned()));
}

#[test]
fn without_git_the_package_is_named_and_logins_are_not_told() {
    let origin = Origin::new();
    origin.make("app", &[DOCKERFILE]);
    let stack = stack("nogit", &[("a", context(origin.url("app")))]);
    let mut command = stack.command(&["build"]);
    let ran = super::stack::run(command.env("PATH", "/nowhere"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("install the package git"), "{ran:#?}");

    let server = Server::start(|_| Response::new(401, "no").with("WWW-Authenticate", "Basic realm=\"x\""));
    compose(&stack, &[("a", context(format!("http://me:s3cret@{}/app.git", server.address)))]);
    let told = failure(&stack);
    assert!(told.contains("GIT_AUTH_TOKEN") && told.contains("xxxxx@"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    assert!(server.requests().iter().any(|request| request.header("authorization").is_some()));

    // A token goes to the server, and nowhere else.
    stack.write("token", "t0ken\n");
    stack.compose(&format!(
        "services:\n  a: {{build: {{context: 'http://{}/app.git', secrets: [GIT_AUTH_TOKEN]}}}}\nsecrets: \
         {{GIT_AUTH_TOKEN: {{file: token}}}}\n",
        server.address
    ));
    let told = failure(&stack);
    assert!(!told.contains("t0ken"), "{told}");
    let sent = "basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=";
    assert!(server.requests().iter().any(|request| request.header("authorization") == Some(sent)));
}

#[test]
fn a_token_is_not_taken_to_where_its_server_redirects() {
    // Enough for git to go on and ask this one for branches.
    let other = Server::start(|_| {
        let body = "001e# service=git-upload-pack\n0000000eversion 2\n000cls-refs\n0000";
        Response::ok(body).with("Content-Type", "application/x-git-upload-pack-advertisement")
    });
    let address = other.address;
    let server = Server::start(move |request| {
        let to = format!("http://{address}{}?{}", request.path, request.query);
        Response::new(302, "").with("Location", &to)
    });
    let stack = stack("gitaway", &[]);
    stack.write("token", "t0ken\n");
    stack.compose(&format!(
        "services:\n  a: {{build: {{context: 'http://{}/app.git', secrets: [GIT_AUTH_TOKEN]}}}}\nsecrets: \
         {{GIT_AUTH_TOKEN: {{file: token}}}}\n",
        server.address
    ));
    let told = failure(&stack);
    assert!(server.requests().iter().any(|request| request.header("authorization").is_some()));
    assert_eq!(other.requests().len(), 0, "{:#?}", other.requests());
    assert!(told.contains("it redirects"), "{told}");

    // Without a login it may lead where it will.
    compose(&stack, &[("a", context(format!("http://{}/app.git", server.address)))]);
    failure(&stack);
    assert!(other.requests().iter().any(|request| request.path == "/app.git/git-upload-pack"));
    assert!(other.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_repository_that_is_nothing_but_files_is_a_context() {
    let origin = Origin::new();
    let first = origin.make("app", &[DOCKERFILE, ("f", "one\n")]);
    origin.commit("app", &[("f", "two\n")]);
    let top = origin.directory.path().join("srv");
    let server = Server::start(move |request| match fs::read(top.join(request.path.trim_start_matches('/'))) {
        Ok(bytes) => Response::ok(bytes),
        Err(_) => Response::new(404, ""),
    });
    let url = format!("http://{}/app.git", server.address);
    let stack = stack("dumb", &[("head", context(&url)), ("old", context(format!("{url}#{first}")))]);
    build(&stack);
    assert_eq!(file(&stack, "head", "f").as_deref(), Some("two\n"));
    assert_eq!(file(&stack, "old", "f").as_deref(), Some("one\n"));
}

#[test]
fn killed_at_any_moment_the_next_build_has_the_whole_context() {
    let origin = Origin::new();
    // Bytes that do not shrink, so that fetching takes a while.
    let mut noise = vec![0u8; 12 << 20];
    let mut state = 1u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    origin.make("app", &[DOCKERFILE, ("f", "one\n")]);
    fs::write(origin.work("app").join("noise"), &noise).unwrap();
    origin.commit("app", &[]);
    let stack = stack("gitkill", &[("a", context(origin.url("app")))]);
    let begun = Instant::now();
    build(&stack);
    let whole = begun.elapsed();
    let layout = stack.ground.layout();
    for round in 0..10u32 {
        fs::remove_dir_all(layout.build_remotes()).unwrap();
        let mut child = stack.command(&["--progress", "plain", "build"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * round / 10);
        child.kill().unwrap();
        child.wait().unwrap();
        let data = layout.data().display().to_string();
        let is_left = |words: &[String]| {
            words.iter().any(|word| word == "--git-dir") && words.iter().any(|w| w.starts_with(&data))
        };
        eventually("git ends", Duration::from_secs(10), || !processes().iter().any(|(_, words)| is_left(words)));
        build(&stack);
        assert_eq!(whole_noise(&stack), noise);
        assert_eq!(kept(&stack), ["lock", "repository", "state.json", "trees"], "round {round}");
    }
}

fn whole_noise(stack: &Stack) -> Vec<u8> {
    let store = Store::open(&stack.ground.layout()).unwrap();
    let image = store.find(&Reference::parse(&format!("{}-a", stack.name)).unwrap()).unwrap().unwrap();
    fs::read(image.layers.last().unwrap().join("noise")).unwrap()
}
