//! Exchanges with something around their handler: metadata beside the message, or a span that somebody looks at.
//!
//! Most have neither, and take no part in any of this.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::{
    Dispatch,
    handlers::{Handlers, Request, handler},
    panics::caught,
    with_middleware,
};
use crate::{
    Metadata, Status,
    call::Serving,
    connection::CallToAnswer,
    middleware::{ExchangeContext, Stack},
    protocol::Variant,
};
use msip_session::wire::{self, Escaped};

/// What stands around the handler of an exchange.
#[derive(Debug)]
pub(super) struct Instrumented {
    span: Span,
    middleware: Option<Stack>,
    body_len: usize,
    pub(super) metadata: Option<Arc<Metadata>>,
}

impl Default for Instrumented {
    /// Nothing.
    fn default() -> Self {
        Self {
            span: Span::none(),
            middleware: None,
            body_len: 0,
            metadata: None,
        }
    }
}

impl Instrumented {
    /// Whether there may be something around every exchange, even one that has nothing beside its body.
    #[inline]
    pub(super) fn is_everywhere(middleware: Option<&Stack>) -> bool {
        middleware.is_some()
            || tracing::span_enabled!(target: "msip_runtime::exchange", tracing::Level::DEBUG)
    }

    /// `None` where there is nothing.
    pub(super) fn of(
        row: &Variant,
        metadata: Option<Box<wire::Metadata>>,
        middleware: Option<&Stack>,
        body_len: usize,
    ) -> Option<Self> {
        let span = span(row, metadata.as_deref());
        if metadata.is_none() && span.is_disabled() && middleware.is_none() {
            return None;
        }
        Some(Self {
            span,
            middleware: middleware.cloned(),
            body_len,
            metadata: metadata.map(|metadata| Arc::new(Metadata(*metadata))),
        })
    }

    /// Whether the caller asks when the answer was sent.
    fn wants_time(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.0.request_time_us.is_some())
    }
}

/// The span of an exchange, for whoever looks at it (docs/operations.md, "Logs").
fn span(row: &Variant, metadata: Option<&wire::Metadata>) -> Span {
    let span = tracing::debug_span!(
        target: "msip_runtime::exchange",
        "exchange",
        message = row.name,
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

impl<D: Dispatch> Handlers<D> {
    /// Handles a one-way message with something around it, to its end.
    pub(super) async fn handle_slow(
        &mut self,
        row: &'static Variant,
        timeout: Option<Duration>,
        around: Option<Instrumented>,
        message: D::In,
        is_delivery: bool,
    ) -> Result<(), Status> {
        let Instrumented {
            span,
            middleware,
            body_len,
            metadata,
        } = around.unwrap_or_default();
        let serving = Serving {
            deadline: timeout.and_then(|left| Instant::now().checked_add(left)),
            metadata,
            call: None,
        };
        span.in_scope(|| tracing::trace!(message = row.name, "handling"));
        let Some(stack) = middleware else {
            let context = D::serving(&self.context, serving);
            let dispatching = self.dispatch(row.number, Some(context), message);
            return dispatching.instrument(span).await;
        };
        let (side, context) = (Arc::clone(&self.side), self.context.clone());
        let peer = D::peer(&context);
        let exchange = ExchangeContext::incoming(row, is_delivery, body_len, peer, serving);
        let telling = with_middleware::tell(stack, exchange, side, context, message, row.number);
        let mut telling = pin!(telling.instrument(span));
        poll_fn(|task| {
            let polled = telling.as_mut().poll(task);
            if polled.is_pending() {
                self.waits();
            }
            polled
        })
        .await
    }

    /// Begins a call with something around it, which goes on in a task unless it is done at once.
    pub(super) async fn serve_slow(
        &mut self,
        call: CallToAnswer,
        request: Request<D::In>,
        row: &'static Variant,
        serving: Serving,
        around: Instrumented,
    ) {
        let deadline = serving.deadline;
        let responder = self.responder(call, deadline).timed(around.wants_time());
        let side = Arc::clone(&self.side);
        let variant = row.number;
        around
            .span
            .in_scope(|| tracing::trace!(call = row.name, "serving"));
        let work: Pin<Box<dyn Future<Output = ()> + Send>> = match around.middleware {
            None => {
                let context = D::serving(&self.context, serving);
                Box::pin(async move {
                    let handled = caught(handler::<D>(side, context, request, variant)).await;
                    responder.respond(handled, variant).await;
                })
            }
            Some(stack) => {
                let context = self.context.clone();
                let peer = D::peer(&context);
                let len = around.body_len;
                let exchange = ExchangeContext::incoming(row, false, len, peer, serving);
                Box::pin(with_middleware::ask(
                    stack, exchange, side, context, request, variant, responder,
                ))
            }
        };
        let mut working = Box::pin(work.instrument(around.span));
        if poll_fn(|task| Poll::Ready(working.as_mut().poll(task).is_pending())).await {
            self.go_on(call, deadline, working);
        }
    }
}
