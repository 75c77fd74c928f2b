//! Whether a registry takes a login, asked without any image.

use super::{Registry, auth::Authority, client};
use crate::image::{
    credentials::{Credentials, Login},
    error::{ImageError, Result},
    progress,
    reference::Name,
};

/// Asks `/v2/` of the registry as whoever `login` says.
pub async fn check(registry: &str, login: &Login, credentials: &Credentials) -> Result<()> {
    let endpoint = credentials.hosts()?.origin(registry)?;
    // Errors of the protocol speak of an image; here the registry itself stands for it.
    let name = Name::of_registry(registry);
    let (client, transport, base) = client::connect(&name, &endpoint).await.map_err(refused)?;
    let authority = Authority::without_scope(&endpoint.registry, credentials.clone().with(registry, login.clone()));
    let host = endpoint.host.clone();
    let connection = Registry { client, transport, endpoint, name, host, base, authority, report: progress::silent() };
    let url = connection.base.clone();
    let response = connection.request(&url, &|client| client.get(url.clone())).await.map_err(refused)?;
    match response.status() {
        status if status.is_success() => Ok(()),
        _ => Err(refused(connection.failure(response).await)),
    }
}

/// The protocol's errors, without an image.
fn refused(error: ImageError) -> ImageError {
    let failed = |registry, reason| ImageError::LoginFailed { registry, reason };
    match error {
        ImageError::Unauthorized { registry, detail, .. } => ImageError::LoginRefused { registry, detail },
        ImageError::Unreachable { registry, reason, .. } => failed(registry, format!("cannot reach it: {reason}")),
        ImageError::Distrusted { registry, reason, .. } => failed(registry, format!("it is not trusted: {reason}")),
        ImageError::NotFound { registry, .. } => failed(registry, "there is no registry at that host".into()),
        ImageError::Registry { registry, status, detail, .. } => {
            failed(registry, format!("it answers {status}{detail}"))
        }
        ImageError::RateLimited { registry, detail, .. } => {
            failed(registry, format!("it answers no more for now{detail}"))
        }
        other => other,
    }
}
