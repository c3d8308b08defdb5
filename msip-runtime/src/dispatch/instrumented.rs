//! The instrumentation of an exchange: its metadata, the middleware around its handler, and its span.
//!
//! Most exchanges are ordinary: they have none of it, and take no part in any of this. [`Instrumented::of`] is the one
//! place that decides which do.

use std::{sync::Arc, time::Duration};

use tracing::Span;

use crate::{Metadata, middleware::Stack, protocol::Variant};
use msip_session::{
    Incoming,
    wire::{self, Escaped},
};

/// What was received with a message, apart from its body.
#[derive(Debug, Default)]
pub(super) struct MessageHead {
    /// The deadline that its sender stated.
    pub(super) timeout: Option<Duration>,
    pub(super) metadata: Option<Arc<Metadata>>,
    pub(super) body_len: usize,
}

impl MessageHead {
    /// Takes it out of a message.
    pub(super) fn take(incoming: &mut Incoming) -> Self {
        let metadata = incoming.metadata.take();
        Self {
            timeout: incoming.timeout,
            metadata: metadata.map(|metadata| Arc::new(Metadata::received(*metadata))),
            body_len: incoming.body.len(),
        }
    }
}

/// What the handler of an exchange that is not ordinary runs with.
#[derive(Debug)]
pub(super) struct Instrumented {
    pub(super) span: Span,
    pub(super) middleware: Option<Stack>,
    pub(super) head: MessageHead,
}

impl Instrumented {
    /// Whether no exchange is ordinary, not even one without metadata.
    #[inline]
    pub(super) fn is_everywhere(middleware: Option<&Stack>) -> bool {
        middleware.is_some()
            || tracing::span_enabled!(target: "msip_runtime::exchange", tracing::Level::DEBUG)
    }

    /// `None` for an ordinary exchange.
    pub(super) fn of(row: &Variant, head: MessageHead, middleware: Option<&Stack>) -> Option<Self> {
        if head.metadata.is_none() && !Self::is_everywhere(middleware) {
            return None;
        }
        Some(Self {
            span: span(row, head.metadata.as_deref().map(|metadata| &*metadata.0)),
            middleware: middleware.cloned(),
            head,
        })
    }

    /// With nothing of it.
    pub(super) fn nothing() -> Self {
        Self {
            span: Span::none(),
            middleware: None,
            head: MessageHead::default(),
        }
    }

    /// Whether the caller asks when the answer was sent.
    pub(super) fn wants_time(&self) -> bool {
        let metadata = self.head.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.0.request_time_us.is_some())
    }
}

/// The span of an exchange, for subscribers (docs/operations.md, "Logs").
fn span(row: &Variant, metadata: Option<&wire::Metadata>) -> Span {
    let span = tracing::debug_span!(
        target: "msip_runtime::exchange",
        "exchange",
        message = row.name,
        variant = row.number,
        correlation_id = tracing::field::Empty,
        traceparent = tracing::field::Empty,
    );
    if let Some(metadata) = metadata.filter(|_| !span.is_disabled()) {
        for (field, text) in [
            ("correlation_id", &metadata.correlation_id),
            ("traceparent", &metadata.traceparent),
        ] {
            if !text.is_empty() {
                span.record(field, tracing::field::display(Escaped::new(text)));
            }
        }
    }
    span
}
