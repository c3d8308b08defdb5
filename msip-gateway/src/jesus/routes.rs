//! The paths of a gateway with the interface of jesus, and its responses.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    answer::{self, Failure, json_response},
    data::{self, Data, MAX_BODY},
    exchange::{Outcome, Sender, StreamOf, exchange, options},
    fields::decode,
    meta::Meta,
    method::{Method, ResponseType},
    options::{JesusOptions, Settings},
    refusal::Refusal,
    shape::shape,
};
use crate::{
    GatewayError,
    api::{Caller, GatewayShared, RemoteAddress, sse_frame},
};

/// By which a caller is told the correlation id of its message.
const CORRID: HeaderName = HeaderName::from_static("app-meta-corrid");

impl JesusOptions {
    /// Its paths.
    pub(crate) fn routes(&self) -> Router<Arc<GatewayShared>> {
        let mut routes = Router::new()
            .route("/{method}", any(by_path))
            .route("/{method}/", any(by_path))
            .route("/{method}/{*fields}", any(by_path));
        if self.settings().has_envelope {
            routes = routes
                .route("/_httpMessage", any(by_envelope))
                .route("/_httpMessageStream", any(by_envelope));
        }
        routes.layer(Extension(self.clone()))
    }
}

/// How an answer is put into a response.
#[derive(Clone, Copy)]
enum Style {
    Http,
    /// Of the envelope: a null is an empty body, and events have nothing around them.
    Socket,
}

/// A message to a method, which the path names.
async fn by_path(
    State(shared): State<Arc<GatewayShared>>,
    Extension(jesus): Extension<JesusOptions>,
    Extension(from): Extension<RemoteAddress>,
    request: Request,
) -> Response {
    let settings = jesus.settings();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (name, fields) = path.split_once('/').unwrap_or((&path, ""));
    let name = decode(&name.replace('+', "%2B"));
    let methods = settings.methods();
    let Some(method) = methods.find(&name, settings.is_public) else {
        return Failure::unknown(&name).into_response(StatusCode::OK);
    };
    let caller = match Caller::of(request.headers()) {
        Ok(caller) => caller,
        Err(error) => return refused(&method.name, &error),
    };
    let meta = Meta::of_headers(request.headers());
    // What files and fields may take is taken before they come.
    let mut reserved = shared.bodies.reserve();
    let is_form = request.headers().get(header::CONTENT_TYPE);
    let is_parts = is_form.is_some_and(|value| value.as_bytes().starts_with(b"multipart/"));
    let most = if is_parts {
        settings.uploads.max_total
    } else {
        MAX_BODY
    };
    if let Err(error) = reserved.add(most) {
        return refused(&method.name, &error);
    }
    let reading = data::read(request, fields, &settings.uploads);
    let data = match timeout(shared.limits.body_timeout, reading).await {
        Ok(Ok(data)) => data,
        Ok(Err(refusal)) => return refusal.into_response(&method.name),
        Err(_) => return Refusal::slow().into_response(&method.name),
    };
    let channel = if settings.is_public {
        "httpPublic"
    } else {
        "http"
    };
    let sender = Sender {
        shared: &shared,
        caller: &caller,
        from,
        channel,
    };
    answer(settings, method, sender, data, &meta, Style::Http).await
}

/// A message in an envelope.
#[derive(Deserialize)]
struct Envelope {
    method: String,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    meta: Map<String, Value>,
}

