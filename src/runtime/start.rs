//! From a spec to a running container: the parent's side, and the child's steps in order.

use super::{
    StartError, Started, Stdio,
    cgroup::Cgroup,
    failure::During,
    mounts,
    program::{self, Program, Streams},
    report::{self, Outcome, Reporter},
    root,
    spec::{NetNamespace, Spec},
    sysctl,
};
use crate::sys::{
    self,
    clone::{Namespaces, Side, SingleThread},
    mount::{Attributes, Change},
};
use std::{
    convert::Infallible,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

pub(super) fn start(spec: &Spec, io: Stdio, net: Option<BorrowedFd<'_>>) -> Result<Started, StartError> {
    if (spec.net == NetNamespace::Given) != net.is_some() {
        return Err(StartError::setup("network", "a namespace has to be given exactly when the spec says so"));
    }
    if spec.root.lower.is_empty() {
        return Err(StartError::setup("root file system", "has no layer"));
    }
    let thread = SingleThread::check().during("clone")?;
    let cgroup = Cgroup::create(&spec.cgroup).during("cgroup")?;
    launch(&thread, spec, io, net, &cgroup).inspect_err(|_| {
        // The failure itself is what has to be told; what cannot be removed now is found by its name later.
        let _ = cgroup.kill();
        let _ = cgroup.remove();
    })
}

fn launch(
    thread: &SingleThread,
    spec: &Spec,
    io: Stdio,
    net: Option<BorrowedFd<'_>>,
    cgroup: &Cgroup,
) -> Result<Started, StartError> {
    if !spec.privileged {
        cgroup.restrict_devices().during("devices")?;
    }
    let v2 = cgroup.v2_directory().during("cgroup")?;
    let v1 = cgroup.v1_entries().during("cgroup")?;
    let (listener, reporter) = report::channel().during("set-up")?;
    // The child is a copy of this process until it executes the program.
    sys::process::forbid_inspection().during("set-up")?;
    let namespaces = Namespaces { mount: true, pid: true, uts: true, ipc: true, net: spec.net == NetNamespace::New };
    match sys::clone::clone3(thread, namespaces, v2.as_ref().map(AsFd::as_fd)).during("namespaces")? {
        Side::Child => {
            drop(listener);
            let child = Child { thread, spec, net, cgroup, v1, reporter: &reporter };
            run_child(&reporter, || child.run(io))
        }
        Side::Parent { pid, pidfd } => {
            // Both are the child's now; an end of a pipe that stays open here would never end.
            drop((reporter, io));
            // A child that is gone already has failed, and `attend` says why.
            let mounts = sys::process::open_of_process(pid, pidfd.as_fd(), "ns/mnt").ok();
            Ok(Started { mounts, ..attend(listener, pid, pidfd)? })
        }
    }
}

/// Never comes back, not even by a panic: the caller's own code must not go on in the child.
pub(super) fn run_child(reporter: &Reporter, steps: impl FnOnce() -> Result<Infallible, StartError>) -> ! {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(steps));
    let error = match result {
        Ok(Err(error)) => error,
        Err(_) => StartError::setup("set-up", "a bug in muster: the child panicked"),
    };
    reporter.failed(&error);
    sys::process::exit(error.code)
}

/// Waits for the verdict. A child that failed is reaped.
pub(super) fn attend(listener: report::Listener, pid: i32, pidfd: OwnedFd) -> Result<Started, StartError> {
    let outcome = listener.listen();
    let error = match outcome {
        Ok(Outcome::Running { console }) => return Ok(Started { pid, pidfd, console, mounts: None }),
        Ok(Outcome::Failed(error)) => Some(error),
        Ok(Outcome::Lost) => None,
        Err(error) => Some(error),
    };
    // It may have exited already.
    let _ = sys::process::kill_by_pidfd(pidfd.as_fd());
    let end = sys::process::wait(pidfd.as_fd());
    Err(error.unwrap_or_else(|| {
        let how = match end {
            Ok(end) => format!("{end:?}").to_lowercase(),
            Err(error) => error.to_string(),
        };
        StartError::setup(
            "set-up",
            format_args!("the process ended ({how}) before its program ran; is the memory limit too small?"),
        )
    }))
}

