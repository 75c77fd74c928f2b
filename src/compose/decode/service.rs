//! The attributes of a service: one line each, the reading is in the files of their topics.

use super::{
    At, Decoder,
    Field::{self, Later, Read, Without},
    deploy,
    files::FileKind,
    logging,
    shape::Named,
};
use crate::model::{NetworkMode, Platform, PullPolicy, RestartPolicy, Service};

/// A service, before what it says twice is one.
#[derive(Debug)]
pub struct ServiceDraft {
    /// `scale` and what `deploy` can say too are not filled in yet.
    pub service: Service,
    pub scale: Option<u32>,
    pub deploy: Deploy,
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

impl ServiceDraft {
    /// What can be said at two places, as one. That they agree has been checked.
    fn settled(self) -> Service {
        let Self { mut service, scale, deploy } = self;
        let resources = &mut service.resources;
        resources.cpus = resources.cpus.or(deploy.cpus);
        resources.memory = resources.memory.or(deploy.memory);
        resources.pids = resources.pids.or(deploy.pids);
        resources.memory_reservation = resources.memory_reservation.or(deploy.memory_reservation);
        service.restart = deploy.restart.unwrap_or(service.restart);
        service.scale = scale.or(deploy.replicas).unwrap_or(1);
        service
    }
}

pub fn service(d: &mut Decoder<'_>, named: &Named<'_>) -> Option<Service> {
    let service = Service { name: named.name.to_owned(), scale: 1, attach: true, ..Service::default() };
    let mut draft = ServiceDraft { service, scale: None, deploy: Deploy::default() };
    d.section(&named.at, FIELDS, &mut draft).then(|| draft.settled())
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

pub const WINDOWS: &str = "it is for Windows containers";
const CLOUD: &str = "there is no model runner here";

pub const FIELDS: &[Field<ServiceDraft>] = &[
    Later("annotations"),
    set!("attach", attach, |d, at| d.boolean(at)),
    Later("blkio_config"),
    Read("build", |d, at, s| s.service.build = d.build(at)),
    set!("cap_add", cap_add, |d, at| Some(d.capabilities(at))),
    set!("cap_drop", cap_drop, |d, at| Some(d.capabilities(at))),
    Later("cgroup"),
    Later("cgroup_parent"),
    set!("command", command, |d, at| Some(d.command(at))),
    Read("configs", |d, at, s| s.service.configs = d.file_mounts(at, FileKind::Config)),
    set!("container_name", container_name, |d, at| d.container_name(at).map(Some)),
    Without("cpu_count", WINDOWS),
    Without("cpu_percent", WINDOWS),
    Later("cpu_period"),
    Later("cpu_quota"),
    Later("cpu_rt_period"),
    Later("cpu_rt_runtime"),
    set!("cpu_shares", resources.cpu_shares, |d, at| d
        .integer(at, 0..=262_144)
        .map(|shares| u64::try_from(shares).ok().filter(|shares| *shares > 0))),
    set!("cpus", resources.cpus, |d, at| d.float(at).map(|cpus| Some(cpus).filter(|cpus| *cpus > 0.0))),
    set!("cpuset", resources.cpuset, |d, at| d.cpuset(at).map(Some)),
    Without("credential_spec", WINDOWS),
    Read("depends_on", |d, at, s| s.service.depends_on = d.depends_on(at)),
    Read("deploy", |d, at, s| {
        // An empty `deploy:` is nothing, as Compose has it.
        if !at.node.is_null() {
            d.section(at, deploy::FIELDS, &mut s.deploy);
        }
    }),
    Read("develop", |d, at, s| s.service.develop = d.develop(at)),
    Later("device_cgroup_rules"),
    Later("devices"),
    set!("dns", dns, |d, at| Some(d.addresses(at))),
    set!("dns_opt", dns_opt, |d, at| Some(d.strings(at))),
    set!("dns_search", dns_search, |d, at| Some(d.strings(at))),
    set!("domainname", domainname, |d, at| d.host_name(at).map(Some)),
    set!("entrypoint", entrypoint, |d, at| Some(d.command(at))),
    // Read before: what is in them stands in `environment`.
    Read("env_file", |_, _, _| {}),
    Read("environment", |d, at, s| s.service.environment = d.environment(at)),
    set!("expose", expose, |d, at| Some(d.expose(at))),
    Later("external_links"),
    set!("extra_hosts", extra_hosts, |d, at| Some(d.extra_hosts(at))),
    Later("gpus"),
    set!("group_add", group_add, |d, at| Some(d.group_add(at))),
    set!("healthcheck", healthcheck, |d, at| d.healthcheck(at).map(Some)),
    set!("hostname", hostname, |d, at| d.host_name(at).map(Some)),
    set!("image", image, |d, at| d.image(at)),
    set!("init", init, |d, at| d.boolean(at)),
    Later("ipc"),
    Without("isolation", WINDOWS),
    Read("label_file", |_, _, _| {}),
    set!("labels", labels, |d, at| Some(d.labels(at))),
    Read("links", |d, at, _| d.links(at)),
    Read("logging", |d, at, s| {
        d.section(at, logging::FIELDS, &mut s.service.logging);
    }),
    Later("mac_address"),
    set!("mem_limit", resources.memory, |d, at| Some(d.limit(at))),
    set!("mem_reservation", resources.memory_reservation, |d, at| Some(d.limit(at))),
    Later("mem_swappiness"),
    set!("memswap_limit", resources.memory_swap, |d, at| Some(d.swap_limit(at))),
    Without("models", CLOUD),
    set!("network_mode", network_mode, |d, at| d.network_mode(at).map(Some)),
    Read("networks", |d, at, s| s.service.networks = d.attachments(at)),
    Later("oom_kill_disable"),
    set!("oom_score_adj", resources.oom_score_adj, |d, at| d
        .integer(at, -1000..=1000)
        .map(|score| i32::try_from(score).ok())),
    Later("pid"),
    set!("pids_limit", resources.pids, |d, at| Some(d.pids_limit(at))),
    Read("platform", |d, at, s| s.service.platform = d.platform(at)),
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
    Read("runtime", |d, at, _| d.runtime(at)),
    Read("scale", |d, at, s| s.scale = d.count(at)),
    Read("secrets", |d, at, s| s.service.secrets = d.file_mounts(at, FileKind::Secret)),
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
    Without("use_api_socket", "there is no engine whose socket a container could have"),
    set!("user", user, |d, at| d.filled(at).map(Some)),
    Later("userns_mode"),
    Later("uts"),
    Read("volumes", |d, at, s| s.service.volumes = d.mounts(at)),
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

    /// A link by the service's own name is what the resolver answers anyway, and the start order is a dependency.
    fn links(&mut self, at: &At<'_>) {
        for item in self.items(at) {
            let Some(text) = self.text(&item) else { continue };
            if text.split_once(':').is_some_and(|(service, alias)| service != alias) {
                self.later(&item, format!("the alias of \"{text}\""));
            }
        }
    }

    /// Operating system and processor, in the one form that stands for all of theirs; Linux is the one that runs here.
    pub fn platform(&mut self, at: &At<'_>) -> Option<String> {
        let text = self.text(at).filter(|text| !text.is_empty())?;
        let linux = Platform { os: "linux".to_owned(), architecture: String::new(), variant: String::new() };
        match Platform::parse(&text, &linux).filter(|platform| platform.os == "linux") {
            // `linux` alone says nothing about the processor.
            Some(platform) => Some(platform.to_string()).filter(|_| !platform.architecture.is_empty()),
            None => {
                self.later(at, format!("the platform \"{text}\""));
                None
            }
        }
    }

    fn runtime(&mut self, at: &At<'_>) {
        if let Some(text) = self.text(at).filter(|text| !matches!(text.as_str(), "" | "runc" | "crun")) {
            self.later(at, format!("the runtime \"{text}\""));
        }
    }

    fn pull_policy(&mut self, at: &At<'_>) -> Option<PullPolicy> {
        let policy = self.filled(at)?;
        match policy.as_str() {
            "always" => Some(PullPolicy::Always),
            "never" => Some(PullPolicy::Never),
            // docker compose does for `refresh` what it does for `missing`.
            "missing" | "if_not_present" | "refresh" => Some(PullPolicy::Missing),
            "daily" => Some(PullPolicy::Every(DAY)),
            "weekly" => Some(PullPolicy::Every(7 * DAY)),
            "build" => Some(PullPolicy::Build),
            _ => {
                let seconds = policy.strip_prefix("every_").and_then(seconds);
                if seconds.is_none() {
                    let words =
                        "`always`, `never`, `missing`, `build`, `daily`, `weekly` or a time such as `every_12h`";
                    self.error(at, format!("must be {words}, not \"{policy}\""));
                }
                seconds.map(PullPolicy::Every)
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

const DAY: u64 = 24 * 60 * 60;

/// `1w2d`, `12h30m`: units of Compose, each with its number.
fn seconds(text: &str) -> Option<u64> {
    let mut sum = 0u64;
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let (digits, unit) = part.split_at_checked(part.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => return None,
        };
        sum = sum.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_pulls_has_units() {
        for (text, expected) in [
            ("12h", Some(12 * 3600)),
            ("1w2d", Some(9 * DAY)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("12", None),
            ("h", None),
            ("", None),
            ("99999999999999999999w", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
