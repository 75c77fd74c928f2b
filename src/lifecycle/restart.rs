//! Restart policies: whether a container that ended comes back, and when.

use super::Exit;
use crate::model::RestartPolicy;
use std::time::Duration;

/// Delay before the first restart.
pub const FIRST_DELAY: Duration = Duration::from_millis(100);
/// No delay is longer.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run of this length counts as a success: the next delay is the first one again.
pub const GOOD_RUN: Duration = Duration::from_secs(10);

/// What the policy says about an end that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Restart,
    StayDown,
    /// As many restarts as `on-failure:N` allows were in vain.
    GiveUp,
}

/// `restarts` counts since a person last started the container; a long run does not reset it, as in Docker.
pub fn decide(policy: RestartPolicy, exit: Exit, restarts: u32) -> Decision {
    match policy {
        RestartPolicy::No => Decision::StayDown,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => Decision::Restart,
        RestartPolicy::OnFailure { .. } if exit.code == 0 => Decision::StayDown,
        RestartPolicy::OnFailure { max_retries: Some(most) } if restarts >= most => Decision::GiveUp,
        RestartPolicy::OnFailure { .. } => Decision::Restart,
    }
}

/// Delay before the next restart, where `short_runs` runs without a good one came before the run that just ended.
/// 100 ms, 200 ms, 400 ms ... 51.2 s, 60 s, 60 s ...
pub fn delay(short_runs: u32) -> Duration {
    FIRST_DELAY.saturating_mul(2_u32.saturating_pow(short_runs)).min(LONGEST_DELAY)
}