/// What the child takes over from its parent's memory.
struct Child<'a> {
    thread: &'a SingleThread,
    spec: &'a Spec,
    net: Option<BorrowedFd<'a>>,
    cgroup: &'a Cgroup,
    v1: Vec<File>,
    reporter: &'a Reporter,
}

impl Child<'_> {
    fn run(self, io: Stdio) -> Result<Infallible, StartError> {
        let spec = self.spec;
        share_fate(self.reporter)?;
        // Modes are meant as they stand here; the program gets the usual mask.
        sys::process::set_umask(0);
        enter_cgroups(&self.v1)?;
        sys::namespace::new_cgroup_namespace().during("namespaces")?;
        self.enter_network()?;
        self.name_host()?;
        // The keeper is among the last to be killed for want of memory; its container is not.
        sys::process::set_oom_score(spec.oom_score_adj.unwrap_or(0)).during("oom_score_adj")?;

        let dev = self.build_root()?;
        let root = sys::file::root().during("root")?;
        let streams = Streams::open(io, root.as_fd(), self.reporter)?;
        if let Streams::Terminal(slave) = &streams {
            mounts::standard::mount_console(dev.as_fd(), slave.as_fd()).during("terminal: /dev/console")?;
        }
        drop((root, dev));
        let program = Program {
            thread: self.thread,
            process: &spec.process,
            hostname: &spec.hostname,
            container: &spec.id,
            privileged: spec.privileged,
            init: spec.init,
        };
        program::run(&program, streams, self.reporter)
    }

    fn enter_network(&self) -> Result<(), StartError> {
        match (self.spec.net, self.net) {
            (NetNamespace::Given, Some(net)) => sys::namespace::join_network(net).during("network"),
            (NetNamespace::New, _) => sys::namespace::bring_loopback_up().during("network"),
            _ => Ok(()),
        }
    }

    fn name_host(&self) -> Result<(), StartError> {
        sys::namespace::set_host_name(&self.spec.hostname).during("hostname")?;
        match &self.spec.domainname {
            Some(name) => sys::namespace::set_domain_name(name).during("domainname"),
            None => Ok(()),
        }
    }

    /// The result is the container's /dev.
    fn build_root(&self) -> Result<OwnedFd, StartError> {
        let spec = self.spec;
        let mut gathered = mounts::gather(spec)?;
        root::cut_propagation()?;
        let overlay = root::mount(&spec.root)?;
        gathered.fill(overlay.as_fd(), &spec.root.work)?;
        root::enter(&overlay)?;

        let dev = mounts::standard::mount_all(overlay.as_fd(), spec, self.cgroup.host(), &gathered.devices)?;
        gathered.place(overlay.as_fd())?;
        sysctl::apply(overlay.as_fd(), spec)?;
        mounts::target::make_directory(overlay.as_fd(), &spec.process.cwd)
            .during(format_args!("working directory {}", spec.process.cwd.display()))?;
        if !spec.privileged {
            mounts::mask::all(overlay.as_fd(), dev.as_fd())?;
        }
        if spec.root.read_only {
            let change = Change { set: Attributes::MOUNT_ATTR_RDONLY, propagation: None, recursive: false };
            sys::mount::set_attributes(overlay.as_fd(), change, "/").during("read-only root")?;
        }
        Ok(dev)
    }
}

/// From here on the kernel ends this process when the parent ends; it may have done so just before.
pub(super) fn share_fate(reporter: &Reporter) -> Result<(), StartError> {
    sys::process::die_with_parent().during("death signal")?;
    match reporter.parent_is_gone().during("parent")? {
        true => sys::process::exit(super::failure::SETUP),
        false => Ok(()),
    }
}

/// The v1 hierarchies; in v2 the clone has put us there already.
pub(super) fn enter_cgroups(v1: &[File]) -> Result<(), StartError> {
    v1.iter().try_for_each(|tasks| sys::file::write_once(tasks.as_fd(), b"0", "cgroup tasks")).during("cgroup")
}
