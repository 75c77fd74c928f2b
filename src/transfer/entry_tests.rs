//! A hostile tree, and what may happen in it.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Ground {
    directory: tempfile::TempDir,
    root: Root,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["root", "host", "outside"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let root = Root::of_directory(&directory.path().join("root")).unwrap();
        Self { directory, root }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn host(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.path("host").join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mirror(&self, source: &str, target: &str) -> Result<Done, TransferError> {
        self.root.mirror(&self.path("host").join(source), Path::new(target), Owner::Kept)
    }

    /// Nothing was written beside what is meant, and no temporary name is left.
    fn assert_untouched(&self) {
        assert_eq!(fs::read_dir(self.path("outside")).unwrap().count(), 0);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_comes_whole_with_mode_and_time_and_its_directories() {
    let ground = Ground::new();
    let source = ground.host("run.sh", "#!/bin/sh\n");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o4750)).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::open(&source).unwrap().set_modified(time).unwrap();
    assert_eq!(ground.mirror("run.sh", "/app/bin/run.sh").unwrap(), Done::Put);
    let there = ground.path("root/app/bin/run.sh");
    let metadata = there.metadata().unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.modified().unwrap()), (0o4750, time));
    assert_eq!(names(&ground.path("root/app/bin")), ["run.sh"]);
    assert_eq!(ground.path("root/app").metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn what_is_gone_on_the_host_goes_with_all_below_it() {
    let ground = Ground::new();
    fs::create_dir_all(ground.path("root/app/d/e")).unwrap();
    fs::write(ground.path("root/app/d/e/f"), "").unwrap();
    symlink(ground.path("outside"), ground.path("root/app/d/link")).unwrap();
    fs::write(ground.path("outside/keep"), "").unwrap();
    assert_eq!(ground.mirror("d", "/app/d").unwrap(), Done::Removed);
    assert_eq!(ground.mirror("d/e", "/app/d/e").unwrap(), Done::Removed);
    assert_eq!(names(&ground.path("root/app")), [""; 0]);
    assert!(ground.path("outside/keep").exists());
}

#[test]
fn links_of_the_container_lead_nowhere_but_inside() {
    let ground = Ground::new();
    ground.host("f", "text");
    let outside = ground.path("outside");
    // Absolute: as the container sees it, that is below its root.
    symlink(&outside, ground.path("root/absolute")).unwrap();
    symlink("../../../../../../../../..", ground.path("root/up")).unwrap();
    symlink(format!("../{}/outside", ground.directory.path().display()), ground.path("root/far")).unwrap();
    for (number, target) in ["/absolute/f", "/up/f", "/far/f", "/../../f2", "/up/../outside/f"].iter().enumerate() {
        let _ = ground.mirror("f", target);
        ground.assert_untouched();
        assert!(!ground.path("f").exists() && !ground.path("f2").exists(), "{number}");
    }
    // The link itself is replaced, not what it leads to.
    fs::write(outside.join("victim"), "mine").unwrap();
    symlink(outside.join("victim"), ground.path("root/file")).unwrap();
    ground.mirror("f", "/file").unwrap();
    assert_eq!((ground.read("root/file").as_str(), ground.read("outside/victim").as_str()), ("text", "mine"));
    assert!(!ground.path("root/file").is_symlink());
}

#[test]
fn a_directory_behind_a_link_inside_is_used_and_not_changed() {
    let ground = Ground::new();
    fs::create_dir_all(ground.path("root/srv/app")).unwrap();
    symlink("/srv/app", ground.path("root/app")).unwrap();
    fs::create_dir(ground.path("host/src")).unwrap();
    fs::set_permissions(ground.path("host/src"), fs::Permissions::from_mode(0o700)).unwrap();
    ground.host("f", "text");
    ground.mirror("src", "/app").unwrap();
    ground.mirror("f", "/app/f").unwrap();
    assert_eq!(ground.read("root/srv/app/f"), "text");
    assert!(ground.path("root/app").is_symlink());
    assert_eq!(ground.path("root/srv/app").metadata().unwrap().mode() & 0o777, 0o755);
}

#[test]
fn one_kind_replaces_the_other() {
    let ground = Ground::new();
    fs::create_dir_all(ground.path("root/app/x/full")).unwrap();
    fs::write(ground.path("root/app/y"), "a file").unwrap();
    ground.host("x", "text");
    ground.mirror("x", "/app/x").unwrap();
    assert_eq!(ground.read("root/app/x"), "text");
    fs::create_dir(ground.path("host/y")).unwrap();
    ground.mirror("y", "/app/y").unwrap();
    assert!(ground.path("root/app/y").is_dir());
    symlink("leads/anywhere", ground.path("host/z")).unwrap();
    ground.mirror("z", "/app/y").unwrap();
    assert_eq!(fs::read_link(ground.path("root/app/y")).unwrap(), Path::new("leads/anywhere"));
    assert_eq!(names(&ground.path("root/app")), ["x", "y"]);
}

#[test]
fn an_existing_directory_keeps_its_files_and_takes_the_mode() {
    let ground = Ground::new();
    fs::create_dir_all(ground.path("root/app/d")).unwrap();
    fs::write(ground.path("root/app/d/own"), "").unwrap();
    fs::create_dir(ground.path("host/d")).unwrap();
    fs::set_permissions(ground.path("host/d"), fs::Permissions::from_mode(0o711)).unwrap();
    ground.mirror("d", "/app/d").unwrap();
    assert_eq!(names(&ground.path("root/app/d")), ["own"]);
    assert_eq!(ground.path("root/app/d").metadata().unwrap().mode() & 0o777, 0o711);
}

#[test]
fn what_is_no_file_is_skipped_and_the_root_is_never_replaced() {
    let ground = Ground::new();
    let _socket = std::os::unix::net::UnixListener::bind(ground.path("host/socket")).unwrap();
    assert_eq!(ground.mirror("socket", "/app/socket").unwrap(), Done::Skipped);
    ground.host("f", "");
    assert!(ground.mirror("f", "/").is_err());
    assert!(ground.mirror("gone", "/").is_err());
    assert_eq!(ground.mirror("", "/").unwrap(), Done::Put);
}

#[test]
fn the_owner_is_the_container_s_own_user() {
    let ground = Ground::new();
    fs::create_dir(ground.path("root/etc")).unwrap();
    fs::write(ground.path("root/etc/passwd"), "app:x:1234:55:::\n").unwrap();
    assert_eq!(ground.root.owner("").unwrap(), Owner::Kept);
    assert_eq!(ground.root.owner("app").unwrap(), Owner::Given { uid: 1234, gid: 55 });
    assert_eq!(ground.root.owner("7:8").unwrap(), Owner::Given { uid: 7, gid: 8 });
    assert!(ground.root.owner("nobody").is_err());
    if !rustix::process::geteuid().is_root() {
        return; // only root gives files away
    }
    let source = ground.host("f", "");
    ground.root.mirror(&source, Path::new("/new/d/f"), ground.root.owner("app").unwrap()).unwrap();
    for path in ["root/new", "root/new/d", "root/new/d/f"] {
        let metadata = ground.path(path).metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1234, 55), "{path}");
    }
}

#[test]
fn a_process_that_is_another_one_by_now_is_not_entered() {
    let own = std::process::id() as i32;
    let start = crate::state::boot::start_time(own).unwrap();
    assert!(Root::of_running(own, start).is_ok());
    assert!(matches!(Root::of_running(own, start + 1), Err(TransferError::NotRunning)));
}
