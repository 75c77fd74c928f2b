//! What a pull or an import tells while it works. Words for whoever draws them; nothing here prints.

use super::digest::Digest;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// Receives progress, from several threads.
pub type Report = Arc<dyn Fn(Progress) + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The registry is asked what the name stands for.
    Resolving,
    /// What the image consists of; `bytes` is what its layers take on the way, as far as that is known.
    Started { layers: usize, bytes: u64 },
    /// A layer that is where it should be already, with its bytes.
    Exists { layer: Digest, size: u64 },
    /// Bytes of a layer that have come, and all it has (0 where that is not known).
    Fetched { layer: Digest, bytes: u64, total: u64 },
    /// A layer is verified and unpacked.
    Unpacked { layer: Digest },
    /// Bytes of a blob that have gone to a registry, and all it has.
    Pushed { layer: Digest, bytes: u64, total: u64 },
    /// The registry took a blob over from another of its repositories.
    Mounted { layer: Digest, size: u64, from: String },
    /// A request failed and is repeated after `wait`.
    Retrying { what: String, why: String, wait: Duration },
}

/// Everything about one image as one line: words, bytes so far, bytes in all.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes of each layer that have moved.
    moved: HashMap<Digest, u64>,
    settled: HashSet<Digest>,
    layers: usize,
    bytes: u64,
}

/// What a line shows after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// `3/8 layers`
    pub text: String,
    pub current: Option<u64>,
    pub total: Option<u64>,
}

impl Tally {
    /// `None` where a line would show nothing new.
    pub fn take(&mut self, step: &Progress) -> Option<Line> {
        match step {
            Progress::Resolving => return None,
            Progress::Retrying { what, why, wait } => {
                let then = if wait.is_zero() { "on to the next".into() } else { format!("again in {wait:.1?}") };
                return Some(Line { text: format!("{what}: {why}; {then}"), ..Line::default() });
            }
            Progress::Started { layers, bytes } => {
                *self = Self { layers: *layers, bytes: *bytes, ..Self::default() };
            }
            Progress::Exists { layer, size } | Progress::Mounted { layer, size, .. } => {
                self.moved.insert(*layer, *size);
                self.settled.insert(*layer);
            }
            Progress::Fetched { layer, bytes, .. } => drop(self.moved.insert(*layer, *bytes)),
            Progress::Pushed { layer, bytes, total } => {
                self.moved.insert(*layer, *bytes);
                if bytes == total {
                    self.settled.insert(*layer);
                }
            }
            Progress::Unpacked { layer } => drop(self.settled.insert(*layer)),
        }
        let moved = self.moved.values().sum();
        Some(Line {
            text: format!("{}/{} layers", self.settled.len().min(self.layers), self.layers),
            current: Some(moved),
            total: (self.bytes > 0).then_some(self.bytes.max(moved)),
        })
    }
}

/// Reports nothing.
pub fn silent() -> Report {
    Arc::new(|_| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_one_line_of_bytes_and_layers() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut tally = Tally::default();
        assert_eq!(tally.take(&Progress::Resolving), None);
        let line =
            |text: &str, current, total| Some(Line { text: text.into(), current: Some(current), total: Some(total) });
        assert_eq!(tally.take(&Progress::Started { layers: 2, bytes: 30 }), line("0/2 layers", 0, 30));
        assert_eq!(tally.take(&Progress::Fetched { layer: a, bytes: 5, total: 10 }), line("0/2 layers", 5, 30));
        assert_eq!(tally.take(&Progress::Exists { layer: b, size: 20 }), line("1/2 layers", 25, 30));
        tally.take(&Progress::Fetched { layer: a, bytes: 10, total: 10 });
        assert_eq!(tally.take(&Progress::Unpacked { layer: a }), line("2/2 layers", 30, 30));
        let wait = Duration::from_millis(250);
        let retry = Progress::Retrying { what: "/v2/".into(), why: "reset".into(), wait };
        assert_eq!(tally.take(&retry).unwrap().text, "/v2/: reset; again in 250.0ms");
    }
}
