//! The cgroups of one container, in every hierarchy of the host: limits, membership, kill, events.
//!
//! Nothing here forks, so threaded callers may use it to clean up after a keeper that died.

mod devices;
mod files;
mod hierarchy;
mod kill;
mod limits;

use super::spec::{CgroupSpec, Limits};
use crate::sys::{self, Errno};
pub(super) use hierarchy::Host;
use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

/// A container's cgroups; they exist while processes or `remove` say so, not while this value lives.
#[derive(Clone, Debug)]
pub struct Cgroup {
    host: Host,
    /// Below the root of every tree.
    path: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CgroupError {
    #[error("{limit}: cannot be enforced, for this host has no cgroup controller `{controller}` with {file}")]
    Unsupported { limit: &'static str, controller: &'static str, file: &'static str },
    #[error("{limit}: {source}")]
    Refused { limit: &'static str, source: sys::Error },
    #[error("cgroup path {0:?} is not of the form muster/<project>/<container>")]
    Path(PathBuf),
    #[error(transparent)]
    Kernel(#[from] sys::Error),
}

type Result<T> = std::result::Result<T, CgroupError>;

/// How often a step is tried again that another process undid meanwhile.
const RACES: usize = 16;
/// How long `remove` waits for the last processes to be gone.
const REMOVE_WAIT: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Makes the cgroups and sets the limits; on failure nothing is left.
    pub fn create(spec: &CgroupSpec) -> Result<Self> {
        let cgroup = Self::open(&spec.path)?;
        match cgroup.make(&spec.limits) {
            Ok(()) => Ok(cgroup),
            Err(error) => {
                // The first failure is the one to tell.
                let _ = cgroup.remove();
                Err(error)
            }
        }
    }

    /// The cgroups at `path` (`CgroupSpec::path`), whether they exist or not.
    pub fn open(path: &Path) -> Result<Self> {
        let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        if path.components().count() != 3 || !path.components().all(plain) {
            return Err(CgroupError::Path(path.to_owned()));
        }
        Ok(Self { host: Host::detect()?, path: path.to_owned() })
    }

    /// Names of the cgroups right below `muster/<project>`.
    pub fn names_below(project: &Path) -> Vec<std::ffi::OsString> {
        let Ok(host) = Host::detect() else { return Vec::new() };
        let trees = host.v2.iter().chain(host.v1.iter().map(|tree| &tree.at));
        let entries = trees.filter_map(|tree| std::fs::read_dir(tree.join(project)).ok()).flatten().flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<_> = directories.map(|entry| entry.file_name()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn make(&self, limits: &Limits) -> Result<()> {
        let settings = limits::settings(limits);
        for tree in self.trees() {
            let v2 = self.host.v2.as_deref() == Some(tree);
            let controllers: Vec<&str> = if v2 { self.controllers_v2(&settings) } else { Vec::new() };
            self.make_directory(tree, &controllers)?;
        }
        self.prepare_cpuset()?;
        settings.iter().try_for_each(|setting| self.set(setting))
    }

    /// Controllers to hand down a v2 tree: those that keep Docker's accounts, and what the limits need.
    fn controllers_v2(&self, settings: &[limits::Setting]) -> Vec<&'static str> {
        let needed = settings.iter().map(|setting| setting.controller);
        let mut controllers: Vec<_> = ["memory", "pids", "cpu"].into_iter().chain(needed).collect();
        controllers.retain(|controller| self.host.v1_tree(controller).is_none());
        controllers.dedup();
        controllers
    }

    /// The parents may vanish meanwhile: the last container of a project takes them away.
    fn make_directory(&self, tree: &Path, controllers: &[&str]) -> Result<()> {
        for _ in 0..RACES {
            match self.try_make_directory(tree, controllers) {
                Err(error) if error.errno == Errno::NOENT => {}
                result => return Ok(result?),
            }
        }
        Err(sys::Error::new("mkdir", self.directory(tree).display(), Errno::NOENT).into())
    }

    fn try_make_directory(&self, tree: &Path, controllers: &[&str]) -> sys::Result<()> {
        let mut directory = tree.to_owned();
        let mut parts = self.path.iter().peekable();
        while let Some(part) = parts.next() {
            files::hand_down(&directory, controllers)?;
            directory.push(part);
            match files::make(&directory) {
                Err(error) if error.errno == Errno::EXIST && parts.peek().is_some() => {}
                // Left by a start that was killed; its counters must not be taken for the new container's.
                Err(error) if error.errno == Errno::EXIST => {
                    files::remove_tree(&directory)?;
                    files::make(&directory)?;
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// A v1 cpuset takes no process before it has processors and memory nodes.
    fn prepare_cpuset(&self) -> Result<()> {
        let Some(tree) = self.host.v1_tree("cpuset") else { return Ok(()) };
        let mut directory = tree.to_owned();
        for part in &self.path {
            let parent = directory.clone();
            directory.push(part);
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if files::read(&directory.join(file))?.trim().is_empty() {
                    files::write(&directory.join(file), files::read(&parent.join(file))?.trim())?;
                }
            }
        }
        Ok(())
    }

    fn set(&self, setting: &limits::Setting) -> Result<()> {
        let (directory, (file, value)) = match (self.host.v1_tree(setting.controller), &self.host.v2) {
            (Some(tree), _) => (self.directory(tree), &setting.v1),
            (None, Some(tree)) => (self.directory(tree), &setting.v2),
            (None, None) => return self.unsupported(setting, setting.v2.0),
        };
        match files::write(&directory.join(file), value) {
            // NOENT: no such controller here; ACCES: kernfs refuses to create.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::ACCESS) => self.unsupported(setting, file),
            Err(source) => Err(CgroupError::Refused { limit: setting.limit, source }),
            Ok(()) => Ok(()),
        }
    }

    fn unsupported(&self, setting: &limits::Setting, file: &'static str) -> Result<()> {
        match setting.implied {
            true => Ok(()),
            false => Err(CgroupError::Unsupported { limit: setting.limit, controller: setting.controller, file }),
        }
    }

    /// Leaves the container Docker's default devices; without this call it may use all.
    pub(super) fn restrict_devices(&self) -> Result<()> {
        if let Some(tree) = &self.host.v2 {
            let directory = sys::file::open_path(&self.directory(tree))?;
            // The attach wants an ordinary descriptor.
            let directory = sys::file::open_directory(directory.as_fd(), ".".as_ref())?;
            let program = sys::bpf::load_device_program(&devices::program())?;
            return Ok(sys::bpf::attach_device_program(directory.as_fd(), program.as_fd())?);
        }
        let Some(tree) = self.host.v1_tree("devices") else {
            let (limit, controller, file) = ("devices", "devices", "devices.allow");
            return Err(CgroupError::Unsupported { limit, controller, file });
        };
        let directory = self.directory(tree);
        files::write(&directory.join("devices.deny"), "a")?;
        for line in devices::lines() {
            files::write(&directory.join("devices.allow"), &line)?;
        }
        Ok(())
    }

    /// The v2 directory, for CLONE_INTO_CGROUP.
    pub(super) fn v2_directory(&self) -> Result<Option<OwnedFd>> {
        let tree = self.host.v2.as_deref();
        Ok(tree.map(|tree| sys::file::open_path(&self.directory(tree))).transpose()?)
    }

    /// The `tasks` file of each v1 tree, where a process writes `0` to join. One thread that moves itself
    /// through `tasks` spares the kernel the lock that a write to `cgroup.procs` waits an RCU grace period for.
    pub(super) fn v1_entries(&self) -> Result<Vec<File>> {
        let open = |tree: &hierarchy::Tree| Ok(files::open_for_writing(&self.directory(&tree.at).join("tasks"))?);
        self.host.v1.iter().map(open).collect()
    }

    /// What the container's own view of its cgroups is made of.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Pids of all members, in the caller's PID namespace.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let Some(tree) = self.main_tree() else { return Ok(Vec::new()) };
        let mut pids = Vec::new();
        for directory in files::tree(&self.directory(tree))? {
            pids.extend(files::pids(&directory)?);
        }
        Ok(pids)
    }

    /// SIGKILL to every member, also to those that fork meanwhile.
    pub fn kill(&self) -> Result<()> {
        match (&self.host.v2, self.host.v1_tree("freezer")) {
            (Some(tree), _) => Ok(kill::by_file(&self.directory(tree))?),
            (None, Some(tree)) => Ok(kill::frozen(&self.directory(tree))?),
            (None, None) => Ok(()),
        }
    }

    pub fn is_empty(&self) -> Result<bool> {
        match &self.host.v2 {
            Some(tree) => Ok(files::is_unpopulated(&self.directory(tree))?),
            None => Ok(self.processes()?.is_empty()),
        }
    }

    /// Waits until no process is left; false when `timeout` passed before.
    pub fn wait_empty(&self, timeout: Duration) -> Result<bool> {
        match (&self.host.v2, self.main_tree()) {
            (Some(tree), _) => Ok(kill::wait_unpopulated(&self.directory(tree), timeout)?),
            (None, Some(tree)) => Ok(kill::wait_processes(&self.directory(tree), timeout)?),
            (None, None) => Ok(true),
        }
    }

    /// Removes the cgroups, and `muster/<project>` when it was the last in it. What does not exist is no error;
    /// processes that are just dying are waited for.
    pub fn remove(&self) -> Result<()> {
        let mut first = None;
        for tree in self.trees() {
            if let Err(error) = self.remove_from(tree) {
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn remove_from(&self, tree: &Path) -> Result<()> {
        let directory = self.directory(tree);
        let mut result = files::remove_tree(&directory);
        for _ in 0..RACES {
            match &result {
                Err(error) if error.errno == Errno::BUSY && self.wait_empty(REMOVE_WAIT)? => {
                    result = files::remove_tree(&directory);
                }
                _ => break,
            }
        }
        result?;
        for parent in self.path.ancestors().skip(1).take(2) {
            match files::remove(&tree.join(parent)) {
                // Others live there.
                Err(error) if error.errno == Errno::BUSY => break,
                result => result?,
            }
        }
        Ok(())
    }

    /// Processes that the kernel killed for want of memory.
    pub fn oom_kills(&self) -> Result<u64> {
        let file = match (self.host.v1_tree("memory"), &self.host.v2) {
            (Some(tree), _) => self.directory(tree).join("memory.oom_control"),
            (None, Some(tree)) => self.directory(tree).join("memory.events"),
            (None, None) => return Ok(0),
        };
        Ok(files::read_key(&file, "oom_kill")?.unwrap_or(0))
    }

    /// Bytes; 0 on a host that does not count memory.
    pub fn memory_usage(&self) -> Result<u64> {
        let file = match (self.host.v1_tree("memory"), &self.host.v2) {
            (Some(tree), _) => self.directory(tree).join("memory.usage_in_bytes"),
            (None, Some(tree)) => self.directory(tree).join("memory.current"),
            (None, None) => return Ok(0),
        };
        Ok(files::read_number(&file)?.unwrap_or(0))
    }

    /// CPU time used by all processes that ever were members.
    pub fn cpu_usage(&self) -> Result<Duration> {
        if let Some(tree) = &self.host.v2 {
            let microseconds = files::read_key(&self.directory(tree).join("cpu.stat"), "usage_usec")?;
            return Ok(Duration::from_micros(microseconds.unwrap_or(0)));
        }
        let Some(tree) = self.host.v1_tree("cpuacct") else { return Ok(Duration::ZERO) };
        let nanoseconds = files::read_number(&self.directory(tree).join("cpuacct.usage"))?;
        Ok(Duration::from_nanos(nanoseconds.unwrap_or(0)))
    }

    fn trees(&self) -> impl Iterator<Item = &Path> {
        self.host.v2.as_deref().into_iter().chain(self.host.v1.iter().map(|tree| tree.at.as_path()))
    }

    /// The tree that tells who is a member.
    fn main_tree(&self) -> Option<&Path> {
        let freezer = || self.host.v1_tree("freezer");
        self.host.v2.as_deref().or_else(freezer).or_else(|| self.trees().next())
    }

    fn directory(&self, tree: &Path) -> PathBuf {
        tree.join(&self.path)
    }
}
