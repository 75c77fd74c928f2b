//! An image as `docker save` and `muster save` write it: configuration, layers, and the files that they show together.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io::Read,
    path::{Component, Path},
};
use tar::{Archive, Entry, EntryType};

const OPAQUE: &str = ".wh..wh..opq";

pub struct Outcome {
    pub config: Value,
    pub layers: Vec<Layer>,
    pub tree: BTreeMap<String, Node>,
}

/// The paths that a layer holds, of what it takes away with the name of the whiteout. A directory that is as it was is
/// not counted, nor is a mark that it is opaque: the tree tells.
pub type Layer = BTreeSet<String>;

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub mode: u32,
    pub owner: (u64, u64),
    pub time: u64,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Names of one file have one: where it is written first.
    pub file: (usize, String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Dir,
    File(Vec<u8>),
    Link(String),
    Device(char, u32, u32),
    Fifo,
}

/// Of one layer alone.
pub fn files(tar: &[u8]) -> BTreeMap<String, Node> {
    let mut outcome = Outcome { config: Value::Null, layers: Vec::new(), tree: BTreeMap::new() };
    outcome.layer(tar);
    outcome.tree
}

impl Outcome {
    pub fn read(archive: &[u8]) -> Self {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for entry in Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(clean(&entry.path().unwrap()), bytes);
        }
        let list: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let file = |name: &Value| files[name.as_str().unwrap()].as_slice();
        let mut outcome = Self {
            config: serde_json::from_slice(file(&list[0]["Config"])).unwrap(),
            layers: Vec::new(),
            tree: BTreeMap::new(),
        };
        for name in list[0]["Layers"].as_array().unwrap() {
            let mut tar = Vec::new();
            let blob = file(name);
            match blob.starts_with(&[0x1f, 0x8b]) {
                true => drop(flate2::read::GzDecoder::new(blob).read_to_end(&mut tar).unwrap()),
                false => tar.extend_from_slice(blob),
            }
            outcome.layer(&tar);
        }
        outcome
    }

    fn layer(&mut self, tar: &[u8]) {
        let number = self.layers.len();
        let mut layer = Layer::new();
        let below = self.tree.clone();
        let mut own = BTreeSet::new();
        for entry in Archive::new(tar).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = clean(&entry.path().unwrap());
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let parent = path.strip_suffix(&name).unwrap_or_default().to_owned();
            let is_same = entry.header().entry_type().is_dir() && {
                let node = self.node(&mut entry, (number, path.clone()));
                below.get(&path).is_some_and(|old| (&old.kind, old.describe()) == (&node.kind, node.describe()))
            };
            if !is_same && name != OPAQUE {
                layer.insert(path.clone());
            }
            if name == OPAQUE {
                for path in below.keys().filter(|path| path.starts_with(&parent) && !own.contains(*path)) {
                    self.tree.remove(path);
                }
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                let gone = format!("{parent}{gone}");
                self.tree.retain(|path, _| own.contains(path) || !is_at_or_below(path, &gone));
            } else {
                let node = self.node(&mut entry, (number, path.clone()));
                if node.kind != Kind::Dir {
                    self.tree.retain(|path_below, _| !is_at_or_below(path_below, &path));
                }
                own.insert(path.clone());
                self.tree.insert(path, node);
            }
        }
        self.layers.push(layer);
    }

    fn node(&self, entry: &mut Entry<'_, impl Read>, file: (usize, String)) -> Node {
        let xattrs = xattrs(entry);
        let header = entry.header().clone();
        let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
        let device = || (header.device_major().unwrap().unwrap(), header.device_minor().unwrap().unwrap());
        let kind = match header.entry_type() {
            EntryType::Link => return self.tree[&clean(Path::new(&target.unwrap()))].clone(),
            EntryType::Directory => Kind::Dir,
            EntryType::Symlink => Kind::Link(target.unwrap()),
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char => Kind::Device('c', device().0, device().1),
            EntryType::Block => Kind::Device('b', device().0, device().1),
            _ => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                Kind::File(bytes)
            }
        };
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        Node { kind, mode: header.mode().unwrap() & 0o7777, owner, time: header.mtime().unwrap(), xattrs, file }
    }

    /// All names of a file, the least of them first.
    pub fn names(&self) -> BTreeMap<&(usize, String), Vec<&str>> {
        let mut names: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for (path, node) in self.tree.iter().filter(|(_, node)| node.kind != Kind::Dir) {
            names.entry(&node.file).or_default().push(path);
        }
        names
    }
}

impl Node {
    pub fn describe(&self) -> String {
        let mut text = match &self.kind {
            Kind::Dir => "dir".to_owned(),
            Kind::File(bytes) if bytes.len() > 200 => format!("file of {} bytes", bytes.len()),
            Kind::File(bytes) => format!("file {:?}", String::from_utf8_lossy(bytes)),
            Kind::Link(target) => format!("link to {target}"),
            Kind::Device(kind, major, minor) => format!("device {kind} {major}:{minor}"),
            Kind::Fifo => "fifo".to_owned(),
        };
        write!(text, " {:o} {}:{}", self.mode, self.owner.0, self.owner.1).unwrap();
        for (name, value) in &self.xattrs {
            write!(text, " {name}={value:?}").unwrap();
        }
        text
    }
}

fn xattrs(entry: &mut Entry<'_, impl Read>) -> BTreeMap<String, Vec<u8>> {
    let records = entry.pax_extensions().unwrap();
    let xattr = |record: tar::PaxExtension<'_>| {
        let name = record.key().ok()?.strip_prefix("SCHILY.xattr.")?;
        Some((name.to_owned(), record.value_bytes().to_vec()))
    };
    records.into_iter().flatten().filter_map(|record| xattr(record.unwrap())).collect()
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Without a slash at either end, and without dots; the top is empty.
fn clean(path: &Path) -> String {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    names.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
