//! Writes tar members: ustar headers, and a PAX header before what ustar has no room for.
//!
//! The same file gives the same bytes: no access times, no names of users, times in whole seconds, as Docker and
//! containerd write layers.

use crate::image::tree::Attributes;
use std::io::{self, Write};

const BLOCK: usize = 512;
/// The largest number of seven octal digits, an id's field.
const MAX_ID: u32 = 0o777_7777;
/// The largest number of eleven octal digits, a size's and a time's field.
const MAX_LONG: u64 = 0o777_7777_7777;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    File = b'0' as isize,
    HardLink = b'1' as isize,
    Symlink = b'2' as isize,
    Character = b'3' as isize,
    Block = b'4' as isize,
    Directory = b'5' as isize,
    Fifo = b'6' as isize,
    Pax = b'x' as isize,
}

pub struct Member<'a> {
    pub kind: Type,
    /// Relative; a directory's ends in a slash.
    pub name: &'a [u8],
    /// Target of a link.
    pub link: &'a [u8],
    pub attributes: &'a Attributes,
    /// Of a regular file, whose bytes follow.
    pub size: u64,
    pub device: (u32, u32),
}

/// The header of one member.
pub fn header(out: &mut impl Write, member: &Member<'_>) -> io::Result<()> {
    let attributes = member.attributes;
    let mut records = Vec::new();
    let (prefix, name) = split(member.name).unwrap_or_else(|| {
        record(&mut records, b"path", member.name);
        (&[], tail(member.name))
    });
    if member.link.len() > 100 {
        record(&mut records, b"linkpath", member.link);
    }
    let seconds = attributes.mtime.0;
    if u64::try_from(seconds).is_ok_and(|seconds| seconds > MAX_LONG) || seconds < 0 {
        record(&mut records, b"mtime", seconds.to_string().as_bytes());
    }
    for (key, id) in [(&b"uid"[..], attributes.uid), (b"gid", attributes.gid)] {
        if id > MAX_ID {
            record(&mut records, key, id.to_string().as_bytes());
        }
    }
    if member.size > MAX_LONG {
        record(&mut records, b"size", member.size.to_string().as_bytes());
    }
    for (name, value) in &attributes.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", name.to_bytes()].concat(), value);
    }
    if !records.is_empty() {
        let nothing = Attributes { mode: 0o644, ..Attributes::default() };
        let kind = Type::Pax;
        let size = records.len() as u64;
        let member = Member { kind, name: b"", link: b"", attributes: &nothing, size, device: (0, 0) };
        out.write_all(&block(&member, b"", b"PaxHeaders"))?;
        out.write_all(&records)?;
        padding(out, size)?;
    }
    out.write_all(&block(member, prefix, name))
}

/// Behind the bytes of a file.
pub fn padding(out: &mut impl Write, size: u64) -> io::Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over > 0 { out.write_all(&[0; BLOCK][over..]) } else { Ok(()) }
}

/// Behind the last member.
pub fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn block(member: &Member<'_>, prefix: &[u8], name: &[u8]) -> [u8; BLOCK] {
    let attributes = member.attributes;
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], u64::from(attributes.mode & 0o7777));
    let id = |id: u32| if id > MAX_ID { 0 } else { u64::from(id) };
    octal(&mut block[108..116], id(attributes.uid));
    octal(&mut block[116..124], id(attributes.gid));
    let size = if matches!(member.kind, Type::File | Type::Pax) { member.size } else { 0 };
    octal(&mut block[124..136], if size > MAX_LONG { 0 } else { size });
    let seconds = u64::try_from(attributes.mtime.0).unwrap_or(0);
    octal(&mut block[136..148], if seconds > MAX_LONG { 0 } else { seconds });
    block[156] = member.kind as u8;
    let link = &member.link[..member.link.len().min(100)];
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    if matches!(member.kind, Type::Character | Type::Block) {
        octal(&mut block[329..337], u64::from(member.device.0));
        octal(&mut block[337..345], u64::from(member.device.1));
    }
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    // The sum counts its own field as spaces.
    let sum = block.iter().map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ');
    octal(&mut block[148..155], sum);
    block[155] = b' ';
    block
}

/// Digits, and a zero byte at the end.
fn octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    for (place, byte) in field[..width].iter_mut().rev().enumerate() {
        *byte = b'0' + u8::try_from((number >> (3 * place)) & 7).unwrap_or(0);
    }
}

/// Prefix and name as ustar joins them by a slash; `None` where they do not fit, or are not ASCII, of which ustar
/// knows nothing else.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((&[], path));
    }
    // The first slash that leaves a name short enough.
    let from = path.len() - 101;
    let slash = from + path[from..path.len() - 1].iter().position(|byte| *byte == b'/')?;
    (slash <= 155 && slash > 0).then(|| (&path[..slash], &path[slash + 1..]))
}

/// What old readers see of a name that stands in a PAX record.
fn tail(path: &[u8]) -> &[u8] {
    &path[path.len().saturating_sub(100)..]
}

/// `<length> <key>=<value>\n`, the length with its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn archive(members: &[Member<'_>], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for member in members {
            header(&mut out, member).unwrap();
            if member.kind == Type::File {
                out.extend_from_slice(data);
                padding(&mut out, member.size).unwrap();
            }
        }
        end(&mut out).unwrap();
        out
    }

    #[test]
    fn what_is_written_is_read_by_another_hand() {
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(90));
        let very_long = "x".repeat(300);
        let plain = Attributes { uid: 1, gid: 2, mode: 0o4755, mtime: (1_700_000_000, 5), xattrs: Vec::new() };
        let odd = Attributes {
            uid: 5_000_000,
            gid: u32::MAX - 1,
            mode: 0o600,
            mtime: (-5, 0),
            xattrs: vec![(c"security.capability".into(), b"\x01\n=\0".to_vec())],
        };
        let file = |name, attributes| Member { kind: Type::File, name, link: b"", attributes, size: 5, device: (0, 0) };
        let members = [
            file(b"short", &plain),
            file(long.as_bytes(), &plain),
            file(very_long.as_bytes(), &odd),
            file("grüße".as_bytes(), &plain),
            Member { kind: Type::Character, device: (5, 1), size: 0, ..file(b"dev", &plain) },
            Member { kind: Type::Symlink, link: very_long.as_bytes(), size: 0, ..file(b"link", &plain) },
        ];
        let bytes = archive(&members, b"hello");
        assert_eq!(bytes.len() % BLOCK, 0);
        assert_eq!(bytes, archive(&members, b"hello"));
        let mut archive = ::tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let extensions: Vec<(String, Vec<u8>)> = entry
                .pax_extensions()
                .unwrap()
                .map(|found| found.flatten().map(|e| (e.key().unwrap().to_owned(), e.value_bytes().to_vec())).collect())
                .unwrap_or_default();
            seen.push((entry.path_bytes().to_vec(), entry.link_name_bytes().map(|l| l.to_vec()), text, extensions));
            if entry.path_bytes().as_ref() == b"short" {
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (1, 2));
                assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o4755, 1_700_000_000));
            }
        }
        let names: Vec<&[u8]> = members.iter().map(|member| member.name).collect();
        assert_eq!(seen.iter().map(|entry| entry.0.as_slice()).collect::<Vec<_>>(), names);
        assert!(seen[..4].iter().all(|entry| entry.2 == "hello"));
        assert_eq!(seen[5].1.as_deref(), Some(very_long.as_bytes()));
        let keys: Vec<&str> = seen[2].3.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys[..4], ["path", "mtime", "uid", "gid"]);
    }
}
