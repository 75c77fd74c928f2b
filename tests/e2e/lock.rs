//! `compose.lock`: written from a registry on loopback, followed by what brings images, insisted on by `--locked`.

use super::{
    ground::Ground,
    image::{self, digest},
    registry::Registry,
    stack::Stack,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Pushes an image that sleeps and says `marker`; answers the digest of its manifest.
fn publish(registry: &Registry, stack: &Stack, name: &str, marker: &str) -> String {
    let directory = stack.directory().join(format!("image-{}-{marker}", name.replace('/', "-")));
    image::Layout::busybox(&stack.ground, &directory)
        .layer(&[("marker", marker)])
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    registry.push(&directory, name, "v1");
    top(&directory)["digest"].as_str().unwrap().to_owned()
}

fn top(directory: &Path) -> Value {
    let index: Value = serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap();
    index["manifests"][0].clone()
}

fn lock_of(stack: &Stack) -> String {
    fs::read_to_string(stack.directory().join("compose.lock")).unwrap()
}

#[track_caller]
fn rows(stack: &Stack, args: &[&str]) -> Vec<Value> {
    let ran = stack.run(args);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:#?}"))
}

#[test]
fn a_lock_holds_what_runs_until_it_is_updated() {
    let Some(registry) = Registry::start() else { return };
    let stack = Stack::on(Ground::shared(), "lock", "services: {}");
    let name = format!("127.0.0.1:{}/team/app:v1", registry.port);
    let first = publish(&registry, &stack, "team/app", "one");
    stack.compose(&format!("services: {{x: {{image: '{name}', init: true}}}}"));
    stack.ok(&["lock"]);
    assert!(lock_of(&stack).contains(&format!("  \"{name}\":\n    digest: {first}\n    platform: linux/")));

    // The tag goes on; what runs does not.
    let second = publish(&registry, &stack, "team/app", "two");
    stack.ok(&["up", "-d", "--pull", "always"]);
    assert_eq!(stack.exec("x", &["cat", "/marker"]), "one");
    assert_eq!(stack.ps_of("x")["Image"], name);
    let container = stack.record("x").id;
    assert_eq!(stack.run(&["lock", "--check"]).code, 0);
    let before = lock_of(&stack);
    stack.ok(&["lock"]);
    assert_eq!(lock_of(&stack), before, "what is locked stays");
    assert_eq!(stack.run(&["lock", "--update", "--check"]).code, 2);
    assert_eq!(lock_of(&stack), before, "a check writes nothing");

    let told = rows(&stack, &["lock", "--update", "--format", "json"]);
    assert_eq!(
        (&told[0]["change"], &told[0]["from"], &told[0]["to"]),
        (&json!("updated"), &json!(first), &json!(second))
    );
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/marker"]), "two");
    let replaced = stack.record("x").id;
    assert_ne!(replaced, container);

    // Another digest for the same image: an index around it.
    let directory = stack.directory().join("image-team-app-two");
    let mut entry = top(&directory);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    entry["platform"] = json!({"os": "linux", "architecture": architecture});
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).to_string();
    let put = registry.send("PUT", "/v2/team/app/manifests/v1", kind, index.as_bytes());
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    let told = rows(&stack, &["lock", "--update", "--format", "json"]);
    assert_eq!(told[0]["to"], digest(index.as_bytes()));
    stack.up();
    assert_eq!(stack.record("x").id, replaced, "the same image needs no new container");
    // From the store by its digest, without the registry.
    drop(registry);
    stack.ok(&["down", "-t", "0"]);
    stack.ok(&["up", "-d", "--locked"]);
    assert_eq!(stack.exec("x", &["cat", "/marker"]), "two");
}

