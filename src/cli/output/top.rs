//! `top`: processes as `ps -ef` describes them, with the container in front.

use super::table;
use crate::cli::containers::Container;
use jiff::{Timestamp, tz::TimeZone};
use std::{collections::HashMap, fs};

/// Ticks of /proc/<pid>/stat in a second: USER_HZ, which the kernel keeps at 100 for user space (time(7)).
const TICKS: u64 = 100;

/// One line; container name parts come first.
pub type Row = [String; 10];

/// What of this host is the same for all processes.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Names of the host's users: the container's own may differ.
    users: HashMap<u32, String>,
    /// Seconds since 1970.
    boot: i64,
}

impl Host {
    pub fn read() -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let users = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
        });
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        Self { users: users.collect(), boot: boot.unwrap_or(0) }
    }
}

/// Of proc_pid_stat(5), proc_pid_cmdline(5) and the owner of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    ppid: i32,
    uid: u32,
    tty: i32,
    /// Ticks.
    cpu: u64,
    /// Ticks since boot.
    start: u64,
    command: String,
}

impl Process {
    /// `None` when it has ended.
    pub fn read(pid: i32) -> Option<Self> {
        let directory = format!("/proc/{pid}");
        let stat = fs::read_to_string(format!("{directory}/stat")).ok()?;
        let arguments = fs::read(format!("{directory}/cmdline")).ok()?;
        let uid = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&directory).ok()?);
        Self::parse(pid, uid, &stat, &arguments)
    }

    fn parse(pid: i32, uid: u32, stat: &str, arguments: &[u8]) -> Option<Self> {
        let (before, after) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let text = String::from_utf8_lossy(arguments).replace('\0', " ");
        let name = before.split_once(" (").map_or("", |(_, name)| name);
        let command = if text.trim().is_empty() { format!("[{name}]") } else { text.trim().to_owned() };
        Some(Self {
            pid,
            ppid: fields.get(1)?.parse().ok()?,
            uid,
            tty: fields.get(4)?.parse().ok()?,
            cpu: number(11)? + number(12)?,
            start: number(19)?,
            command: command.chars().filter(|c| !c.is_control()).collect(),
        })
    }
}

pub fn row(container: &Container, process: &Process, host: &Host, now: Timestamp, zone: &TimeZone) -> Row {
    let started = Timestamp::from_second(host.boot + (process.start / TICKS) as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    let elapsed = now.duration_since(started).as_secs().max(1) as u64;
    let cpu = process.cpu / TICKS;
    let format = if elapsed < 86400 { "%H:%M" } else { "%b%d" };
    [
        container.record.service.clone(),
        container.record.number.to_string(),
        host.users.get(&process.uid).cloned().unwrap_or_else(|| process.uid.to_string()),
        process.pid.to_string(),
        process.ppid.to_string(),
        (cpu * 100 / elapsed).to_string(),
        started.to_zoned(zone.clone()).strftime(format).to_string(),
        terminal(process.tty),
        format!("{:02}:{:02}:{:02}", cpu / 3600, cpu / 60 % 60, cpu % 60),
        process.command.clone(),
    ]
}

/// `pts/0`; major 136 to 143 are pseudo terminals (the kernel's devices.txt).
fn terminal(device: i32) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "?".into(),
    }
}

pub fn render(rows: Vec<Row>) -> String {
    table::render(["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::containers::tests::{record, running};

    #[test]
    fn a_process_is_described_as_ps_does() {
        let stat = "7 (a) b) S 1 7 7 34816 7 0 0 0 0 0 6000 50 0 0 20 0 1 0 100 0 0";
        let process = Process::parse(7, 0, stat, b"serve\0--all\0").unwrap();
        let host = Host { users: HashMap::from([(0, "root".into())]), boot: 1_795_000_000 };
        let now = Timestamp::from_second(1_795_000_001 + 600).unwrap();
        let container = Container { record: record("web", 1, running(1)) };
        let row = row(&container, &process, &host, now, &TimeZone::UTC);
        insta::assert_snapshot!(render(vec![row]), @r"
        SERVICE   #   UID    PID   PPID   C    STIME   TTY     TIME       CMD
        web       1   root   7     1      10   11:06   pts/0   00:01:00   serve --all
        ");
    }

    #[test]
    fn a_process_without_arguments_is_shown_by_its_name() {
        let stat = "7 (a) b) S 1 7 7 0 7 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0";
        assert_eq!(Process::parse(7, 0, stat, b"").unwrap().command, "[a) b]");
        assert!(Process::read(std::process::id() as i32).is_some());
        assert_eq!(Process::read(0), None);
    }
}
