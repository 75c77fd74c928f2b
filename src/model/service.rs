//! A service: one kind of container, `scale` times.

use super::{
    Attachment, Build, FileMount, Healthcheck, Logging, Mount, NetworkMode, PublishedPort, Resources, RestartPolicy,
    Tmpfs, Ulimit, WatchRule,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

/// Where an attribute of the image is left as it is, the field is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    pub name: String,
    /// As written, with variables resolved: `postgres:16`, `oci:dir`, `rootfs:/`. Paths of transports are absolute.
    /// A service that is built and names no image has `<project>-<service>`.
    pub image: String,
    /// `image` with the digest that `compose.lock` has for it: what is pulled and run. No part of what the file says: it
    /// may change while the image that it leads to is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_image: Option<String>,
    /// `linux/arm64`, however it was written. It may be this host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    pub pull_policy: PullPolicy,
    /// How the image is made, where it is not only pulled.
    pub build: Option<Build>,
    /// What to do when files change while somebody works on them.
    pub develop: Vec<WatchRule>,
    /// `Some([])` clears what the image says.
    pub command: Option<Vec<String>>,
    /// `Some` also drops the command of the image.
    pub entrypoint: Option<Vec<String>>,
    /// env_file and environment, resolved. A variable that was named without a value and has none is not here.
    pub environment: IndexMap<String, String>,
    pub ports: Vec<PublishedPort>,
    /// Documented ports, `80/tcp`; nothing is published.
    pub expose: Vec<String>,
    pub volumes: Vec<Mount>,
    pub tmpfs: Vec<Tmpfs>,
    pub secrets: Vec<FileMount>,
    pub configs: Vec<FileMount>,
    /// Keyed like `Project::networks`, highest priority first. Empty only with a `network_mode`.
    pub networks: IndexMap<String, Attachment>,
    pub network_mode: Option<NetworkMode>,
    pub depends_on: IndexMap<String, Dependency>,
    pub healthcheck: Option<Healthcheck>,
    pub restart: RestartPolicy,
    pub user: Option<String>,
    pub group_add: Vec<String>,
    pub working_dir: Option<PathBuf>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub container_name: Option<String>,
    pub labels: IndexMap<String, String>,
    pub stop_signal: Option<String>,
    pub stop_grace_period: Option<Duration>,
    pub init: bool,
    pub tty: bool,
    pub stdin_open: bool,
    pub read_only: bool,
    /// Upper case, without `CAP_`; `ALL` allowed.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    /// `security_opt: seccomp=unconfined`
    pub seccomp_unconfined: bool,
    pub resources: Resources,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub sysctls: BTreeMap<String, String>,
    pub scale: u32,
    pub profiles: Vec<String>,
    /// `name -> addresses`; the value `host-gateway` stays text.
    pub extra_hosts: IndexMap<String, Vec<String>>,
    pub dns: Vec<IpAddr>,
    pub dns_search: Vec<String>,
    pub dns_opt: Vec<String>,
    pub logging: Logging,
    /// `attach: false` keeps the service out of the output of an attached `up`.
    pub attach: bool,
}

impl Service {
    /// The image to look for: by its digest, where it is locked.
    pub fn reference(&self) -> &str {
        self.locked_image.as_deref().unwrap_or(&self.image)
    }
}

/// What has to be true of another service before this one starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    pub condition: Condition,
    /// Restart this service when the other one is restarted or recreated by a command.
    pub restart: bool,
    /// `false`: a missing or failed dependency is a warning.
    pub required: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Condition {
    #[serde(rename = "service_started")]
    Started,
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Completed,
}

impl Condition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    Always,
    Never,
    #[default]
    Missing,
    /// Made anew from its Dockerfile, each time; as `Missing` where there is none.
    Build,
    /// `daily`, `weekly`, `every_12h`: when the registry was asked longer ago than so many seconds.
    Every(u64),
}
