//! The words between the command line and a supervisor: HTTP/1.1 + JSON over a Unix socket.
//!
//! ```text
//! GET  /v1/status                       -> Status
//! GET  /v1/containers                   -> [ContainerRecord]
//! POST /v1/plan     Apply               -> plan::Plan            changes nothing
//! POST /v1/apply    Apply               -> Progress, one JSON object a line, the last one is `done`
//! GET  /v1/wait?for=up|exit...          -> see `Wait`
//! GET  /v1/events                       -> Event, one JSON object a line, as they happen
//! ```
//!
//! A refused or failed request answers 4xx or 5xx with a [`Failure`].

use crate::{
    model::{Project, intent::Intent},
    plan::Plan,
    state::records::Exit,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Body of `/v1/plan` and `/v1/apply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    pub intent: Intent,
    /// The wanted model; without one (`down -p NAME` where no file is) the last applied one counts.
    pub project: Option<Project>,
    /// `~/.docker` of the person who asks: registry credentials.
    pub docker_config: Option<PathBuf>,
    /// Wait until services are running or healthy (`up --wait`), at most so many seconds.
    pub wait: Option<WaitFor>,
    /// At most so many ops at a time (`--parallel`).
    #[serde(default)]
    pub parallel: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitFor {
    pub timeout_seconds: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub project: String,
    pub pid: i32,
    pub version: String,
    /// RFC 3339.
    pub since: String,
}

/// A line of the answer to `/v1/apply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "progress")]
pub enum Progress {
    /// What is going to happen; op ids below index into it. Sent again when a pull made a new plan necessary.
    Plan {
        plan: Plan,
    },
    /// Another command holds the project; this one waits.
    Waiting {
        holder: String,
    },
    Began {
        op: usize,
    },
    /// Something to show while an op goes on: bytes of a pull.
    Step {
        op: usize,
        text: String,
        current: Option<u64>,
        total: Option<u64>,
    },
    Finished {
        op: usize,
        milliseconds: u64,
        detail: Option<String>,
    },
    OpFailed {
        op: usize,
        error: Failure,
    },
    /// Not begun, because one that it waits for failed.
    Skipped {
        op: usize,
    },
    Warning {
        text: String,
    },
    /// `muster run`: the container is ready; attach to its shim.
    Ready {
        container: String,
        name: String,
    },
    Done {
        failures: usize,
        error: Option<Failure>,
    },
}

/// An error for people, with what was found out about its cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Name of the container that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The last lines of its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Output of the last health probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
}

/// A line of `/v1/events` and of `<project>/events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// RFC 3339 with nanoseconds, UTC.
    pub time: String,
    /// `container`, `network`, `volume`, `image` or `supervisor`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Docker's words: `create start die stop kill restart destroy oom health_status: healthy` ...
    pub action: String,
    /// Empty where it is not about a service.
    pub service: String,
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}
