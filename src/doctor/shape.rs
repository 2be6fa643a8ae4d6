//! Access to JSON objects by paths, and their comparison with the manifests.

use serde_json::Value;

/// Returns the text at a path; empty if there is none.
pub(super) fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the items at a path; none if there is no list.
pub(super) fn array<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the number at a path; 0 if there is none.
pub(super) fn number(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or_default()
}

/// Returns the path of the first place where an object lacks what is expected; `None` if it has all. The API server adds defaults, so
/// further fields count as equal.
pub(super) fn difference(expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected.iter().find_map(|(name, expected)| {
            let actual = actual.get(name).unwrap_or(&Value::Null);
            difference(expected, actual).map(|rest| format!("/{name}{rest}"))
        }),
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            let mut pairs = expected.iter().zip(actual).enumerate();
            pairs.find_map(|(index, (expected, actual))| {
                difference(expected, actual).map(|rest| format!("/{index}{rest}"))
            })
        }
        // YAML may write 1 as 1.0.
        (Value::Number(expected), Value::Number(actual)) if expected.as_f64() == actual.as_f64() => None,
        _ if expected == actual => None,
        _ => Some(String::new()),
    }
}
