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

/// `up --wait`: every one runs, and is healthy where it has a check.
pub fn up(members: &[Member<'_>]) -> Verdict {
    let mut overall = Verdict::Open;
    for member in members {
        let failed = |what: &str| Verdict::Failed(format!("container {} {what}", member.name));
        let one = match member.state {
            State::Running { health: None, .. } => Verdict::Open,
            State::Running { health: Some(monitor), .. } => match monitor.status {
                HealthStatus::Starting => Verdict::Wait,
                HealthStatus::Healthy => Verdict::Open,
                HealthStatus::Unhealthy => failed("is unhealthy"),
            },
            State::Created | State::Starting { .. } | State::BackingOff { .. } | State::Stopping { .. } => {
                Verdict::Wait
            }
            State::Exited { exit, .. } => failed(&format!("exited ({})", exit.code)),
            State::Dead { error, .. } => failed(&format!("could not be started: {error}")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Exit, Moment, Monitor, machine::End, machine::Starter, machine::Then};

    fn state(word: &str) -> State {
        let exit = |code| Exit { code, signal: None, oom: false };
        let running = |health: Option<HealthStatus>| State::Running {
            since: Moment::default(),
            health: health.map(|status| Monitor::new(status, Moment::default(), Moment::default())),
            end: End::Policy,
        };
        match word {
            "created" => State::Created,
            "launching" => State::Starting { by: Starter::Command, then: Then::Run },
            "running" => running(None),
            "starting" => running(Some(HealthStatus::Starting)),
            "healthy" => running(Some(HealthStatus::Healthy)),
            "unhealthy" => running(Some(HealthStatus::Unhealthy)),
            "stopping" => State::Stopping { since: Moment::default(), kill_at: None },
            "restarting" => State::BackingOff { exit: exit(1), restart_at: Moment::default() },
            "exited-0" => State::Exited { exit: exit(0), by_user: false },
            "exited-1" => State::Exited { exit: exit(1), by_user: false },
            "dead" => State::Dead { error: "no such file".into(), by_user: false },
            other => panic!("{other}"),
        }
    }

    fn judged(condition: Condition, words: &str) -> String {
        let states: Vec<State> = words.split_whitespace().map(state).collect();
        let members: Vec<_> = states.iter().map(|state| Member { name: "p-db-1", state }).collect();
        match verdict(condition, "db", &members) {
            Verdict::Open => "open".into(),
            Verdict::Wait => "wait".into(),
            Verdict::Failed(why) => why,
        }
    }

    #[test]
    fn each_condition_on_each_state() {
        let table = "created launching running starting healthy unhealthy stopping restarting exited-0 exited-1 dead";
        let mut text = String::new();
        for condition in [Condition::Started, Condition::Healthy, Condition::Completed] {
            for word in table.split(' ') {
                text.push_str(&format!("{} {word}: {}\n", condition.as_str(), judged(condition, word)));
            }
        }
        insta::assert_snapshot!(text, @r#"
        service_started created: wait
        service_started launching: wait
        service_started running: open
        service_started starting: open
        service_started healthy: open
        service_started unhealthy: open
        service_started stopping: open
        service_started restarting: open
        service_started exited-0: open
        service_started exited-1: open
        service_started dead: dependency failed to start: container p-db-1 could not be started: no such file
        service_healthy created: wait
        service_healthy launching: wait
        service_healthy running: dependency failed to start: container p-db-1 has no healthcheck configured
        service_healthy starting: wait
        service_healthy healthy: open
        service_healthy unhealthy: dependency failed to start: container p-db-1 is unhealthy
        service_healthy stopping: wait
        service_healthy restarting: wait
        service_healthy exited-0: dependency failed to start: container p-db-1 exited (0)
        service_healthy exited-1: dependency failed to start: container p-db-1 exited (1)
        service_healthy dead: dependency failed to start: container p-db-1 could not be started: no such file
        service_completed_successfully created: wait
        service_completed_successfully launching: wait
        service_completed_successfully running: wait
        service_completed_successfully starting: wait
        service_completed_successfully healthy: wait
        service_completed_successfully unhealthy: wait
        service_completed_successfully stopping: wait
        service_completed_successfully restarting: wait
        service_completed_successfully exited-0: open
        service_completed_successfully exited-1: service "db" didn't complete successfully: exit 1
        service_completed_successfully dead: dependency failed to start: container p-db-1 could not be started: no such file
        "#);
    }

    #[test]
    fn all_containers_have_to_meet_it_and_one_failure_is_enough() {
        assert_eq!(judged(Condition::Healthy, "healthy healthy"), "open");
        assert_eq!(judged(Condition::Healthy, "healthy starting"), "wait");
        assert!(judged(Condition::Healthy, "starting unhealthy healthy").contains("is unhealthy"));
        assert!(judged(Condition::Started, "").contains("has no container"));
    }
}
