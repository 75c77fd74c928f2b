//! `compose.lock`, read strictly: what is not understood is not followed.

use super::{
    canonical::TRANSPORTS,
    decode::check_image,
    diagnostics::{Diagnostic, Diagnostics, Span},
    source::Sources,
    tree::{self, Entry, Node},
};
use crate::model::{Lock, Locked};
use std::path::Path;

/// Beside the first Compose file.
pub const LOCK_FILE: &str = "compose.lock";
/// Of the file.
const VERSION: &str = "1";

/// `None` where there is no such file. Files below `cwd` are named relative to it.
///
/// # Errors
/// Everything that is wrong with it, with its lines.
pub fn read_lock(path: &Path, cwd: &Path) -> Result<Option<Lock>, Diagnostics> {
    let mut sources = Sources::new(cwd);
    let mut findings = Vec::new();
    let lock = match sources.read(path) {
        Ok((source, text)) => lock(source, &text, &mut findings),
        Err(error) if error.not_found() => return Ok(None),
        Err(error) => {
            findings.push(error.diagnostic("lock file", path));
            Lock::default()
        }
    };
    let findings = Diagnostics::new(findings, sources.into_texts());
    if findings.is_empty() { Ok(Some(lock)) } else { Err(findings) }
}

fn lock(source: u32, text: &str, findings: &mut Vec<Diagnostic>) -> Lock {
    let documents = tree::parse(source, text, findings);
    let mut reader = Reader { findings };
    let whole = Span { source, start: 0, end: 0 };
    match &documents[..] {
        [root] => reader.root(root),
        [] if !reader.findings.is_empty() => Lock::default(),
        [] => {
            reader.wrong(whole, "a lock file has a `version` and `images`, and this one is empty");
            Lock::default()
        }
        [_, second, ..] => {
            reader.wrong(second.span, "a lock file is one document");
            Lock::default()
        }
    }
}

struct Reader<'f> {
    findings: &'f mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn wrong(&mut self, span: Span, message: impl Into<String>) {
        let help = "`muster lock` writes this file: remove it, or take it from version control again";
        self.findings.push(Diagnostic::error(message).at(span).help(help));
    }

    fn root(&mut self, root: &Node) -> Lock {
        let mut lock = Lock::default();
        let Some([version, images]) = self.fields(root, "a lock file", ["version", "images"]) else { return lock };
        match version.and_then(|entry| entry.value.scalar()) {
            Some(VERSION) => {}
            Some(other) if other.parse::<u32>().is_ok_and(|number| number > 1) => {
                let span = version.map_or(root.span, |entry| entry.value.span);
                let message = format!("a lock file of version {other}, and this muster knows version {VERSION}");
                self.findings
                    .push(Diagnostic::error(message).at(span).help("use the muster that wrote it, or a newer one"));
                return lock;
            }
            _ => {
                let span = version.map_or(root.span, |entry| entry.value.span);
                self.wrong(span, format!("a lock file begins with `version: {VERSION}`"));
                return lock;
            }
        }
        let Some(images) = images else {
            self.wrong(root.span, "a lock file has `images`");
            return lock;
        };
        let Some(entries) = images.value.entries() else {
            self.wrong(images.value.span, format!("`images` is a mapping, not {}", images.value.describe()));
            return lock;
        };
        for (name, entry) in entries {
            if let Some(locked) = self.image(name, entry) {
                lock.images.insert(name.clone(), locked);
            }
        }
        lock
    }

    fn image(&mut self, name: &str, entry: &Entry) -> Option<Locked> {
        if let Some(fault) = name_fault(name) {
            self.wrong(entry.key, format!("\"{name}\" is no name of an image to lock: {fault}"));
            return None;
        }
        let [digest, platform, locked] = self.fields(&entry.value, "an image", ["digest", "platform", "locked"])?;
        let digest = digest.or_else(|| {
            self.wrong(entry.key, format!("\"{name}\" has no `digest`"));
            None
        })?;
        let digest = self.text(digest, is_digest, "`sha256:` and 64 hexadecimal digits")?;
        let platform = match platform {
            Some(entry) => Some(self.text(entry, is_platform, "a platform, such as `linux/amd64`")?),
            None => None,
        };
        let locked = match locked {
            Some(entry) => Some(self.text(entry, is_time, "a time, such as `2026-01-02T03:04:05Z`")?),
            None => None,
        };
        Some(Locked { digest, platform, locked })
    }

    fn text(&mut self, entry: &Entry, is_good: fn(&str) -> bool, what: &str) -> Option<String> {
        match entry.value.string().filter(|text| is_good(text)) {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong(entry.value.span, format!("expected {what}, found {}", entry.value.describe()));
                None
            }
        }
    }

    /// The values of the keys that a mapping may have, and no others.
    fn fields<'n, const N: usize>(
        &mut self,
        node: &'n Node,
        what: &str,
        keys: [&str; N],
    ) -> Option<[Option<&'n Entry>; N]> {
        let Some(entries) = node.entries() else {
            self.wrong(node.span, format!("{what} is a mapping, not {}", node.describe()));
            return None;
        };
        let strangers: Vec<_> = entries.iter().filter(|(key, _)| !keys.contains(&key.as_str())).collect();
        for (key, entry) in &strangers {
            self.wrong(entry.key, format!("{what} has no `{key}`"));
        }
        strangers.is_empty().then(|| keys.map(|key| entries.get(key)))
    }
}

