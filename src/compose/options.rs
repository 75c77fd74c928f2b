//! What a caller may ask of the loader.

use std::{collections::BTreeMap, path::PathBuf};

/// Everything that decides what `load` returns, but for the content of the files.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// `-f`, in order; `-` is stdin. Empty: `COMPOSE_FILE`, then discovery from `cwd` upwards.
    pub files: Vec<PathBuf>,
    /// `--project-directory`
    pub project_directory: Option<PathBuf>,
    /// `-p`
    pub project_name: Option<String>,
    /// `--profile`; empty: `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// `--env-file`; empty: `COMPOSE_ENV_FILES`, then `.env`.
    pub env_files: Vec<PathBuf>,
    /// Services named on the command line: their profiles become active.
    pub services: Vec<String>,
    /// Absolute.
    pub cwd: PathBuf,
    /// The OS environment. It wins over every env file.
    pub environment: BTreeMap<String, String>,
    pub purpose: Purpose,
    /// Keep networks, volumes, secrets and configs that no service uses.
    pub all_resources: bool,
    /// A last Compose document over the files: what a command line changes (`run -v`). Names it in findings.
    pub overlay: Option<String>,
}

/// What the project is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To make containers: everything that the files ask for can be done, and the files that services name are there.
    /// Only services that are named (with what they depend on) are looked at, all of them where none is named.
    #[default]
    Run,
    /// To build images: everything that builds ask for can be done.
    Build,
    /// To print it whole: the files that services name must be there; what the engine can do is no matter.
    Show,
    /// For its names only, such as `ps` and `down`.
    Look,
}

/// Which phases `config` runs: one for each `--no-...` of its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    pub interpolate: bool,
    pub normalise: bool,
    pub paths: bool,
    pub consistency: bool,
    pub environment: bool,
}

impl Default for Phases {
    fn default() -> Self {
        Self { interpolate: true, normalise: true, paths: true, consistency: true, environment: true }
    }
}
