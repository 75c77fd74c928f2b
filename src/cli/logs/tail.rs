//! Where the last N lines of a log begin. Read from the end: a large log costs no more than a small one.

use super::files::LogFile;
use crate::state::logline;
use std::{
    io::{self, Seek, SeekFrom},
    os::unix::fs::FileExt,
};

const BLOCK: u64 = 64 * 1024;

/// Drops the files that hold none of the last `lines` lines, and moves the first one left to where they begin.
pub fn seek(files: &mut Vec<LogFile>, lines: usize) -> io::Result<()> {
    let mut wanted = lines;
    for index in (0..files.len()).rev() {
        if let Some(offset) = offset(&files[index], &mut wanted)? {
            files[index].file.seek(SeekFrom::Start(offset))?;
            files.drain(..index);
            return Ok(());
        }
    }
    Ok(())
}

/// Where the last `wanted` lines of this file begin; `None` when it has fewer, which are counted off.
///
/// The place is found as the end of the line before them, so that the parts of a line stay with it.
fn offset(file: &LogFile, wanted: &mut usize) -> io::Result<Option<u64>> {
    let mut start = file.file.metadata()?.len();
    let mut carry: Vec<u8> = Vec::new(); // the beginning of what was read: its line may begin further up
    let mut is_whole = false; // what follows the last newline is still being written
    while start > 0 {
        let size = BLOCK.min(start);
        start -= size;
        let mut block = vec![0; size as usize];
        file.file.read_exact_at(&mut block, start)?;
        block.append(&mut carry);
        let mut end = block.len();
        while let Some(newline) = memchr::memrchr(b'\n', &block[..end]) {
            if is_whole && !take(&block[newline + 1..end], wanted) {
                return Ok(Some(start + end as u64 + 1));
            }
            is_whole = true;
            end = newline;
        }
        block.truncate(end);
        carry = block;
    }
    if is_whole && !take(&carry, wanted) {
        return Ok(Some(carry.len() as u64 + 1));
    }
    Ok((*wanted == 0).then_some(0))
}

/// Counts a line of the container off; false when no more are wanted.
fn take(line: &[u8], wanted: &mut usize) -> bool {
    let ends = logline::parse(line).is_some_and(|line| !line.partial);
    match (ends, *wanted) {
        (false, _) => true,
        (true, 0) => false,
        (true, _) => {
            *wanted -= 1;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::logs::reader::Reader;
    use std::{fs, path::Path};

    fn last(directory: &Path, lines: usize) -> Vec<String> {
        let mut reader = Reader::open(directory, Some(lines)).unwrap();
        let mut texts = Vec::new();
        while reader.advance().unwrap() {
            texts.push(String::from_utf8_lossy(reader.head().unwrap().text).into_owned());
        }
        texts
    }

    fn line(tag: &str, text: impl std::fmt::Display) -> String {
        format!("2026-11-22T10:00:00.000000000Z stdout {tag} {text}\n")
    }

    #[test]
    fn the_last_lines_are_found_over_files_and_parts() {
        let directory = tempfile::tempdir().unwrap();
        let old = line("F", "a") + &line("F", "b");
        let new = line("F", "c") + &line("P", "d1 ") + &line("F", "d2") + "2026-11-22T10:00:00.000000000Z std";
        fs::write(directory.path().join("1.log"), old).unwrap();
        fs::write(directory.path().join("current.log"), new).unwrap();
        assert_eq!(last(directory.path(), 0), [""; 0]);
        assert_eq!(last(directory.path(), 1), ["d1 d2"]);
        assert_eq!(last(directory.path(), 2), ["c", "d1 d2"]);
        assert_eq!(last(directory.path(), 3), ["b", "c", "d1 d2"]);
        assert_eq!(last(directory.path(), 9), ["a", "b", "c", "d1 d2"]);
    }

    #[test]
    fn lines_across_blocks_are_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        let text: String = (0..5000).map(|n| line("F", format!("{n} {}", "x".repeat(n % 97)))).collect();
        fs::write(directory.path().join("current.log"), text).unwrap();
        for count in [1, 700, 4999, 5000] {
            let lines = last(directory.path(), count);
            assert_eq!(lines.len(), count);
            assert!(lines[0].starts_with(&format!("{} ", 5000 - count)), "{count}: {}", lines[0]);
        }
    }
}
