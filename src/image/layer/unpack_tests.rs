//! Attacks on the unpacker, and what honest layers need of it. Each archive is built in memory; the checks look at the
//! file system. As root, since owners and devices are part of it.

use super::{
    LayerError,
    unpack::{Limits, Unpacked, adopt_directories, unpack},
};
use rustix::fs as rfs;
use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// A layer directory beside a file that nothing may reach.
struct Bench {
    dir: TempDir,
    root: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("layer");
        fs::create_dir(&root).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "untouched").unwrap();
        Self { dir, root }
    }

    fn unpack(&self, archive: Vec<u8>) -> Result<Unpacked, LayerError> {
        let result = unpack(&archive[..], &self.root, Limits { bytes: 1 << 20, files: 1000 });
        let outside: Vec<_> = fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(outside.len(), 2, "{outside:?}");
        assert_eq!(fs::read_to_string(self.dir.path().join("outside/secret")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(self.dir.path().join("outside")).unwrap().count(), 1);
        result
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn xattr(&self, name: &str, key: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 256];
        let length = rfs::lgetxattr(self.path(name), key, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }
}

/// An archive, member by member. Names go in raw: the crate's own setters refuse the interesting ones.
struct Archive(Builder<Vec<u8>>);

impl Archive {
    fn add(mut self, kind: EntryType, name: &str, link: &str, data: &[u8], edit: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000);
        header.set_size(data.len() as u64);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        edit(&mut header);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }
    fn dir(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "", b"", |_| {})
    }
    fn file(self, name: &str, text: &str) -> Self {
        self.add(EntryType::Regular, name, "", text.as_bytes(), |_| {})
    }
    fn symlink(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, b"", |_| {})
    }
    fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, target, b"", |_| {})
    }
    fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }
    fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn archive() -> Archive {
    Archive(Builder::new(Vec::new()))
}

#[test]
fn names_that_climb_out_are_refused_and_absolute_ones_are_taken_as_inside() {
    for name in ["../outside/secret", "a/../../outside/secret", "/../outside/secret", ".."] {
        let error = Bench::new().unpack(archive().file(name, "evil").done()).unwrap_err();
        assert!(matches!(error, LayerError::Escapes { .. }), "{name}: {error}");
    }
    let bench = Bench::new();
    bench.unpack(archive().file("/etc/x", "1").file("./a//b/./c", "2").file("a/../d", "3").done()).unwrap();
    assert_eq!((bench.text("etc/x"), bench.text("a/b/c"), bench.text("d")), ("1".into(), "2".into(), "3".into()));
}

#[test]
fn writing_through_a_link_stays_inside() {
    for target in ["../outside", "../../../../../../../../", "/", "/proc/self/cwd"] {
        let bench = Bench::new();
        let absolute = bench.dir.path().join("outside").display().to_string();
        let result = bench.unpack(archive().symlink("l", target).file("l/secret", "evil").done());
        // Whether it is refused or lands inside, nothing outside may change: `unpack` of the bench looks.
        drop(result);
        let bench = Bench::new();
        drop(bench.unpack(archive().symlink("l", &absolute).file("l/secret", "evil").done()));
        assert!(bench.path(absolute.trim_start_matches('/')).join("secret").exists());
    }
    let bench = Bench::new();
    bench.unpack(archive().dir("usr/lib").symlink("lib", "usr/lib").file("lib/x", "1").done()).unwrap();
    assert_eq!(bench.text("usr/lib/x"), "1");
}

#[test]
fn a_link_is_replaced_and_not_written_through() {
    let bench = Bench::new();
    let target = bench.dir.path().join("outside/secret").display().to_string();
    bench.unpack(archive().symlink("x", &target).file("x", "mine").done()).unwrap();
    assert!(!bench.path("x").is_symlink());
    let bench = Bench::new();
    bench.unpack(archive().symlink("d", "../outside").dir("d").file("d/secret", "mine").done()).unwrap();
    assert_eq!(bench.text("d/secret"), "mine");
}

