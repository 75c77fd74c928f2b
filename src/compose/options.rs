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
    pub missing_files: MissingFiles,
    /// A last Compose document over the files: what a command line changes (`run -v`). Names it in findings.
    pub overlay: Option<String>,
}

/// What to do when an `env_file` or the file of a secret or config is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingFiles {
    /// For verbs that make containers. Only services that are named (with what they depend on) are looked at, all of
    /// them where none is named.
    #[default]
    Refuse,
    /// For verbs that only need names, such as `ps` and `down`.
    Tolerate,
}
