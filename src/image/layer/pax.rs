//! PAX extended headers (pax(1), "pax Extended Header"): `<length> <key>=<value>\n`, length-counted, so that a value may
//! hold any byte. Splitting them at line ends instead, as some readers do, lets a value smuggle in further records.

use super::tar::TarError;

/// Calls `record` for each key and value in order.
pub fn records(mut data: &[u8], mut record: impl FnMut(&[u8], &[u8]) -> Result<(), TarError>) -> Result<(), TarError> {
    const BAD: TarError = TarError::Malformed("a PAX record");
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ').ok_or(BAD)?;
        let length: usize = number(&data[..space]).and_then(|length| length.try_into().ok()).ok_or(BAD)?;
        if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
            return Err(BAD);
        }
        let body = &data[space + 1..length - 1];
        let equals = body.iter().position(|byte| *byte == b'=').ok_or(BAD)?;
        record(&body[..equals], &body[equals + 1..])?;
        data = &data[length..];
    }
    Ok(())
}

/// Decimal digits and nothing else.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `-1234.5678` to seconds and nanoseconds; the latter count forward from the former.
pub fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(number(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |n: usize| fraction.get(n).map_or(0, |digit| u32::from(digit - b'0'));
    let nanos = (0..9).fold(0, |sum, n| sum * 10 + digit(n));
    Some(match (negative, nanos) {
        (false, nanos) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
        let mut out = Vec::new();
        records(data, |key, value| {
            out.push((String::from_utf8_lossy(key).into_owned(), value.to_vec()));
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn a_value_may_hold_line_ends_and_equal_signs() {
        let data = b"14 path=a\n=b\n\n11 size=12\n";
        let expected = [("path".to_owned(), b"a\n=b\n".to_vec()), ("size".to_owned(), b"12".to_vec())];
        assert_eq!(read(data).unwrap(), expected);
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        for data in [
            &b"9 a=b\n"[..],
            b"5 a=b\n",
            b"x a=b\n",
            b"6 a=b",
            b"0 a=b\n",
            b"99999999999999999999 a=b\n",
            b"6 ab \n",
            b"-6 a=b\n",
        ] {
            assert!(read(data).is_err(), "{}", String::from_utf8_lossy(data));
        }
    }

    #[test]
    fn times_have_fractions_and_signs() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"12.1234567891"), Some((12, 123_456_789)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"-3"), Some((-3, 0)));
        assert_eq!(time(b"1e9"), None);
        assert_eq!(time(b""), None);
    }
}
