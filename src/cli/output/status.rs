//! A container's state in Docker's words: `Up 3 seconds (healthy)`, `Exited (137) 4 seconds ago`.

use super::duration;
use crate::state::records::{ContainerRecord, Exit, Health, Status};
use jiff::Timestamp;

/// The STATUS column. What Docker keeps for itself, a kill for memory or a policy that gave up, stands behind it.
pub fn text(record: &ContainerRecord, now: Timestamp) -> String {
    let ago = |exit: &Exit| format!("{} ago", duration::human(duration::since(&exit.finished_at, now)));
    match &record.status {
        Status::Created => "Created".into(),
        Status::Running { started_at, .. } => {
            let up = duration::human(duration::since(started_at, now));
            format!("Up {up}{}", health(record.health))
        }
        Status::Restarting { exit } => format!("Restarting ({}) {}{}", exit.code, ago(exit), remarks(exit)),
        Status::Exited { exit } => format!("Exited ({}) {}{}", exit.code, ago(exit), remarks(exit)),
        Status::Dead { error, .. } => format!("Dead ({})", error.lines().next().unwrap_or_default()),
    }
}

fn health(health: Option<Health>) -> &'static str {
    match health {
        None => "",
        Some(Health::Starting) => " (health: starting)",
        Some(Health::Healthy) => " (healthy)",
        Some(Health::Unhealthy) => " (unhealthy)",
    }
}

fn remarks(exit: &Exit) -> String {
    let oom = exit.oom.then_some("OOM killed");
    let remarks: Vec<&str> = oom.into_iter().chain(exit.note.as_deref()).collect();
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::containers::tests::{exit, record, running};

    #[test]
    fn states_are_said_as_docker_says_them() {
        let now = "2026-11-22T10:00:09Z".parse().unwrap();
        let text = |status, health| {
            let mut record = record("web", 1, status);
            record.health = health;
            text(&record, now)
        };
        assert_eq!(text(Status::Created, None), "Created");
        assert_eq!(text(running(1), None), "Up 8 seconds");
        assert_eq!(text(running(1), Some(Health::Healthy)), "Up 8 seconds (healthy)");
        assert_eq!(text(running(1), Some(Health::Starting)), "Up 8 seconds (health: starting)");
        assert_eq!(text(Status::Exited { exit: exit(0) }, Some(Health::Healthy)), "Exited (0) 4 seconds ago");
        let oom = Exit { oom: true, ..exit(137) };
        assert_eq!(text(Status::Exited { exit: oom }, None), "Exited (137) 4 seconds ago (OOM killed)");
        let gave_up = Exit { note: Some("gave up after 3 restarts".into()), ..exit(1) };
        assert_eq!(text(Status::Exited { exit: gave_up }, None), "Exited (1) 4 seconds ago (gave up after 3 restarts)");
        assert_eq!(text(Status::Restarting { exit: exit(1) }, None), "Restarting (1) 4 seconds ago");
        let dead = Status::Dead { error: "no such file\nmore".into(), at: String::new() };
        assert_eq!(text(dead, None), "Dead (no such file)");
    }
}
