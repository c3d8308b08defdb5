use serde_json::{Value, json};

use super::*;

/// What ajv 5.5.2 has said, with all errors, to these schemas and this data: recorded by running it.
const RECORDED: &str = include_str!("ajv_5_5.json");

#[test]
fn the_list_is_that_of_ajv() {
    let cases: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    assert!(cases.len() > 150);
    let mut wrong = Vec::new();
    for case in cases {
        let coerces = case["coerce"] == true;
        let validator = Validator::new(case["schema"].clone(), coerces).unwrap();
        let mut data = case["data"].clone();
        let found = serde_json::to_string(&validator.validate(&mut data)).unwrap();
        let expected = case["errors"].to_string();
        if found != expected || (expected == "[]" && data != case["after"]) {
            wrong.push(format!(
                "{} coerce={coerces} {}\n  ajv  {expected} {}\n  ours {found} {data}",
                case["name"], case["data"], case["after"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn what_is_not_checked_is_refused() {
    for (schema, expected) in [
        (
            json!({ "properties": { "a/b": { "pattern": "^x" } } }),
            "JSON Schema at #/properties/a~1b: the keyword `pattern` is not supported: remove it, and check it in the handler",
        ),
        (
            json!({ "type": "text" }),
            "JSON Schema at #: `type` cannot be \"text\"",
        ),
        (
            json!({ "format": "ipv6" }),
            "JSON Schema at #: `format` cannot be \"ipv6\"",
        ),
        (
            json!({ "$ref": "#/definitions/a", "definitions": { "a": { "$ref": "#/definitions/a" } } }),
            "JSON Schema at #: `$ref` to `#/definitions/a` leads to itself",
        ),
        (
            json!({ "$ref": "http://elsewhere/x" }),
            "JSON Schema at #: `$ref` is to `#` or `#/definitions/…` of the same schema, and `http://elsewhere/x` leads nowhere",
        ),
        (
            json!(5),
            "JSON Schema at #: a schema is an object, true or false",
        ),
    ] {
        let error = Validator::new(schema, true).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_list_and_the_walk_are_bounded() {
    let schema = json!({ "type": "array", "items": { "type": "integer" } });
    let validator = Validator::new(schema, false).unwrap();
    let mut data = Value::Array(vec![json!("x"); 100_000]);
    assert_eq!(validator.validate(&mut data).len(), MAX_VIOLATIONS);

    let nested = json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": false });
    let validator = Validator::new(nested, true).unwrap();
    let mut data = json!({});
    for _ in 0..120 {
        data = json!({ "a": data });
    }
    assert_eq!(validator.validate(&mut data), Vec::new());
}