#[test]
fn hard_links_reach_files_of_the_layer_alone() {
    let bench = Bench::new();
    let absolute = bench.dir.path().join("outside/secret").display().to_string();
    assert!(bench.unpack(archive().link("x", &absolute).done()).is_err());
    let climbing = archive().link("x", "../outside/secret").done();
    assert!(matches!(bench.unpack(climbing), Err(LayerError::Escapes { .. })));
    let through = archive().symlink("d", "../outside").link("x", "d/secret").done();
    assert!(Bench::new().unpack(through).is_err());
    // A link to a link is one, and what it points to stays out of it.
    let bench = Bench::new();
    let twice = archive().symlink("s", "../outside/secret").link("x", "s").done();
    bench.unpack(twice).unwrap();
    assert!(bench.path("x").is_symlink());
    let bench = Bench::new();
    let honest = archive().file("a", "1").link("b/c", "./a").link("a", "a").done();
    bench.unpack(honest).unwrap();
    assert_eq!(fs::metadata(bench.path("a")).unwrap().nlink(), 2);
    assert_eq!(bench.text("b/c"), "1");
}

#[test]
fn whiteouts_hide_what_is_below_and_only_that() {
    let bench = Bench::new();
    let archive = archive()
        .file("etc/.wh.gone", "")
        .file("mine", "stays")
        .file(".wh.mine", "")
        .file(".wh.anew", "")
        .dir("anew")
        .dir("before")
        .file("before/x", "1")
        .file(".wh.before", "")
        .file(".wh.unsaid", "")
        .file("unsaid/deep/x", "1")
        .dir("opaque")
        .file("opaque/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "aufs")
        .done();
    bench.unpack(archive).unwrap();
    let whiteout = fs::symlink_metadata(bench.path("etc/gone")).unwrap();
    assert!(whiteout.file_type().is_char_device());
    assert_eq!(whiteout.rdev(), 0);
    assert_eq!(bench.text("mine"), "stays");
    assert_eq!(bench.text("before/x"), "1");
    for dir in ["anew", "before", "opaque", "unsaid"] {
        assert_eq!(bench.xattr(dir, "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]), "{dir}");
    }
    let mut names: Vec<_> = fs::read_dir(&bench.root).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["anew", "before", "etc", "mine", "opaque", "unsaid"]);
}

#[test]
fn a_whiteout_of_the_top_or_of_nothing_is_refused() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh..", "a/.wh..."] {
        let bench = Bench::new();
        let error = bench.unpack(archive().file("keep", "").file(name, "").done()).unwrap_err();
        assert!(error.to_string().contains("hides no file"), "{name}: {error}");
        assert!(bench.path("keep").exists());
    }
}

#[test]
fn owners_modes_times_and_kinds_arrive() {
    let bench = Bench::new();
    let owned = |mode: u32| {
        move |header: &mut Header| {
            header.set_mode(mode);
            header.set_uid(1234);
            header.set_gid(4321);
        }
    };
    let device = |header: &mut Header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    };
    let archive = archive()
        .add(EntryType::Directory, "./", "", b"", owned(0o711))
        .add(EntryType::Directory, "d", "", b"", owned(0o2770))
        .add(EntryType::Regular, "d/su", "", b"#!", owned(0o4755))
        .add(EntryType::Symlink, "d/l", "su", b"", owned(0o777))
        .add(EntryType::Char, "d/null", "", b"", device)
        .add(EntryType::Block, "d/disk", "", b"", device)
        .add(EntryType::Fifo, "d/pipe", "", b"", owned(0o600))
        .done();
    bench.unpack(archive).unwrap();
    let look = |name: &str| {
        let data = fs::symlink_metadata(bench.path(name)).unwrap();
        (data.uid(), data.gid(), data.permissions().mode() & 0o7777, data.mtime())
    };
    assert_eq!(look(""), (1234, 4321, 0o711, 1_000_000));
    assert_eq!(look("d"), (1234, 4321, 0o2770, 1_000_000));
    assert_eq!(look("d/su"), (1234, 4321, 0o4755, 1_000_000));
    assert_eq!(look("d/l"), (1234, 4321, 0o777, 1_000_000));
    assert_eq!(look("d/pipe"), (1234, 4321, 0o600, 1_000_000));
    let kind = |name: &str| fs::symlink_metadata(bench.path(name)).unwrap();
    assert!(kind("d/null").file_type().is_char_device() && kind("d/disk").file_type().is_block_device());
    assert_eq!(kind("d/null").rdev(), rfs::makedev(1, 3));
    assert!(kind("d/pipe").file_type().is_fifo());
}

