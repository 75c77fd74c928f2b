//! `volumes` of a service: `[SOURCE:]TARGET[:OPTIONS]` as mappings.

use super::{
    pass::{Pass, entry},
    paths,
};
use crate::compose::{
    diagnostics::did_you_mean,
    tree::{Entry, Kind, Mapping, Node},
};
use std::{collections::HashMap, ops::Range, rc::Rc};

const HELP: &str = "write `SOURCE:TARGET:OPTIONS`";
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
const OPTIONS: [&str; 11] =
    ["ro", "rw", "nocopy", "z", "Z", "private", "rprivate", "shared", "rshared", "slave", "rslave"];
/// Of the options of one mount.
const MAX_WARNINGS: usize = 8;
/// How a virtual machine on another system syncs.
const CONSISTENCIES: [&str; 3] = ["cached", "delegated", "consistent"];

/// A short form becomes a long one.
pub fn long(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.string() else { return node.clone() };
    let sections = match sections(text) {
        Ok(sections) => sections,
        Err(_) if pass.is_open(text) => return node.clone(),
        Err((part, why)) => {
            pass.error_with_help(pass.origin(node).place(part), format!("is no mount: {why} in \"{text}\""), HELP);
            return node.clone();
        }
    };
    let (source, target, options) = match sections.as_slice() {
        [target] => (None, target, None),
        [source, target] => (Some(source), target, None),
        [source, target, options] => (Some(source), target, Some(options)),
        _ => return node.clone(),
    };
    warn_of_drive(pass, node, text, sections.first());
    let is_bind = source.is_some_and(|source| is_file_path(&text[source.clone()]));
    let mut mount = Mapping::with_capacity(5);
    let kind = if is_bind { "bind" } else { "volume" };
    mount.insert("type".into(), entry(Rc::new(node.with(Kind::string(kind)))));
    if let Some(source) = source {
        mount.insert("source".into(), entry(pass.piece(node, source.clone())));
    }
    let cleaned = paths::clean(&text[target.clone()]);
    let target = pass.piece(node, target.clone());
    mount.insert("target".into(), entry(Rc::new(target.with(Kind::string(cleaned)))));
    let mut said = Options::default();
    if let Some(options) = options {
        said.read(pass, node, options.clone());
    }
    // A text of one or two bytes is a target, and nothing else is said of it.
    said.volume |= !is_bind && text.len() > 2;
    said.bind |= is_bind;
    said.write(node, &mut mount);
    Rc::new(node.with(Kind::Mapping(mount)))
}

/// Where a short form is mounted; `None` where it is no mount.
pub fn short_target(text: &str) -> Option<&str> {
    let sections = sections(text).ok()?;
    // A single section is the target, and so is the second of two or three.
    sections.get(1).or(sections.first()).map(|target| &text[target.clone()])
}

/// The parts between colons. The colon of `C:` belongs to a path of Windows, and those of `${...}` to a variable.
fn sections(text: &str) -> Result<Vec<Range<usize>>, (Range<usize>, &'static str)> {
    if text.is_empty() {
        return Err((0..0, "invalid empty volume spec"));
    }
    if text.len() <= 2 {
        return Ok(std::iter::once(0..text.len()).collect());
    }
    let mut sections = Vec::with_capacity(3);
    let (mut start, mut nesting) = (0, 0usize);
    for (index, c) in text.char_indices().chain([(text.len(), ':')]) {
        let at_end = index == text.len();
        match c {
            '$' if text[index..].starts_with("${") => nesting += 1,
            '}' if nesting > 0 => nesting -= 1,
            ':' if !at_end && is_letter(&text[start..index]) => {}
            ':' if nesting == 0 => {
                if start == index {
                    return Err((start.saturating_sub(1)..(index + 1).min(text.len()), "empty section between colons"));
                }
                if sections.len() == 2 && !at_end {
                    return Err((index..text.len(), "too many colons"));
                }
                sections.push(start..index);
                start = index + 1;
            }
            _ => {}
        }
    }
    Ok(sections)
}

fn is_letter(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
}

fn has_drive(text: &str) -> bool {
    text.find(':').is_some_and(|colon| is_letter(&text[..colon]))
}

/// The rest is a named volume.
fn is_file_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~']) || source.starts_with(r"\\") || has_drive(source)
}

/// `a:/b` looks like a volume with the name `a`.
fn warn_of_drive(pass: &mut Pass<'_>, node: &Rc<Node>, text: &str, first: Option<&Range<usize>>) {
    let Some(first) = first.filter(|first| has_drive(&text[(*first).clone()]) && text.len() > 2) else { return };
    let drive = text.get(..text.find(':').unwrap_or_default()).unwrap_or_default();
    if text[first.clone()].contains('/') {
        let place = pass.origin(node).place(first.clone());
        let what = format!("has the path `{}` of the Windows drive `{drive}:`", &text[first.clone()]);
        pass.warning_with_help(place, what, "the name of a volume needs two characters or more here");
    }
}

