//! `RUN --mount`: its options, once their variables are known.

use super::{
    error::{Error, MountProblem, Problem},
    paths,
    stage::Origin,
    walk::Scope,
    warning::Hint,
};
use crate::build::{
    dockerfile::{self, csv_fields, nearest},
    op::{Mount, Sharing, Source},
};

const KINDS: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// Every option, and the types that know it.
const KEYS: &[(&str, &[&str])] = &[
    ("type", &KINDS),
    ("target", &KINDS),
    ("source", &["bind", "cache", "secret"]),
    ("from", &["bind", "cache"]),
    ("readonly", &KINDS),
    ("readwrite", &KINDS),
    ("id", &["cache", "secret", "ssh"]),
    ("sharing", &["cache"]),
    ("mode", &["cache", "secret", "ssh"]),
    ("uid", &["cache", "secret", "ssh"]),
    ("gid", &["cache", "secret", "ssh"]),
    ("required", &["secret", "ssh"]),
    ("size", &["tmpfs"]),
    ("env", &["secret"]),
];

const ALIASES: [(&str, &str); 5] =
    [("src", "source"), ("dst", "target"), ("destination", "target"), ("ro", "readonly"), ("rw", "readwrite")];

#[derive(Default)]
struct Options {
    kind: &'static str,
    source: String,
    target: String,
    id: String,
    env: Option<String>,
    writable: Option<bool>,
    required: bool,
    size: Option<u64>,
    sharing: Option<Sharing>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Scope<'_, '_> {
    pub(super) fn mount(&mut self, mount: &dockerfile::Mount, origin: Option<&Origin>) -> Result<Mount, Error> {
        let at = mount.options.at;
        let fail = |problem| Error::new(at, Problem::Mount(problem));
        let quotes = || fail(MountProblem::Quotes { text: mount.options.text.clone() });
        let mut fields = Vec::new();
        for field in csv_fields(&mount.options.text).ok_or_else(quotes)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(self.word(value, at)?)),
                None => (field.as_str(), None),
            };
            let key = key.to_ascii_lowercase();
            let key = ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, name)| (*name).to_owned());
            fields.push((key, value, field));
        }
        let options = Options::read(&fields).map_err(fail)?;
        let from = match (options.kind, origin) {
            ("bind", origin) => self.walk.source(origin, at)?,
            ("cache", Some(origin)) => self.walk.source(Some(origin), at)?,
            _ => Source::Scratch,
        };
        // As in BuildKit, a directory that a cache begins with keeps its own.
        if options.kind == "cache" && paths::absolute("/", &options.source) != "/" {
            let given =
                [("mode", options.mode.is_some()), ("uid", options.uid.is_some()), ("gid", options.gid.is_some())];
            for (key, _) in given.into_iter().filter(|(_, given)| *given) {
                self.warn(at, Hint::NoEffect { what: format!("{key} of a cache that begins with a directory") });
            }
        }
        options.build(from, &self.cwd(), self.walk.options.args.get("BUILDKIT_CACHE_MOUNT_NS")).map_err(fail)
    }
}

