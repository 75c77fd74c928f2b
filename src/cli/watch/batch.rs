//! Changes that belong together: an editor writes several files for one save, and a branch is a thousand of them.
//!
//! ```text
//! none --a change--> gathering --quiet for QUIET, or LONGEST since the first--> due --take--> none
//! ```

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Without a change for so long, the changes so far are a batch.
pub const QUIET: Duration = Duration::from_millis(100);
/// Something that never stops writing holds nobody up for longer.
pub const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Batch {
    paths: BTreeSet<PathBuf>,
    /// Of the first and the last change.
    times: Option<(Instant, Instant)>,
}

impl Batch {
    pub fn add(&mut self, changed: BTreeSet<PathBuf>, now: Instant) {
        if changed.is_empty() {
            return;
        }
        self.paths.extend(changed);
        self.times = Some((self.times.map_or(now, |(first, _)| first), now));
    }

    /// When it is to be taken, as things are.
    pub fn due(&self) -> Option<Instant> {
        self.times.map(|(first, last)| (last + QUIET).min(first + LONGEST))
    }

    pub fn take(&mut self) -> BTreeSet<PathBuf> {
        self.times = None;
        std::mem::take(&mut self.paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `at` milliseconds: a change of this name; the times and contents of the batches that come of it.
    fn batches(changes: &[(u64, &str)]) -> Vec<String> {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let (mut batch, mut taken) = (Batch::default(), Vec::new());
        let mut take = |batch: &mut Batch, due: Instant| {
            let names: Vec<String> = batch.take().iter().map(|path| path.display().to_string()).collect();
            taken.push(format!("{} {}", (due - start).as_millis(), names.join(",")));
        };
        for (time, name) in changes {
            if let Some(due) = batch.due().filter(|due| *due <= at(*time)) {
                take(&mut batch, due);
            }
            batch.add([PathBuf::from(name)].into(), at(*time));
        }
        if let Some(due) = batch.due() {
            take(&mut batch, due);
        }
        assert_eq!(batch.due(), None);
        taken
    }

    #[test]
    fn changes_gather_until_it_is_quiet() {
        assert_eq!(batches(&[(0, "a")]), ["100 a"]);
        assert_eq!(batches(&[(0, "a"), (90, "b"), (180, "a"), (500, "c")]), ["280 a,b", "600 c"]);
    }

    #[test]
    fn a_file_that_is_always_written_holds_nobody_up() {
        let changes: Vec<(u64, &str)> = (0..30).map(|step| (step * 50, "log")).collect();
        assert_eq!(batches(&changes), ["1000 log", "1550 log"]);
    }

    #[test]
    fn nothing_changed_is_no_batch() {
        let mut batch = Batch::default();
        batch.add(BTreeSet::new(), Instant::now());
        assert_eq!(batch.due(), None);
    }
}
