//! Wrong input: each is refused with file, line and column, and leaves nothing behind.

use super::{ground::Ground, stack::Stack};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What is wrong, the file, a word of the answer, and the line it must point at (0: there is none to point at).
const CASES: &[(&str, &str, &str, u32)] = &[
    ("a tab", "services:\n\tx: {}\n", "tab", 2),
    ("an open bracket", "services: {x: {image: a\n", "", 1),
    ("an open quote", "services:\n  x:\n    image: 'busybox\n", "", 3),
    ("a list at the top", "- services\n", "mapping", 1),
    ("a scalar at the top", "services\n", "mapping", 1),
    ("nothing at all", "", "empty", 0),
    ("a key twice", "services:\n  x: {image: a}\n  x: {image: b}\n", "x", 3),
    ("an unknown key of a service", "services:\n  x:\n    image: a\n    enviroment: {}\n", "environment", 4),
    ("an unknown key at the top", "services: {x: {image: a}}\nvolums: {}\n", "volumes", 2),
    ("an unknown key of a healthcheck", "services:\n  x:\n    image: a\n    healthcheck: {tset: [NONE]}\n", "test", 4),
    ("services as a list", "services: [x]\n", "services", 1),
    ("a service as a string", "services:\n  x: busybox\n", "x", 2),
    ("an image as a list", "services:\n  x:\n    image: [a]\n", "image", 3),
    ("ports as a map", "services:\n  x:\n    image: a\n    ports: {a: 1}\n", "ports", 4),
    ("neither image nor build", "services:\n  x:\n    command: 'true'\n", "image", 2),
    ("an undefined dependency", "services:\n  x:\n    image: a\n    depends_on: [nobody]\n", "nobody", 4),
    ("an undefined network", "services:\n  x:\n    image: a\n    networks: [nowhere]\n", "nowhere", 4),
    ("an undefined volume", "services:\n  x:\n    image: a\n    volumes: ['lost:/x']\n", "lost", 4),
    ("an undefined secret", "services:\n  x:\n    image: a\n    secrets: [hush]\n", "hush", 4),
    ("an undefined config", "services:\n  x:\n    image: a\n    configs: [conf]\n", "conf", 4),
    ("a cycle", "services:\n  a: {image: a, depends_on: [b]}\n  b: {image: b, depends_on: [a]}\n", "cycle", 0),
    ("a service that waits for itself", "services:\n  a: {image: a, depends_on: [a]}\n", "a", 0),
    ("a port that is none", "services:\n  x:\n    image: a\n    ports: ['http:80']\n", "http", 4),
    ("a port out of range", "services:\n  x:\n    image: a\n    ports: ['70000:80']\n", "70000", 4),
    ("unequal ranges of ports", "services:\n  x:\n    image: a\n    ports: ['8000-8003:80-81']\n", "8000-8003", 4),
    ("a duration that is none", "services:\n  x:\n    image: a\n    stop_grace_period: soon\n", "soon", 4),
    ("a size that is none", "services:\n  x:\n    image: a\n    mem_limit: lots\n", "lots", 4),
    ("a restart policy that is none", "services:\n  x:\n    image: a\n    restart: sometimes\n", "sometimes", 4),
    (
        "a condition that is none",
        "services:\n  x: {image: a}\n  y:\n    image: a\n    depends_on: {x: {condition: ready}}\n",
        "ready",
        5,
    ),
    ("a required variable", "services:\n  x:\n    image: ${MUSTER_E2E_UNSET:?say which}\n", "say which", 3),
    ("an open variable", "services:\n  x:\n    image: '${OPEN'\n", "OPEN", 3),
    ("a missing env_file", "services:\n  x:\n    image: a\n    env_file: ./lost.env\n", "lost.env", 0),
    ("a missing secret file", "services:\n  x: {image: a, secrets: [s]}\nsecrets:\n  s: {file: ./lost}\n", "lost", 0),
    ("an image reference that is none", "services:\n  x:\n    image: 'UPPER CASE'\n", "UPPER CASE", 0),
    (
        "an image that is not there",
        "services:\n  x:\n    image: 'rootfs:/no/such/directory'\n",
        "/no/such/directory",
        0,
    ),
    (
        "an archive that is not there",
        "services:\n  x:\n    image: 'oci-archive:/no/such/file.tar'\n",
        "/no/such/file.tar",
        0,
    ),
    (
        "a health test without its kind",
        "services:\n  x:\n    image: a\n    healthcheck: {test: [curl, localhost]}\n",
        "CMD",
        4,
    ),
    ("a negative scale", "services:\n  x:\n    image: a\n    scale: -1\n", "scale", 4),
    (
        "a fixed name for several",
        "services:\n  x:\n    image: a\n    container_name: one\n    scale: 2\n",
        "container_name",
        0,
    ),
    (
        "a subnet that is none",
        "services: {x: {image: a}}\nnetworks:\n  default: {ipam: {config: [{subnet: 10.0.0.0/40}]}}\n",
        "10.0.0.0/40",
        0,
    ),
    ("a capability that is none", "services:\n  x:\n    image: a\n    cap_add: [FLY]\n", "FLY", 0),
    ("an attribute that is not there yet", "services:\n  x:\n    image: a\n    devices: [/dev/null]\n", "devices", 4),
];

