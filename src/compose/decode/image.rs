//! `image`: a reference, or the path of something at hand.

use super::{At, Decoder};
use crate::compose::canonical::TRANSPORTS;

impl Decoder<'_> {
    pub fn image(&mut self, at: &At<'_>) -> Option<String> {
        let text = self.text(at)?;
        if text.is_empty() {
            // No image at all, which is told of where it matters.
            return None;
        }
        if let Some((transport, path)) = text.split_once(':').filter(|(before, _)| TRANSPORTS.contains(before)) {
            if path.is_empty() {
                self.error_with_help(at, format!("lacks a path: \"{text}\""), format!("write `{transport}:PATH`"));
                return None;
            }
            return Some(text);
        }
        match check(&text) {
            Ok(()) => Some(text),
            Err(why) => {
                self.error(at, format!("is no image reference: {why} in \"{text}\""));
                None
            }
        }
    }
}

/// The grammar of image references: `[domain/]path[:tag][@digest]`, or the id of an image.
pub fn check(text: &str) -> Result<(), &'static str> {
    if is_hex(text) && text.len() == 64 {
        return Ok(());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        check_digest(digest)?;
    }
    if text.strip_prefix("sha256:").is_some_and(|id| id.len() == 64 && is_hex(id)) {
        return Ok(());
    }
    // A colon after the last slash starts a tag; one before it belongs to a port.
    let (name, tag) = match rest.rfind(':').filter(|colon| !rest[*colon..].contains('/')) {
        Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
        None => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    check_name(name)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("no name");
    }
    if name.len() > 255 {
        return Err("a name of more than 255 characters");
    }
    let path = match name.split_once('/') {
        Some((first, path)) if is_domain(first) => {
            check_domain(first)?;
            path
        }
        _ => name,
    };
    path.split('/').try_for_each(check_component)
}

/// Docker's rule for telling `ghcr.io/x` from `library/x`.
fn is_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase())
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !domain.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.chars().all(|c| c.is_ascii_digit())) {
        return Err("a bad port");
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().map(|_| ()).map_err(|_| "a bad host name");
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.split('.').all(label) { Ok(()) } else { Err("a bad host name") }
}

/// Letters and digits, between them one `.`, one or two `_`, or any number of `-`.
fn check_component(component: &str) -> Result<(), &'static str> {
    if component.is_empty() {
        return Err("an empty part of the name");
    }
    if component.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("an upper-case letter (repository names have none)");
    }
    if !component.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')) {
        return Err("a character that no name has");
    }
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    let mut separators = component.split(|c: char| !is_separator(c)).filter(|part| !part.is_empty());
    let fine = |part: &str| matches!(part, "." | "_" | "__") || part.chars().all(|c| c == '-');
    if component.starts_with(is_separator) || component.ends_with(is_separator) || !separators.all(fine) {
        return Err("a misplaced separator");
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let good = !tag.is_empty()
        && tag.len() <= 128
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !tag.starts_with(['.', '-']);
    if good { Ok(()) } else { Err("a bad tag") }
}

fn check_digest(digest: &str) -> Result<(), &'static str> {
    match digest.split_once(':') {
        Some(("sha256", hex)) if hex.len() == 64 && is_hex(hex) => Ok(()),
        Some(("sha512", hex)) if hex.len() == 128 && is_hex(hex) => Ok(()),
        _ => Err("a bad digest"),
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn references_follow_the_grammar_of_the_registries() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for good in [
            "postgres",
            "postgres:16",
            "library/postgres:16-alpine",
            "ghcr.io/x/y_z/w-v.u:1.0_a",
            "localhost:5000/x",
            "localhost/x:y",
            "127.0.0.1:5000/x",
            "[::1]:5000/x",
            "REGISTRY/x",
            "a--b/c__d",
            &format!("x@{digest}"),
            &format!("x:1@{digest}"),
            &digest,
            &"b".repeat(64),
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("Postgres:16", "an upper-case letter (repository names have none)"),
            ("ghcr.io/X", "an upper-case letter (repository names have none)"),
            ("a:", "a bad tag"),
            ("a:-b", "a bad tag"),
            (":a", "no name"),
            ("a b", "a character that no name has"),
            ("a//b", "an empty part of the name"),
            ("a..b", "a misplaced separator"),
            ("-a", "a misplaced separator"),
            ("a___b", "a misplaced separator"),
            ("host:x/a", "a bad port"),
            ("-h.x/a", "a bad host name"),
            ("a@sha256:abc", "a bad digest"),
            ("https://x.io/a", "a bad port"),
            ("é", "a character that no name has"),
        ] {
            assert_eq!(check(bad), Err(why), "{bad}");
        }
    }
}
