//! What a scalar without quotes means: the YAML 1.2 core schema as go-yaml reads it, for that is what Compose uses.

/// A scalar that was written without quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plain<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl<'a> Plain<'a> {
    pub fn resolve(text: &'a str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            _ => {}
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
            return Self::Text(text);
        }
        let digits = text.replace('_', "");
        // Go has these as unsigned integers, and prints all of their digits.
        if digits.parse::<u64>().is_ok_and(|value| i64::try_from(value).is_err()) {
            return Self::Text(text);
        }
        integer(&digits).map(Self::Int).or_else(|| float(&digits).map(Self::Float)).unwrap_or(Self::Text(text))
    }

    /// The text that Go's `%v` makes of the value, which is what ends up in an environment.
    pub fn to_text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => go_float(value),
            Self::Text(text) => text.to_owned(),
        }
    }
}

/// `0x1f`, `0o17`, `0b1`, and the octal of YAML 1.1, `017`.
fn integer(digits: &str) -> Option<i64> {
    let (negative, unsigned) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits),
    };
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (radix, unsigned) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, &unsigned[2..]),
        Some("0o" | "0O") => (8, &unsigned[2..]),
        Some("0b" | "0B") => (2, &unsigned[2..]),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !unsigned.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(unsigned, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

fn float(digits: &str) -> Option<f64> {
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let well_formed = all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent));
    if well_formed { digits.parse().ok() } else { None }
}

/// Go's `%v` of a float: shortest digits, with an exponent below 1e-4 and from 1e+06 on.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..GO_EXPONENT_FROM).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    } else {
        format!("{value}")
    }
}

/// `strconv` decides by precision 6 when it prints the shortest form.
const GO_EXPONENT_FROM: i32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_go_yaml_takes_them_for() {
        let cases: &[(&str, Plain<'_>)] = &[
            ("", Plain::Null),
            ("~", Plain::Null),
            ("True", Plain::Bool(true)),
            ("yes", Plain::Text("yes")),
            ("on", Plain::Text("on")),
            ("80", Plain::Int(80)),
            ("-5", Plain::Int(-5)),
            ("010", Plain::Int(8)),
            ("0o10", Plain::Int(8)),
            ("0x1F", Plain::Int(31)),
            ("1_000", Plain::Int(1000)),
            ("08", Plain::Float(8.0)),
            ("1.50", Plain::Float(1.5)),
            (".5", Plain::Float(0.5)),
            ("1e6", Plain::Float(1e6)),
            ("22:22", Plain::Text("22:22")),
            ("1.2.3", Plain::Text("1.2.3")),
            ("1e", Plain::Text("1e")),
            ("-", Plain::Text("-")),
            (".", Plain::Text(".")),
            ("0x", Plain::Text("0x")),
            ("12345678901234567890", Plain::Text("12345678901234567890")),
            ("99999999999999999999", Plain::Float(1e20)),
        ];
        for (text, expected) in cases {
            assert_eq!(Plain::resolve(text), *expected, "{text}");
        }
    }

    #[test]
    fn floats_are_written_as_go_writes_them() {
        let cases = [
            (1.5, "1.5"),
            (0.5, "0.5"),
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (1e8, "1e+08"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e21, "1e+21"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(go_float(value), text);
        }
    }
}
