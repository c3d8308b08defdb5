//! What jesus' clients are answered: results by their type, and errors in their shape.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use msip_schema::{TypeName, Types};
use serde::Serialize;
use serde_json::{Value, json};

use super::{shape::shape, signature::mime_type, validation::Violation};
use crate::{GatewayError, base64};

/// An error as jesus tells it, in the order of its fields.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    #[serde(rename = "__RESULT_TYPE__")]
    result_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl Failure {
    /// An error of a method, or of what names none.
    pub(super) fn new(method: Option<&str>, error: impl Into<String>) -> Self {
        Self {
            result_type: "error",
            method: method.map(str::to_owned),
            error: error.into(),
            data: None,
        }
    }

    /// Data is neither an object nor absent.
    pub(super) fn not_valid() -> Self {
        Self::new(None, "MESSAGE IS NOT VALID")
    }

    /// There is no method of this name, or not at this gateway: who asks cannot tell.
    pub(super) fn unknown(method: &str) -> Self {
        let shown: String = method.chars().take(128).collect();
        let error = format!("{shown} is not valid (not defined in methods config)");
        Self::new(Some(&shown), error)
    }

    /// Data does not fit its schema.
    pub(super) fn validation(method: &str, schema_field: &str, errors: &[Violation]) -> Self {
        let data =
            json!({ "type": "schemaValidation", "schemaField": schema_field, "errors": errors });
        Self {
            data: Some(data),
            ..Self::new(Some(method), "validation errors")
        }
    }

    /// The handler has failed, or was not reached.
    pub(super) fn call(method: &str, error: &GatewayError) -> Self {
        Self::new(Some(method), error.message())
    }

    pub(super) fn to_json(&self) -> String {
        // Text and values can be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The response of jesus, whose errors have the status 200, or of one that is not its own.
    pub(super) fn into_response(self, status: StatusCode) -> Response {
        json_response(status, self.to_json())
    }
}

pub(super) fn json_response(status: StatusCode, body: String) -> Response {
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// A result: text as HTML, bytes as what they are, null as 404 without a body, and anything else as JSON.
pub(super) fn result(types: &Types, name: &TypeName, value: Value) -> Response {
    if name.as_str() == "google.protobuf.BytesValue"
        && let Some(bytes) = value.as_str().and_then(base64::decode)
    {
        let mime = HeaderValue::from_static(mime_type(&bytes));
        return ([(header::CONTENT_TYPE, mime)], Body::from(bytes)).into_response();
    }
    match shape(types, name, value) {
        Value::String(text) => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            // Text of a handler is not a page that may run what is in it.
            let sandbox = HeaderValue::from_static("sandbox");
            let headers = [
                (header::CONTENT_TYPE, html),
                (header::CONTENT_SECURITY_POLICY, sandbox),
            ];
            (headers, text).into_response()
        }
        Value::Null => StatusCode::NOT_FOUND.into_response(),
        Value::Object(fields) if name.is_empty_message() && fields.is_empty() => {
            StatusCode::NOT_FOUND.into_response()
        }
        value => json_response(StatusCode::OK, value.to_string()),
    }
}
