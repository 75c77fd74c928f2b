//! Compose files that are elsewhere: told apart from paths, so that they can be refused by name.

/// What kind of place `path` names, where it is no file of this host.
pub fn remote(path: &str) -> Option<&'static str> {
    let scheme = path.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("oci") => Some("an OCI artifact"),
        Some("git" | "ssh") => Some("a git repository"),
        Some("http" | "https") if path.split(['#', '?']).next().is_some_and(|url| url.ends_with(".git")) => {
            Some("a git repository")
        }
        Some(scheme)
            if !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            Some("a URL")
        }
        _ if path.starts_with("git@") || path.starts_with("github.com/") => Some("a git repository"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::remote;

    #[test]
    fn what_is_elsewhere_is_no_path() {
        for (path, kind) in [
            ("oci://registry.example/app:1", Some("an OCI artifact")),
            ("https://example.org/app.git#main:sub", Some("a git repository")),
            ("https://example.org/compose.yaml", Some("a URL")),
            ("git@example.org:a/b.git", Some("a git repository")),
            ("github.com/a/b", Some("a git repository")),
            ("./github.com/a", None),
            ("../a.yaml", None),
            ("a:b.yaml", None),
            ("://x", None),
        ] {
            assert_eq!(remote(path), kind, "{path}");
        }
    }
}
