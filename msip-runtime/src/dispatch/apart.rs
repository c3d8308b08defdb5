//! Exchanges with something around their handler: metadata beside the message, or a span that somebody looks at.
//!
//! Most have neither, and take no part in any of this.

use std::{
    future::{Future as _, poll_fn},
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
};
use crate::{
    Metadata, Status,
    call::Serving,
    link::CallToAnswer,
    protocol::Variant,
    wire::{self, Escaped},
};

/// What stands around the handler of an exchange.
#[derive(Debug)]
pub(super) struct Around {
    span: Span,
    pub(super) metadata: Option<Arc<Metadata>>,
}

impl Around {
    /// `None` where there is nothing.
    pub(super) fn of(row: &Variant, metadata: Option<Box<wire::Metadata>>) -> Option<Self> {
        let span = span(row, metadata.as_deref());
        if metadata.is_none() && span.is_disabled() {
            return None;
        }
        Some(Self {
            span,
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
    pub(super) async fn handle_apart(
        &mut self,
        row: &'static Variant,
        timeout: Option<Duration>,
        around: Option<Around>,
        message: D::In,
    ) -> Result<(), Status> {
        let (span, metadata) = match around {
            Some(Around { span, metadata }) => (span, metadata),
            None => (Span::none(), None),
        };
        let serving = Serving {
            deadline: timeout.and_then(|left| Instant::now().checked_add(left)),
            metadata,
            call: None,
        };
        let context = D::serving(&self.context, serving);
        span.in_scope(|| tracing::trace!(message = row.name, "handling"));
        self.dispatch(row.number, Some(context), message)
            .instrument(span)
            .await
    }

    /// Begins a call with something around it, which goes on in a task unless it is done at once.
    pub(super) async fn serve_apart(
        &mut self,
        call: CallToAnswer,
        request: Request<D::In>,
        row: &'static Variant,
        serving: Serving,
        around: Around,
    ) {
        let deadline = serving.deadline;
        let owed = self.owed(call, deadline).timed(around.wants_time());
        let context = D::serving(&self.context, serving);
        let side = Arc::clone(&self.side);
        let variant = row.number;
        around
            .span
            .in_scope(|| tracing::trace!(call = row.name, "serving"));
        let work = async move {
            let handled = caught(handler::<D>(side, context, request, variant)).await;
            owed.pay(handled, variant).await;
        };
        let mut working = Box::pin(work.instrument(around.span));
        if poll_fn(|task| Poll::Ready(working.as_mut().poll(task).is_pending())).await {
            self.go_on(call, deadline, working);
        }
    }
}
