//! The files of a log: append whole lines, rotate by size, and never block or fail the container.
//!
//! Only appends: a reader that follows never sees bytes change. A line that the disk had no room for is counted, and a
//! notice with the number is the first line written when there is room again. A file that ends within a line (the disk was
//! full, or the shim of an earlier run was killed) gets its newline before anything else.

use super::split::Piece;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Bytes that are gathered for one write.
const BATCH: usize = 64 * 1024;

/// A container's log directory.
#[derive(Debug)]
pub struct LogFile {
    directory: PathBuf,
    /// 0: no limit.
    max_size: u64,
    /// Files in all, the current one included.
    max_file: u32,
    current: Option<Current>,
    /// Whole lines that are not written yet.
    batch: Vec<u8>,
    dropped: Option<Dropped>,
}

#[derive(Debug)]
struct Current {
    file: File,
    size: u64,
    /// The file ends within a line.
    torn: bool,
}

#[derive(Debug)]
struct Dropped {
    lines: u64,
    cause: String,
}

impl LogFile {
    /// Opens nothing yet: a container that says nothing has no log file.
    pub fn new(directory: &Path, max_size: u64, max_file: u32) -> Self {
        let directory = directory.to_owned();
        Self { directory, max_size, max_file, current: None, batch: Vec::new(), dropped: None }
    }

    /// Adds a line; it reaches the file with the next `flush`, or before when the batch is full.
    pub fn append(&mut self, time: &str, piece: &Piece<'_>) {
        let tag = if piece.partial { "P" } else { "F" };
        let stream = piece.stream.as_str();
        let length = time.len() + stream.len() + piece.head.len() + piece.tail.len() + 5;
        if !self.make_room(length as u64, time) {
            return;
        }
        if self.batch.len() + length > BATCH {
            self.flush(time);
        }
        for part in
            [time.as_bytes(), b" ", stream.as_bytes(), b" ", tag.as_bytes(), b" ", piece.head, piece.tail, b"\n"]
        {
            self.batch.extend_from_slice(part);
        }
    }

    /// Writes what is gathered, in one write where the disk takes it.
    pub fn flush(&mut self, time: &str) {
        if self.batch.is_empty() && self.dropped.is_none() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let (written, result) = self.write(&batch, time);
        if let Err(error) = result {
            self.drop_lines(memchr::memchr_iter(b'\n', &batch[written..]).count() as u64, &error);
        }
        self.batch = batch;
        self.batch.clear();
    }

    /// Gives the memory of the batch back; the next line takes it anew.
    pub fn rest(&mut self) {
        self.batch = Vec::new();
    }

    /// How much of `batch` was written, and what stopped it.
    fn write(&mut self, batch: &[u8], time: &str) -> (usize, io::Result<()>) {
        if let Err(error) = self.open().and_then(|()| self.write_notice(time)) {
            return (0, Err(error));
        }
        match &mut self.current {
            Some(current) => current.write(batch),
            None => (0, Err(ErrorKind::NotFound.into())),
        }
    }

    fn open(&mut self) -> io::Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(self.path("current"))?;
        let size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        self.current = Some(Current { file, size, torn: last != [b'\n'] });
        Ok(())
    }

    /// Ends a torn line, and says how many lines are missing.
    fn write_notice(&mut self, time: &str) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let mut text = String::new();
        if current.torn {
            text.push('\n');
        }
        if let Some(Dropped { lines, cause }) = &self.dropped {
            text += &format!("{time} stderr F muster: {lines} lines of this log were dropped: {cause}\n");
        }
        if text.is_empty() {
            return Ok(());
        }
        let (_, result) = current.write(text.as_bytes());
        if result.is_ok() {
            self.dropped = None;
        }
        result
    }

    /// Rotates when `length` more bytes would pass the limit. False: the line has no place and is counted as dropped.
    fn make_room(&mut self, length: u64, time: &str) -> bool {
        if self.max_size == 0 {
            return true;
        }
        if let Err(error) = self.open() {
            self.drop_lines(1, &error);
            return false;
        }
        let used = self.current.as_ref().map_or(0, |current| current.size) + self.batch.len() as u64;
        if used == 0 || used + length <= self.max_size {
            return true;
        }
        self.flush(time);
        match self.rotate() {
            Ok(()) => true,
            Err(error) => {
                self.drop_lines(1, &error);
                false
            }
        }
    }

    /// current.log -> 1.log -> 2.log ...; the oldest falls off.
    fn rotate(&mut self) -> io::Result<()> {
        self.current = None;
        if self.max_file <= 1 {
            return gone_is_fine(fs::remove_file(self.path("current")));
        }
        for number in (1..self.max_file - 1).rev() {
            gone_is_fine(fs::rename(self.path(number), self.path(number + 1)))?;
        }
        gone_is_fine(fs::rename(self.path("current"), self.path(1)))
    }

    fn drop_lines(&mut self, lines: u64, error: &io::Error) {
        let dropped = self.dropped.get_or_insert_with(|| Dropped { lines: 0, cause: String::new() });
        dropped.lines += lines;
        dropped.cause = error.to_string();
    }

    fn path(&self, name: impl std::fmt::Display) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }
}

