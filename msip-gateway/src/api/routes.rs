//! The paths.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use msip_runtime::Code;
use msip_schema::{Direction, Payload};

use super::{
    Caller, GatewayShared, RemoteAddress,
    answer::json_response,
    body::read_json_body,
    caller::only,
    event_stream::{AnswerStream, busy, events, permit},
    guard::guard,
    lines, query, shown,
};
use crate::{GatewayError, Operation, Shape, upstream::Upstream};

/// By which a browser says what it has got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The parameter of a query that names a session.
const SESSION_PARAMETER: &str = "msip-session";

/// Every path, of the gateway and of `more`, behind the guard and the limit of requests.
pub(crate) fn routes(shared: &Arc<GatewayShared>, more: Router<Arc<GatewayShared>>) -> Router {
    Router::new()
        .route("/v1/{package}/events", any(event_stream_or_call))
        .route("/v1/{package}/{member}", any(call))
        .merge(more)
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(shared), limit))
        // They tell whether the gateway is there, also when it is busy.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), guard))
        .with_state(Arc::clone(shared))
}

/// Holds a permit until the head of the response is there.
async fn limit(State(shared): State<Arc<GatewayShared>>, request: Request, next: Next) -> Response {
    match shared.requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => busy("too many requests are open (max_requests)").into_response(),
    }
}

async fn nothing() -> GatewayError {
    GatewayError::new(Code::NotFound, "there is nothing at this path")
}

async fn wrong_method() -> GatewayError {
    method_not_allowed("this path has no such method")
}

fn method_not_allowed(text: &'static str) -> GatewayError {
    GatewayError::new(Code::Unimplemented, text).with_status(StatusCode::METHOD_NOT_ALLOWED)
}

async fn ready(State(shared): State<Arc<GatewayShared>>) -> (StatusCode, &'static str) {
    match *shared.is_draining.borrow() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        false => (StatusCode::OK, "ready\n"),
    }
}

/// `GET` is the stream of what the server says; any other method is a call of a member that has this name.
async fn event_stream_or_call(
    State(shared): State<Arc<GatewayShared>>,
    Extension(from): Extension<RemoteAddress>,
    Path(package): Path<String>,
    request: Request,
) -> Result<Response, GatewayError> {
    if request.method() != Method::GET {
        return answer(&shared, from, &package, "events", request).await;
    }
    let upstream = &shared.upstream(&package)?;
    let headers = request.headers();
    let parameters = query::parameters(request.uri())?;
    let parameter = |wanted: &str| {
        let mut all = parameters.iter();
        all.find_map(|(name, value)| (name == wanted).then_some(value.as_str()))
    };
    let caller = Caller::in_session(headers, parameter(SESSION_PARAMETER))?;
    let last_id = match only(headers, &LAST_EVENT_ID)? {
        Some(id) => Some(id),
        None => parameter("last-event-id"),
    };
    let permit = permit(&shared)?;
    let lease = upstream.session(caller.principal(), from.ip).await?;
    Ok(events(&shared, lease, last_id, permit))
}

async fn call(
    State(shared): State<Arc<GatewayShared>>,
    Extension(from): Extension<RemoteAddress>,
    Path((package, member)): Path<(String, String)>,
    request: Request,
) -> Result<Response, GatewayError> {
    answer(&shared, from, &package, &member, request).await
}

