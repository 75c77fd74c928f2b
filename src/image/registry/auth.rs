//! Logging in: Basic, or a token from the server that the registry names (distribution, "Token Authentication").
//!
//! A password goes to the registry it belongs to, or to the token server which that registry names, and to the latter
//! over HTTPS alone (or on loopback, or where the registry itself is). reqwest takes it away on a redirect to anybody
//! else.

use super::{
    Access, Registry, cause,
    challenge::{self, Challenge},
    read_bounded,
    refusal::message,
};
use crate::image::{
    credentials::{Credentials, Login},
    error::{ImageError, Result},
};
use reqwest::{RequestBuilder, Response, Url, header};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};

/// Of a token server's answer.
const MAX_TOKEN: u64 = 1 << 20;

/// What is said to the registry at present.
pub struct Authority {
    /// What the credentials are filed under.
    registry: String,
    /// What a token has to be good for, besides what a challenge says.
    scopes: Vec<String>,
    credentials: Credentials,
    answer: Mutex<Option<Answer>>,
}

#[derive(Clone)]
enum Answer {
    Basic { user: String, password: String },
    Bearer(String),
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Authority {
    pub fn new(registry: &str, repository: &str, access: Access, credentials: Credentials) -> Self {
        let scopes = match access {
            Access::Pull => vec![format!("repository:{repository}:pull")],
            Access::Push { from } => {
                let own = format!("repository:{repository}:pull,push");
                [own].into_iter().chain(from.iter().map(|other| format!("repository:{other}:pull"))).collect()
            }
        };
        Self { registry: registry.to_owned(), scopes, credentials, answer: Mutex::new(None) }
    }

    /// For a login alone: of no repository.
    pub fn without_scope(registry: &str, credentials: Credentials) -> Self {
        Self { registry: registry.to_owned(), scopes: Vec::new(), credentials, answer: Mutex::new(None) }
    }

    /// Adds what the registry wants to see.
    pub fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match &*self.answer.lock().unwrap_or_else(PoisonError::into_inner) {
            None => request,
            Some(Answer::Basic { user, password }) => request.basic_auth(user, Some(password)),
            Some(Answer::Bearer(token)) => request.bearer_auth(token),
        }
    }

    /// Answers the challenge of a 401. `false` when there is nothing to answer it with.
    pub async fn log_in(&self, registry: &Registry, response: &Response) -> Result<bool> {
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let Some(challenge) = challenge::parse(challenges.filter_map(|value| value.to_str().ok())) else {
            return Ok(false);
        };
        let (credentials, name) = (self.credentials.clone(), self.registry.clone());
        let login = tokio::task::spawn_blocking(move || credentials.login(&name))
            .await
            .map_err(|error| registry.unreachable(error.to_string()))??;
        let answer = match challenge {
            Challenge::Basic => match login {
                Login::Password { user, password } => Answer::Basic { user, password },
                Login::Anonymous | Login::IdentityToken(_) => return Ok(false),
            },
            Challenge::Bearer { realm, service, scope } => {
                Answer::Bearer(self.token(registry, &realm, service.as_deref(), scope.as_deref(), &login).await?)
            }
        };
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(true)
    }

    async fn token(
        &self,
        registry: &Registry,
        realm: &str,
        service: Option<&str>,
        asked: Option<&str>,
        login: &Login,
    ) -> Result<String> {
        let url =
            Url::parse(realm).map_err(|error| registry.distrusted(format!("its token server `{realm}`: {error}")))?;
        if !registry.may_be_told(&url) {
            let origin = url.origin().ascii_serialization();
            return Err(registry.distrusted(format!("its token server {origin} does not speak HTTPS")));
        }
        // What the registry asks for now, and what will be asked for later in the same repository.
        let asked = asked.filter(|asked| !self.scopes.iter().any(|scope| scope == asked));
        let scopes: Vec<&str> = asked.into_iter().chain(self.scopes.iter().map(String::as_str)).collect();
        let client = registry.client_for(&url)?;
        let request = match login {
            Login::IdentityToken(token) => {
                // RFC 6749 section 3.3: one parameter, parted by spaces.
                let scope = scopes.join(" ");
                let mut pairs =
                    vec![("grant_type", "refresh_token"), ("client_id", "muster"), ("refresh_token", token)];
                pairs.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
                pairs.extend(service.map(|service| ("service", service)));
                client
                    .post(url.clone())
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form(&url, pairs.into_iter()))
            }
            Login::Password { .. } | Login::Anonymous => {
                let mut url = url;
                let pairs = scopes.iter().map(|scope| ("scope", *scope));
                url.query_pairs_mut().extend_pairs(pairs.chain(service.map(|service| ("service", service))));
                let request = client.get(url);
                match login {
                    Login::Password { user, password } => request.basic_auth(user, Some(password)),
                    _ => request,
                }
            }
        };
        let response = request
            .send()
            .await
            .map_err(|error| registry.unreachable(format!("its token server: {}", cause(&error))))?;
        let status = response.status();
        let body = read_bounded(response, MAX_TOKEN).await.ok().flatten().unwrap_or_default();
        if !status.is_success() {
            let detail = message(&body)
                .map_or_else(|| format!(" (its token server answers {status})"), |text| format!(" ({text})"));
            let image = registry.name.familiar();
            return Err(if status.is_client_error() {
                ImageError::Unauthorized { image, registry: self.registry.clone(), detail }
            } else {
                ImageError::Registry { image, registry: self.registry.clone(), status: status.as_u16(), detail }
            });
        }
        let token: Option<Token> = serde_json::from_slice(&body).ok();
        token
            .and_then(|token| token.token.or(token.access_token))
            .ok_or_else(|| registry.distrusted("its token server sends no token".into()))
    }
}

/// The pairs as a form's body, written by the query writer of a URL: the encoding is the same.
fn form<'a>(url: &Url, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}
