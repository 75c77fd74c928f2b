//! What a pull or an import tells while it works. Words for whoever draws them; nothing here prints.

use super::digest::Digest;
use std::{sync::Arc, time::Duration};

/// Receives progress, from several threads.
pub type Report = Arc<dyn Fn(Progress) + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The registry is asked what the name stands for.
    Resolving,
    /// What the image consists of; `bytes` is what its layers take on the way, as far as that is known.
    Started { layers: usize, bytes: u64 },
    /// A layer that is here already.
    Exists { layer: Digest },
    /// Bytes of a layer that have come, and all it has (0 where that is not known).
    Fetched { layer: Digest, bytes: u64, total: u64 },
    /// A layer is verified and unpacked.
    Unpacked { layer: Digest },
    /// Bytes of a blob that have gone to a registry, and all it has.
    Pushed { layer: Digest, bytes: u64, total: u64 },
    /// The registry took a blob over from another of its repositories.
    Mounted { layer: Digest, from: String },
    /// A request failed and is repeated after `wait`.
    Retrying { what: String, why: String, wait: Duration },
}

/// Reports nothing.
pub fn silent() -> Report {
    Arc::new(|_| {})
}
