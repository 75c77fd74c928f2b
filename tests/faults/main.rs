//! Faults at every system call that changes something, in every verb that works with images: SIGKILL, a full disk, a
//! broken disk, no descriptors, calls that do half.
//!
//! Each verb runs once under the tracer (`inject`), which names its points: a call and its object. Then it runs again and
//! again on the same ground with one fault at one point, and each time must hold: it ends, without panic; what it says
//! names the cause; what it says it made is what it makes without a fault; the store is whole; the next run without a
//! fault finishes; and nothing is left. At last it runs on disks that are really too small (`full`).
//!
//! `make test` takes a spread of the cases, the same ones each time. `MUSTER_FAULTS=each` takes every fault of every
//! point, at the last time that the run comes there; `MUSTER_FAULTS=all` at the first and in the middle as well. `MUSTER_FAULTS_LOG=FILE` gets what the verbs said. Words choose verbs:
//! `MUSTER_FAULTS=all cargo test --test faults -- build pull`.

#![allow(clippy::unwrap_used)]

#[cfg(target_arch = "x86_64")]
#[path = "../image_support/mod.rs"]
mod image_support;

#[cfg(target_arch = "x86_64")]
mod calls;
#[cfg(target_arch = "x86_64")]
mod full;
#[cfg(target_arch = "x86_64")]
mod inject;
#[cfg(target_arch = "x86_64")]
mod sweep;
#[cfg(target_arch = "x86_64")]
mod verbs;
#[cfg(target_arch = "x86_64")]
mod world;

use std::{io::Write, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    if args.iter().any(|arg| arg == "--list") {
        writeln!(out, "faults: test").unwrap();
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() || cfg!(not(target_arch = "x86_64")) {
        writeln!(out, "faults are injected as root, and into the system calls of x86_64; none was").unwrap();
        return ExitCode::SUCCESS;
    }
    #[cfg(target_arch = "x86_64")]
    return match args.first().map(String::as_str) {
        Some("--inject") => inject::main(&args[1..]),
        Some("--traced") => inject::traced(&args[1..]),
        _ => sweep::main(&args),
    };
    #[cfg(not(target_arch = "x86_64"))]
    ExitCode::SUCCESS
}
