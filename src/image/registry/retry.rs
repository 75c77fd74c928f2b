//! When a failed request is tried again.

use reqwest::{Response, header};
use std::time::Duration;

const ATTEMPTS: u32 = 4;
const FIRST: Duration = Duration::from_millis(250);
/// A registry that asks for more patience than that is told to a person instead.
const LONGEST: Duration = Duration::from_secs(20);

/// Which attempt this is. The pause between them grows fourfold.
#[derive(Clone, Copy, Debug)]
pub struct Attempt(u32);

impl Attempt {
    pub fn first() -> Self {
        Self(1)
    }

    pub fn is_last(&self) -> bool {
        self.0 >= ATTEMPTS
    }

    /// The pause before the next attempt, at least `asked`; `None` when there is none.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.is_last() {
            return None;
        }
        let pause = FIRST * 4u32.pow(self.0 - 1);
        self.0 += 1;
        Some(asked.map_or(pause, |asked| asked.max(pause)).min(LONGEST))
    }
}

/// `Retry-After`, in its form of seconds.
pub fn after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
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
        assert_eq!(attempt.next(None), None);
    }
}
