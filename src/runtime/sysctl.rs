//! Kernel parameters of the container's own namespaces.

use super::{
    StartError,
    failure::During,
    spec::{NetNamespace, Spec},
};
use crate::sys::{self, Errno, file::Within};
use std::{
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

/// Docker's defaults in a network namespace of the container's own: ping and low ports without root.
const DEFAULTS: [(&str, &str); 2] =
    [("net.ipv4.ping_group_range", "0 2147483647"), ("net.ipv4.ip_unprivileged_port_start", "0")];

/// Belong to the IPC namespace.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Before /proc/sys becomes read-only.
pub(super) fn apply(root: BorrowedFd<'_>, spec: &Spec) -> Result<(), StartError> {
    let proc = sys::file::resolve(root, Path::new("/proc"), Within::RootWithoutLinks).during("sysctls")?;
    if spec.net != NetNamespace::Host {
        let asked = |name: &str| spec.sysctls.keys().any(|key| path(key) == path(name));
        for (name, value) in DEFAULTS.iter().filter(|(name, _)| !asked(name)) {
            match write(proc.as_fd(), name, value) {
                // A kernel without IPv4.
                Err(error) if error.errno == Errno::NOENT => {}
                result => result.during(format_args!("sysctl {name}"))?,
            }
        }
    }
    for (name, value) in &spec.sysctls {
        let step = format_args!("sysctl {name}={value}");
        check(name, spec.net).during(step)?;
        write(proc.as_fd(), name, value).during(step)?;
    }
    Ok(())
}

/// Only what a namespace of the container has a copy of; anything else would change the host.
fn check(name: &str, net: NetNamespace) -> Result<(), &'static str> {
    let parts: Vec<String> = path(name).iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let dotted = parts.join(".");
    match parts.first().map(String::as_str) {
        Some("sys") if parts.iter().any(|part| part == "..") => Err("is no name of a kernel parameter"),
        Some("sys") if dotted.starts_with("sys.net.") && net == NetNamespace::Host => {
            Err("would change the host, whose network the container uses")
        }
        Some("sys") if dotted.starts_with("sys.net.") || dotted.starts_with("sys.fs.mqueue.") => Ok(()),
        Some("sys") if IPC.iter().any(|known| dotted == format!("sys.{known}")) => Ok(()),
        _ => Err("is not of a namespace of the container, so it would change the host; \
                  net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem are"),
    }
}

/// Below /proc. As sysctl(8): when the first separator is a slash, dots belong to names (`net/ipv4/conf/eth0.100/x`).
fn path(name: &str) -> PathBuf {
    let slashes = name.find('/').is_some_and(|slash| name.find('.').is_none_or(|dot| slash < dot));
    let name = if slashes {
        name.to_owned()
    } else {
        // And the other way round for `net.ipv4.conf.eth0/100.x`.
        name.chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect()
    };
    Path::new("sys").join(name.trim_start_matches('/'))
}

fn write(proc: BorrowedFd<'_>, name: &str, value: &str) -> sys::Result<()> {
    let file = sys::file::open_for_writing(proc, &path(name), Within::FileSystem)?;
    sys::file::write_once(file.as_fd(), value.as_bytes(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_are_read_as_sysctl_does() {
        assert_eq!(path("net.ipv4.ip_forward"), Path::new("sys/net/ipv4/ip_forward"));
        assert_eq!(path("net/ipv4/conf/eth0.100/forwarding"), Path::new("sys/net/ipv4/conf/eth0.100/forwarding"));
        assert_eq!(path("net.ipv4.conf.eth0/100.forwarding"), Path::new("sys/net/ipv4/conf/eth0.100/forwarding"));
    }

    #[test]
    fn only_parameters_of_the_container_s_namespaces_are_allowed() {
        let allowed = |name, net| check(name, net).is_ok();
        for name in ["net.core.somaxconn", "kernel.shmmax", "kernel.sem", "fs.mqueue.msg_max", "net/core/somaxconn"] {
            assert!(allowed(name, NetNamespace::Given), "{name}");
        }
        for name in [
            "kernel.core_pattern",
            "vm.swappiness",
            "fs.file-max",
            "kernel.shm",
            "net",
            "net/../kernel/core_pattern",
            "/net/../vm/x",
        ] {
            assert!(!allowed(name, NetNamespace::Given), "{name}");
        }
        assert!(!allowed("net.core.somaxconn", NetNamespace::Host) && allowed("kernel.sem", NetNamespace::Host));
    }
}
