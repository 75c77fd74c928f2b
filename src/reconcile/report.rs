//! A failed start, explained: how the container ended, what its probe said, the last lines of its log.

use crate::{
    api::Failure,
    model::ContainerId,
    state::{
        Layout, logline,
        records::{ContainerRecord, Health, Status},
    },
};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// Lines of the log that a report shows.
const LINES: usize = 10;
/// How much of the log's end is read for them.
const TAIL: u64 = 32 << 10;

/// Adds to `failure` what is known of the container that is at fault: the first of `records` that is not well.
pub fn explain(mut failure: Failure, records: &[ContainerRecord], layout: &Layout) -> Failure {
    let Some(record) = records.iter().find(|record| is_at_fault(record)) else { return failure };
    failure.container.get_or_insert_with(|| record.name.clone());
    if let Status::Exited { exit } | Status::Restarting { exit } = &record.status {
        failure.exit.get_or_insert_with(|| exit.clone());
    }
    if record.health == Some(Health::Unhealthy) {
        failure.probe = record.last_probe.clone().filter(|output| !output.trim().is_empty());
    }
    if failure.log.is_empty() {
        // A log that cannot be read must not hide the failure itself.
        failure.log = tail(layout, &record.id).unwrap_or_default();
    }
    if failure.hint.is_none()
        && let Some(exit) = &failure.exit
        && exit.oom
    {
        failure.hint = Some("it ran out of memory: raise `mem_limit`, or find out what takes so much".into());
    }
    failure
}

fn is_at_fault(record: &ContainerRecord) -> bool {
    match &record.status {
        Status::Running { .. } => record.health == Some(Health::Unhealthy),
        Status::Exited { .. } | Status::Restarting { .. } | Status::Dead { .. } => true,
        Status::Created => false,
    }
}

fn tail(layout: &Layout, id: &ContainerId) -> io::Result<Vec<String>> {
    let mut file = File::open(layout.container_log(id).join("current.log"))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let lines: Vec<String> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(logline::parse)
        .map(|line| String::from_utf8_lossy(line.text).into_owned())
        .collect();
    Ok(lines[lines.len().saturating_sub(LINES)..].to_vec())
}