fn name_fault(name: &str) -> Option<&'static str> {
    let transport = name.split_once(':').is_some_and(|(before, _)| TRANSPORTS.contains(&before));
    if transport || name.starts_with("sha256:") {
        return Some("no registry has it");
    }
    if name.contains('@') {
        return Some("it has a digest");
    }
    check_image(name).err()
}

fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

fn is_platform(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    (2..=3).contains(&text.split('/').count()) && text.split('/').all(part)
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Lock, String> {
        let mut sources = Sources::new(Path::new("/"));
        let (source, text) = sources.add("compose.lock", text);
        let mut findings = Vec::new();
        let lock = lock(source, &text, &mut findings);
        let findings = Diagnostics::new(findings, sources.into_texts());
        if findings.is_empty() { Ok(lock) } else { Err(findings.render(false)) }
    }

    #[test]
    fn what_is_written_is_read() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let whole = Locked {
            digest: digest.clone(),
            platform: Some("linux/arm/v7".into()),
            locked: Some("2026-01-02T03:04:05Z".into()),
        };
        let bare = Locked { digest, platform: None, locked: None };
        let lock = Lock {
            images: [
                ("[::1]:5000/x:1".to_owned(), whole.clone()),
                ("REGISTRY/a/b".into(), bare.clone()),
                ("postgres:16".into(), whole),
                ("123".into(), bare),
            ]
            .into(),
        };
        assert_eq!(read(&lock.render()), Ok(lock));
        assert_eq!(read(&Lock::default().render()), Ok(Lock::default()));
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_line() {
        let text = "version: 1\nimages:\n  \"a:1\": {digest: sha256:00, when: x}\n  b@c: {digest: x}\n  rootfs:/: {}\n  c: {platform: linux/amd64}\n  d:\n    digest: sha512:00\n";
        insta::assert_snapshot!(read(text).unwrap_err(), @r#"
        error: an image has no `when`
         --> compose.lock:3:30
          |
        3 |   "a:1": {digest: sha256:00, when: x}
          |                              ^^^^
          |
          = help: `muster lock` writes this file: remove it, or take it from version control again

        error: "b@c" is no name of an image to lock: it has a digest
         --> compose.lock:4:3
          |
        4 |   b@c: {digest: x}
          |   ^^^
          |
          = help: `muster lock` writes this file: remove it, or take it from version control again

        error: "rootfs:/" is no name of an image to lock: no registry has it
         --> compose.lock:5:3
          |
        5 |   rootfs:/: {}
          |   ^^^^^^^^
          |
          = help: `muster lock` writes this file: remove it, or take it from version control again

        error: "c" has no `digest`
         --> compose.lock:6:3
          |
        6 |   c: {platform: linux/amd64}
          |   ^
          |
          = help: `muster lock` writes this file: remove it, or take it from version control again

        error: expected `sha256:` and 64 hexadecimal digits, found "sha512:00"
         --> compose.lock:8:13
          |
        8 |     digest: sha512:00
          |             ^^^^^^^^^
          |
          = help: `muster lock` writes this file: remove it, or take it from version control again
        "#);
    }

    #[test]
    fn other_files_and_newer_versions_are_refused() {
        for (text, why) in [
            ("", "empty"),
            ("services: {}", "a lock file has no `services`"),
            ("images: {}", "begins with `version: 1`"),
            ("version: 2\nimages: {}", "a lock file of version 2"),
            ("version: 1", "a lock file has `images`"),
            ("version: 1\nimages: [a]", "`images` is a mapping"),
            ("version: 1\nimages: {}\n---\na: 1", "one document"),
            ("version: 1\nimages: {a: {digest: x}, a: {digest: y}}", "a"),
            ("version: 1\nimages: {", "YAML"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
