//! The format of the cases: read, and written again with other texts in their sections.

use muster::build::{
    dockerfile::{self, Patterns},
    frontend::{NamedContext, Options, Platform},
    op::Network,
};
use std::{fs, path::PathBuf};

#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub sections: Vec<Section>,
}

#[derive(Debug)]
pub struct Section {
    pub kind: String,
    pub words: Vec<String>,
    pub text: String,
    /// Lines of the file that the text is, from and to.
    lines: (usize, usize),
}

/// Every kind, so that a misspelt one is no section that nobody looks at.
const KINDS: [&str; 16] = [
    "Dockerfile",
    "options",
    "file",
    "binary",
    "dir",
    "link",
    "image",
    "error",
    "warnings",
    "plan",
    "config",
    "image-config",
    "history",
    "excluded",
    "tree",
    "fails",
];

pub fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/build/cases");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    files
}

pub fn read(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("=== ") {
            if cases.iter().any(|case| case.name == name) {
                return Err(format!("line {}: two cases are named {name}", number + 1));
            }
            cases.push(Case { name: name.to_owned(), sections: Vec::new() });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            if line.starts_with("##") || line.is_empty() {
                continue;
            }
            return Err(format!("line {}: stands before the first case", number + 1));
        };
        if let Some(head) = line.strip_prefix("--- ") {
            let mut words = head.split(' ').map(str::to_owned);
            let kind = words.next().unwrap();
            if !KINDS.contains(&kind.as_str()) {
                return Err(format!("line {}: no section is a {kind:?}", number + 1));
            }
            let lines = (number + 1, number + 1);
            case.sections.push(Section { kind, words: words.collect(), text: String::new(), lines });
        } else if let Some(section) = case.sections.last_mut() {
            section.lines.1 = number + 1;
            section.text.push_str(line.strip_prefix('\\').filter(|line| line.starts_with(['=', '-'])).unwrap_or(line));
            section.text.push('\n');
        } else if !line.is_empty() && !line.starts_with("##") {
            return Err(format!("line {}: stands in no section", number + 1));
        }
    }
    for case in &mut cases {
        for section in &mut case.sections {
            // An empty line before the next case belongs to neither; one more is part of the text.
            if section.text.ends_with("\n\n") || section.text == "\n" {
                section.text.pop();
                section.lines.1 -= 1;
            }
            if section.kind == "tree" {
                section.text.lines().try_for_each(tree_line).map_err(|line| format!("{}: tree: {line}", case.name))?;
            }
        }
    }
    Ok(cases)
}

fn tree_line(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let absolute = words.get(1).is_some_and(|path| path.starts_with('/'));
    let mode = words.get(2).is_none_or(|mode| *mode == "-" || u32::from_str_radix(mode, 8).is_ok());
    let content = words.get(4).is_none_or(|text| serde_json::from_str::<String>(text).is_ok());
    let fits = match words.as_slice() {
        ["none", _] => absolute,
        ["link", _, _] => absolute,
        ["dir", ..] => absolute && mode && words.len() < 5,
        ["file", ..] => absolute && mode && content,
        _ => false,
    };
    if fits { Ok(()) } else { Err(line.to_owned()) }
}

/// The file with the texts that the sections have now.
pub fn write(text: &str, cases: &[Case]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let sections = cases.iter().rev().flat_map(|case| case.sections.iter().rev());
    let blessed = ["error", "warnings", "plan", "history", "excluded", "tree", "config"];
    for section in sections.filter(|section| blessed.contains(&section.kind.as_str())) {
        let new = section.text.lines().map(|line| match line.starts_with("===") || line.starts_with("---") {
            true => format!("\\{line}"),
            false => line.to_owned(),
        });
        lines.splice(section.lines.0..section.lines.1, new);
    }
    lines.join("\n") + "\n"
}

impl Case {
    pub fn text(&self, kind: &str) -> &str {
        self.sections.iter().find(|section| section.kind == kind).map_or("", |section| &section.text)
    }

    pub fn dockerfile(&self) -> String {
        self.text("Dockerfile").replace("\\r\n", "\r\n").replace("\\bom", "\u{feff}")
    }

    pub fn options(&self) -> Options {
        let amd64 = Platform::whole("linux/amd64").unwrap();
        let mut options = Options::new(amd64.clone());
        for line in self.text("options").lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let pair = || {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                (name.to_owned(), value.to_owned())
            };
            match key {
                "target" => options.target = Some(value.to_owned()),
                "arg" => options.args.extend([pair()]),
                "label" => options.labels.extend([pair()]),
                "extra-host" => options.extra_hosts.push(pair()),
                "platform" => options.platform = Some(Platform::parse(value, &amd64).unwrap()),
                "no-cache" => options.no_cache = true,
                "no-cache-filter" => options.no_cache_filter.push(value.to_owned()),
                "shm-size" => options.shm_size = Some(value.parse().unwrap()),
                "ulimit" => {
                    let (name, limits) = pair();
                    let (soft, hard) = limits.split_once(':').unwrap();
                    options.ulimits.insert(name, (soft.parse().unwrap(), hard.parse().unwrap()));
                }
                "network" => {
                    options.network = match value {
                        "none" => Network::None,
                        "host" => Network::Host,
                        _ => Network::Default,
                    }
                }
                "context" => {
                    let (name, context) = match value.split_once(' ') {
                        Some((name, image)) => (name, NamedContext::Image(image.to_owned())),
                        None => (value, NamedContext::Directory),
                    };
                    options.contexts.insert(name.to_owned(), context);
                }
                // The engine's.
                "secret" | "allow" | "dockerfile" | "file-name-ignore" => {}
                _ => panic!("{}: no option is {key}", self.name),
            }
        }
        options
    }

    /// The paths of the section, each with or without a mark, as the ignore file says.
    pub fn excluded(&self) -> String {
        let patterns = self.ignore();
        let marked = |line: &str| {
            let path = line.trim_start_matches('!');
            format!("{}{path}\n", if patterns.excludes(path) { "" } else { "!" })
        };
        self.text("excluded").lines().map(marked).collect()
    }

    /// What the ignore file of the context leaves out.
    pub fn ignore(&self) -> Patterns {
        let files = || self.sections.iter().filter(|section| section.kind == "file");
        let names = dockerfile::ignore_file_names("Dockerfile");
        let text = names.iter().find_map(|name| files().find(|section| section.words.first() == Some(name)));
        Patterns::read(text.map_or("", |section| section.text.as_str())).unwrap()
    }
}
