//! What the fuzz targets of `tests/fuzz` reach of the inner parts.

use super::{dotenv, interpolate::Interpolator};
use std::collections::BTreeMap;

/// `text` with its variables resolved; `None` where it is malformed, requires what is not set, or grows too large.
pub fn interpolate(text: &str, variables: BTreeMap<String, String>) -> Option<String> {
    Interpolator::new(variables).text(text).ok().map(|outcome| outcome.text)
}

/// The values of an env file, and whether it is without errors.
pub fn env_file(text: &str, variables: BTreeMap<String, String>) -> (Vec<(String, Option<String>)>, bool) {
    let mut findings = Vec::new();
    let values = dotenv::parse(0, text, &mut Interpolator::new(variables), &mut findings);
    let sound = findings.iter().all(|finding| finding.severity != super::Severity::Error);
    (values.into_iter().collect(), sound)
}

/// The values of an env file of `format: raw`.
pub fn raw_env_file(text: &str, variables: BTreeMap<String, String>) -> Vec<(String, Option<String>)> {
    dotenv::parse_raw(0, text, &Interpolator::new(variables), &mut Vec::new()).into_iter().collect()
}
