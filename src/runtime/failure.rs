//! How a step that fails becomes the `StartError` that a person reads.

use super::StartError;
use std::fmt::Display;

/// Exit codes that Docker's users know.
pub(super) const SETUP: i32 = 125;
pub(super) const NOT_EXECUTABLE: i32 = 126;
pub(super) const NOT_FOUND: i32 = 127;

impl StartError {
    /// The container or its process could not be set up.
    pub(super) fn setup(step: impl Display, cause: impl Display) -> Self {
        Self { message: format!("{step}: {cause}"), code: SETUP }
    }
}

/// Says which step failed.
pub(super) trait During<T> {
    fn during(self, step: impl Display) -> Result<T, StartError>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, step: impl Display) -> Result<T, StartError> {
        self.map_err(|cause| StartError::setup(step, cause))
    }
}
