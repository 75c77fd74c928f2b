//! gzip, zstd or none, told by the first bytes: what a manifest or a file name says about it is often wrong.

use super::LayerError;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, BufRead, Read};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X'];
const BZIP2: &[u8] = b"BZh";

/// The plain bytes of `source`.
pub fn decompress<'a>(source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, LayerError> {
    let mut source = Rewind { head: [0; 4], length: 0, position: 0, inner: source };
    source.peek().map_err(LayerError::Read)?;
    let head = source.head;
    let start = &head[..source.length];
    if start.starts_with(GZIP) {
        Ok(Box::new(MultiGzDecoder::new(source)))
    } else if start == ZSTD || is_skippable(start) {
        Ok(Box::new(Zstd { state: State::Between(source, FrameDecoder::new()) }))
    } else if start == XZ {
        Err(LayerError::Compression("xz"))
    } else if start.starts_with(BZIP2) {
        Err(LayerError::Compression("bzip2"))
    } else {
        Ok(Box::new(source))
    }
}

/// Frames for other programs' notes, RFC 8878 section 3.1.2. eStargz and zstd:chunked layers have them.
fn is_skippable(start: &[u8]) -> bool {
    start.len() == 4 && start[0] & 0xf0 == 0x50 && start[1..] == [0x2a, 0x4d, 0x18]
}

/// A reader whose next bytes can be looked at before they are read.
struct Rewind<R> {
    head: [u8; 4],
    length: usize,
    position: usize,
    inner: R,
}

impl<R: BufRead> Rewind<R> {
    /// Fills `head` with the next four bytes, fewer at the end of the stream.
    fn peek(&mut self) -> io::Result<&[u8]> {
        if self.position < self.length {
            return Ok(&self.head[self.position..self.length]);
        }
        (self.length, self.position) = (0, 0);
        while self.length < 4 {
            match self.inner.read(&mut self.head[self.length..]) {
                Ok(0) => break,
                Ok(length) => self.length += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.head[..self.length])
    }
}

impl<R: BufRead> BufRead for Rewind<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position < self.length { Ok(&self.head[self.position..self.length]) } else { self.inner.fill_buf() }
    }
    fn consume(&mut self, amount: usize) {
        if self.position < self.length { self.position += amount } else { self.inner.consume(amount) }
    }
}

impl<R: BufRead> Read for Rewind<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.length {
            return self.inner.read(buffer);
        }
        let length = buffer.len().min(self.length - self.position);
        buffer[..length].copy_from_slice(&self.head[self.position..self.position + length]);
        self.position += length;
        Ok(length)
    }
}

/// A zstd stream of any number of frames; ruzstd alone reads just one. It bounds the window, and with it the memory,
/// at 128 MiB.
struct Zstd<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    Between(Rewind<R>, FrameDecoder),
    Frame(StreamingDecoder<Rewind<R>, FrameDecoder>),
    /// The end, or an error that was told already.
    Done,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Ok(0),
                State::Frame(mut frame) => match frame.read(buffer)? {
                    0 => {
                        let (source, decoder) = frame.into_parts();
                        self.state = State::Between(source, decoder);
                    }
                    length => {
                        self.state = State::Frame(frame);
                        return Ok(length);
                    }
                },
                State::Between(mut source, decoder) => {
                    let head = source.peek()?;
                    if head.is_empty() {
                        return Ok(0);
                    }
                    self.state = if is_skippable(head) {
                        skip_frame(&mut source)?;
                        State::Between(source, decoder)
                    } else {
                        State::Frame(StreamingDecoder::new_with_decoder(source, decoder).map_err(io::Error::other)?)
                    };
                }
            }
        }
    }
}

fn skip_frame(source: &mut impl Read) -> io::Result<()> {
    let mut header = [0; 8];
    source.read_exact(&mut header)?;
    let length = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
    if io::copy(&mut source.take(length), &mut io::sink())? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        // A buffer of one byte: no boundary may matter.
        let source = io::BufReader::with_capacity(1, bytes);
        decompress(source).map_err(io::Error::other)?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_form_is_known_by_its_first_bytes_and_may_come_in_several_parts() {
        let text = b"some text that is long enough to be worth the trouble ".repeat(50);
        let half = text.len() / 2;
        assert_eq!(plain(&text).unwrap(), text);
        assert_eq!(plain(b"").unwrap(), b"");
        assert_eq!(plain(b"ab").unwrap(), b"ab");
        assert_eq!(plain(&[gzip(&text[..half]), gzip(&text[half..])].concat()).unwrap(), text);
        let zstd = |text: &[u8]| compress_to_vec(text, CompressionLevel::Fastest);
        let skippable = [&[0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let frames = [skippable.clone(), zstd(&text[..half]), skippable, zstd(&text[half..])].concat();
        assert_eq!(plain(&frames).unwrap(), text);
    }

    #[test]
    fn a_broken_or_unknown_form_is_an_error() {
        let packed = gzip(b"some text");
        assert!(plain(&packed[..packed.len() - 4]).is_err());
        assert!(plain(&[0x5e, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1]).is_err());
        let packed = compress_to_vec(&b"some text"[..], CompressionLevel::Fastest);
        assert!(plain(&packed[..packed.len() - 3]).is_err());
        for (start, name) in [(&[0xfd, b'7', b'z', b'X', b'Z', 0][..], "xz"), (b"BZh91AY", "bzip2")] {
            assert!(plain(start).unwrap_err().to_string().contains(name));
        }
    }
}
