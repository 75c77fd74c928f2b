//! One binary, four roles: the command line, a project's supervisor, a container's shim, a step of a build. The role is
//! chosen before anything else happens, for a shim and a step must stay small and have one thread.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let rest = args.by_ref().skip(1).collect::<Vec<OsString>>();
    match rest.first().and_then(|role| role.to_str()) {
        Some("__shim") => muster::shim::main(rest.into_iter().skip(1)),
        Some("__build-step") => muster::build::engine::step_main(),
        Some("__supervisor") => muster::supervisor::main(&rest[1..]),
        _ => muster::cli::main(),
    }
}
