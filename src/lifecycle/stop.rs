//! Stopping: the stop signal, a grace, then SIGKILL for every process.

use std::time::Duration;

/// Grace where neither the command nor the service says one.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

pub const SIGINT: i32 = 2;
pub const SIGQUIT: i32 = 3;
pub const SIGKILL: i32 = 9;
pub const SIGTERM: i32 = 15;

/// Whether `muster kill -s SIGNAL` means the end of the container, which no policy then undoes. Other signals (a
/// SIGHUP to reload) are messages: the policy stays in force.
pub fn ends(signal: i32, stop_signal: i32) -> bool {
    signal == stop_signal || matches!(signal, SIGINT | SIGQUIT | SIGKILL | SIGTERM)
}
