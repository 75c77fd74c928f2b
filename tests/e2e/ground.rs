//! What all stacks of a test run stand on: the binary under test, muster's two roots in a temporary directory, and a
//! root file system of busybox. It goes away with the last stack that uses it.

use super::audit;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use muster::state::Layout;

pub struct Ground {
    directory: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Ground>> = Mutex::new(Weak::new());

impl Ground {
    /// The one that tests of this process share: side by side on one host, as projects are in life.
    pub fn shared() -> Arc<Self> {
        // A test that fails while it holds the lock poisons nothing: the value is whole at any time.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let ground = Arc::new(Self::alone());
            *shared = Arc::downgrade(&ground);
            ground
        })
    }

    /// One that nobody else uses.
    pub fn alone() -> Self {
        assert!(rustix::process::geteuid().is_root(), "the end-to-end tests need root: run `make test` as root");
        // Not /tmp: an overlay's upper directory cannot lie on every file system that is used for it.
        let parent = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
        let directory = tempfile::Builder::new().prefix("muster-e2e.").tempdir_in(parent).unwrap();
        let ground = Self { directory };
        make_rootfs(&ground.rootfs());
        ground
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn layout(&self) -> Layout {
        Layout::new(self.path().join("data"), self.path().join("run"))
    }

    /// busybox and what it needs, as a plain directory.
    pub fn rootfs(&self) -> PathBuf {
        self.path().join("busybox")
    }

    pub fn muster(&self) -> Command {
        let mut command = Command::new(binary());
        let layout = self.layout();
        command.env("MUSTER_DATA_ROOT", layout.data()).env("MUSTER_RUN_ROOT", layout.run());
        // What the person who runs the tests has set must not change what they see.
        for name in ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES", "MUSTER_LOG"] {
            command.env_remove(name);
        }
        command
    }
}

/// The binary under test: `MUSTER_TEST_BINARY`, or the one of this build.
pub fn binary() -> PathBuf {
    std::env::var_os("MUSTER_TEST_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_muster")), PathBuf::from)
}

/// Debian's busybox-static.
pub fn busybox() -> PathBuf {
    ["/usr/bin/busybox", "/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("busybox is missing: apt-get install busybox-static")
}

impl Drop for Ground {
    /// What no stack has of its own: the network of builds, which a build that was killed leaves to the next.
    fn drop(&mut self) {
        let left = audit::networks(&self.layout());
        if left.is_empty() {
            return;
        }
        audit::reclaim_networks(&left);
        let fault = format!("{}: networks are left: {left:#?}", self.path().display());
        // A second panic while the first one unwinds would end all tests.
        if std::thread::panicking() {
            eprintln!("{fault}");
        } else {
            panic!("{fault}");
        }
    }
}

fn make_rootfs(root: &Path) {
    for directory in ["bin", "etc", "tmp", "var/empty", "root", "proc", "sys", "dev", "www"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let busybox = busybox();
    fs::copy(&busybox, root.join("bin/busybox")).unwrap();
    let applets = Command::new(&busybox).arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/tmp:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nalice:x:1000:\nteam:x:2000:alice\n").unwrap();
    // Without it the C library loads modules that a static program cannot load, and crashes.
    let databases = ["passwd", "group", "hosts", "services", "protocols", "networks"];
    let lines: String =
        databases.iter().map(|name| format!("{name}: files{}\n", if *name == "hosts" { " dns" } else { "" })).collect();
    fs::write(root.join("etc/nsswitch.conf"), lines).unwrap();
    fs::write(root.join("www/index.html"), "busybox here\n").unwrap();
}
