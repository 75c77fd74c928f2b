//! Sizes and durations as text. Pure functions.

use std::time::Duration;

/// `10`, `10k`, `1.5 GiB`; `base` is 1024 or 1000.
pub fn bytes(text: &str, base: u64) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let exponent = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" if unit.len() <= 1 => 0,
        "k" | "ki" => 1,
        "m" | "mi" => 2,
        "g" | "gi" => 3,
        "t" | "ti" => 4,
        "p" | "pi" => 5,
        _ => return None,
    };
    let factor = base.checked_pow(exponent)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok());
    }
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
        return None;
    }
    let scaled = number.parse::<f64>().ok()? * factor as f64;
    // Larger floats are not exact, and no limit is that large.
    if scaled < 9e15 { Some(scaled as u64) } else { None }
}

const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 24 * 3_600 * 1_000_000_000),
    ("w", 7 * 24 * 3_600 * 1_000_000_000),
];

/// Go's syntax, with days and weeks. The error says what is wrong in a few words.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    if text.starts_with('-') {
        return Err("negative time");
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err("nothing");
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => return Err("a number without unit"),
            None => return Err("an unknown unit"),
        };
        nanoseconds = nanoseconds.saturating_add(scaled(number, factor).ok_or("a bad number")?);
        rest = after;
    }
    // What Go can hold: 292 years.
    let nanoseconds = u64::try_from(nanoseconds).ok().filter(|n| i64::try_from(*n).is_ok()).ok_or("too much time")?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// `1.5` times `factor`.
fn scaled(number: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    // A longer fraction is below a nanosecond for every unit.
    let fraction = fraction.get(..18.min(fraction.len()))?;
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok().map(u128::from) };
    let scale = 10u128.pow(fraction.len() as u32);
    Some(parse(whole)?.checked_mul(factor)? + parse(fraction)? * factor / scale)
}

/// As Go prints it: `1h0m0s`, `1m30s`, `500ms`.
pub fn duration_text(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanos > 0 {
        let (value, unit) = match nanos {
            0..1_000 => (f64::from(nanos), "ns"),
            1_000..1_000_000 => (f64::from(nanos) / 1e3, "µs"),
            _ => (f64::from(nanos) / 1e6, "ms"),
        };
        return format!("{value}{unit}");
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut out = String::new();
    if hours > 0 {
        out += &format!("{hours}h");
    }
    if seconds >= 60 {
        out += &format!("{minutes}m");
    }
    let fraction = format!("{nanos:09}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{out}{}{point}{fraction}s", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1_500, "1.5µs"),
            (1_500_000, "1.5ms"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (86_400_000_000_000, "24h0m0s"),
        ] {
            assert_eq!(duration_text(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn sizes_are_read_with_units_of_1024() {
        for (text, expected) in [
            ("0", Some(0)),
            ("64", Some(64)),
            ("64b", Some(64)),
            ("1k", Some(1024)),
            ("1KB", Some(1024)),
            ("1 KiB", Some(1024)),
            ("64m", Some(64 << 20)),
            ("1.5g", Some(1_610_612_736)),
            ("2T", Some(2 << 40)),
            ("9000p", None),
            ("8191p", Some(8191 << 50)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("1.", None),
            (".5g", None),
            ("1.5.2g", None),
            ("1 k b", None),
            ("1bb", None),
            ("0x10", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(bytes(text, 1024), expected, "{text}");
        }
        assert_eq!(bytes("10m", 1000), Some(10_000_000));
    }

    #[test]
    fn durations_are_read_as_go_does() {
        let ms = |n| Ok(Duration::from_millis(n));
        for (text, expected) in [
            ("0", ms(0)),
            ("0s", ms(0)),
            ("1m30s", ms(90_000)),
            ("1.5h", ms(5_400_000)),
            ("500ms", ms(500)),
            (".5s", ms(500)),
            ("1d", ms(86_400_000)),
            ("1w1d", ms(8 * 86_400_000)),
            ("2000us", ms(2)),
            ("2000µs", ms(2)),
            ("30", Err("a number without unit")),
            ("", Err("nothing")),
            ("-1s", Err("negative time")),
            ("1x", Err("an unknown unit")),
            ("s", Err("a bad number")),
            (".s", Err("a bad number")),
            ("1.2.3s", Err("a bad number")),
            ("300000w", Err("too much time")),
            ("99999999999999999999999s", Err("a bad number")),
            ("18446744073709551615w18446744073709551615w", Err("too much time")),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
