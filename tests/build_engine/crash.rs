//! .
use crate::Test;
use std::process::ExitCode;
pub const TESTS: &[Test] = &[];
pub fn build_for_ever(_: &str) -> ExitCode {
    ExitCode::SUCCESS
}
