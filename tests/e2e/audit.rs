//! What the kernel and the file system still hold of a project. It asks them, never muster.

use super::{proc, stack::Stack};
use muster::{
    model::NetworkId,
    state::{Layout, record},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Names under which a project is known to the kernel, read off its records while it is up.
pub struct Trace {
    project: String,
    layout: Layout,
    containers: Vec<String>,
    networks: Vec<NetworkId>,
    bridges_of_others: Vec<String>,
}

impl Trace {
    pub fn of(stack: &Stack) -> Self {
        let layout = stack.ground.layout();
        let containers = stack.records().iter().map(|record| record.id.to_string()).collect();
        let (own, others): (Vec<Value>, Vec<Value>) =
            networks(&layout).into_iter().partition(|network| network["project"] == stack.name.as_str());
        let id = |network: &Value| NetworkId::new(network["id"].as_str().unwrap_or_default());
        Self {
            project: stack.name.clone(),
            layout,
            containers,
            networks: own.iter().map(id).collect(),
            bridges_of_others: others.iter().map(|network| bridge(&id(network))).collect(),
        }
    }

    /// Everything that is still there, one line each. Processes that are just ending get two seconds.
    pub fn left(&self) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let left = self.look();
            if left.is_empty() || begin.elapsed() > Duration::from_secs(2) * proc::patience() {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn look(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(self.processes().into_iter().map(|(pid, line)| format!("process {pid} {line}")));
        left.extend(self.links().into_iter().map(|link| format!("link {link}")));
        left.extend(self.tables().into_iter().map(|table| format!("nft table {table}")));
        left.extend(self.cgroups().into_iter().map(|path| format!("cgroup {}", path.display())));
        left.extend(mounts(|line| self.names(line)).into_iter().map(|line| format!("mount {line}")));
        left.extend(sockets(|line| self.names(line)).into_iter().map(|line| format!("socket {line}")));
        left.extend(self.files().into_iter().map(|path| format!("file {}", path.display())));
        left
    }

    /// A text speaks of this project: its name, or a container of it.
    fn names(&self, text: &str) -> bool {
        text.contains(&self.project) || self.containers.iter().any(|id| text.contains(&id[..12]))
    }

    /// By command line and by cgroup: a container's own processes say nothing of muster in their command lines.
    fn processes(&self) -> Vec<(i32, String)> {
        let own = std::process::id() as i32;
        let mut found = Vec::new();
        for (pid, words) in proc::processes() {
            if pid == own || !proc::alive(pid) {
                continue;
            }
            let line = words.join(" ");
            let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            if self.names(&line) || cgroup.contains(&format!("muster/{}", self.project)) {
                found.push((pid, line));
            }
        }
        found
    }

    /// Bridges of the project's networks, and veths: theirs begin with a container's or end with a network's digits.
    fn links(&self) -> Vec<String> {
        // Not /sys/class/net: it shows the links of the namespace that mounted it.
        let table = fs::read_to_string("/proc/self/net/dev").unwrap();
        let links = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        links
            .filter(|link| link.starts_with("mst") && !self.bridges_of_others.contains(link))
            .filter(|link| {
                self.networks.iter().any(|id| *link == bridge(id) || link.ends_with(&id.as_str()[..4]))
                    || self.containers.iter().any(|id| link.contains(&id[..8]))
            })
            .collect()
    }

    fn tables(&self) -> Vec<String> {
        let listed = Command::new("nft").args(["list", "tables"]).output();
        let listed = listed.expect("nft is missing: apt-get install nftables");
        let text = String::from_utf8(listed.stdout).unwrap();
        text.lines()
            .filter(|line| line.split_whitespace().any(|word| word == format!("muster-{}", self.project)))
            .map(str::to_owned)
            .collect()
    }

    fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders: Vec<PathBuf> = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if self.names(&path.display().to_string()) {
                    found.push(path);
                } else {
                    folders.push(path);
                }
            }
        }
        found
    }

    /// What should go with `down -v`, under both roots. The project's own directory in data keeps its events.
    fn files(&self) -> Vec<PathBuf> {
        let layout = &self.layout;
        let mut left = vec![layout.run_project(&self.project).join("supervisor.sock")];
        left.retain(|path| path.exists());
        for directory in [layout.run_containers(), layout.containers()] {
            left.extend(entries(&directory).into_iter().filter(|path| self.names(&path.display().to_string())));
        }
        for directory in [layout.networks(), layout.volumes()] {
            left.extend(entries(&directory).into_iter().filter(|path| names_file(path, &self.project)));
        }
        left
    }

    /// After a failed test: take away what is left, so that the next test does not suffer from it.
    pub fn reclaim(&self) {
        // A shim that lives on may bring a new supervisor up: again, until none is left.
        let begin = Instant::now();
        loop {
            let processes = self.processes();
            if processes.is_empty() || begin.elapsed() > Duration::from_secs(5) {
                break;
            }
            for (pid, line) in processes {
                eprintln!("reclaiming process {pid} {line}");
                if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        for link in self.links() {
            let _ = Command::new("ip").args(["link", "delete", &link]).output();
        }
        for table in self.tables() {
            let words: Vec<&str> = table.split_whitespace().skip(1).collect();
            let _ = Command::new("nft").args(["delete", "table"]).args(words).output();
        }
        for path in self.cgroups() {
            remove_cgroup(&path);
        }
    }
}

/// Bridges are named by the first eight digits of their network's id.
fn bridge(id: &NetworkId) -> String {
    format!("mst-{}", id.as_str().get(..8).unwrap_or(id.as_str()))
}

pub fn networks(layout: &Layout) -> Vec<Value> {
    entries(&layout.networks()).iter().filter_map(|path| record::read(path).ok()?).collect()
}

/// Takes away the bridges and tables of networks whose test has failed.
pub fn reclaim_networks(networks: &[Value]) {
    for network in networks {
        let bridge = bridge(&NetworkId::new(network["id"].as_str().unwrap_or_default()));
        let _ = Command::new("ip").args(["link", "delete", &bridge]).output();
        let table = format!("muster-{}", network["project"].as_str().unwrap_or_default());
        for family in ["ip", "bridge"] {
            let _ = Command::new("nft").args(["delete", "table", family, &table]).output();
        }
    }
}

/// A record or a directory whose name begins with the project's, as `<project>_<key>` does.
fn names_file(path: &Path, project: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{project}_")))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

pub fn mounts(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter(|line| wanted(line)).map(str::to_owned).collect()
}

fn sockets(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    table.lines().filter(|line| wanted(line)).map(str::to_owned).collect()
}

fn remove_cgroup(path: &Path) {
    for entry in entries(path) {
        if entry.is_dir() {
            remove_cgroup(&entry);
        }
    }
    let _ = fs::remove_dir(path);
}
