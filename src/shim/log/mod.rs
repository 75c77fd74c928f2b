//! The container's log on disk. Nothing here reads it: `logs` does, with `state::logline`.
//!
//! ```text
//! <log dir>/current.log   the newest lines, only ever appended to
//! <log dir>/1.log         the file before, 2.log the one before that, up to max_file - 1
//!
//! 2026-11-22T18:37:00.123456789Z stdout F a whole line
//! 2026-11-22T18:37:00.123456789Z stderr P the first 16 KiB of a longer line
//! 2026-11-22T18:37:00.123456789Z stderr F its end
//! ```
//!
//! This is the CRI format. All lines of one read carry the time of that read. A rotation renames, so who follows the log
//! reads its open file to the end when `current.log` has become another file, and goes on with that.

mod file;
mod split;

use crate::state::logline::Stream;
use file::LogFile;
use jiff::Timestamp;
use split::{Piece, Splitter};
use std::{fmt::Write, path::Path};

/// A running container's log.
#[derive(Debug)]
pub struct Log {
    file: LogFile,
    stdout: Splitter,
    stderr: Splitter,
    /// The text of the last time stamp, kept so that a read allocates nothing.
    time: String,
}

impl Log {
    /// `max_size` in bytes, 0 for no limit; `max_file` counts the current file.
    pub fn new(directory: &Path, max_size: u64, max_file: u32) -> Self {
        Self {
            file: LogFile::new(directory, max_size, max_file),
            stdout: Splitter::new(Stream::Stdout),
            stderr: Splitter::new(Stream::Stderr),
            time: String::new(),
        }
    }

    /// Takes what one read brought, and writes the lines that it completes.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        let Self { file, stdout, stderr, time } = self;
        stamp(time, now);
        let splitter = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        splitter.feed(bytes, |piece: Piece<'_>| file.append(time, &piece));
        file.flush(time);
    }

    /// Nothing has come for a while: give memory back.
    pub fn rest(&mut self) {
        self.file.rest();
    }

    /// The container has ended: writes what it left without a newline.
    pub fn end(&mut self, now: Timestamp) {
        let Self { file, stdout, stderr, time } = self;
        stamp(time, now);
        for splitter in [stdout, stderr] {
            splitter.end(|piece| file.append(time, &piece));
        }
        file.flush(time);
    }
}

/// RFC 3339, UTC, always nine digits of a second, so that lines align and compare.
fn stamp(text: &mut String, now: Timestamp) {
    text.clear();
    // Writing to a String does not fail.
    let _ = write!(text, "{now:.9}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_keep_their_own_unfinished_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::new(dir.path(), 0, 1);
        let now = Timestamp::from_second(0).unwrap();
        log.feed(Stream::Stdout, b"out", now);
        log.feed(Stream::Stderr, b"err\n", now);
        log.feed(Stream::Stdout, b"put\n", now);
        log.feed(Stream::Stderr, b"rest", now);
        log.end(now);
        insta::assert_snapshot!(std::fs::read_to_string(dir.path().join("current.log")).unwrap(), @r"
        1970-01-01T00:00:00.000000000Z stderr F err
        1970-01-01T00:00:00.000000000Z stdout F output
        1970-01-01T00:00:00.000000000Z stderr F rest
        ");
    }
}
