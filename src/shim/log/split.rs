//! Bytes as they come from a pipe -> the container's lines. Pure; allocates nothing per line.

use crate::state::logline::Stream;

/// Longest text of one log line, as Docker's and the CRI's; a longer line of the container is written in parts.
pub const MAX_TEXT: usize = 16 * 1024;

/// Holds what a stream has written of a line so far, at most `MAX_TEXT` bytes.
#[derive(Debug)]
pub struct Splitter {
    pub stream: Stream,
    held: Vec<u8>,
}

/// One line, or a part of one. Its text is `head` and `tail` one after the other: the part held over, and the new one.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    pub stream: Stream,
    pub partial: bool,
    pub head: &'a [u8],
    pub tail: &'a [u8],
}

impl Splitter {
    pub fn new(stream: Stream) -> Self {
        Self { stream, held: Vec::new() }
    }

    /// Hands each line that `bytes` completes to `emit`, and holds the rest.
    pub fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(Piece<'_>)) {
        while !bytes.is_empty() {
            let room = MAX_TEXT - self.held.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            let (partial, end, next) = match memchr::memchr(b'\n', window) {
                Some(at) => (false, at, at + 1),
                None if bytes.len() > room => (true, room, room),
                None => {
                    self.held.extend_from_slice(bytes);
                    return;
                }
            };
            emit(Piece { stream: self.stream, partial, head: &self.held, tail: &bytes[..end] });
            self.held.clear();
            bytes = &bytes[next..];
        }
    }

    /// The stream has ended: what is held is its last line.
    pub fn end(&mut self, mut emit: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            emit(Piece { stream: self.stream, partial: false, head: &self.held, tail: b"" });
        }
        self.held = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the chunks one by one; shows each piece as `F text` or `P <length>`.
    fn pieces(chunks: &[&[u8]]) -> Vec<String> {
        let mut out = Vec::new();
        let mut emit = |piece: Piece<'_>| {
            let text = String::from_utf8([piece.head, piece.tail].concat()).unwrap();
            let tag = if piece.partial { "P" } else { "F" };
            out.push(if text.len() > 100 { format!("{tag} {}", text.len()) } else { format!("{tag} {text}") });
        };
        let mut splitter = Splitter::new(Stream::Stdout);
        for chunk in chunks {
            splitter.feed(chunk, &mut emit);
        }
        splitter.end(&mut emit);
        out
    }

    #[test]
    fn lines_are_whole_wherever_the_reads_cut_them() {
        let expected = ["F one", "F ", "F two", "F three"];
        assert_eq!(pieces(&[b"one\n\ntwo\nthree"]), expected);
        let single: Vec<&[u8]> = b"one\n\ntwo\nthree".chunks(1).collect();
        assert_eq!(pieces(&single), expected);
        assert_eq!(pieces(&[b"on", b"e\n\ntw", b"o\nthree"]), expected);
    }

    #[test]
    fn an_end_without_a_newline_is_a_line_and_an_end_with_one_is_none() {
        assert_eq!(pieces(&[b"x"]), ["F x"]);
        assert_eq!(pieces(&[b"x\n"]), ["F x"]);
        assert!(pieces(&[]).is_empty());
    }

    #[test]
    fn a_line_of_sixteen_kib_is_whole_and_one_byte_more_makes_two_parts() {
        let full = vec![b'x'; MAX_TEXT];
        assert_eq!(pieces(&[&full, b"\n"]), ["F 16384"]);
        assert_eq!(pieces(&[&[&full[..], b"\n"].concat()]), ["F 16384"]);
        assert_eq!(pieces(&[&full, b"y\n"]), ["P 16384", "F y"]);
        assert_eq!(pieces(&[&[&full[..], b"y\nz\n"].concat()]), ["P 16384", "F y", "F z"]);
    }

    #[test]
    fn a_line_without_end_goes_out_in_parts() {
        let long = vec![b'x'; 3 * MAX_TEXT + 5];
        assert_eq!(pieces(&[&long]), ["P 16384", "P 16384", "P 16384", "F xxxxx"]);
    }
}
