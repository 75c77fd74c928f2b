//! The HTTP client of one endpoint, and which addresses it may be led to.

use super::{Registry, cause};
use crate::image::{
    error::{ImageError, Result},
    hosts::{Certificates, Endpoint, Transport, host_of, is_loopback},
    reference::Name,
};
use reqwest::{Client, ClientBuilder, StatusCode, Url};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Without a byte for that long a request has failed.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The first question to a registry whose transport is not known: it may be left without an answer for good.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 10;

/// What both TLS servers of Go and nginx say to a plain request.
const TLS_WANTED: [&str; 2] = ["HTTPS server", "HTTPS port"];

/// A client that fits the endpoint, what it speaks, and the address `/v2/` of it.
pub async fn connect(name: &Name, endpoint: &Endpoint) -> Result<(Client, Transport, Url)> {
    let distrusted =
        |reason: String| ImageError::Distrusted { image: name.familiar(), registry: endpoint.host.clone(), reason };
    for (index, transport) in endpoint.transports.iter().enumerate() {
        let scheme = if *transport == Transport::Http { "http" } else { "https" };
        let base =
            Url::parse(&format!("{scheme}://{}/v2/", endpoint.host)).map_err(|error| distrusted(error.to_string()))?;
        let client = build(client(*transport, &endpoint.certificates, &endpoint.host)?, distrusted)?;
        if index + 1 == endpoint.transports.len() || speaks(&client, &base, *transport).await {
            return Ok((client, *transport, base));
        }
    }
    Err(distrusted("it has no address".into()))
}

/// Whether the other side understands this transport. Nothing of ours is in the question but that it is asked.
async fn speaks(client: &Client, base: &Url, transport: Transport) -> bool {
    let response = match client.get(base.clone()).timeout(PROBE_TIMEOUT).send().await {
        Ok(response) => response,
        // Without a connection nobody there speaks the next transport either, and the real request says better why.
        Err(error) => return error.is_redirect() || (transport == Transport::Http && error.is_connect()),
    };
    if transport != Transport::Http || response.status() != StatusCode::BAD_REQUEST {
        return true;
    }
    let text = super::read_bounded(response, super::MAX_MESSAGE).await.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    !TLS_WANTED.iter().any(|phrase| text.contains(phrase))
}

fn client(transport: Transport, certificates: &Certificates, host: &str) -> Result<ClientBuilder> {
    // A second call finds a provider in place, and that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = transport == Transport::Http;
    let own_host = host.to_owned();
    let builder = Client::builder()
        .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        // Needs no resolver and must not go to one.
        .resolve_to_addrs("localhost", &[([127, 0, 0, 1], 0).into(), (std::net::Ipv6Addr::LOCALHOST, 0).into()])
        .redirect(reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if !(is_safe(attempt.url()) || plain && is_host(attempt.url(), &own_host)) {
                let refused =
                    format!("it redirects to {}, which is not HTTPS", attempt.url().origin().ascii_serialization());
                attempt.error(refused)
            } else {
                // reqwest takes the Authorization header away where the host or the port changes.
                attempt.follow()
            }
        }));
    // A proxy of the environment has no business on loopback.
    let builder = if is_loopback(host_of(host)) { builder.no_proxy() } else { builder };
    let builder = match transport {
        Transport::UnverifiedHttps => builder.tls_danger_accept_invalid_certs(true),
        Transport::Https | Transport::Http => builder,
    };
    Ok(certificates.apply(builder)?)
}

fn build(builder: ClientBuilder, distrusted: impl Fn(String) -> ImageError) -> Result<Client> {
    builder.read_timeout(READ_TIMEOUT).build().map_err(|error| distrusted(cause(&error)))
}

/// HTTPS, or this machine.
pub fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback))
}

fn is_host(url: &Url, host: &str) -> bool {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    url.host_str().is_some_and(|own| format!("{own}{port}").eq_ignore_ascii_case(host))
}

impl Registry {
    /// Whether a password may go there: over HTTPS or on this machine, or to the registry itself, which somebody
    /// configured to be asked in the clear.
    pub fn may_be_told(&self, url: &Url) -> bool {
        is_safe(url) || url.origin() == self.base.origin()
    }

    /// The client for an address: what is configured for the registry (no verification, its own authorities, our
    /// certificate) is for the registry alone.
    pub fn client_for(&self, url: &Url) -> Result<Client> {
        if url.host_str() == self.base.host_str() {
            return Ok(self.client.clone());
        }
        build(self.stranger(url)?, |reason| self.distrusted(reason))
    }

    /// The same without a limit of time: reqwest counts a request's body as silence of the other side.
    pub fn client_for_upload(&self, url: &Url) -> Result<Client> {
        let builder = if url.host_str() == self.base.host_str() {
            client(self.transport, &self.endpoint.certificates, &self.endpoint.host)?
        } else {
            self.stranger(url)?
        };
        builder.build().map_err(|error| self.distrusted(cause(&error)))
    }

    fn stranger(&self, url: &Url) -> Result<ClientBuilder> {
        client(Transport::Https, &Certificates::default(), url.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        let safe = |url: &str| is_safe(&Url::parse(url).unwrap());
        assert!(safe("https://cdn.example/x") && safe("http://127.0.0.1:5000/x") && safe("http://[::1]/x"));
        assert!(!safe("http://cdn.example/x") && !safe("ftp://127.0.0.1/x") && !safe("http://169.254.169.254/"));
    }

    #[test]
    fn a_host_is_itself_with_its_port() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(is_host(&url("http://box:5000/x"), "box:5000") && is_host(&url("http://box/x"), "box"));
        assert!(!is_host(&url("http://box:5001/x"), "box:5000") && !is_host(&url("http://other:5000/x"), "box:5000"));
    }
}
