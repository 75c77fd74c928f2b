//! What a container may use.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// `None` means no limit. `deploy.resources` and the flat attributes are one thing here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// Bytes, a soft limit.
    pub memory_reservation: Option<u64>,
    /// Cores.
    pub cpus: Option<f64>,
    pub cpu_shares: Option<u64>,
    /// `0-3,5`
    pub cpuset: Option<String>,
    /// -1 is unlimited.
    pub pids: Option<i64>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    pub oom_score_adj: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// -1 is unlimited.
    pub soft: i64,
    pub hard: i64,
}

/// `logging:`; what the driver does not know is refused by the loader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logging {
    /// `json-file`, `local` and nothing all mean muster's own log files; `none` keeps none.
    pub driver: Option<String>,
    /// Bytes of one file.
    pub max_size: Option<u64>,
    pub max_file: Option<u32>,
    pub options: IndexMap<String, String>,
}
