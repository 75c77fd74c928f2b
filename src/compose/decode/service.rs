//! The attributes of a service: one line each, the reading is in the files of their topics.

use super::{
    At, Decoder, EnvFile,
    Field::{self, Later, Read},
    deploy, logging,
    shape::Named,
};
use crate::{
    compose::diagnostics::Span,
    model::{NetworkMode, PullPolicy, RestartPolicy, Service},
};
use indexmap::IndexMap;

/// A service as the file says it.
#[derive(Debug)]
pub struct ServiceDraft {
    /// `environment`, `scale` and what `deploy` can say too are not filled in yet.
    pub service: Service,
    /// Where its name stands.
    pub span: Span,
    pub environment: IndexMap<String, Option<String>>,
    pub env_files: Vec<EnvFile>,
    pub scale: Option<u32>,
    pub deploy: Deploy,
    /// Everything it refers to by name.
    pub references: Vec<Reference>,
}

/// `deploy:`, as far as one host does something about it.
#[derive(Debug, Default)]
pub struct Deploy {
    pub replicas: Option<u32>,
    pub cpus: Option<f64>,
    pub memory: Option<u64>,
    pub pids: Option<i64>,
    pub memory_reservation: Option<u64>,
    pub restart: Option<RestartPolicy>,
}

#[derive(Clone, Debug)]
pub struct Reference {
    pub to: Referent,
    pub name: String,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referent {
    Service,
    Network,
    Volume,
    Secret,
    Config,
}

pub fn service(d: &mut Decoder<'_>, named: &Named<'_>) -> Option<ServiceDraft> {
    let service = Service { name: named.name.to_owned(), scale: 1, attach: true, ..Service::default() };
    let mut draft = ServiceDraft {
        service,
        span: named.key,
        environment: IndexMap::new(),
        env_files: Vec::new(),
        scale: None,
        deploy: Deploy::default(),
        references: Vec::new(),
    };
    d.section(&named.at, FIELDS, &mut draft).then_some(draft)
}

/// Sets a field of the service where the reader found a value.
macro_rules! set {
    ($name:literal, $($field:ident).+, |$d:ident, $at:ident| $read:expr) => {
        Read($name, |$d, $at, s| {
            if let Some(value) = $read {
                s.service.$($field).+ = value;
            }
        })
    };
}

const FIELDS: &[Field<ServiceDraft>] = &[
    Later("annotations"),
    set!("attach", attach, |d, at| d.boolean(at)),
    Later("blkio_config"),
    Later("build"),
    set!("cap_add", cap_add, |d, at| Some(d.capabilities(at))),
    set!("cap_drop", cap_drop, |d, at| Some(d.capabilities(at))),
    Later("cgroup"),
    Later("cgroup_parent"),
    set!("command", command, |d, at| Some(d.command(at))),
    Read("configs", |d, at, s| s.service.configs = d.file_mounts(at, Referent::Config, &mut s.references)),
    set!("container_name", container_name, |d, at| d.container_name(at).map(Some)),
    Later("cpu_count"),
    Later("cpu_percent"),
    Later("cpu_period"),
    Later("cpu_quota"),
    Later("cpu_rt_period"),
    Later("cpu_rt_runtime"),
    set!("cpu_shares", resources.cpu_shares, |d, at| d
        .integer(at, 0..=262_144)
        .map(|shares| u64::try_from(shares).ok().filter(|shares| *shares > 0))),
    set!("cpus", resources.cpus, |d, at| d.float(at).map(|cpus| Some(cpus).filter(|cpus| *cpus > 0.0))),
    set!("cpuset", resources.cpuset, |d, at| d.cpuset(at).map(Some)),
    Later("credential_spec"),
    Read("depends_on", |d, at, s| s.service.depends_on = d.depends_on(at, &mut s.references)),
    Read("deploy", |d, at, s| {
        // An empty `deploy:` is nothing, as Compose has it.
        if !at.node.is_null() {
            d.section(at, deploy::FIELDS, &mut s.deploy);
        }
    }),
    Later("develop"),
    Later("device_cgroup_rules"),
    Later("devices"),
    set!("dns", dns, |d, at| Some(d.addresses(at))),
    set!("dns_opt", dns_opt, |d, at| Some(d.strings(at))),
    set!("dns_search", dns_search, |d, at| Some(d.strings_or_one(at))),
    set!("domainname", domainname, |d, at| d.host_name(at).map(Some)),
    set!("entrypoint", entrypoint, |d, at| Some(d.command(at))),
    Read("env_file", |d, at, s| s.env_files = d.env_files(at)),
    Read("environment", |d, at, s| s.environment = d.key_values(at, true)),
    set!("expose", expose, |d, at| Some(d.expose(at))),
    Later("extends"),
    Later("external_links"),
    set!("extra_hosts", extra_hosts, |d, at| Some(d.extra_hosts(at))),
    Later("gpus"),
    set!("group_add", group_add, |d, at| Some(d.group_add(at))),
    set!("healthcheck", healthcheck, |d, at| d.healthcheck(at).map(Some)),
    set!("hostname", hostname, |d, at| d.host_name(at).map(Some)),
    set!("image", image, |d, at| d.image(at)),
    set!("init", init, |d, at| d.boolean(at)),
    Later("ipc"),
    Later("isolation"),
    Later("label_file"),
    set!("labels", labels, |d, at| Some(d.labels(at))),
    Later("links"),
    Read("logging", |d, at, s| {
        d.section(at, logging::FIELDS, &mut s.service.logging);
    }),
    Later("mac_address"),
    set!("mem_limit", resources.memory, |d, at| Some(d.limit(at))),
    set!("mem_reservation", resources.memory_reservation, |d, at| Some(d.limit(at))),
    Later("mem_swappiness"),
    set!("memswap_limit", resources.memory_swap, |d, at| Some(d.swap_limit(at))),
    Later("models"),
    set!("network_mode", network_mode, |d, at| d.network_mode(at).map(Some)),
    Read("networks", |d, at, s| s.service.networks = d.attachments(at, &mut s.references)),
    Later("oom_kill_disable"),
    set!("oom_score_adj", resources.oom_score_adj, |d, at| d
        .integer(at, -1000..=1000)
        .map(|score| i32::try_from(score).ok())),
    Later("pid"),
    set!("pids_limit", resources.pids, |d, at| Some(d.pids_limit(at))),
    Later("platform"),
    set!("ports", ports, |d, at| Some(d.ports(at))),
    Later("post_start"),
    Later("pre_start"),
    Later("pre_stop"),
    set!("privileged", privileged, |d, at| d.boolean(at)),
    set!("profiles", profiles, |d, at| Some(d.profiles(at))),
    Later("provider"),
    set!("pull_policy", pull_policy, |d, at| d.pull_policy(at)),
    Later("pull_refresh_after"),
    set!("read_only", read_only, |d, at| d.boolean(at)),
    set!("restart", restart, |d, at| d.restart(at)),
    Later("runtime"),
    Read("scale", |d, at, s| s.scale = d.count(at)),
    Read("secrets", |d, at, s| s.service.secrets = d.file_mounts(at, Referent::Secret, &mut s.references)),
    Read("security_opt", |d, at, s| d.security_opt(at, &mut s.service)),
    set!("shm_size", resources.shm_size, |d, at| Some(d.limit(at))),
    set!("stdin_open", stdin_open, |d, at| d.boolean(at)),
    set!("stop_grace_period", stop_grace_period, |d, at| d.duration(at).map(Some)),
    set!("stop_signal", stop_signal, |d, at| d.signal(at).map(Some)),
    Later("storage_opt"),
    set!("sysctls", sysctls, |d, at| Some(d.sysctls(at))),
    set!("tmpfs", tmpfs, |d, at| Some(d.tmpfs(at))),
    set!("tty", tty, |d, at| d.boolean(at)),
    set!("ulimits", ulimits, |d, at| Some(d.ulimits(at))),
    Later("use_api_socket"),
    set!("user", user, |d, at| d.filled(at).map(Some)),
    Later("userns_mode"),
    Later("uts"),
    Read("volumes", |d, at, s| s.service.volumes = d.mounts(at, &mut s.references)),
    Later("volumes_from"),
    set!("working_dir", working_dir, |d, at| d.filled(at).and_then(|text| d.container_path(at, &text)).map(Some)),
];

impl Decoder<'_> {
    fn container_name(&mut self, at: &At<'_>) -> Option<String> {
        let name = self.filled(at)?;
        if !super::root::is_object_name(&name) || name.len() < 2 {
            let help = "names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`";
            self.error_with_help(at, format!("is no container name: \"{name}\""), help);
            return None;
        }
        Some(name)
    }

