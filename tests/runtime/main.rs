//! The runtime on the real kernel, as root. What containers are is read from the kernel, not from what muster says.
//!
//! Each test runs in a process of its own with one thread, for the runtime clones: this program starts itself again
//! with `--run NAME`, through the read-only mount that shims come from. A test that fails or hangs is cleaned up after.

#![allow(clippy::unwrap_used)]

mod attack;
mod bench;
mod cgroups;
mod exec;
mod fixture;
mod isolation;
mod mounts;
mod process;

use std::{
    io::Write,
    os::fd::AsRawFd,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

pub type Test = (&'static str, fn());

/// Nothing here takes longer, also on a slow virtual machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn tests() -> Vec<Test> {
    [isolation::TESTS, process::TESTS, mounts::TESTS, cgroups::TESTS, exec::TESTS, attack::TESTS].concat()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", name] => run(name),
        ["--bench"] => bench::run(),
        ["--hold", directory] => attack::hold(directory),
        _ => return run_all(&args),
    }
    ExitCode::SUCCESS
}

fn run(name: &str) {
    let all = tests();
    let (_, test) = all.iter().find(|(known, _)| *known == name).expect("a test of this name");
    test();
}

fn run_all(args: &[String]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    if args.iter().any(|arg| arg == "--list") {
        tests().iter().for_each(|(name, _)| writeln!(out, "{name}: test").unwrap());
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        writeln!(out, "the runtime's tests need root; none was run").unwrap();
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let chosen: Vec<Test> = tests()
        .into_iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(*f)))
        .collect();
    let mut failed = Vec::new();
    for (name, _) in &chosen {
        let (passed, text) = run_apart(name);
        writeln!(out, "test {name} ... {}", if passed { "ok" } else { "FAILED" }).unwrap();
        if !passed {
            failed.push(*name);
            writeln!(out, "{text}").unwrap();
        }
    }
    writeln!(out, "\ntest result: {} passed; {} failed {failed:?}", chosen.len() - failed.len(), failed.len()).unwrap();
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// What the test printed, and whether it passed.
fn run_apart(name: &str) -> (bool, String) {
    let program = muster::runtime::sealed_self_exe().unwrap();
    let (read, write) = std::io::pipe().unwrap();
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.args(["--run", name]).stdin(Stdio::null()).stdout(write.try_clone().unwrap()).stderr(write);
    let mut child = command.spawn().unwrap();
    drop(command);
    let deadline = Instant::now() + TIME_LIMIT;
    let text = fixture::read_until(read.into(), deadline);
    if Instant::now() >= deadline {
        child.kill().unwrap();
    }
    let passed = child.wait().unwrap().success();
    fixture::clean_up(child.id());
    (passed, text)
}
