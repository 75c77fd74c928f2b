//! Which boot this is: what the run directory says is only true under the boot that wrote it.

use std::{fs, io};

/// /proc/sys/kernel/random/boot_id, see random(4).
pub fn current() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Start time of a process in clock ticks since boot (proc_pid_stat(5), field 22). With the pid it names one
/// process for good; a pid alone may be somebody else's by now.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name, field 2, may hold spaces and parentheses: count from the last one.
    let fields = stat.get(stat.rfind(')')? + 2..)?;
    fields.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_start_time_and_pid_zero_has_none() {
        let own = start_time(std::process::id() as i32);
        assert!(own.is_some_and(|ticks| ticks > 0));
        assert_eq!(start_time(0), None);
    }
}
