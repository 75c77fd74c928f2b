//! The environment of the person who calls, read once. Nothing else in the project reads it.
//!
//! | variable | meaning |
//! |---|---|
//! | `MUSTER_DATA_ROOT` | instead of `/var/lib/muster` |
//! | `MUSTER_RUN_ROOT` | instead of `/run/muster` |
//! | `MUSTER_LOG` | filter of the diagnostic log on stderr, as tracing-subscriber's EnvFilter reads it |
//! | `COMPOSE_*` | as docker compose reads them |
//! | `DOCKER_CONFIG` | directory of `config.json` (and `daemon.json`, `certs.d`), instead of `~/.docker` |
//! | `NO_COLOR`, `TERM=dumb` | no colour (<https://no-color.org>) |

use crate::state::Layout;
use std::{collections::BTreeMap, io, path::PathBuf};

#[derive(Clone, Debug, Default)]
pub struct Env {
    /// Variables that are UTF-8; Compose knows no others.
    pub variables: BTreeMap<String, String>,
    /// Absolute.
    pub cwd: PathBuf,
}

impl Env {
    pub fn read() -> io::Result<Self> {
        let variables =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Ok(Self { variables, cwd: std::env::current_dir()? })
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that is set to a word for yes.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes"))
    }

    pub fn layout(&self) -> Layout {
        Layout::new(
            self.get("MUSTER_DATA_ROOT").unwrap_or("/var/lib/muster"),
            self.get("MUSTER_RUN_ROOT").unwrap_or("/run/muster"),
        )
    }

    /// Where registry credentials are, if there can be any.
    pub fn docker_config(&self) -> Option<PathBuf> {
        let directory = match self.get("DOCKER_CONFIG") {
            Some(directory) => self.cwd.join(directory),
            None => PathBuf::from(self.get("HOME")?).join(".docker"),
        };
        Some(directory)
    }

    /// Whether the terminal's owner wants no colour.
    pub fn colourless(&self) -> bool {
        self.get("NO_COLOR").is_some() || self.get("TERM") == Some("dumb")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env { variables: pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(), cwd: "/w".into() }
    }

    #[test]
    fn roots_come_from_the_environment_or_are_the_system_s() {
        assert_eq!(env(&[]).layout(), Layout::system());
        assert_eq!(env(&[("MUSTER_DATA_ROOT", "/d"), ("MUSTER_RUN_ROOT", "/r")]).layout(), Layout::new("/d", "/r"));
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        assert!(!env(&[("NO_COLOR", "")]).colourless());
        assert!(env(&[("NO_COLOR", "1")]).colourless());
        assert_eq!(env(&[("HOME", "/root")]).docker_config(), Some("/root/.docker".into()));
        assert_eq!(env(&[("HOME", "/root"), ("DOCKER_CONFIG", "c")]).docker_config(), Some("/w/c".into()));
    }
}
