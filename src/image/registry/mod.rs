//! The distribution protocol: what an image is made of, its blobs, and pushing both (opencontainers/distribution-spec).
//!
//! ```text
//! remote      the mirrors of a registry and itself, in turn
//! client      one endpoint: transport, certificates, where redirects may lead
//! request     one request, until there is an answer worth having: logs in (auth), repeats what may pass (retry)
//! resolve     name -> manifest and configuration for this machine
//! blob        digest -> stream of bytes, across broken connections
//! push        blobs and manifest -> registry
//! ```
//!
//! Written on reqwest rather than on oci-client: that one reads manifests of any size into memory, swallows the reasons
//! of a failed login, knows no refresh tokens, and sends a password to whatever realm a registry names.
//!
//! What a registry says is not believed: answers are bounded, content is checked against digests, plain HTTP is spoken
//! on loopback alone and where it is configured, and neither a redirect nor a challenge nor the place of an upload gets
//! our credentials to travel in the clear or to another host.

mod auth;
mod blob;
mod challenge;
mod client;
mod login;
mod push;
mod refusal;
mod remote;
mod request;
mod resolve;
mod retry;

pub(super) use blob::fetch;
pub use login::check as check_login;
pub(super) use push::{Sent, Upload};
pub(super) use remote::Remote;

use self::auth::Authority;
use super::{
    credentials::Credentials,
    error::{ImageError, Result},
    hosts::{Endpoint, Transport},
    progress::Report,
    reference::Name,
};
use reqwest::{Client, Response, Url};
use std::sync::Arc;

/// Of an answer that is no content: an error's text.
const MAX_MESSAGE: u64 = 64 << 10;

/// What is to be done in a repository; tokens are given out for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    /// With the repositories of the same registry that blobs may be mounted from.
    Push {
        from: Vec<String>,
    },
}

/// A connection to one endpoint, for one name.
pub(super) struct Registry {
    client: Client,
    transport: Transport,
    endpoint: Endpoint,
    name: Name,
    /// For messages.
    host: String,
    /// `https://ghcr.io/v2/`
    base: Url,
    authority: Authority,
    report: Report,
}

impl Registry {
    pub async fn connect(
        name: &Name,
        endpoint: &Endpoint,
        credentials: &Credentials,
        access: Access,
        report: Report,
    ) -> Result<Arc<Self>> {
        let (client, transport, base) = client::connect(name, endpoint).await?;
        let authority = Authority::new(&endpoint.registry, name.repository(), access, credentials.clone());
        Ok(Arc::new(Self {
            client,
            transport,
            endpoint: endpoint.clone(),
            name: name.clone(),
            host: endpoint.host.clone(),
            base,
            authority,
            report,
        }))
    }

    fn url(&self, kind: &str, selector: &str) -> Result<Url> {
        self.base
            .join(&format!("{}/{kind}/{}", self.name.repository(), selector.replace(':', "%3A")))
            .map_err(|error| self.distrusted(error.to_string()))
    }

    fn unreachable(&self, reason: String) -> ImageError {
        ImageError::Unreachable { image: self.name.familiar(), registry: self.host.clone(), reason }
    }
    fn distrusted(&self, reason: String) -> ImageError {
        ImageError::Distrusted { image: self.name.familiar(), registry: self.host.clone(), reason }
    }
    fn not(&self, reason: String) -> ImageError {
        ImageError::NotAnImage { image: self.name.familiar(), reason }
    }
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

/// The innermost cause: reqwest's own texts say little, and repeat the address.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    // The resolver shows its whole query.
    match text.strip_prefix("no records found for Query { name: Name(\"").and_then(|rest| rest.split_once('"')) {
        Some((name, _)) => {
            format!("the name {} cannot be resolved: is there a network, and a DNS server?", name.trim_end_matches('.'))
        }
        None => text,
    }
}
