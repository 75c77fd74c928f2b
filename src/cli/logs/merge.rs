//! Lines of several containers in the order of time.

use super::{reader::Reader, window::Stamp};
use crate::cli::exit::Error;
use std::{cmp::Reverse, collections::BinaryHeap, io};

/// Hands every line that can be read now to `each`, oldest first, with the index of its reader. Within one
/// container the order is the file's own.
pub fn drain<'a>(
    readers: impl IntoIterator<Item = &'a mut Reader>,
    mut each: impl FnMut(usize, &Reader) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut readers: Vec<&mut Reader> = readers.into_iter().collect();
    let mut heads: BinaryHeap<Reverse<(Stamp, usize)>> = BinaryHeap::with_capacity(readers.len());
    for (index, reader) in readers.iter_mut().enumerate() {
        if let Some(stamp) = next(reader)? {
            heads.push(Reverse((stamp, index)));
        }
    }
    while let Some(Reverse((_, index))) = heads.pop() {
        // As long as this one is the oldest, the heap needs no touch.
        loop {
            each(index, readers[index])?;
            let Some(stamp) = next(readers[index])? else { break };
            if heads.peek().is_some_and(|Reverse(other)| *other < (stamp, index)) {
                heads.push(Reverse((stamp, index)));
                break;
            }
        }
    }
    Ok(())
}

fn next(reader: &mut Reader) -> Result<Option<Stamp>, Error> {
    let has_line = reader.advance().map_err(read_error)?;
    Ok(if has_line { reader.stamp() } else { None })
}

fn read_error(source: io::Error) -> Error {
    Error::System { verb: "read a container's log", source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        logs::printer::{Printer, Style},
        output::writer::capture,
    };
    use std::fs;

    fn merged(logs: &[(&str, &[(&str, &str)])], style: Style) -> String {
        let directory = tempfile::tempdir().unwrap();
        let mut printer = Printer::new(style);
        let mut readers = Vec::new();
        for (name, lines) in logs {
            let log = directory.path().join(name);
            fs::create_dir(&log).unwrap();
            let text: String =
                lines.iter().map(|(time, text)| format!("2026-11-22T10:00:{time}Z stdout F {text}\n")).collect();
            fs::write(log.join("current.log"), text).unwrap();
            printer.add(name, readers.len());
            readers.push(Reader::open(&log, None).unwrap());
        }
        let (mut out, captured) = capture::writer(false);
        let (mut err, _) = capture::writer(false);
        drain(&mut readers, |source, reader| {
            if let Some(entry) = reader.head() {
                printer.print(source, entry, &mut out, &mut err)?;
            }
            Ok(())
        })
        .unwrap();
        captured.text()
    }

    #[test]
    fn lines_come_in_the_order_of_time() {
        let web: &[_] = &[("01.000000000", "first"), ("02.000000000", "third"), ("02.000000001", "fourth")];
        let db: &[_] = &[("01.500000000", "second"), ("03.000000000", "fifth")];
        insta::assert_snapshot!(merged(&[("web-1", web), ("postgres-1", db)], Style::default()), @r"
        web-1       | first
        postgres-1  | second
        web-1       | third
        web-1       | fourth
        postgres-1  | fifth
        ");
    }

    #[test]
    fn times_are_shown_when_asked_and_prefixes_left_out_when_asked() {
        let style = Style { timestamps: true, no_prefix: true, ..Style::default() };
        let lines: &[_] = &[("01.000000000", "x")];
        assert_eq!(merged(&[("web-1", lines)], style), "2026-11-22T10:00:01.000000000Z x\n");
    }

    #[test]
    fn no_logs_are_no_lines() {
        assert_eq!(merged(&[("web-1", &[])], Style::default()), "");
    }
}