    fn network_mode(&mut self, at: &At<'_>) -> Option<NetworkMode> {
        let mode = self.filled(at)?;
        match mode.as_str() {
            "host" => Some(NetworkMode::Host),
            "none" => Some(NetworkMode::None),
            "bridge" | "default" => {
                self.later(at, format!("\"{mode}\""));
                None
            }
            _ if mode.starts_with("service:") || mode.starts_with("container:") => {
                self.later(at, format!("\"{mode}\""));
                None
            }
            _ => {
                self.error(at, format!("must be `host` or `none`, not \"{mode}\""));
                None
            }
        }
    }

    fn pull_policy(&mut self, at: &At<'_>) -> Option<PullPolicy> {
        let policy = self.filled(at)?;
        match policy.as_str() {
            "always" => Some(PullPolicy::Always),
            "never" => Some(PullPolicy::Never),
            "missing" | "if_not_present" => Some(PullPolicy::Missing),
            "build" | "refresh" | "daily" | "weekly" => {
                self.later(at, format!("\"{policy}\""));
                None
            }
            _ if policy.starts_with("every_") => {
                self.later(at, format!("\"{policy}\""));
                None
            }
            _ => {
                self.error(at, format!("must be `always`, `never` or `missing`, not \"{policy}\""));
                None
            }
        }
    }

    fn profiles(&mut self, at: &At<'_>) -> Vec<String> {
        let profiles = self.strings(at);
        for profile in &profiles {
            let good = profile.starts_with(|c: char| c.is_ascii_alphanumeric())
                && profile.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
            if !good {
                self.error(at, format!("holds \"{profile}\", which is no name of a profile"));
            }
        }
        profiles
    }

    fn group_add(&mut self, at: &At<'_>) -> Vec<String> {
        let items = self.items(at);
        let groups: indexmap::IndexSet<String> = items.iter().filter_map(|item| self.text_or_number(item)).collect();
        groups.into_iter().collect()
    }
}