/// Sends what a request asks for, and answers.
async fn answer(
    shared: &Arc<GatewayShared>,
    from: RemoteAddress,
    package: &str,
    member: &str,
    request: Request,
) -> Result<Response, GatewayError> {
    let upstream = &shared.upstream(package)?;
    let operation = upstream.model().operation(member).ok_or_else(|| {
        let text = format!("{package} has no request {}", shown(member));
        GatewayError::new(Code::NotFound, text)
    })?;
    let is_get = match *request.method() {
        Method::POST => false,
        Method::GET if operation.has_no_side_effects() => true,
        _ => {
            let allowed = match operation.has_no_side_effects() {
                true => "GET, POST",
                false => "POST",
            };
            let text =
                "GET is for calls that the schema says have no side effects, and all else for POST";
            return Err(method_not_allowed(text)
                .with_header(header::ALLOW, HeaderValue::from_static(allowed)));
        }
    };
    let (head, body) = request.into_parts();
    if let Shape::Call {
        request_stream: true,
        response_stream,
    } = *operation.shape()
    {
        let caller = Caller::of(&head.headers)?;
        let call = Call {
            shared,
            upstream,
            operation,
            from,
        };
        return call
            .streaming(&head.headers, body, caller, response_stream)
            .await;
    }
    let caller;
    let json;
    let _reserved;
    if is_get {
        let parameters = query::parameters(&head.uri)?;
        let (own, others): (Vec<_>, Vec<_>) = parameters
            .into_iter()
            .partition(|(name, _)| name == SESSION_PARAMETER);
        let session = own.first().map(|(_, session)| session.as_str());
        caller = Caller::in_session(&head.headers, session)?;
        json = query_of(upstream, member, &others)?;
        _reserved = None;
    } else {
        caller = Caller::of(&head.headers)?;
        let read = read_json_body(&head.headers, body, &shared.bodies, &shared.limits).await?;
        json = read.bytes;
        _reserved = Some(read.reserved);
    }
    let protobuf = operation.request_of(&json, shared.limits.max_body)?;
    drop(json);
    let call = Call {
        shared,
        upstream,
        operation,
        from,
    };
    call.single(&head.headers, &protobuf, caller).await
}

/// A request that was read.
struct Call<'a> {
    shared: &'a Arc<GatewayShared>,
    upstream: &'a Upstream,
    operation: &'a Arc<Operation>,
    from: RemoteAddress,
}

impl Call<'_> {
    /// One message goes.
    async fn single(
        self,
        asked: &HeaderMap,
        request: &[u8],
        caller: Caller,
    ) -> Result<Response, GatewayError> {
        let operation = self.operation;
        let session = self
            .upstream
            .session(caller.principal(), self.from.ip)
            .await?;
        match operation.shape() {
            Shape::OneWay => {
                session.send(operation, request, caller.options()).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            Shape::Acknowledged => {
                session
                    .deliver(operation, request, caller.options())
                    .await?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            Shape::Call {
                response_stream: false,
                ..
            } => {
                let json = session.call(operation, request, caller.options()).await?;
                Ok(json_response(asked, caller.answer_headers(), json))
            }
            Shape::Call { .. } => {
                let permit = permit(self.shared)?;
                let options = match only(asked, &LAST_EVENT_ID)? {
                    // Only the handler knows what follows.
                    Some(id) => caller.options().clone().header("last-event-id", id),
                    None => caller.options().clone(),
                };
                let answers = session.open(operation, request, &options).await?;
                let stream = AnswerStream::new(answers, None, caller, session, permit);
                Ok(stream.respond(self.shared.limits.keepalive).await)
            }
        }
    }

    /// A stream of messages goes.
    async fn streaming(
        self,
        asked: &HeaderMap,
        body: Body,
        caller: Caller,
        response_stream: bool,
    ) -> Result<Response, GatewayError> {
        let permit = permit(self.shared)?;
        let requests = lines::requests(self.shared, self.operation, asked, body)?;
        let session = self
            .upstream
            .session(caller.principal(), self.from.ip)
            .await?;
        let answers = session
            .open_stream(self.operation, requests.messages, caller.options())
            .await?;
        let mistake = Some(requests.mistake);
        let stream = AnswerStream::new(answers, mistake, caller, session, permit);
        if response_stream {
            return Ok(stream.respond(self.shared.limits.keepalive).await);
        }
        let (json, headers) = stream.only().await?;
        Ok(json_response(asked, headers, json))
    }
}

/// The request that a query makes, as JSON.
fn query_of(
    upstream: &Upstream,
    member: &str,
    parameters: &[(String, String)],
) -> Result<Vec<u8>, GatewayError> {
    let schema = upstream.model().schema();
    let member = schema.envelope(Direction::ClientToServer).member(member);
    match member.map(|member| &member.payload) {
        Some(Payload::Message(name)) => query::message_of(schema, name, parameters),
        _ if parameters.is_empty() => Ok(b"{}".to_vec()),
        _ => {
            let text = "this call takes no parameters";
            Err(GatewayError::new(Code::InvalidArgument, text))
        }
    }
}
