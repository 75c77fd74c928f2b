//! Paths of this host: absolute, each from where its own text starts. Symbolic links are not followed.

use super::pass::Pass;
use crate::compose::tree::{Kind, Node};
use std::rc::Rc;

/// What a builder fetches.
const REMOTE: [&str; 6] = ["https://", "http://", "git://", "ssh://", "github.com/", "git@"];
/// Kinds of images that are at hand on this host: `oci:DIR` and its like. Docker has none of them.
pub const TRANSPORTS: [&str; 4] = ["oci", "oci-archive", "docker-archive", "rootfs"];
/// A build context that is another service's image.
const SERVICE: &str = "service:";

/// A path of this host: `~` stands for the home directory, a relative path starts where the text it is written in says.
/// An absolute path stays as it is, `..` included.
pub fn of_host(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.string().filter(|text| !text.is_empty()) else { return node.clone() };
    let Some(path) = resolved(pass, node, text) else { return node.clone() };
    if path == text { node.clone() } else { Rc::new(node.with(Kind::string(path))) }
}

/// The same for a build context, which need not be a path.
pub fn build_context(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.string() else { return node.clone() };
    let is_path = !text.contains("://") && !text.starts_with(SERVICE) && !REMOTE.iter().any(|r| text.starts_with(r));
    if is_path { of_host(pass, node) } else { node.clone() }
}

/// An image is a reference, or a path behind the name of a transport.
pub fn image(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let parts = node.string().and_then(|text| text.split_once(':'));
    let Some((transport, path)) = parts.filter(|(transport, path)| TRANSPORTS.contains(transport) && !path.is_empty())
    else {
        return node.clone();
    };
    match resolved(pass, node, path) {
        Some(resolved) => Rc::new(node.with(Kind::string(format!("{transport}:{resolved}")))),
        None => node.clone(),
    }
}

pub fn not_blank(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    if node.string() == Some("") {
        pass.error(node.span, "has a value that can't be blank");
    }
    node.clone()
}

fn resolved(pass: &mut Pass<'_>, node: &Node, text: &str) -> Option<String> {
    let base = pass.context.sources.base(node.span.source);
    if !pass.context.resolve_paths && base.is_none() {
        return Some(text.to_owned());
    }
    if let Some(rest) = text.strip_prefix('~') {
        return in_home(pass, node, text, rest);
    }
    if text.starts_with('/') || is_windows_absolute(text) {
        return Some(text.to_owned());
    }
    let working_dir = pass.context.working_dir;
    let base = base.unwrap_or(working_dir);
    // Without resolving, a path only moves from its own directory to that of the project.
    let base = match pass.context.resolve_paths {
        true => base,
        false => base.strip_prefix(working_dir).unwrap_or(base),
    };
    Some(match base.as_os_str().is_empty() {
        true => clean(text),
        false => clean(&format!("{}/{text}", base.display())),
    })
}

fn in_home(pass: &mut Pass<'_>, node: &Node, text: &str, rest: &str) -> Option<String> {
    if !rest.is_empty() && !rest.starts_with('/') {
        let what = format!("names the home directory of another user, `{text}`");
        pass.error_with_help(node.span, what, "write the path in full");
        return None;
    }
    match pass.context.home {
        Some(home) => Some(clean(&format!("{}{rest}", home.display()))),
        None => {
            pass.error(node.span, "starts with `~`, but HOME is not set");
            None
        }
    }
}

/// `C:\`, which only a client on Windows has.
fn is_windows_absolute(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// Without `.`, `..` and double slashes, as text.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".into(),
        (false, path) => path,
    }
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn build_contexts_may_be_something_else_than_paths() {
        check(&[
            ("build: ./x/../y", r#"{"context":"/w/y"}"#),
            ("build: ~/x", r#"{"context":"/home/u/x"}"#),
            ("build: /x/../y", r#"{"context":"/x/../y"}"#),
            ("build: https://github.com/a/b.git", r#"{"context":"https://github.com/a/b.git"}"#),
            ("build: git@github.com:a/b", r#"{"context":"git@github.com:a/b"}"#),
            ("build: github.com/a/b", r#"{"context":"github.com/a/b"}"#),
            ("build: ssh://a/b", r#"{"context":"ssh://a/b"}"#),
        ]);
    }

    #[test]
    fn images_at_hand_are_paths() {
        check(&[
            ("image: oci:./x", r#""oci:/w/x""#),
            ("image: rootfs:/", r#""rootfs:/""#),
            ("image: docker-archive:~/x.tar", r#""docker-archive:/home/u/x.tar""#),
            ("image: redis:7", r#""redis:7""#),
        ]);
    }
}