#[test]
fn a_later_member_outweighs_an_earlier_one() {
    let bench = Bench::new();
    let archive = archive()
        .file("a", "first and longer")
        .file("a", "second")
        .dir("b")
        .file("b/c/d", "deep")
        .file("b", "now a file")
        .file("e", "a file")
        .dir("e")
        .file("e/f", "inside")
        .file("g/h", "1")
        .symlink("g", "e")
        .file("g/h", "2")
        .done();
    bench.unpack(archive).unwrap();
    assert_eq!(bench.text("a"), "second");
    assert_eq!(bench.text("b"), "now a file");
    assert_eq!(bench.text("e/f"), "inside");
    assert_eq!(bench.text("e/h"), "2");
}

#[test]
fn xattrs_arrive_byte_for_byte_but_overlayfs_is_not_steered() {
    let bench = Bench::new();
    // cap_dac_override,cap_fowner in a version 2 capability holds a line end.
    let capability = [1, 0, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = archive()
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.note", b"a\nb=c"),
            ("mtime", b"12.25"),
        ])
        .add(EntryType::Regular, "x", "", b"1", |header| header.set_uid(7))
        .done();
    bench.unpack(archive).unwrap();
    assert_eq!(bench.xattr("x", "security.capability").as_deref(), Some(&capability[..]));
    assert_eq!(bench.xattr("x", "user.note").as_deref(), Some(&b"a\nb=c"[..]));
    for key in ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque"] {
        assert_eq!(bench.xattr("x", key), None, "{key}");
    }
    let data = fs::metadata(bench.path("x")).unwrap();
    assert_eq!((data.mtime(), data.mtime_nsec()), (12, 250_000_000));
}

#[test]
fn long_names_come_by_both_roads() {
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let bench = Bench::new();
    let gnu = archive()
        .add(EntryType::GNULongName, "././@LongLink", "", format!("{long}\0").as_bytes(), |_| {})
        .file("cut", "gnu")
        .pax(&[("path", format!("{long}-pax").as_bytes()), ("size", b"3"), ("uid", b"3000000")])
        .add(EntryType::Regular, "cut", "", b"pax", |header| header.set_size(3))
        .add(EntryType::GNULongLink, "././@LongLink", "", format!("{long}\0").as_bytes(), |_| {})
        .symlink("s", "cut")
        .done();
    bench.unpack(gnu).unwrap();
    assert_eq!(bench.text(&long), "gnu");
    assert_eq!(bench.text(&format!("{long}-pax")), "pax");
    assert_eq!(fs::metadata(bench.path(&format!("{long}-pax"))).unwrap().uid(), 3_000_000);
    assert_eq!(fs::read_link(bench.path("s")).unwrap(), Path::new(&long));
    assert!(!bench.path("cut").exists());
}

