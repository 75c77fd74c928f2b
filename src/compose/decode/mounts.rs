//! `volumes` and `tmpfs` of a service.

use super::{
    At, Decoder,
    Field::{self, Later, Read},
    service::{Reference, Referent},
    units,
};
use crate::{
    compose::{
        diagnostics::{Diagnostic, Span, did_you_mean},
        tree::Kind,
    },
    model::{Mount, MountKind, Tmpfs},
};
use std::path::PathBuf;

/// The long form as written.
#[derive(Default)]
struct Long {
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

const LONG: &[Field<Long>] = &[
    Read("type", |d, at, m| m.kind = d.text(at)),
    Read("source", |d, at, m| m.source = d.text(at).filter(|s| !s.is_empty()).map(|s| (s, at.node.span))),
    Read("target", |d, at, m| m.target = d.filled(at).and_then(|text| d.mount_target(at, &text))),
    Read("read_only", |d, at, m| m.read_only = d.boolean(at).unwrap_or(false)),
    Read("consistency", |d, at, _| d.warning(at, "has no effect on Linux")),
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
    Later("selinux"),
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
    /// Of two mounts on one target, the last one wins, at the place of the first: that is how overrides work.
    pub fn mounts(&mut self, at: &At<'_>, references: &mut Vec<Reference>) -> Vec<Mount> {
        let mut mounts: Vec<(Mount, Span, Option<Reference>)> = Vec::new();
        for item in self.items(at) {
            let span = item.node.span;
            let read = match item.node.kind {
                Kind::Mapping(_) => self.long_mount(&item),
                _ => self.text(&item).and_then(|text| self.short_mount(&item, &text)),
            };
            let Some((mount, source)) = read else { continue };
            let reference = source.map(|span| Reference { to: Referent::Volume, name: volume_of(&mount), span });
            match mounts.iter_mut().find(|(other, ..)| other.target == mount.target) {
                Some(other) => {
                    // Within one list it is hardly meant.
                    if other.1.source == span.source {
                        let message = format!("`{}` mounts over {}", item.path, mount.target.display());
                        self.report(Diagnostic::warning(message).at(span).because(other.1, "takes the place of this"));
                    }
                    *other = (mount, span, reference);
                }
                None => mounts.push((mount, span, reference)),
            }
        }
        references.extend(mounts.iter().filter_map(|(_, _, reference)| reference.clone()));
        mounts.into_iter().map(|(mount, ..)| mount).collect()
    }

    fn mount_target(&mut self, at: &At<'_>, text: &str) -> Option<PathBuf> {
        let target = self.container_path(at, text)?;
        if target == std::path::Path::new("/") {
            self.error(at, "cannot mount over the root of the container");
            return None;
        }
        Some(target)
    }

    /// `[SOURCE:]TARGET[:OPTIONS]`. The span is that of a named volume.
    fn short_mount(&mut self, at: &At<'_>, text: &str) -> Option<(Mount, Option<Span>)> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match *parts.as_slice() {
            [target] => (None, target, ""),
            [source, target] => (Some(source), target, ""),
            [source, target, options] => (Some(source), target, options),
            _ => {
                self.error_with_help(at, format!("has too many colons: \"{text}\""), "write `SOURCE:TARGET:OPTIONS`");
                return None;
            }
        };
        if parts.iter().any(|part| part.is_empty()) {
            self.error(at, format!("has an empty part: \"{text}\""));
            return None;
        }
        let target = self.mount_target(at, target)?;
        let mut mount = Mount { kind: MountKind::Anonymous { nocopy: false }, target, read_only: false };
        let mut named = None;
        if let Some(source) = source {
            mount.kind = if source.starts_with(['.', '/', '~']) {
                let source = self.host_path(at, source)?;
                MountKind::Bind { source, create_host_path: true, propagation: None }
            } else {
                named = Some(at.node.span);
                MountKind::Volume { source: source.to_owned(), nocopy: false, subpath: None }
            };
        }
        for option in options.split(',').filter(|option| !option.is_empty()) {
            self.mount_option(at, option, &mut mount);
        }
        Some((mount, named))
    }

