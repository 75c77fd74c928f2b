//! A further process in a running container.
//!
//! It is a child of the caller from the start: the caller's PID namespace for children is the container's for the one
//! clone. The child then joins the rest by the container's pidfd. Until it executes its program it is a copy of the
//! keeper among hostile processes: nobody there may inspect it (CVE-2016-9962), it holds the keeper's program only
//! through a read-only mount (CVE-2019-5736), and what it opens of the container it checks.

use super::{
    StartError, Started, Stdio,
    cgroup::Cgroup,
    failure::During,
    program::{self, Program, Streams},
    report::{self, Reporter},
    spec::{ExecSpec, Spec},
    start,
};
use crate::sys::{
    self, Errno,
    clone::{Namespaces, Side, SingleThread},
};
use std::{
    convert::Infallible,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

pub(super) fn exec(container: BorrowedFd<'_>, spec: &Spec, exec: &ExecSpec, io: Stdio) -> Result<Started, StartError> {
    let thread = SingleThread::check().during("clone")?;
    let cgroup = Cgroup::open(&spec.cgroup.path).during("cgroup")?;
    let v2 = cgroup.v2_directory().during("cgroup")?;
    let v1 = cgroup.v1_entries().during("cgroup")?;
    let (listener, reporter) = report::channel().during("set-up")?;
    sys::process::forbid_inspection().during("set-up")?;
    match clone_into(&thread, container, v2.as_ref().map(AsFd::as_fd))? {
        Side::Child => {
            drop(listener);
            let child = Child { thread: &thread, container, spec, exec, v1, reporter: &reporter };
            start::run_child(&reporter, || child.run(io))
        }
        Side::Parent { pid, pidfd } => {
            drop((reporter, io));
            start::attend(listener, pid, pidfd)
        }
    }
}

/// Clones into the container's PID namespace, and puts back where further children go.
fn clone_into(
    thread: &SingleThread,
    container: BorrowedFd<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Side, StartError> {
    let own = File::open("/proc/self/ns/pid").during("namespaces")?;
    sys::namespace::children_into_pid_namespace_of(container).map_err(|error| match error.errno {
        Errno::SRCH => StartError::setup("exec", "the container is not running"),
        _ => StartError::setup("namespaces", error),
    })?;
    let side = sys::clone::clone3(thread, Namespaces::default(), cgroup).during("exec");
    if let Ok(Side::Child) = side {
        return side;
    }
    let restored = sys::namespace::children_into_pid_namespace(OwnedFd::from(own).as_fd()).during("namespaces");
    match (side, restored) {
        (Ok(Side::Parent { pidfd, .. }), Err(error)) => {
            // Better no process than further children in the wrong place.
            let _ = sys::process::kill_by_pidfd(pidfd.as_fd());
            let _ = sys::process::wait(pidfd.as_fd());
            Err(error)
        }
        (side, _) => side,
    }
}

struct Child<'a> {
    thread: &'a SingleThread,
    container: BorrowedFd<'a>,
    spec: &'a Spec,
    exec: &'a ExecSpec,
    v1: Vec<File>,
    reporter: &'a Reporter,
}

impl Child<'_> {
    fn run(self, io: Stdio) -> Result<Infallible, StartError> {
        start::share_fate(self.reporter)?;
        start::enter_cgroups(&self.v1)?;
        sys::process::set_oom_score(self.spec.oom_score_adj.unwrap_or(0)).during("oom_score_adj")?;
        sys::namespace::join(self.container).during("exec")?;
        let root = sys::file::root().during("root")?;
        let streams = Streams::open(io, root.as_fd(), self.reporter)?;
        let program = Program {
            thread: self.thread,
            process: &self.exec.process,
            hostname: &self.spec.hostname,
            container: &self.spec.id,
            privileged: self.exec.privileged || self.spec.privileged,
            init: false,
        };
        program::run(&program, streams, self.reporter)
    }
}