#[test]
fn sparse_files_keep_their_holes() {
    let bench = Bench::new();
    let mut data = b"2\n0\n5\n100000\n5\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"helloworld");
    let pax = archive()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"new"),
            ("GNU.sparse.realsize", b"200000"),
        ])
        .add(EntryType::Regular, "GNUSparseFile.0/new", "", &data, |_| {})
        .pax(&[("GNU.sparse.size", b"60000"), ("GNU.sparse.map", b"50000,5")])
        .add(EntryType::Regular, "middle", "", b"hello", |_| {})
        .add(EntryType::GNUSparse, "old", "", b"hello", |header| {
            let gnu = header.as_gnu_mut().unwrap();
            gnu.sparse[0].offset.copy_from_slice(b"00000020000\0");
            gnu.sparse[0].numbytes.copy_from_slice(b"00000000005\0");
            gnu.realsize.copy_from_slice(b"00000040000\0");
        })
        .done();
    bench.unpack(pax).unwrap();
    for (name, size, places) in [
        ("new", 200_000, vec![(0, "hello"), (100_000, "world")]),
        ("middle", 60_000, vec![(50_000, "hello")]),
        ("old", 0o40000, vec![(0o20000, "hello")]),
    ] {
        let bytes = fs::read(bench.path(name)).unwrap();
        assert_eq!(bytes.len(), size, "{name}");
        for (offset, text) in &places {
            assert_eq!(&bytes[*offset..offset + 5], text.as_bytes(), "{name}");
        }
        let filled: usize = places.iter().map(|(_, text)| text.len()).sum();
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), filled, "{name}");
    }
    for map in [&b"10,5,0,5"[..], b"0,99", b"0", b"0,5,3,5", b"18446744073709551615,5"] {
        let archive = archive()
            .pax(&[("GNU.sparse.size", b"20"), ("GNU.sparse.map", map)])
            .add(EntryType::Regular, "x", "", b"0123456789", |_| {})
            .done();
        assert!(Bench::new().unpack(archive).is_err(), "{}", String::from_utf8_lossy(map));
    }
}

#[test]
fn bombs_are_stopped_by_the_limits() {
    let too_many = (0..1001).fold(archive(), |archive, n| archive.file(&format!("f{n}"), "")).done();
    assert!(matches!(Bench::new().unpack(too_many), Err(LayerError::TooBig { what: "files", .. })));
    let large = "x".repeat(600 << 10);
    let too_large = archive().file("a", &large).file("b", &large).done();
    assert!(matches!(Bench::new().unpack(too_large), Err(LayerError::TooBig { what: "bytes", .. })));
    // A size that the archive does not have, and one that overflows.
    let liar = archive().add(EntryType::Regular, "a", "", b"", |header| header.set_size(1 << 50)).done();
    assert!(matches!(Bench::new().unpack(liar), Err(LayerError::TooBig { .. })));
    let overflow = archive().pax(&[("size", b"18446744073709551615")]).file("a", "x").done();
    assert!(Bench::new().unpack(overflow).is_err());
    // A long name that would fill the memory.
    let name = archive().add(EntryType::GNULongName, "l", "", b"", |header| header.set_size(1 << 40)).done();
    assert!(Bench::new().unpack(name).unwrap_err().to_string().contains("a header of"));
    let headers = (0..20).fold(archive(), |archive, _| archive.pax(&[("comment", b"x")])).file("a", "").done();
    assert!(Bench::new().unpack(headers).is_err());
}

#[test]
fn what_is_no_proper_archive_is_an_error_and_never_a_panic() {
    let good = archive().file("a", "text").dir("b").done();
    // Every cut of the archive but those at its end: the two blocks of zeros are optional.
    for length in (1..1024).step_by(7) {
        let result = Bench::new().unpack(good[..length].to_vec());
        assert!(result.is_err() == (length != 0), "{length}");
    }
    let mut wrong = good.clone();
    wrong[0] ^= 1;
    assert!(Bench::new().unpack(wrong).unwrap_err().to_string().contains("checksum"));
    assert!(Bench::new().unpack(b"<html>not found</html>".repeat(100)).is_err());
    let top = archive().file("./", "x").add(EntryType::Symlink, ".", "/etc", b"", |_| {}).done();
    assert!(Bench::new().unpack(top).unwrap_err().to_string().contains("top of a layer"));
    let zero = archive().pax(&[("path", b"a\0b")]).file("x", "").done();
    assert!(Bench::new().unpack(zero).unwrap_err().to_string().contains("zero byte"));
    let owner = archive().pax(&[("uid", b"4294967295")]).file("x", "").done();
    assert!(Bench::new().unpack(owner).unwrap_err().to_string().contains("out of range"));
    let child_of_file = archive().file("a", "").file("a/b", "").done();
    assert!(Bench::new().unpack(child_of_file).is_err());
}

