//! The query of a GET as a message: `?name=ada&near.lat=52.5&tag=a&tag=b`.

use axum::{extract::Query, http::Uri};
use msip_runtime::Code;
use msip_schema::{Cardinality, Field, FieldType, MessageType, Schema, TypeDef, TypeName};
use serde_json::{Map, Value};

use super::shown;
use crate::{GatewayError, protocol::find_field};

/// The most parameters of a query.
const MAX_PARAMETERS: usize = 256;

/// How many messages a name may lead through.
const MAX_DEPTH: usize = 16;

/// The parameters of a query, in their order.
pub(super) fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, GatewayError> {
    let read = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(parameters) = read.map_err(|error| wrong(format!("the query: {error}")))?;
    if parameters.len() > MAX_PARAMETERS {
        return Err(wrong(format!(
            "the query has more than {MAX_PARAMETERS} parameters"
        )));
    }
    Ok(parameters)
}

/// The message of this type that the parameters make, as JSON.
pub(super) fn message_of(
    schema: &Schema,
    name: &TypeName,
    parameters: &[(String, String)],
) -> Result<Vec<u8>, GatewayError> {
    let mut message = Map::new();
    for (path, value) in parameters {
        set(schema, name, &mut message, path, value)?;
    }
    // A tree of strings can be written.
    Ok(Value::Object(message).to_string().into_bytes())
}

fn set(
    schema: &Schema,
    name: &TypeName,
    mut message: &mut Map<String, Value>,
    path: &str,
    value: &str,
) -> Result<(), GatewayError> {
    let mut ty = message_type(schema, name);
    let mut names = path.split('.').peekable();
    for depth in 0.. {
        let (Some(name), Some(fields)) = (names.next(), ty) else {
            break;
        };
        let field = find_field(fields, name)
            .ok_or_else(|| wrong(format!("parameter {}: no such field", shown(path))))?;
        if names.peek().is_none() {
            return set_field(schema, message, field, path, value);
        }
        let FieldType::Message(inner) = &field.ty else {
            break;
        };
        if field.cardinality != Cardinality::Optional || depth >= MAX_DEPTH {
            break;
        }
        ty = message_type(schema, inner);
        let inner = message
            .entry(field.name.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = inner else {
            break;
        };
        message = inner;
    }
    Err(wrong(format!(
        "parameter {}: only the fields of a single message can be named in a query",
        shown(path)
    )))
}

fn set_field(
    schema: &Schema,
    message: &mut Map<String, Value>,
    field: &Field,
    path: &str,
    value: &str,
) -> Result<(), GatewayError> {
    let value = value_of(schema, &field.ty, value).ok_or_else(|| {
        wrong(format!(
            "parameter {}: its field cannot be written in a query, or not so",
            shown(path)
        ))
    })?;
    match &field.cardinality {
        Cardinality::Map(_) => Err(wrong(format!(
            "parameter {}: a map cannot be written in a query",
            shown(path)
        ))),
        Cardinality::Repeated => {
            let list = message
                .entry(field.name.clone())
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
            Ok(())
        }
        _ => match message.insert(field.name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(wrong(format!("parameter {}: it comes twice", shown(path)))),
        },
    }
}

/// A value as canonical JSON has it. Numbers may be written as strings there.
fn value_of(schema: &Schema, ty: &FieldType, text: &str) -> Option<Value> {
    Some(match ty {
        FieldType::Bool => Value::Bool(text.parse().ok()?),
        FieldType::Enum(_) => match text.parse::<i32>() {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
        FieldType::Message(name) => match name.as_str() {
            "google.protobuf.Timestamp"
            | "google.protobuf.Duration"
            | "google.protobuf.FieldMask"
            | "google.protobuf.StringValue"
            | "google.protobuf.BytesValue"
            | "google.protobuf.DoubleValue"
            | "google.protobuf.FloatValue"
            | "google.protobuf.Int32Value"
            | "google.protobuf.Int64Value"
            | "google.protobuf.UInt32Value"
            | "google.protobuf.UInt64Value" => text.into(),
            "google.protobuf.BoolValue" => Value::Bool(text.parse().ok()?),
            // A message without fields is named alone.
            _ if text.is_empty() && message_type(schema, name).is_some() => {
                Value::Object(Map::new())
            }
            _ => return None,
        },
        _ => text.into(),
    })
}

fn message_type<'a>(schema: &'a Schema, name: &TypeName) -> Option<&'a MessageType> {
    match schema.types().get(name)? {
        TypeDef::Message(message) => Some(message),
        TypeDef::Enum(_) => None,
    }
}

fn wrong(text: String) -> GatewayError {
    GatewayError::new(Code::InvalidArgument, text)
}
