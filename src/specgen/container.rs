//! A service and the facts of this host become one container's spec.

use super::process::{self, ProcessError};
use crate::{
    image::Image,
    model::{ContainerId, NetworkMode, Project, Service, Tmpfs},
    runtime::spec::{CgroupSpec, Limits, Mount, MountSource, NetNamespace, Root, Spec},
    shim::wire::{LogSpec, ShimSpec},
    state::Layout,
};
use std::path::{Path, PathBuf};

/// Docker's size of /dev/shm.
const SHM_SIZE: u64 = 64 << 20;
/// What one container's logs may take where the file says nothing: docker's `local` driver has the same bounds
/// in total (5 files of 20 MB).
const LOG_SIZE: u64 = 20 << 20;
const LOG_FILES: u32 = 5;

/// What is known about the container besides its service.
pub struct Facts<'a> {
    pub layout: &'a Layout,
    pub project: &'a Project,
    pub id: &'a ContainerId,
    pub image: &'a Image,
    /// One for each volume of the service, in order, with real paths; made by `reconcile`.
    pub volumes: Vec<Mount>,
    /// Wait for somebody to attach before the start.
    pub hold: bool,
}

/// Everything a shim has to know.
pub fn shim_spec(service: &Service, facts: Facts<'_>) -> Result<ShimSpec, ProcessError> {
    let id = facts.id;
    let file = |name: &str| facts.layout.container_file(id, name);
    let mut mounts: Vec<Mount> = ["hosts", "hostname", "resolv.conf"]
        .into_iter()
        .map(|name| bind(file(name), Path::new("/etc").join(name)))
        .collect();
    mounts.extend(service.tmpfs.iter().map(tmpfs));
    mounts.extend(facts.volumes);
    mounts.extend(contents(service, facts.project));
    // A mount below another one has to come after it.
    mounts.sort_by_key(|mount| mount.target.components().count());
    let container = Spec {
        id: id.as_str().to_owned(),
        hostname: hostname(service, id),
        domainname: service.domainname.clone(),
        root: Root {
            lower: facts.image.layers.clone(),
            upper: facts.layout.container_upper(id),
            work: facts.layout.container_work(id),
            read_only: service.read_only,
            volatile: false,
        },
        mounts,
        process: process::main(service, &facts.image.config)?,
        net: match service.network_mode {
            Some(NetworkMode::Host) => NetNamespace::Host,
            Some(NetworkMode::None) => NetNamespace::New,
            None => NetNamespace::Given,
        },
        cgroup: CgroupSpec { path: cgroup_path(&facts.project.name, id), limits: limits(service) },
        shm_size: service.resources.shm_size.unwrap_or(SHM_SIZE),
        sysctls: service.sysctls.clone(),
        init: service.init,
        oom_score_adj: service.resources.oom_score_adj,
        privileged: service.privileged,
    };
    Ok(ShimSpec {
        project: facts.project.name.clone(),
        data: facts.layout.data().to_owned(),
        run: facts.layout.run().to_owned(),
        log: LogSpec {
            none: service.logging.driver.as_deref() == Some("none"),
            max_size: service.logging.max_size.unwrap_or(LOG_SIZE),
            max_file: service.logging.max_file.unwrap_or(LOG_FILES),
        },
        stdin_open: service.stdin_open,
        hold: facts.hold,
        container,
    })
}

/// As Docker: the short id, unless the file names one; on the host's network the host's own name is kept by the
/// runtime's caller.
pub fn hostname(service: &Service, id: &ContainerId) -> String {
    service.hostname.clone().unwrap_or_else(|| id.short().to_owned())
}

/// Where a container's cgroups are, below each hierarchy's root.
pub fn cgroup_path(project: &str, id: &ContainerId) -> PathBuf {
    Path::new("muster").join(project).join(id.short())
}

fn bind(source: PathBuf, target: PathBuf) -> Mount {
    Mount { target, source: MountSource::Bind { source, propagation: None, copy_up: false }, read_only: false }
}

fn tmpfs(tmpfs: &Tmpfs) -> Mount {
    let mut options: Vec<String> = Vec::new();
    options.extend(tmpfs.size.map(|size| format!("size={size}")));
    options.extend(tmpfs.mode.map(|mode| format!("mode={mode:o}")));
    options.extend(tmpfs.uid.map(|uid| format!("uid={uid}")));
    options.extend(tmpfs.gid.map(|gid| format!("gid={gid}")));
    // Docker's defaults for a tmpfs, where the file does not say the contrary.
    for (flag, contrary) in [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")] {
        if !tmpfs.options.iter().any(|option| option == contrary || option == flag) {
            options.push(flag.to_owned());
        }
    }
    let read_only = tmpfs.options.iter().any(|option| option == "ro");
    let positive = ["exec", "suid", "dev", "ro", "rw"];
    options.extend(tmpfs.options.iter().filter(|option| !positive.contains(&option.as_str())).cloned());
    Mount { target: tmpfs.target.clone(), source: MountSource::Tmpfs { options }, read_only }
}

/// Secrets and configs. The loader has made sure that each source exists in the project.
fn contents(service: &Service, project: &Project) -> Vec<Mount> {
    let secrets = service.secrets.iter().map(|mount| (mount, project.secrets.get(&mount.source)));
    let configs = service.configs.iter().map(|mount| (mount, project.configs.get(&mount.source)));
    secrets
        .chain(configs)
        .filter_map(|(mount, object)| {
            let crate::model::FileSource::File(source) = &object?.source else { return None };
            Some(Mount {
                target: mount.target.clone(),
                source: MountSource::Content {
                    source: source.clone(),
                    uid: mount.uid,
                    gid: mount.gid,
                    mode: mount.mode,
                },
                read_only: true,
            })
        })
        .collect()
}

fn limits(service: &Service) -> Limits {
    let resources = &service.resources;
    Limits {
        memory: resources.memory,
        memory_swap: resources.memory_swap,
        memory_reservation: resources.memory_reservation,
        // Microseconds of each 100 ms; the kernel takes no less than 1 ms.
        cpu_quota: resources.cpus.map(|cpus| ((cpus * 100_000.0).round() as u64).max(1000)),
        cpu_shares: resources.cpu_shares,
        cpuset: resources.cpuset.clone(),
        pids: resources.pids,
    }
}
