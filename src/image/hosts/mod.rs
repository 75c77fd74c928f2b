//! How registries are reached, by the files that a host with Docker has already. Nothing here speaks to the network.
//!
//! ```text
//! daemon.json              registry-mirrors: for docker.io; insecure-registries: HOST[:PORT] or NETWORK
//! certs.d/HOST[:PORT]/     *.crt: certificate authorities besides the system's; NAME.cert with NAME.key: who we are
//! ```
//!
//! Both are looked for in /etc/docker, and in the directory of `config.json`. Loopback is insecure without being
//! listed, as in Docker. Other keys of `daemon.json` are dockerd's own matters.

mod certificates;

pub use certificates::Certificates;

use ipnet::IpNet;
use serde::Deserialize;
use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

const SYSTEM: &str = "/etc/docker";
pub const DOCKER_HUB: &str = "docker.io";
/// Docker Hub's registry has another name than its images have.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
}

/// What is configured for all registries.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Each with a `certs.d`, perhaps.
    directories: Vec<PathBuf>,
    /// Of docker.io, in the order of trying.
    mirrors: Vec<Mirror>,
    insecure: Vec<Insecure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    host: String,
    plain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Insecure {
    Host(String),
    Network(IpNet),
}

/// One place to ask for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `registry-1.docker.io`, `localhost:5000`
    pub host: String,
    /// What credentials are filed under.
    pub registry: String,
    /// To be tried in this order; the first that speaks is the one.
    pub transports: Vec<Transport>,
    pub certificates: Certificates,
    pub is_mirror: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Https,
    /// Whoever answers is believed.
    UnverifiedHttps,
    Http,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct DaemonFile {
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
}

impl Hosts {
    /// Of this host, and of the directory that `config.json` is in.
    pub fn read(config: Option<&Path>) -> Result<Self, HostsError> {
        Self::of([Some(PathBuf::from(SYSTEM)), config.map(Path::to_owned)].into_iter().flatten().collect())
    }

    fn of(directories: Vec<PathBuf>) -> Result<Self, HostsError> {
        let mut hosts = Self::default();
        for directory in &directories {
            let path = directory.join("daemon.json");
            let unusable = |reason: String| HostsError::Unusable { path: path.clone(), reason };
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if is_absent(&error) => continue,
                Err(source) => return Err(HostsError::Read { path, source }),
            };
            let file: DaemonFile = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
            for text in &file.registry_mirrors {
                hosts.mirrors.push(mirror(text).map_err(unusable)?);
            }
            for text in &file.insecure_registries {
                hosts.insecure.push(insecure(text).map_err(unusable)?);
            }
        }
        hosts.directories = directories;
        Ok(hosts)
    }

    /// The registry itself, where an image is pushed to.
    pub fn origin(&self, registry: &str) -> Result<Endpoint, HostsError> {
        let host = if registry == DOCKER_HUB { DOCKER_HUB_HOST } else { registry };
        self.endpoint(host, registry, false, false)
    }

    /// Where to ask for an image of the registry: mirrors first, the registry itself at last.
    pub fn endpoints(&self, registry: &str) -> Result<Vec<Endpoint>, HostsError> {
        let mirrors = if registry == DOCKER_HUB { &self.mirrors[..] } else { &[] };
        let mut endpoints = Vec::with_capacity(mirrors.len() + 1);
        for mirror in mirrors {
            endpoints.push(self.endpoint(&mirror.host, &mirror.host, mirror.plain, true)?);
        }
        endpoints.push(self.origin(registry)?);
        Ok(endpoints)
    }

    fn endpoint(&self, host: &str, registry: &str, plain: bool, is_mirror: bool) -> Result<Endpoint, HostsError> {
        use Transport::{Http, Https, UnverifiedHttps};
        let mut certificates = Certificates::default();
        for directory in &self.directories {
            certificates.gather(&directory.join("certs.d").join(host))?;
        }
        let transports = match () {
            () if plain => vec![Http],
            () if !certificates.authorities.is_empty() => vec![Https],
            // The network of this machine itself: most test registries have no TLS, and nobody listens in.
            () if is_loopback(host_of(host)) => vec![Http, UnverifiedHttps],
            () if self.is_insecure(host) => vec![UnverifiedHttps, Http],
            () => vec![Https],
        };
        Ok(Endpoint { host: host.to_owned(), registry: registry.to_owned(), transports, certificates, is_mirror })
    }

    fn is_insecure(&self, host: &str) -> bool {
        self.insecure.iter().any(|entry| match entry {
            Insecure::Host(listed) => listed.eq_ignore_ascii_case(host) || listed.eq_ignore_ascii_case(host_of(host)),
            Insecure::Network(network) => address(host_of(host)).is_some_and(|address| network.contains(&address)),
        })
    }
}

