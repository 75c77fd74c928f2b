//! The records that more than one process reads.

use crate::model::{ContainerId, Healthcheck, ImageId, Protocol, Service};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

/// Now, as every record and event has it: RFC 3339, UTC, nine digits of a second, so that texts compare as times do.
pub fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

/// One container, as the supervisor knows it. Written at each change of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    pub id: ContainerId,
    pub project: String,
    pub service: String,
    /// Counts from 1 within the service; 0 for one-off containers.
    pub number: u32,
    pub oneoff: bool,
    pub name: String,
    /// The service as it was applied: a later plan is told what changed from it, field by field.
    pub applied: Service,
    /// sha256 over the parts of `applied` that only a new container can take up.
    pub config_hash: String,
    pub image_id: ImageId,
    /// What the image says where the service says nothing.
    #[serde(default)]
    pub image_healthcheck: Option<Healthcheck>,
    #[serde(default)]
    pub image_stop_signal: Option<String>,
    /// Digests of configs and secrets at creation, by `config:<key>` or `secret:<key>`.
    #[serde(default)]
    pub file_digests: BTreeMap<String, String>,
    /// Entrypoint and command together, as they run.
    pub command: Vec<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub working_dir: PathBuf,
    pub config_files: Vec<PathBuf>,
    pub volumes: Vec<VolumeUse>,
    pub networks: Vec<NetworkUse>,
    pub ports: Vec<BoundPort>,
    pub status: Status,
    /// The user asked for it to be down: no policy brings it back.
    pub stopped_by_user: bool,
    pub restarts: u32,
    pub health: Option<Health>,
    /// Output of the last health probe, its first 4 KiB.
    #[serde(default)]
    pub last_probe: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Status {
    Created,
    Running {
        pid: i32,
        start_time: u64,
        shim_pid: i32,
        shim_start_time: u64,
        started_at: String,
    },
    /// Ended, and its policy will bring it back.
    Restarting {
        exit: Exit,
    },
    Exited {
        exit: Exit,
    },
    /// Never ran: the set-up failed.
    Dead {
        error: String,
        at: String,
    },
}

/// How a run of a container ended. The shim writes it as `exit.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// 0-255; 128 + the signal's number where one ended it.
    pub code: i32,
    pub signal: Option<i32>,
    /// The kernel's OOM killer took a process of the container.
    pub oom: bool,
    /// RFC 3339, UTC.
    pub started_at: Option<String>,
    pub finished_at: String,
    /// What a person should know besides: "shim was killed", "gave up after 3 restarts".
    #[serde(default)]
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeUse {
    pub target: PathBuf,
    /// Name of the volume on this host.
    pub name: String,
    pub anonymous: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkUse {
    /// Key in the project.
    pub key: String,
    pub name: String,
    pub network_id: String,
    pub interface: String,
    pub address: IpAddr,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub mac: String,
    pub aliases: Vec<String>,
}

/// A host port that leads to this container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundPort {
    pub host_ip: IpAddr,
    pub host_port: u16,
    pub target: u16,
    pub protocol: Protocol,
}
