//! Keeps the architecture as it is drawn: which layer may import which, where `unsafe` may stand, and that files stay
//! small and say what they are for. It reads the sources as text and names file and line of what does not fit.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// What a folder of `src/` may import besides std and itself.
struct Layer {
    folder: &'static str,
    /// Other layers: `model`, or one module of them: `state::records`.
    layers: &'static [&'static str],
    /// Crates that belong to certain layers alone; what stands in none of these rows is free for all.
    crates: &'static [&'static str],
}

/// Crates that not every layer may use. Everything else of `Cargo.toml` (serde, thiserror, time, text ...) is free.
const GUARDED: &[&str] = &[
    "annotate_snippets",
    "anstream",
    "axum",
    "clap",
    "comfy_table",
    "granit_parser",
    "hickory_proto",
    "http_body_util",
    "hyper",
    "hyper_util",
    "libc",
    "netlink_packet_core",
    "netlink_packet_netfilter",
    "netlink_packet_route",
    "netlink_sys",
    "nix",
    "reqwest",
    "petgraph",
    "rtnetlink",
    "rustix",
    "rustls",
    "seccompiler",
    "serde_yaml",
    "tokio",
    "tracing",
    "tracing_subscriber",
];

/// The table, lowest layer first.
const LAYERS: &[Layer] = &[
    Layer { folder: "sys", layers: &[], crates: &["libc", "netlink_sys", "nix", "rustix"] },
    Layer { folder: "model", layers: &[], crates: &[] },
    Layer { folder: "state", layers: &["sys", "model"], crates: &["libc", "nix", "rustix"] },
    Layer { folder: "compose", layers: &["model"], crates: &["annotate_snippets", "granit_parser", "serde_yaml"] },
    Layer { folder: "graph", layers: &["model"], crates: &["petgraph"] },
    Layer { folder: "plan", layers: &["model", "graph"], crates: &["petgraph"] },
    Layer { folder: "lifecycle", layers: &["model"], crates: &[] },
    Layer { folder: "api", layers: &["model", "plan", "state::records"], crates: &[] },
    Layer { folder: "runtime", layers: &["sys"], crates: &["libc", "nix", "rustix"] },
    Layer {
        folder: "image",
        layers: &["sys", "state", "model"],
        crates: &["libc", "nix", "reqwest", "rustix", "rustls", "tokio", "tracing"],
    },
    Layer {
        folder: "build",
        layers: &["sys", "state", "model", "image", "runtime", "graph", "network"],
        crates: &["libc", "nix", "petgraph", "reqwest", "rustix", "rustls", "tokio", "tracing"],
    },
    // How to work inside one hostile tree is `image`'s, what a container's files are and who its user is the runtime's.
    Layer {
        folder: "transfer",
        layers: &["sys", "state", "model::ids", "image::tree", "runtime::files", "runtime::spec", "runtime::user"],
        crates: &["libc", "nix", "rustix"],
    },
    Layer {
        folder: "bundle",
        layers: &["sys", "state", "model", "image", "volume"],
        crates: &["libc", "nix", "rustix", "tokio"],
    },
    Layer { folder: "volume", layers: &["sys", "state", "model"], crates: &["libc", "nix", "rustix"] },
    Layer {
        folder: "network",
        layers: &["sys", "state", "model"],
        crates: &[
            "libc",
            "netlink_packet_core",
            "netlink_packet_netfilter",
            "netlink_packet_route",
            "netlink_sys",
            "nix",
            "rtnetlink",
            "rustix",
            "tokio",
            "tracing",
        ],
    },
    Layer {
        folder: "dns",
        layers: &["sys", "state", "model"],
        crates: &["hickory_proto", "libc", "nix", "rustix", "tokio", "tracing"],
    },
    Layer {
        folder: "specgen",
        layers: &[
            "model",
            "runtime::spec",
            "network",
            "volume",
            "image",
            "shim::wire",
            "state::records",
            "state::layout",
        ],
        crates: &[],
    },
    Layer { folder: "shim", layers: &["runtime", "sys", "state", "model::ids"], crates: &["libc", "nix", "rustix"] },
    Layer {
        folder: "reconcile",
        layers: &[
            "plan",
            "specgen",
            "model",
            "sys",
            "image",
            "volume",
            "network",
            "dns",
            "runtime::spec",
            "runtime::cgroup",
            "runtime::sealed_self_exe",
            "shim::wire",
            "state",
            "api",
        ],
        crates: &["libc", "nix", "rustix", "tokio", "tracing"],
    },
    Layer {
        folder: "supervisor",
        layers: &["reconcile", "lifecycle", "plan", "graph", "model", "dns", "api", "shim::wire", "state"],
        crates: &[
            "axum",
            "http_body_util",
            "hyper",
            "hyper_util",
            "libc",
            "nix",
            "rustix",
            "tokio",
            "tracing",
            "tracing_subscriber",
        ],
    },
    Layer {
        folder: "cli",
        layers: &[
            "compose",
            "model",
            "graph",
            "plan",
            "api",
            "image",
            "build",
            "transfer",
            "state",
            "shim::wire",
            "bundle",
        ],
        crates: &[
            "anstream",
            "clap",
            "comfy_table",
            "http_body_util",
            "hyper",
            "hyper_util",
            "libc",
            "nix",
            "rustix",
            "serde_yaml",
            "tokio",
            "tracing",
            "tracing_subscriber",
        ],
    },
];

