//! How to tell that a container works.

use super::forms::{Duration, Flag, List, Rounded, Text, section};
use schemars::JsonSchema;

/// How to tell that the container works.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Healthcheck {
    /// The command, which ends with exit code 0 when all is well.
    pub test: Test,
    /// Time after which a run counts as failed. Default: 30s.
    pub timeout: Duration,
    /// Time between two runs. Default: 30s.
    pub interval: Duration,
    /// Number of failures in a row that make the container unhealthy. Default: 3.
    pub retries: Rounded,
    /// Time for the container to start, in which failures do not count. Default: 0s.
    pub start_period: Duration,
    /// Time between two runs during `start_period`. Default: 5s.
    pub start_interval: Duration,
    /// Do not run the check of the image either. Default: false.
    pub disable: Flag,
}

#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub enum Test {
    /// For the shell of the container.
    Line(Text),
    /// `CMD` and a program with its arguments, `CMD-SHELL` and a line for the shell, or `NONE`.
    Words(List<Text>),
}