#[test]
fn the_bases_of_builds_are_locked_and_followed() {
    let Some(registry) = Registry::start() else { return };
    let stack = Stack::on(Ground::shared(), "lock-build", "services: {}");
    let host = format!("127.0.0.1:{}", registry.port);
    for name in ["base", "tools", "data", "unused"] {
        publish(&registry, &stack, name, "one");
    }
    stack.write(
        "app/Dockerfile",
        &format!(
            "ARG TAG=v1\nFROM {host}/unused:v1 AS never\nFROM {host}/base:$TAG\nCOPY --from={host}/tools:v1 /marker /tools\nCOPY --from=extra /marker /data\n"
        ),
    );
    stack.compose(&format!(
        "services:\n  app:\n    init: true\n    build:\n      context: app\n      additional_contexts: {{extra: 'docker-image://{host}/data:v1'}}\n  off:\n    image: {host}/unused:v1\n    profiles: [off]\n"
    ));
    let told = rows(&stack, &["lock", "--format", "json"]);
    let told: Vec<(&str, &str)> =
        told.iter().map(|row| (row["image"].as_str().unwrap(), row["used_by"][0].as_str().unwrap())).collect();
    let image = |name: &str| format!("{host}/{name}:v1");
    let expected = [
        (image("base"), "build of app"),
        (image("data"), "build of app"),
        (image("tools"), "build of app"),
        (image("unused"), "service off"),
    ];
    assert_eq!(told, expected.each_ref().map(|(image, by)| (image.as_str(), *by)));
    for name in ["base", "tools", "data"] {
        publish(&registry, &stack, name, "two");
    }
    stack.ok(&["build", "--pull", "--locked"]);
    stack.up();
    assert_eq!(stack.exec("app", &["cat", "/marker", "/tools", "/data"]), "oneoneone");
    stack.ok(&["lock", "--update", "app"]);
    stack.ok(&["up", "-d", "--build", "--locked"]);
    assert_eq!(stack.exec("app", &["cat", "/marker", "/tools", "/data"]), "twotwotwo");
}

#[test]
fn locked_names_every_drift_and_touches_nothing() {
    let Some(registry) = Registry::start() else { return };
    let stack = Stack::on(Ground::shared(), "lock-drift", "services: {}");
    let host = format!("127.0.0.1:{}", registry.port);
    for name in ["app", "other", "base"] {
        publish(&registry, &stack, name, "one");
    }
    let local = stack.image();
    stack.compose(&format!("services: {{x: {{image: '{host}/app:v1', init: true}}, here: {{image: '{local}'}}}}"));
    let ran = stack.fails(&["up", "-d", "--locked"]);
    assert!(ran.stderr.contains("there is no compose.lock"), "{ran:#?}");
    let told = stack.ok(&["lock"]);
    assert!(told.contains("local") && told.contains(&local), "{told}");
    stack.write("built/Dockerfile", &format!("FROM {host}/base:v1\n"));
    stack.compose(&format!(
        "services: {{y: {{image: '{host}/other:v1'}}, b: {{build: built}}, here: {{image: '{local}'}}}}"
    ));
    for verb in [&["up", "-d"][..], &["create"], &["pull"], &["build"], &["plan"]] {
        let ran = stack.fails(&[verb, &["--locked"]].concat());
        for part in [
            format!("{host}/other:v1 is not locked (service y)"),
            format!("{host}/base:v1 is not locked (build of b)"),
            format!("{host}/app:v1 is locked, and nothing uses it"),
        ] {
            assert!(ran.stderr.contains(&part), "{part}\n{ran:#?}");
        }
    }
    let ran = stack.fails(&["run", "--rm", "--locked", "y", "true"]);
    assert!(ran.stderr.contains("is not locked (service y)"), "{ran:#?}");
    assert!(stack.records().is_empty());
    let ran = stack.run(&["lock", "--check"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert_eq!(ran.stdout.matches("missing").count(), 2, "{ran:#?}");
    stack.ok(&["lock"]);
    assert_eq!(stack.run(&["lock", "--check"]).code, 2, "what nobody uses stays until an update");
    stack.ok(&["lock", "--update"]);
    stack.ok(&["lock", "--check"]);
    stack.ok(&["pull", "--locked", "y"]);
}

#[test]
fn a_lock_that_cannot_be_read_or_written_changes_nothing() {
    let Some(registry) = Registry::start() else { return };
    let stack = Stack::on(Ground::shared(), "lock-bad", "services: {}");
    let host = format!("127.0.0.1:{}", registry.port);
    publish(&registry, &stack, "app", "one");
    stack.compose(&format!("services: {{x: {{image: '{host}/app:v1'}}, gone: {{image: '{host}/gone:v1'}}}}"));
    let ran = stack.fails(&["lock"]);
    assert!(ran.stderr.contains(&format!("{host}/gone:v1 (service gone)")), "{ran:#?}");
    assert!(!stack.directory().join("compose.lock").exists());
    let bad = "version: 1\nimages:\n  \"x:1\":\n    digest: sha256:1\n";
    stack.write("compose.lock", bad);
    for verb in [&["up", "-d"][..], &["pull"], &["lock"], &["lock", "--update"]] {
        let ran = stack.fails(verb);
        assert!(ran.stderr.contains("compose.lock:4:13"), "{ran:#?}");
    }
    assert_eq!(lock_of(&stack), bad);
    assert!(stack.ps().is_empty());
}