#[test]
fn implied_directories_take_after_the_layers_below() {
    let below = Bench::new();
    let owned = |header: &mut Header| {
        header.set_mode(0o1777);
        header.set_uid(5);
    };
    below
        .unpack(
            archive()
                .add(EntryType::Directory, ".", "", b"", owned)
                .add(EntryType::Directory, "tmp", "", b"", owned)
                .dir("tmp/x")
                .symlink("own", "/etc")
                .done(),
        )
        .unwrap();
    let bench = Bench::new();
    let unpacked = bench.unpack(archive().file("tmp/x/y", "1").file("own/z", "2").done()).unwrap();
    let mut implied = unpacked.implied.clone();
    implied.sort();
    assert_eq!(implied, ["", "own", "tmp", "tmp/x"].map(Path::new));
    assert_eq!(unpacked.bytes, 2);
    adopt_directories(&bench.root, std::slice::from_ref(&below.root), &unpacked.implied).unwrap();
    for name in ["", "tmp"] {
        let data = fs::metadata(bench.path(name)).unwrap();
        assert_eq!((data.uid(), data.permissions().mode() & 0o7777, data.mtime()), (5, 0o1777, 1_000_000), "{name}");
    }
    assert_eq!(fs::metadata(bench.path("own")).unwrap().permissions().mode() & 0o7777, 0o755);
}

/// An archive with a member of every kind, and where its headers are.
fn specimen() -> (Vec<u8>, Vec<usize>) {
    let bytes = archive()
        .dir("d")
        .file("d/f", "text")
        .symlink("d/s", "../f")
        .link("d/h", "d/f")
        .file("d/.wh.gone", "")
        .add(EntryType::GNULongName, "l", "", b"a/long/name\0", |_| {})
        .file("cut", "more")
        .pax(&[("path", b"p/q"), ("size", b"4"), ("SCHILY.xattr.user.x", b"1"), ("mtime", b"1.5")])
        .file("cut", "data")
        .pax(&[("GNU.sparse.size", b"60"), ("GNU.sparse.map", b"50,5")])
        .file("sparse", "hello")
        .done();
    let headers = (0..bytes.len() / 512).map(|block| block * 512).filter(|at| &bytes[at + 257..at + 262] == b"ustar");
    let headers = headers.collect();
    (bytes, headers)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    /// Whatever the bytes are, the answer is a layer or an error, and nothing outside changes (the bench looks).
    #[test]
    fn no_damage_of_an_archive_leads_out(
        edits in proptest::collection::vec((0usize..20_000, proptest::prelude::any::<u8>()), 1..6),
        words in proptest::collection::vec((0usize..40, proptest::sample::select(vec![
            "../../outside/secret", "/", "..", "d/s/x", "\u{0}", ".wh.", "99999999999", "-1", "5", "S", "L", "x", "1",
        ])), 0..3),
        fix in proptest::prelude::any::<bool>(),
    ) {
        let (mut bytes, headers) = specimen();
        for (position, value) in edits {
            let position = position % bytes.len();
            bytes[position] = value;
        }
        for (header, word) in words {
            // Name, size, type or link target of some member.
            let at = headers[header % headers.len()] + [0, 124, 156, 157][header % 4];
            bytes[at..at + word.len()].copy_from_slice(word.as_bytes());
        }
        for at in headers.iter().filter(|_| fix) {
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&bytes[*at..at + 512]);
            header.set_cksum();
            bytes[*at..at + 512].copy_from_slice(header.as_bytes());
        }
        let _ = Bench::new().unpack(bytes);
    }
}
