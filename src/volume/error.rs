//! What can go wrong, with the volume, the path and the way out.

use crate::state::RecordError;
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("volume {0} does not exist")]
    Unknown(String),
    #[error("volume {name} is in use by {}", containers.join(", "))]
    InUse { name: String, containers: Vec<String> },
    #[error("{0:?} is no name for a volume: letters, digits, `_`, `.` and `-`, a letter or digit first, at most 200")]
    BadName(String),
    #[error("volume {name} has no record: {} is missing. Write one or move the directory away", record.display())]
    NoRecord { name: String, record: PathBuf },
}

impl VolumeError {
    pub(super) fn file(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { verb, path, source }
    }
}
