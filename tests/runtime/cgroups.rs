//! Limits, their effect, and the life of cgroups.

use super::{
    Test,
    fixture::{Fixture, read_to},
};
use muster::runtime::{Ended, cgroup::Cgroup};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

pub const TESTS: &[Test] = &[
    ("memory_over_the_limit_ends_137_and_counts_as_oom", out_of_memory),
    ("half_a_cpu_is_half_a_cpu", half_a_cpu),
    ("a_fork_bomb_stops_at_the_pids_limit", fork_bomb),
    ("limits_stand_in_the_kernel_s_files", files),
    ("a_limit_without_a_controller_is_named", unsupported),
    ("kill_ends_everybody_and_wait_sees_it", kill),
    ("waiting_ends_with_the_event_not_with_the_time", wait_event),
    ("a_stale_cgroup_does_not_lend_its_counters", stale),
    ("removing_twice_or_what_never_was_is_fine", remove_twice),
    ("usage_is_counted", usage),
];

fn out_of_memory() {
    let fixture =
        Fixture::sh("head -c 200m /dev/zero | tail -c 150m | wc -c; tail -c 1k /proc/self/statm").with(|spec| {
            spec.cgroup.limits.memory = Some(64 << 20);
            // `tail` alone holds its 150 MB and is the one to go.
            spec.process.args = vec!["tail".into(), "-c".into(), "200m".into(), "/dev/zero".into()];
        });
    let (running, _output) = fixture.start().unwrap();
    let ended = muster::runtime::wait(std::os::fd::AsFd::as_fd(&running.pidfd)).unwrap();
    assert_eq!((ended, ended.exit_code()), (Ended::Signal(9), 137));
    assert!(fixture.cgroup().oom_kills().unwrap() > 0);
    fixture.cgroup().remove().unwrap();
}

fn half_a_cpu() {
    let fixture = Fixture::sh("while :; do :; done").with(|spec| spec.cgroup.limits.cpu_quota = Some(50_000));
    let (running, _output) = fixture.start().unwrap();
    let cgroup = fixture.cgroup();
    let (start, used) = (Instant::now(), cgroup.cpu_usage().unwrap());
    std::thread::sleep(Duration::from_secs(3));
    let (passed, used) = (start.elapsed(), cgroup.cpu_usage().unwrap() - used);
    cgroup.kill().unwrap();
    fixture.finish(&running);
    let share = used.as_secs_f64() / passed.as_secs_f64();
    assert!(share < 0.55, "{share}");
    assert!(share > 0.05, "{share}: on a busy machine it may get less, but it ran");
}

fn fork_bomb() {
    // The shell that cannot fork ends; what it started stays.
    let script = "(i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done) 2>&1; echo stopped; sleep 30";
    let fixture = Fixture::sh(script).with(|spec| spec.cgroup.limits.pids = Some(20));
    let (running, output) = fixture.start().unwrap();
    let text = read_to(&output, "stopped");
    assert!(text.contains("can't fork"), "{text}");
    let members = fixture.cgroup().processes().unwrap().len();
    assert!((15..=20).contains(&members), "{members}");
    fixture.cgroup().kill().unwrap();
    fixture.finish(&running);
}

/// The first of these files that exists, below either tree's place for the container.
fn read(fixture: &Fixture, names: &[&str]) -> String {
    let path = &fixture.spec.cgroup.path;
    let roots = ["", "memory", "cpu", "cpu,cpuacct", "cpuset", "pids", "unified"];
    let found =
        names.iter().flat_map(|name| roots.map(|root| Path::new("/sys/fs/cgroup").join(root).join(path).join(name)));
    let text = found.into_iter().find_map(|file| fs::read_to_string(file).ok());
    text.unwrap_or_else(|| panic!("none of {names:?}")).trim().to_owned()
}

