//! ulimits by name.

use super::{StartError, failure::During};
use crate::sys;
use std::collections::BTreeMap;

/// Names as Compose has them, numbers of getrlimit(2) (the same on x86_64 and aarch64).
const RESOURCES: [(&str, u32); 16] = [
    ("cpu", 0),
    ("fsize", 1),
    ("data", 2),
    ("stack", 3),
    ("core", 4),
    ("rss", 5),
    ("nproc", 6),
    ("nofile", 7),
    ("memlock", 8),
    ("as", 9),
    ("locks", 10),
    ("sigpending", 11),
    ("msgqueue", 12),
    ("nice", 13),
    ("rtprio", 14),
    ("rttime", 15),
];

/// What is not named stays as the caller has it.
pub(super) fn apply(limits: &BTreeMap<String, (u64, u64)>) -> Result<(), StartError> {
    for (name, (soft, hard)) in limits {
        let Some((_, resource)) = RESOURCES.iter().find(|(known, _)| known == name) else {
            return Err(StartError::setup("ulimits", format_args!("no limit is named {name:?}")));
        };
        sys::process::set_limit(*resource, *soft, *hard, name).during("ulimits")?;
    }
    Ok(())
}
