//! One method: which message it sends, how it is answered, and what its data must look like.

use std::sync::Arc;

use msip_schema::{Direction, Exchange, FieldType, Schema, TypeDef, TypeName};
use serde::Deserialize;
use serde_json::Value;

use super::{
    error::MethodsError,
    validation::{Validator, is_scalar, of_message},
};
use crate::{Operation, ProtocolModel, Shape, json_schema::payload_name, protocol::find_field};

/// How a method answers, in jesus' own spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum ResponseType {
    /// Nothing, at once.
    #[serde(rename = "noResponse")]
    None,
    /// `{"aknowlegment":1}`, at once.
    #[serde(rename = "aknowlegment")]
    Acknowledgment,
    /// The result.
    #[serde(rename = "response")]
    Response,
    /// Events.
    #[serde(rename = "stream")]
    Stream,
    /// The result, which is not validated.
    #[serde(other)]
    Other,
}

/// An entry of the file of methods, as in jesus' `methods.json`. What is not known here, such as descriptions, is left alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MethodConfig {
    /// The member that it sends; MSIP's own.
    pub(super) request: Option<String>,
    /// Whether the public gateway has it.
    pub(super) public: bool,
    pub(super) response_type: Option<ResponseType>,
    /// `false` checks nothing; without one, the schema is that of the message.
    pub(super) request_schema: Option<Value>,
    pub(super) response_schema: Option<Value>,
    /// Properties that the message's own schema requires; MSIP's own, for protobuf's fields are all optional.
    pub(super) required: Vec<String>,
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) is_public: bool,
    pub(super) response_type: ResponseType,
    pub(super) model: ProtocolModel,
    pub(super) operation: Arc<Operation>,
    /// What it takes, and what it answers with.
    pub(super) request: TypeName,
    pub(super) response: Option<TypeName>,
    pub(super) request_schema: Option<Validator>,
    pub(super) response_schema: Option<Validator>,
}

impl Method {
    pub(super) fn new(
        name: &str,
        config: MethodConfig,
        model: &ProtocolModel,
        operation: &Arc<Operation>,
        coerces: bool,
    ) -> Result<Self, MethodsError> {
        let schema = model.schema();
        let wrong = |what: String| MethodsError::Method {
            method: name.to_owned(),
            what,
        };
        let (request, response) = types(schema, operation.name())
            .ok_or_else(|| wrong(format!("`{}` is no request", operation.name())))?;
        let response_type = match (config.response_type, operation.shape()) {
            (
                _,
                Shape::Call {
                    request_stream: true,
                    ..
                },
            ) => {
                return Err(wrong(
                    "its request is a stream, which jesus does not have".to_owned(),
                ));
            }
            (None, shape) => default_type(shape),
            (
                Some(ResponseType::Stream),
                Shape::Call {
                    response_stream: true,
                    ..
                },
            ) => ResponseType::Stream,
            (Some(ResponseType::Stream), _) => {
                let text = format!(
                    "its response type is `stream`, and `{}` is not answered by one",
                    operation.name()
                );
                return Err(wrong(text));
            }
            (
                Some(_),
                Shape::Call {
                    response_stream: true,
                    ..
                },
            ) => {
                let text = format!(
                    "its response type is not `stream`, but `{}` is answered by one",
                    operation.name()
                );
                return Err(wrong(text));
            }
            (Some(ty), Shape::Call { .. }) => ty,
            (Some(ty @ (ResponseType::None | ResponseType::Acknowledgment)), _) => ty,
            (Some(_), _) => {
                let text = format!(
                    "it is to answer with a result, and nothing answers `{}`",
                    operation.name()
                );
                return Err(wrong(text));
            }
        };
        let validator = |schema: Option<Value>, place: &str| match schema {
            None | Some(Value::Bool(false)) => Ok(None),
            Some(schema) => Validator::new(schema, coerces)
                .map(Some)
                .map_err(|error| wrong(format!("{place}: {error}"))),
        };
        let request_schema = match config.request_schema {
            None => Some(of_message(schema.types(), &request, &config.required)),
            own => own,
        };
        Ok(Self {
            name: name.to_owned(),
            is_public: config.public,
            response_type,
            request_schema: validator(request_schema, "requestSchema")?,
            response_schema: validator(config.response_schema, "responseSchema")?,
            request,
            response,
            model: model.clone(),
            operation: Arc::clone(operation),
        })
    }

    /// The type of the field of its request by which a file of this name goes, if it has one.
    pub(super) fn file_field(&self, name: &str) -> Option<&FieldType> {
        let TypeDef::Message(message) = self.model.schema().types().get(&self.request)? else {
            return None;
        };
        Some(&find_field(message, name)?.ty)
    }

    /// Whether its message is a scalar in JSON, which data has as `value`, since data is an object.
    pub(super) fn takes_scalar(&self) -> bool {
        is_scalar(&self.request)
    }

    /// The names of a message's fields.
    pub(super) fn fields_of(&self, name: &TypeName) -> Vec<&str> {
        match self.model.schema().types().get(name) {
            Some(TypeDef::Message(message)) => message
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The types of a request and of its answer.
fn types(schema: &Schema, member: &str) -> Option<(TypeName, Option<TypeName>)> {
    let member = schema.envelope(Direction::ClientToServer).member(member)?;
    let response = match &member.exchange {
        Exchange::Call { response, .. } => {
            let answer = schema
                .envelope(Direction::ServerToClient)
                .member(response)?;
            Some(payload_name(&answer.payload))
        }
        Exchange::OneWay | Exchange::Acknowledged => None,
        Exchange::Answer => return None,
    };
    Some((payload_name(&member.payload), response))
}

/// What a method answers with where nobody has said it.
fn default_type(shape: &Shape) -> ResponseType {
    match shape {
        Shape::OneWay => ResponseType::None,
        Shape::Acknowledged => ResponseType::Acknowledgment,
        Shape::Call {
            response_stream: true,
            ..
        } => ResponseType::Stream,
        Shape::Call { .. } => ResponseType::Response,
    }
}

/// The name of the method of a member where nobody has given it one: `test_schema_req` is `testSchema`.
pub(super) fn method_name(member: &str) -> String {
    let stem = ["_req", "_cmd", "_command", "_ind"]
        .iter()
        .find_map(|end| member.strip_suffix(end));
    msip_schema::json_name(stem.filter(|stem| !stem.is_empty()).unwrap_or(member))
}
