//! What a person writes to name an image, read as Docker reads it. Pure: no disk, no network.
//!
//! ```text
//! postgres:16                        -> docker.io/library/postgres:16
//! ghcr.io/x/y@sha256:…               a registry by its host
//! localhost:5000/x                   a host needs a dot, a port, or to be `localhost`
//! sha256:…                           an image of this host by its id
//! oci:DIR[:tag]                      an OCI image layout
//! oci-archive:FILE[:tag]             a tar of one
//! docker-archive:FILE[:ref]          what `docker save` writes
//! rootfs:DIR                         a plain directory
//! ```
//!
//! In a transport the path ends at the first colon, as in skopeo's.

use super::digest::{Digest, DigestError};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// Names one image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// In a registry, or loaded under such a name.
    Registry(Name),
    /// `sha256:<config digest>`: only what is on this host already.
    Id(Digest),
    OciLayout {
        dir: PathBuf,
        tag: Option<String>,
    },
    OciArchive {
        file: PathBuf,
        tag: Option<String>,
    },
    DockerArchive {
        file: PathBuf,
        name: Option<String>,
    },
    Rootfs(PathBuf),
}

/// A name in a registry, complete: nothing is left to a default.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error("an image name is empty")]
    Empty,
    #[error("image `{0}` names no {1}")]
    NoPath(String, &'static str),
    #[error("image `{reference}`: repository `{repository}` has capital letters, and a repository may have none")]
    Capitals { reference: String, repository: String },
    #[error(
        "image `{reference}`: `{part}` is not a repository name: lower-case letters and digits, parted by single `.`, `_`, `__` or dashes"
    )]
    Repository { reference: String, part: String },
    #[error("image `{reference}`: `{part}` is not a registry host")]
    Registry { reference: String, part: String },
    #[error(
        "image `{reference}`: `{part}` is not a tag: at most 128 letters, digits, `_`, `.` and `-`, not led by `.` or `-`"
    )]
    Tag { reference: String, part: String },
    #[error("image `{reference}`: {source}")]
    Digest { reference: String, source: DigestError },
    #[error("image `{0}`: the repository name is longer than 255 characters")]
    TooLong(String),
    #[error("image `{0}`: 64 hexadecimal digits are an image id, and that is written `sha256:{0}`")]
    BareId(String),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some((scheme, rest)) = text.split_once(':') {
            let no_path = |what| ReferenceError::NoPath(text.to_owned(), what);
            match scheme {
                "rootfs" if rest.is_empty() => return Err(no_path("directory")),
                "rootfs" => return Ok(Self::Rootfs(rest.into())),
                "oci" => {
                    let (dir, tag) = split_path(rest).ok_or_else(|| no_path("directory"))?;
                    return Ok(Self::OciLayout { dir, tag });
                }
                "oci-archive" => {
                    let (file, tag) = split_path(rest).ok_or_else(|| no_path("file"))?;
                    return Ok(Self::OciArchive { file, tag });
                }
                "docker-archive" => {
                    let (file, name) = split_path(rest).ok_or_else(|| no_path("file"))?;
                    return Ok(Self::DockerArchive { file, name });
                }
                "sha256" => {
                    let digest =
                        text.parse().map_err(|source| ReferenceError::Digest { reference: text.to_owned(), source })?;
                    return Ok(Self::Id(digest));
                }
                _ => {}
            }
        }
        Name::parse(text).map(Self::Registry)
    }

    /// The same with the path of a transport made absolute. Store and plan compare such references.
    pub fn absolute(self, base: &Path) -> Self {
        match self {
            Self::OciLayout { dir, tag } => Self::OciLayout { dir: clean(base, &dir), tag },
            Self::OciArchive { file, tag } => Self::OciArchive { file: clean(base, &file), tag },
            Self::DockerArchive { file, name } => Self::DockerArchive { file: clean(base, &file), name },
            Self::Rootfs(dir) => Self::Rootfs(clean(base, &dir)),
            named @ (Self::Registry(_) | Self::Id(_)) => named,
        }
    }

    /// As short as Docker shows it: `postgres:16` for `docker.io/library/postgres:16`.
    pub fn familiar(&self) -> String {
        match self {
            Self::Registry(name) => name.familiar(),
            other => other.to_string(),
        }
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, ReferenceError> {
        let reference = || text.to_owned();
        if Digest::from_hex(text).is_some() {
            return Err(ReferenceError::BareId(reference()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest =
                    digest.parse().map_err(|source| ReferenceError::Digest { reference: reference(), source })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest);
        // A colon after the last slash parts the tag; one before it would be a port.
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag { reference: reference(), part: tag.to_owned() });
        }
        if !is_registry(registry) {
            return Err(ReferenceError::Registry { reference: reference(), part: registry.to_owned() });
        }
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceError::Capitals { reference: reference(), repository: repository.to_owned() });
        }
        if let Some(part) = repository.split('/').find(|part| !is_component(part)) {
            return Err(ReferenceError::Repository { reference: reference(), part: part.to_owned() });
        }
        let namespace = if registry == DEFAULT_REGISTRY && !repository.contains('/') { DEFAULT_NAMESPACE } else { "" };
        let repository = format!("{namespace}{repository}");
        if registry.len() + 1 + repository.len() > 255 {
            return Err(ReferenceError::TooLong(reference()));
        }
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// `docker.io`, `ghcr.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }
    /// `library/postgres`.
    pub fn repository(&self) -> &str {
        &self.repository
    }
    /// `None` only where there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }
    /// What the registry is asked for. A digest outweighs a tag, as in Docker.
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }
    /// Stands for a registry as a whole, where no image is meant.
    pub(crate) fn of_registry(registry: &str) -> Self {
        Self { registry: registry.to_owned(), repository: String::new(), tag: None, digest: None }
    }
    /// The same repository, by digest alone.
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
    /// The same by its tag, if it has one.
    pub fn without_digest(&self) -> Option<Self> {
        self.tag.is_some().then(|| Self { digest: None, ..self.clone() })
    }
    /// `postgres`, `ghcr.io/x/y`.
    pub fn familiar_repository(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        self.repository.strip_prefix(DEFAULT_NAMESPACE).unwrap_or(&self.repository).to_owned()
    }
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_repository(), self.suffix())
    }
    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.suffix())
    }
}

