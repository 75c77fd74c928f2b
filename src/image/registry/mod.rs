//! The distribution protocol, as far as pulling needs it (opencontainers/distribution-spec).
//!
//! Written on reqwest rather than on oci-client: that one reads manifests of any size into memory, swallows the reasons
//! of a failed login, knows no refresh tokens, and sends a password to whatever realm a registry names.
//!
//! What a registry says is not believed: answers are bounded, content is checked against digests, plain HTTP is spoken
//! on loopback alone, and neither a redirect nor a challenge gets our credentials to travel in the clear.

mod auth;
mod blob;
mod challenge;
mod retry;

pub(super) use blob::fetch;

use self::{auth::Authority, retry::Attempt};
use super::{
    credentials::Credentials,
    digest::Digest,
    error::{ImageError, Result},
    platform,
    progress::{Progress, Report},
    reference::{Name, Reference},
    source::{
        From, Package, Part,
        manifest::{self, Blob, MAX_CONFIG, MAX_MANIFEST, Parsed},
    },
};
use reqwest::{Client, Method, Response, StatusCode, Url, header};
use std::{net::IpAddr, sync::Arc, time::Duration};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Without a byte for that long a request has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
/// Of an answer that is no content: an error's text.
const MAX_MESSAGE: u64 = 64 << 10;
const MAX_DEPTH: u32 = 3;

/// A connection to the registry of one name.
pub(super) struct Registry {
    client: Client,
    name: Name,
    base: Url,
    authority: Authority,
    report: Report,
}

impl Registry {
    pub fn open(name: &Name, credentials: &Credentials, report: Report) -> Result<Arc<Self>> {
        let plain = is_loopback(host_of(name.registry()));
        // Docker Hub's registry has another name than its images have.
        let host = if name.registry() == "docker.io" { "registry-1.docker.io" } else { name.registry() };
        let distrusted = |reason: String| ImageError::Distrusted {
            image: name.familiar(),
            registry: name.registry().to_owned(),
            reason,
        };
        let scheme = if plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{}/", name.repository()))
            .map_err(|error| distrusted(error.to_string()))?;
        let client = client(plain).map_err(|error| distrusted(cause(&error)))?;
        let authority = Authority::new(name, credentials.clone());
        Ok(Arc::new(Self { client, name: name.clone(), base, authority, report }))
    }

    /// Digest of what the name stands for, without fetching it. `None` when the registry does not tell.
    pub async fn head(&self) -> Result<Option<Digest>> {
        let url = self.url("manifests", &self.name.selector())?;
        let response = self.request(Method::HEAD, &url, manifest::ACCEPT, None).await?;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        Ok(header_digest(&response))
    }

    /// The same for a registry that does not tell: the manifest is fetched.
    pub async fn top(&self) -> Result<Digest> {
        let (bytes, _) = self.manifest(&self.name.selector(), self.name.digest()).await?;
        Ok(Digest::of(&bytes))
    }

    /// Manifest and configuration for this machine. Layers are only named; `blob::fetch` reads them.
    pub async fn resolve(&self) -> Result<Package> {
        let selector = self.name.selector();
        let (bytes, declared) = self.manifest(&selector, self.name.digest()).await?;
        let top = Digest::of(&bytes);
        let (manifest, bytes) = self.descend(bytes, declared).await?;
        let config = self.small_blob(&manifest.config).await?;
        let part = |layer: &Blob| Part {
            digest: Some(layer.digest),
            size: Some(layer.size),
            media_type: layer.media_type.clone(),
            from: From::Registry,
        };
        let mut package = Package::new(self.name.familiar(), config, manifest.layers.iter().map(part).collect())?;
        package.manifest = Some((bytes, manifest.media_type));
        package.names = vec![Reference::Registry(match self.name.digest() {
            Some(digest) => self.name.at(digest),
            None => self.name.clone(),
        })];
        package.repo_digest = Some(self.name.at(top).to_string());
        Ok(package)
    }

