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
    let (client, base) = client::connect(&name, &endpoint).await?;
    let authority = Authority::without_scope(&endpoint.registry, credentials.clone().with(registry, login.clone()));
    let host = endpoint.host.clone();
    let connection = Registry { client, name, host, base, authority, report: progress::silent() };
    let url = connection.base.clone();
    let response = connection.request(&url, &|client| client.get(url.clone())).await.map_err(refused)?;
    match response.status() {
        status if status.is_success() => Ok(()),
        _ => Err(refused(connection.failure(response).await)),
    }
}

fn refused(error: ImageError) -> ImageError {
    match error {
        ImageError::Unauthorized { registry, detail, .. } => ImageError::LoginRefused { registry, detail },
        other => other,
    }
}
