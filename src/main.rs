//! Chooses the role before anything else happens in the process: the command line, or a hidden one.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|word| word.to_str()) {
        Some("__shim") => muster::shim::main(args),
        _ => ExitCode::FAILURE,
    }
}
