//! One service in the canonical form. The order is that of Compose.

use super::{list, named, put, put_filled, put_some, put_true, strings, text, texts};
use crate::model::{
    Attachment, Dependency, FileMount, HealthTest, Healthcheck, Logging, Mount, MountKind, NetworkMode, PublishedPort,
    PullPolicy, Resources, RestartPolicy, Service, Tmpfs,
};
use serde_yaml::{Mapping, Value};
use std::time::Duration;

pub fn service(service: &Service) -> Value {
    let resources = &service.resources;
    let mut out = Mapping::new();
    put_filled(&mut out, "profiles", texts(&service.profiles));
    if !service.attach {
        put(&mut out, "attach", Value::Bool(false));
    }
    put_filled(&mut out, "cap_add", texts(&service.cap_add));
    put_filled(&mut out, "cap_drop", texts(&service.cap_drop));
    put_some(&mut out, "cpus", resources.cpus.map(float));
    put_some(&mut out, "cpuset", resources.cpuset.as_deref().map(text));
    put_some(&mut out, "cpu_shares", resources.cpu_shares.map(Value::from));
    put(&mut out, "command", command(service.command.as_ref()));
    put_filled(&mut out, "configs", list(&service.configs, file_mount));
    put_some(&mut out, "container_name", service.container_name.as_deref().map(text));
    put_filled(&mut out, "depends_on", named(&service.depends_on, dependency));
    put_filled(&mut out, "dns", list(&service.dns, |ip| text(&ip.to_string())));
    put_filled(&mut out, "dns_opt", texts(&service.dns_opt));
    put_filled(&mut out, "dns_search", texts(&service.dns_search));
    put_some(&mut out, "domainname", service.domainname.as_deref().map(text));
    put(&mut out, "entrypoint", command(service.entrypoint.as_ref()));
    put_filled(&mut out, "environment", strings(&service.environment));
    put_filled(&mut out, "expose", texts(&service.expose));
    put_filled(&mut out, "extra_hosts", extra_hosts(service));
    put_filled(&mut out, "group_add", texts(&service.group_add));
    put_some(&mut out, "hostname", service.hostname.as_deref().map(text));
    put_some(&mut out, "healthcheck", service.healthcheck.as_ref().map(healthcheck));
    put(&mut out, "image", text(&service.image));
    put_true(&mut out, "init", service.init);
    put_filled(&mut out, "labels", strings(&service.labels));
    put_filled(&mut out, "logging", logging(&service.logging));
    memory(&mut out, resources);
    put_some(&mut out, "network_mode", service.network_mode.map(network_mode));
    put_filled(&mut out, "networks", named(&service.networks, attachment));
    put_some(&mut out, "oom_score_adj", resources.oom_score_adj.map(Value::from));
    put_some(&mut out, "pids_limit", resources.pids.map(Value::from));
    put_filled(&mut out, "ports", list(&service.ports, port));
    put_true(&mut out, "privileged", service.privileged);
    put_some(&mut out, "pull_policy", pull_policy(service.pull_policy).map(text));
    put_true(&mut out, "read_only", service.read_only);
    if service.restart != RestartPolicy::No {
        put(&mut out, "restart", text(&service.restart.to_string()));
    }
    if service.scale != 1 {
        put(&mut out, "scale", Value::from(service.scale));
    }
    put_filled(&mut out, "secrets", list(&service.secrets, file_mount));
    put_filled(&mut out, "security_opt", security_opt(service));
    put_some(&mut out, "shm_size", resources.shm_size.map(decimal));
    put_true(&mut out, "stdin_open", service.stdin_open);
    put_some(&mut out, "stop_grace_period", service.stop_grace_period.map(duration));
    put_some(&mut out, "stop_signal", service.stop_signal.as_deref().map(text));
    let sysctls = service.sysctls.iter().map(|(name, value)| (Value::String(name.clone()), text(value)));
    put_filled(&mut out, "sysctls", Value::Mapping(sysctls.collect()));
    put_filled(&mut out, "tmpfs", list(&service.tmpfs, tmpfs));
    put_true(&mut out, "tty", service.tty);
    put_filled(&mut out, "ulimits", ulimits(service));
    put_some(&mut out, "user", service.user.as_deref().map(text));
    put_filled(&mut out, "volumes", list(&service.volumes, mount));
    put_some(&mut out, "working_dir", service.working_dir.as_ref().map(|path| text(&path.to_string_lossy())));
    Value::Mapping(out)
}