async fn by_envelope(
    State(shared): State<Arc<GatewayShared>>,
    Extension(jesus): Extension<JesusOptions>,
    Extension(from): Extension<RemoteAddress>,
    request: Request,
) -> Response {
    let settings = jesus.settings();
    let caller = match Caller::of(request.headers()) {
        Ok(caller) => caller,
        Err(error) => return refused("", &error),
    };
    let mut reserved = shared.bodies.reserve();
    if let Err(error) = reserved.add(MAX_BODY) {
        return refused("", &error);
    }
    let is_stream = request.uri().path() == "/_httpMessageStream";
    let body = match timeout(
        shared.limits.body_timeout,
        to_bytes(request.into_body(), MAX_BODY),
    )
    .await
    {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Refusal::too_large(MAX_BODY).into_response(""),
        Err(_) => return Refusal::slow().into_response(""),
    };
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) else {
        return Failure::not_valid().into_response(StatusCode::OK);
    };
    let methods = settings.methods();
    let method = methods.find(&envelope.method, settings.is_public);
    // A stream is asked for at the path of streams, and nothing else is.
    let method =
        method.filter(|method| (method.response_type == ResponseType::Stream) == is_stream);
    let Some(method) = method else {
        return Failure::unknown(&envelope.method).into_response(StatusCode::OK);
    };
    let texts: Vec<(String, String)> = envelope
        .meta
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect();
    let meta = Meta::of(
        texts
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let value = envelope.data.unwrap_or_else(|| Value::Object(Map::new()));
    let data = Data {
        value,
        files: Vec::new(),
    };
    let sender = Sender {
        shared: &shared,
        caller: &caller,
        from,
        channel: "socket",
    };
    answer(settings, method, sender, data, &meta, Style::Socket).await
}

/// What stood in the way before the method was reached.
fn refused(method: &str, error: &GatewayError) -> Response {
    let method = Some(method).filter(|method| !method.is_empty());
    Failure::new(method, error.message().to_owned()).into_response(error.status())
}

async fn answer(
    settings: &Settings,
    method: &Method,
    sender: Sender<'_>,
    data: Data,
    meta: &Meta,
    style: Style,
) -> Response {
    let is_stream = method.response_type == ResponseType::Stream;
    let (options, corrid) = options(sender.caller, meta, sender.channel, is_stream);
    let outcome = exchange(settings, method, sender, data, options).await;
    let mut response = match (outcome, style) {
        (Outcome::Nothing, Style::Http) => StatusCode::NO_CONTENT.into_response(),
        (Outcome::Nothing, Style::Socket) => StatusCode::OK.into_response(),
        (Outcome::Acknowledged, _) => {
            json_response(StatusCode::OK, r#"{"aknowlegment":1}"#.to_owned())
        }
        (Outcome::Result(value), style) => {
            let response = match &method.response {
                Some(name) => answer::result(method.model.schema().types(), name, value),
                None => json_response(StatusCode::OK, value.to_string()),
            };
            match style {
                Style::Socket if response.status() == StatusCode::NOT_FOUND => {
                    StatusCode::OK.into_response()
                }
                _ => response,
            }
        }
        (Outcome::Stream(stream), style) => events(method, stream, settings.stream_limit, style),
        (Outcome::Failure(status, failure), _) => failure.into_response(status),
    };
    if let Ok(corrid) = HeaderValue::from_str(&corrid) {
        response.headers_mut().insert(CORRID, corrid);
    }
    response
}

/// A response of one chunk for each event: what clients of jesus parse is chunks.
fn events(method: &Method, stream: StreamOf, limit: Duration, style: Style) -> Response {
    let model = method.model.clone();
    let (name, response) = (method.name.clone(), method.response.clone());
    let end = Instant::now() + limit;
    let frames = stream::unfold(Some(stream), move |stream| {
        let (model, name, response) = (model.clone(), name.clone(), response.clone());
        async move {
            let mut stream = stream?;
            let (json, rest) = match timeout_at(end, stream.answers.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(json))) => match (serde_json::from_slice::<Value>(&json), &response) {
                    (Ok(value), Some(response)) => {
                        let value = shape(model.schema().types(), response, value);
                        (value.to_string(), Some(stream))
                    }
                    _ => (
                        Failure::new(Some(&name), "an event is nested too deep").to_json(),
                        None,
                    ),
                },
                Ok(Some(Err(error))) => (Failure::call(&name, &error).to_json(), None),
                Err(_) => {
                    let text = format!(
                        "the stream was open for {} s, which is its limit",
                        limit.as_secs()
                    );
                    (Failure::new(Some(&name), text).to_json(), None)
                }
            };
            let frame = match style {
                Style::Http => sse_frame("", "", json.as_bytes()),
                Style::Socket => Bytes::from(json),
            };
            Some((Ok::<_, Infallible>(frame), rest))
        }
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(frames)).into_response()
}
