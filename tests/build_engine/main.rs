//! The builder's engine on the real kernel, as root: plans written by hand, results looked at in the layers, the store
//! and the kernel.
//!
//! A step of a build runs in the program that builds, started again, so this test is that program: it is the step as
//! well, chosen by the first argument as `muster` does.

#![allow(clippy::unwrap_used)]

#[path = "../image_support/mod.rs"]
mod image_support;

mod bench;
mod cache;
mod copy;
mod crash;
mod run;
mod share;
mod world;

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

pub type Test = (&'static str, fn());

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    match args.first().map(String::as_str) {
        Some("__build-step") => return muster::build::engine::step_main(),
        Some("--say") => {
            run::say(&args[1], &args[2]);
            return ExitCode::SUCCESS;
        }
        Some("--bench") => {
            bench::run();
            return ExitCode::SUCCESS;
        }
        Some(how @ ("--share" | "--import")) => return share::faults::build_in(how, &args[1], &args[2], &args[3]),
        Some("--build") => return crash::build_in(&args[1], &args[2]),
        _ => {}
    }
    let all = [copy::TESTS, run::TESTS, cache::TESTS, crash::TESTS, share::TESTS, share::faults::TESTS].concat();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in all {
            writeln!(out, "{name}: test").unwrap();
        }
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        writeln!(out, "the builder's tests need root; none was run").unwrap();
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let chosen = all.iter().filter(|(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(*f)));
    let mut failed = Vec::new();
    for (name, test) in chosen {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        writeln!(out, "test {name} ... {}", if passed { "ok" } else { "FAILED" }).unwrap();
        if !passed {
            failed.push(*name);
        }
    }
    writeln!(out, "\n{} failed {failed:?}", failed.len()).unwrap();
    ExitCode::from(u8::from(!failed.is_empty()))
}