impl Current {
    /// How much was written, and what stopped it.
    fn write(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.size += count as u64;
                    self.torn = bytes[written - 1] != b'\n';
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::logline::Stream;

    const TIME: &str = "2026-11-22T18:00:00.000000000Z";

    fn line(log: &mut LogFile, text: &str) {
        let piece = Piece { stream: Stream::Stdout, partial: false, head: b"", tail: text.as_bytes() };
        log.append(TIME, &piece);
    }

    /// Texts of one file's lines.
    fn texts(directory: &Path, name: &str) -> Vec<String> {
        let text = fs::read_to_string(directory.join(name)).unwrap();
        text.lines().map(|line| line.strip_prefix(&format!("{TIME} stdout F ")).unwrap_or(line).to_owned()).collect()
    }

    #[test]
    fn lines_come_to_the_file_with_the_flush() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::new(dir.path(), 0, 1);
        line(&mut log, "one");
        assert!(!dir.path().join("current.log").exists());
        log.flush(TIME);
        assert_eq!(
            fs::read_to_string(dir.path().join("current.log")).unwrap(),
            "2026-11-22T18:00:00.000000000Z stdout F one\n"
        );
    }

    #[test]
    fn a_file_never_passes_its_size_and_the_oldest_falls_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::new(dir.path(), 100, 3);
        for number in 1..=9 {
            line(&mut log, &format!("{number}"));
        }
        log.flush(TIME);
        assert_eq!(texts(dir.path(), "current.log"), ["9"]);
        assert_eq!(texts(dir.path(), "1.log"), ["7", "8"]);
        assert_eq!(texts(dir.path(), "2.log"), ["5", "6"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn one_file_starts_anew_when_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::new(dir.path(), 100, 1);
        for number in 1..=3 {
            line(&mut log, &format!("{number}"));
        }
        log.flush(TIME);
        assert_eq!(texts(dir.path(), "current.log"), ["3"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_torn_end_of_an_earlier_run_gets_its_newline() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("current.log"), "torn").unwrap();
        let mut log = LogFile::new(dir.path(), 0, 1);
        line(&mut log, "next");
        log.flush(TIME);
        assert_eq!(texts(dir.path(), "current.log"), ["torn", "next"]);
    }

    #[test]
    fn what_has_no_place_is_counted_and_told_when_there_is_place_again() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("log");
        fs::write(&place, "a file where the directory should be").unwrap();
        let mut log = LogFile::new(&place, 0, 1);
        line(&mut log, "one");
        line(&mut log, "two");
        log.flush(TIME);
        fs::remove_file(&place).unwrap();
        line(&mut log, "three");
        log.flush(TIME);
        let texts = texts(&place, "current.log");
        assert!(texts[0].contains("muster: 2 lines of this log were dropped: "), "{texts:?}");
        assert_eq!(texts[1..], ["three"]);
    }

    #[test]
    fn a_full_disk_costs_lines_and_no_line_is_mixed_with_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::new(dir.path(), 0, 1);
        // /dev/full answers every write with ENOSPC, see full(4).
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        log.current = Some(Current { file: full, size: 0, torn: true });
        line(&mut log, "one");
        log.flush(TIME);
        log.current = None;
        line(&mut log, "two");
        log.flush(TIME);
        let texts = texts(dir.path(), "current.log");
        assert!(
            texts[0].ends_with("1 lines of this log were dropped: No space left on device (os error 28)"),
            "{texts:?}"
        );
        assert_eq!(texts[1..], ["two"]);
    }
}
