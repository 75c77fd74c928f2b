//! `depends_on` conditions: may the service that waits start now?

use super::{HealthStatus, State};
use crate::model::Condition;

/// One container of the service that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub name: &'a str,
    pub state: &'a State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Open,
    Wait,
    /// It can no longer become true: why, for a person to read. The words are docker compose's.
    Failed(String),
}

/// All containers of `service` must meet `condition`. One failure is final even while others are still to be waited
/// for. A container that its policy brings back has failed nothing yet.
pub fn verdict(condition: Condition, service: &str, members: &[Member<'_>]) -> Verdict {
    if members.is_empty() {
        return Verdict::Failed(format!("dependency failed to start: service {service:?} has no container"));
    }
    let mut overall = Verdict::Open;
    for member in members {
        let one = match condition {
            Condition::Started => started(member),
            Condition::Healthy => healthy(member),
            Condition::Completed => completed(service, member),
        };
        match one {
            Verdict::Open => {}
            Verdict::Wait => overall = Verdict::Wait,
            Verdict::Failed(_) => return one,
        }
    }
    overall
}

/// Having run is enough, even if it has ended since.
fn started(member: &Member<'_>) -> Verdict {
    match member.state {
        State::Created | State::Starting { .. } => Verdict::Wait,
        State::Running { .. } | State::Stopping { .. } | State::BackingOff { .. } | State::Exited { .. } => {
            Verdict::Open
        }
        State::Dead { error, .. } => never_ran(member, error),
    }
}

fn healthy(member: &Member<'_>) -> Verdict {
    let failed = |what: &str| Verdict::Failed(format!("dependency failed to start: container {} {what}", member.name));
    match member.state {
        State::Running { health: None, .. } => failed("has no healthcheck configured"),
        State::Running { health: Some(monitor), .. } => match monitor.status {
            HealthStatus::Starting => Verdict::Wait,
            HealthStatus::Healthy => Verdict::Open,
            HealthStatus::Unhealthy => failed("is unhealthy"),
        },
        State::Created | State::Starting { .. } | State::BackingOff { .. } | State::Stopping { .. } => Verdict::Wait,
        State::Exited { exit, .. } => failed(&format!("exited ({})", exit.code)),
        State::Dead { error, .. } => never_ran(member, error),
    }
}

fn completed(service: &str, member: &Member<'_>) -> Verdict {
    match member.state {
        State::Exited { exit, .. } if exit.code == 0 => Verdict::Open,
        State::Exited { exit, .. } => {
            Verdict::Failed(format!("service {service:?} didn't complete successfully: exit {}", exit.code))
        }
        State::Dead { error, .. } => never_ran(member, error),
        State::Created
        | State::Starting { .. }
        | State::Running { .. }
        | State::Stopping { .. }
        | State::BackingOff { .. } => Verdict::Wait,
    }
}

fn never_ran(member: &Member<'_>, error: &str) -> Verdict {
    Verdict::Failed(format!("dependency failed to start: container {} could not be started: {error}", member.name))
}