/// What the options say.
#[derive(Default)]
struct Options {
    read_only: bool,
    bind: bool,
    propagation: Option<String>,
    selinux: Option<String>,
    volume: bool,
    nocopy: bool,
}

impl Options {
    fn read(&mut self, pass: &mut Pass<'_>, node: &Rc<Node>, part: Range<usize>) {
        let (options, origin) = (pass.piece(node, part.clone()), pass.origin(node));
        let (mut start, mut warned) = (part.start, 0);
        for option in options.string().unwrap_or_default().split(',') {
            let place = start..start + option.len();
            start = place.end + 1;
            match option {
                "" => {}
                "ro" => self.read_only = true,
                "rw" => self.read_only = false,
                "nocopy" => (self.volume, self.nocopy) = (true, true),
                "z" | "Z" => (self.bind, self.selinux) = (true, Some(option.to_owned())),
                _ if PROPAGATIONS.contains(&option) => {
                    (self.bind, self.propagation) = (true, Some(option.to_owned()));
                }
                _ if pass.is_open(option) || warned == MAX_WARNINGS => {}
                // Nothing is lost without them.
                _ if CONSISTENCIES.contains(&option) => {}
                _ => {
                    warned += 1;
                    let help = match did_you_mean(option, OPTIONS) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("options are {}", OPTIONS.join(", ")),
                    };
                    let what = format!("has the unknown option `{option}`, which is ignored");
                    pass.warning_with_help(origin.place(place), what, help);
                }
            }
        }
    }

    fn write(self, node: &Rc<Node>, mount: &mut Mapping) {
        let value = |kind: Kind| entry(Rc::new(node.with(kind)));
        if self.read_only {
            mount.insert("read_only".into(), value(Kind::typed("true")));
        }
        if self.bind {
            let words = [("propagation", self.propagation), ("selinux", self.selinux)];
            let said = words.into_iter().filter_map(|(name, word)| Some((name.to_owned(), value(Kind::string(word?)))));
            mount.insert("bind".into(), value(Kind::Mapping(said.collect())));
        }
        if self.volume {
            let nocopy = self.nocopy.then(|| ("nocopy".to_owned(), value(Kind::typed("true"))));
            mount.insert("volume".into(), value(Kind::Mapping(nocopy.into_iter().collect())));
        }
    }
}

/// A mount in its long form: the source of a bind mount is a path of this host.
pub fn check(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    if !entries.contains_key("target") {
        pass.error(node.span, "lacks `target`: the mount is missing a mount target");
    }
    if entries.get("type").and_then(|kind| kind.value.scalar()) != Some("bind") {
        return node.clone();
    }
    let Some(source) = entries.get("source").filter(|source| source.value.scalar().is_some()) else {
        let span = entries.get("source").map_or(node.span, |source| source.value.span);
        let why = "has an invalid mount config for type \"bind\": field Source must not be empty";
        pass.error(span, why);
        return node.clone();
    };
    // An empty path is that of the directory where paths start.
    let here = Rc::new(source.value.with(Kind::string(".")));
    let value = if source.value.scalar() == Some("") { &here } else { &source.value };
    let path = pass.at_key("source", |pass| paths::of_host(pass, value));
    let mut entries = entries.clone();
    entries.insert("source".into(), Entry { key: source.key, value: path });
    Rc::new(node.with(Kind::Mapping(entries)))
}

/// A missing host path is made unless that is refused.
pub fn bind(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    pass.with_default(node, "create_host_path", Kind::typed("true"))
}

fn target(mount: &Node) -> Option<&str> {
    mount.get("target").and_then(|target| target.value.scalar())
}

/// Of two mounts on one target the last one stands. Within one file that is hardly meant.
pub fn warn_of_covered(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let items = node.items();
    let mut seen: HashMap<&str, &Rc<Node>> = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(target) = target(item) else { continue };
        if let Some(other) = seen.insert(target, item).filter(|other| other.span.source == item.span.source) {
            let what = format!("mounts over {target}");
            pass.at_item(index, |pass| pass.warning_because(item.span, what, other.span, "takes the place of this"));
        }
    }
    node.clone()
}

/// Volumes of the top level: an external one is as it is, and the device of a bind mount is a path of this host.
pub fn top_level(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let text = |name: &str| entries.get(name).and_then(|entry| entry.value.scalar());
    if text("external") == Some("true") {
        for (name, entry) in entries {
            if !matches!(name.as_str(), "name" | "external") && !name.starts_with("x-") {
                pass.error(entry.key, format!("has conflicting parameters \"external\" and \"{name}\" specified"));
            }
        }
    }
    if text("driver") == Some("local") { device(pass, node, entries) } else { node.clone() }
}

