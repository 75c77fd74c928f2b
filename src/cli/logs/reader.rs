//! One container's lines, one after another over all its files. Nothing is allocated for a line.

use super::{
    files::{self, LogFile},
    tail,
    window::Stamp,
};
use crate::state::logline::{self, Stream};
use std::{
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

const BLOCK: usize = 256 * 1024;
/// A line that is longer comes in pieces: a program that never ends its line must not fill the memory.
const LONGEST: usize = 1 << 20;

/// A line of the container, parts put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub time: &'a str,
    pub stream: Stream,
    pub text: &'a [u8],
}

#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    files: std::collections::VecDeque<LogFile>,
    /// A newer file is there, and this one was read to its end before that was known: what was written in between
    /// still has to be read.
    superseded: bool,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet consumed.
    unread: Range<usize>,
    /// Where to look for the next newline: what lies before holds none.
    searched: usize,
    head: Option<Head>,
    /// Beginnings of lines whose end is to come, by stream.
    parts: [Vec<u8>; 2],
}

#[derive(Clone, Debug)]
struct Head {
    time: Range<usize>,
    stream: Stream,
    text: Text,
}

#[derive(Clone, Debug)]
enum Text {
    /// In the buffer.
    Plain(Range<usize>),
    /// In `parts`.
    Joined,
}

impl Reader {
    /// From the beginning, or the last `tail` lines.
    pub fn open(directory: &Path, tail: Option<usize>) -> io::Result<Self> {
        let mut files = files::open_all(directory);
        if let Some(lines) = tail {
            tail::seek(&mut files, lines)?;
        }
        Ok(Self { directory: directory.to_owned(), files: files.into(), ..Self::closed() })
    }

    /// Of nothing, for ever.
    pub fn closed() -> Self {
        Self {
            directory: PathBuf::from("/dev/null"),
            files: Default::default(),
            superseded: false,
            buffer: Vec::new(),
            unread: 0..0,
            searched: 0,
            head: None,
            parts: [Vec::new(), Vec::new()],
        }
    }