    fn mount_option(&mut self, at: &At<'_>, option: &str, mount: &mut Mount) {
        match (option, &mut mount.kind) {
            ("ro", _) => mount.read_only = true,
            ("rw", _) => mount.read_only = false,
            ("nocopy", MountKind::Volume { nocopy, .. } | MountKind::Anonymous { nocopy }) => *nocopy = true,
            ("z" | "Z" | "cached" | "delegated" | "consistent", _) => {
                self.warning(at, format!("has the option `{option}`, which has no effect here"));
            }
            (word, MountKind::Bind { propagation, .. }) if PROPAGATIONS.contains(&word) => {
                *propagation = Some(word.to_owned());
            }
            _ => {
                let meant = did_you_mean(option, ["ro", "rw", "nocopy"]);
                let help =
                    meant.map_or("options are `ro`, `rw` and `nocopy`".into(), |o| format!("did you mean `{o}`?"));
                self.error_with_help(at, format!("has the unknown option `{option}`"), help);
            }
        }
    }

    fn long_mount(&mut self, at: &At<'_>) -> Option<(Mount, Option<Span>)> {
        let mut long = Long::default();
        self.section(at, LONG, &mut long);
        let missing: Vec<&str> = ["type", "target"].into_iter().filter(|key| at.node.get(key).is_none()).collect();
        for key in &missing {
            self.error(at, format!("lacks `{key}`"));
        }
        let (kind, target) = (long.kind.take()?, long.target.take()?);
        self.refuse_foreign_options(at, &kind, &long);
        let Long { source, read_only, bind, volume, tmpfs, .. } = long;
        let (kind, named) = match (kind.as_str(), source) {
            ("bind", Some((source, _))) => {
                let source = self.host_path(at, &source)?;
                let BindOptions { create_host_path, propagation, .. } = bind;
                (MountKind::Bind { source, create_host_path, propagation }, None)
            }
            ("bind", None) => {
                self.error(at, "lacks `source`, which a bind mount needs");
                return None;
            }
            ("volume", Some((source, span))) => {
                (MountKind::Volume { source, nocopy: volume.nocopy, subpath: volume.subpath }, Some(span))
            }
            ("volume", None) => (MountKind::Anonymous { nocopy: volume.nocopy }, None),
            ("tmpfs", None) => (MountKind::Tmpfs { size: tmpfs.size, mode: tmpfs.mode }, None),
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
        Some((Mount { kind, target, read_only }, named))
    }

    /// `volume:` options of a bind mount do nothing, and so are not accepted.
    fn refuse_foreign_options(&mut self, at: &At<'_>, kind: &str, long: &Long) {
        let sections = [("bind", long.bind.present), ("volume", long.volume.present), ("tmpfs", long.tmpfs.present)];
        for (name, present) in sections {
            if let Some(span) = present.filter(|_| name != kind) {
                let message = format!("`{}.{name}` has no meaning for a mount of the type `{kind}`", at.path);
                self.report(Diagnostic::error(message).at(span));
            }
        }
    }

    /// `PATH[:OPTIONS]`
    pub fn tmpfs(&mut self, at: &At<'_>) -> Vec<Tmpfs> {
        let mut mounts: Vec<Tmpfs> = Vec::new();
        for item in self.items_or_one(at) {
            let Some(text) = self.filled(&item) else { continue };
            let (path, options) = text.split_once(':').unwrap_or((&text, ""));
            let Some(target) = self.mount_target(&item, path) else { continue };
            let mut tmpfs = Tmpfs { target, size: None, mode: None, uid: None, gid: None, options: Vec::new() };
            for option in options.split(',').filter(|option| !option.is_empty()) {
                self.tmpfs_option(&item, option, &mut tmpfs);
            }
            match mounts.iter_mut().find(|other| other.target == tmpfs.target) {
                Some(other) => *other = tmpfs,
                None => mounts.push(tmpfs),
            }
        }
        mounts
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

fn volume_of(mount: &Mount) -> String {
    match &mount.kind {
        MountKind::Volume { source, .. } => source.clone(),
        _ => String::new(),
    }
}