    async fn descend(&self, mut bytes: Vec<u8>, mut declared: Option<String>) -> Result<(manifest::Manifest, Vec<u8>)> {
        for _ in 0..MAX_DEPTH {
            let parsed = manifest::parse(&bytes, declared.as_deref()).map_err(|error| self.not(error.to_string()))?;
            let entries = match parsed {
                Parsed::Image(manifest) => return Ok((manifest, bytes)),
                Parsed::Index(entries) => entries,
            };
            let entry = platform::choose(&entries, &platform::host()).ok_or_else(|| ImageError::NoPlatform {
                image: self.name.familiar(),
                wanted: platform::host_name(),
                available: platform::names(&entries),
            })?;
            let blob = Blob::of(entry).map_err(|error| self.not(error.to_string()))?;
            (bytes, _) = self.manifest(&blob.digest.to_string(), Some(blob.digest)).await?;
            declared = Some(blob.media_type);
        }
        Err(self.not("its indexes have no end".into()))
    }

    async fn manifest(&self, selector: &str, expected: Option<Digest>) -> Result<(Vec<u8>, Option<String>)> {
        (self.report)(Progress::Resolving);
        let url = self.url("manifests", selector)?;
        let (bytes, response_type, told) = self.document(&url, manifest::ACCEPT, MAX_MANIFEST).await?;
        // A tag has no digest of its own: then the registry's header, when there is one, guards against a torn answer.
        self.check("manifest", &bytes, expected.or(told))?;
        Ok((bytes, response_type))
    }

    async fn small_blob(&self, blob: &Blob) -> Result<Vec<u8>> {
        let url = self.url("blobs", &blob.digest.to_string())?;
        let (bytes, ..) = self.document(&url, "*/*", MAX_CONFIG).await?;
        self.check("configuration", &bytes, Some(blob.digest))?;
        Ok(bytes)
    }

    fn check(&self, what: &str, bytes: &[u8], expected: Option<Digest>) -> Result<()> {
        let actual = Digest::of(bytes);
        match expected.filter(|expected| *expected != actual) {
            None => Ok(()),
            Some(expected) => {
                let (image, what) = (self.name.familiar(), format!("its {what}"));
                Err(ImageError::DigestMismatch { image, what, expected, actual })
            }
        }
    }

    /// A whole answer, its type, and the digest that its header tells.
    async fn document(&self, url: &Url, accept: &str, limit: u64) -> Result<(Vec<u8>, Option<String>, Option<Digest>)> {
        let mut attempt = Attempt::first();
        loop {
            let response = self.request(Method::GET, url, accept, None).await?;
            if !response.status().is_success() {
                return Err(self.failure(response).await);
            }
            let declared = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let declared = declared.map(|value| value.split(';').next().unwrap_or_default().trim().to_owned());
            let told = header_digest(&response);
            match read_bounded(response, limit).await {
                Ok(Some(bytes)) => return Ok((bytes, declared, told)),
                Ok(None) => return Err(self.distrusted(format!("it sends a document of more than {limit} bytes"))),
                Err(error) => self.pause(&mut attempt, url, cause(&error), None).await?,
            }
        }
    }

