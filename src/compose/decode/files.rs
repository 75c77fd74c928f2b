//! Secrets and configs: where their bytes come from, and where a service has them.

use super::{
    At, Decoder,
    Field::{self, Later, Read},
    shape::Named,
};
use crate::{
    compose::diagnostics::{Diagnostic, Span},
    model::{FileMount, FileObject, FileSource},
};
use std::path::{Path, PathBuf};

/// A secret or config, before anybody looked for its file.
#[derive(Debug)]
pub struct FileDraft {
    pub object: FileObject,
    /// Where the file is named.
    pub span: Span,
}

#[derive(Default)]
struct Object {
    name: String,
    source: Option<(FileSource, Span)>,
    refused: bool,
}

/// Attributes that both have; a source of bytes that is not done yet is refused by name.
const OBJECT: &[Field<Object>] = &[
    Read("name", |d, at, o| o.name = d.filled(at).unwrap_or_default()),
    Read("file", |d, at, o| {
        o.refused = true;
        if let Some(text) = d.filled(at) {
            o.source = Some((FileSource::File(super::clean(Path::new(&text))), at.node.span));
        }
    }),
    Read("environment", |d, at, o| {
        o.refused = true;
        if let Some(name) = d.filled(at) {
            o.source.get_or_insert((FileSource::Environment(name), at.node.span));
        }
    }),
    Read("content", |d, at, o| {
        o.refused = true;
        d.later(at, "a source other than `file`");
    }),
    Read("external", |d, at, o| {
        // `external: false` is what is meant without it.
        if d.boolean(at) != Some(false) {
            o.refused = true;
            d.later(at, "a source other than `file`");
        }
    }),
    Later("labels"),
    Later("driver"),
    Later("driver_opts"),
    Later("template_driver"),
];

struct Use {
    source: Option<String>,
    target: Option<String>,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Everybody may read.
const DEFAULT_MODE: u32 = 0o444;

const USE: &[Field<Use>] = &[
    Read("source", |d, at, u| u.source = d.filled(at)),
    Read("target", |d, at, u| u.target = d.filled(at)),
    Read("uid", |d, at, u| u.uid = d.id(at).unwrap_or_default()),
    Read("gid", |d, at, u| u.gid = d.id(at).unwrap_or_default()),
    Read("mode", |d, at, u| u.mode = d.mode(at).unwrap_or(DEFAULT_MODE)),
];

impl Decoder<'_> {
    pub fn file_object(&mut self, named: &Named<'_>, what: &str) -> Option<FileDraft> {
        let mut object = Object::default();
        let read = self.section(&named.at, OBJECT, &mut object);
        if read && !object.refused {
            self.report(
                Diagnostic::error(format!("the {what} `{}` has no source", named.name))
                    .at(named.key)
                    .help("name a `file`"),
            );
        }
        let (source, span) = object.source?;
        Some(FileDraft { object: FileObject { name: object.name, source }, span })
    }

    /// `secrets` or `configs` of a service.
    pub fn file_mounts(&mut self, at: &At<'_>, kind: FileKind) -> Vec<FileMount> {
        let mut mounts: Vec<FileMount> = Vec::new();
        for item in self.items(at) {
            let mut wanted = Use { source: None, target: None, uid: 0, gid: 0, mode: DEFAULT_MODE };
            self.section(&item, USE, &mut wanted);
            let Some(source) = wanted.source else { continue };
            let target = target(kind, wanted.target.as_deref().unwrap_or(&source));
            let mount = FileMount { source, target, uid: wanted.uid, gid: wanted.gid, mode: wanted.mode };
            match mounts.iter_mut().find(|other| other.target == mount.target) {
                Some(other) => *other = mount,
                None => mounts.push(mount),
            }
        }
        mounts
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Secret,
    Config,
}

/// Secrets go below `/run/secrets`, configs below the root, unless the target is absolute.
fn target(kind: FileKind, target: &str) -> PathBuf {
    let below = if kind == FileKind::Secret { "/run/secrets" } else { "/" };
    super::clean(&Path::new(below).join(target))
}
