//! Numbers as JavaScript has them.

use serde_json::{Number, Value};

/// The number that a text is in JavaScript, if it is one that JSON can have.
pub(super) fn from_text(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(Value::from(whole));
    }
    // Rust reads `inf` and `nan` too, which JavaScript does not; both are no numbers of JSON.
    let value: f64 = text.parse().ok()?;
    Number::from_f64(value).map(Value::Number)
}

/// Whether a number has no fraction.
pub(super) fn is_whole(number: &Number) -> bool {
    number.is_i64()
        || number.is_u64()
        || number
            .as_f64()
            .is_some_and(|value| value.is_finite() && value.fract() == 0.0)
}
