//! The walk through data and schema, in the order in which ajv reports.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    MAX_VIOLATIONS, coerce::coerce, number, place::Place, supported::resolve, violation::Violation,
};

/// How deep the walk goes, which is more than JSON that was parsed has levels, and than schemas have.
const MAX_DEPTH: usize = 256;

pub(super) fn walk(root: &Value, data: &mut Value, coerces: bool) -> Vec<Violation> {
    let mut walk = Walk {
        root,
        coerces,
        found: Vec::new(),
        depth: 0,
    };
    walk.schema(
        root,
        data,
        &Place {
            data: String::new(),
            schema: "#".to_owned(),
        },
    );
    walk.found
}

struct Walk<'a> {
    root: &'a Value,
    coerces: bool,
    found: Vec<Violation>,
    depth: usize,
}

/// A keyword, its comparison, whether it excludes the limit, and what has to hold.
type Limit = (&'static str, &'static str, bool, fn(f64, f64) -> bool);

/// Whether a schema has references inside, and is therefore a function of its own in ajv, whose places begin anew.
fn has_references(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("$ref") || map.values().any(has_references),
        Value::Array(items) => items.iter().any(has_references),
        _ => false,
    }
}

impl Walk<'_> {
    fn push(&mut self, place: &Place, keyword: &'static str, params: Value, message: String) {
        if self.found.len() < MAX_VIOLATIONS {
            self.found.push(Violation {
                keyword,
                data_path: place.data.clone(),
                schema_path: format!("{}/{keyword}", place.schema),
                params,
                message,
            });
        }
    }

    fn schema(&mut self, schema: &Value, data: &mut Value, place: &Place) {
        if self.depth >= MAX_DEPTH || self.found.len() >= MAX_VIOLATIONS {
            return;
        }
        self.depth += 1;
        match schema {
            Value::Bool(false) => {
                self.push(
                    place,
                    "false schema",
                    json!({}),
                    "boolean schema is false".to_owned(),
                );
            }
            Value::Object(map) => self.object_schema(map, data, place),
            _ => {}
        }
        self.depth -= 1;
    }

    fn object_schema(&mut self, schema: &Map<String, Value>, data: &mut Value, place: &Place) {
        // Where there is a reference, what stands beside it is ignored.
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            if let Some(found) = resolve(self.root, target) {
                let schema = if has_references(found) { "#" } else { target };
                let at = Place {
                    data: place.data.clone(),
                    schema: schema.to_owned(),
                };
                self.schema(found, data, &at);
            }
            return;
        }
        let fits = match schema.get("type") {
            Some(types) => self.types(types, data, place),
            None => true,
        };
        if fits {
            match data {
                Value::Number(_) => self.number(schema, data, place),
                Value::String(_) => self.text(schema, data, place),
                Value::Array(items) => self.array(schema, items, place),
                Value::Object(map) => self.object(schema, map, place),
                Value::Null | Value::Bool(_) => {}
            }
        }
        self.any(schema, data, place);
    }

    fn types(&mut self, types: &Value, data: &mut Value, place: &Place) -> bool {
        let types: Vec<&str> = match types {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        if types.iter().any(|ty| is_type(data, ty)) {
            return true;
        }
        if self.coerces
            && let Some(made) = types.iter().find_map(|ty| coerce(data, ty))
        {
            *data = made;
            return true;
        }
        let list = types.join(",");
        self.push(
            place,
            "type",
            json!({ "type": list }),
            format!("should be {list}"),
        );
        false
    }

    fn number(&mut self, schema: &Map<String, Value>, data: &Value, place: &Place) {
        let Some(value) = data.as_f64() else {
            return;
        };
        let limits: [Limit; 4] = [
            ("maximum", "<=", false, |value, limit| value <= limit),
            ("exclusiveMaximum", "<", true, |value, limit| value < limit),
            ("minimum", ">=", false, |value, limit| value >= limit),
            ("exclusiveMinimum", ">", true, |value, limit| value > limit),
        ];
        for (keyword, comparison, exclusive, holds) in limits {
            if let Some(limit) = schema.get(keyword)
                && let Some(number) = limit.as_f64()
                && !holds(value, number)
            {
                let params =
                    json!({ "comparison": comparison, "limit": limit, "exclusive": exclusive });
                self.push(
                    place,
                    keyword,
                    params,
                    format!("should be {comparison} {limit}"),
                );
            }
        }
        if let Some(multiple) = schema.get("multipleOf")
            && let Some(number) = multiple.as_f64()
            && (value / number).fract() != 0.0
        {
            let message = format!("should be multiple of {multiple}");
            self.push(
                place,
                "multipleOf",
                json!({ "multipleOf": multiple }),
                message,
            );
        }
        self.format(schema, data, place);
    }

    fn text(&mut self, schema: &Map<String, Value>, data: &Value, place: &Place) {
        let len = data.as_str().unwrap_or_default().chars().count();
        self.limit(schema, "maxLength", u64::gt, len, place, |limit| {
            format!("should NOT be longer than {limit} characters")
        });
        self.limit(schema, "minLength", u64::lt, len, place, |limit| {
            format!("should NOT be shorter than {limit} characters")
        });
        self.format(schema, data, place);
    }

    fn array(&mut self, schema: &Map<String, Value>, items: &mut [Value], place: &Place) {
        self.limit(schema, "maxItems", u64::gt, items.len(), place, |limit| {
            format!("should NOT have more than {limit} items")
        });
        self.limit(schema, "minItems", u64::lt, items.len(), place, |limit| {
            format!("should NOT have less than {limit} items")
        });
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.unique(items, place);
        }
        if let Some(schema) = schema.get("items") {
            for (index, item) in items.iter_mut().enumerate() {
                if self.found.len() >= MAX_VIOLATIONS {
                    break;
                }
                self.schema(schema, item, &place.item(index));
            }
        }
    }

    fn unique(&mut self, items: &[Value], place: &Place) {
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            if !seen.insert(item.to_string()) {
                let earlier = items
                    .iter()
                    .position(|other| other == item)
                    .unwrap_or(index);
                let message = format!(
                    "should NOT have duplicate items (items ## {earlier} and {index} are identical)"
                );
                self.push(
                    place,
                    "uniqueItems",
                    json!({ "i": index, "j": earlier }),
                    message,
                );
                return;
            }
        }
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        data: &mut Map<String, Value>,
        place: &Place,
    ) {
        self.limit(
            schema,
            "maxProperties",
            u64::gt,
            data.len(),
            place,
            |limit| format!("should NOT have more than {limit} properties"),
        );
        self.limit(
            schema,
            "minProperties",
            u64::lt,
            data.len(),
            place,
            |limit| format!("should NOT have less than {limit} properties"),
        );
        let empty = Map::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required = schema.get("required").and_then(Value::as_array);
        let required: Vec<&str> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        // One that has a schema is reported where the schema is.
        for name in required
            .iter()
            .filter(|name| !properties.contains_key(**name))
        {
            if !data.contains_key(*name) {
                self.missing(name, place);
            }
        }
        if let Some(additional) = schema.get("additionalProperties") {
            for (name, value) in data.iter_mut() {
                if properties.contains_key(name) {
                    continue;
                }
                if *additional == Value::Bool(false) {
                    let message = "should NOT have additional properties".to_owned();
                    self.push(
                        place,
                        "additionalProperties",
                        json!({ "additionalProperty": name }),
                        message,
                    );
                } else {
                    self.schema(additional, value, &place.additional(name));
                }
            }
        }
        for (name, schema) in properties {
            if let Some(value) = data.get_mut(name) {
                self.schema(schema, value, &place.property(name));
            } else if required.contains(&name.as_str()) {
                self.missing(name, place);
            }
        }
    }

    fn missing(&mut self, name: &str, place: &Place) {
        let message = format!("should have required property '{name}'");
        self.push(
            place,
            "required",
            json!({ "missingProperty": name }),
            message,
        );
    }

    fn any(&mut self, schema: &Map<String, Value>, data: &mut Value, place: &Place) {
        if let Some(constant) = schema.get("const")
            && constant != data
        {
            self.push(
                place,
                "const",
                json!({}),
                "should be equal to constant".to_owned(),
            );
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array)
            && !values.contains(data)
        {
            let message = "should be equal to one of the allowed values".to_owned();
            self.push(place, "enum", json!({ "allowedValues": values }), message);
        }
        if let Some(not) = schema.get("not") {
            let before = self.found.len();
            self.schema(not, &mut data.clone(), &place.below("not"));
            let holds = self.found.len() > before;
            self.found.truncate(before);
            if !holds {
                self.push(place, "not", json!({}), "should NOT be valid".to_owned());
            }
        }
        let list = |keyword| schema.get(keyword).and_then(Value::as_array);
        if let Some(schemas) = list("anyOf") {
            let before = self.found.len();
            if self.matching(schemas, "anyOf", data, place) == 0 {
                self.push(
                    place,
                    "anyOf",
                    json!({}),
                    "should match some schema in anyOf".to_owned(),
                );
            } else {
                self.found.truncate(before);
            }
        }
        if let Some(schemas) = list("oneOf") {
            let before = self.found.len();
            if self.matching(schemas, "oneOf", data, place) == 1 {
                self.found.truncate(before);
            } else {
                let message = "should match exactly one schema in oneOf".to_owned();
                self.push(place, "oneOf", json!({}), message);
            }
        }
        for (index, schema) in list("allOf").into_iter().flatten().enumerate() {
            self.schema(schema, data, &place.below(&format!("allOf/{index}")));
        }
    }

    /// How many of these schemas hold. Data is coerced by the first that does.
    fn matching(
        &mut self,
        schemas: &[Value],
        keyword: &str,
        data: &mut Value,
        place: &Place,
    ) -> usize {
        let mut count = 0;
        let mut coerced = None;
        for (index, schema) in schemas.iter().enumerate() {
            let before = self.found.len();
            let mut own = data.clone();
            self.schema(
                schema,
                &mut own,
                &place.below(&format!("{keyword}/{index}")),
            );
            if self.found.len() == before && before < MAX_VIOLATIONS {
                count += 1;
                coerced.get_or_insert(own);
            }
        }
        if let Some(coerced) = coerced {
            *data = coerced;
        }
        count
    }

    fn format(&mut self, schema: &Map<String, Value>, data: &Value, place: &Place) {
        let Some(format) = schema.get("format").and_then(Value::as_str) else {
            return;
        };
        let holds = match (format, data) {
            ("int64", Value::Number(number)) => number.is_i64(),
            ("int64", Value::String(text)) => text.parse::<i64>().is_ok(),
            ("uint64", Value::Number(number)) => number.is_u64(),
            ("uint64", Value::String(text)) => text.parse::<u64>().is_ok(),
            ("date-time", Value::String(text)) => looks_like_date_time(text),
            _ => true,
        };
        if !holds {
            let message = format!("should match format \"{format}\"");
            self.push(place, "format", json!({ "format": format }), message);
        }
    }

    /// Checks a length against the limit that a keyword sets, where it does.
    fn limit(
        &mut self,
        schema: &Map<String, Value>,
        keyword: &'static str,
        breaks: fn(&u64, &u64) -> bool,
        len: usize,
        place: &Place,
        message: impl Fn(u64) -> String,
    ) {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if let Some(limit) = schema.get(keyword).and_then(Value::as_u64)
            && breaks(&len, &limit)
        {
            self.push(place, keyword, json!({ "limit": limit }), message(limit));
        }
    }
}

fn is_type(data: &Value, ty: &str) -> bool {
    match (ty, data) {
        ("integer", Value::Number(number)) => number::is_whole(number),
        ("number", Value::Number(_))
        | ("string", Value::String(_))
        | ("boolean", Value::Bool(_))
        | ("null", Value::Null)
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        _ => false,
    }
}

/// As loose as ajv's fast format; what is no time in truth is refused when the message is read.
fn looks_like_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't', ' ']) else {
        return false;
    };
    let digits = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut date = date.split('-');
    let is_date = [4, 2, 2]
        .into_iter()
        .all(|len| date.next().is_some_and(|part| digits(part, len)));
    is_date && date.next().is_none() && time.len() >= 9 && time.get(2..3) == Some(":")
}
