//! `volumes` and `tmpfs` of a service, as the canonical form has them.

use super::{
    At, Decoder,
    Field::{self, Later, Read, Without},
    units,
};
use crate::{
    compose::diagnostics::{Diagnostic, Span},
    model::{Mount, MountKind, Tmpfs},
};
use indexmap::IndexMap;
use std::path::PathBuf;

/// The long form as written.
#[derive(Default)]
pub struct Long {
    kind: Option<String>,
    source: Option<(String, Span)>,
    target: Option<PathBuf>,
    read_only: bool,
    bind: BindOptions,
    volume: VolumeOptions,
    tmpfs: TmpfsOptions,
}

struct BindOptions {
    propagation: Option<String>,
    create_host_path: bool,
    present: Option<Span>,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { propagation: None, create_host_path: true, present: None }
    }
}

#[derive(Default)]
struct VolumeOptions {
    nocopy: bool,
    subpath: Option<PathBuf>,
    present: Option<Span>,
}

#[derive(Default)]
struct TmpfsOptions {
    size: Option<u64>,
    mode: Option<u32>,
    present: Option<Span>,
}

pub const LONG: &[Field<Long>] = &[
    Read("type", |d, at, m| m.kind = d.text(at)),
    Read("source", |d, at, m| m.source = d.text(at).filter(|s| !s.is_empty()).map(|s| (s, at.node.span))),
    Read("target", |d, at, m| m.target = d.filled(at).and_then(|text| d.mount_target(at, &text))),
    Read("read_only", |d, at, m| m.read_only = d.boolean(at).unwrap_or(false)),
    Without("consistency", "it has no effect on Linux"),
    Read("bind", |d, at, m| {
        m.bind.present = Some(at.node.span);
        d.section(at, BIND, &mut m.bind);
    }),
    Read("volume", |d, at, m| {
        m.volume.present = Some(at.node.span);
        d.section(at, VOLUME, &mut m.volume);
    }),
    Read("tmpfs", |d, at, m| {
        m.tmpfs.present = Some(at.node.span);
        d.section(at, TMPFS, &mut m.tmpfs);
    }),
    Later("image"),
];

const BIND: &[Field<BindOptions>] = &[
    Read("propagation", |d, at, bind| {
        let Some(word) = d.text(at) else { return };
        if PROPAGATIONS.contains(&word.as_str()) {
            bind.propagation = Some(word);
        } else if !word.is_empty() {
            d.error(at, format!("must be one of {}, not \"{word}\"", PROPAGATIONS.join(", ")));
        }
    }),
    Read("create_host_path", |d, at, bind| bind.create_host_path = d.boolean(at).unwrap_or(true)),
    Later("recursive"),
    Without("selinux", "files are not labelled here"),
];

const VOLUME: &[Field<VolumeOptions>] = &[
    Later("labels"),
    Read("nocopy", |d, at, volume| volume.nocopy = d.boolean(at).unwrap_or(false)),
    Read("subpath", |d, at, volume| {
        let Some(text) = d.filled(at) else { return };
        let path = PathBuf::from(text);
        let inside =
            path.components().all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir));
        if inside {
            volume.subpath = Some(path);
        } else {
            d.error(at, "must be a path inside of the volume: relative, without `..`");
        }
    }),
];