    /// The line that `advance` found.
    pub fn head(&self) -> Option<Entry<'_>> {
        let head = self.head.as_ref()?;
        let text = match &head.text {
            Text::Plain(range) => &self.buffer[range.clone()],
            Text::Joined => &self.parts[head.stream as usize],
        };
        // Checked when it was parsed: a time is ASCII.
        let time = std::str::from_utf8(&self.buffer[head.time.clone()]).unwrap_or_default();
        Some(Entry { time, stream: head.stream, text })
    }

    /// Time of the head, to compare with others.
    pub fn stamp(&self) -> Option<Stamp> {
        let time = self.head()?.time.as_bytes();
        let mut stamp = [0; 30];
        let length = time.len().min(stamp.len());
        stamp[..length].copy_from_slice(&time[..length]);
        Some(stamp)
    }

    /// Goes to the next line. False when there is none now; more may be written later.
    pub fn advance(&mut self) -> io::Result<bool> {
        if let Some(Head { stream, text: Text::Joined, .. }) = self.head.take() {
            self.parts[stream as usize].clear();
        }
        loop {
            while let Some(line) = self.cut_line() {
                if self.accept(line) {
                    return Ok(true);
                }
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// At the end of a run: what the container wrote without ending the line.
    pub fn take_unfinished(&mut self) -> Option<(Stream, Vec<u8>)> {
        let stream = [Stream::Stdout, Stream::Stderr].into_iter().find(|s| !self.parts[*s as usize].is_empty())?;
        Some((stream, std::mem::take(&mut self.parts[stream as usize])))
    }

    fn cut_line(&mut self) -> Option<Range<usize>> {
        let newline = memchr::memchr(b'\n', &self.buffer[self.searched..self.unread.end]);
        let Some(newline) = newline else {
            self.searched = self.unread.end;
            return None;
        };
        let line = self.unread.start..self.searched + newline;
        self.unread.start = line.end + 1;
        self.searched = self.unread.start;
        Some(line)
    }

    /// Makes the line the head; false when it is a part of one, or torn.
    fn accept(&mut self, line: Range<usize>) -> bool {
        let bytes = &self.buffer[line.clone()];
        let Some(parsed) = logline::parse(bytes) else { return false };
        let text = line.end - parsed.text.len()..line.end;
        let time = line.start..line.start + parsed.time.len();
        let (stream, partial) = (parsed.stream, parsed.partial);
        let part = &mut self.parts[stream as usize];
        if partial || !part.is_empty() {
            part.extend_from_slice(&self.buffer[text.clone()]);
            if partial && part.len() < LONGEST {
                return false;
            }
            self.head = Some(Head { time, stream, text: Text::Joined });
        } else {
            self.head = Some(Head { time, stream, text: Text::Plain(text) });
        }
        true
    }

    /// Reads more, from the next file where this one is at its end. False when all is read.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.searched -= self.unread.start;
        self.unread = 0..self.unread.len();
        if self.buffer.len() < self.unread.end + BLOCK {
            self.buffer.resize(self.unread.end + BLOCK, 0);
        }
        loop {
            let Some(current) = self.files.front_mut() else {
                match files::next(&self.directory, None) {
                    Some(file) => self.files.push_back(file),
                    None => return Ok(false),
                }
                continue;
            };
            let read = loop {
                match current.file.read(&mut self.buffer[self.unread.end..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result?,
                }
            };
            if read > 0 {
                self.unread.end += read;
                return Ok(true);
            }
            if !self.go_to_next_file() {
                return Ok(false);
            }
        }
    }

    fn go_to_next_file(&mut self) -> bool {
        if self.files.len() == 1 {
            match files::next(&self.directory, self.files.front()) {
                None => return false,
                Some(next) => self.files.push_back(next),
            }
            self.superseded = false;
        }
        if !std::mem::replace(&mut self.superseded, true) {
            return true; // once more to the end of the old one
        }
        self.superseded = false;
        self.files.pop_front();
        // A line that was torn when its file ended has no other half in the next one.
        self.unread = 0..0;
        self.searched = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write as _};

    /// `(second, tag, text)` as a shim writes it.
    pub fn line(second: u32, tag: &str, text: &str) -> String {
        format!("2026-11-22T10:00:{second:02}.000000000Z {tag} {text}\n")
    }

    fn all(reader: &mut Reader) -> Vec<String> {
        let mut texts = Vec::new();
        while reader.advance().unwrap() {
            texts.push(String::from_utf8_lossy(reader.head().unwrap().text).into_owned());
        }
        texts
    }

    #[test]
    fn files_are_read_from_the_oldest_to_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("10.log", "a"), ("2.log", "b"), ("1.log", "c"), ("current.log", "d"), ("other", "x")] {
            fs::write(directory.path().join(name), line(1, "stdout F", text)).unwrap();
        }
        assert_eq!(all(&mut Reader::open(directory.path(), None).unwrap()), ["a", "b", "c", "d"]);
    }

    #[test]
    fn parts_of_a_line_are_put_together_by_stream() {
        let directory = tempfile::tempdir().unwrap();
        let text =
            [("stdout P", "o1 "), ("stderr P", "e1 "), ("stdout F", "o2"), ("stderr F", "e2"), ("stdout F", "x")];
        let text: String = text.iter().map(|(tag, text)| line(1, tag, text)).collect();
        fs::write(directory.path().join("current.log"), text + "torn stdo\n").unwrap();
        assert_eq!(all(&mut Reader::open(directory.path(), None).unwrap()), ["o1 o2", "e1 e2", "x"]);
    }

    #[test]
    fn a_line_that_never_ends_is_cut_before_it_fills_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let part = line(1, "stdout P", &"x".repeat(16 * 1024));
        fs::write(directory.path().join("current.log"), part.repeat(100)).unwrap();
        let mut reader = Reader::open(directory.path(), None).unwrap();
        let pieces = all(&mut reader);
        assert!(!pieces.is_empty() && pieces.iter().all(|piece| piece.len() <= LONGEST + 16 * 1024));
        let rest = reader.take_unfinished().unwrap().1.len();
        assert_eq!(pieces.iter().map(String::len).sum::<usize>() + rest, 100 * 16 * 1024);
    }

    #[test]
    fn following_goes_over_a_rotation_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut reader = Reader::open(directory.path(), None).unwrap();
        assert!(all(&mut reader).is_empty());
        fs::write(path("current.log"), line(1, "stdout F", "one")).unwrap();
        assert_eq!(all(&mut reader), ["one"]);

        let mut old = fs::OpenOptions::new().append(true).open(path("current.log")).unwrap();
        old.write_all(line(2, "stdout F", "two").as_bytes()).unwrap();
        fs::rename(path("current.log"), path("1.log")).unwrap();
        fs::write(path("current.log"), line(3, "stdout F", "three")).unwrap();
        fs::rename(path("1.log"), path("2.log")).unwrap();
        fs::rename(path("current.log"), path("1.log")).unwrap();
        let long = line(4, "stdout F", "four");
        fs::write(path("current.log"), &long[..10]).unwrap();
        assert_eq!(all(&mut reader), ["two", "three"]);
        fs::write(path("current.log"), &long).unwrap();
        assert_eq!(all(&mut reader), ["four"]);
    }
}
