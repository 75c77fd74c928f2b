//! A root file system of busybox, specs on it, and running them. Everything is named by the test's pid and goes with it.

use muster::runtime::{
    self, Ended, StartError, Started, Stdio,
    cgroup::Cgroup,
    spec::{CgroupSpec, ExecSpec, Limits, NetNamespace, Process, Root, Seccomp, Spec},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

const APPLETS: &str = "sh cat ls echo id sleep true false mkdir touch ps kill stat hostname head tail grep wc env pwd tr \
     tty stty dd mount umount unshare mknod chmod rm ln readlink sed awk sync seq date test usleep setsid cut sort nice chroot";

/// Docker's default set.
pub const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE";

/// A container to be, with its directories.
pub struct Fixture {
    pub dir: PathBuf,
    pub spec: Spec,
}

/// One directory a test process, and in it one a fixture.
fn directory(pid: u32) -> PathBuf {
    let base = std::env::var_os("TMPDIR").map_or("/var/tmp".into(), PathBuf::from);
    base.join(format!("muster-runtime-test-{pid}"))
}

fn cgroup_path(pid: u32, number: &str) -> PathBuf {
    PathBuf::from(format!("muster/test-{pid}/{number}"))
}

/// What a test with this pid may have left.
pub fn clean_up(pid: u32) {
    for entry in fs::read_dir(directory(pid)).into_iter().flatten().flatten() {
        clean_up_cgroup(&cgroup_path(pid, &entry.file_name().to_string_lossy()));
    }
    let _ = fs::remove_dir_all(directory(pid));
}

fn clean_up_cgroup(path: &Path) {
    if let Ok(cgroup) = Cgroup::open(path) {
        let _ = cgroup.kill();
        let _ = cgroup.wait_empty(Duration::from_secs(5));
        let _ = cgroup.remove();
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        clean_up_cgroup(&self.spec.cgroup.path);
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_dir(directory(std::process::id()));
    }
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Fixture {
    /// `sh -c script`.
    pub fn sh(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    pub fn new(args: &[&str]) -> Self {
        let pid = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let dir = directory(pid).join(&number);
        for name in
            ["rootfs/bin", "rootfs/etc", "rootfs/proc", "rootfs/sys", "rootfs/dev", "rootfs/tmp", "upper", "work"]
        {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let root = dir.join("rootfs");
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
            .unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\nextra:x:44:app\nmore:x:45:\n").unwrap();
        let process = Process {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            cwd: "/".into(),
            user: String::new(),
            additional_groups: Vec::new(),
            tty: false,
            capabilities: CAPABILITIES.split(' ').map(str::to_owned).collect(),
            no_new_privileges: false,
            seccomp: Seccomp::Default,
            rlimits: BTreeMap::new(),
        };
        let spec = Spec {
            id: format!("{pid:032x}{number:0>32}"),
            hostname: "box".to_owned(),
            domainname: None,
            root: Root {
                lower: vec![root],
                upper: dir.join("upper"),
                work: dir.join("work"),
                read_only: false,
                volatile: false,
            },
            mounts: Vec::new(),
            process,
            net: NetNamespace::New,
            cgroup: CgroupSpec { path: cgroup_path(pid, &number), limits: Limits::default() },
            shm_size: 64 << 20,
            sysctls: BTreeMap::new(),
            init: false,
            oom_score_adj: None,
            privileged: false,
        };
        Self { dir, spec }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.spec);
        self
    }

    /// A file of the image.
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A path of the image on the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.join("rootfs").join(path.trim_start_matches('/'))
    }

    pub fn cgroup(&self) -> Cgroup {
        Cgroup::open(&self.spec.cgroup.path).unwrap()
    }

    /// Runs to the end; what it wrote to both streams, and how it ended.
    pub fn run(&self) -> (String, Ended) {
        let (running, output) = self.start().unwrap_or_else(|error| panic!("{error}"));
        let text = read_until(output, Instant::now() + Duration::from_secs(50));
        (text, self.finish(&running))
    }

    /// Output that is a success.
    pub fn output(&self) -> String {
        let (text, ended) = self.run();
        assert_eq!(ended, Ended::Code(0), "{text}");
        text
    }

    pub fn start(&self) -> Result<(Started, OwnedFd), StartError> {
        let (read, streams) = streams();
        Ok((runtime::start(&self.spec, streams, None)?, read))
    }

    pub fn failure(&self) -> StartError {
        match self.start() {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }

    /// Waits for the end and removes the cgroup.
    pub fn finish(&self, started: &Started) -> Ended {
        let ended = runtime::wait(started.pidfd.as_fd()).unwrap();
        self.cgroup().remove().unwrap();
        ended
    }

    /// A further process, to its end.
    pub fn exec(&self, container: &Started, args: &[&str], change: impl FnOnce(&mut ExecSpec)) -> (String, Ended) {
        let mut process = self.spec.process.clone();
        process.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut exec = ExecSpec { process, privileged: false };
        change(&mut exec);
        let (read, streams) = streams();
        let started =
            runtime::exec(container.pidfd.as_fd(), &self.spec, &exec, streams).unwrap_or_else(|e| panic!("{e}"));
        let text = read_until(read, Instant::now() + Duration::from_secs(30));
        (text, runtime::wait(started.pidfd.as_fd()).unwrap())
    }
}

/// Output and error go to one pipe.
pub fn streams() -> (OwnedFd, Stdio) {
    let (read, write) = std::io::pipe().unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    (read.into(), Stdio::Fds([null.into(), write.try_clone().unwrap().into(), write.into()]))
}

/// Everything up to the end of the stream.
pub fn read_until(stream: OwnedFd, deadline: Instant) -> String {
    let mut stream = fs::File::from(stream);
    let (mut bytes, mut buffer) = (Vec::new(), [0u8; 4096]);
    while muster::sys::poll::wait(stream.as_fd(), muster::sys::poll::Until::Readable, left(deadline)).unwrap() {
        match stream.read(&mut buffer) {
            // EIO is the end of a pty.
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend(&buffer[..length]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until the text has come; the stream stays open.
pub fn read_to(stream: &OwnedFd, text: &str) -> String {
    let mut file = fs::File::from(stream.try_clone().unwrap());
    let (mut seen, mut buffer) = (String::new(), [0u8; 4096]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen.contains(text) {
        let event =
            muster::sys::poll::wait(stream.as_fd(), muster::sys::poll::Until::Readable, left(deadline)).unwrap();
        assert!(event, "{text:?} did not come: {seen:?}");
        let length = file.read(&mut buffer).unwrap_or(0);
        assert!(length > 0, "{text:?} did not come: {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    seen
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Value of a line `key:\tvalue` of a /proc file's text.
pub fn field<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).trim()
}

pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
