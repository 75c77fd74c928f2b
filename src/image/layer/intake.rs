//! The pipe of one layer, from its source to its directory: counts, hashes twice, keeps the blob, unpacks.

use super::{LayerError, Limits, Unpacked, decompress, unpack};
use crate::image::digest::{Digest, Hasher};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

const BUFFER: usize = 256 << 10;

/// What is known about a layer before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Of the blob; `None` in a docker-archive, which names layers by path.
    pub digest: Option<Digest>,
    /// Bytes of the blob.
    pub size: Option<u64>,
    pub diff_id: Digest,
}

/// A layer that was read, verified, and where asked unpacked.
#[derive(Debug)]
pub struct Intaken {
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    pub unpacked: Unpacked,
}

/// Reads `source` to its end. `blob` gets a copy behind the bytes that it has already, with which the source begins;
/// `dir`, which is empty, gets the files. `arrived` is told each number of bytes.
pub fn intake(
    source: impl Read,
    expected: Expected,
    blob: Option<(File, u64)>,
    dir: Option<&Path>,
    arrived: &mut dyn FnMut(u64),
) -> Result<Intaken, LayerError> {
    let mut meter =
        Meter { source, hasher: Hasher::default(), count: 0, limit: expected.size, blob, failed: None, arrived };
    let unpacked = unpack_verified(&mut meter, expected.diff_id, dir);
    let unpacked = match unpacked {
        Err(error) if lacks_room(&error) => return Err(error),
        other => other,
    };
    // Also after a failure: when the bytes are not those that were asked for, that is the true cause.
    let drained = io::copy(&mut meter, &mut io::sink());
    if let Some(failed) = meter.failed {
        return Err(failed);
    }
    drained.map_err(LayerError::Read)?;
    let (digest, size) = (meter.hasher.finish(), meter.count);
    if let Some(wanted) = expected.digest.filter(|wanted| *wanted != digest) {
        return Err(LayerError::BlobDigest { expected: wanted, actual: digest });
    }
    if let Some(wanted) = expected.size.filter(|wanted| *wanted != size) {
        return Err(LayerError::Size { expected: wanted, actual: size });
    }
    Ok(Intaken { digest, size, unpacked: unpacked? })
}

/// No room here: the rest of the layer would be read for nothing.
fn lacks_room(error: &LayerError) -> bool {
    match error {
        LayerError::TooBig { .. } => true,
        LayerError::Entry { source, .. } => {
            matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}

/// Without `dir` the content is verified all the same.
fn unpack_verified<R: Read>(
    meter: &mut Meter<'_, R>,
    diff_id: Digest,
    dir: Option<&Path>,
) -> Result<Unpacked, LayerError> {
    let plain = decompress(BufReader::with_capacity(BUFFER, meter))?;
    let mut plain = BufReader::with_capacity(BUFFER, Hashing { inner: plain, hasher: Hasher::default() });
    let unpacked = match dir {
        Some(dir) => {
            let unpacked = unpack::unpack(&mut plain, dir, Limits::of(dir)?)?;
            // What follows the archive's end counts for the digest; more than any writer pads with is a bomb.
            let trailing = io::copy(&mut plain.by_ref().take(TRAILING), &mut io::sink()).map_err(LayerError::Read)?;
            if trailing == TRAILING {
                return Err(LayerError::Malformed { name: "end of the archive".into(), reason: "too much follows it" });
            }
            unpacked
        }
        None => {
            io::copy(&mut plain, &mut io::sink()).map_err(LayerError::Read)?;
            Unpacked::default()
        }
    };
    let actual = plain.into_inner().hasher.finish();
    if actual != diff_id {
        return Err(LayerError::DiffId { expected: diff_id, actual });
    }
    Ok(unpacked)
}

/// Archives are padded to their writer's record size, commonly 10 KiB.
const TRAILING: u64 = 64 << 20;

/// The compressed bytes on their way.
struct Meter<'a, R> {
    source: R,
    hasher: Hasher,
    count: u64,
    limit: Option<u64>,
    /// With the bytes that it has already.
    blob: Option<(File, u64)>,
    /// The reason of an error of ours that has to pass through other readers.
    failed: Option<LayerError>,
    arrived: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Meter<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        let length = self.source.read(buffer)?;
        let before = self.count;
        self.count += length as u64;
        if let Some(limit) = self.limit.filter(|limit| self.count > *limit) {
            self.failed = Some(LayerError::Size { expected: limit, actual: self.count });
            return Err(io::ErrorKind::Other.into());
        }
        self.hasher.update(&buffer[..length]);
        if let Some((blob, kept)) = &self.blob {
            let fresh = usize::try_from(kept.saturating_sub(before)).unwrap_or(length).min(length);
            if let Err(error) = blob.write_all_at(&buffer[fresh..length], before + fresh as u64) {
                self.failed = Some(LayerError::Blob(error));
                return Err(io::ErrorKind::Other.into());
            }
        }
        (self.arrived)(length as u64);
        Ok(length)
    }
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
