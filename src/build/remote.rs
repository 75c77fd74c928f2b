//! Sources that are not on this host: repositories and downloads, as text. Pure; `engine::remote` fetches them.
//!
//! What counts as a repository is BuildKit's rule: `git://` and `ssh://`, `http(s)://` where the path ends in `.git`,
//! `user@host:path`, and `github.com/...`. Behind `#` stand `REF[:SUBDIR]` or, behind a second `#`, `key=value,...`;
//! behind `?` the same as a query.

use reqwest::Url;

/// Where the files of a context come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    Git(GitUrl),
    /// An archive, or a Dockerfile.
    Http(String),
}

/// A repository, and what of it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitUrl {
    /// What git is given.
    pub remote: String,
    /// A branch, a tag, or a commit; `None` is the branch that the repository has as its own.
    pub reference: Option<String>,
    /// Below the top, as it is written.
    pub subdir: Option<String>,
    /// The beginning of the commit that has to be found.
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub submodules: Option<bool>,
    /// `github.com/...`, which may be a path as well.
    pub looks_local: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("{text:?}: the part behind ## has {field:?}, and knows ref=, commit= and subdir= alone")]
    Field { text: String, field: String },
    #[error(
        "{text:?}: the query {key:?} is not known; ref, tag, branch, commit, subdir, keep-git-dir and submodules are"
    )]
    Query { text: String, key: String },
    #[error("{text:?}: {key} is said twice, and differently")]
    Conflict { text: String, key: &'static str },
    #[error("{text:?}: {key} cannot be {value:?}")]
    Value { text: String, key: String, value: String },
    #[error("{text:?}: {part:?} could be taken for an option of git")]
    Option { text: String, part: String },
}

/// `None` for what is a path, or a scheme that nobody fetches.
pub fn parse(text: &str) -> Result<Option<Remote>, UrlError> {
    if let Some(git) = git(text)? {
        return Ok(Some(Remote::Git(git)));
    }
    let is_http = ["http://", "https://"].iter().any(|scheme| has_scheme(text, scheme));
    Ok(is_http.then(|| Remote::Http(text.to_owned())))
}

/// `None` for what is no repository.
pub fn git(text: &str) -> Result<Option<GitUrl>, UrlError> {
    if text.starts_with("github.com/") {
        let found = of_url(&format!("https://{text}"), text)?;
        return Ok(found.map(|url| GitUrl { looks_local: true, ..url }));
    }
    match text.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => match &*scheme.to_ascii_lowercase() {
            "git" | "ssh" => of_url(text, text),
            "http" | "https" => {
                let path = text.split(['?', '#']).next().unwrap_or_default();
                if path.ends_with(".git") { of_url(text, text) } else { Ok(None) }
            }
            _ => Ok(None),
        },
        _ => of_scp(text),
    }
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

fn of_url(url: &str, text: &str) -> Result<Option<GitUrl>, UrlError> {
    let Ok(mut parsed) = Url::parse(url) else { return Ok(None) };
    let fragment = parsed.fragment().map(decoded);
    let query: Vec<(String, String)> =
        parsed.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    parsed.set_fragment(None);
    parsed.set_query(None);
    let host = parsed.host_str().unwrap_or_default();
    // `ssh://-oProxyCommand=...` was a way in (CVE-2017-1000117).
    for part in [host, parsed.username(), parsed.path().trim_start_matches('/')] {
        refuse_option(part, text)?;
    }
    if host.is_empty() {
        return Ok(None);
    }
    let git = GitUrl { remote: parsed.into(), ..GitUrl::default() };
    git.with(fragment.as_deref(), &query, text).map(Some)
}

/// `user@host:path`
fn of_scp(text: &str) -> Result<Option<GitUrl>, UrlError> {
    let plain = |more: &'static str| {
        move |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || more.contains(c))
        }
    };
    let Some((user, rest)) = text.split_once('@') else { return Ok(None) };
    let Some((host, path)) = rest.split_once(':') else { return Ok(None) };
    if !plain("_")(user) || !plain(".")(host) {
        return Ok(None);
    }
    let (path, fragment) = path.split_once('#').map_or((path, None), |(path, fragment)| (path, Some(fragment)));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    for part in [user, host, path] {
        refuse_option(part, text)?;
    }
    let query = Url::parse(&format!("x://x/?{query}")).map(|url| url.query_pairs().into_owned().collect());
    let git = GitUrl { remote: format!("{user}@{host}:{path}"), ..GitUrl::default() };
    git.with(fragment, &query.unwrap_or_else(|_| Vec::new()), text).map(Some)
}