/// Nothing said is `null`; an empty list clears what the image says.
fn command(words: Option<&Vec<String>>) -> Value {
    words.map_or(Value::Null, |words| texts(words))
}

fn float(value: f64) -> Value {
    if value.fract() == 0.0 && value < 1e9 { Value::from(value as u64) } else { Value::from(value) }
}

/// Sizes are decimal strings.
fn decimal(bytes: u64) -> Value {
    Value::String(bytes.to_string())
}

fn memory(out: &mut Mapping, resources: &Resources) {
    put_some(out, "mem_limit", resources.memory.map(decimal));
    put_some(out, "mem_reservation", resources.memory_reservation.map(decimal));
    let swap = |bytes: i64| u64::try_from(bytes).map_or(Value::from(bytes), decimal);
    put_some(out, "memswap_limit", resources.memory_swap.map(swap));
}

fn file_mount(mount: &FileMount) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "source", text(&mount.source));
    put(&mut out, "target", text(&mount.target.to_string_lossy()));
    let id = |id: u32| Some(Value::String(id.to_string())).filter(|_| id != 0);
    put_some(&mut out, "uid", id(mount.uid));
    put_some(&mut out, "gid", id(mount.gid));
    put_some(&mut out, "mode", Some(Value::from(mount.mode)).filter(|_| mount.mode != 0o444));
    Value::Mapping(out)
}

fn dependency(dependency: &Dependency) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "condition", text(dependency.condition.as_str()));
    put_true(&mut out, "restart", dependency.restart);
    put(&mut out, "required", Value::Bool(dependency.required));
    Value::Mapping(out)
}

fn extra_hosts(service: &Service) -> Value {
    let mut hosts: Vec<(&String, &Vec<String>)> = service.extra_hosts.iter().collect();
    hosts.sort();
    let lines = hosts.into_iter().flat_map(|(host, ips)| ips.iter().map(move |ip| text(&format!("{host}={ip}"))));
    Value::Sequence(lines.collect())
}

fn healthcheck(check: &Healthcheck) -> Value {
    let words = |first: &str, rest: &[String]| {
        Value::Sequence(std::iter::once(text(first)).chain(rest.iter().map(|word| text(word))).collect())
    };
    let mut out = Mapping::new();
    let test = check.test.as_ref().map(|test| match test {
        HealthTest::None => words("NONE", &[]),
        HealthTest::Cmd(argv) => words("CMD", argv),
        HealthTest::Shell(script) => words("CMD-SHELL", std::slice::from_ref(script)),
    });
    put_some(&mut out, "test", test);
    put_some(&mut out, "timeout", check.timeout.map(duration));
    put_some(&mut out, "interval", check.interval.map(duration));
    put_some(&mut out, "retries", check.retries.map(Value::from));
    put_some(&mut out, "start_period", check.start_period.map(duration));
    put_some(&mut out, "start_interval", check.start_interval.map(duration));
    Value::Mapping(out)
}

fn logging(logging: &Logging) -> Value {
    let mut out = Mapping::new();
    put_some(&mut out, "driver", logging.driver.as_deref().map(text));
    put_filled(&mut out, "options", strings(&logging.options));
    Value::Mapping(out)
}

fn network_mode(mode: NetworkMode) -> Value {
    match mode {
        NetworkMode::Host => text("host"),
        NetworkMode::None => text("none"),
    }
}

/// A network that is only joined is `null`.
fn attachment(attachment: &Attachment) -> Value {
    let mut out = Mapping::new();
    put_filled(&mut out, "aliases", texts(&attachment.aliases));
    put_some(&mut out, "ipv4_address", attachment.ipv4_address.map(|ip| text(&ip.to_string())));
    put_some(&mut out, "priority", Some(attachment.priority).filter(|p| *p != 0).map(Value::from));
    if out.is_empty() { Value::Null } else { Value::Mapping(out) }
}

fn port(port: &PublishedPort) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "mode", text("ingress"));
    put_some(&mut out, "host_ip", port.host_ip.map(|ip| text(&ip.to_string())));
    put(&mut out, "target", Value::from(port.target));
    let published = port.published.map(|range| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    });
    put_some(&mut out, "published", published.map(Value::String));
    put(&mut out, "protocol", text(port.protocol.as_str()));
    Value::Mapping(out)
}

