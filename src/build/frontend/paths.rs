//! Paths inside of images, as text.

/// Absolute and clean: no `.`, no empty parts, and `..` never leaves the root.
pub fn absolute(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let before = if path.starts_with('/') { "" } else { directory };
    for part in before.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The same for a destination, which says with a slash at its end that it is a directory. So do `.` and `dir/.`.
pub fn destination(directory: &str, path: &str) -> String {
    let mut clean = absolute(directory, path);
    let is_directory = matches!(path, "" | "." | "..") || ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if is_directory && clean != "/" {
        clean.push('/');
    }
    clean
}

/// The last part.
pub fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for (directory, path, expected) in [
            ("/w", "a", "/w/a"),
            ("/w", "/a/./b//c", "/a/b/c"),
            ("/w", "../../..", "/"),
            ("", "", "/"),
            ("w", "a", "/w/a"),
        ] {
            assert_eq!(absolute(directory, path), expected, "{directory} {path}");
        }
        for (path, expected) in [
            ("a", "/w/a"),
            ("a/", "/w/a/"),
            (".", "/w/"),
            ("", "/w/"),
            ("./", "/w/"),
            ("a/.", "/w/a/"),
            ("/", "/"),
            ("..", "/"),
        ] {
            assert_eq!(destination("/w", path), expected, "{path}");
        }
        assert_eq!((name("/a/b/"), name("/"), name("x")), ("b", "", "x"));
    }
}