fn refuse_option(part: &str, text: &str) -> Result<(), UrlError> {
    match part.starts_with('-') {
        true => Err(UrlError::Option { text: text.to_owned(), part: part.to_owned() }),
        false => Ok(()),
    }
}

/// `%3A` and its like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl GitUrl {
    fn with(mut self, fragment: Option<&str>, query: &[(String, String)], text: &str) -> Result<Self, UrlError> {
        match fragment {
            None => {}
            Some(fields) if fields.starts_with('#') => self.fields(&fields[1..], text)?,
            Some(fragment) => {
                let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
                self.reference = filled(reference);
                self.subdir = filled(subdir);
            }
        }
        self.query(query, text)?;
        if self.reference.is_none() {
            self.reference.clone_from(&self.checksum);
        }
        // git reads what begins so as an option, and no branch can be called that.
        for part in [&self.reference, &self.checksum].into_iter().flatten() {
            refuse_option(part, text)?;
        }
        Ok(self)
    }

    fn fields(&mut self, fields: &str, text: &str) -> Result<(), UrlError> {
        for field in fields.split(',').filter(|field| !field.is_empty()) {
            let unknown = || UrlError::Field { text: text.to_owned(), field: field.to_owned() };
            let (key, value) = field.split_once('=').ok_or_else(unknown)?;
            let place = match &*key.to_ascii_lowercase() {
                "ref" => &mut self.reference,
                "commit" => &mut self.checksum,
                "subdir" => &mut self.subdir,
                _ => return Err(unknown()),
            };
            *place = filled(value);
        }
        Ok(())
    }

    fn query(&mut self, query: &[(String, String)], text: &str) -> Result<(), UrlError> {
        for (key, value) in query {
            let wrong = || UrlError::Value { text: text.to_owned(), key: key.clone(), value: value.clone() };
            let flag = || match &**value {
                "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
                _ => Err(wrong()),
            };
            let qualified = |prefix: &str| match value.starts_with(prefix) {
                true => value.clone(),
                false => format!("{prefix}{value}"),
            };
            let (name, place, said) = match &**key {
                "keep-git-dir" => {
                    self.keep_git_dir = flag()?;
                    continue;
                }
                "submodules" => {
                    self.submodules = flag()?;
                    continue;
                }
                _ if value.is_empty() => return Err(wrong()),
                "ref" => ("ref", &mut self.reference, value.clone()),
                "tag" => ("ref", &mut self.reference, qualified("refs/tags/")),
                "branch" => ("ref", &mut self.reference, qualified("refs/heads/")),
                "subdir" => ("subdir", &mut self.subdir, value.clone()),
                "commit" | "checksum" => ("commit", &mut self.checksum, value.clone()),
                _ => return Err(UrlError::Query { text: text.to_owned(), key: key.clone() }),
            };
            if place.as_ref().is_some_and(|before| *before != said) {
                return Err(UrlError::Conflict { text: text.to_owned(), key: name });
            }
            *place = Some(said);
        }
        Ok(())
    }

    /// Over `ssh`, which an agent may open.
    pub fn is_ssh(&self) -> bool {
        has_scheme(&self.remote, "ssh://") || !self.remote.contains("://")
    }
}