impl Options {
    fn read(fields: &[(String, Option<String>, String)]) -> Result<Self, MountProblem> {
        let mut options = Self { kind: "bind", ..Self::default() };
        // What goes with what depends on the type, wherever it stands.
        for (_, value, _) in fields.iter().filter(|(key, _, _)| key == "type") {
            let text = value.clone().unwrap_or_default();
            let Some(kind) = KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(&text)) else {
                let hint = nearest(&text, KINDS).map(str::to_owned);
                return Err(MountProblem::Type { text, hint });
            };
            options.kind = kind;
        }
        for (key, value, field) in fields {
            options.set(key, value.as_deref(), field)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: Option<&str>, field: &str) -> Result<(), MountProblem> {
        let Some((_, kinds)) = KEYS.iter().find(|(known, _)| *known == key) else {
            let hint = nearest(key, KEYS.iter().map(|(key, _)| *key)).map(str::to_owned);
            return Err(MountProblem::Key { key: key.to_owned(), hint });
        };
        if !kinds.contains(&self.kind) {
            return Err(MountProblem::KeyOfType { key: key.to_owned(), kind: self.kind });
        }
        let is_switch = ["readonly", "readwrite", "required"].contains(&key);
        let text = match value {
            Some(text) => text,
            None if is_switch => "true",
            None => return Err(MountProblem::Field { field: field.to_owned() }),
        };
        let bad = || MountProblem::Value { key: key.to_owned(), value: text.to_owned() };
        match key {
            "source" => self.source = text.to_owned(),
            "target" => self.target = text.to_owned(),
            "id" => self.id = text.to_owned(),
            "env" => self.env = Some(text.to_owned()).filter(|name| !name.is_empty()),
            "readonly" => self.writable = Some(!boolean(text).ok_or_else(bad)?),
            "readwrite" => self.writable = Some(boolean(text).ok_or_else(bad)?),
            "required" => self.required = boolean(text).ok_or_else(bad)?,
            "size" => self.size = Some(bytes(text).ok_or_else(bad)?),
            "mode" => {
                self.mode = Some(u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(bad)?)
            }
            "uid" => self.uid = Some(text.parse().map_err(|_| bad())?),
            "gid" => self.gid = Some(text.parse().map_err(|_| bad())?),
            "sharing" => {
                let sharing = match text.to_ascii_lowercase().as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => {
                        let hint = nearest(text, ["shared", "private", "locked"]).map(str::to_owned);
                        return Err(MountProblem::Sharing { text: text.to_owned(), hint });
                    }
                };
                self.sharing = Some(sharing);
            }
            // The type is known, and so is the source.
            _ => {}
        }
        Ok(())
    }

    fn build(self, from: Source, cwd: &str, namespace: Option<&String>) -> Result<Mount, MountProblem> {
        let target = paths::absolute(cwd, &self.target);
        if target == "/" && !["secret", "ssh"].contains(&self.kind) {
            return Err(MountProblem::Root { target: self.target });
        }
        let source = paths::absolute("/", &self.source);
        let (uid, gid) = (self.uid.unwrap_or(0), self.gid.unwrap_or(0));
        Ok(match self.kind {
            "bind" => Mount::Bind { from, source, target, writable: self.writable == Some(true) },
            "tmpfs" => Mount::Tmpfs { target, size: self.size.filter(|size| *size > 0) },
            "cache" => {
                if from == Source::Scratch && source != "/" {
                    return Err(MountProblem::SourceOfNothing { path: self.source });
                }
                let id = if self.id.is_empty() { target.clone() } else { self.id };
                Mount::Cache {
                    id: namespace.map_or_else(|| id.clone(), |namespace| format!("{namespace}/{id}")),
                    target,
                    sharing: self.sharing.unwrap_or(Sharing::Shared),
                    read_only: self.writable == Some(false),
                    from,
                    source,
                    mode: self.mode.unwrap_or(0o755),
                    uid,
                    gid,
                }
            }
            "secret" => {
                if !self.source.is_empty() && !self.id.is_empty() {
                    return Err(MountProblem::TwoIds);
                }
                let given = [self.id, self.source].into_iter().find(|id| !id.is_empty());
                let id = given.unwrap_or_else(|| paths::name(&self.target).to_owned());
                if id.is_empty() {
                    return Err(MountProblem::NamelessSecret);
                }
                let target = match (self.target.is_empty(), &self.env) {
                    (false, _) => Some(target),
                    (true, Some(_)) => None,
                    (true, None) => Some(format!("/run/secrets/{}", paths::name(&id))),
                };
                let mode = self.mode.unwrap_or(0o400);
                Mount::Secret { id, target, env: self.env, required: self.required, mode, uid, gid }
            }
            _ => Mount::Ssh {
                id: if self.id.is_empty() { "default".to_owned() } else { self.id },
                target: (!self.target.is_empty()).then_some(target),
                required: self.required,
                mode: self.mode.unwrap_or(0o600),
                uid,
                gid,
            },
        })
    }
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// `64m`, `1.5GiB`, `100`: units count in 1024s.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let unit = unit.trim();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let size = number.parse::<f64>().ok()? * 1024f64.powi(power);
    // Sizes that a tmpfs can have fit without loss; larger ones are refused.
    (size < 9e15).then_some(size as u64)
}
