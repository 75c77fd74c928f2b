//! The containers of this host as their records and the kernel tell them. No supervisor is asked: what is shown is
//! right while none runs, too.

use crate::{
    model::ContainerId,
    state::{
        Layout, RecordError, boot, record,
        records::{ContainerRecord, Exit, Status},
    },
};
use jiff::Timestamp;
use std::fs;

/// A record with its status checked against the kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    pub record: ContainerRecord,
}

/// What is there, and what could not be read: one damaged record hides no other.
#[derive(Debug, Default)]
pub struct Found {
    pub containers: Vec<Container>,
    pub unreadable: Vec<RecordError>,
}

impl Container {
    /// The record as written, with its status as it is now.
    pub fn read(layout: &Layout, id: &ContainerId) -> Result<Option<Self>, RecordError> {
        let Some(mut record) = record::read::<ContainerRecord>(&layout.container_record(id))? else {
            return Ok(None);
        };
        record.status = checked(layout, &record);
        Ok(Some(Self { record }))
    }

    /// The record as written, for those who follow its changes.
    pub fn read_as_written(layout: &Layout, id: &ContainerId) -> Result<Option<Self>, RecordError> {
        Ok(record::read(&layout.container_record(id))?.map(|record| Self { record }))
    }

    /// `web-1`: the name without the project's.
    pub fn short_name(&self) -> &str {
        let name = &self.record.name;
        name.strip_prefix(&self.record.project).and_then(|rest| rest.strip_prefix('-')).unwrap_or(name)
    }

    pub fn is_running(&self) -> bool {
        matches!(self.record.status, Status::Running { .. })
    }

    /// Running, or about to be again.
    pub fn is_up(&self) -> bool {
        matches!(self.record.status, Status::Running { .. } | Status::Restarting { .. })
    }

    /// Docker's word for the state.
    pub fn state(&self) -> &'static str {
        match self.record.status {
            Status::Created => "created",
            Status::Running { .. } => "running",
            Status::Restarting { .. } => "restarting",
            Status::Exited { .. } => "exited",
            Status::Dead { .. } => "dead",
        }
    }

    pub fn exit(&self) -> Option<&Exit> {
        match &self.record.status {
            Status::Restarting { exit } | Status::Exited { exit } => Some(exit),
            _ => None,
        }
    }
}

/// A running state is only believed while the process is the one that the record names.
fn checked(layout: &Layout, record: &ContainerRecord) -> Status {
    let Status::Running { pid, start_time, started_at, .. } = &record.status else {
        return record.status.clone();
    };
    if boot::start_time(*pid) == Some(*start_time) {
        return record.status.clone();
    }
    let exit = last_exit(layout, &record.id).filter(|exit| !is_before(&exit.finished_at, started_at));
    Status::Exited { exit: exit.unwrap_or_else(unseen_end) }
}

/// What the shim wrote about the last run that ended.
pub fn last_exit(layout: &Layout, id: &ContainerId) -> Option<Exit> {
    // An unreadable exit record is no more than a missing one: the container has ended all the same.
    record::read(&layout.container_exit(id)).ok().flatten()
}

fn unseen_end() -> Exit {
    Exit {
        code: 137,
        signal: Some(9),
        oom: false,
        started_at: None,
        finished_at: Timestamp::now().to_string(),
        note: Some("ended together with its shim".into()),
    }
}

/// Whether one RFC 3339 time is before the other; unreadable ones are not.
fn is_before(one: &str, other: &str) -> bool {
    matches!((one.parse::<Timestamp>(), other.parse::<Timestamp>()), (Ok(one), Ok(other)) if one < other)
}