fn device(pass: &mut Pass<'_>, node: &Rc<Node>, entries: &Mapping) -> Rc<Node> {
    let Some(options) = entries.get("driver_opts") else { return node.clone() };
    let (Some("bind"), Some(device), Kind::Mapping(said)) =
        (options.value.get("o").and_then(|o| o.value.scalar()), options.value.get("device"), &options.value.kind)
    else {
        return node.clone();
    };
    let path = pass.at_key("driver_opts.device", |pass| paths::of_host(pass, &device.value));
    let mut said = said.clone();
    said.insert("device".into(), Entry { key: device.key, value: path });
    let value = Rc::new(options.value.with(Kind::Mapping(said)));
    let mut entries = entries.clone();
    entries.insert("driver_opts".into(), Entry { key: options.key, value });
    Rc::new(node.with(Kind::Mapping(entries)))
}

#[cfg(test)]
mod tests {
    use super::short_target;
    use crate::compose::canonical::testing::check;

    #[test]
    fn the_target_of_a_mount_is_found_in_every_short_form() {
        for (spec, target) in [
            ("/x", Some("/x")),
            ("a:/x", Some("a:/x")),
            ("data:/x", Some("/x")),
            ("./a:/x:ro", Some("/x")),
            ("C:\\a:/x", Some("/x")),
            ("a", Some("a")),
            ("data::ro", None),
            ("aa:bb:cc:dd", None),
        ] {
            assert_eq!(short_target(spec), target, "{spec}");
        }
    }

