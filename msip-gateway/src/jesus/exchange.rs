//! One message of a method: validated, sent, and what comes of it.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::http::StatusCode;
use msip_runtime::CallOptions;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::Failure,
    data::Data,
    meta::Meta,
    method::{Method, ResponseType},
    options::Settings,
    shape::shape,
};
use crate::{
    GatewayError, Shape,
    api::{Caller, GatewayShared, RemoteAddress, stream_permit},
    upstream::{Answers, Lease, fresh_number},
};

/// What comes of a message.
pub(super) enum Outcome {
    /// Nothing is answered.
    Nothing,
    /// It was taken over.
    Acknowledged,
    /// The result, as canonical JSON.
    Result(Value),
    /// Answers, and what they need to go on.
    Stream(StreamOf),
    /// It failed: in jesus' way, or before the method was reached, with a status.
    Failure(StatusCode, Failure),
}

/// An open stream.
pub(super) struct StreamOf {
    pub(super) answers: Answers,
    pub(super) _lease: Lease,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Outcome {
    fn failure(failure: Failure) -> Self {
        Self::Failure(StatusCode::OK, failure)
    }
}

/// Who has sent a message, by which way.
pub(super) struct Sender<'a> {
    pub(super) shared: &'a Arc<GatewayShared>,
    pub(super) caller: &'a Caller,
    pub(super) from: RemoteAddress,
    pub(super) channel: &'static str,
}

/// Sends the message of a method.
pub(super) async fn exchange(
    settings: &Settings,
    method: &Method,
    sender: Sender<'_>,
    data: Data,
    options: CallOptions,
) -> Outcome {
    let request = match request_of(method, data, sender.shared.limits.max_body) {
        Ok(request) => request,
        Err(failure) => return Outcome::failure(*failure),
    };
    let refused =
        |error: &GatewayError| Outcome::Failure(error.status(), Failure::call(&method.name, error));
    let package = method.model.schema().package();
    let session = match sender.shared.upstream(package) {
        Ok(upstream) => {
            upstream
                .session(sender.caller.principal(), sender.from.ip)
                .await
        }
        Err(error) => Err(error),
    };
    let session = match session {
        Ok(session) => session,
        Err(error) => return refused(&error),
    };
    let operation = &method.operation;
    let failed = |error: &GatewayError| Outcome::failure(Failure::call(&method.name, error));
    let answered = match method.response_type {
        ResponseType::None => Outcome::Nothing,
        ResponseType::Acknowledgment => Outcome::Acknowledged,
        ResponseType::Stream => {
            let permit = match stream_permit(sender.shared) {
                Ok(permit) => permit,
                Err(error) => return refused(&error),
            };
            return match session.open(operation, &request, &options).await {
                Ok(answers) => Outcome::Stream(StreamOf {
                    answers,
                    _lease: session,
                    _permit: permit,
                }),
                Err(error) => failed(&error),
            };
        }
        ResponseType::Response | ResponseType::Other => {
            return match session.call(operation, &request, &options).await {
                Ok(json) => result_of(method, &json),
                Err(error) => failed(&error),
            };
        }
    };
    if matches!(operation.shape(), Shape::OneWay) {
        return match session.send(operation, &request, &options).await {
            Ok(()) => answered,
            Err(error) => failed(&error),
        };
    }
    // Whoever asked is answered before the handler has run.
    let (operation, name) = (Arc::clone(operation), method.name.clone());
    let running = async move {
        let done = match operation.shape() {
            Shape::Acknowledged => session.deliver(&operation, &request, &options).await,
            _ => session.call(&operation, &request, &options).await.map(drop),
        };
        if let Err(error) = done {
            tracing::info!(
                method = name,
                code = error.code().name(),
                "a method that nobody waits for has failed"
            );
        }
    };
    settings.background.run(running).await;
    answered
}

/// The result of a method, which may be validated.
fn result_of(method: &Method, json: &[u8]) -> Outcome {
    let Ok(value) = serde_json::from_slice::<Value>(json) else {
        return Outcome::failure(Failure::new(
            Some(&method.name),
            "the result is nested too deep",
        ));
    };
    if let (ResponseType::Response, Some(schema)) = (method.response_type, &method.response_schema)
    {
        let mut shaped = match &method.response {
            Some(name) => shape(method.model.schema().types(), name, value.clone()),
            None => value.clone(),
        };
        let errors = schema.validate(&mut shaped);
        if !errors.is_empty() {
            return Outcome::failure(Failure::validation(&method.name, "responseSchema", &errors));
        }
    }
    Outcome::Result(value)
}

/// The message of a method, in protobuf.
fn request_of(method: &Method, data: Data, max_len: usize) -> Result<Vec<u8>, Box<Failure>> {
    let mut value = data.value;
    if !value.is_object() {
        return Err(Failure::not_valid().into());
    }
    if let Some(schema) = &method.request_schema {
        let errors = schema.validate(&mut value);
        if !errors.is_empty() {
            return Err(Failure::validation(&method.name, "requestSchema", &errors).into());
        }
    }
    if let Value::Object(fields) = &mut value {
        for (name, file) in data.files {
            let Some(file) = file.into_field(method, &name) else {
                let shown: String = name.chars().take(64).collect();
                return Err(Failure::new(
                    Some(&method.name),
                    format!("the method takes no file `{shown}`"),
                )
                .into());
            };
            fields.insert(name, file);
        }
        if method.takes_scalar() {
            value = fields.remove("value").unwrap_or(json!(null));
        }
    }
    let json = value.to_string().into_bytes();
    let request = method.operation.request_of(&json, max_len);
    request.map_err(|error| Failure::call(&method.name, &error).into())
}

/// The options of a message: the caller's, and its meta. `corrid` is made where the caller names none.
pub(super) fn options(
    caller: &Caller,
    meta: &Meta,
    channel: &str,
    is_stream: bool,
) -> (CallOptions, String) {
    let corrid = meta.correlation_id().map_or_else(fresh_id, str::to_owned);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let options = caller.options().clone().correlation_id(corrid.clone());
    (
        options.headers(meta.headers(channel, is_stream, now)),
        corrid,
    )
}

/// An id that no other message has.
fn fresh_id() -> String {
    format!("{:016x}{:016x}", fresh_number(), fresh_number())
}
