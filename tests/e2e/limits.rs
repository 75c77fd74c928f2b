//! Limits, measured: memory, CPU, pids.

use super::stack::Stack;
use std::time::{Duration, Instant};

#[test]
fn memory_over_the_limit_ends_137_and_is_called_oom() {
    let stack = Stack::new(
        "oom",
        "
services:
  after:
    image: '%IMAGE%'
    command: [sleep, '1000']
    depends_on: {greedy: {condition: service_completed_successfully}}
  greedy:
    image: '%IMAGE%'
    # dd reads one block of 200 MB into memory that it really touches.
    command: [dd, if=/dev/zero, of=/dev/null, bs=200M, count=1]
    mem_limit: 64m
    memswap_limit: 64m
",
    );
    let up = stack.fails(&["up", "-d"]);
    assert_eq!(stack.ps_of("greedy")["State"], "exited");
    assert_eq!(stack.ps_of("greedy")["ExitCode"], 137);
    let table = stack.ok(&["ps", "-a"]);
    assert!(table.to_lowercase().contains("oom") || table.contains("out of memory"), "{table}");
    let report = format!("{}{}", up.stdout, up.stderr);
    assert!(report.contains("OOM") || report.to_lowercase().contains("out of memory"), "{report}");
    assert!(stack.events().iter().any(|event| event.action == "oom"), "{:#?}", stack.events());
}

#[test]
fn half_a_cpu_is_half_a_cpu() {
    let stack = Stack::new(
        "cpu",
        "services: {busy: {image: '%IMAGE%', command: [sh, -c, 'while :; do :; done'], cpus: 0.5, stop_grace_period: 0s}}",
    );
    stack.up();
    let pid = stack.pid("busy");
    // A shared machine can take CPU away from the container, never give it more.
    let mut shares = Vec::new();
    for _ in 0..6 {
        let (before, begin) = (super::proc::cpu_seconds(pid), Instant::now());
        std::thread::sleep(Duration::from_secs(5));
        let share = (super::proc::cpu_seconds(pid) - before) / begin.elapsed().as_secs_f64();
        assert!(share <= 0.55, "{share}");
        shares.push(share);
        if share >= 0.45 {
            return;
        }
    }
    panic!("never above 0.45 of a core: {shares:?}");
}

#[test]
fn a_fork_bomb_stops_at_its_pids_limit() {
    let stack = Stack::new(
        "pids",
        "
services:
  bomb:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    pids_limit: 20
    stop_grace_period: 0s
",
    );
    stack.up();
    let ran = stack.shell("bomb", "i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done; echo done");
    assert!(!ran.stdout.contains("done") || ran.stderr.contains("fork"), "{ran:#?}");
    let pid = stack.pid("bomb");
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let inside = |line: &str| line.contains(&stack.name);
    assert!(cgroup.lines().any(inside), "{cgroup}");
    let ours =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(&stack.name));
    let count = super::proc::processes().iter().filter(|(pid, _)| ours(pid)).count();
    assert!(count <= 20, "{count} processes");
}

#[test]
fn shims_and_the_supervisor_are_small() {
    // Debug builds are larger in every way; the figures of a release build are the bench's.
    if cfg!(debug_assertions) && std::env::var_os("MUSTER_TEST_BINARY").is_none() {
        return;
    }
    let stack =
        Stack::new("small", "services: {x: {image: '%IMAGE%', command: [sleep, '1000'], init: true, scale: 5}}");
    stack.up();
    for record in stack.records() {
        let muster::state::records::Status::Running { shim_pid, .. } = record.status else { panic!("{record:?}") };
        let memory = super::proc::private_memory(shim_pid);
        assert!(memory < 1024, "shim: {memory} KiB");
    }
    let memory = super::proc::private_memory(stack.supervisor().unwrap());
    assert!(memory < 12 * 1024, "supervisor: {memory} KiB");
}
