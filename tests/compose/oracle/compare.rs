//! Two answers, and where they differ.

use super::{case::Answer, differences::alike};
use serde_json::Value;

/// One line for each place; empty when both mean the same.
pub fn differ(oracle: &Answer, muster: &Answer) -> Vec<String> {
    match (oracle, muster) {
        (Answer::Error(_), Answer::Error(_)) => Vec::new(),
        (Answer::Error(words), _) => vec![format!("muster accepts what the oracle refuses: {words}")],
        (_, Answer::Error(words)) => vec![format!("muster refuses: {words}")],
        (Answer::Text(oracle), Answer::Text(muster)) if oracle == muster => Vec::new(),
        (Answer::Json(oracle), Answer::Json(muster)) => {
            let mut found = Vec::new();
            values(&alike(oracle.clone()), &alike(muster.clone()), "", &mut found);
            found
        }
        (oracle, muster) => vec![format!("oracle {oracle:?}, muster {muster:?}")],
    }
}

fn values(oracle: &Value, muster: &Value, path: &str, found: &mut Vec<String>) {
    match (oracle, muster) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                match right.get(key) {
                    Some(other) => values(value, other, &format!("{path}.{key}"), found),
                    None => found.push(format!("{path}.{key}: only oracle {value}")),
                }
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                found.push(format!("{path}.{key}: only muster {value}"));
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (value, other)) in left.iter().zip(right).enumerate() {
                values(value, other, &format!("{path}[{index}]"), found);
            }
        }
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        _ if oracle == muster => {}
        _ => found.push(format!("{path}: oracle {oracle}, muster {muster}")),
    }
}
