//! Taking over from a supervisor that is gone: records say what was, shims say what is.

use super::{
    deed::Deed,
    world::{Container, World, config},
};
use crate::{
    lifecycle::{Event, Exit as RunExit, HealthStatus, Machine, Moment, Recovered},
    reconcile::{Hands, adopt, container::NewContainer, probe, remove},
    shim::wire,
    state::{
        boot, record,
        records::{ContainerRecord, Exit, Health, Status},
    },
};
use std::time::Duration;

/// Fills an empty world from the records of this project, and adopts the shims that live.
pub async fn recover(world: &mut World, hands: &Hands, now: Moment) -> Vec<Deed> {
    if let Err(error) = hands.volumes.tidy() {
        tracing::error!("{error}");
    }
    let mut deeds = Vec::new();
    let mut records = read(hands);
    // Oldest first, as they were made.
    records.sort_by(|a, b| a.created_at.cmp(&b.created_at));
    for record in records {
        deeds.extend(one(world, hands, record, now).await);
    }
    deeds.push(Deed::Names);
    deeds
}

/// A record that cannot be read is told of and left alone: the others still work.
fn read(hands: &Hands) -> Vec<ContainerRecord> {
    let mut records = Vec::new();
    let Ok(entries) = std::fs::read_dir(hands.layout.containers()) else { return records };
    for entry in entries.flatten() {
        let id = crate::model::ContainerId::new(entry.file_name().to_string_lossy());
        match record::read::<ContainerRecord>(&hands.layout.container_record(&id)) {
            Ok(Some(found)) if found.project == hands.project => records.push(found),
            Ok(_) => {}
            Err(error) => tracing::error!("{error}"),
        }
    }
    records
}

async fn one(world: &mut World, hands: &Hands, record: ContainerRecord, now: Moment) -> Vec<Deed> {
    let id = record.id.clone();
    let probe = probe::spec_of(&hands.layout, &record);
    let config = config(&record);
    let was_running = matches!(record.status, Status::Running { .. });
    // Whatever the record says: its supervisor may have been killed between a start and the record of it.
    let adopted = adopt::adopt(hands, &id).await;
    let mut deeds = Vec::new();
    let (parts, state) = match adopted {
        Some((parts, state)) => (parts, Some(state)),
        None => (Default::default(), None),
    };
    let mut record = record;
    let mut ended = None;
    let recovered = match (&record.status, &state) {
        (_, Some(wire::State::Running { pid, start_time, at })) => {
            let (shim_pid, shim_start_time) = parts.shim.unwrap_or_default();
            let since = started(*pid, now);
            record.status = Status::Running {
                pid: *pid,
                start_time: *start_time,
                shim_pid,
                shim_start_time,
                started_at: at.clone(),
            };
            // A start after the record was written undoes what it says of an earlier stop.
            record.stopped_by_user &= was_running;
            Recovered::Running { since, health: record.health.map(health) }
        }
        (_, Some(wire::State::Ended { exit })) => {
            if let Some(link) = &parts.link {
                link.send(wire::Request::Quit);
            }
            ended = Some(exit.clone());
            Recovered::Running { since: now, health: None }
        }
        // Killed with its supervisor, or before a reboot; the shim's last words are on disk where it had time for some.
        (Status::Running { started_at, .. }, _) => {
            let told = record::read::<Exit>(&hands.layout.container_exit(&id)).ok().flatten();
            let told = told.filter(|exit| exit.finished_at.as_str() > started_at.as_str());
            ended = Some(match told {
                Some(exit) => exit,
                None => remove::bury(&id, hands).await,
            });
            Recovered::Running { since: now, health: None }
        }
        (Status::Created, _) => Recovered::Created,
        (Status::Restarting { exit }, _) => Recovered::Restarting { exit: run_exit(exit) },
        (Status::Exited { exit }, _) => Recovered::Exited { exit: run_exit(exit), by_user: record.stopped_by_user },
        (Status::Dead { error, .. }, _) => Recovered::Dead { error: error.clone(), by_user: record.stopped_by_user },
    };
    let machine = Machine::recovered(recovered, record.restarts, &config, now);
    let by_user = record.stopped_by_user;
    let serves = parts.net.is_some();
    world.containers.insert(id.clone(), Container::new(NewContainer { record, parts }, machine, probe));
    if serves {
        deeds.push(Deed::Serve { id: id.clone() });
    }
    match ended {
        Some(exit) => {
            if by_user {
                deeds.extend(world.step(&id, Event::Stop { grace: None }, now));
            }
            deeds.extend(world.ended(&id, exit, now));
        }
        None if by_user && was_running => deeds.extend(world.step(&id, Event::Stop { grace: None }, now)),
        None => {}
    }
    deeds.push(Deed::Persist { id });
    deeds
}

/// When a process started, on the clock of `Moment` (proc_pid_stat(5), field 22, in ticks of 10 ms).
fn started(pid: i32, now: Moment) -> Moment {
    match boot::start_time(pid) {
        Some(ticks) => Moment(Duration::from_millis(ticks.saturating_mul(10))),
        None => now,
    }
}

fn health(health: Health) -> HealthStatus {
    match health {
        Health::Starting => HealthStatus::Starting,
        Health::Healthy => HealthStatus::Healthy,
        Health::Unhealthy => HealthStatus::Unhealthy,
    }
}

fn run_exit(exit: &Exit) -> RunExit {
    RunExit { code: exit.code, signal: exit.signal, oom: exit.oom }
}
