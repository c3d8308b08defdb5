//! Coercion to a type, by the rules of ajv's `coerceTypes`.

use serde_json::{Value, json};

use super::number;

/// The value as one of this type, if the rules have it.
pub(super) fn coerce(value: &Value, ty: &str) -> Option<Value> {
    match ty {
        "string" => match value {
            Value::Number(number) => Some(json!(number.to_string())),
            Value::Bool(flag) => Some(json!(flag.to_string())),
            Value::Null => Some(json!("")),
            _ => None,
        },
        "number" | "integer" => {
            let made = match value {
                Value::Bool(flag) => json!(u8::from(*flag)),
                Value::Null => json!(0),
                Value::String(text) if !text.trim().is_empty() => number::from_text(text)?,
                _ => return None,
            };
            let fits = ty == "number" || made.as_number().is_some_and(number::is_whole);
            fits.then_some(made)
        }
        "boolean" => match value {
            Value::String(text) if text == "true" => Some(json!(true)),
            Value::String(text) if text == "false" => Some(json!(false)),
            Value::Number(number) if number.as_f64() == Some(1.0) => Some(json!(true)),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(json!(false)),
            Value::Null => Some(json!(false)),
            _ => None,
        },
        "null" => match value {
            Value::String(text) if text.is_empty() => Some(Value::Null),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(Value::Null),
            Value::Bool(false) => Some(Value::Null),
            _ => None,
        },
        _ => None,
    }
}
