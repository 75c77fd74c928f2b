//! Single values: every coercion that Compose makes. A value that cannot be coerced is reported and stays as it is; what
//! is no scalar at all is a matter of shape.

use super::{pass::Pass, units};
use crate::compose::tree::{Kind, Node, Plain};
use std::{ops::RangeInclusive, rc::Rc};

const SIZE_HELP: &str = "sizes look like `512m`, `1.5gb` or `1048576`";
const DURATION_HELP: &str = "durations look like `1m30s`, `500ms` or `2h`";
/// `2^53`: every whole number below is exact as a float.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

fn typed(node: &Rc<Node>, text: impl Into<String>) -> Rc<Node> {
    Rc::new(node.with(Kind::typed(text)))
}

fn string(node: &Rc<Node>, text: impl Into<String>) -> Rc<Node> {
    Rc::new(node.with(Kind::string(text)))
}

/// `true` and `false`, also as strings; the words of YAML 1.1 with a warning.
pub fn boolean(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let text = match (&node.kind, node.plain()) {
        (_, Some(Plain::Bool(_) | Plain::Null)) => return node.clone(),
        (Kind::Scalar { text, .. }, _) => text,
        _ => return node.clone(),
    };
    let (value, standard) = match text.to_ascii_lowercase().as_str() {
        "true" => ("true", true),
        "false" => ("false", true),
        "y" | "yes" | "on" => ("true", false),
        "n" | "no" | "off" => ("false", false),
        _ => {
            pass.error(node.span, format!("must be true or false, not {}", node.describe()));
            return node.clone();
        }
    };
    if !standard {
        let what = format!("is \"{text}\", which YAML 1.2 does not take for a boolean");
        pass.warning_with_help(node.span, what, format!("write `{value}`"));
    }
    typed(node, value)
}

