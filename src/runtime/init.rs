//! The built-in PID 1 of `init: true`: hands signals on, reaps orphans, ends with its child's exit code.
//!
//! It has already become the container's user, under its filter and capabilities, and holds no descriptor. It is a
//! copy of the keeper's memory, so nobody in the container may inspect it.

use crate::sys::{self, process::End, signal};

/// Never returns.
pub(super) fn run(child: i32) -> ! {
    match serve(child) {
        Ok(code) => sys::process::exit(code),
        Err(_) => sys::process::exit(super::failure::SETUP),
    }
}

/// The caller has blocked all signals before it made the child, so none is lost.
fn serve(child: i32) -> sys::Result<i32> {
    sys::process::set_name(c"muster-init")?;
    sys::process::forbid_inspection()?;
    sys::process::close_all()?;
    // Signals to the keeper's group are not for the container.
    sys::process::new_session()?;
    loop {
        match signal::next()? {
            signal::CHILD => {
                if let Some(code) = reap(child)? {
                    return Ok(code);
                }
            }
            // It may be gone already; then its SIGCHLD is on the way.
            other => drop(sys::process::kill(child, other)),
        }
    }
}

/// All that have ended: one SIGCHLD may stand for several.
fn reap(child: i32) -> sys::Result<Option<i32>> {
    let mut code = None;
    while let Some((pid, end)) = sys::process::reap_any()? {
        if pid == child {
            code = Some(match end {
                End::Code(code) => code,
                End::Signal(signal) => 128 + signal,
            });
        }
    }
    Ok(code)
}
