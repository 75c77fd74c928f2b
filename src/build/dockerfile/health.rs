//! HEALTHCHECK and its durations, which are Go's.

use super::{
    error::{Error, Fault},
    instruction::{CommandLine, Healthcheck},
    parse::Request,
    split,
};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(1);

/// `None` is NONE.
pub(super) fn read(request: &Request<'_>) -> Result<Option<Healthcheck>, Error> {
    let rest = request.split.rest;
    let (kind, command) = split::once(rest).unwrap_or((rest, ""));
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => return Ok(None),
        "NONE" => return request.fail(Fault::HealthNone),
        "CMD" => {}
        "" => {
            let expected = "CMD with a command, or NONE";
            return request.fail(Fault::Arguments { instruction: request.name, expected });
        }
        _ => return request.fail(Fault::HealthKind { word: kind.to_owned() }),
    }
    let line = request.command_line(command)?;
    if command.is_empty() || line == CommandLine::Exec(Vec::new()) {
        return request.fail(Fault::Arguments { instruction: request.name, expected: "a command after CMD" });
    }
    let retries = match request.flags.text("retries") {
        Some(word) => match word.text.parse::<i32>().ok().and_then(|retries| u32::try_from(retries).ok()) {
            Some(retries) => Some(retries).filter(|retries| *retries > 0),
            None => return Err(Error::new(word.at, Fault::Retries { value: word.text })),
        },
        None => None,
    };
    Ok(Some(Healthcheck {
        command: line,
        interval: duration_flag(request, "interval")?,
        timeout: duration_flag(request, "timeout")?,
        start_period: duration_flag(request, "start-period")?,
        start_interval: duration_flag(request, "start-interval")?,
        retries,
    }))
}

fn duration_flag(request: &Request<'_>, flag: &str) -> Result<Option<Duration>, Error> {
    let Some(word) = request.flags.text(flag) else { return Ok(None) };
    let (flag, value) = (flag.to_owned(), word.text);
    match duration(&value) {
        None => Err(Error::new(word.at, Fault::Duration { flag, value })),
        Some(Duration::ZERO) => Ok(None),
        Some(duration) if duration < SHORTEST => Err(Error::new(word.at, Fault::ShortDuration { flag, value })),
        Some(duration) => Ok(Some(duration)),
    }
}

/// `1h2m3.5s`: numbers with units from `ns` to `h`; a bare `0` is the only one without. Nothing negative.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, after) = rest.split_at(number);
        let length = after.len() - after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len();
        let (unit, after) = after.split_at(length);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(digits, unit)?)?;
        rest = after;
    }
    // Go counts nanoseconds in 63 bits.
    let nanos = i64::try_from(nanos).ok()?;
    Some(Duration::from_nanos(nanos.unsigned_abs()))
}

/// A decimal number times `unit`, cut off below one.
fn scaled(digits: &str, unit: u128) -> Option<u128> {
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') || digits.len() > 40 {
        return None;
    }
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let part: String = part.chars().take(18).collect();
    let fraction = number(&part)?.checked_mul(unit)? / 10u128.pow(u32::try_from(part.len()).ok()?);
    number(whole)?.checked_mul(unit)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_are_gos() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("1h2m3.5s"), Some(3_723_500));
        assert_eq!(millis("0"), Some(0));
        assert_eq!(millis(".5s"), Some(500));
        assert_eq!(millis("1.s"), Some(1000));
        assert_eq!(duration("1us500ns"), Some(Duration::from_nanos(1500)));
        for bad in ["", "5", "5 s", "-1s", "s", ".s", "1d", "1.2.3s", "9999999999h", "+"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
