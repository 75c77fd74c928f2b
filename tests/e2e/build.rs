//! `build:` from the file to the container: when images are built, what they are made of, and what failures say.

use super::{
    ground::Ground,
    proc::eventually,
    registry::Registry,
    stack::{Ran, Stack},
};
use std::{sync::Arc, time::Duration};

/// Everything of the busybox root as the base of a stage; `%ROOT%` is that directory.
const BASE: &str = "FROM scratch AS base\nCOPY --from=root / /\n";

const ONE: &str = "
services:
  web:
    build:
      context: src
      additional_contexts: {root: '%ROOT%'}
    command: [sleep, '1000']
    init: true
";

fn stack(label: &str, yaml: &str) -> Stack {
    filled(Stack::new(label, "services: {}"), yaml)
}

fn filled(stack: Stack, yaml: &str) -> Stack {
    let root = stack.ground.rootfs().display().to_string();
    stack.compose(&yaml.replace("%ROOT%", &root));
    stack
}

fn dockerfile(stack: &Stack, text: &str) {
    stack.write("src/Dockerfile", &format!("{BASE}{text}"));
}

/// `#3 [web 2/3] RUN x` is told as cached.
fn is_cached(ran: &Ran, title: &str) -> bool {
    let line = ran.stderr.lines().find(|line| line.contains(title)).unwrap_or_else(|| panic!("{title}: {ran:#?}"));
    let number = line.split_whitespace().next().unwrap();
    ran.stderr.lines().any(|line| line == format!("{number} CACHED"))
}

fn image_of(stack: &Stack, service: &str) -> String {
    stack.record(service).image_id.to_string()
}

