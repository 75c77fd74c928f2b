//! Plays the supervisor of one real container: a temporary layout, a busybox root, a shim process and its socket.
//! Whatever a test leaves running is killed, and its cgroup removed, when the bench is dropped.

use muster::{
    model::ContainerId,
    runtime::{
        cgroup::Cgroup,
        spec::{CgroupSpec, Limits, NetNamespace, Process, Root, Seccomp, Spec},
    },
    shim::wire::{Client, LogSpec, Request, Response, ShimSpec, Socket},
    state::{Durability, Layout, boot, logline, record, records::Exit},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    fs,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What any single step may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

const APPLETS: &[&str] =
    &["sh", "cat", "echo", "sleep", "ls", "readlink", "true", "stty", "seq", "yes", "head", "grep", "tr", "wc"];

pub struct Bench {
    pub layout: Layout,
    pub id: ContainerId,
    pub spec: ShimSpec,
    pub shim: Option<Child>,
    pub supervisor: Option<Socket>,
    cgroup: PathBuf,
    _directory: TempDir,
}

impl Bench {
    /// A container that runs `script` in busybox's shell.
    pub fn new(script: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = ContainerId::new(format!("{:08x}{number:04x}{}", std::process::id(), "0".repeat(52)));
        let layout = Layout::new(directory.path().join("data"), directory.path().join("run"));
        let lower = directory.path().join("root");
        make_root(&lower);
        let project = format!("shimtest-{}", id.short());
        let cgroup = Path::new("muster").join(&project).join(id.short());
        let container = Spec {
            id: id.to_string(),
            hostname: "bench".into(),
            domainname: None,
            root: Root {
                lower: vec![lower],
                upper: layout.container_upper(&id),
                work: layout.container_work(&id),
                read_only: false,
                volatile: false,
            },
            mounts: Vec::new(),
            process: process(&["sh", "-c", script]),
            net: NetNamespace::New,
            cgroup: CgroupSpec { path: cgroup.clone(), limits: Limits::default() },
            shm_size: 1 << 20,
            sysctls: Default::default(),
            init: false,
            oom_score_adj: None,
            privileged: false,
        };
        for path in [&container.root.upper, &container.root.work] {
            fs::create_dir_all(path).unwrap();
        }
        let spec = ShimSpec {
            project,
            data: layout.data().into(),
            run: layout.run().into(),
            log: LogSpec { none: false, max_size: 0, max_file: 1 },
            stdin_open: false,
            hold: false,
            container,
        };
        Self { layout, id, spec, shim: None, supervisor: None, cgroup, _directory: directory }
    }

    /// Writes the spec, starts the shim and asks it to start the container.
    pub fn start(&mut self) {
        self.spawn(Path::new(env!("CARGO_BIN_EXE_muster")));
        self.tell(&Request::Start, &[]);
    }

    /// Writes the spec and starts `program` as the shim.
    pub fn spawn(&mut self, program: &Path) {
        record::write(&self.layout.container_spec(&self.id), &self.spec, Durability::Volatile).unwrap();
        let (supervisor, shim) = Socket::pair().unwrap();
        let child = Command::new(program)
            .arg("__shim")
            .args([self.layout.data(), self.layout.run()])
            .arg(self.id.as_str())
            .stdin(shim)
            .spawn()
            .unwrap();
        self.shim = Some(child);
        self.supervisor = Some(supervisor);
    }

    pub fn tell(&self, request: &Request, fds: &[BorrowedFd<'_>]) {
        self.supervisor.as_ref().unwrap().send(request, fds).unwrap();
    }

    /// The next message to the supervisor.
    pub fn hear(&self) -> Response {
        hear(self.supervisor.as_ref().unwrap()).0
    }

    /// Starts a shim whose container waits for an attach.
    pub fn hold(&mut self) {
        self.spec.hold = true;
        self.start();
        assert_eq!(self.hear(), Response::Held);
    }

    /// The container's pid.
    pub fn started(&self) -> i32 {
        match self.hear() {
            Response::Started { pid, start_time, .. } => {
                // It may have ended meanwhile.
                assert!(boot::start_time(pid).is_none_or(|time| time == start_time));
                pid
            }
            other => panic!("not started: {other:?}"),
        }
    }

    pub fn exited(&self) -> Exit {
        match self.hear() {
            Response::Exited { exit } => exit,
            other => panic!("not exited: {other:?}"),
        }
    }

    /// Starts the container and waits for its end.
    pub fn run(&mut self) -> Exit {
        self.start();
        self.started();
        self.exited()
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.layout, &self.id).unwrap()
    }

    /// Says goodbye; the shim's exit code.
    pub fn quit(&mut self) -> Option<i32> {
        self.tell(&Request::Quit, &[]);
        self.shim_exit()
    }

    pub fn shim_pid(&self) -> i32 {
        self.shim.as_ref().unwrap().id() as i32
    }

    /// Waits for the shim's end.
    pub fn shim_exit(&mut self) -> Option<i32> {
        let mut shim = self.shim.take().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = shim.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > end {
                self.shim = Some(shim);
                panic!("the shim does not leave");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(self.layout.container_log(&self.id).join("current.log")).unwrap_or_default()
    }

    /// The log's lines as `stdout F text`, times left out.
    pub fn log(&self) -> Vec<String> {
        let text = self.log_text();
        let lines = text.split_terminator('\n').map(|line| {
            let line = logline::parse(line.as_bytes()).unwrap_or_else(|| panic!("no log line: {line}"));
            let tag = if line.partial { "P" } else { "F" };
            format!("{} {tag} {}", line.stream.as_str(), String::from_utf8_lossy(line.text))
        });
        lines.collect()
    }

    pub fn cgroup(&self) -> Cgroup {
        Cgroup::open(&self.cgroup).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut shim) = self.shim.take() {
            let _ = shim.kill();
            let _ = shim.wait();
        }
        if let Ok(cgroup) = Cgroup::open(&self.cgroup) {
            let _ = cgroup.kill();
            let _ = cgroup.wait_empty(PATIENCE);
            let _ = cgroup.remove();
        }
    }
}

pub fn process(args: &[&str]) -> Process {
    Process {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        cwd: "/".into(),
        user: String::new(),
        additional_groups: Vec::new(),
        tty: false,
        capabilities: Vec::new(),
        no_new_privileges: false,
        seccomp: Seccomp::Unconfined,
        rlimits: Default::default(),
    }
}

/// The next message of a connection.
pub fn hear(socket: &Socket) -> (Response, Vec<OwnedFd>) {
    assert!(readable(socket.as_fd(), PATIENCE), "no message came");
    socket.receive().unwrap().expect("the shim has closed")
}

pub fn readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

/// Waits until `condition` holds; true when it did within `patience`.
pub fn eventually(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    condition()
}

/// Runs; a zombie, which only waits for whoever is init here, does not.
pub fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A line of /proc/<pid>/status.
pub fn status(pid: i32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
    line[key.len() + 1..].trim().to_owned()
}

fn make_root(root: &Path) {
    for directory in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let busybox = ["/usr/bin/busybox", "/bin/busybox"].iter().find(|path| Path::new(path).exists());
    fs::copy(busybox.expect("busybox-static is needed"), root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
}
