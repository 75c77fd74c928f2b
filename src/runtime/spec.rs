//! What one container is to be: resolved, absolute, and free of Compose. `specgen` makes it, `shim` runs it.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One container. Everything a start needs but descriptors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// 64 hexadecimal digits.
    pub id: String,
    pub hostname: String,
    pub domainname: Option<String>,
    pub root: Root,
    /// In order; a later one may lie inside an earlier one. /proc, /sys, /dev and the rest of the usual set are
    /// the runtime's own and come first.
    pub mounts: Vec<Mount>,
    pub process: Process,
    pub net: NetNamespace,
    pub cgroup: CgroupSpec,
    /// Size of /dev/shm in bytes.
    pub shm_size: u64,
    pub sysctls: BTreeMap<String, String>,
    /// A built-in PID 1 that reaps orphans and forwards signals.
    pub init: bool,
    pub oom_score_adj: Option<i32>,
    /// Everything: all capabilities, host devices, nothing masked, no seccomp, /sys and cgroups writable.
    pub privileged: bool,
}

/// The root file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Root {
    /// Read-only layers, uppermost first. At least one.
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub read_only: bool,
    /// Nothing that is written waits for the disk, also where the program asks for it (fsync): whoever keeps the upper
    /// directory syncs it. overlayfs does not take such an upper directory twice.
    #[serde(default)]
    pub volatile: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container; missing parents are made inside the root.
    pub target: PathBuf,
    pub source: MountSource,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A file or directory of the host, with the mounts below it.
    Bind {
        source: PathBuf,
        /// `rprivate` (default), `private`, `rslave`, `slave`, `rshared`, `shared`.
        propagation: Option<String>,
        /// First fill `source` from what the image has at the target, when `source` is empty (Docker's copy-up),
        /// with owner, mode and xattrs, and give `source` the owner and mode of the image's directory.
        copy_up: bool,
    },
    /// Options as tmpfs(5) writes them (`size=64m`, `mode=1777`, `uid=0`) and mount flags (`noexec`, `nosuid`, `nodev`).
    Tmpfs { options: Vec<String> },
    /// A read-only file on a tmpfs of its own, so that its bytes touch no disk: a secret or a config. The bytes are
    /// read from `source` when the container starts.
    Content { source: PathBuf, uid: u32, gid: u32, mode: u32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Looked up in the container's PATH when the first has no slash.
    pub args: Vec<String>,
    /// `KEY=VALUE`; PATH, HOSTNAME, HOME and TERM get Docker's defaults where they lack.
    pub env: Vec<String>,
    pub cwd: PathBuf,
    /// `name|uid[:group|gid]`, looked up in the container's own /etc/passwd and /etc/group; empty is root.
    pub user: String,
    pub additional_groups: Vec<String>,
    pub tty: bool,
    /// The exact set, `CAP_` left out, upper case (`CHOWN`, `NET_BIND_SERVICE`): bounding, permitted, effective and inheritable as Docker.
    pub capabilities: Vec<String>,
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    /// `nofile` -> (soft, hard), in the kernel's units.
    pub rlimits: BTreeMap<String, (u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// Docker's default profile for these capabilities.
    Default,
    Unconfined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetNamespace {
    /// The one whose descriptor comes with the start.
    Given,
    /// A new one with only a loopback interface, up.
    New,
    Host,
}

/// Where the container's processes are counted and held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CgroupSpec {
    /// Relative to the root of each hierarchy: `muster/<project>/<short id>`.
    pub path: PathBuf,
    pub limits: Limits,
}

/// `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Memory and swap together; -1 is unlimited. Docker's default is twice the memory.
    pub memory_swap: Option<i64>,
    pub memory_reservation: Option<u64>,
    /// Microseconds of each 100 ms period.
    pub cpu_quota: Option<u64>,
    pub cpu_shares: Option<u64>,
    pub cpuset: Option<String>,
    /// `None` and -1: unlimited.
    pub pids: Option<i64>,
}

/// A further process in a running container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// What differs from the container's own process stands here in full.
    pub process: Process,
    pub privileged: bool,
}

impl Spec {
    /// Reads what `specgen` wrote.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }
    pub fn cgroup_path(&self) -> &Path {
        &self.cgroup.path
    }
}
