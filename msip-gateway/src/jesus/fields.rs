//! Fields of queries and forms, in the spelling of `qs`: `a=1&b[c]=2&d[]=3&e[0]=4`.

use serde_json::{Map, Value};
use thiserror::Error;

/// How many fields there may be, as in body-parser.
const MAX_FIELDS: usize = 1000;

/// How many brackets count; what follows is a part of the last name, as in qs.
const MAX_DEPTH: usize = 5;

/// The largest index of a list, as in qs; a larger one is a name.
const MAX_INDEX: usize = 20;

/// Why fields cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum FieldsError {
    /// There are too many.
    #[error("more than {MAX_FIELDS} fields")]
    TooMany,
    /// One name is used for two things.
    #[error("the field `{0}` is both a value and an object")]
    Mixed(String),
}

/// Reads `a=1&b[c]=2`, with percent signs and plus signs decoded.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, FieldsError> {
    let mut fields = Fields::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        // In `a[b=c]=1` the name goes up to `]=`.
        let equals = pair.find("]=").map(|at| at + 1).or_else(|| pair.find('='));
        let (name, value) = match equals.and_then(|at| pair.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
            None => (pair, ""),
        };
        fields.add(&decode(name), Value::String(decode(value)))?;
    }
    Ok(fields.into_data())
}

/// Fields, added one by one.
#[derive(Debug, Default)]
pub(super) struct Fields {
    data: Map<String, Value>,
    count: usize,
}

/// One pair of brackets.
enum Step {
    /// `[name]`
    Name(String),
    /// `[0]`
    Index(usize),
    /// `[]`
    Next,
}

impl Fields {
    /// Adds a field. One that is there already becomes a list.
    pub(super) fn add(&mut self, name: &str, value: Value) -> Result<(), FieldsError> {
        self.count += 1;
        if self.count > MAX_FIELDS {
            return Err(FieldsError::TooMany);
        }
        let (first, steps) = steps(name);
        let place = self.data.entry(first).or_insert(Value::Null);
        if put(place, &steps, value) {
            Ok(())
        } else {
            Err(FieldsError::Mixed(name.chars().take(64).collect()))
        }
    }

    /// All of them as an object.
    pub(super) fn into_data(self) -> Map<String, Value> {
        self.data
    }
}

/// Puts a value below a place, in which null stands for nothing yet. `false` where the place is of another kind.
fn put(place: &mut Value, steps: &[Step], value: Value) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return match place {
            Value::Null => {
                *place = value;
                true
            }
            Value::Array(items) => {
                items.push(value);
                true
            }
            Value::Object(_) if !value.is_object() => false,
            first => {
                *first = Value::Array(vec![first.take(), value]);
                true
            }
        };
    };
    // A list that has a name besides is an object with its indices as names.
    if matches!((&*place, step), (Value::Array(_), Step::Name(_))) {
        let items = std::mem::take(place);
        let items = items.as_array().cloned().unwrap_or_default();
        let named = items
            .into_iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item));
        *place = Value::Object(named.collect());
    }
    match (place, step) {
        (place @ Value::Null, Step::Name(name)) => {
            let mut map = Map::new();
            let done = put(map.entry(name.clone()).or_insert(Value::Null), rest, value);
            *place = Value::Object(map);
            done
        }
        (place @ Value::Null, Step::Index(_) | Step::Next) => {
            let mut item = Value::Null;
            let done = put(&mut item, rest, value);
            *place = Value::Array(vec![item]);
            done
        }
        (Value::Object(map), Step::Name(name)) => {
            put(map.entry(name.clone()).or_insert(Value::Null), rest, value)
        }
        (Value::Object(map), Step::Index(index)) => put(
            map.entry(index.to_string()).or_insert(Value::Null),
            rest,
            value,
        ),
        (Value::Array(items), Step::Index(index)) => match items.get_mut(*index) {
            Some(item) => put(item, rest, value),
            None => {
                // Indices that are left out are not there: the list stays dense.
                let mut item = Value::Null;
                let done = put(&mut item, rest, value);
                items.push(item);
                done
            }
        },
        (Value::Array(items), Step::Next) => {
            let mut item = Value::Null;
            let done = put(&mut item, rest, value);
            items.push(item);
            done
        }
        (place @ Value::String(_), Step::Next) if rest.is_empty() => {
            *place = Value::Array(vec![place.take(), value]);
            true
        }
        _ => false,
    }
}

