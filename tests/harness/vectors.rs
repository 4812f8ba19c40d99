//! The vector files: what the real nodes do, as data.

use serde_json::Value;

/// The cases of `tests/vectors/{family}/{name}.json`.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn cases(family: &str, name: &str) -> Vec<Value> {
    let mut file = file(family, name);
    let cases = file.get_mut("cases").map(Value::take);
    let Some(Value::Array(cases)) = cases else {
        panic!("{name}: no cases");
    };
    cases
}

/// A whole vector file.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn file(family: &str, name: &str) -> Value {
    let path = format!(
        "{}/vectors/{family}/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text at `key`.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text at {key} in {value}"))
}
