//! The directory of a container, and the files that are made for it.

use super::failure;
use crate::{
    api::Failure,
    dns::{
        ResolvConf,
        files::{self, Hosts},
    },
    model::{ContainerId, NetworkMode, Service},
    state::{Durability, Layout, record, records::NetworkUse},
};
use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Makes `upper`, `work` and `log`; nobody but root gets in (CVE-2021-41091).
pub fn directories(layout: &Layout, id: &ContainerId) -> Result<(), Failure> {
    let make = |path: &Path, mode: u32| {
        let made = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
        made.map_err(|error: io::Error| failure(format!("cannot make {}: {error}", path.display())))
    };
    make(&layout.container(id), 0o700)?;
    // The upper directory becomes the container's `/`: everybody in the container has to get through it.
    make(&layout.container_upper(id), 0o755)?;
    make(&layout.container_work(id), 0o700)?;
    make(&layout.container_log(id), 0o700)
}

/// hosts, hostname and resolv.conf. On the host's network they are the host's own.
pub fn generate(
    service: &Service,
    hostname: &str,
    networks: &[NetworkUse],
    layout: &Layout,
    id: &ContainerId,
) -> Result<(), Failure> {
    let write = |file: &str, text: &str| -> Result<(), Failure> {
        let path = layout.container_file(id, file);
        record::write_bytes(&path, text.as_bytes(), Durability::Volatile)?;
        // Programs of every user look names up; the directory keeps the host's users out.
        let readable = fs::set_permissions(&path, fs::Permissions::from_mode(0o644));
        readable.map_err(|error| failure(format!("cannot make {} readable: {error}", path.display())))
    };
    let host = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let addresses: Vec<IpAddr> = networks.iter().map(|used| used.address).collect();
    let hosts = Hosts {
        addresses: &addresses,
        hostname,
        domainname: service.domainname.as_deref(),
        extra: Some(&service.extra_hosts),
        host_gateway: networks.iter().find_map(|used| used.gateway),
    };
    let resolv = ResolvConf::parse(&host("/etc/resolv.conf"));
    write("hostname", &files::hostname(hostname))?;
    match service.network_mode {
        Some(NetworkMode::Host) => {
            write("hosts", &host("/etc/hosts"))?;
            write("resolv.conf", &host("/etc/resolv.conf"))?;
        }
        Some(NetworkMode::None) | None => {
            write("hosts", &hosts.text())?;
            write("resolv.conf", &ResolvConf::for_container(&resolv, &service.dns_search, &service.dns_opt))?;
        }
    }
    Ok(())
}
