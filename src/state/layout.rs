//! Every path that muster uses, in one place. Nothing else in the project joins a path under these roots.
//!
//! ```text
//! <data>/images/                    the image store, an OCI image layout (see `image`)
//! <data>/build/records/<key>.json   what a step of a build gave
//! <data>/build/layers/<name>/       its files
//! <data>/build/mounts/<name>/       what `RUN --mount=type=cache` keeps
//! <data>/build/contexts/<name>      digests of a context's files, by their inodes
//! <data>/build/remotes/<name>/      what contexts elsewhere gave: a repository, files (see `build::engine::remote`)
//! <data>/volumes/<name>/            volume.json, data/
//! <data>/networks/<name>.json       one record a network: subnet, gateway
//! <data>/projects/<project>/        applied.json, events.jsonl, supervisor.log
//! <data>/bundles/<project>/         what bundles brought: model-<digest>/, files-<digest>/
//! <data>/containers/<id>/           record.json, spec.json, exit.json, log/, upper/, work/, hosts, hostname, resolv.conf
//! <run>/builds/<session>/           secrets and sockets of a build at work
//! <run>/projects/<project>/         supervisor.sock, supervisor.lock
//! <run>/containers/<short id>.sock  the shim's socket
//! <run>/networks/<name>.json        the leases of a network
//! <run>/locks/<name>                host-wide locks: images, networks, volumes
//! ```

use crate::model::ids::ContainerId;
use std::path::{Path, PathBuf};

/// The two roots; every other path follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    data: PathBuf,
    run: PathBuf,
}

impl Layout {
    /// `/var/lib/muster` and `/run/muster`.
    pub fn system() -> Self {
        Self::new("/var/lib/muster", "/run/muster")
    }
    pub fn new(data: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), run: run.into() }
    }
    pub fn data(&self) -> &Path {
        &self.data
    }
    pub fn run(&self) -> &Path {
        &self.run
    }

    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    pub fn build(&self) -> PathBuf {
        self.data.join("build")
    }
    pub fn build_records(&self) -> PathBuf {
        self.build().join("records")
    }
    /// What a step of a build gave, by what the step is.
    pub fn build_record(&self, key: &str) -> PathBuf {
        self.build_records().join(format!("{key}.json"))
    }
    pub fn build_layers(&self) -> PathBuf {
        self.build().join("layers")
    }
    pub fn build_layer(&self, name: &str) -> PathBuf {
        self.build_layers().join(name)
    }
    pub fn build_mounts(&self) -> PathBuf {
        self.build().join("mounts")
    }
    pub fn build_mount(&self, name: &str) -> PathBuf {
        self.build_mounts().join(name)
    }
    pub fn build_contexts(&self) -> PathBuf {
        self.build().join("contexts")
    }
    /// What is remembered about the files of one context.
    pub fn build_context(&self, name: &str) -> PathBuf {
        self.build_contexts().join(name)
    }

    /// Home of the git that fetches sources, with the keys of hosts that it has met.
    pub fn build_git(&self) -> PathBuf {
        self.build().join("git")
    }

    pub fn build_remotes(&self) -> PathBuf {
        self.build().join("remotes")
    }
    /// What one repository or URL gave.
    pub fn build_remote(&self, name: &str) -> PathBuf {
        self.build_remotes().join(name)
    }

    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }
    pub fn volume_record(&self, name: &str) -> PathBuf {
        self.volume(name).join("volume.json")
    }
    pub fn volume_data(&self, name: &str) -> PathBuf {
        self.volume(name).join("data")
    }

    pub fn networks(&self) -> PathBuf {
        self.data.join("networks")
    }
    pub fn network_record(&self, name: &str) -> PathBuf {
        self.networks().join(format!("{name}.json"))
    }

    /// Who holds which address. Under the run directory: a lease dies with the boot that its interface lives in, and
    /// is written without a sync for each container that starts.
    pub fn network_leases(&self, name: &str) -> PathBuf {
        self.run.join("networks").join(format!("{name}.json"))
    }

    pub fn projects(&self) -> PathBuf {
        self.data.join("projects")
    }
    pub fn project(&self, project: &str) -> PathBuf {
        self.projects().join(project)
    }
    /// The model that was last applied.
    pub fn applied(&self, project: &str) -> PathBuf {
        self.project(project).join("applied.json")
    }
    pub fn events(&self, project: &str) -> PathBuf {
        self.project(project).join("events.jsonl")
    }
    pub fn supervisor_log(&self, project: &str) -> PathBuf {
        self.project(project).join("supervisor.log")
    }

    /// What the bundles of a project brought besides images and volumes.
    pub fn bundles(&self, project: &str) -> PathBuf {
        self.data.join("bundles").join(project)
    }

    pub fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }
    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }
    /// `records::ContainerRecord`
    pub fn container_record(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("record.json")
    }
    /// What the shim is to run, written before it starts.
    pub fn container_spec(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("spec.json")
    }
    /// How the last run ended, written by the shim.
    pub fn container_exit(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("exit.json")
    }
    /// Directory of the log files; `current.log` is the newest, `1.log` the one before.
    pub fn container_log(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("log")
    }
    pub fn container_upper(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("upper")
    }
    pub fn container_work(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("work")
    }
    /// A generated file of the container: `hosts`, `hostname`, `resolv.conf`.
    pub fn container_file(&self, id: &ContainerId, name: &str) -> PathBuf {
        self.container(id).join(name)
    }

    /// What builds that are at work keep off the disk, by their session.
    pub fn run_builds(&self) -> PathBuf {
        self.run.join("builds")
    }
    pub fn run_project(&self, project: &str) -> PathBuf {
        self.run.join("projects").join(project)
    }
    pub fn supervisor_socket(&self, project: &str) -> PathBuf {
        self.run_project(project).join("supervisor.sock")
    }
    /// Held by the living supervisor; whoever gets it may start one and hands the descriptor on.
    pub fn supervisor_lock(&self, project: &str) -> PathBuf {
        self.run_project(project).join("supervisor.lock")
    }
    pub fn run_containers(&self) -> PathBuf {
        self.run.join("containers")
    }
    /// Short, because the path of a Unix socket may have 107 bytes (unix(7)).
    pub fn shim_socket(&self, id: &ContainerId) -> PathBuf {
        self.run_containers().join(format!("{}.sock", id.short()))
    }
    /// A host-wide lock: `images`, `networks`, `volumes`, `ports`.
    pub fn host_lock(&self, name: &str) -> PathBuf {
        self.run.join("locks").join(name)
    }
    pub fn boot_record(&self) -> PathBuf {
        self.run.join("boot_id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_socket_fits_a_unix_address() {
        let id = ContainerId::new("f".repeat(64));
        let path = Layout::system().shim_socket(&id);
        assert_eq!(path, Path::new("/run/muster/containers/ffffffffffff.sock"));
        assert!(path.as_os_str().len() < 108);
    }
}
