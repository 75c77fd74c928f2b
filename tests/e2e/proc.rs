//! Questions to /proc and small waits.

use std::{
    fs,
    time::{Duration, Instant},
};

/// How much longer than on a quiet machine things may take: `MUSTER_TEST_PATIENCE`, for emulated ones. 1 without it.
pub fn patience() -> u32 {
    std::env::var("MUSTER_TEST_PATIENCE").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// Asks `done` again and again until it says yes; fails the test with `what` after `limit`.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let (begin, limit) = (Instant::now(), limit * patience());
    loop {
        if done() {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A zombie counts as gone: nothing of it runs any more.
pub fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat[stat.rfind(')')? + 2..].chars().next())
        .is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// It may have gone by itself in the moment before, with the one that it belongs to.
pub fn kill(pid: i32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    match rustix::process::kill_process(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("cannot kill {pid}: {error}"),
    }
}

/// A field of /proc/<pid>/status.
pub fn status(pid: i32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in the status of {pid}")).trim().to_owned()
}

/// The inode of a namespace of a process, as /proc names it.
pub fn namespace(pid: i32, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
}

/// Every process with the words of its command line.
pub fn processes() -> Vec<(i32, Vec<String>)> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        Some((pid, words.collect()))
    })
    .collect()
}

/// CPU time of a process and its waited-for children, in seconds.
pub fn cpu_seconds(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    // USER_HZ, which is 100 on every architecture that muster runs on.
    ticks as f64 / 100.0
}

/// Private memory of a process in KiB, from /proc/<pid>/smaps_rollup.
pub fn private_memory(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = rollup.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
    lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}