/// What a layer's `mod.rs` shows again of a module: the module is what counts.
const REEXPORTS: &[(&str, &str)] = &[
    ("crate::model::ContainerId", "crate::model::ids::ContainerId"),
    ("crate::model::ImageId", "crate::model::ids::ImageId"),
    ("crate::model::NetworkId", "crate::model::ids::NetworkId"),
    ("crate::state::Layout", "crate::state::layout::Layout"),
];

/// Pure layers touch no kernel, clock or environment: these paths of std stand in none of them.
const PURE: &[&str] =
    &["model", "compose", "graph", "plan", "lifecycle", "api", "specgen", "build/dockerfile", "build/frontend"];
const EFFECTS: &[&str] = &[
    "std::env",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
];
/// The files of pure layers that may read files.
const READERS: &[&str] = &["src/compose/source.rs"];

const LONGEST: usize = 600;

#[test]
fn every_folder_of_the_sources_is_a_layer() {
    let mut strangers = String::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let known = if entry.file_type().unwrap().is_dir() {
            LAYERS.iter().any(|layer| layer.folder == name)
        } else {
            ["main.rs", "lib.rs"].contains(&name.as_str())
        };
        if !known {
            writeln!(strangers, "src/{name}: stands in no layer").unwrap();
        }
    }
    assert!(strangers.is_empty(), "\n{strangers}");
}