fn filled(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Without what opens the door, to be shown.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') || scheme.to_ascii_lowercase().starts_with("http") => {
            format!("{scheme}://xxxxx@{}", &rest[user.len() + 1..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Err(error) => format!("error: {error}"),
            Ok(None) => "none".into(),
            Ok(Some(Remote::Http(url))) => format!("http {url}"),
            Ok(Some(Remote::Git(git))) => {
                let option = |name: &str, value: &Option<String>| {
                    value.as_ref().map(|value| format!(" {name}={value}")).unwrap_or_default()
                };
                let flag = |name: &str, value: Option<bool>| value.map(|v| format!(" {name}={v}")).unwrap_or_default();
                let local = if git.looks_local { " local" } else { "" };
                let GitUrl { remote, reference, subdir, checksum, keep_git_dir, submodules, .. } = &git;
                format!(
                    "{remote}{}{}{}{}{}{local}",
                    option("ref", reference),
                    option("subdir", subdir),
                    option("commit", checksum),
                    flag("keep", *keep_git_dir),
                    flag("submodules", *submodules),
                )
            }
        }
    }

    #[test]
    fn repositories_are_told_as_buildkit_tells_them() {
        for (text, expected) in [
            ("https://example.com/", "http https://example.com/"),
            ("https://example.com/foo", "http https://example.com/foo"),
            ("https://example.com/foo.git", "https://example.com/foo.git"),
            ("https://example.com/foo.git#deadbeef", "https://example.com/foo.git ref=deadbeef"),
            ("https://example.com/foo.git#release/1.2", "https://example.com/foo.git ref=release/1.2"),
            ("https://example.com/foo.git/", "http https://example.com/foo.git/"),
            ("https://example.com/foo.git.bar", "http https://example.com/foo.git.bar"),
            ("git://example.com/foo", "git://example.com/foo"),
            ("ssh://git@example.com:22/foo#v1", "ssh://git@example.com:22/foo ref=v1"),
            ("github.com/moby/buildkit", "https://github.com/moby/buildkit local"),
            ("github.com/moby/buildkit#v1:frontend", "https://github.com/moby/buildkit ref=v1 subdir=frontend local"),
            ("custom.xyz/moby/buildkit.git", "none"),
            ("https://foo:bar@github.com/moby/buildkit.git", "https://foo:bar@github.com/moby/buildkit.git"),
            ("git@github.com:moby/buildkit", "git@github.com:moby/buildkit"),
            ("git@github.com:a/b.git#v1:x", "git@github.com:a/b.git ref=v1 subdir=x"),
            ("me_1@git.example:a?branch=x", "me_1@git.example:a ref=refs/heads/x"),
            (
                "https://github.com/foo/bar.git#baz/qux:quux/quuz",
                "https://github.com/foo/bar.git ref=baz/qux subdir=quux/quuz",
            ),
            ("http://github.com/docker/docker.git:#branch", "http http://github.com/docker/docker.git:#branch"),
            ("https://github.com/docker/docker.git#:myfolder", "https://github.com/docker/docker.git subdir=myfolder"),
            ("./.git", "none"),
            (".git", "none"),
            ("git", "none"),
            ("a@b", "none"),
            ("a/b@c:d/e", "none"),
            (
                "https://example.com/foo.git##ref=release/1.2,subdir=/subdir",
                "https://example.com/foo.git ref=release/1.2 subdir=/subdir",
            ),
            ("https://example.com/foo.git##commit=abc", "https://example.com/foo.git ref=abc commit=abc"),
            (
                "https://example.com/foo.git?tag=v1&submodules=false&keep-git-dir",
                "https://example.com/foo.git ref=refs/tags/v1 keep=true submodules=false",
            ),
            ("HTTPS://Example.com/foo.git", "https://example.com/foo.git"),
            ("ftp://a/b.git", "none"),
            ("ext::sh -c id", "none"),
            ("ext::ssh://x", "none"),
            ("file:///etc", "none"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_git_would_misread_is_refused() {
        for text in [
            "ssh://-oProxyCommand=id/x",
            "git@-oProxyCommand:x",
            "git@host:--upload-pack=id",
            "https://a/b.git#--upload-pack=id",
            "https://a/b.git##ref=a,what=b",
            "https://a/b.git##ref",
            "https://a/b.git?ref=a&ref=b",
            "https://a/b.git?what=a",
            "https://a/b.git?submodules=maybe",
        ] {
            assert!(parse(text).is_err(), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn what_is_shown_has_no_password() {
        assert_eq!(redacted("https://me:secret@a/b.git#x"), "https://xxxxx@a/b.git#x");
        assert_eq!(redacted("https://token@a/b.git"), "https://xxxxx@a/b.git");
        assert_eq!(redacted("ssh://git@a/b"), "ssh://git@a/b");
        assert_eq!(redacted("git@a:b"), "git@a:b");
        assert_eq!(redacted("https://a/b@c"), "https://a/b@c");
    }
}
