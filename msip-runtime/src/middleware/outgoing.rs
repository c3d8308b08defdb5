//! Outgoing exchanges, through middleware.

use std::{marker::PhantomData, sync::Arc};

use futures_core::Stream;

use super::{ExchangeContext, ExchangeEnd, Handling, RemotePeer, Shape, Stack};
use crate::{
    CallError, CallOptions, Envelope, SendError, Status, Variant,
    connection::{self, Addressed, ConnectionShared},
    options::NO_OPTIONS,
};
use msip_session::wire::Topic;

/// Who sends, and how.
#[derive(Debug, Clone)]
pub(crate) struct Origin<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) connection: &'a Arc<ConnectionShared>,
    /// Where a broker takes it.
    pub(crate) topic: Option<&'a Topic>,
    pub(crate) options: &'a CallOptions,
    /// The client that it goes to, on a server.
    pub(crate) peer: Option<Arc<dyn RemotePeer>>,
}

impl<'a> Origin<'a> {
    fn addressed<E>(&self, message: &'a E) -> Addressed<'a, E> {
        let topic = self.topic;
        Addressed { message, topic }
    }

    pub(super) fn exchange(
        &self,
        variant: &'static Variant,
        shape: Shape,
        body_len: usize,
    ) -> ExchangeContext {
        let timeout = self.connection.time_limit(variant, &NO_OPTIONS);
        let options = self.options.clone();
        let peer = self.peer.clone();
        ExchangeContext::outgoing(
            variant,
            shape,
            body_len,
            peer,
            options,
            timeout,
            self.connection,
        )
    }

    fn of<E: Envelope>(&self, message: &E, shape: Shape) -> Result<ExchangeContext, SendError> {
        let variant = E::VARIANTS.get(message.index()).ok_or(SendError::Closed)?;
        Ok(self.exchange(variant, shape, message.encoded_len()))
    }
}

/// Sends a one-way message.
pub(crate) async fn send<'a, E: Envelope>(
    origin: Origin<'a>,
    message: &'a E,
) -> Result<(), SendError> {
    let (shape, how) = if origin.options.ack {
        (Shape::Delivery, How::Deliver)
    } else {
        (Shape::OneWay, How::Wait)
    };
    one_way(origin, message, shape, how).await
}

/// Sends a one-way message, or fails where that would wait.
pub(crate) fn try_send<'a, E: Envelope>(
    origin: Origin<'a>,
    message: &'a E,
) -> Result<(), SendError> {
    crate::send_now(one_way(origin, message, Shape::OneWay, How::Now))
}

async fn one_way<'a, E: Envelope>(
    origin: Origin<'a>,
    message: &'a E,
    shape: Shape,
    how: How,
) -> Result<(), SendError> {
    let mut exchange = origin.of(message, shape)?;
    let connection = origin.connection;
    let mut end = OutboundMessageEnd {
        connection,
        message: origin.addressed(message),
        how,
    };
    let sent = origin.stack.run(&mut exchange, &mut end).await;
    sent.map_err(|error| match error {
        CallError::NotSent(error) => error,
        CallError::Unsupported(unsupported) => SendError::Unsupported(unsupported),
        error if shape == Shape::Delivery => SendError::NotAcknowledged(Box::new(error)),
        // A one-way message has no answer: only a middleware can fail it so.
        error => SendError::Refused(error.into()),
    })
}

/// Sends a message and waits until the peer's handler has returned.
pub(crate) async fn deliver<'a, E: Envelope>(
    origin: Origin<'a>,
    message: &'a E,
) -> Result<(), CallError> {
    let mut exchange = origin.of(message, Shape::Delivery)?;
    let connection = origin.connection;
    let how = How::Deliver;
    let mut end = OutboundMessageEnd {
        connection,
        message: origin.addressed(message),
        how,
    };
    origin.stack.run(&mut exchange, &mut end).await
}

/// Sends a request and waits for its answer.
pub(crate) async fn call<'a, Out: Envelope, In: Envelope>(
    origin: Origin<'a>,
    request: &'a Out,
) -> Result<In, CallError> {
    let mut exchange = origin.of(request, Shape::Call)?;
    let mut end = OutboundCallEnd {
        connection: origin.connection,
        request: origin.addressed(request),
        answer: None,
    };
    origin.stack.run(&mut exchange, &mut end).await?;
    end.answer.ok_or_else(nothing)
}

/// Sends a stream of requests of this variant, and waits for the one answer.
pub(crate) async fn upload<Out: Envelope, In: Envelope>(
    origin: Origin<'_>,
    variant: &'static Variant,
    requests: impl Stream<Item = Out> + Send + 'static,
) -> Result<In, CallError> {
    let mut exchange = origin.exchange(variant, Shape::RequestStream, 0);
    let mut end = OutboundUploadEnd {
        connection: origin.connection,
        topic: origin.topic,
        variant,
        requests: Some(requests),
        answer: None,
        sent: PhantomData,
    };
    origin.stack.run(&mut exchange, &mut end).await?;
    end.answer.ok_or_else(nothing)
}

/// The error of a call that a middleware ended with success and without an answer.
pub(super) fn nothing() -> CallError {
    CallError::Status(Status::internal(
        "a middleware let a call succeed without an answer",
    ))
}

/// The error of what would have to be sent a second time, and cannot be.
pub(super) fn only_once() -> CallError {
    CallError::Status(Status::failed_precondition(
        "a stream is sent once: a middleware tried it again",
    ))
}

#[derive(Debug, Clone, Copy)]
enum How {
    Wait,
    Now,
    Deliver,
}

/// What the innermost middleware of a message leads to.
struct OutboundMessageEnd<'a, E> {
    connection: &'a ConnectionShared,
    message: Addressed<'a, E>,
    how: How,
}

impl<E: Envelope> ExchangeEnd for OutboundMessageEnd<'_, E> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let options = exchange.options();
            match self.how {
                How::Wait => self.connection.send(&self.message, options).await?,
                How::Now => self.connection.try_send(&self.message, options)?,
                How::Deliver => self.connection.deliver(&self.message, options).await?,
            }
            Ok(())
        })
    }
}

/// What the innermost middleware of a call leads to.
struct OutboundCallEnd<'a, Out, In> {
    connection: &'a ConnectionShared,
    request: Addressed<'a, Out>,
    answer: Option<In>,
}

impl<Out: Envelope, In: Envelope> ExchangeEnd for OutboundCallEnd<'_, Out, In> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let answer: In = self
                .connection
                .call(&self.request, exchange.options())
                .await?;
            exchange.answered(answer.encoded_len());
            self.answer = Some(answer);
            Ok(())
        })
    }
}

/// What the innermost middleware of a stream of requests leads to.
struct OutboundUploadEnd<'a, Out, In, S> {
    connection: &'a Arc<ConnectionShared>,
    topic: Option<&'a Topic>,
    variant: &'static Variant,
    requests: Option<S>,
    answer: Option<In>,
    sent: PhantomData<fn() -> Out>,
}

impl<Out, In, S> ExchangeEnd for OutboundUploadEnd<'_, Out, In, S>
where
    Out: Envelope,
    In: Envelope,
    S: Stream<Item = Out> + Send + 'static,
{
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let requests = self.requests.take().ok_or_else(only_once)?;
            let options = exchange.options();
            let Self {
                connection,
                variant,
                topic,
                ..
            } = *self;
            let answer: In =
                connection::upload(connection, variant, topic, requests, options).await?;
            exchange.answered(answer.encoded_len());
            self.answer = Some(answer);
            Ok(())
        })
    }
}