    /// Sends a request until there is an answer worth having: logs in where asked, repeats what may pass.
    async fn request(&self, method: Method, url: &Url, accept: &str, from: Option<u64>) -> Result<Response> {
        let mut attempt = Attempt::first();
        let mut logged_in = false;
        loop {
            let request = self.client.request(method.clone(), url.clone()).header(header::ACCEPT, accept);
            let mut request = self.authority.sign(request);
            if let Some(from) = from {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = match request.send().await {
                Ok(response) => response,
                // Refused for safety by our redirect rule: no second try makes it better.
                Err(error) if error.is_redirect() => return Err(self.distrusted(cause(&error))),
                Err(error) => {
                    if error.is_connect() {
                        attempt.unconnected();
                    }
                    self.pause(&mut attempt, url, cause(&error), None).await?;
                    continue;
                }
            };
            let status = response.status();
            // Where a redirect led may ask for a login as well, but the credentials are the registry's alone.
            let own = response.url().origin() == self.base.origin();
            if status == StatusCode::UNAUTHORIZED && own && !logged_in {
                logged_in = true;
                if self.authority.log_in(self, &response).await? {
                    continue;
                }
            }
            let may_pass = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            if may_pass && !attempt.is_last() {
                let wait = retry::after(&response);
                self.pause(&mut attempt, url, format!("it answers {status}"), wait).await?;
                continue;
            }
            return Ok(response);
        }
    }

    /// Waits before the next attempt, or gives up.
    async fn pause(&self, attempt: &mut Attempt, url: &Url, why: String, wait: Option<Duration>) -> Result<()> {
        let Some(wait) = attempt.next(wait) else { return Err(self.unreachable(why)) };
        (self.report)(Progress::Retrying { what: url.path().to_owned(), why, wait });
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn url(&self, kind: &str, selector: &str) -> Result<Url> {
        self.base
            .join(&format!("{kind}/{}", selector.replace(':', "%3A")))
            .map_err(|error| self.distrusted(error.to_string()))
    }

    /// What a refusal means.
    async fn failure(&self, response: Response) -> ImageError {
        let status = response.status();
        let text = read_bounded(response, MAX_MESSAGE).await.ok().flatten().unwrap_or_default();
        let detail = message(&text).map(|text| format!(" ({text})")).unwrap_or_default();
        let (image, registry) = (self.name.familiar(), self.name.registry().to_owned());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ImageError::Unauthorized { image, registry, detail },
            StatusCode::NOT_FOUND => ImageError::NotFound { image, registry, detail },
            status => ImageError::Registry { image, registry, status: status.as_u16(), detail },
        }
    }

    fn unreachable(&self, reason: String) -> ImageError {
        ImageError::Unreachable { image: self.name.familiar(), registry: self.name.registry().to_owned(), reason }
    }
    fn distrusted(&self, reason: String) -> ImageError {
        ImageError::Distrusted { image: self.name.familiar(), registry: self.name.registry().to_owned(), reason }
    }
    fn not(&self, reason: String) -> ImageError {
        ImageError::NotAnImage { image: self.name.familiar(), reason }
    }
}

fn client(plain: bool) -> reqwest::Result<Client> {
    // A second call finds a provider in place, and that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        // Needs no resolver and must not go to one.
        .resolve_to_addrs("localhost", &[([127, 0, 0, 1], 0).into(), (std::net::Ipv6Addr::LOCALHOST, 0).into()])
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if !is_safe(attempt.url()) {
                let refused =
                    format!("it redirects to {}, which is not HTTPS", attempt.url().origin().ascii_serialization());
                attempt.error(refused)
            } else {
                // reqwest takes the Authorization header away where the host or the port changes.
                attempt.follow()
            }
        }));
    // A proxy of the environment has no business on loopback.
    let builder = if plain { builder.no_proxy() } else { builder };
    builder.build()
}

/// HTTPS, or this machine.
fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback))
}

fn host_of(registry: &str) -> &str {
    if registry.starts_with('[') {
        return registry.split_inclusive(']').next().unwrap_or(registry);
    }
    registry.split(':').next().unwrap_or(registry)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn header_digest(response: &Response) -> Option<Digest> {
    response.headers().get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// `None` when there is more than `limit`.
async fn read_bounded(mut response: Response, limit: u64) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// The text of the first error of an answer's body, distribution-spec "Error Codes"; printable and short.
fn message(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text =
        value.pointer("/errors/0/message").or_else(|| value.get("details")).and_then(serde_json::Value::as_str)?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// The innermost cause: reqwest's own texts say little, and repeat the address.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "10.0.0.1", "[::2]", "127.0.0.1.example", "x"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert_eq!(host_of("[::1]:5000"), "[::1]");
        assert_eq!(host_of("localhost:5000"), "localhost");
        assert_eq!(host_of("ghcr.io"), "ghcr.io");
        let safe = |url: &str| is_safe(&Url::parse(url).unwrap());
        assert!(safe("https://cdn.example/x") && safe("http://127.0.0.1:5000/x") && safe("http://[::1]/x"));
        assert!(!safe("http://cdn.example/x") && !safe("ftp://127.0.0.1/x") && !safe("http://169.254.169.254/"));
    }

    #[test]
    fn an_errors_text_is_short_and_printable() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J way"}]}"#;
        assert_eq!(message(body).as_deref(), Some("no[2J way"));
        assert_eq!(message(b"<html>"), None);
    }
}