#[test]
fn up_builds_what_is_not_there_and_builds_again_only_when_asked() {
    let stack = stack("build", ONE);
    dockerfile(&stack, "COPY page /page\nRUN tr a-z A-Z < /page > /shouted\n");
    stack.write("src/page", "hello\n");
    let told = stack.run(&["plan"]);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(told.code == 0 && lines[0].contains("build") && lines[0].ends_with("not built yet"), "{told:#?}");
    assert!(lines.iter().any(|line| line.contains("create container") && line.contains("(after #0")), "{told:#?}");
    let first = stack.run(&["up", "-d"]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!(stack.exec("web", &["cat", "/shouted"]), "HELLO");
    let (pid, image) = (stack.pid("web"), image_of(&stack, "web"));

    stack.write("src/page", "changed\n");
    let again = stack.run(&["up", "-d"]);
    assert!(!again.stderr.contains("COPY page"), "an image that is there was built: {again:#?}");
    assert_eq!(stack.pid("web"), pid);

    let built = stack.run(&["up", "-d", "--build"]);
    assert_eq!(built.code, 0, "{built:#?}");
    assert!(is_cached(&built, "COPY --from=root") && !is_cached(&built, "RUN tr"), "{built:#?}");
    assert_eq!(stack.exec("web", &["cat", "/shouted"]), "CHANGED");
    assert_ne!(image_of(&stack, "web"), image);

    // Nothing has changed: the same image, and nothing is replaced.
    let pid = stack.pid("web");
    let same = stack.run(&["up", "-d", "--build"]);
    assert!(is_cached(&same, "RUN tr"), "{same:#?}");
    assert_eq!(stack.pid("web"), pid);
}

#[test]
fn no_build_needs_the_image_and_says_how_to_get_it() {
    let stack = stack("nobuild", ONE);
    dockerfile(&stack, "");
    let refused = stack.fails(&["up", "-d", "--no-build"]);
    assert!(refused.stderr.contains("muster build web"), "{refused:#?}");
    assert_eq!(stack.records().len(), 0);
    stack.ok(&["build"]);
    stack.ok(&["up", "-d", "--no-build"]);
}

#[test]
fn a_program_that_fails_is_told_with_its_line_and_its_last_words_and_leaves_nothing() {
    let stack = stack("fails", ONE);
    dockerfile(&stack, "RUN echo one; \\\n  echo two >&2; exit 7\n");
    let failed = stack.fails(&["up", "-d"]);
    for words in ["exit code: 7", "Dockerfile:3", "> two", "RUN echo one"] {
        assert!(failed.stderr.contains(words), "{words}: {failed:#?}");
    }
    assert_eq!(stack.records().len(), 0);
    let wrong = stack_with(&stack, "COPPY a b\nRUN --mont=x y\n");
    assert!(wrong.stderr.contains("did you mean COPY?") && wrong.stderr.contains("--mount"), "{wrong:#?}");
}

fn stack_with(stack: &Stack, text: &str) -> Ran {
    dockerfile(stack, text);
    stack.fails(&["build"])
}

#[test]
fn everything_that_the_file_says_of_a_build_reaches_it() {
    let yaml = "
services:
  web:
    image: ours/web:2
    build:
      context: src
      dockerfile_inline: |
        FROM scratch AS base
        COPY --from=root / /
        FROM base AS wanted
        ARG GREETING
        RUN --mount=type=secret,id=hush cat /run/secrets/hush > /seen; echo $$GREETING > /said; cat /etc/hosts > /hosts
        RUN --network=none ls /sys/class/net > /links
        COPY . /src
        FROM wanted AS unwanted
        RUN exit 1
      additional_contexts: {root: '%ROOT%'}
      target: wanted
      args: {GREETING: well met}
      secrets: [{source: word, target: hush}]
      extra_hosts: [far=10.9.8.7]
      labels: {tier: front}
      tags: [ours/web:latest]
      shm_size: 1m
    command: [sleep, '1000']
    init: true
secrets: {word: {file: word}}
";
    let stack = stack("whole", yaml);
    stack.write("word", "secret");
    stack.write("src/.dockerignore", "*.log\n!keep.log\n");
    for name in ["a.txt", "b.log", "keep.log"] {
        stack.write(&format!("src/{name}"), name);
    }
    stack.up();
    assert_eq!(stack.exec("web", &["cat", "/seen"]), "secret");
    assert_eq!(stack.exec("web", &["cat", "/said"]), "well met");
    assert!(stack.exec("web", &["cat", "/hosts"]).contains("10.9.8.7"));
    assert_eq!(stack.exec("web", &["cat", "/links"]), "lo");
    assert_eq!(stack.exec("web", &["ls", "/src"]), "a.txt\nkeep.log");
    assert_eq!(stack.exec("web", &["sh", "-c", "ls /run/secrets /etc/resolv.conf 2>/dev/null | wc -l"]), "1");
    let images = stack.ok(&["image", "ls"]);
    assert_eq!(images.lines().filter(|line| line.starts_with("ours/web")).count(), 2, "{images}");
    // A secret is in no layer, and not in the history.
    let id = image_of(&stack, "web");
    let history = stack.ok(&["image", "inspect", &id]);
    assert!(history.contains("\"tier\"") && !history.contains("\"secret\""), "{history}");
}

#[test]
fn services_are_built_from_each_other_in_order() {
    let yaml = "
services:
  app:
    build:
      context: src
      dockerfile_inline: 'FROM common'
      additional_contexts: {common: 'service:common'}
    command: [cat, /made]
  common:
    build:
      context: src
      dockerfile_inline: |
        FROM scratch
        COPY --from=root / /
        RUN echo here > /made
      additional_contexts: {root: '%ROOT%'}
    scale: 0
";
    let stack = stack("chain", yaml);
    stack.write("src/x", "");
    stack.up();
    eventually("the program has written", Duration::from_secs(10), || stack.ok(&["logs", "app"]).contains("here"));
    let circle = "
services:
  a: {build: {context: src, dockerfile_inline: 'FROM b', additional_contexts: {b: 'service:b'}}}
  b: {build: {context: src, dockerfile_inline: 'FROM a', additional_contexts: {a: 'service:a'}}}
";
    stack.compose(circle);
    let refused = stack.fails(&["build"]);
    assert!(refused.stderr.contains("which is built from it"), "{refused:#?}");
}

#[test]
fn run_and_the_flags_of_build_do_what_they_say() {
    // What --no-cache makes anew is anew for whoever shares the cache.
    let stack = filled(Stack::on(Arc::new(Ground::alone()), "flags", "services: {}"), ONE);
    dockerfile(&stack, "ARG WHO=nobody\nRUN echo $WHO > /who; cat /proc/sys/kernel/random/uuid > /when\n");
    let who = |stack: &Stack| stack.ok(&["run", "--rm", "-T", "web", "cat", "/who"]).trim().to_owned();
    assert_eq!(who(&stack), "nobody");
    stack.ok(&["build", "--build-arg", "WHO=me"]);
    assert_eq!(who(&stack), "me");
    let when = |stack: &Stack| stack.ok(&["run", "--rm", "-T", "web", "cat", "/when"]);
    let before = when(&stack);
    stack.ok(&["build", "--build-arg", "WHO=me"]);
    assert_eq!(when(&stack), before);
    stack.ok(&["build", "--build-arg", "WHO=me", "--no-cache"]);
    assert_ne!(when(&stack), before);
    let quiet = stack.run(&["build", "-q"]);
    assert!(quiet.stdout.starts_with("sha256:") && quiet.stderr.is_empty(), "{quiet:#?}");
    assert!(stack.fails(&["build", "wbe"]).stderr.contains("did you mean `web`"));
}

#[test]
fn what_cannot_be_built_is_refused_by_name() {
    for (build, word) in [
        ("https://127.0.0.1:1/repo.git", "repo.git"),
        ("{context: lost}", "lost"),
        ("{context: src, dockerfile: Lost}", "Lost"),
        ("{context: src, network: mine}", "build.network"),
        ("{context: src, ssh: [default]}", "SSH_AUTH_SOCK"),
        ("{context: src, additional_contexts: {a: 'http://127.0.0.1:1/x'}}", "127.0.0.1:1/x"),
        ("{context: src, additional_contexts: {a: 'ftp://127.0.0.1/x'}}", "is neither a directory"),
    ] {
        let stack = stack("refused", &format!("services: {{web: {{build: {build}}}}}"));
        stack.write("src/Dockerfile", "FROM scratch\n");
        let mut command = stack.command(&["build"]);
        command.env_remove("SSH_AUTH_SOCK");
        let refused = super::stack::run(&mut command);
        assert!(refused.code != 0 && refused.stderr.contains(word), "{build}: {refused:#?}");
    }
}

#[test]
fn what_is_built_is_pushed_under_all_its_names_and_runs_elsewhere() {
    let Some(registry) = Registry::start() else { return };
    let host = format!("127.0.0.1:{}", registry.port);
    let yaml = format!(
        "
services:
  web:
    image: {host}/team/web:2
    build:
      context: src
      additional_contexts: {{root: '%ROOT%'}}
      tags: [{host}/team/web:latest]
    command: [cat, /made]
  pulled: {{image: {host}/others/thing:1}}
  nameless: {{build: {{context: src, dockerfile_inline: FROM scratch}}}}
"
    );
    let stack = stack("pushed", &yaml);
    dockerfile(&stack, "RUN echo here > /made\n");
    stack.ok(&["build"]);
    stack.ok(&["push"]);
    let elsewhere = Stack::on(Arc::new(Ground::alone()), "elsewhere", "services: {}");
    for tag in ["2", "latest"] {
        elsewhere.compose(&format!("services: {{web: {{image: '{host}/team/web:{tag}', command: [cat, /made]}}}}"));
        assert_eq!(elsewhere.ok(&["run", "--rm", "-T", "web"]), "here\n");
    }
    elsewhere.ok(&["down", "-t", "0"]);
}

#[test]
fn the_cache_goes_when_asked_and_images_stay_whole() {
    let stack = filled(Stack::on(Arc::new(Ground::alone()), "pruned", "services: {}"), ONE);
    dockerfile(&stack, "RUN --mount=type=cache,target=/kept echo here > /made; echo x > /kept/x\n");
    stack.ok(&["build"]);
    assert!(stack.fails(&["builder", "prune"]).stderr.contains("--force"));
    let said = stack.ok(&["builder", "prune", "-a", "-f"]);
    assert!(said.contains("stay with images") && said.contains("1 cache mounts"), "{said}");
    stack.ok(&["up", "-d", "--no-build"]);
    assert_eq!(stack.exec("web", &["cat", "/made"]), "here");
    stack.ok(&["down", "-t", "0", "--rmi", "local"]);
    assert!(!stack.ok(&["image", "ls"]).contains("pruned-web"), "down --rmi local left the image");
    stack.ok(&["image", "prune", "-a", "-f"]);
    stack.ok(&["builder", "prune", "-f"]);
    let left = std::fs::read_dir(stack.ground.layout().build_layers()).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn build_checks_prints_and_takes_the_flags_of_docker_compose() {
    let stack = stack("flags", ONE);
    dockerfile(&stack, "ENV PASSWORD 1\nRUN exit 3\n");
    let checked = stack.run(&["build", "--check"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    assert!(checked.stdout.contains("LegacyKeyValueFormat") || checked.stdout.contains("old form"), "{checked:#?}");
    assert!(checked.stdout.ends_with("warnings have been found!\n"), "{checked:#?}");
    dockerfile(&stack, "RUN exit 3\n");
    let checked = stack.run(&["build", "--check", "web"]);
    assert_eq!((checked.code, &*checked.stdout), (0, "Check complete, no warnings found.\n"));
    dockerfile(&stack, "RUNN exit 3\n");
    assert!(stack.fails(&["build", "--check"]).stderr.contains("RUNN"));

    dockerfile(&stack, "RUN true\n");
    let printed: serde_json::Value = serde_json::from_str(&stack.ok(&["build", "--print", "--no-cache"])).unwrap();
    let target = &printed["target"]["web"];
    assert_eq!((&target["no-cache"], &target["dockerfile"]), (&true.into(), &"Dockerfile".into()));
    assert!(stack.ok(&["images", "-q"]).is_empty(), "nothing was built");

    let flags = ["--progress", "plain", "--parallel", "--compress", "--force-rm", "--no-rm", "--builder", "default"];
    let more = ["-m", "1g", "--provenance=false", "--sbom=false"];
    let built = stack.run(&[&["build"], &flags[..], &more[..]].concat());
    assert_eq!(built.code, 0, "{built:#?}");
    assert!(built.stderr.contains("--memory has no effect") && !built.stderr.contains("attest"), "{built:#?}");
    assert!(stack.run(&["build", "--provenance=mode=max"]).stderr.contains("--provenance has no effect"));
}

#[test]
fn build_pushes_what_it_built() {
    let Some(registry) = Registry::start() else { return };
    let image = format!("127.0.0.1:{}/team/pushed:1", registry.port);
    let yaml = ONE.replace("    build:", &format!("    image: '{image}'\n    build:"));
    let stack = stack("buildpush", &yaml);
    dockerfile(&stack, "COPY page /page\n");
    stack.write("src/page", "pushed\n");
    stack.ok(&["build", "--push", "-q"]);
    stack.ok(&["rmi", "-f", &image]);
    stack.ok(&["pull", "-q"]);
    stack.ok(&["up", "-d", "--no-build"]);
    assert_eq!(stack.exec("web", &["cat", "/page"]), "pushed");
}

#[test]
fn secrets_of_a_build_come_from_files_and_variables_and_must_be_there() {
    let yaml = format!(
        "{}    \nsecrets: {{token: {{environment: BUILD_TOKEN}}, key: {{file: ./key}}}}\n",
        ONE.replace("      context: src\n", "      context: src\n      secrets: [token, key]\n")
    );
    let stack = stack("secrets", &yaml);
    dockerfile(
        &stack,
        "RUN --mount=type=secret,id=token,env=T --mount=type=secret,id=key test \"$T$(cat /run/secrets/key)\" = shhk\n",
    );
    let told = stack.fails(&["build"]).stderr;
    assert!(told.contains("\"BUILD_TOKEN\" required by the build secret \"token\" is not set"), "{told}");
    stack.write(".env", "BUILD_TOKEN=shh\n");
    let told = stack.fails(&["build"]).stderr;
    assert!(told.contains("the file of the build secret \"key\" is not there"), "{told}");
    stack.write("key", "k");
    stack.ok(&["build"]);
    // Only a build has it: nothing keeps the service from running.
    stack.ok(&["up", "-d"]);
    assert!(!stack.exec("web", &["env"]).contains("shh"));
}

#[test]
fn a_service_that_is_off_can_be_what_others_are_built_from_and_no_pull_replaces_it() {
    let yaml = "
services:
  tools:
    profiles: [never]
    build: {context: src, dockerfile_inline: 'FROM root AS r\nRUN echo tools > /who', additional_contexts: {root: '%ROOT%'}}
  web:
    build: {context: src, additional_contexts: {tools: 'service:tools'}, pull: true}
    command: [sleep, '1000']
    init: true
";
    let stack =
        stack("off", &yaml.replace("FROM root AS r", "FROM scratch\n\n        COPY --from=root / /\n\n        "));
    stack.write("src/Dockerfile", "FROM tools\nRUN cp /who /seen\n");
    stack.ok(&["build", "--pull", "web"]);
    stack.ok(&["up", "-d", "--pull", "always"]);
    assert_eq!(stack.exec("web", &["cat", "/seen"]), "tools");
    assert!(!stack.ok(&["ps", "-a"]).contains("tools"));
}

#[test]
fn an_image_that_cannot_be_had_is_shown_with_its_line_and_the_stage_that_was_meant() {
    let stack = stack("meant", ONE);
    stack.write("src/Dockerfile", &format!("{BASE}FROM base AS builder\nFROM base\nCOPY --from=bulder:no/x /a /b\n"));
    assert_eq!(stack.run(&["build"]).code, 1);
    stack.write("src/Dockerfile", &format!("{BASE}FROM base AS builder\nFROM base\nCOPY --from=127.0.0.1:1/x /a /b\n"));
    let told = stack.fails(&["build"]).stderr;
    assert!(told.contains("Dockerfile:5\n  5 | COPY --from=127.0.0.1:1/x /a /b"), "{told}");
}
