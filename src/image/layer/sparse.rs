//! Sparse files in tar: which parts of a file the archive holds. GNU's old form and the three PAX forms (GNU tar
//! manual, "Storing Sparse Files").

use super::{
    pax,
    tar::{BLOCK, TarError},
};
use std::io::Read;

const BAD: TarError = TarError::Malformed("a sparse file's map");
/// A map of more parts than that is an attack on memory.
const MAX_PARTS: usize = 1 << 18;

/// A part of a file that has data: offset and length.
pub type Part = (u64, u64);

/// What PAX records say about sparseness.
#[derive(Debug, Default)]
pub struct PaxSparse {
    pub major: Option<u64>,
    pub minor: Option<u64>,
    pub name: Option<Vec<u8>>,
    pub real_size: Option<u64>,
    /// Form 0.1, or gathered from the single records of form 0.0.
    pub map: Vec<u64>,
}

impl PaxSparse {
    /// Takes a `GNU.sparse.` record; `key` without that prefix.
    pub fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let number = || pax::number(value).ok_or(BAD);
        match key {
            b"major" => self.major = Some(number()?),
            b"minor" => self.minor = Some(number()?),
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.real_size = Some(number()?),
            b"map" => {
                self.map = value
                    .split(|byte| *byte == b',')
                    .map(|field| pax::number(field).ok_or(BAD))
                    .collect::<Result<_, _>>()?;
            }
            b"offset" | b"numbytes" => self.map.push(number()?),
            _ => {}
        }
        if self.map.len() > 2 * MAX_PARTS { Err(BAD) } else { Ok(()) }
    }

    /// `None` for a file that is not sparse. Form 1.0 has its map in front of the data, which is read from `data`.
    /// Gives the map, the size of the file, and how many bytes of the data the map took.
    pub fn finish(self, data: &mut impl Read) -> Result<Option<(Vec<Part>, u64, u64)>, TarError> {
        let in_front = match (self.major, self.minor) {
            (Some(1), Some(0)) => true,
            (None | Some(0), _) if self.map.is_empty() => return Ok(None),
            (None | Some(0), _) => false,
            _ => return Err(TarError::Malformed("the version of a sparse file's map")),
        };
        let size = self.real_size.ok_or(BAD)?;
        let (numbers, taken) = if in_front { read_map(data)? } else { (self.map, 0) };
        Ok(Some((pairs(&numbers)?, size, taken)))
    }
}

/// Decimal numbers, one a line, the first the count of pairs; padded to a whole block.
fn read_map(data: &mut impl Read) -> Result<(Vec<u64>, u64), TarError> {
    let mut numbers = Vec::new();
    let mut wanted = 1;
    let mut line = Vec::new();
    let mut taken = 0;
    loop {
        let mut block = [0; BLOCK];
        data.read_exact(&mut block)?;
        taken += BLOCK as u64;
        for byte in block {
            if numbers.len() == wanted {
                break;
            }
            if byte != b'\n' {
                line.push(byte);
                if line.len() > 20 {
                    return Err(BAD);
                }
                continue;
            }
            let number = pax::number(&line).ok_or(BAD)?;
            line.clear();
            if numbers.is_empty() {
                let count = usize::try_from(number).ok().filter(|count| *count <= MAX_PARTS).ok_or(BAD)?;
                wanted += 2 * count;
            }
            numbers.push(number);
        }
        if numbers.len() == wanted {
            numbers.remove(0);
            return Ok((numbers, taken));
        }
    }
}

fn pairs(numbers: &[u64]) -> Result<Vec<Part>, TarError> {
    if !numbers.len().is_multiple_of(2) {
        return Err(BAD);
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Parts in order, apart, inside the file, and together exactly the data that the archive holds.
pub fn check(parts: &[Part], size: u64, stored: u64) -> Result<(), TarError> {
    let (mut end, mut sum) = (0u64, 0u64);
    for (offset, length) in parts {
        if *offset < end {
            return Err(BAD);
        }
        end = offset.checked_add(*length).ok_or(BAD)?;
        sum = sum.checked_add(*length).ok_or(BAD)?;
    }
    if end > size || sum != stored || parts.len() > MAX_PARTS { Err(BAD) } else { Ok(()) }
}

/// The old GNU form: four parts in the header, more in the blocks behind it.
pub fn old_gnu(header: &::tar::GnuHeader, source: &mut impl Read) -> Result<(Vec<Part>, u64), TarError> {
    let mut parts = Vec::new();
    let mut add = |entries: &[::tar::GnuSparseHeader]| {
        for entry in entries.iter().filter(|entry| !entry.is_empty()) {
            parts.push((entry.offset().map_err(|_| BAD)?, entry.length().map_err(|_| BAD)?));
        }
        if parts.len() > MAX_PARTS { Err(BAD) } else { Ok(()) }
    };
    add(&header.sparse)?;
    let mut more = header.is_extended();
    while more {
        let mut block = ::tar::GnuExtSparseHeader::new();
        source.read_exact(block.as_mut_bytes())?;
        add(&block.sparse)?;
        more = block.is_extended();
    }
    Ok((parts, header.real_size().map_err(|_| BAD)?))
}