/// `missing` is what is meant without it.
fn pull_policy(policy: PullPolicy) -> Option<&'static str> {
    match policy {
        PullPolicy::Always => Some("always"),
        PullPolicy::Never => Some("never"),
        PullPolicy::Missing => None,
    }
}

fn security_opt(service: &Service) -> Value {
    let options =
        [("no-new-privileges:true", service.no_new_privileges), ("seccomp=unconfined", service.seccomp_unconfined)];
    Value::Sequence(options.into_iter().filter(|(_, on)| *on).map(|(option, _)| text(option)).collect())
}

fn tmpfs(tmpfs: &Tmpfs) -> Value {
    let options = [
        tmpfs.size.map(|size| format!("size={size}")),
        tmpfs.mode.map(|mode| format!("mode={mode:o}")),
        tmpfs.uid.map(|uid| format!("uid={uid}")),
        tmpfs.gid.map(|gid| format!("gid={gid}")),
    ];
    let options: Vec<String> = options.into_iter().flatten().chain(tmpfs.options.iter().cloned()).collect();
    let target = tmpfs.target.to_string_lossy();
    match options.is_empty() {
        true => text(&target),
        false => text(&format!("{target}:{}", options.join(","))),
    }
}

fn ulimits(service: &Service) -> Value {
    let limit = |limit: &crate::model::Ulimit| {
        if limit.soft == limit.hard {
            return Value::from(limit.soft);
        }
        let mut out = Mapping::new();
        put(&mut out, "soft", Value::from(limit.soft));
        put(&mut out, "hard", Value::from(limit.hard));
        Value::Mapping(out)
    };
    Value::Mapping(service.ulimits.iter().map(|(name, value)| (Value::String(name.clone()), limit(value))).collect())
}

fn mount(mount: &Mount) -> Value {
    let mut options = Mapping::new();
    let (kind, source) = match &mount.kind {
        MountKind::Bind { source, create_host_path, propagation } => {
            put_some(&mut options, "propagation", propagation.as_deref().map(text));
            put(&mut options, "create_host_path", Value::Bool(*create_host_path));
            ("bind", Some(text(&source.to_string_lossy())))
        }
        MountKind::Volume { source, nocopy, subpath } => {
            put_true(&mut options, "nocopy", *nocopy);
            put_some(&mut options, "subpath", subpath.as_ref().map(|path| text(&path.to_string_lossy())));
            ("volume", Some(text(source)))
        }
        MountKind::Anonymous { nocopy } => {
            put_true(&mut options, "nocopy", *nocopy);
            ("volume", None)
        }
        MountKind::Tmpfs { size, mode } => {
            put_some(&mut options, "size", size.map(decimal));
            put_some(&mut options, "mode", mode.map(Value::from));
            ("tmpfs", None)
        }
    };
    let mut out = Mapping::new();
    put(&mut out, "type", text(kind));
    put_some(&mut out, "source", source);
    put(&mut out, "target", text(&mount.target.to_string_lossy()));
    put_true(&mut out, "read_only", mount.read_only);
    put(&mut out, kind, Value::Mapping(options));
    Value::Mapping(out)
}

/// As Go prints it: `1h0m0s`, `1m30s`, `500ms`.
fn duration(duration: Duration) -> Value {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanos > 0 {
        let (value, unit) = match nanos {
            0..1_000 => (f64::from(nanos), "ns"),
            1_000..1_000_000 => (f64::from(nanos) / 1e3, "µs"),
            _ => (f64::from(nanos) / 1e6, "ms"),
        };
        return Value::String(format!("{value}{unit}"));
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut out = String::new();
    if hours > 0 {
        out += &format!("{hours}h");
    }
    if seconds >= 60 {
        out += &format!("{minutes}m");
    }
    let fraction = format!("{nanos:09}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Value::String(format!("{out}{}{point}{fraction}s", seconds % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (1500, "1.5s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), Value::String(text.into()));
        }
        assert_eq!(duration(Duration::from_micros(1500)), Value::String("1.5ms".into()));
        assert_eq!(duration(Duration::from_nanos(1500)), Value::String("1.5µs".into()));
    }
}