/// Complete; `parse` reads it back.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, rest) = match self {
            Self::Registry(name) => return name.fmt(f),
            Self::Id(digest) => return digest.fmt(f),
            Self::Rootfs(dir) => ("rootfs", dir, &None),
            Self::OciLayout { dir, tag } => ("oci", dir, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, name } => ("docker-archive", file, name),
        };
        write!(f, "{scheme}:{}", path.display())?;
        rest.as_ref().map_or(Ok(()), |rest| write!(f, ":{rest}"))
    }
}

fn split_path(rest: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, tag) = rest.split_once(':').unwrap_or((rest, ""));
    (!path.is_empty()).then(|| (path.into(), (!tag.is_empty()).then(|| tag.to_owned())))
}

/// Lexical: a link of the host stays a link.
fn clean(base: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

/// Docker's rule: the first part is a host when it has a dot or a colon, is `localhost`, or has capitals.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
        Some((host, rest))
            if host.contains(['.', ':']) || host == "localhost" || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (host, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", rest.strip_prefix(':').or(if rest.is_empty() { None } else { Some("") }))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let mut separator = String::new();
    let mut seen = false;
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => {
                let parted = match separator.as_str() {
                    "" => true,
                    "." | "_" | "__" => seen,
                    dashes => seen && dashes.bytes().all(|b| b == b'-'),
                };
                if !parted {
                    return false;
                }
                separator.clear();
                seen = true;
            }
            '.' | '_' | '-' => separator.push(c),
            _ => return false,
        }
    }
    seen && separator.is_empty()
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_become_complete_as_in_docker() {
        let at = format!("@sha256:{HEX}");
        for (text, complete, familiar) in [
            ("postgres", "docker.io/library/postgres:latest", "postgres:latest"),
            ("postgres:16", "docker.io/library/postgres:16", "postgres:16"),
            ("docker.io/postgres:16", "docker.io/library/postgres:16", "postgres:16"),
            ("index.docker.io/library/postgres", "docker.io/library/postgres:latest", "postgres:latest"),
            ("grafana/loki", "docker.io/grafana/loki:latest", "grafana/loki:latest"),
            ("ghcr.io/x/y", "ghcr.io/x/y:latest", "ghcr.io/x/y:latest"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest", "127.0.0.1:5000/a/b/c:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("Host/a", "Host/a:latest", "Host/a:latest"),
            ("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f:latest", "a__b/c-d--e.f:latest"),
            ("x:5000", "docker.io/library/x:5000", "x:5000"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.to_string(), complete, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(Reference::parse(complete).unwrap(), reference);
            assert_eq!(Reference::parse(familiar).unwrap(), reference);
        }
        let reference = Reference::parse(&format!("host:443/x/y:1{at}")).unwrap();
        assert_eq!(reference.to_string(), format!("host:443/x/y:1{at}"));
        let Reference::Registry(name) = Reference::parse(&format!("x{at}")).unwrap() else { panic!() };
        assert_eq!((name.tag(), name.selector()), (None, format!("sha256:{HEX}")));
    }

    #[test]
    fn transports_keep_their_path() {
        for text in [
            "oci:/a/b",
            "oci:/a/b:v1",
            "oci-archive:/a.tar",
            "oci-archive:/a.tar:docker.io/library/x:1",
            "docker-archive:/a.tar",
            "docker-archive:/a.tar:reg:5000/x:1",
            "rootfs:/",
            "rootfs:/a:b",
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let relative = Reference::parse("oci:./img/../web:1").unwrap();
        assert_eq!(relative.absolute(Path::new("/p")).to_string(), "oci:/p/web:1");
        assert_eq!(Reference::parse(&format!("sha256:{HEX}")).unwrap(), Reference::Id(Digest::of(b"")));
    }

    #[test]
    fn a_bad_name_says_what_is_bad() {
        for (text, why) in [
            ("", "empty"),
            ("Postgres", "capital letters"),
            ("x/Y", "capital letters"),
            ("postgres:", "is not a tag"),
            ("postgres:-1", "is not a tag"),
            ("postgres:a b", "is not a tag"),
            ("a//b", "is not a repository name"),
            ("/b", "is not a repository name"),
            ("a..b", "is not a repository name"),
            ("a___b", "is not a repository name"),
            ("_a", "is not a repository name"),
            ("../etc", "is not a registry host"),
            ("a/../b", "is not a repository name"),
            ("ho_st.io/x", "is not a registry host"),
            ("host:99999/x", "is not a registry host"),
            ("[zz]:1/x", "is not a registry host"),
            ("x@sha256:12", "hexadecimal"),
            ("x@md5:12", "only sha256"),
            ("oci:", "names no directory"),
            ("docker-archive::x", "names no file"),
            ("rootfs:", "names no directory"),
            (HEX, "written `sha256:"),
        ] {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Reference::parse(&"a/".repeat(200)).is_err());
        assert!(matches!(Reference::parse(&format!("{}a", "a/".repeat(140))), Err(ReferenceError::TooLong(_))));
    }
}
