//! A shim whose supervisor dies starts a new one. A shim starts its own program again, so this test is that program: it
//! is the shim and the supervisor as well, chosen by the first argument as `muster` does.
//!
//! The supervisor here writes what it was given to `<data>/facts`, one JSON line a start.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // each test program uses its part
mod shim_bench;

use muster::{
    shim::wire::{Request, Response, Socket, State},
    state::{Layout, Lock},
};
use serde::{Deserialize, Serialize};
use shim_bench::*;
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// What a started supervisor finds.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    arguments: Vec<String>,
    parent: i32,
    session: i32,
    pid: i32,
    /// Targets of the first descriptors.
    fds: Vec<PathBuf>,
    /// Somebody holds the supervisor's lock.
    locked: bool,
    state: Option<State>,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|word| word.to_str()) {
        Some("__shim") => muster::shim::main(args),
        Some("__supervisor") => {
            supervise(args.collect());
            ExitCode::SUCCESS
        }
        _ => {
            let tests: [(&str, fn()); 2] = [
                ("a_supervisor_that_dies_is_replaced", a_supervisor_that_dies_is_replaced),
                ("supervisors_that_die_at_once_come_ever_later", supervisors_that_die_at_once_come_ever_later),
            ];
            for (name, test) in tests {
                test();
                let _ = writeln!(std::io::stdout().lock(), "test {name} ... ok");
            }
            ExitCode::SUCCESS
        }
    }
}

/// Adopts the shim when the file `<data>/adopt` is there, and dies at once when not.
fn supervise(args: Vec<OsString>) {
    let layout = Layout::new(&args[0], &args[1]);
    let project = args[2].to_str().unwrap();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let field = |at: usize| stat.split(' ').nth(at).unwrap().parse().unwrap();
    let mut facts = Facts {
        arguments: args.iter().map(|arg| arg.to_str().unwrap().to_owned()).collect(),
        parent: field(3),
        session: field(5),
        pid: field(0),
        fds: (0..=2).map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap()).collect(),
        locked: Lock::try_acquire(&layout.supervisor_lock(project)).unwrap().is_none(),
        state: None,
        names: Vec::new(),
    };
    let mut supervisor = None;
    if layout.data().join("adopt").exists() {
        let entry = fs::read_dir(layout.run_containers()).unwrap().next().unwrap().unwrap();
        let socket = Socket::connect(&entry.path()).unwrap();
        socket.send(&Request::Adopt, &[]).unwrap();
        let (Response::Adopted { state, names }, fds) = hear(&socket) else { panic!("not adopted") };
        assert_eq!(fds.len(), names.len());
        (facts.state, facts.names, supervisor) = (Some(state), names, Some(socket));
    }
    let mut line = serde_json::to_vec(&facts).unwrap();
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(layout.data().join("facts")).unwrap();
    file.write_all(&line).unwrap();
    if let Some(supervisor) = supervisor {
        supervisor.send(&Request::Quit, &[]).unwrap();
    }
}

/// A shim of this program with a held container, so that no container is needed.
fn held() -> Bench {
    let mut bench = Bench::new("true");
    bench.spec.hold = true;
    bench.spawn(&std::env::current_exe().unwrap());
    bench.tell(&Request::Store { names: vec!["netns".into()] }, &[std::os::fd::AsFd::as_fd(&std::io::stderr())]);
    bench.tell(&Request::Start, &[]);
    assert_eq!(bench.hear(), Response::Held);
    bench
}

fn facts(bench: &Bench) -> Vec<Facts> {
    let text = fs::read_to_string(bench.layout.data().join("facts")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn a_supervisor_that_dies_is_replaced() {
    let mut bench = held();
    fs::write(bench.layout.data().join("adopt"), "").unwrap();
    bench.supervisor = None;
    let shim = bench.shim_pid();
    assert_eq!(bench.shim_exit(), Some(0), "it was adopted and told to quit");
    let facts = facts(&bench);
    let [facts] = facts.as_slice() else { panic!("started more than once: {facts:?}") };
    let project = &bench.spec.project;
    assert_eq!(facts.arguments, [bench.layout.data().to_str().unwrap(), bench.layout.run().to_str().unwrap(), project]);
    assert_ne!(facts.parent, shim);
    assert_ne!(facts.session, shim);
    let expected = [bench.layout.supervisor_lock(project), "/dev/null".into(), bench.layout.supervisor_log(project)];
    assert_eq!(facts.fds, expected);
    assert!(facts.locked, "the lock has to be handed on");
    assert_eq!((&facts.state, facts.names.as_slice()), (&Some(State::Waiting), ["netns".to_owned()].as_slice()));
}

fn supervisors_that_die_at_once_come_ever_later() {
    let mut bench = held();
    let start = Instant::now();
    bench.supervisor = None;
    // At 0, 100, 300, 700, 1500 ms.
    assert!(eventually(PATIENCE, || facts(&bench).len() >= 4));
    assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
    let shim = bench.shim_pid();
    assert!(facts(&bench).iter().all(|facts| facts.parent != shim && facts.session != shim));
    let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    assert_eq!(children, "");
}
