//! A stream of requests: the body is lines of JSON (newline-delimited JSON).

use std::{pin::Pin, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
};
use bytes::{Buf as _, BytesMut};
use futures_core::Stream;
use futures_util::stream;
use http_body_util::BodyExt as _;
use msip_runtime::{Code, untyped::UntypedMessage};
use tokio::{sync::oneshot, time::timeout};

use super::{
    GatewayShared,
    body::{Reserved, broken, expect_content_type, is_gzip, too_slow},
};
use crate::{GatewayError, Operation, upstream::request_message};

/// The requests of a call, and what is wrong with them.
pub(super) struct Requests {
    pub(super) messages: Pin<Box<dyn Stream<Item = UntypedMessage> + Send>>,
    /// An error in the body. The stream of messages does not end then: whoever ended it would say that all is there.
    pub(super) mistake: oneshot::Receiver<GatewayError>,
}

struct Lines {
    shared: Arc<GatewayShared>,
    operation: Arc<Operation>,
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer has no line break.
    searched: usize,
    is_at_end: bool,
    number: u64,
    reserved: Reserved,
    reserved_len: usize,
    mistake: Option<oneshot::Sender<GatewayError>>,
}

/// Reads a body as requests of this operation.
pub(super) fn requests(
    shared: &Arc<GatewayShared>,
    operation: &Arc<Operation>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Requests, GatewayError> {
    expect_content_type(headers, "application/x-ndjson")?;
    if is_gzip(headers)? {
        let text = "a stream of requests has to be sent without compression";
        return Err(GatewayError::new(Code::InvalidArgument, text)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let (told, mistake) = oneshot::channel();
    let lines = Lines {
        shared: Arc::clone(shared),
        operation: Arc::clone(operation),
        body,
        buffer: BytesMut::new(),
        searched: 0,
        is_at_end: false,
        number: 0,
        reserved: shared.bodies.reserve(),
        reserved_len: 0,
        mistake: Some(told),
    };
    let messages = stream::unfold(lines, |mut lines| async move {
        match lines.next().await {
            Ok(message) => Some((message?, lines)),
            Err(error) => {
                if let Some(mistake) = lines.mistake.take() {
                    // Whoever opened the call may be gone.
                    let _ = mistake.send(error);
                }
                std::future::pending().await
            }
        }
    });
    Ok(Requests {
        messages: Box::pin(messages),
        mistake,
    })
}

impl Lines {
    /// The next request; `None` at the end of the body.
    async fn next(&mut self) -> Result<Option<UntypedMessage>, GatewayError> {
        loop {
            while let Some(line) = self.line()? {
                let line = line.trim_ascii();
                if line.is_empty() {
                    continue;
                }
                self.number += 1;
                let max = self.shared.limits.max_body;
                let request = self.operation.request_of(line, max).map_err(|error| {
                    let text = format!("line {}: {}", self.number, error.message());
                    GatewayError::new(error.code(), text)
                })?;
                return Ok(Some(request_message(&self.operation, &request)));
            }
            if self.is_at_end {
                return Ok(None);
            }
            self.read().await?;
        }
    }

    /// A line that is there, or at the end of the body what is left.
    fn line(&mut self) -> Result<Option<BytesMut>, GatewayError> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        if let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.searched + end);
            self.buffer.advance(1);
            self.searched = 0;
            return Ok(Some(line));
        }
        self.searched = self.buffer.len();
        let max = self.shared.limits.max_body;
        if self.searched > max {
            let text = format!("a line has more than {max} bytes (max_body)");
            return Err(GatewayError::new(Code::ResourceExhausted, text)
                .with_status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        if self.is_at_end && !self.buffer.is_empty() {
            self.searched = 0;
            return Ok(Some(self.buffer.split()));
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<(), GatewayError> {
        let limit = self.shared.limits.body_timeout;
        let frame = timeout(limit, self.body.frame())
            .await
            .map_err(|_| too_slow(limit))?;
        let Some(frame) = frame else {
            self.is_at_end = true;
            return Ok(());
        };
        let frame = frame.map_err(|error| broken(&error))?;
        if let Ok(data) = frame.into_data() {
            self.buffer.extend_from_slice(&data);
            // What the longest line has taken stays reserved.
            let more = self.buffer.len().saturating_sub(self.reserved_len);
            self.reserved.add(more)?;
            self.reserved_len += more;
        }
        Ok(())
    }
}
