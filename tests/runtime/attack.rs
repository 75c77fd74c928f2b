//! Ways out that other runtimes had. Each must fail here, and would succeed without its guard.

use super::{
    Test,
    fixture::{self, Fixture, read_to},
};
use muster::runtime::Ended;
use std::{
    fs,
    os::{fd::AsRawFd, unix::fs::symlink},
    process::{Command, Stdio},
    time::Duration,
};

pub const TESTS: &[Test] = &[
    ("a_link_as_mount_target_stays_inside", link_targets),
    ("a_link_in_place_of_proc_or_dev_is_refused", link_for_proc),
    ("a_volume_cannot_cover_proc", volume_over_proc),
    ("a_working_directory_through_a_descriptor_is_refused", leaky_vessels),
    ("the_program_cannot_be_written_through_proc", self_exe),
    ("links_in_etc_stay_inside", link_passwd),
    ("a_container_dies_with_its_keeper", keeper_killed),
    ("a_killed_set_up_is_reported", killed_set_up),
    ("only_a_process_with_one_thread_may_start", threads),
];

fn link_targets() {
    let fixture = Fixture::sh("ls -d /escape/* /dangling; echo x > /escape/in");
    let outside = fixture.dir.join("outside");
    fs::create_dir_all(&outside).unwrap();
    let source = fixture.dir.join("v");
    fs::create_dir_all(&source).unwrap();
    symlink(&outside, fixture.path("escape")).unwrap();
    symlink("../../../../../../../etc/made-by-test", fixture.path("dangling")).unwrap();
    let fixture = fixture.with(|spec| {
        spec.mounts.push(super::mounts::bind(&source, "/escape/mount", false));
        spec.mounts.push(super::mounts::bind(&source, "/dangling/x", false));
    });
    fixture.run();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!fixture::exists("/etc/made-by-test".as_ref()));
    let inside = fixture.dir.join("upper").join(outside.strip_prefix("/").unwrap());
    assert!(inside.join("in").exists() && inside.join("mount").is_dir(), "it went to the link's place inside");
}

fn link_for_proc() {
    for name in ["proc", "sys", "dev"] {
        let fixture = Fixture::new(&["true"]);
        fs::remove_dir(fixture.path(name)).unwrap();
        symlink("/etc", fixture.path(name)).unwrap();
        let error = fixture.failure();
        assert!(error.message.starts_with(&format!("mount /{name}: ")), "{error}");
    }
}

fn volume_over_proc() {
    for target in ["/proc", "/proc/self", "/proc/sys/kernel", "/dev/../proc", "/link"] {
        let fixture = Fixture::new(&["true"]);
        symlink("/proc", fixture.path("link")).unwrap();
        let source = fixture.dir.clone();
        let error = fixture.with(|spec| spec.mounts.push(super::mounts::bind(&source, target, false))).failure();
        assert!(error.message.starts_with("mount point "), "{target}: {error}");
    }
    let fixture = Fixture::new(&["true"]);
    let source = fixture.dir.clone();
    assert!(
        fixture
            .with(|spec| spec.mounts.push(super::mounts::bind(&source, "/", false)))
            .failure()
            .message
            .contains("root itself")
    );
}

fn leaky_vessels() {
    let directory = fs::File::open("/etc").unwrap();
    let number = nix::unistd::dup(&directory).unwrap();
    for cwd in [format!("/proc/self/fd/{}", number.as_raw_fd()), "/proc/1/cwd".to_owned(), "/link".to_owned()] {
        let fixture = Fixture::new(&["ls"]);
        symlink(format!("/proc/self/fd/{}", number.as_raw_fd()), fixture.path("link")).unwrap();
        let error = fixture.with(|spec| spec.process.cwd = cwd.clone().into()).failure();
        assert!(error.message.starts_with("working directory "), "{cwd}: {error}");
    }
}

fn self_exe() {
    // PID 1 of `init: true` is this very program, on the read-only mount that the runner started it from. A privileged
    // container may inspect it, and still not write to it.
    // Overwriting is refused anyway while it runs (ETXTBSY); the mount refuses also what is not.
    let script = "readlink /proc/1/exe; echo x >> /proc/1/exe; echo x > /proc/1/exe; chmod 777 /proc/1/exe; touch /proc/1/exe; true";
    let fixture = Fixture::sh(script).with(|spec| {
        spec.init = true;
        spec.privileged = true;
    });
    let text = fixture.output();
    assert_eq!(text.matches("Read-only file system").count(), 3, "{text}");
    assert_eq!(text.matches("Text file busy").count(), 1, "{text}");
    let fixture =
        Fixture::sh("cat /proc/1/exe /proc/1/environ /proc/1/mem >/dev/null; echo descriptors: $(ls /proc/1/fd)")
            .with(|spec| spec.init = true);
    let text = fixture.output();
    assert_eq!(text.matches("Permission denied").count(), 3, "{text}");
    assert!(text.ends_with("descriptors:\n"), "{text}");
}

fn link_passwd() {
    let fixture = Fixture::new(&["id", "-u"]).with(|spec| spec.process.user = "insider".to_owned());
    let outside = fixture.dir.join("passwd");
    fs::write(&outside, "insider:x:7:7::/:/bin/sh\n").unwrap();
    fs::remove_file(fixture.path("etc/passwd")).unwrap();
    symlink(&outside, fixture.path("etc/passwd")).unwrap();
    assert!(fixture.failure().message.contains("unable to find user insider"));
}

/// Another process of this program is the keeper, and is killed.
fn keeper_killed() {
    let (read, write) = std::io::pipe().unwrap();
    let mut keeper =
        Command::new("/proc/self/exe").args(["--hold", "x"]).stdin(Stdio::null()).stdout(write).spawn().unwrap();
    let text = read_to(&read.into(), "\n");
    let pid: i32 = text.trim().parse().unwrap();
    let pidfd = muster::sys::process::pidfd_open(pid).unwrap();
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    let gone = muster::sys::poll::wait(
        std::os::fd::AsFd::as_fd(&pidfd),
        muster::sys::poll::Until::Readable,
        Duration::from_secs(5),
    );
    fixture::clean_up(keeper.id());
    assert!(gone.unwrap(), "the container outlived its keeper");
}

pub fn hold(_: &str) {
    let fixture = Fixture::new(&["sleep", "60"]).with(|spec| spec.process.user = "app".to_owned());
    let (running, _output) = fixture.start().unwrap();
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("{}\n", running.pid).as_bytes()).unwrap();
    fixture.finish(&running);
}

fn killed_set_up() {
    // Far too little for the set-up itself.
    let fixture = Fixture::new(&["true"]).with(|spec| spec.cgroup.limits.memory = Some(64 << 10));
    match fixture.start() {
        Err(error) => assert_eq!(error.code, 125, "{error}"),
        Ok((running, _)) => assert_ne!(fixture.finish(&running), Ended::Code(0)),
    }
    assert!(fixture.cgroup().is_empty().unwrap());
}

fn threads() {
    let fixture = Fixture::new(&["true"]);
    let thread = std::thread::spawn(|| std::thread::sleep(Duration::from_millis(500)));
    let error = fixture.failure();
    assert_eq!(error.message, "clone: clone a process with more than one thread: Resource deadlock avoided");
    thread.join().unwrap();
}
