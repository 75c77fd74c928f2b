//! A project under test: its directory, its commands, what its records say. Dropping it takes it down and audits.

use super::{audit, ground::Ground, proc};
use muster::{
    api::Event,
    state::{
        record,
        records::{ContainerRecord, Status},
    },
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Seek, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// No command of a test takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Stack {
    pub name: String,
    pub ground: Arc<Ground>,
    directory: PathBuf,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Stack {
    /// `%IMAGE%` in the text stands for the busybox root.
    pub fn new(label: &str, yaml: &str) -> Self {
        Self::on(Ground::shared(), label, yaml)
    }

    pub fn on(ground: Arc<Ground>, label: &str, yaml: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e{}-{count}-{label}", std::process::id());
        let directory = ground.path().join(&name);
        fs::create_dir(&directory).unwrap();
        let stack = Self { name, ground, directory };
        stack.compose(yaml);
        stack
    }

    pub fn image(&self) -> String {
        format!("rootfs:{}", self.ground.rootfs().display())
    }

    /// Writes the compose file anew.
    pub fn compose(&self, yaml: &str) {
        self.write("compose.yaml", &yaml.replace("%IMAGE%", &self.image()));
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `muster -p NAME ARGS` in the project's directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.ground.muster();
        command.current_dir(&self.directory).args(["-p", &self.name]).args(args).stdin(Stdio::null());
        // Of the demo; the environment wins over the `.env` of a test.
        command.env_remove("GUESTBOOK_PORT");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// Standard output of a command that must end 0.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "muster {}\n{}{}\n{}", args.join(" "), ran.stdout, ran.stderr, self.diagnosis());
        ran.stdout
    }

    /// Standard error of a command that must fail.
    #[track_caller]
    pub fn fails(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_ne!(ran.code, 0, "muster {} was to fail\n{}{}", args.join(" "), ran.stdout, ran.stderr);
        ran
    }

    #[track_caller]
    pub fn up(&self) {
        self.ok(&["up", "-d"]);
    }

    /// `exec -T SERVICE ARGS`, its output without the last line end.
    #[track_caller]
    pub fn exec(&self, service: &str, args: &[&str]) -> String {
        self.ok(&[&["exec", "-T", service], args].concat()).trim_end().to_owned()
    }

    /// A shell line in a service, whatever its exit code.
    pub fn shell(&self, service: &str, line: &str) -> Ran {
        self.run(&["exec", "-T", service, "sh", "-c", line])
    }

    /// `ps -a --format json`: one object a line.
    #[track_caller]
    pub fn ps(&self) -> Vec<Value> {
        self.ok(&["ps", "-a", "--format", "json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The `ps` object of a service's only container.
    #[track_caller]
    pub fn ps_of(&self, service: &str) -> Value {
        let rows = self.ps();
        rows.iter().find(|row| row["Service"] == service).unwrap_or_else(|| panic!("no {service} in {rows:#?}")).clone()
    }

    /// The records of the project's containers, one-off ones included, in order of service and number.
    pub fn records(&self) -> Vec<ContainerRecord> {
        let layout = self.ground.layout();
        let mut records: Vec<ContainerRecord> = fs::read_dir(layout.containers())
            .into_iter()
            .flatten()
            .filter_map(|entry| record::read(&entry.ok()?.path().join("record.json")).ok()?)
            .filter(|record: &ContainerRecord| record.project == self.name)
            .collect();
        records.sort_by(|a, b| (&a.service, a.number).cmp(&(&b.service, b.number)));
        records
    }

    #[track_caller]
    pub fn record(&self, service: &str) -> ContainerRecord {
        self.records().into_iter().find(|record| record.service == service && !record.oneoff).unwrap_or_else(|| {
            panic!("no record of {service}\n{}", self.diagnosis());
        })
    }

    /// Pid of a running service's container, in this PID namespace.
    #[track_caller]
    pub fn pid(&self, service: &str) -> i32 {
        self.running(service).unwrap_or_else(|| panic!("{service} does not run\n{}", self.diagnosis()))
    }

    /// The same, `None` between two runs.
    pub fn running(&self, service: &str) -> Option<i32> {
        match self.record(service).status {
            Status::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    #[track_caller]
    pub fn shim(&self, service: &str) -> i32 {
        let status = self.record(service).status;
        let Status::Running { shim_pid, .. } = status else { panic!("{service} does not run: {status:?}") };
        shim_pid
    }

    /// Pid of the supervisor, by its own word; `None` while none answers.
    pub fn supervisor(&self) -> Option<i32> {
        let mut stream = UnixStream::connect(self.ground.layout().supervisor_socket(&self.name)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: muster\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let status: Value = serde_json::from_str(body).ok()?;
        status["pid"].as_i64().map(|pid| pid as i32)
    }

    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.ground.layout().events(&self.name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// When `action` of `service` was recorded first.
    #[track_caller]
    pub fn event_time(&self, service: &str, action: &str) -> jiff::Timestamp {
        let events = self.events();
        let found = events.iter().find(|event| event.service == service && event.action == action);
        found.unwrap_or_else(|| panic!("no {action} of {service} in {events:#?}")).time.parse().unwrap()
    }

    /// What helps to understand a failure: `ps`, the end of the supervisor's log, the logs of the containers.
    pub fn diagnosis(&self) -> String {
        let say = |args: &[&str]| match run_within(&mut self.command(args), Duration::from_secs(10)) {
            Ok(ran) => ran.stdout + &ran.stderr,
            Err(hung) => hung,
        };
        let supervisor = fs::read_to_string(self.ground.layout().supervisor_log(&self.name)).unwrap_or_default();
        let lines: Vec<&str> = supervisor.lines().collect();
        let end = lines[lines.len().saturating_sub(30)..].join("\n");
        let (ps, logs) = (say(&["ps", "-a"]), say(&["logs", "-n", "20"]));
        format!("--- ps\n{ps}--- logs\n{logs}--- supervisor\n{end}")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let trace = audit::Trace::of(self);
        let down = run_within(
            &mut self.command(&["down", "-v", "-t", "0", "--remove-orphans"]),
            Duration::from_secs(30) * proc::patience(),
        );
        let (ended, left) = match &down {
            Ok(ran) if ran.code == 0 => (String::new(), trace.left()),
            Ok(ran) => (format!("down ended {}\n{}{}", ran.code, ran.stdout, ran.stderr), trace.left()),
            Err(hung) => (hung.clone(), Vec::new()),
        };
        if ended.is_empty() && left.is_empty() {
            return;
        }
        trace.reclaim();
        let fault = format!("{}: {ended}\nleft: {left:#?}", self.name);
        // A second panic while the first one unwinds would end all tests.
        if std::thread::panicking() {
            eprintln!("{fault}");
        } else {
            panic!("{fault}");
        }
    }
}

/// Runs a command to its end, within `LIMIT`.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    run_within(command, LIMIT * proc::patience()).unwrap_or_else(|hung| panic!("{hung}"))
}

/// An error says that the command did not end, and what it had said by then.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<Ran, String> {
    // Files, not pipes: what a command leaves running could hold a pipe open.
    let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut child = command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap()).spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{command:?} did not end within {limit:?}\n{}{}", read(stdout), read(stderr)));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    Ok(Ran { code: code(status), stdout: read(stdout), stderr: read(stderr) })
}

/// As a shell counts: 128 + signal.
pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn read(mut file: fs::File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A TCP port of this machine that nobody uses now, outside of the range that the kernel gives to connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20000 + ((std::process::id().wrapping_mul(97) + step) % 10000) as u16;
        let free = TcpListener::bind(("0.0.0.0", port)).is_ok() && std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok();
        if free {
            return port;
        }
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
