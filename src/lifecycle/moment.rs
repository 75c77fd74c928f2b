//! A point in time that no clock jump can move.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// Time since boot. The supervisor reads `CLOCK_BOOTTIME`, the clock of a process's start time in `/proc/PID/stat`,
/// so that a moment means the same to the supervisor that comes after a crashed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// After every other moment.
    pub const NEVER: Self = Self(Duration::MAX);

    /// Zero where `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Saturates: a grace of `Duration::MAX` is a deadline that never comes.
impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