fn files() {
    let fixture = Fixture::sh("echo ready; sleep 20").with(|spec| {
        let limits = &mut spec.cgroup.limits;
        limits.memory = Some(128 << 20);
        limits.memory_reservation = Some(32 << 20);
        limits.cpu_quota = Some(150_000);
        limits.cpu_shares = Some(512);
        limits.cpuset = Some("0".to_owned());
        limits.pids = Some(77);
    });
    let (running, output) = fixture.start().unwrap();
    read_to(&output, "ready\n");
    assert_eq!(read(&fixture, &["memory.max", "memory.limit_in_bytes"]), (128u64 << 20).to_string());
    assert_eq!(read(&fixture, &["memory.low", "memory.soft_limit_in_bytes"]), (32u64 << 20).to_string());
    assert!(read(&fixture, &["cpu.max", "cpu.cfs_quota_us"]).starts_with("150000"));
    assert!(["512", "59"].contains(&read(&fixture, &["cpu.shares", "cpu.weight"]).as_str()));
    assert_eq!(read(&fixture, &["cpuset.cpus"]), "0");
    assert_eq!(read(&fixture, &["pids.max"]), "77");
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid)).unwrap();
    assert_eq!(super::fixture::field(&status, "Cpus_allowed_list"), "0");
    fixture.cgroup().kill().unwrap();
    fixture.finish(&running);
}

fn unsupported() {
    let fixture = Fixture::new(&["true"]).with(|spec| spec.cgroup.limits.cpuset = Some("4000".to_owned()));
    let error = fixture.failure();
    assert!(error.message.starts_with("cgroup: cpuset: write 4000 to "), "{error}");
    assert!(!fixture.cgroup().processes().is_ok_and(|pids| !pids.is_empty()));
}

fn kill() {
    let fixture = Fixture::sh("for i in 1 2 3 4 5; do setsid sleep 60 & done; echo ready; sleep 60");
    let (running, output) = fixture.start().unwrap();
    read_to(&output, "ready\n");
    let cgroup = fixture.cgroup();
    assert!(!cgroup.is_empty().unwrap());
    assert!(!cgroup.wait_empty(Duration::from_millis(50)).unwrap());
    assert!(cgroup.processes().unwrap().contains(&running.pid));
    let start = Instant::now();
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(Duration::from_secs(10)).unwrap());
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(cgroup.is_empty().unwrap() && cgroup.processes().unwrap().is_empty());
    assert_eq!(fixture.finish(&running), Ended::Signal(9));
}

fn wait_event() {
    let fixture = Fixture::new(&["sleep", "0.2"]);
    let (running, _output) = fixture.start().unwrap();
    let start = Instant::now();
    assert!(fixture.cgroup().wait_empty(Duration::from_secs(20)).unwrap());
    assert!(start.elapsed() < Duration::from_secs(3));
    fixture.finish(&running);
}

fn stale() {
    let fixture =
        Fixture::new(&["tail", "-c", "200m", "/dev/zero"]).with(|spec| spec.cgroup.limits.memory = Some(32 << 20));
    let (running, _output) = fixture.start().unwrap();
    muster::runtime::wait(std::os::fd::AsFd::as_fd(&running.pidfd)).unwrap();
    assert!(fixture.cgroup().oom_kills().unwrap() > 0);
    // Not removed, as after a crash of the keeper.
    let again = Cgroup::create(&fixture.spec.cgroup).unwrap();
    assert_eq!(again.oom_kills().unwrap(), 0);
    again.remove().unwrap();
}

fn remove_twice() {
    let fixture = Fixture::new(&["true"]);
    let cgroup = Cgroup::create(&fixture.spec.cgroup).unwrap();
    cgroup.remove().unwrap();
    cgroup.remove().unwrap();
    cgroup.kill().unwrap();
    assert!(cgroup.is_empty().unwrap() && cgroup.wait_empty(Duration::ZERO).unwrap());
    assert_eq!((cgroup.oom_kills().unwrap(), cgroup.processes().unwrap()), (0, vec![]));
    for path in ["muster", "/muster/a/b", "muster/../x", "muster/a/b/c"] {
        assert!(Cgroup::open(Path::new(path)).is_err(), "{path}");
    }
}

fn usage() {
    let fixture = Fixture::sh(
        "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; head -c 20m /dev/zero > /dev/shm/x; echo ready; sleep 20",
    );
    let (running, output) = fixture.start().unwrap();
    read_to(&output, "ready\n");
    let cgroup = fixture.cgroup();
    assert!(cgroup.cpu_usage().unwrap() > Duration::from_millis(20));
    assert!(cgroup.memory_usage().unwrap() > 20 << 20);
    cgroup.kill().unwrap();
    fixture.finish(&running);
}
