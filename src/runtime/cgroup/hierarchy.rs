//! Which cgroup trees this host has, from one look at /proc/self/mountinfo.

use crate::sys::{self, Errno};
use std::path::{Path, PathBuf};

/// The trees of a host. A pure v2 host has no `v1`, a legacy one no `v2`, a hybrid one both: there v1 holds the
/// controllers, and v2 membership, kill and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub v2: Option<PathBuf>,
    pub v1: Vec<Tree>,
}

/// One v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub at: PathBuf,
    /// `cpu` and `cpuacct` often share one.
    pub controllers: Vec<String>,
    /// What it is mounted with: a second mount must name the same set.
    pub options: Vec<String>,
}

/// Controllers that a container joins on v1, so that programs find their own limits (the JVM wants all of the first
/// four) and accounts are kept. `freezer` and `devices` do what the v2 tree does where there is one.
const JOINED_V1: [&str; 5] = ["memory", "cpu", "cpuacct", "cpuset", "pids"];
const JOINED_WITHOUT_V2: [&str; 2] = ["freezer", "devices"];

impl Host {
    pub fn detect() -> sys::Result<Self> {
        let path = "/proc/self/mountinfo";
        let text = std::fs::read_to_string(path).map_err(|error| sys::Error::from_io("read", path, &error))?;
        let host = Self::parse(&text);
        match &host {
            Self { v2: None, v1 } if v1.is_empty() => {
                Err(sys::Error::new("find", "a mounted cgroup hierarchy", Errno::NOENT))
            }
            _ => Ok(host),
        }
    }

    /// Of mountinfo's text (proc_pid_mountinfo(5)).
    fn parse(text: &str) -> Self {
        let mut host = Self { v2: None, v1: Vec::new() };
        for line in text.lines() {
            let Some((mount, file_system)) = line.split_once(" - ") else { continue };
            let mut mount = mount.split(' ').skip(3);
            // Only a mount of the whole tree: paths are counted from its root.
            let (Some("/"), Some(at)) = (mount.next(), mount.next()) else { continue };
            let mut file_system = file_system.split(' ');
            let (kind, options) = (file_system.next(), file_system.nth(1));
            match kind {
                Some("cgroup2") if host.v2.is_none() => host.v2 = Some(PathBuf::from(at)),
                Some("cgroup") => host.add_v1(at, options.unwrap_or_default()),
                _ => {}
            }
        }
        host.forget_what_nobody_joins();
        host
    }

    fn add_v1(&mut self, at: &str, options: &str) {
        let known = |option: &&str| JOINED_V1.contains(option) || JOINED_WITHOUT_V2.contains(option);
        let controllers: Vec<String> = options.split(',').filter(known).map(str::to_owned).collect();
        let seen = self.v1.iter().any(|tree| controllers.iter().any(|name| tree.controllers.contains(name)));
        if !controllers.is_empty() && !seen {
            let own = |option: &&str| !matches!(*option, "rw" | "ro" | "clone_children") && !option.contains('=');
            let options = options.split(',').filter(own).map(str::to_owned).collect();
            self.v1.push(Tree { at: PathBuf::from(at), controllers, options });
        }
    }

    fn forget_what_nobody_joins(&mut self) {
        let with_v2 = self.v2.is_some();
        let joined = |name: &String| JOINED_V1.contains(&name.as_str()) || !with_v2;
        self.v1.retain(|tree| tree.controllers.iter().any(joined));
    }

    /// The v1 hierarchy of a controller.
    pub fn v1_tree(&self, controller: &str) -> Option<&Path> {
        let tree = self.v1.iter().find(|tree| tree.controllers.iter().any(|name| name == controller));
        tree.map(|tree| tree.at.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_v2_host_has_one_tree() {
        let host = Host::parse(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        assert_eq!(host, Host { v2: Some("/sys/fs/cgroup".into()), v1: vec![] });
    }

    #[test]
    fn a_hybrid_host_keeps_the_controllers_that_containers_join() {
        let host = Host::parse(
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n\
             38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        );
        let trees: Vec<String> = host.v1.iter().map(|tree| tree.controllers.join("+")).collect();
        assert_eq!(trees, ["cpu+cpuacct", "memory"]);
        assert_eq!(host.v2.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(host.v1_tree("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
    }

    #[test]
    fn a_legacy_host_also_joins_freezer_and_devices() {
        let host = Host::parse(
            "36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n\
             37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n",
        );
        assert_eq!((host.v1.len(), host.v2), (2, None));
    }

    #[test]
    fn a_bind_mount_of_a_part_is_no_tree() {
        let host = Host::parse("41 31 0:38 /docker/x /mnt rw,relatime - cgroup2 cgroup2 rw\n");
        assert_eq!(host, Host { v2: None, v1: vec![] });
    }
}
