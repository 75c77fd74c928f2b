//! The plan as a value.

use crate::model::{ContainerId, PullPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A DAG: an op may begin when all that stand in its `after` are done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    pub project: String,
    pub verb: String,
    pub ops: Vec<PlannedOp>,
    /// Containers that are as they should be, by name.
    pub unchanged: Vec<String>,
    /// For people: orphans, resources of somebody else, and the like.
    pub warnings: Vec<String>,
}

/// Index into `Plan::ops`.
pub type OpId = usize;

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedOp {
    pub op: Op,
    pub cause: Cause,
    /// Indexes into the ops of the plan.
    pub after: Vec<OpId>,
}

/// A place for a container: `number` counts from 1, and is 0 for a one-off.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    pub service: String,
    pub number: u32,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum Op {
    PullImage {
        image: String,
        policy: PullPolicy,
    },
    /// Of `muster plan` alone: `up` and `build` do it before they ask for a plan.
    BuildImage {
        service: String,
        image: String,
    },
    /// Of `muster load` and `muster up BUNDLE` alone: `image` is the file.
    LoadImage {
        image: String,
    },
    /// Of `muster push` alone.
    PushImage {
        image: String,
    },
    /// `key` in the model.
    CreateNetwork {
        key: String,
    },
    /// By real name, as all removals: what is removed may be gone from the model.
    RemoveNetwork {
        name: String,
    },
    CreateVolume {
        key: String,
    },
    RemoveVolume {
        name: String,
    },
    RemoveImage {
        image: String,
    },
    /// Makes everything a container needs but does not run it. `name` is its name; `replaces` hands its anonymous
    /// volumes and its address on.
    CreateContainer {
        slot: Slot,
        name: String,
        oneoff: bool,
        replaces: Option<ContainerId>,
    },
    /// Of the container that stands at `slot` by then, or of an existing one by `id`.
    StartContainer {
        slot: Slot,
        name: String,
        id: Option<ContainerId>,
    },
    StopContainer {
        id: ContainerId,
        name: String,
        timeout: Option<Duration>,
    },
    KillContainer {
        id: ContainerId,
        name: String,
        signal: i32,
    },
    RemoveContainer {
        id: ContainerId,
        name: String,
        volumes: bool,
    },
    /// Waits until the containers of `service` meet `condition`. Its `after` holds the starts of those
    /// containers, and the removals of those that go.
    /// Where it is not `required`, a failure of the condition, or of anything in its `after`, is a warning, and what
    /// waits for this op goes on.
    AwaitCondition {
        service: String,
        condition: crate::model::Condition,
        required: bool,
        waiting: String,
    },
}

/// Why an op is there, for a person to read: `web: image sha256:aa… -> bb…; environment.LOG_LEVEL info -> debug`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// `not there yet`, `configuration changed`, `asked for by --force-recreate`, `the policy says always` ...
    pub reason: String,
    /// Field by field, where a configuration differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// A field of a configuration that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// `environment.LOG_LEVEL`, `ports[0].published`
    pub field: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Cause {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), changes: Vec::new() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        for (index, change) in self.changes.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
            write!(f, "{} {} -> {}", change.field, side(&change.from), side(&change.to))?;
        }
        Ok(())
    }
}

impl Op {
    /// A verb for the left column of progress and of `muster plan`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::PullImage { .. } => "pull",
            Self::BuildImage { .. } => "build",
            Self::LoadImage { .. } => "load",
            Self::PushImage { .. } => "push",
            Self::CreateNetwork { .. } | Self::CreateVolume { .. } | Self::CreateContainer { .. } => "create",
            Self::RemoveNetwork { .. }
            | Self::RemoveVolume { .. }
            | Self::RemoveImage { .. }
            | Self::RemoveContainer { .. } => "remove",
            Self::StartContainer { .. } => "start",
            Self::StopContainer { .. } => "stop",
            Self::KillContainer { .. } => "kill",
            Self::AwaitCondition { .. } => "await",
        }
    }
    /// `Container`, `Network`, `Volume`, `Image` or `Service`, as docker compose prints them.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PullImage { .. }
            | Self::BuildImage { .. }
            | Self::LoadImage { .. }
            | Self::PushImage { .. }
            | Self::RemoveImage { .. } => "Image",
            Self::CreateNetwork { .. } | Self::RemoveNetwork { .. } => "Network",
            Self::CreateVolume { .. } | Self::RemoveVolume { .. } => "Volume",
            Self::AwaitCondition { .. } => "Service",
            _ => "Container",
        }
    }
    /// Name of what it acts on.
    pub fn object(&self) -> &str {
        match self {
            Self::PullImage { image, .. }
            | Self::BuildImage { image, .. }
            | Self::LoadImage { image }
            | Self::PushImage { image }
            | Self::RemoveImage { image } => image,
            Self::CreateNetwork { key } | Self::CreateVolume { key } => key,
            Self::RemoveNetwork { name } | Self::RemoveVolume { name } => name,
            Self::CreateContainer { name, .. }
            | Self::StartContainer { name, .. }
            | Self::StopContainer { name, .. }
            | Self::KillContainer { name, .. }
            | Self::RemoveContainer { name, .. } => name,
            Self::AwaitCondition { service, .. } => service,
        }
    }
}

impl Plan {
    /// Appends an op and answers its id.
    pub fn push(&mut self, op: Op, cause: Cause, after: Vec<OpId>) -> OpId {
        self.ops.push(PlannedOp { op, cause, after });
        self.ops.len() - 1
    }
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}