    #[test]
    fn short_mounts_become_long_ones() {
        check(&[
            ("volumes: [/a]", r#"[{"type":"volume","target":"/a"}]"#),
            (
                "volumes: [abc, ab, a, .]",
                r#"[{"type":"volume","target":"abc","volume":{}},{"type":"volume","target":"ab"},{"type":"volume","target":"a"},{"type":"volume","target":"."}]"#,
            ),
            (
                "volumes: [./b, /b/]",
                r#"[{"type":"volume","target":"b","volume":{}},{"type":"volume","target":"/b","volume":{}}]"#,
            ),
            (r#"volumes: ["vol:/b"]"#, r#"[{"type":"volume","source":"vol","target":"/b","volume":{}}]"#),
            (
                r#"volumes: ["./a:/b"]"#,
                r#"[{"type":"bind","source":"/w/a","target":"/b","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["../a/../b:/b"]"#,
                r#"[{"type":"bind","source":"/b","target":"/b","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["~/a:/b", "~:/c"]"#,
                r#"[{"type":"bind","source":"/home/u/a","target":"/b","bind":{"create_host_path":true}},{"type":"bind","source":"/home/u","target":"/c","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["/a/../c/:/b"]"#,
                r#"[{"type":"bind","source":"/a/../c/","target":"/b","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["/a:/b/../c/"]"#,
                r#"[{"type":"bind","source":"/a","target":"/c","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["/a:b"]"#,
                r#"[{"type":"bind","source":"/a","target":"b","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["/a:/b:ro"]"#,
                r#"[{"type":"bind","source":"/a","target":"/b","read_only":true,"bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["/a:/b:Z,rslave,rw"]"#,
                r#"[{"type":"bind","source":"/a","target":"/b","bind":{"propagation":"rslave","selinux":"Z","create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ["/a:/b:nocopy"]"#,
                r#"[{"type":"bind","source":"/a","target":"/b","bind":{"create_host_path":true},"volume":{"nocopy":true}}]"#,
            ),
            (
                r#"volumes: ["vol:/b:nocopy,ro"]"#,
                r#"[{"type":"volume","source":"vol","target":"/b","read_only":true,"volume":{"nocopy":true}}]"#,
            ),
            (
                r#"volumes: ["vol:/b:z"]"#,
                r#"[{"type":"volume","source":"vol","target":"/b","bind":{"selinux":"z","create_host_path":true},"volume":{}}]"#,
            ),
            (
                r#"volumes: ["vol:/b:foo,ro,"]"#,
                r#"[{"type":"volume","source":"vol","target":"/b","read_only":true,"volume":{}}]"#,
            ),
        ]);
    }

    #[test]
    fn a_single_letter_is_a_drive_of_windows() {
        check(&[
            (
                r#"volumes: ['C:\a:/b']"#,
                r#"[{"type":"bind","source":"C:\\a","target":"/b","bind":{"create_host_path":true}}]"#,
            ),
            (
                r#"volumes: ['C:\a:C:\b:ro']"#,
                r#"[{"type":"bind","source":"C:\\a","target":"C:\\b","read_only":true,"bind":{"create_host_path":true}}]"#,
            ),
            (r#"volumes: ["a:/b"]"#, r#"[{"type":"volume","target":"a:/b","volume":{}}]"#),
            (
                r#"volumes: ["a:/b:ro"]"#,
                r#"[{"type":"bind","source":"a:/b","target":"ro","bind":{"create_host_path":true}}]"#,
            ),
            (r#"volumes: ["a:"]"#, r#"[{"type":"volume","target":"a:"}]"#),
        ]);
    }

    #[test]
    fn long_mounts_get_values_and_paths() {
        check(&[
            ("volumes: [{type: bind, source: ./a, target: /b}]", r#"[{"type":"bind","source":"/w/a","target":"/b"}]"#),
            (r#"volumes: [{type: bind, source: "", target: /b}]"#, r#"[{"type":"bind","source":"/w","target":"/b"}]"#),
            (
                "volumes: [{type: bind, source: a, target: /b/, bind: {selinux: z}, consistency: cached, x-a: 1}]",
                r#"[{"type":"bind","source":"/w/a","target":"/b/","bind":{"selinux":"z","create_host_path":true},"consistency":"cached","x-a":1}]"#,
            ),
            (
                r#"volumes: [{type: bind, source: /a, target: /b, read_only: "true", bind: {create_host_path: "false"}}]"#,
                r#"[{"type":"bind","source":"/a","target":"/b","read_only":true,"bind":{"create_host_path":false}}]"#,
            ),
            (
                r#"volumes: [{type: volume, source: ./a, target: /b, volume: {nocopy: "true", subpath: x, labels: [a=1]}}]"#,
                r#"[{"type":"volume","source":"./a","target":"/b","volume":{"nocopy":true,"subpath":"x","labels":{"a":"1"}}}]"#,
            ),
            (
                "volumes: [{type: tmpfs, target: /b, tmpfs: {size: 64m, mode: 0755}}]",
                r#"[{"type":"tmpfs","target":"/b","tmpfs":{"size":"67108864","mode":493}}]"#,
            ),
            (
                r#"volumes: [{type: tmpfs, target: /b, tmpfs: {size: 1024, mode: "0755"}}]"#,
                r#"[{"type":"tmpfs","target":"/b","tmpfs":{"size":"1024","mode":493}}]"#,
            ),
            ("volumes: [{type: npipe, source: ./a, target: /b}]", r#"[{"type":"npipe","source":"./a","target":"/b"}]"#),
        ]);
    }

    #[test]
    fn of_two_mounts_on_one_target_the_last_one_stays() {
        check(&[(
            r#"volumes: ["vol:/b", /x, "/c:/b/:ro"]"#,
            r#"[{"type":"bind","source":"/c","target":"/b","read_only":true,"bind":{"create_host_path":true}},{"type":"volume","target":"/x"}]"#,
        )]);
    }

    #[test]
    fn a_mount_that_cannot_be_is_told_of_at_its_place() {
        check(&[
            (r#"volumes: [""]"#, r#"11: `volumes[0]` is no mount: invalid empty volume spec in """#),
            (r#"volumes: [":/b"]"#, r#"12: `volumes[0]` is no mount: empty section between colons in ":/b""#),
            (r#"volumes: ["vol:"]"#, r#"15: `volumes[0]` is no mount: empty section between colons in "vol:""#),
            (r#"volumes: ["vol:/b:"]"#, r#"18: `volumes[0]` is no mount: empty section between colons in "vol:/b:""#),
            (r#"volumes: ["vol:/b:ro:x"]"#, r#"21: `volumes[0]` is no mount: too many colons in "vol:/b:ro:x""#),
            (
                "volumes: [{type: bind, target: /b}]",
                r#"11: `volumes[0]` has an invalid mount config for type "bind": field Source must not be empty"#,
            ),
            (
                "volumes: [{type: volume, source: v}]",
                "11: `volumes[0]` lacks `target`: the mount is missing a mount target",
            ),
            (r#"volumes: ["~x/a:/b"]"#, "12: `volumes[0].source` names the home directory of another user, `~x/a`"),
            (
                "volumes: [{type: tmpfs, target: /b, tmpfs: {size: x, mode: 8}}]",
                r#"51: `volumes[0].tmpfs.size` must be a size, not "x""#,
            ),
            (
                r#"volumes: [{type: tmpfs, target: /b, tmpfs: {mode: "899"}}]"#,
                r#"51: `volumes[0].tmpfs.mode` must be file permissions, not the string "899""#,
            ),
        ]);
    }
}
