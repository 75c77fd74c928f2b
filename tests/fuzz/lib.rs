//! The loader and the language of Dockerfiles without the engine, and what must hold whatever comes in.

#[path = "../../src/build"]
pub mod build {
    pub mod dockerfile;
    pub mod frontend;
    pub mod op;
    pub mod remote;
}
#[path = "../../src/image"]
pub mod image {
    pub mod digest;
    pub mod reference;
    pub use digest::Digest;
    pub use reference::Reference;
}
#[path = "../../src/compose/mod.rs"]
pub mod compose;
#[path = "../../src/model/mod.rs"]
pub mod model;

use compose::{LoadOptions, Phases, Purpose, document, load};
use std::{cell::RefCell, fs, path::PathBuf};
use tempfile::TempDir;

/// The files that an input may hold. It is their texts, each after a line `#~ NAME`; what comes first is `compose.yaml`.
pub const FILES: [&str; 6] = ["compose.yaml", "over.yaml", "base.yaml", "inc.yaml", ".env", "a.env"];
const MARK: &str = "#~ ";

thread_local! {
    static PLACE: RefCell<TempDir> = RefCell::new(tempfile::tempdir().expect("a directory for the files"));
}

/// Writes the files of an input, and takes away those of the last one.
pub fn files(input: &[u8]) -> LoadOptions {
    let directory: PathBuf = PLACE.with_borrow(|place| place.path().to_owned());
    let mut texts: [Vec<u8>; FILES.len()] = Default::default();
    let mut current = 0;
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let name = line.strip_prefix(MARK.as_bytes()).map(<[u8]>::trim_ascii);
        match FILES.iter().position(|file| Some(file.as_bytes()) == name) {
            Some(file) => current = file,
            None => texts[current].extend_from_slice(line),
        }
    }
    let mut options = LoadOptions { cwd: directory.clone(), purpose: Purpose::Show, ..Default::default() };
    options.environment.insert("WORD".into(), "word".into());
    for (name, text) in FILES.iter().zip(&texts) {
        let path = directory.join(name);
        if text.is_empty() && *name != FILES[0] {
            let _ = fs::remove_file(path);
            continue;
        }
        fs::write(path, text).expect("room for the files");
        if matches!(*name, "compose.yaml" | "over.yaml") {
            options.files.push((*name).into());
        }
    }
    options
}

/// Loads twice: both times the same. What it prints loads again as the same, but for what `lost` says. All that is found
/// can be shown.
pub fn check(options: &LoadOptions) {
    // What the engine cannot do is no matter below, but asking must do no harm.
    if let Err(findings) = load(&LoadOptions { purpose: Purpose::Run, ..options.clone() }) {
        let _ = findings.render(true);
    }
    let first = printed(options);
    // Of some inputs: each run takes as long as the rest of this.
    if first.as_ref().map_or_else(String::len, String::len) % 8 == 0 {
        assert_eq!(first, printed(options), "the second run says something else");
    }
    let Ok(text) = first else { return };
    let mut again = options.clone();
    again.files = vec!["printed.yaml".into()];
    again.overlay = None;
    fs::write(options.cwd.join("printed.yaml"), &text).expect("room for the files");
    match printed(&again) {
        Ok(second) => assert!(second == text || lost(&text), "what is printed means something else: {text}\n{second}"),
        // An optional dependency that is off, and hosts that are listed twice.
        Err(findings) if findings.contains("depends on undefined service") || findings.contains("` repeats `") => {}
        Err(findings) => panic!("what is printed is refused: {findings}\n{text}"),
    }
}

/// What is printed as docker compose prints it, although it reads otherwise: names with a dollar, which is doubled, a
/// build of nothing, and addresses that are none.
fn lost(printed: &str) -> bool {
    serde_yaml::from_str(printed).is_ok_and(|value| is_odd("", &value))
}

fn is_odd(name: &str, value: &serde_yaml::Value) -> bool {
    match value {
        serde_yaml::Value::Mapping(entries) => {
            let nothing = name == "build" && !entries.contains_key("context");
            let odd = |(key, value): (&serde_yaml::Value, &serde_yaml::Value)| {
                let key = key.as_str().unwrap_or_default();
                key.contains("$$") || is_odd(key, value)
            };
            nothing || entries.iter().any(odd)
        }
        serde_yaml::Value::Sequence(items) if name == "extra_hosts" => {
            items.iter().filter_map(serde_yaml::Value::as_str).any(|host| host.contains([',', '[']))
        }
        serde_yaml::Value::Sequence(items) => items.iter().any(|item| is_odd(name, item)),
        _ => false,
    }
}

fn printed(options: &LoadOptions) -> Result<String, String> {
    match document(options, Phases::default()) {
        Ok(document) => {
            let _ = document.warnings.render(true);
            let _ = document.to_json();
            Ok(document.to_yaml())
        }
        Err(findings) => {
            assert!(findings.has_errors(), "refused without an error");
            for finding in findings.items() {
                let _ = findings.location(finding);
            }
            Err(findings.render(false))
        }
    }
}
