//! The directory of a container, and the files that are made for it.

use super::failure;
use crate::{
    api::Failure,
    model::{ContainerId, Service},
    state::{Durability, Layout, record, records::NetworkUse},
};
use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};

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

/// hosts, hostname and resolv.conf.
pub fn generate(
    service: &Service,
    name: &str,
    hostname: &str,
    networks: &[NetworkUse],
    layout: &Layout,
    id: &ContainerId,
) -> Result<(), Failure> {
    let _ = (service, name, networks);
    let write = |file: &str, text: &str| {
        record::write_bytes(&layout.container_file(id, file), text.as_bytes(), Durability::Volatile)
    };
    write("hostname", &format!("{hostname}\n"))?;
    write("hosts", "127.0.0.1 localhost\n")?;
    write("resolv.conf", "nameserver 127.0.0.11\noptions ndots:0\n")?;
    Ok(())
}
