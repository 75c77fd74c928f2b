//! One line of a container's log, as `shim::log` writes it and `logs` reads it: the CRI format,
//! `<RFC3339Nano> <stdout|stderr> <F|P> <text>`. `P` is a part of a longer line, and the next line of the same stream goes on.

/// Which of the container's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line of a log file, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// RFC 3339 with nanoseconds, UTC, of one width: text compares as time does.
    pub time: &'a str,
    pub stream: Stream,
    /// The next line of this stream belongs to the same line of the container.
    pub partial: bool,
    /// Bytes as the container wrote them, without the newline.
    pub text: &'a [u8],
}

/// `line` without its newline. `None` when it has another form: the torn end of a run that was killed.
pub fn parse(line: &[u8]) -> Option<LogLine<'_>> {
    let (time, rest) = cut(line)?;
    let (stream, rest) = cut(rest)?;
    let (tag, text) = cut(rest)?;
    let stream = match stream {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    let partial = match tag {
        b"F" => false,
        b"P" => true,
        _ => return None,
    };
    let time = std::str::from_utf8(time).ok().filter(|time| time.len() >= 20 && time.ends_with('Z'))?;
    Some(LogLine { time, stream, partial, text })
}

/// Around the first space.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    Some((&bytes[..space], &bytes[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_into_its_four_parts() {
        let line = parse(b"2026-11-22T18:00:00.000000001Z stderr P  two  spaces ").unwrap();
        assert_eq!(line.time, "2026-11-22T18:00:00.000000001Z");
        assert_eq!(line.stream, Stream::Stderr);
        assert!(line.partial);
        assert_eq!(line.text, b" two  spaces ");
    }

    #[test]
    fn an_empty_text_is_a_line() {
        assert_eq!(parse(b"2026-11-22T18:00:00.000000001Z stdout F ").unwrap().text, b"");
    }

    #[test]
    fn a_torn_line_is_no_line() {
        for torn in ["", "2026-11-22T18:00:00.000000001Z", "2026-11-22T18:00:00.000000001Z stdout F", "x stdout F y"] {
            assert_eq!(parse(torn.as_bytes()), None, "{torn}");
        }
    }
}
