//! `--since` and `--until`: points in time, or durations before now.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

/// A time as log lines carry it: fixed width, UTC, so that bytes compare as times do.
pub type Stamp = [u8; 30];

/// Which times are wanted; both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    pub since: Option<Stamp>,
    pub until: Option<Stamp>,
}

impl Window {
    pub fn contains(&self, time: &str) -> bool {
        self.since.is_none_or(|since| time.as_bytes() >= &since[..]) && !self.is_past(time)
    }

    pub fn is_past(&self, time: &str) -> bool {
        self.until.is_some_and(|until| time.as_bytes() > &until[..])
    }
}

pub fn stamp(time: Timestamp) -> Stamp {
    let text = format!("{time:.9}");
    let mut stamp = *b"0000-00-00T00:00:00.000000000Z";
    if text.len() == stamp.len() {
        stamp.copy_from_slice(text.as_bytes());
    }
    stamp
}

/// Docker's forms: `2013-01-02T13:23:37Z`, the same without a zone (local time) or only a date, seconds since 1970, `42m`.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(local) = text.parse::<civil::DateTime>() {
        let zoned = local.to_zoned(TimeZone::system()).map_err(|error| format!("{text:?}: {error}"))?;
        return Ok(zoned.timestamp());
    }
    if let Some(time) = unix(text) {
        return Ok(time);
    }
    if let Ok(ago) = text.parse::<SignedDuration>() {
        return now.checked_sub(ago).map_err(|error| format!("{text:?}: {error}"));
    }
    Err(format!("{text:?} is neither a time (2026-01-02T13:23:37Z) nor a duration (42m)"))
}

/// `1136073600.000000001`
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || fraction.len() > 9 {
        return None;
    }
    let nanoseconds: i32 = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_of_docker_s_forms() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let table = [
            ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z"),
            ("2026-11-22T09:00:00.25+01:00", "2026-11-22T08:00:00.25Z"),
            ("42m", "2026-11-22T09:18:00Z"),
            ("1h30m", "2026-11-22T08:30:00Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("1136073600.5", "2006-01-01T00:00:00.5Z"),
        ];
        for (text, time) in table {
            assert_eq!(parse(text, now).unwrap().to_string(), time, "{text}");
        }
        assert!(parse("2026-11-22", now).is_ok());
        assert!(parse("2026-11-22T09:00:00", now).is_ok());
        for wrong in ["", "yesterday", "1.2.3", "12x"] {
            assert!(parse(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_keeps_its_ends() {
        let at = |text: &str| Some(stamp(text.parse().unwrap()));
        let window = Window { since: at("2026-11-22T10:00:00Z"), until: at("2026-11-22T10:00:01Z") };
        assert!(!window.contains("2026-11-22T09:59:59.999999999Z"));
        assert!(window.contains("2026-11-22T10:00:00.000000000Z"));
        assert!(window.contains("2026-11-22T10:00:01.000000000Z"));
        assert!(!window.contains("2026-11-22T10:00:01.000000001Z"));
    }
}
