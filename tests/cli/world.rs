//! A host of its own for one test: roots in a temporary directory, a project `app`, and the real program.

use muster::{
    model::{ContainerId, ImageId, Service},
    state::{
        Durability, Layout, boot, record,
        records::{ContainerRecord, Exit, Status},
    },
};
use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

pub struct World {
    directory: tempfile::TempDir,
    pub layout: Layout,
}

impl World {
    /// Services `web` (depends on `db`) and `db`.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().join("lib"), directory.path().join("run"));
        let world = Self { directory, layout };
        fs::create_dir(world.project()).unwrap();
        let text =
            "services:\n  web: {image: 'rootfs:/', command: [serve], depends_on: [db]}\n  db: {image: 'rootfs:/'}\n";
        fs::write(world.project().join("compose.yaml"), text).unwrap();
        world
    }

    pub fn project(&self) -> PathBuf {
        self.directory.path().join("app")
    }

    /// `muster` with these words, streams piped.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command
            .args(words)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("MUSTER_DATA_ROOT", self.layout.data())
            .env("MUSTER_RUN_ROOT", self.layout.run())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn muster(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().unwrap())
    }

    pub fn record(&self, service: &str, status: Status) -> ContainerRecord {
        let id: String = service.bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect();
        let record = ContainerRecord {
            id: ContainerId::new(id),
            project: "app".into(),
            service: service.into(),
            number: 1,
            oneoff: false,
            name: format!("app-{service}-1"),
            applied: Service { name: service.into(), image: "rootfs:/".into(), ..Service::default() },
            config_hash: "h".into(),
            image_id: ImageId::new("rootfs:/"),
            image_healthcheck: None,
            image_stop_signal: None,
            file_digests: Default::default(),
            command: vec!["serve".into()],
            created_at: "2026-11-22T10:00:00Z".into(),
            working_dir: self.project(),
            config_files: vec![self.project().join("compose.yaml")],
            volumes: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            status,
            stopped_by_user: false,
            restarts: 0,
            health: None,
            last_probe: None,
        };
        write(&self.layout, &record);
        record
    }
}

pub fn write(layout: &Layout, record: &ContainerRecord) {
    record::write(&layout.container_record(&record.id), record, Durability::Volatile).unwrap();
}

/// Appends a line to a container's log, as its shim does; `time` is that of now.
pub fn log(layout: &Layout, record: &ContainerRecord, text: &str) {
    log_at(layout, record, &format!("{:.9}", jiff::Timestamp::now()), text);
}

pub fn log_at(layout: &Layout, record: &ContainerRecord, time: &str, text: &str) {
    let directory = layout.container_log(&record.id);
    fs::create_dir_all(&directory).unwrap();
    let mut file = fs::OpenOptions::new().append(true).create(true).open(directory.join("current.log")).unwrap();
    file.write_all(format!("{time} stdout F {text}\n").as_bytes()).unwrap();
}

/// As a process that certainly runs: the test's own.
pub fn running() -> Status {
    let pid = std::process::id() as i32;
    Status::Running {
        pid,
        start_time: boot::start_time(pid).unwrap(),
        shim_pid: pid,
        shim_start_time: boot::start_time(pid).unwrap(),
        started_at: jiff::Timestamp::now().to_string(),
    }
}

pub fn exited(code: i32) -> Status {
    let finished_at = jiff::Timestamp::now().to_string();
    Status::Exited { exit: Exit { code, signal: None, oom: false, started_at: None, finished_at, note: None } }
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
