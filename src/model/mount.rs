//! What a container sees mounted.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    pub kind: MountKind,
    /// Absolute path in the container.
    pub target: PathBuf,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A path of the host.
    Bind {
        source: PathBuf,
        /// Make a missing source as a directory.
        create_host_path: bool,
        /// `rprivate` unless the file says otherwise.
        propagation: Option<String>,
    },
    /// A top-level volume, by its key in `Project::volumes`.
    Volume {
        source: String,
        /// Do not fill an empty volume from the image.
        nocopy: bool,
        subpath: Option<PathBuf>,
    },
    /// A volume without a name: made with the container, kept over its recreation.
    Anonymous {
        nocopy: bool,
    },
    Tmpfs {
        size: Option<u64>,
        mode: Option<u32>,
    },
}

/// `tmpfs:` of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tmpfs {
    pub target: PathBuf,
    pub size: Option<u64>,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Further mount options as written: `noexec`, `exec`, `nosuid`, `nodev`, `ro` ...
    #[serde(default)]
    pub options: Vec<String>,
}

/// A secret or config as one service uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileMount {
    /// Key in `Project::secrets` or `Project::configs`.
    pub source: String,
    /// Absolute path in the container.
    pub target: PathBuf,
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}
