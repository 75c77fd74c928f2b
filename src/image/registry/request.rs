//! One request, until there is an answer worth having.

use super::{
    Registry, cause,
    retry::{self, Attempt},
};
use crate::image::{error::Result, progress::Progress};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use std::time::Duration;

/// Makes the request anew for each attempt.
pub(super) type Make<'a> = &'a (dyn Fn(&Client) -> RequestBuilder + Send + Sync);

impl Registry {
    /// Sends a request until there is an answer: logs in where asked, repeats what may pass.
    pub async fn request(&self, url: &Url, make: Make<'_>) -> Result<Response> {
        let mut attempt = Attempt::first();
        let mut logged_in = false;
        loop {
            let response = match self.send_once(url, make).await {
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
            let wait = retry::after(&response);
            if may_pass && !attempt.is_last() && wait.is_none_or(retry::is_bearable) {
                self.pause(&mut attempt, url, format!("it answers {status}"), wait).await?;
                continue;
            }
            return Ok(response);
        }
    }

    /// Credentials are for the registry's own host and port.
    async fn send_once(&self, url: &Url, make: Make<'_>) -> reqwest::Result<Response> {
        let request = make(&self.client);
        let request = if url.origin() == self.base.origin() { self.authority.sign(request) } else { request };
        request.send().await
    }

    /// Waits before the next attempt, or gives up.
    pub(super) async fn pause(
        &self,
        attempt: &mut Attempt,
        url: &Url,
        why: String,
        wait: Option<Duration>,
    ) -> Result<()> {
        let Some(wait) = attempt.next(wait) else { return Err(self.unreachable(why)) };
        (self.report)(Progress::Retrying { what: url.path().to_owned(), why, wait });
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