fn mirror(text: &str) -> Result<Mirror, String> {
    let (plain, rest) = match text.split_once("://") {
        None => (false, text),
        Some(("https", rest)) => (false, rest),
        Some(("http", rest)) => (true, rest),
        Some((scheme, _)) => return Err(format!("registry-mirrors: `{text}`: `{scheme}` is neither https nor http")),
    };
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        return Err(format!("registry-mirrors: `{text}` is not a host with an optional port"));
    }
    Ok(Mirror { host: host.to_owned(), plain })
}

fn insecure(text: &str) -> Result<Insecure, String> {
    if let Ok(network) = text.parse() {
        return Ok(Insecure::Network(network));
    }
    let host = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    if host.is_empty() || host.contains('/') {
        return Err(format!("insecure-registries: `{text}` is neither a host with an optional port nor a network"));
    }
    Ok(Insecure::Host(host.to_owned()))
}

/// Without the port.
pub fn host_of(registry: &str) -> &str {
    if registry.starts_with('[') {
        return registry.split_inclusive(']').next().unwrap_or(registry);
    }
    registry.split(':').next().unwrap_or(registry)
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|address| address.is_loopback())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Transport::{Http, Https, UnverifiedHttps};

    fn hosts(daemon: &str) -> Hosts {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("daemon.json"), daemon).unwrap();
        Hosts::of(vec![dir.path().to_owned()]).unwrap()
    }

    #[test]
    fn only_this_machine_and_what_is_listed_may_be_asked_in_the_clear() {
        let hosts =
            hosts(r#"{"insecure-registries": ["box:5000", "lan", "10.1.0.0/16", "http://odd:1/"], "debug": true}"#);
        for (registry, transports) in [
            ("docker.io", vec![Https]),
            ("ghcr.io", vec![Https]),
            ("localhost:5000", vec![Http, UnverifiedHttps]),
            ("LOCALHOST", vec![Http, UnverifiedHttps]),
            ("127.9.9.9:1", vec![Http, UnverifiedHttps]),
            ("[::1]:5000", vec![Http, UnverifiedHttps]),
            ("localhost.example", vec![Https]),
            ("127.0.0.1.example", vec![Https]),
            ("128.0.0.1", vec![Https]),
            ("box:5000", vec![UnverifiedHttps, Http]),
            ("box:5001", vec![Https]),
            ("lan:77", vec![UnverifiedHttps, Http]),
            ("10.1.2.3:5000", vec![UnverifiedHttps, Http]),
            ("10.2.2.3:5000", vec![Https]),
            ("odd:1", vec![UnverifiedHttps, Http]),
        ] {
            assert_eq!(hosts.origin(registry).unwrap().transports, transports, "{registry}");
        }
    }

    #[test]
    fn mirrors_are_for_docker_hub_and_stand_before_it() {
        let hosts = hosts(r#"{"registry-mirrors": ["https://mirror.example/", "http://10.0.0.1:5000"]}"#);
        let endpoints = hosts.endpoints("docker.io").unwrap();
        let seen: Vec<_> = endpoints.iter().map(|e| (&e.host[..], &e.registry[..], e.is_mirror)).collect();
        assert_eq!(
            seen,
            [
                ("mirror.example", "mirror.example", true),
                ("10.0.0.1:5000", "10.0.0.1:5000", true),
                ("registry-1.docker.io", "docker.io", false)
            ]
        );
        assert_eq!((&endpoints[0].transports[..], &endpoints[1].transports[..]), (&[Https][..], &[Http][..]));
        assert_eq!(hosts.endpoints("ghcr.io").unwrap().len(), 1);
    }

    #[test]
    fn a_certificate_authority_makes_a_host_speak_tls() {
        let dir = tempfile::tempdir().unwrap();
        let certs = dir.path().join("certs.d/localhost:5000");
        fs::create_dir_all(&certs).unwrap();
        fs::write(certs.join("ca.crt"), "x").unwrap();
        let hosts = Hosts::of(vec![dir.path().to_owned()]).unwrap();
        let endpoint = hosts.origin("localhost:5000").unwrap();
        assert_eq!(endpoint.transports, [Https]);
        assert_eq!(endpoint.certificates.authorities, [certs.join("ca.crt")]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (text, said) in [
            ("{", "daemon.json: EOF"),
            (r#"{"registry-mirrors": ["ftp://x"]}"#, "`ftp` is neither https nor http"),
            (r#"{"registry-mirrors": ["https://x/y"]}"#, "not a host"),
            (r#"{"insecure-registries": ["a/b"]}"#, "neither a host"),
            (r#"{"insecure-registries": "x"}"#, "daemon.json: invalid type"),
        ] {
            fs::write(dir.path().join("daemon.json"), text).unwrap();
            let error = Hosts::of(vec![dir.path().to_owned()]).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(Hosts::of(vec!["/nonexistent".into()]).is_ok());
    }
}