#[test]
fn wrong_files_are_refused_where_they_are_wrong() {
    assert!(CASES.len() >= 30);
    let ground = Arc::new(Ground::alone());
    let mut faults = Vec::new();
    for (what, yaml, word, line) in CASES {
        let stack = Stack::on(ground.clone(), "wrong", "services: {}");
        stack.compose(&yaml.replace("%ROOT%", &ground.rootfs().display().to_string()));
        let ran = stack.run(&["up", "-d"]);
        let mut fault = |why: &str| faults.push(format!("{what}: {why}\n{yaml}---\n{}{}", ran.stdout, ran.stderr));
        if ran.code == 0 || ran.code > 125 || ran.stderr.contains("panicked") {
            fault(&format!("ended {}", ran.code));
        }
        if !ran.stderr.to_lowercase().contains(&word.to_lowercase()) {
            fault(&format!("says nothing of {word}"));
        }
        if *line > 0 {
            let place = format!("compose.yaml:{line}:");
            if !ran.stderr.contains(&place) {
                fault(&format!("does not point at {place}"));
            } else if !yaml.lines().nth(*line as usize - 1).is_some_and(|text| ran.stderr.contains(text.trim())) {
                fault("does not show the line");
            }
        }
        // A supervisor that has nothing to do leaves, in its own time.
        let begin = Instant::now();
        let mut left = kept(&ground, &stack.name);
        while !left.is_empty() && begin.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
            left = kept(&ground, &stack.name);
        }
        if !left.is_empty() {
            fault(&format!("leaves {left:?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n\n{}", faults.len(), CASES.len(), faults.join("\n\n"));
}

/// What a refused project has on disk, apart from empty directories and its events.
fn kept(ground: &Ground, project: &str) -> Vec<String> {
    let layout = ground.layout();
    let mut found = Vec::new();
    for directory in [layout.containers(), layout.networks(), layout.volumes(), layout.run_containers()] {
        found.extend(names(&directory));
    }
    found.extend(names(&layout.run_project(project)).into_iter().filter(|name| name.ends_with(".sock")));
    found
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn what_only_the_image_can_tell_is_refused_by_name() {
    for (line, word) in
        [("user: nobody-here", "nobody-here"), ("group_add: [no-such-group]", "no-such-group"), ("", "nothing to run")]
    {
        let command = if line.is_empty() { "" } else { "command: 'true'" };
        let yaml = format!("services:\n  x:\n    image: '%IMAGE%'\n    {command}\n    {line}\n");
        let stack = Stack::new("byimage", &yaml);
        let ran = stack.fails(&["up", "-d"]);
        assert!(ran.stderr.contains(word), "{line}: {ran:#?}");
    }
}

#[test]
fn wrong_command_lines_are_refused() {
    let stack = Stack::new("usage", "services: {x: {image: '%IMAGE%', command: [sleep, '1000'], init: true}}");
    for args in [
        &["up", "--no-such-flag"][..],
        &["no-such-verb"],
        &["up", "-d", "nobody"],
        &["exec", "-T", "nobody", "true"],
        &["logs", "nobody"],
        &["kill", "-s", "NOSIGNAL", "x"],
        &["up", "-d", "--scale", "nobody=2"],
        &["up", "-d", "--scale", "x"],
        &["up", "--no-recreate", "--force-recreate", "-d"],
        &["up", "-d", "--abort-on-container-exit"],
        &["-f", "lost.yaml", "up", "-d"],
        &["port", "x", "99999"],
    ] {
        let ran = stack.fails(args);
        assert!(ran.code < 126 && !ran.stderr.is_empty() && !ran.stderr.contains("panicked"), "{args:?}: {ran:#?}");
    }
    assert_eq!(stack.records().len(), 0);
}
