//! Which files, which variables, which directory: what has to be known before the first Compose file is read.

use super::{
    assemble::remote,
    diagnostics::Diagnostic,
    dotenv,
    interpolate::Interpolator,
    options::LoadOptions,
    source::{self, Sources},
};
use std::{
    fmt,
    path::{Path, PathBuf},
};

const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];
const STDIN: &str = "-";

#[derive(Debug)]
pub struct Settings {
    pub inputs: Vec<Input>,
    /// Absolute.
    pub project_dir: PathBuf,
    pub env_files: Vec<PathBuf>,
    pub profiles: Vec<String>,
    pub interpolator: Interpolator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Stdin,
    /// Absolute.
    File(PathBuf),
    /// The text itself.
    Overlay(String),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("<stdin>"),
            Self::File(path) => path.display().fmt(f),
            Self::Overlay(_) => f.write_str("<command line>"),
        }
    }
}

/// The project's variables before its directory is known.
pub struct Variables {
    pub interpolator: Interpolator,
    env_files: Vec<PathBuf>,
    /// `.env` is looked for where nothing else is named.
    default: bool,
}

impl Variables {
    /// Reads the env files that are named, or the `.env` of the working directory.
    pub fn gather(options: &LoadOptions, sources: &mut Sources, findings: &mut Vec<Diagnostic>) -> Self {
        let mut variables = Self {
            interpolator: Interpolator::new(options.environment.clone()),
            env_files: Vec::new(),
            default: false,
        };
        let named = match options.environment.get("COMPOSE_ENV_FILES") {
            Some(list) if options.env_files.is_empty() => {
                list.split(',').map(str::trim).filter(|file| !file.is_empty()).map(PathBuf::from).collect()
            }
            _ => options.env_files.clone(),
        };
        variables.default = named.is_empty() && !is_true(options.environment.get("COMPOSE_DISABLE_ENV_FILE"));
        for file in named {
            let path = absolute(&options.cwd, &file);
            variables.read(&path, true, sources, findings);
        }
        if variables.default {
            let base = options.project_directory.as_ref().map_or(options.cwd.clone(), |d| absolute(&options.cwd, d));
            variables.read(&base.join(".env"), false, sources, findings);
        }
        variables
    }

    fn read(&mut self, path: &Path, required: bool, sources: &mut Sources, findings: &mut Vec<Diagnostic>) {
        match sources.read(path) {
            Ok((source, text)) => {
                // A value sees the files before its own, even where its own says otherwise; what its own says stays.
                self.interpolator.enter();
                dotenv::parse(source, &text, &mut self.interpolator, findings);
                self.interpolator.leave_above();
                self.env_files.push(path.to_owned());
            }
            Err(error) if error.not_found() && !required => {}
            Err(error) => findings.push(error.diagnostic("env file", path)),
        }
    }

    /// The `.env` of the project directory: below that of the working directory.
    fn read_below(&mut self, path: &Path, sources: &mut Sources, findings: &mut Vec<Diagnostic>) {
        if !self.default || self.env_files.iter().any(|file| file == path) {
            return;
        }
        let text = match sources.read(path) {
            Ok(text) => text,
            Err(error) if error.not_found() => return,
            Err(error) => return findings.push(error.diagnostic("env file", path)),
        };
        self.interpolator.enter();
        dotenv::parse(text.0, &text.1, &mut self.interpolator, findings);
        self.interpolator.leave_below();
        self.env_files.push(path.to_owned());
    }
}

/// `None`: there is no Compose file; the findings say so.
pub fn gather(
    options: &LoadOptions,
    mut variables: Variables,
    sources: &mut Sources,
    findings: &mut Vec<Diagnostic>,
) -> Option<Settings> {
    let mut inputs = inputs(options, &variables.interpolator, findings)?;
    refuse_remote(options, &inputs, findings);
    inputs.extend(options.overlay.clone().map(Input::Overlay));
    let first_directory = inputs.iter().find_map(|input| match input {
        Input::File(path) => path.parent().map(Path::to_owned),
        Input::Stdin | Input::Overlay(_) => None,
    });
    let project_dir = match &options.project_directory {
        Some(directory) => absolute(&options.cwd, directory),
        None => first_directory.unwrap_or_else(|| options.cwd.clone()),
    };
    variables.read_below(&project_dir.join(".env"), sources, findings);
    let profiles = match variables.interpolator.get("COMPOSE_PROFILES") {
        Some(list) if options.profiles.is_empty() => {
            list.split(',').map(str::trim).filter(|profile| !profile.is_empty()).map(str::to_owned).collect()
        }
        _ => options.profiles.clone(),
    };
    let Variables { interpolator, env_files, .. } = variables;
    Some(Settings { inputs, project_dir, env_files, profiles, interpolator })
}

fn inputs(options: &LoadOptions, interpolator: &Interpolator, findings: &mut Vec<Diagnostic>) -> Option<Vec<Input>> {
    let input = |name: &Path| match name.to_str() {
        Some(STDIN) => Input::Stdin,
        _ => Input::File(absolute(&options.cwd, name)),
    };
    if !options.files.is_empty() {
        return Some(options.files.iter().map(|name| input(name)).collect());
    }
    if let Some(list) = interpolator.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
        let separator = interpolator.get("COMPOSE_PATH_SEPARATOR").filter(|s| !s.is_empty()).unwrap_or(":");
        return Some(list.split(separator).filter(|name| !name.is_empty()).map(|n| input(Path::new(n))).collect());
    }
    let start = options.project_directory.as_ref().map_or(options.cwd.clone(), |d| absolute(&options.cwd, d));
    discover(&start, findings)
}

/// Files that are elsewhere have no directory to start from.
fn refuse_remote(options: &LoadOptions, inputs: &[Input], findings: &mut Vec<Diagnostic>) {
    for input in inputs {
        let Input::File(path) = input else { continue };
        let given = path.strip_prefix(&options.cwd).unwrap_or(path).to_string_lossy();
        // A path that was made absolute has lost one of the slashes.
        let url = given.replacen(":/", "://", 1);
        if let Some(kind) = remote(&given).or_else(|| remote(&url)) {
            let message = format!("cannot read {url}: it is {kind}, not a file of this host");
            findings.push(Diagnostic::error(message).help("get a copy, and name that"));
        }
    }
}

/// From `start` upwards: the first directory that holds a Compose file, with its override file.
fn discover(start: &Path, findings: &mut Vec<Diagnostic>) -> Option<Vec<Input>> {
    for directory in start.ancestors() {
        let Some(file) = first_of(directory, &NAMES, findings) else { continue };
        let over = first_of(directory, &OVERRIDES, findings);
        return Some([Some(file), over].into_iter().flatten().map(Input::File).collect());
    }
    findings.push(Diagnostic::error("no configuration file provided: not found").help(format!(
        "looked for {} in {} and above",
        NAMES.join(", "),
        start.display()
    )));
    None
}

fn first_of(directory: &Path, names: &[&str], findings: &mut Vec<Diagnostic>) -> Option<PathBuf> {
    let found: Vec<&str> = names.iter().copied().filter(|name| source::is_file(&directory.join(name))).collect();
    let (first, others) = found.split_first()?;
    if !others.is_empty() {
        let message =
            format!("{} holds several Compose files: using {first}, not {}", directory.display(), others.join(", "));
        findings.push(Diagnostic::warning(message));
    }
    Some(directory.join(first))
}

fn absolute(cwd: &Path, path: &Path) -> PathBuf {
    source::clean(&cwd.join(path))
}

fn is_true(value: Option<&String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y"))
}
