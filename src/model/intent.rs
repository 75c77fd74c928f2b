//! What a person asks of a project. The words of every verb, shared by the planner and the control socket.

use super::PullPolicy;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// One verb. An empty list of services means all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
pub enum Intent {
    Up(Up),
    Down(Down),
    Start {
        services: Vec<String>,
    },
    Stop {
        services: Vec<String>,
        timeout: Option<Duration>,
    },
    Restart {
        services: Vec<String>,
        timeout: Option<Duration>,
        no_deps: bool,
    },
    /// `signal` is a number.
    Kill {
        services: Vec<String>,
        signal: i32,
        remove_orphans: bool,
    },
    /// Removes stopped containers; with `stop`, stops them first.
    Rm {
        services: Vec<String>,
        stop: bool,
        volumes: bool,
    },
    Run(Run),
    /// Put things right after a crash of muster or a reboot: nobody asked, the policies did.
    Recover,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Up {
    pub services: Vec<String>,
    pub recreate: Recreate,
    pub no_deps: bool,
    /// Create only (`--no-start`).
    pub no_start: bool,
    pub remove_orphans: bool,
    /// `--pull`, over the services' own policies.
    pub pull: Option<PullPolicy>,
    /// Grace when a container has to be replaced.
    pub timeout: Option<Duration>,
    pub renew_anon_volumes: bool,
    pub always_recreate_deps: bool,
    /// No warning about orphans (`COMPOSE_IGNORE_ORPHANS`).
    pub ignore_orphans: bool,
    /// Services whose images are built before anything else. `up` has built them when it asks; `plan` only tells.
    pub builds: Vec<String>,
    /// `--build`, for the cause.
    pub build: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recreate {
    /// What differs.
    #[default]
    Diverged,
    Force,
    Never,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Down {
    pub services: Vec<String>,
    pub volumes: bool,
    pub remove_orphans: bool,
    pub timeout: Option<Duration>,
    pub images: Option<RemoveImages>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoveImages {
    All,
    /// Those that are built and have no name of their own.
    Local,
}

/// `muster run`: one container of a service with a changed command. The service in the model that comes with the
/// intent already carries the command line's changes; this says what is left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    pub service: String,
    pub no_deps: bool,
    /// Remove the container when it has ended.
    pub remove: bool,
    pub detach: bool,
    pub name: Option<String>,
    pub service_ports: bool,
    pub use_aliases: bool,
    /// 12 hexadecimal digits for the container's name, drawn by the caller.
    pub slug: String,
    /// Paths that differ from the service's own volumes are in the service already.
    pub environment_files: Vec<PathBuf>,
}

impl Intent {
    /// The verb as typed.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::Start { .. } => "start",
            Self::Stop { .. } => "stop",
            Self::Restart { .. } => "restart",
            Self::Kill { .. } => "kill",
            Self::Rm { .. } => "rm",
            Self::Run(_) => "run",
            Self::Recover => "recover",
        }
    }
}