/// Every container of `project`, or of all projects, by project, service and number.
pub fn list(layout: &Layout, project: Option<&str>) -> Found {
    let mut found = Found::default();
    for id in ids(layout) {
        match Container::read(layout, &id) {
            Ok(Some(container)) if project.is_none_or(|name| name == container.record.project) => {
                found.containers.push(container);
            }
            Ok(_) => {}
            Err(error) => found.unreadable.push(error),
        }
    }
    found.containers.sort_by(|a, b| {
        let key = |c: &Container| {
            (
                c.record.project.clone(),
                c.record.service.clone(),
                c.record.oneoff,
                c.record.number,
                c.record.name.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    found
}

/// Of every container that has a directory, with or without a record.
pub fn ids(layout: &Layout) -> Vec<ContainerId> {
    let Ok(entries) = fs::read_dir(layout.containers()) else {
        return Vec::new(); // nothing was ever created here
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).map(ContainerId::new).collect()
}

/// A person names a service and perhaps a number; this is the container meant: the first one without a number.
pub fn of_service(containers: Vec<Container>, service: &str, index: Option<u32>) -> Option<Container> {
    let mut candidates = containers.into_iter().filter(|c| {
        c.record.service == service && !c.record.oneoff && index.is_none_or(|number| number == c.record.number)
    });
    let first = candidates.next()?;
    if first.is_running() {
        return Some(first);
    }
    Some(candidates.find(Container::is_running).unwrap_or(first))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{
        model::{ImageId, Service},
        state::Durability,
    };
    use std::path::Path;

    /// A container of project `app`, as its supervisor would write it.
    pub fn record(service: &str, number: u32, status: Status) -> ContainerRecord {
        let id = crate::model::ids::hex(&[service.as_bytes(), &[number as u8; 32]].concat()[..32]);
        ContainerRecord {
            id: ContainerId::new(id),
            project: "app".into(),
            service: service.into(),
            number,
            oneoff: false,
            name: format!("app-{service}-{number}"),
            applied: Service { name: service.into(), image: format!("{service}:1"), ..Service::default() },
            config_hash: "h".into(),
            image_id: ImageId::new("sha256:aa"),
            command: vec!["/bin/serve".into(), "--all".into()],
            created_at: "2026-11-22T10:00:00Z".into(),
            working_dir: "/srv/app".into(),
            config_files: vec!["/srv/app/compose.yaml".into()],
            volumes: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            status,
            stopped_by_user: false,
            restarts: 0,
            health: None,
            last_probe: None,
            file_digests: Default::default(),
            image_healthcheck: None,
            image_stop_signal: None,
        }
    }

    pub fn exit(code: i32) -> Exit {
        Exit {
            code,
            signal: None,
            oom: false,
            started_at: None,
            finished_at: "2026-11-22T10:00:05Z".into(),
            note: None,
        }
    }

    pub fn running(pid: i32) -> Status {
        Status::Running {
            pid,
            start_time: boot::start_time(pid).unwrap_or(1),
            shim_pid: 1,
            shim_start_time: 1,
            started_at: "2026-11-22T10:00:01Z".into(),
        }
    }

    pub fn write(layout: &Layout, record: &ContainerRecord) {
        record::write(&layout.container_record(&record.id), record, Durability::Volatile).unwrap();
    }

    fn layout(directory: &Path) -> Layout {
        Layout::new(directory.join("lib"), directory.join("run"))
    }

    #[test]
    fn a_running_record_without_its_process_has_ended_as_the_shim_wrote() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        let mut gone = record("web", 1, running(std::process::id() as i32));
        if let Status::Running { start_time, .. } = &mut gone.status {
            *start_time += 1; // the pid belongs to somebody else by now
        }
        write(&layout, &gone);
        let ended = Container::read(&layout, &gone.id).unwrap().unwrap();
        assert_eq!(ended.exit().map(|exit| exit.code), Some(137));
        record::write(&layout.container_exit(&gone.id), &exit(3), Durability::Volatile).unwrap();
        let ended = Container::read(&layout, &gone.id).unwrap().unwrap();
        assert_eq!(ended.record.status, Status::Exited { exit: exit(3) });
    }

    #[test]
    fn an_exit_of_an_earlier_run_says_nothing_about_this_one() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        let gone = record("web", 1, running(0));
        write(&layout, &gone);
        let earlier = Exit { finished_at: "2026-11-22T09:00:00Z".into(), ..exit(3) };
        record::write(&layout.container_exit(&gone.id), &earlier, Durability::Volatile).unwrap();
        assert_eq!(Container::read(&layout, &gone.id).unwrap().unwrap().exit().map(|exit| exit.code), Some(137));
    }

    #[test]
    fn a_damaged_record_hides_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        write(&layout, &record("web", 2, Status::Created));
        write(&layout, &record("web", 1, running(std::process::id() as i32)));
        let broken = ContainerId::new("b".repeat(64));
        std::fs::create_dir_all(layout.container(&broken)).unwrap();
        std::fs::write(layout.container_record(&broken), "{").unwrap();
        let found = list(&layout, Some("app"));
        assert_eq!(found.containers.iter().map(Container::short_name).collect::<Vec<_>>(), ["web-1", "web-2"]);
        assert_eq!(found.unreadable.len(), 1);
        assert!(list(&layout, Some("other")).containers.is_empty());
    }

    #[test]
    fn without_a_number_the_first_running_container_is_meant() {
        let container = |number, status| Container { record: record("web", number, status) };
        let all =
            vec![container(1, Status::Exited { exit: exit(0) }), container(2, running(std::process::id() as i32))];
        let number = |found: Option<Container>| found.map(|c| c.record.number);
        assert_eq!(number(of_service(all.clone(), "web", None)), Some(2));
        assert_eq!(number(of_service(all.clone(), "web", Some(1))), Some(1));
        assert_eq!(number(of_service(all.clone(), "web", Some(3))), None);
        assert_eq!(number(of_service(all, "db", None)), None);
    }
}
