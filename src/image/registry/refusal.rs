//! What a registry's refusal means, in words for a person.

use super::{MAX_MESSAGE, Registry, read_bounded, retry};
use crate::image::error::ImageError;
use reqwest::{Response, StatusCode};
use std::time::Duration;

impl Registry {
    pub async fn failure(&self, response: Response) -> ImageError {
        let status = response.status();
        let (limit, wait) = (rate_limit(&response), retry::after(&response));
        let text = read_bounded(response, MAX_MESSAGE).await.ok().flatten().unwrap_or_default();
        let detail = message(&text).map(|text| format!(" ({text})")).unwrap_or_default();
        let (image, registry) = (self.name.familiar(), self.host.clone());
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                ImageError::RateLimited { image, registry, detail: patience(limit, wait) + &detail }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ImageError::Unauthorized { image, registry, detail },
            StatusCode::NOT_FOUND => ImageError::NotFound { image, registry, detail },
            status => ImageError::Registry { image, registry, status: status.as_u16(), detail },
        }
    }
}

/// `ratelimit-limit: 100;w=21600`, as Docker Hub sends it: so many requests in so many seconds.
fn rate_limit(response: &Response) -> Option<(u64, u64)> {
    parse_limit(response.headers().get("ratelimit-limit")?.to_str().ok()?)
}

fn parse_limit(text: &str) -> Option<(u64, u64)> {
    let (count, rest) = text.split_once(';')?;
    let window = rest.split(';').find_map(|part| part.trim().strip_prefix("w="))?;
    Some((count.trim().parse().ok()?, window.parse().ok()?))
}

fn patience(limit: Option<(u64, u64)>, wait: Option<Duration>) -> String {
    let limit = limit.map(|(count, seconds)| format!(": it allows {count} in {}", period(seconds))).unwrap_or_default();
    let wait = wait.map(|wait| format!("; ask again in {}", period(wait.as_secs()))).unwrap_or_default();
    limit + &wait
}

fn period(seconds: u64) -> String {
    match seconds {
        1 => "1 second".into(),
        0 | 2..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// The text of the first error of an answer's body, distribution-spec "Error Codes"; printable and short.
pub fn message(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text =
        value.pointer("/errors/0/message").or_else(|| value.get("details")).and_then(serde_json::Value::as_str)?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_text_is_short_and_printable() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J way"}]}"#;
        assert_eq!(message(body).as_deref(), Some("no[2J way"));
        assert_eq!(message(b"<html>"), None);
    }

    #[test]
    fn a_limit_is_told_as_a_person_counts() {
        assert_eq!(parse_limit("100;w=21600"), Some((100, 21600)));
        assert_eq!(parse_limit("100"), None);
        let told = patience(Some((100, 21600)), Some(Duration::from_secs(601)));
        assert_eq!(told, ": it allows 100 in 6 hours; ask again in 11 minutes");
        assert_eq!(patience(None, None), "");
    }
}
