//! When a failed request is tried again.

use reqwest::{Response, header};
use std::time::Duration;

const ATTEMPTS: u32 = 4;
/// Nobody listens, or there is no such host: that seldom passes, and a person waits.
const CONNECT_ATTEMPTS: u32 = 3;
const FIRST: Duration = Duration::from_millis(250);
/// A registry that asks for more patience than that is told to a person instead.
const LONGEST: Duration = Duration::from_secs(20);

/// Which attempt this is, and how many there are. The pause between them grows threefold.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    number: u32,
    of: u32,
}

impl Attempt {
    pub fn first() -> Self {
        Self { number: 1, of: ATTEMPTS }
    }

    /// There was not even a connection.
    pub fn unconnected(&mut self) {
        self.of = CONNECT_ATTEMPTS;
    }

    pub fn is_last(&self) -> bool {
        self.number >= self.of
    }

    /// The pause before the next attempt, at least `asked`; `None` when there is none.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.is_last() {
            return None;
        }
        let pause = FIRST * 3u32.pow(self.number - 1);
        self.number += 1;
        Some(asked.map_or(pause, |asked| asked.max(pause)).min(LONGEST))
    }
}

/// Whether a pause that a registry asks for is one that a person would wait for.
pub fn is_bearable(wait: Duration) -> bool {
    wait <= LONGEST
}

/// `Retry-After`, in seconds or as a date (RFC 9110 section 10.2.3).
pub fn after(response: &Response) -> Option<Duration> {
    parse(response.headers().get(header::RETRY_AFTER)?.to_str().ok()?, jiff::Timestamp::now())
}

fn parse(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_bounded_and_end() {
        let mut attempt = Attempt::first();
        assert_eq!(attempt.next(None), Some(Duration::from_millis(250)));
        assert_eq!(attempt.next(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(attempt.next(Some(Duration::from_secs(7000))), Some(LONGEST));
        assert!(is_bearable(LONGEST) && !is_bearable(Duration::from_secs(7000)));
        assert_eq!(attempt.next(None), None);
        let mut attempt = Attempt::first();
        attempt.unconnected();
        assert_eq!(attempt.next(None), Some(Duration::from_millis(250)));
        assert_eq!(attempt.next(None), Some(Duration::from_millis(750)));
        assert_eq!(attempt.next(None), None);
    }

    #[test]
    fn a_registry_may_name_seconds_or_a_date() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(parse(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(parse("Sun, 22 Nov 2026 10:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(parse("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse("soon", now), None);
    }
}