/// The value of an integer that is written as a number or as a string.
fn whole(node: &Node) -> Option<i64> {
    match (&node.kind, node.plain()) {
        (_, Some(Plain::Int(value))) => Some(value),
        (_, Some(Plain::Float(value))) if value.fract() == 0.0 && value.abs() < EXACT_FLOAT => Some(value as i64),
        (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => text.parse().ok(),
        _ => None,
    }
}

fn integer_in(pass: &mut Pass<'_>, node: &Rc<Node>, range: RangeInclusive<i64>) -> Rc<Node> {
    if !matches!(node.kind, Kind::Scalar { .. }) || node.is_null() {
        return node.clone();
    }
    match whole(node) {
        Some(value) if range.contains(&value) => typed(node, value.to_string()),
        Some(value) => {
            let outside = if value < *range.start() {
                format!("less than {}", range.start())
            } else {
                format!("more than {}", range.end())
            };
            pass.error(node.span, format!("is {value}, which is {outside}"));
            node.clone()
        }
        None => {
            pass.error(node.span, format!("must be an integer, not {}", node.describe()));
            node.clone()
        }
    }
}

pub fn integer(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    integer_in(pass, node, i64::MIN..=i64::MAX)
}

pub fn unsigned(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    integer_in(pass, node, 0..=i64::MAX)
}

/// A time in microseconds. The specification allows a duration as well; Compose does not.
pub fn microseconds(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    if let Some(Ok(duration)) = node.string().filter(|text| text.parse::<i64>().is_err()).map(units::duration) {
        let help = format!("write it in microseconds: `{}`", duration.as_micros());
        pass.error_with_help(node.span, format!("must be an integer, not {}", node.describe()), help);
        return node.clone();
    }
    integer(pass, node)
}

/// A number that is kept with the precision of 32 bits, as Compose keeps it.
pub fn float(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let value = match (&node.kind, node.plain()) {
        (_, Some(Plain::Null)) | (Kind::Sequence(_) | Kind::Mapping(_), _) => return node.clone(),
        (_, Some(Plain::Int(value))) => Some(value as f64),
        (_, Some(Plain::Float(value))) => Some(value),
        (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => text.parse().ok(),
        _ => None,
    };
    match value.map(|value| value as f32).filter(|value| value.is_finite()) {
        Some(value) if value < 0.0 => {
            pass.error(node.span, "must not be negative");
            node.clone()
        }
        Some(value) => typed(node, value.to_string()),
        None => {
            pass.error(node.span, format!("must be a number, not {}", node.describe()));
            node.clone()
        }
    }
}

/// A size as the decimal text of its bytes; -1 is no limit.
pub fn bytes(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let value = match (&node.kind, node.plain()) {
        (_, Some(Plain::Null)) | (Kind::Sequence(_) | Kind::Mapping(_), _) => return node.clone(),
        (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) if text != "-1" => {
            units::bytes(text, 1024).and_then(|bytes| i64::try_from(bytes).ok())
        }
        _ => whole(node).filter(|bytes| *bytes >= -1),
    };
    match value {
        Some(value) => string(node, value.to_string()),
        None => {
            pass.error_with_help(node.span, format!("must be a size, not {}", node.describe()), SIZE_HELP);
            node.clone()
        }
    }
}

/// A time as Go writes it.
pub fn duration(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let text = match (&node.kind, node.plain()) {
        (_, Some(Plain::Null)) | (Kind::Sequence(_) | Kind::Mapping(_), _) => return node.clone(),
        (_, Some(Plain::Int(seconds))) => {
            let help = format!("a number needs a unit: `{seconds}s`");
            pass.error_with_help(node.span, format!("must be a duration, not {}", node.describe()), help);
            return node.clone();
        }
        (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => text,
        _ => {
            pass.error_with_help(node.span, format!("must be a duration, not {}", node.describe()), DURATION_HELP);
            return node.clone();
        }
    };
    match units::duration(text) {
        Ok(duration) => string(node, units::duration_text(duration)),
        Err(why) => {
            pass.error_with_help(node.span, format!("is no duration: {why} in \"{text}\""), DURATION_HELP);
            node.clone()
        }
    }
}

/// A number or a boolean as the text that Go makes of it.
pub fn text(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match node.plain() {
        None | Some(Plain::Null) => node.clone(),
        Some(value) => string(node, value.to_text()),
    }
}

/// The same where nothing is the empty text.
pub fn text_or_empty(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    if node.is_null() { string(node, "") } else { text(pass, node) }
}

/// File permissions as a decimal number, as Compose writes them. A string is octal, a YAML integer is what it is.
pub fn mode(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match permissions(pass, node) {
        Some(mode) => typed(node, mode.to_string()),
        None => node.clone(),
    }
}

fn permissions(pass: &mut Pass<'_>, node: &Node) -> Option<u32> {
    let value = match (&node.kind, node.plain()) {
        (_, Some(Plain::Null)) | (Kind::Sequence(_) | Kind::Mapping(_), _) => return None,
        (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => {
            u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok()
        }
        _ => whole(node).and_then(|mode| u32::try_from(mode).ok()),
    };
    let value = value.filter(|mode| *mode <= 0o7777);
    if value.is_none() {
        let what = format!("must be file permissions, not {}", node.describe());
        pass.error_with_help(node.span, what, "permissions look like `0440`");
    }
    value
}

/// How many devices: a number, or all, which is -1.
pub fn device_count(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match node.string() {
        Some(text) if text.eq_ignore_ascii_case("all") => typed(node, "-1"),
        Some(text) if text.parse::<i64>().is_err() => {
            pass.error(node.span, format!("is invalid value \"{text}\", the only value allowed is 'all' or a number"));
            node.clone()
        }
        _ => integer(pass, node),
    }
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn booleans_may_be_words() {
        check(&[
            ("init: true", "true"),
            (r#"init: "FALSE""#, "false"),
            (r#"init: "yes""#, "true"),
            ("tty: Off", "false"),
            ("privileged: maybe", r#"13: `privileged` must be true or false, not "maybe""#),
            ("attach: 1", "9: `attach` must be true or false, not the number 1"),
        ]);
    }

    #[test]
    fn numbers_may_be_texts() {
        check(&[
            (r#"scale: "3""#, "3"),
            ("scale: 2.0", "2"),
            ("scale: 1.5", "8: `scale` must be an integer, not the number 1.5"),
            ("scale: x", r#"8: `scale` must be an integer, not "x""#),
            ("pids_limit: -1", "-1"),
            (r#"oom_score_adj: "-500""#, "-500"),
            ("cpu_shares: 0x10", "16"),
            (r#"cpu_quota: "50000""#, "50000"),
            ("cpu_rt_period: 400ms", r#"16: `cpu_rt_period` must be an integer, not "400ms""#),
            ("cpus: 1.5", "1.5"),
            (r#"cpus: "0.10""#, "0.1"),
            ("cpus: 2", "2"),
            ("cpus: 0.3333333333", "0.33333334"),
            ("cpus: 1e3", "1000"),
            ("cpus: abc", r#"7: `cpus` must be a number, not "abc""#),
            ("cpus: -1", "7: `cpus` must not be negative"),
            (r#"ulimits: {nofile: 5, nproc: {soft: "1", hard: 2}}"#, r#"{"nofile":5,"nproc":{"soft":1,"hard":2}}"#),
            (
                r#"blkio_config: {weight: "300", device_read_bps: [{path: /dev/a, rate: 12mb}]}"#,
                r#"{"weight":300,"device_read_bps":[{"path":"/dev/a","rate":"12582912"}]}"#,
            ),
            (
                r#"deploy: {replicas: "2", update_config: {parallelism: "2", max_failure_ratio: "0.5", delay: 90s}}"#,
                r#"{"replicas":2,"update_config":{"parallelism":2,"max_failure_ratio":0.5,"delay":"1m30s"}}"#,
            ),
            (
                r#"deploy: {resources: {limits: {cpus: "0.5", memory: 64M, pids: "5"}}}"#,
                r#"{"resources":{"limits":{"cpus":0.5,"memory":"67108864","pids":5}}}"#,
            ),
            ("healthcheck: {retries: -1}", "24: `healthcheck.retries` is -1, which is less than 0"),
        ]);
    }

    #[test]
    fn sizes_are_decimal_texts() {
        check(&[
            ("mem_limit: 512", r#""512""#),
            ("mem_limit: 512m", r#""536870912""#),
            ("mem_limit: 1.5g", r#""1610612736""#),
            (r#"mem_limit: "10 kib""#, r#""10240""#),
            ("mem_limit: -1", r#""-1""#),
            (r#"memswap_limit: "-1""#, r#""-1""#),
            ("mem_swappiness: 60", r#""60""#),
            ("shm_size: 1e3", r#""1000""#),
            ("mem_limit: 1.5", "12: `mem_limit` must be a size, not the number 1.5"),
            ("mem_limit: 1x", r#"12: `mem_limit` must be a size, not "1x""#),
            (r#"mem_limit: """#, r#"12: `mem_limit` must be a size, not the string """#),
            (r#"mem_limit: "99999999999p""#, r#"12: `mem_limit` must be a size, not the string "99999999999p""#),
            ("mem_limit: -2", "12: `mem_limit` must be a size, not the number -2"),
        ]);
    }

    #[test]
    fn durations_are_those_of_go() {
        check(&[
            ("stop_grace_period: 90s", r#""1m30s""#),
            ("stop_grace_period: 1d", r#""24h0m0s""#),
            ("stop_grace_period: 1500us", r#""1.5ms""#),
            (r#"stop_grace_period: "0""#, r#""0s""#),
            ("stop_grace_period: 10", "20: `stop_grace_period` must be a duration, not the number 10"),
            (r#"stop_grace_period: "10""#, r#"20: `stop_grace_period` is no duration: a number without unit in "10""#),
            ("stop_grace_period: -1s", r#"20: `stop_grace_period` is no duration: negative time in "-1s""#),
            ("stop_grace_period: 1 m", r#"20: `stop_grace_period` is no duration: an unknown unit in "1 m""#),
            (r#"stop_grace_period: """#, r#"20: `stop_grace_period` is no duration: nothing in """#),
        ]);
    }
}
