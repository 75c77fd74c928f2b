//! The short forms: a text as a port, a mount, a device, a duration, a size, a host, a command and so on.
#![no_main]

use muster::compose::{LoadOptions, Purpose};
use std::sync::LazyLock;

/// `%` is the text, quoted.
const FORMS: [&str; 36] = [
    "ports: [%]",
    "volumes: [%]",
    "devices: [%]",
    "stop_grace_period: %",
    "mem_limit: %",
    "extra_hosts: [%]",
    "extra_hosts: {h: %}",
    "command: %",
    "entrypoint: %",
    "expose: [%]",
    "environment: [%]",
    "labels: [%]",
    "tmpfs: %",
    "volumes_from: [%]",
    "links: [%]",
    "ulimits: {nofile: %}",
    "healthcheck: {test: %, interval: %, retries: %}",
    "restart: %",
    "configs: [{source: c, mode: %}]",
    "cpus: %",
    "cpuset: %",
    "sysctls: [%]",
    "security_opt: [%]",
    "dns: %",
    "image: %",
    "build: %",
    "build: {context: ., ssh: [%], additional_contexts: [%], args: [%]}",
    "network_mode: %",
    "pid: %",
    "user: %",
    "networks: {n: {ipv4_address: %}}",
    "deploy: {resources: {limits: {cpus: %, memory: %}}}",
    "blkio_config: {device_read_bps: [{path: %, rate: %}]}",
    "init: %",
    "scale: %",
    "pull_policy: %",
];

static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory for the files");
    let text = "services: {a: {image: i, networks: [n]}}\nnetworks: {n: }\nconfigs: {c: {content: x}}\n";
    std::fs::write(directory.path().join("compose.yaml"), text).expect("room for the file");
    directory
});

libfuzzer_sys::fuzz_target!(|input: (u8, &str)| {
    let (form, text) = input;
    let quoted = serde_json::to_string(&text.replace('$', "$$")).expect("a string");
    let value = FORMS[form as usize % FORMS.len()].replace('%', &quoted);
    muster::check(&LoadOptions {
        cwd: DIRECTORY.path().to_owned(),
        files: vec!["compose.yaml".into()],
        purpose: Purpose::Show,
        overlay: Some(format!("services: {{a: {{{value}}}}}\n")),
        ..Default::default()
    });
});
