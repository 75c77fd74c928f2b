//! On the kernel's own events: what was done to a directory, and what is told of it.

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::unix::fs::symlink;

struct Ground {
    directory: tempfile::TempDir,
    files: Files,
}

impl Ground {
    fn new(prepare: &[&str]) -> Self {
        Self::watching(prepare, &["w"], |_| true)
    }

    fn watching(prepare: &[&str], tops: &[&str], enters: impl Fn(&Path) -> bool + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        for path in prepare {
            make(&root.join(path));
        }
        let files = Files::new(tops.iter().map(|top| root.join(top)).collect(), enters).unwrap();
        Self { directory, files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What was told since the last call; everything that was done has its event in the queue by now.
    fn changes(&mut self) -> String {
        let mut all = BTreeSet::new();
        let soon = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        while poll(&mut [PollFd::new(&self.files.fd, PollFlags::IN)], Some(&soon)).unwrap() > 0 {
            all.extend(self.files.changes().unwrap());
        }
        let names = all.iter().map(|path| path.strip_prefix(self.directory.path()).unwrap().display().to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
}

/// A directory where the name ends with a slash.
fn make(path: &Path) {
    if path.to_string_lossy().ends_with('/') {
        fs::create_dir_all(path).unwrap();
    } else {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "before").unwrap();
    }
}

#[test]
fn what_is_written_made_and_removed_is_told_once() {
    let mut ground = Ground::new(&["w/a", "w/d/b"]);
    assert_eq!(ground.changes(), "");
    ground.write("w/a", "after");
    ground.write("w/d/new", "");
    assert_eq!(ground.changes(), "w/a w/d/new");
    fs::remove_file(ground.path("w/a")).unwrap();
    assert_eq!(ground.changes(), "w/a");
    fs::set_permissions(ground.path("w/d/b"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(ground.changes(), "w/d/b");
    // Opened for writing, and closed as it was.
    drop(fs::OpenOptions::new().append(true).open(ground.path("w/d/b")).unwrap());
    assert_eq!(ground.changes(), "");
}

#[test]
fn a_chain_of_directories_that_comes_at_once_is_told_whole() {
    let mut ground = Ground::new(&["w/"]);
    for round in 0..20 {
        let chain = format!("w/x{round}/y/z");
        fs::create_dir_all(ground.path(&chain)).unwrap();
        ground.write(&format!("{chain}/f"), "");
        assert_eq!(ground.changes(), format!("w/x{round} w/x{round}/y w/x{round}/y/z w/x{round}/y/z/f"));
        ground.write(&format!("{chain}/f"), "later");
        assert_eq!(ground.changes(), format!("{chain}/f"));
    }
}

#[test]
fn an_editor_that_replaces_a_file_changes_that_file() {
    let mut ground = Ground::new(&["w/a.js"]);
    // As vim with `backupcopy=no`.
    ground.write("w/4913", "");
    fs::remove_file(ground.path("w/4913")).unwrap();
    fs::rename(ground.path("w/a.js"), ground.path("w/a.js~")).unwrap();
    ground.write("w/a.js", "after");
    fs::remove_file(ground.path("w/a.js~")).unwrap();
    let changes = ground.changes();
    assert!(changes.split(' ').any(|name| name == "w/a.js"), "{changes}");
    // As most others: a new file renamed over the old one.
    ground.write("w/.a.js.new", "again");
    ground.changes();
    fs::rename(ground.path("w/.a.js.new"), ground.path("w/a.js")).unwrap();
    assert_eq!(ground.changes(), "w/.a.js.new w/a.js");
}

#[test]
fn a_directory_that_moves_is_gone_there_and_come_here() {
    let mut ground = Ground::new(&["w/m/a", "w/m/d/b", "out/"]);
    fs::rename(ground.path("w/m"), ground.path("w/c")).unwrap();
    assert_eq!(ground.changes(), "w/c w/c/a w/c/d w/c/d/b w/m w/m/a w/m/d w/m/d/b");
    ground.write("w/c/d/b", "after");
    assert_eq!(ground.changes(), "w/c/d/b");
    fs::rename(ground.path("w/c"), ground.path("w/z")).unwrap();
    ground.changes();
    ground.write("w/z/d/b", "again");
    assert_eq!(ground.changes(), "w/z/d/b");
    fs::rename(ground.path("w/z"), ground.path("out/z")).unwrap();
    assert_eq!(ground.changes(), "w/z w/z/a w/z/d w/z/d/b");
    ground.write("out/z/d/b", "out of sight");
    assert_eq!(ground.changes(), "");
    fs::rename(ground.path("out/z"), ground.path("w/back")).unwrap();
    assert_eq!(ground.changes(), "w/back w/back/a w/back/d w/back/d/b");
}

#[test]
fn two_directories_that_change_places_are_both_told() {
    let mut ground = Ground::new(&["w/a/x", "w/b/y"]);
    let (a, b) = (ground.path("w/a"), ground.path("w/b"));
    rustix::fs::renameat_with(rustix::fs::CWD, &a, rustix::fs::CWD, &b, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    assert_eq!(ground.changes(), "w/a w/a/x w/a/y w/b w/b/x w/b/y");
    ground.write("w/a/y", "after");
    ground.write("w/b/x", "after");
    assert_eq!(ground.changes(), "w/a/y w/b/x");
}

#[test]
fn a_file_that_becomes_a_directory_and_back_is_told_each_time() {
    let mut ground = Ground::new(&["w/a"]);
    fs::remove_file(ground.path("w/a")).unwrap();
    make(&ground.path("w/a/b"));
    assert_eq!(ground.changes(), "w/a w/a/b");
    fs::remove_dir_all(ground.path("w/a")).unwrap();
    ground.write("w/a", "a file again");
    assert_eq!(ground.changes(), "w/a w/a/b");
}

#[test]
fn one_file_is_watched_through_its_replacements() {
    let mut ground = Ground::watching(&["w/conf", "w/other"], &["w/conf"], |_| false);
    ground.write("w/other", "nobody's business");
    assert_eq!(ground.changes(), "");
    ground.write("w/new", "x");
    fs::rename(ground.path("w/new"), ground.path("w/conf")).unwrap();
    assert_eq!(ground.changes(), "w/conf");
    ground.write("w/conf", "again");
    assert_eq!(ground.changes(), "w/conf");
}

#[test]
fn what_is_not_there_yet_is_waited_for_and_may_go_and_come_back() {
    let mut ground = Ground::watching(&["here/"], &["here/a/b/top"], |_| true);
    make(&ground.path("here/a/b/top/f"));
    assert_eq!(ground.changes(), "here/a/b/top here/a/b/top/f");
    fs::remove_dir_all(ground.path("here/a")).unwrap();
    assert_eq!(ground.changes(), "here/a/b/top here/a/b/top/f");
    make(&ground.path("here/a/b/top/g"));
    assert_eq!(ground.changes(), "here/a/b/top here/a/b/top/g");
    fs::rename(ground.path("here"), ground.path("there")).unwrap();
    assert_eq!(ground.changes(), "here/a/b/top here/a/b/top/g");
    make(&ground.path("here/a/b/top/h"));
    assert_eq!(ground.changes(), "here/a/b/top here/a/b/top/h");
}

#[test]
fn links_are_themselves_and_lead_nowhere() {
    let mut ground = Ground::new(&["w/", "out/secret"]);
    symlink(ground.path("out"), ground.path("w/link")).unwrap();
    assert_eq!(ground.changes(), "w/link");
    ground.write("out/secret", "after");
    assert_eq!(ground.changes(), "");
}

#[test]
fn directories_of_no_concern_are_not_entered() {
    let mut ground = Ground::watching(&["w/node_modules/a"], &["w"], |path| !path.ends_with("node_modules"));
    ground.write("w/node_modules/a", "after");
    make(&ground.path("w/node_modules/b/c"));
    assert_eq!(ground.changes(), "");
    assert_eq!(ground.files.watches.len(), 2, "the directory, and the one that it is in");
}

#[test]
fn after_an_overflow_everything_is_looked_at() {
    let mut ground = Ground::new(&["w/a", "w/d/b", "w/d/gone", "w/e/f"]);
    // The events of these are thrown away, as an overflow does.
    ground.write("w/a", "after");
    fs::remove_file(ground.path("w/d/gone")).unwrap();
    make(&ground.path("w/new/deep"));
    let mut buffer = [MaybeUninit::uninit(); 4096];
    while rustix::io::read(&ground.files.fd, &mut buffer).is_ok() {}
    let mut changed = BTreeSet::new();
    ground.files.look_at_all(&mut changed).unwrap();
    let names: Vec<_> = changed.iter().map(|path| path.strip_prefix(ground.directory.path()).unwrap()).collect();
    assert_eq!(names, ["w/a", "w/d/gone", "w/new", "w/new/deep"].map(Path::new));
    ground.write("w/new/deep", "later");
    assert_eq!(ground.changes(), "w/new/deep");
}
