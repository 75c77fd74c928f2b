//! Values that say no more than their absence.

use serde_json::Value;

/// Attributes whose absence leaves the choice to the image or to a default, so that false, 0 and nothing at all differ.
/// `*` stands for a name of the user's own, `[]` for an item of a list.
const KEPT: &[&str] = &[
    "networks.*.enable_ipv4",
    "networks.*.enable_ipv6",
    "services.*.attach",
    "services.*.build",
    "services.*.build.ulimits.*.hard",
    "services.*.build.ulimits.*.soft",
    "services.*.command",
    "services.*.credential_spec",
    "services.*.deploy",
    "services.*.deploy.replicas",
    "services.*.deploy.resources.limits",
    "services.*.deploy.resources.reservations",
    "services.*.deploy.restart_policy",
    "services.*.deploy.restart_policy.delay",
    "services.*.deploy.restart_policy.max_attempts",
    "services.*.deploy.restart_policy.window",
    "services.*.deploy.rollback_config",
    "services.*.deploy.rollback_config.parallelism",
    "services.*.deploy.update_config",
    "services.*.deploy.update_config.parallelism",
    "services.*.depends_on.*.required",
    "services.*.develop",
    "services.*.entrypoint",
    "services.*.env_file.[].required",
    "services.*.healthcheck",
    "services.*.healthcheck.interval",
    "services.*.healthcheck.retries",
    "services.*.healthcheck.start_interval",
    "services.*.healthcheck.start_period",
    "services.*.healthcheck.timeout",
    "services.*.init",
    "services.*.logging",
    "services.*.provider",
    "services.*.scale",
    "services.*.stop_grace_period",
    "services.*.ulimits.*.hard",
    "services.*.ulimits.*.soft",
    "services.*.volumes.[].bind",
    "services.*.volumes.[].image",
    "services.*.volumes.[].tmpfs",
    "services.*.volumes.[].volume",
    "services.*.blkio_config",
    "services",
];

const SIZES: [&str; 7] =
    ["mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "memory", "shm_size", "size"];

/// False where the value of the attribute at `path` may as well be left out.
pub fn says_something(value: &Value, path: &[&str]) -> bool {
    let is_zero = match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        // Sizes are texts; one of nothing is no limit.
        Value::String(text) if text == "0" => path.last().is_some_and(|key| SIZES.contains(key)),
        // Steps of an update follow each other at once unless it says otherwise.
        Value::String(text) if text == "0s" => matches!(path, [.., "update_config" | "rollback_config", _]),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    };
    // A bind mount makes its source unless it says otherwise.
    if path.ends_with(&["create_host_path"]) {
        return *value != Value::Bool(true);
    }
    !is_zero || (!value.is_null() && KEPT.iter().any(|pattern| fits(pattern, path)))
}

fn fits(pattern: &str, path: &[&str]) -> bool {
    let mut steps = path.iter();
    pattern.split('.').all(|part| steps.next().is_some_and(|step| part == "*" || part == *step))
        && steps.next().is_none()
}
