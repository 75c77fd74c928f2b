//! The plain bytes of an archive: what layers may be compressed with, and what archives are besides, xz and bzip2. Told
//! by the first bytes.

use crate::image::layer::{LayerError, decompress};
use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
};

const XZ: &[u8] = b"\xfd7zXZ\0";
const BZIP2: &[u8] = b"BZh";
const BUFFER: usize = 256 << 10;
/// KiB for a dictionary: xz -9 needs 65 MiB; a header can ask for 4 GiB.
const XZ_MEMORY: u32 = 256 << 10;

/// From the beginning of the file.
pub fn plain(file: &mut File) -> Result<Box<dyn Read + '_>, LayerError> {
    let mut head = [0; 6];
    let length = read_head(file, &mut head).map_err(LayerError::Read)?;
    let head = &head[..length];
    let reader = BufReader::with_capacity(BUFFER, file);
    if head.starts_with(XZ) {
        Ok(Box::new(XzReader::new_mem_limit(reader, true, XZ_MEMORY)))
    } else if head.starts_with(BZIP2) {
        Ok(Box::new(MultiBzDecoder::new(reader)))
    } else {
        decompress(reader)
    }
}

fn read_head(file: &mut File, head: &mut [u8]) -> io::Result<usize> {
    file.rewind()?;
    let mut length = 0;
    while length < head.len() {
        match file.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    Ok(length)
}