const TMPFS: &[Field<TmpfsOptions>] =
    &[Read("size", |d, at, tmpfs| tmpfs.size = d.limit(at)), Read("mode", |d, at, tmpfs| tmpfs.mode = d.mode(at))];

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// What `mount(8)` knows and a tmpfs can have.
const TMPFS_FLAGS: [&str; 12] =
    ["ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "atime", "noatime", "diratime", "nodiratime"];

impl Decoder<'_> {
    pub fn mounts(&mut self, at: &At<'_>) -> Vec<Mount> {
        self.items(at).iter().filter_map(|item| self.mount(item)).collect()
    }

    fn mount_target(&mut self, at: &At<'_>, text: &str) -> Option<PathBuf> {
        let target = self.container_path(at, text)?;
        if target == std::path::Path::new("/") {
            self.error(at, "cannot mount over the root of the container");
            return None;
        }
        Some(target)
    }

    fn mount(&mut self, at: &At<'_>) -> Option<Mount> {
        let mut long = Long::default();
        self.section(at, LONG, &mut long);
        let missing: Vec<&str> = ["type", "target"].into_iter().filter(|key| at.node.get(key).is_none()).collect();
        for key in &missing {
            self.error(at, format!("lacks `{key}`"));
        }
        let (kind, target) = (long.kind.take()?, long.target.take()?);
        self.foreign_options(at, &kind, &long);
        let Long { source, read_only, bind, volume, tmpfs, .. } = long;
        let kind = match (kind.as_str(), source) {
            ("bind", Some((source, _))) => {
                let source = super::clean(std::path::Path::new(&source));
                let BindOptions { create_host_path, propagation, .. } = bind;
                MountKind::Bind { source, create_host_path, propagation }
            }
            ("bind", None) => {
                self.error(at, "lacks `source`, which a bind mount needs");
                return None;
            }
            ("volume", Some((source, _))) => {
                MountKind::Volume { source, nocopy: volume.nocopy, subpath: volume.subpath }
            }
            ("volume", None) => MountKind::Anonymous { nocopy: volume.nocopy },
            ("tmpfs", None) => MountKind::Tmpfs { size: tmpfs.size, mode: tmpfs.mode },
            ("tmpfs", Some((_, span))) => {
                self.report(Diagnostic::error(format!("`{}.source`: a tmpfs has no source", at.path)).at(span));
                return None;
            }
            ("image" | "cluster" | "npipe", _) => {
                self.later(at, format!("the type \"{kind}\""));
                return None;
            }
            _ => {
                self.error(at, format!("has the type \"{kind}\": it must be `bind`, `volume` or `tmpfs`"));
                return None;
            }
        };
        Some(Mount { kind, target, read_only })
    }

    /// `volume:` options of a bind mount and their like.
    fn foreign_options(&mut self, at: &At<'_>, kind: &str, long: &Long) {
        let sections = [("bind", long.bind.present), ("volume", long.volume.present), ("tmpfs", long.tmpfs.present)];
        for (name, present) in sections {
            if let Some(span) = present.filter(|_| name != kind) {
                let message = format!("`{}.{name}` has no effect on a mount of the type `{kind}`", at.path);
                self.report(Diagnostic::warning(message).at(span));
            }
        }
    }

    /// `PATH[:OPTIONS]`
    pub fn tmpfs(&mut self, at: &At<'_>) -> Vec<Tmpfs> {
        // Of two on one target the last one stands.
        let mut mounts: IndexMap<_, Tmpfs> = IndexMap::new();
        for item in self.items(at) {
            let Some(text) = self.filled(&item) else { continue };
            let (path, options) = text.split_once(':').unwrap_or((&text, ""));
            let Some(target) = self.mount_target(&item, path) else { continue };
            let mut tmpfs = Tmpfs { target, size: None, mode: None, uid: None, gid: None, options: Vec::new() };
            for option in options.split(',').filter(|option| !option.is_empty()) {
                self.tmpfs_option(&item, option, &mut tmpfs);
            }
            mounts.insert(tmpfs.target.clone(), tmpfs);
        }
        mounts.into_values().collect()
    }

    fn tmpfs_option(&mut self, at: &At<'_>, option: &str, tmpfs: &mut Tmpfs) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let read = match name {
            "size" => units::bytes(value, 1024).map(|size| tmpfs.size = Some(size).filter(|size| *size > 0)),
            "mode" => {
                u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777).map(|mode| tmpfs.mode = Some(mode))
            }
            "uid" => value.parse().ok().map(|uid| tmpfs.uid = Some(uid)),
            "gid" => value.parse().ok().map(|gid| tmpfs.gid = Some(gid)),
            "nr_inodes" | "nr_blocks" | "mpol" | "huge" => return self.later(at, format!("the option `{name}`")),
            _ if TMPFS_FLAGS.contains(&option) => {
                tmpfs.options.push(option.to_owned());
                Some(())
            }
            _ => None,
        };
        if read.is_none() {
            let help = "options are size=64m, mode=1777, uid=0, gid=0, and flags such as `noexec`";
            self.error_with_help(at, format!("has the bad option `{option}`"), help);
        }
    }
}
