//! Reads a tar stream member by member: ustar, GNU (long names, sparse files) and PAX.
//!
//! The header's fields are parsed by the `tar` crate. The frame around them is ours, because that crate reads long
//! names and PAX headers of any size into memory, and parts PAX records at line ends, which binary xattrs break.
//! Where archives leave room, this reads them as Go's archive/tar does, which is what Docker unpacks with.

use super::{pax, sparse};
use ::tar::{EntryType, Header};
use std::{
    ffi::CString,
    io::{self, Read},
    ops::Range,
};

pub const BLOCK: usize = 512;
/// Long names and PAX headers; Go has the same limit.
const MAX_EXTENSION: u64 = 1 << 20;
/// Extension headers before one member.
const MAX_EXTENSIONS: u32 = 16;

// Fields of a header, tar(5).
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const DEVICE_MAJOR: Range<usize> = 329..337;
const DEVICE_MINOR: Range<usize> = 337..345;

#[derive(Debug, thiserror::Error)]
pub enum TarError {
    #[error("it is not a whole tar archive: {0}")]
    Read(#[from] io::Error),
    #[error("it is not a proper tar archive: {0} is malformed")]
    Malformed(&'static str),
    #[error("it is not a proper tar archive: a header of {0} bytes")]
    TooLong(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Character,
    Block,
    Fifo,
}

/// One file of the archive. Its data is what the reader gives next.
#[derive(Clone, Debug)]
pub struct Member {
    pub kind: Kind,
    /// As written: absolute, with `..`, whatever the archive says.
    pub name: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Major and minor number.
    pub device: (u32, u32),
    pub xattrs: Vec<(CString, Vec<u8>)>,
    /// Size of the file, holes included.
    pub size: u64,
    /// Where the data belongs, for a sparse file.
    pub parts: Option<Vec<sparse::Part>>,
}

pub struct TarReader<R> {
    inner: R,
    /// Bytes read so far.
    position: u64,
    /// Of the current member's data.
    remaining: u64,
    padding: u64,
}

/// What extension headers say about the member behind them.
#[derive(Default)]
struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(CString, Vec<u8>)>,
    sparse: sparse::PaxSparse,
}

impl<R: Read> TarReader<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, position: 0, remaining: 0, padding: 0 }
    }

    /// Offset of the current member's data in the archive.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next member; `None` at the end. What was left of the data before it is skipped.
    pub fn next(&mut self) -> Result<Option<Member>, TarError> {
        self.skip()?;
        let mut extensions = Extensions::default();
        for _ in 0..MAX_EXTENSIONS {
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&header, SIZE).ok_or(TarError::Malformed("a size"))?;
            match header.entry_type() {
                EntryType::GNULongName => extensions.long_name = Some(trim(self.extension(size)?)),
                EntryType::GNULongLink => extensions.long_link = Some(trim(self.extension(size)?)),
                EntryType::XHeader => {
                    let data = self.extension(size)?;
                    pax::records(&data, |key, value| extensions.record(key, value))?;
                }
                // Go and Docker ignore global headers (git archive writes its commit id into one).
                EntryType::XGlobalHeader => drop(self.extension(size)?),
                kind => match self.member(&header, kind, size, extensions)? {
                    Some(member) => return Ok(Some(member)),
                    None => {
                        self.skip()?;
                        extensions = Extensions::default();
                    }
                },
            }
        }
        Err(TarError::Malformed("a run of extension headers"))
    }

    /// `None` for the end: a block of zeros, or nothing.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut length = 0;
        while length < BLOCK {
            match self.inner.read(&mut block[length..]) {
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.position += BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |signed: bool| {
            block.iter().enumerate().fold(0i64, |sum, (n, byte)| {
                let byte = if (148..156).contains(&n) { b' ' } else { *byte };
                sum + if signed { i64::from(byte.cast_signed()) } else { i64::from(byte) }
            })
        };
        let (plain, signed) = (sum(false), sum(true));
        let written = number(&header, CHECKSUM).and_then(|sum| i64::try_from(sum).ok());
        if written != Some(plain) && written != Some(signed) {
            return Err(TarError::Malformed("a header's checksum"));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENSION {
            return Err(TarError::TooLong(size));
        }
        let mut data = vec![0; usize::try_from(size).unwrap_or(0)];
        self.inner.read_exact(&mut data)?;
        self.position += size;
        self.padding = pad(size);
        self.skip()?;
        Ok(data)
    }

    /// `None` for a kind that is not of this world (a volume label, a directory dump).
    fn member(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        extensions: Extensions,
    ) -> Result<Option<Member>, TarError> {
        let mut size = extensions.size.unwrap_or(size);
        let name = extensions.long_name.or(extensions.name).unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = match kind {
            // Before POSIX a directory was a file whose name ends in a slash.
            EntryType::Regular if header.as_bytes()[TYPE] == 0 && name.last() == Some(&b'/') => Kind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Link => Kind::HardLink,
            EntryType::Char => Kind::Character,
            EntryType::Block => Kind::Block,
            EntryType::Fifo => Kind::Fifo,
            _ => {
                self.expect(size);
                return Ok(None);
            }
        };
        // Only files have data, whatever the size of the others says.
        if kind != Kind::File {
            size = 0;
        }
        let mut parts = None;
        let mut real_size = size;
        if header.entry_type() == EntryType::GNUSparse {
            let gnu = header.as_gnu().ok_or(TarError::Malformed("a sparse file's header"))?;
            let mut source = Counted { inner: &mut self.inner, count: 0 };
            let (map, length) = sparse::old_gnu(gnu, &mut source)?;
            self.position += source.count;
            (parts, real_size) = (Some(map), length);
        }
        self.expect(size);
        let sparse_name = extensions.sparse.name.clone();
        if kind == Kind::File
            && let Some((map, length, taken)) = extensions.sparse.finish(&mut *self)?
        {
            size = size.checked_sub(taken).ok_or(TarError::Malformed("a sparse file's map"))?;
            (parts, real_size) = (Some(map), length);
        }
        if let Some(parts) = &parts {
            sparse::check(parts, real_size, size)?;
        }
        let name = sparse_name.unwrap_or(name);
        let field = |range, what| number(header, range).ok_or(TarError::Malformed(what));
        let device = |range| number(header, range).and_then(|number| number.try_into().ok()).unwrap_or(0);
        let mode = field(MODE, "a mode")? & 0o7777;
        Ok(Some(Member {
            kind,
            name,
            link: extensions
                .long_link
                .or(extensions.link)
                .unwrap_or_else(|| header.link_name_bytes().map(Into::into).unwrap_or_default()),
            mode: u32::try_from(mode).unwrap_or(0),
            uid: extensions.uid.map_or_else(|| field(UID, "a user id"), Ok)?,
            gid: extensions.gid.map_or_else(|| field(GID, "a group id"), Ok)?,
            // A time that cannot be read is no reason to refuse a file.
            mtime: extensions
                .mtime
                .unwrap_or_else(|| (number(header, MTIME).and_then(|time| time.try_into().ok()).unwrap_or(0), 0)),
            device: (device(DEVICE_MAJOR), device(DEVICE_MINOR)),
            xattrs: extensions.xattrs,
            size: real_size,
            parts,
        }))
    }

    fn expect(&mut self, size: u64) {
        self.remaining = size;
        self.padding = pad(size);
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let left = self.remaining.checked_add(self.padding).ok_or(TarError::Malformed("a size"))?;
        if io::copy(&mut self.inner.by_ref().take(left), &mut io::sink())? < left {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.position += self.remaining + self.padding;
        self.remaining = 0;
        self.padding = 0;
    }
}

impl<R: Read + io::Seek> TarReader<R> {
    /// `next` that jumps over the data before it.
    pub fn next_seeking(&mut self) -> Result<Option<Member>, TarError> {
        let left = self.remaining.checked_add(self.padding).and_then(|left| i64::try_from(left).ok());
        self.inner.seek_relative(left.ok_or(TarError::Malformed("a size"))?)?;
        self.forget();
        self.next()
    }
}

/// The data of the current member.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.remaining == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let length = buffer.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut buffer[..length])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.remaining -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

impl Extensions {
    /// An empty value takes an earlier one back, pax(1).
    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let text = || (!value.is_empty()).then(|| value.to_vec());
        let number = |what| match value {
            b"" => Ok(None),
            digits => pax::number(digits).map(Some).ok_or(TarError::Malformed(what)),
        };
        match key {
            b"path" => self.name = text(),
            b"linkpath" => self.link = text(),
            b"size" => self.size = number("a PAX size")?,
            b"uid" => self.uid = number("a PAX user id")?,
            b"gid" => self.gid = number("a PAX group id")?,
            b"mtime" => self.mtime = pax::time(value),
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.record(key, value)?;
                } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    let name = CString::new(name).map_err(|_| TarError::Malformed("an xattr's name"))?;
                    self.xattrs.push((name, value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// A numeric field: octal digits, or with the high bit set a big-endian number (GNU). An empty one is zero, as Go reads
/// it; `None` for a negative or unreadable one.
fn number(header: &Header, field: Range<usize>) -> Option<u64> {
    let bytes = &header.as_bytes()[field];
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 != 0 {
        let start = u64::from(first & 0x7f);
        return rest.iter().try_fold(start, |sum, byte| Some(sum.checked_mul(256)? | u64::from(*byte)));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.split('\0').find(|part| !part.trim().is_empty()).unwrap_or("0").trim();
    u64::from_str_radix(digits, 8).ok()
}

fn pad(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// GNU long names end in a zero byte.
fn trim(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}
