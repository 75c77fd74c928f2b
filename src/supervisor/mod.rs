//! One project's long life, from its first container to the end of its last.
//!
//! ```text
//! control socket ──┐                                    ┌─> shims (Link)
//! executors (Ask) ─┤                                    ├─> probes, launches, burials (tasks)
//! shims (Link) ────┼─> Input ─> World::… ─> [Deed] ────┼─> resolver, firewall
//! probes, timers ──┤        one owner, synchronous      ├─> records, events.jsonl
//! the firewall ────┘                                    └─> replies
//! ```
//!
//! One task owns the state and never waits for anything but its next input. A SIGKILL at any point loses nothing:
//! containers live on under their shims, and the next supervisor reads the records and adopts them (`recover`).

mod apply;
mod deed;
mod handle;
mod http;
mod inbox;
mod journal;
mod names;
mod queue;
mod recover;
mod serve;
mod world;

use crate::{
    reconcile::Hands,
    state::{Layout, Lock, boot, record},
};
use inbox::Input;
use std::{
    ffi::OsString,
    fs, io,
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
    process::ExitCode,
    sync::Arc,
};
use tokio::{net::UnixListener, sync::mpsc};

/// `muster __supervisor <data> <run> <project>`. Standard input carries the project's supervisor lock, standard
/// output is where to say `ready` or what went wrong.
pub fn main(args: &[OsString]) -> ExitCode {
    let [data, run, project] = args else { return ExitCode::from(125) };
    log_to_stderr();
    let layout = Layout::new(data, run);
    let project = project.to_string_lossy().into_owned();
    match prepare(&layout, &project) {
        Ok(ready) => match ready.run(layout, project) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            // Whoever started this waits for a line; nobody may be there.
            let _ = writeln!(io::stdout().lock(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Standard error is the project's `supervisor.log`. `MUSTER_LOG` says how much (`info`, `muster=trace` ...).
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MUSTER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Nobody has set one before in this process; if so, that one is as good.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(io::stderr).try_init();
}

/// What a supervisor holds from its first moment.
struct Ready {
    lock: Lock,
    listener: std::os::unix::net::UnixListener,
}

/// Takes the lock over, leaves the caller's session, and listens: a client that connects from now on is answered.
fn prepare(layout: &Layout, project: &str) -> io::Result<Ready> {
    let stdin: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let lock = Lock::from_fd(stdin);
    // Fails for a process that leads its group already; then it is out of reach of the caller's terminal anyway.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let _ = rustix::thread::set_name(c"muster");
    // The last to be chosen when memory runs out; an unprivileged user may not ask for it.
    let _ = fs::write("/proc/self/oom_score_adj", "-900");
    for (directory, mode) in [
        (layout.data().to_owned(), 0o710),
        (layout.run().to_owned(), 0o710),
        (layout.project(project), 0o700),
        (layout.containers(), 0o700),
        (layout.run_project(project), 0o700),
        (layout.run_containers(), 0o700),
    ] {
        make_directory(&directory, mode)?;
    }
    record::write_bytes(&layout.boot_record(), boot::current()?.as_bytes(), crate::state::Durability::Volatile)
        .map_err(io::Error::other)?;
    let path = layout.supervisor_socket(project);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(Ready { lock, listener })
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

impl Ready {
    fn run(self, layout: Layout, project: String) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(16)
            .thread_stack_size(512 << 10)
            .build()
            .map_err(|error| format!("cannot start: {error}"))?;
        let result = runtime.block_on(serve(self.listener, layout, project));
        // Blocking work that nobody waits for any more must not keep the process.
        runtime.shutdown_background();
        drop(self.lock);
        result
    }
}

async fn serve(listener: std::os::unix::net::UnixListener, layout: Layout, project: String) -> Result<(), String> {
    let listener = UnixListener::from_std(listener).map_err(|error| error.to_string())?;
    let (inbox, inputs) = mpsc::unbounded_channel();
    let from_shims = inbox.clone();
    let told = Arc::new(move |id, event| {
        // After the loop has ended nobody wants to know.
        let _ = from_shims.send(Input::Link { id, event });
    });
    let hands = Hands::open(layout, &project, told).map_err(|failure| failure.message)?;
    serve::Supervisor::new(Arc::new(hands), inbox, inputs)
        .map_err(|error| error.to_string())?
        .run(listener)
        .await
        .map_err(|error| error.to_string())
}
