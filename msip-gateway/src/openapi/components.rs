//! What all operations share: errors, headers and credentials.

use serde_json::{Map, Value, json};

/// Statuses of errors, the names of their responses, and what they mean.
const FAILURES: [(&str, &str, &str); 11] = [
    (
        "400",
        "BadRequest",
        "The request is malformed, or does not fit (`INVALID_ARGUMENT`, `FAILED_PRECONDITION`, `OUT_OF_RANGE`).",
    ),
    (
        "401",
        "Unauthenticated",
        "There is no valid credential (`UNAUTHENTICATED`).",
    ),
    (
        "403",
        "Forbidden",
        "This is not allowed (`PERMISSION_DENIED`).",
    ),
    (
        "404",
        "NotFound",
        "There is no such method, or what it is about is not there (`NOT_FOUND`).",
    ),
    (
        "409",
        "Conflict",
        "It is there already, or another one came first (`ALREADY_EXISTS`, `ABORTED`).",
    ),
    ("413", "TooLarge", "The request is larger than a limit."),
    (
        "415",
        "UnsupportedMediaType",
        "The content type is another one than that of the request.",
    ),
    (
        "429",
        "TooMany",
        "A limit is reached (`RESOURCE_EXHAUSTED`).",
    ),
    (
        "500",
        "Internal",
        "The handler failed (`INTERNAL`, `UNKNOWN`, `DATA_LOSS`). It may have run.",
    ),
    (
        "503",
        "Unavailable",
        "The server is not there (`UNAVAILABLE`).",
    ),
    (
        "504",
        "Timeout",
        "There was no answer in time (`DEADLINE_EXCEEDED`).",
    ),
];

/// An error's body.
pub(super) fn error() -> Value {
    let codes: Vec<&str> = msip_runtime::Code::ALL
        .iter()
        .map(|code| code.name())
        .collect();
    json!({
        "type": "object",
        "description": "An error.",
        "properties": {
            "code": { "type": "string", "enum": codes, "description": "What a program decides by." },
            "message": { "type": "string", "description": "What a person reads." },
        },
        "required": ["code", "message"],
    })
}

/// References to the responses of errors, by status.
pub(super) fn failures() -> Map<String, Value> {
    let failures = FAILURES.map(|(status, name, _)| {
        (
            status.to_owned(),
            json!({ "$ref": format!("#/components/responses/{name}") }),
        )
    });
    failures
        .into_iter()
        .chain([(
            "default".to_owned(),
            json!({ "$ref": "#/components/responses/Error" }),
        )])
        .collect()
}

/// The responses of errors.
pub(super) fn responses() -> Value {
    let response = |description: &str| {
        json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/msip.Error" } } },
        })
    };
    let failures = FAILURES.map(|(_, name, description)| (name.to_owned(), response(description)));
    let all: Map<String, Value> = failures
        .into_iter()
        .chain([("Error".to_owned(), response("Any other error."))])
        .collect();
    Value::Object(all)
}

/// The headers that any request may have.
pub(super) fn parameters() -> Value {
    json!({
        "Timeout": {
            "name": "Grpc-Timeout",
            "in": "header",
            "description": "How long the caller waits: a number and H, M, S, m, u or n.",
            "schema": { "type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$", "examples": ["500m"] },
        },
        "CorrelationId": {
            "name": "X-Correlation-Id",
            "in": "header",
            "description": "What follows a chain of calls.",
            "schema": { "type": "string" },
        },
        "Session": {
            "name": "Msip-Session",
            "in": "header",
            "description": "Which of several sessions of one caller is meant.",
            "schema": { "type": "string", "maxLength": 128 },
        },
        "LastEventId": {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The last event that was seen: what came after it follows, as far as it is kept.",
            "schema": { "type": "string" },
        },
    })
}

/// A credential may be left out where the server lets anyone in.
pub(super) fn security() -> Value {
    json!([{}, { "bearer": [] }])
}

pub(super) fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key or a token, as the server's authenticator takes it.",
        },
    })
}
