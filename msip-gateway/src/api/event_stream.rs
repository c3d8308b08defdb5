//! Answers that are streams: server-sent events, each in a chunk of its own.

use std::{convert::Infallible, fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use msip_runtime::{Code, Status};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot, watch},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep},
};

use super::{Caller, GatewayShared};
use crate::{
    GatewayError,
    upstream::{Answers, EventReader, Lease, NextEvent},
};

/// How long the head of a response waits for the first answer: an error until then is told by the status.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// What keeps proxies and browsers from believing that nobody is there.
const COMMENT: &[u8] = b":\n\n";

/// A permit for one stream more.
pub(crate) fn permit(shared: &GatewayShared) -> Result<OwnedSemaphorePermit, GatewayError> {
    Arc::clone(&shared.streams)
        .try_acquire_owned()
        .map_err(|_| busy("too many streams are open (max_streams)"))
}

pub(super) fn busy(text: &'static str) -> GatewayError {
    GatewayError::new(Code::ResourceExhausted, text).with_status(StatusCode::SERVICE_UNAVAILABLE)
}

/// One event: `event: <name>`, `id: <id>`, `data: <data>`, the first two where there are any. `data` is one line.
pub(crate) fn sse_frame(name: &str, id: &str, data: &[u8]) -> Bytes {
    let mut frame = String::with_capacity(data.len() + name.len() + id.len() + 32);
    // Writing to a string cannot fail.
    if !name.is_empty() {
        let _ = writeln!(frame, "event: {name}");
    }
    if !id.is_empty() {
        let _ = writeln!(frame, "id: {id}");
    }
    let mut frame = frame.into_bytes();
    frame.extend_from_slice(b"data: ");
    frame.extend_from_slice(data);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}

fn error_frame(error: &GatewayError) -> Bytes {
    sse_frame("error", "", error.to_json().as_bytes())
}

/// The answers of a call, and what they need to go on.
pub(super) struct AnswerStream {
    answers: Answers,
    /// Of a call whose request is a stream.
    requests: Option<oneshot::Receiver<GatewayError>>,
    caller: Caller,
    /// Kept until the end.
    _lease: Lease,
    _permit: OwnedSemaphorePermit,
}

impl AnswerStream {
    pub(super) fn new(
        answers: Answers,
        requests: Option<oneshot::Receiver<GatewayError>>,
        caller: Caller,
        lease: Lease,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            answers,
            requests,
            caller,
            _lease: lease,
            _permit: permit,
        }
    }

    /// The next answer, or what is wrong with the requests.
    async fn next(&mut self) -> Option<Result<Vec<u8>, GatewayError>> {
        let mistake = async {
            if let Some(mistake) = &mut self.requests {
                if let Ok(error) = mistake.await {
                    return error;
                }
                // All requests were sent. It must not be asked again.
                self.requests = None;
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            error = mistake => Some(Err(error)),
            answer = self.answers.next() => answer,
        }
    }

    /// The only answer, of a call whose request is a stream.
    pub(super) async fn only(mut self) -> Result<(Vec<u8>, HeaderMap), GatewayError> {
        match self.next().await {
            Some(answer) => Ok((answer?, self.caller.answer_headers())),
            None => Err(GatewayError::new(
                Code::Internal,
                "the call has ended without an answer",
            )),
        }
    }

    /// The response. Its head waits a moment for the first answer.
    pub(super) async fn respond(mut self, keepalive: Duration) -> Response {
        let first = tokio::select! {
            first = self.next() => Some(first),
            () = sleep(FIRST_ANSWER) => None,
        };
        if let Some(Some(Err(error))) = first {
            return error.into_response();
        }
        let state = (self, first, 0_u64, ticks(keepalive), false);
        let frames = stream::unfold(
            state,
            |(mut answers, mut first, mut number, mut ticks, is_done)| async move {
                if is_done {
                    return None;
                }
                let next = match first.take() {
                    Some(next) => Some(next),
                    None => tokio::select! {
                        biased;
                        next = answers.next() => Some(next),
                        _ = ticks.tick() => None,
                    },
                };
                let (frame, is_done) = match next {
                    None => (Bytes::from_static(COMMENT), false),
                    Some(Some(Ok(json))) => {
                        number += 1;
                        (sse_frame("", &number.to_string(), &json), false)
                    }
                    Some(Some(Err(error))) => (error_frame(&error), true),
                    Some(None) => (sse_frame("end", "", b"{}"), true),
                };
                Some((frame, (answers, None, number, ticks, is_done)))
            },
        );
        response(frames)
    }
}

/// What the server says on its own.
pub(super) fn events(
    shared: &GatewayShared,
    lease: Lease,
    last_id: Option<&str>,
    permit: OwnedSemaphorePermit,
) -> Response {
    struct State {
        reader: EventReader,
        lease: Lease,
        ticks: Interval,
        draining: watch::Receiver<bool>,
        is_done: bool,
        _permit: OwnedSemaphorePermit,
    }
    let state = State {
        reader: lease.events(last_id),
        lease,
        ticks: ticks(shared.limits.keepalive),
        draining: shared.is_draining.subscribe(),
        is_done: false,
        _permit: permit,
    };
    let frames = stream::unfold(state, |mut state| async move {
        if state.is_done {
            return None;
        }
        let frame = loop {
            let next = tokio::select! {
                biased;
                next = state.reader.next() => next,
                () = state.lease.closed() => {
                    let text = "the session with the server has ended";
                    NextEvent::Ended(Status::unavailable(text))
                }
                // An error says that the gateway is gone.
                _ = state.draining.wait_for(|is_draining| *is_draining) => {
                    NextEvent::Ended(Status::unavailable("the gateway is stopping"))
                }
                _ = state.ticks.tick() => break Bytes::from_static(COMMENT),
            };
            match next {
                NextEvent::Event(id, event) if event.body.is_empty() => {
                    // Only a STATE that is cleared has no body at all.
                    if let Some(name) = state.lease.name_of(event.number) {
                        break sse_frame(name, &id, b"null");
                    }
                }
                NextEvent::Event(id, event) => match state.lease.json_of(event.number, &event.body)
                {
                    Ok((name, json)) => break sse_frame(name, &id, &json),
                    // As a peer of MSIP ignores what it does not know.
                    Err(error) => tracing::debug!(%error, "an event was left out"),
                },
                NextEvent::Lost(id) => break sse_frame("lost", &id, b"{}"),
                NextEvent::Ended(status) => {
                    state.is_done = true;
                    break error_frame(&status.into());
                }
            }
        };
        Some((frame, state))
    });
    response(frames)
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn response(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    use futures_util::StreamExt as _;

    let frames = frames.map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, content_type);
    // nginx would hold events back otherwise.
    let unbuffered = HeaderValue::from_static("no");
    headers.insert("x-accel-buffering", unbuffered);
    response
}