#[test]
fn a_layer_imports_only_what_it_may() {
    let mut faults = String::new();
    for layer in LAYERS {
        for source in sources(&root().join("src").join(layer.folder)) {
            for (line, path) in paths(&source.code) {
                if let Some(why) = layer.refuses(&path) {
                    writeln!(faults, "{}:{line}: {}/ may not import {path}{why}", source.name, layer.folder).unwrap();
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn pure_layers_touch_no_clock_no_environment_and_no_process() {
    let mut faults = String::new();
    for source in PURE.iter().flat_map(|folder| sources(&root().join("src").join(folder))) {
        let reads = READERS.contains(&source.name.as_str());
        for (number, line) in source.code.lines().enumerate() {
            let effect = EFFECTS.iter().chain((!reads).then_some(&"std::fs")).find(|effect| has_path(line, effect));
            if let Some(effect) = effect {
                writeln!(faults, "{}:{}: {effect} in a pure layer", source.name, number + 1).unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn unsafe_code_stands_only_in_sys_and_says_why() {
    let mut faults = String::new();
    for source in sources(&root().join("src")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in source.code.lines().enumerate() {
            if !has_word(line, "unsafe") {
                continue;
            }
            let place = format!("{}:{}", source.name, index + 1);
            if !source.name.starts_with("src/sys/") {
                writeln!(faults, "{place}: unsafe outside of src/sys").unwrap();
            }
            // The reason stands above the statement that holds the block, or at the top of the block.
            let near = &lines[index.saturating_sub(8)..lines.len().min(index + 4)];
            let said = near.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
            if !said && !line.contains("unsafe_code") {
                writeln!(faults, "{place}: unsafe without a SAFETY reason").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    let mut faults = String::new();
    for source in sources(&root().join("src")) {
        if !source.text.starts_with("//! ") {
            writeln!(faults, "{}:1: does not open with what it is for (`//! ...`)", source.name).unwrap();
        }
        let lines = source.text.lines().count();
        if lines > LONGEST {
            writeln!(faults, "{}:{LONGEST}: {lines} lines ask for a second file", source.name).unwrap();
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

impl Layer {
    /// Why this layer may not import `path` (`crate::a::b`, or `name::...` of another crate); `None` when it may.
    fn refuses(&self, path: &str) -> Option<String> {
        let path = REEXPORTS.iter().find(|(short, _)| path == *short).map_or(path, |(_, whole)| whole);
        let mut parts = path.split("::");
        let first = parts.next()?;
        if first != "crate" {
            let refused = GUARDED.contains(&first) && !self.crates.contains(&first);
            return refused.then(String::new);
        }
        let layer = parts.next()?;
        if layer == self.folder || self.layers.contains(&layer) || !LAYERS.iter().any(|known| known.folder == layer) {
            return None;
        }
        let module = parts.next().map(|module| format!("{layer}::{module}"));
        if module.is_some_and(|module| self.layers.contains(&module.as_str())) {
            return None;
        }
        let partly: Vec<&str> =
            self.layers.iter().copied().filter(|allowed| allowed.starts_with(&format!("{layer}::"))).collect();
        Some(if partly.is_empty() { String::new() } else { format!("; of {layer}/ only {}", partly.join(", ")) })
    }
}

struct Source {
    /// Relative to the top of the repository.
    name: String,
    text: String,
    /// `text` without comments, strings and tests, line for line.
    code: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<Source> {
    let mut found: Vec<Source> = Vec::new();
    let mut tests = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                let code = code(&text);
                tests.extend(test_modules(&path, &text));
                found.push(Source { name, code, text });
            }
        }
    }
    for source in &mut found {
        let path = root().join(&source.name);
        if tests.iter().any(|test| path.starts_with(test)) {
            source.code.clear();
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Files and folders that some file names as `#[cfg(test)] mod name;`: they may use what they like.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let parent = path.parent().unwrap();
    let opens_folder = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
    let folder = if opens_folder { parent.to_owned() } else { parent.join(path.file_stem().unwrap()) };
    let names =
        text.split("#[cfg(test)]").skip(1).filter_map(|after| after.trim_start().strip_prefix("mod ")?.split_once(';'));
    let names = names.map(|(name, _)| name).filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    names.flat_map(|name| [folder.join(name), folder.join(format!("{name}.rs"))]).collect()
}

/// Blanks comments, strings and what follows the first `#[cfg(test)]` that opens a module; keeps line numbers.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").filter(|at| text[*at..].contains('{')).unwrap_or(text.len());
    let mut out = String::with_capacity(end);
    let mut rest = &text[..end];
    while let Some(next) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if next == '"' {
            quoted(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("b'\"'") {
            rest.find("'\"'").unwrap() + 3
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        let (skipped, after) = rest.split_at(skip);
        out.extend(skipped.chars().filter(|c| *c == '\n'));
        out.push(' ');
        rest = after;
    }
    out
}

/// Length of the raw string literal that `text` begins with.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&close).map_or(text.len(), |at| 1 + hashes + 1 + at + close.len()))
}

/// Length of the string literal that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Every path that begins with `crate::`, or with the name of a guarded crate, with the line it stands on; the trees
/// of `use` are taken apart: `use crate::{a::b, c}` gives `crate::a::b` and `crate::c`.
fn paths(code: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    let starts = GUARDED.iter().copied().chain(["crate"]);
    for start in starts {
        for (at, _) in code.match_indices(&format!("{start}::")) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') && !code[..at].ends_with(" ::") {
                continue;
            }
            spread(code, at, String::new(), &mut found);
        }
        for (at, _) in code.match_indices(&format!("use {start};")) {
            found.insert((line_of(code, at), start.to_owned()));
        }
    }
    found
}

/// Reads one path from `at` on and answers where it ends; a brace opens one path for each of its members.
fn spread(code: &str, at: usize, prefix: String, found: &mut BTreeSet<(usize, String)>) -> usize {
    let mut path = prefix;
    let mut here = at;
    loop {
        let rest = &code[here..];
        let trimmed = rest.trim_start();
        here += rest.len() - trimmed.len();
        if let Some(after) = trimmed.strip_prefix("::") {
            path.push_str("::");
            here = code.len() - after.len();
        } else if trimmed.starts_with('{') && path.ends_with("::") {
            here += 1;
            loop {
                let rest = &code[here..];
                let inner = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                here += rest.len() - inner.len();
                if inner.starts_with('}') || inner.is_empty() {
                    return here + 1;
                }
                let end = spread(code, here, path.clone(), found);
                // `a as b` and `*` leave something behind that is no path.
                here = end.max(here + 1);
                let rest = &code[here..];
                here += rest.find([',', '}', '{']).unwrap_or(rest.len());
            }
        } else {
            let word = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
            if word == 0 || !(path.is_empty() || path.ends_with("::")) {
                break;
            }
            path.push_str(&trimmed[..word]);
            here += word;
        }
    }
    found.insert((line_of(code, at), path.trim_end_matches("::").to_owned()));
    here
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|part| part == word)
}

fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let after = line[at + path.len()..].chars().next();
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn the_reader_of_imports_sees_what_is_there() {
    let text = r##"
use crate::{
    model::{ids::ContainerId, Project as P},
    sys,
};
// use crate::comment;
fn f() -> crate::plan::Plan { let s = "crate::string"; tokio::spawn(x); my_tokio::spawn(y); r#"crate::raw"#; }
#[cfg(test)]
mod tests { use crate::tests_only; }
"##;
    let mut seen: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (line, path) in paths(&code(text)) {
        seen.entry(line).or_default().push(path);
    }
    assert_eq!(seen[&3], ["crate::model::Project", "crate::model::ids::ContainerId"]);
    assert_eq!(seen[&4], ["crate::sys"]);
    assert_eq!(seen[&7], ["crate::plan::Plan", "tokio::spawn"]);
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn the_table_refuses_what_it_does_not_name() {
    let layer = |name: &str| LAYERS.iter().find(|layer| layer.folder == name).unwrap();
    assert!(layer("lifecycle").refuses("crate::sys::Error").is_some());
    assert!(layer("plan").refuses("tokio::spawn").is_some());
    assert!(layer("supervisor").refuses("crate::shim::wire::Request").is_none());
    assert!(layer("supervisor").refuses("crate::shim::run").is_some());
    assert!(layer("cli").refuses("crate::network::Spec").is_some());
    assert!(layer("runtime").refuses("crate::sys::mount").is_none());
}