/// `a[b][]` as its name and its brackets. Brackets that do not match are a part of the name.
fn steps(name: &str) -> (String, Vec<Step>) {
    let Some((first, mut rest)) = name
        .find('[')
        .filter(|at| *at > 0)
        .and_then(|at| name.split_at_checked(at))
    else {
        return (name.to_owned(), Vec::new());
    };
    let mut steps = Vec::new();
    while let Some(inner) = rest.strip_prefix('[') {
        let Some((part, after)) = inner.split_once(']') else {
            break;
        };
        if steps.len() == MAX_DEPTH {
            break;
        }
        steps.push(match part {
            "" => Step::Next,
            digits => match digits.parse::<usize>() {
                Ok(index) if index <= MAX_INDEX && index.to_string() == digits => {
                    Step::Index(index)
                }
                _ => Step::Name(digits.to_owned()),
            },
        });
        rest = after;
    }
    if steps.is_empty() {
        return (name.to_owned(), Vec::new());
    }
    if !rest.is_empty() {
        steps.push(Step::Name(rest.to_owned()));
    }
    (first.to_owned(), steps)
}

/// Decodes `%41` and `+`. What is not UTF-8 is replaced, and a percent sign without two digits stays.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |at: usize| {
                    after
                        .get(at)
                        .and_then(|byte| char::from(*byte).to_digit(16))
                };
                match (digit(0), digit(1)) {
                    (Some(high), Some(low)) => {
                        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                        rest = after.get(2..).unwrap_or_default();
                    }
                    _ => bytes.push(b'%'),
                }
            }
            byte => bytes.push(*byte),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_as_qs_reads_them() {
        for (text, expected) in [
            ("", json!({})),
            ("&&", json!({})),
            ("a=1", json!({ "a": "1" })),
            ("a", json!({ "a": "" })),
            ("a=", json!({ "a": "" })),
            ("a=1&a=2&a=3", json!({ "a": ["1", "2", "3"] })),
            ("a[]=1", json!({ "a": ["1"] })),
            ("a[]=1&a[]=2", json!({ "a": ["1", "2"] })),
            ("a[0]=x&a[1]=y", json!({ "a": ["x", "y"] })),
            ("a[5]=x", json!({ "a": ["x"] })),
            ("a[21]=x", json!({ "a": { "21": "x" } })),
            ("a[b]=1&a[c]=2", json!({ "a": { "b": "1", "c": "2" } })),
            ("a[b][c]=1", json!({ "a": { "b": { "c": "1" } } })),
            (
                "a[][b]=1&a[][b]=2",
                json!({ "a": [{ "b": "1" }, { "b": "2" }] }),
            ),
            ("a[0]=x&a[k]=y", json!({ "a": { "0": "x", "k": "y" } })),
            ("a%5Bb%5D=c+d%20e", json!({ "a": { "b": "c d e" } })),
            ("a=%C3%A4", json!({ "a": "ä" })),
            ("a=100%", json!({ "a": "100%" })),
            ("a[b=1", json!({ "a[b": "1" })),
            ("[a]=1", json!({ "[a]": "1" })),
            ("a=b=c", json!({ "a": "b=c" })),
            ("a[b=c]=d", json!({ "a": { "b=c": "d" } })),
            ("__proto__[x]=1", json!({ "__proto__": { "x": "1" } })),
            (
                "a[b][c][d][e][f][g][h]=1",
                json!({ "a": { "b": { "c": { "d": { "e": { "f": { "[g][h]": "1" } } } } } } }),
            ),
        ] {
            assert_eq!(parse(text).map(Value::Object), Ok(expected), "{text}");
        }
    }

    #[test]
    fn too_many_fields_and_names_for_two_things() {
        let many = "a=1&".repeat(MAX_FIELDS);
        assert!(parse(&many).is_ok());
        assert_eq!(parse(&format!("{many}a=1")), Err(FieldsError::TooMany));
        assert_eq!(
            parse("a=1&a[b]=2"),
            Err(FieldsError::Mixed("a[b]".to_owned()))
        );
        assert_eq!(parse("a[b]=1&a=2"), Err(FieldsError::Mixed("a".to_owned())));
    }
}
