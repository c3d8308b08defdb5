//! The loop that runs the handlers of one session.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use prost::Message as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Dispatch,
    calls::{Calls, LongCall},
    cleared::{bare_clears, clears, decode_cleared, handle},
    decode::{Decode, decode, decode_fast, decode_or_why, decoded, is_long},
    instrumented::{Instrumented, MessageHead},
    request::handler_of_one,
    with_middleware,
};
use crate::{
    Answered, DisconnectReason, Status, VariantLabel,
    call::Serving,
    connection::why_ended,
    middleware::ExchangeContext,
    protocol::Variant,
    service::{Received, Receiver, caught, log_panic, panicked, poll_told},
};
use msip_session::{BareMessage, Incoming, ReplyTo, wire::broker};

/// Handles what is received, until nothing is left. Calls that are still open then are dropped: no session remains to
/// take their answers. Only those of the clients of a service that leaves a broker are waited for.
///
/// Every connection holds this future: it is no `async fn`, which would keep its arguments beside what they are moved to.
pub(super) fn run<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    receiver: Receiver<D::Out>,
) -> impl Future<Output = ()> + Send {
    let calls = Calls::new(Arc::clone(&side), context.clone(), handler_of_one::<D>);
    let mut handlers = Handlers {
        side,
        context,
        receiver,
        calls,
        running: RunningMessage::default(),
    };
    async move {
        while handlers.run_connection().await {
            // In a box, as this comes once.
            Box::pin(handlers.tell_connected()).await;
        }
        poll_fn(|task| match handlers.receiver.poll_awaits_no_calls(task) {
            Poll::Pending => handlers.calls.poll_ended(task),
            Poll::Ready(()) => Poll::Ready(()),
        })
        .await;
        handlers.calls.shut_down().await;
    }
}

/// The handlers of one session.
struct Handlers<D: Dispatch, S, F> {
    side: Arc<D>,
    context: D::Context,
    receiver: Receiver<D::Out>,
    calls: Calls<D, S, F>,
    running: RunningMessage,
}

/// The one-way message whose handler runs on the fast path.
#[derive(Debug, Default, Clone, Copy)]
struct RunningMessage {
    variant: u16,
    payload_len: u32,
}

/// What the fast path leaves.
enum Next {
    Message(Box<Incoming>),
    Connected,
    Disconnected(Box<DisconnectReason>),
}

impl<D, S, F> Handlers<D, S, F>
where
    D: Dispatch,
    S: Fn(Arc<D>, D::Context, D::In) -> F,
    F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
{
    /// Tells the handler of a new connection, whose context is that of what comes from here on.
    async fn tell_connected(&mut self) {
        let sender = self.receiver.terms().sender.as_ref();
        self.context = D::connection(&self.context, sender);
        self.calls.set_context(&self.context);
        if let Some(ready) = self.receiver.connection().main_ready() {
            // A channel is none of the client's connections.
            ready.await;
            return;
        }
        if let Err(panic) = caught(self.side.connected(&self.context)).await {
            log_panic("the handler of a new connection", &panic);
        }
        self.receiver.connection().let_channels_begin();
    }

    /// Handles what is received until there is a new connection. Returns whether there is one.
    async fn run_connection(&mut self) -> bool {
        let (side, context) = (Arc::clone(&self.side), self.context.clone());
        let begin = |message| side.dispatch(&context, message);
        let mut handler = pin!(None);
        while let Some(next) = poll_fn(|task| self.poll_fast(task, handler.as_mut(), begin)).await {
            match next {
                Next::Connected => return true,
                Next::Disconnected(reason) => {
                    let disconnected = side.disconnected(&context, *reason);
                    if let Err(panic) = Box::pin(caught(disconnected)).await {
                        log_panic("the handler of a lost connection", &panic);
                    }
                }
                Next::Message(incoming) => match incoming.reply {
                    ReplyTo::Nobody | ReplyTo::Delivery { .. } => self.handle(incoming).await,
                    ReplyTo::Call(slot) if !self.receiver.is_closed() => {
                        let mut incoming = Some(*incoming);
                        let long = poll_fn(|task| {
                            let long = incoming.take().and_then(|incoming| {
                                self.calls.serve(task, &mut self.receiver, incoming, slot)
                            });
                            Poll::Ready(long)
                        })
                        .await;
                        if let Some(long) = long {
                            self.serve_long(long).await;
                        }
                    }
                    ReplyTo::Call(_) => {}
                },
            }
        }
        false
    }

    /// Waits until the long request of a call was read, and serves the call. What comes after it waits too: the peer's bodies
    /// are read one after the other.
    async fn serve_long(&mut self, mut long: Box<LongCall<D>>) {
        self.wait();
        let mut decoded = Some((&mut long.decoding).await);
        // The session may have ended meanwhile.
        if self.receiver.is_closed() {
            return;
        }
        poll_fn(|task| {
            if let Some(read) = decoded.take() {
                self.calls
                    .serve_read(task, &mut self.receiver, &mut long, read);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Handles ordinary messages and calls one after the other: each message to completion, calls until they wait.
    /// `handler` is where the handler of a message runs. Returns what comes next; `None` when nothing more will.
    fn poll_fast<M, T>(
        &mut self,
        task: &mut Context<'_>,
        mut handler: Pin<&mut Option<M>>,
        begin: impl Fn(D::In) -> M,
    ) -> Poll<Option<Next>>
    where
        M: Future<Output = Result<T, Status>>,
    {
        // Asked once for all messages that are there; a poll that finds none asks nothing.
        let mut is_ordinary = None;
        loop {
            if let Some(running) = handler.as_mut().as_pin_mut() {
                let RunningMessage {
                    variant,
                    payload_len,
                } = self.running;
                match poll_told(running, task) {
                    Poll::Pending => {
                        self.wait();
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Ok(()))) => {}
                    Poll::Ready(Ok(Err(status))) => self
                        .receiver
                        .ignored(VariantLabel::of::<D::In>(variant), &status),
                    Poll::Ready(Err(panic)) => {
                        let variant = VariantLabel::of::<D::In>(variant);
                        self.receiver.ignored(variant, &panicked(variant, &panic));
                    }
                }
                handler.set(None);
                self.receiver.handled(payload_len);
            }
            if self.receiver.is_turn_over() {
                self.wait();
                self.receiver.yield_turn(task);
                return Poll::Pending;
            }
            let Some(message) = self.receiver.take_bare() else {
                match ready!(self.poll_next(task)) {
                    Some(Received::Bare) => continue,
                    Some(Received::Message(incoming)) => {
                        return Poll::Ready(Some(Next::Message(incoming)));
                    }
                    // A typed protocol has none.
                    Some(Received::Subscription(_)) => continue,
                    Some(Received::Connected) => return Poll::Ready(Some(Next::Connected)),
                    Some(Received::Disconnected(reason)) => {
                        return Poll::Ready(Some(Next::Disconnected(reason)));
                    }
                    None => return Poll::Ready(None),
                }
            };
            let is_ordinary = *is_ordinary
                .get_or_insert_with(|| !Instrumented::is_everywhere(self.side.incoming()));
            if !is_ordinary || is_long(message.body_len()) {
                let incoming = self.receiver.incoming(message);
                return Poll::Ready(Some(Next::Message(Box::new(incoming))));
            }
            match message.call {
                None => {
                    self.running = RunningMessage {
                        variant: message.variant,
                        payload_len: message.payload_len,
                    };
                    let body = self.receiver.body(&message);
                    match decode_fast::<D>(&self.receiver, message.variant, body) {
                        Some(message) => handler.set(Some(begin(message))),
                        None if bare_clears(&message) => {
                            let incoming = self.receiver.incoming(message);
                            return Poll::Ready(Some(Next::Message(Box::new(incoming))));
                        }
                        None => self.unreadable(message),
                    }
                }
                Some(_) if self.receiver.is_closed() => {}
                Some(slot) => self
                    .calls
                    .serve_bare(task, &mut self.receiver, message, slot),
            }
        }
    }

    /// What has been received next, of all kinds.
    #[inline]
    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Received>> {
        if !self.receiver.has_more() {
            self.calls.wait();
            self.calls.reap();
        }
        let next = self.receiver.poll_next(task);
        if next.is_pending() {
            self.calls.wait();
        }
        if self.receiver.take_released() {
            self.calls.release();
        }
        next
    }

    /// The variant of a one-way message may not come one-way, or its body is malformed. The reason is found by a second look: the
    /// fast path does not have to return what it never has.
    #[cold]
    fn unreadable(&mut self, message: BareMessage) {
        let body = self.receiver.body(&message);
        let status = match decode_or_why::<D>(&self.receiver, message.variant, body) {
            Err(status) => status,
            Ok(_) => Status::resource_exhausted("there was no memory to decode it a moment ago"),
        };
        self.receiver.refused(message.id, &status);
        self.receiver
            .ignored(VariantLabel::of::<D::In>(message.variant), &status);
        self.receiver.handled(message.payload_len);
    }

    /// A handler is waited for.
    fn wait(&mut self) {
        self.calls.wait();
        self.receiver.wait();
    }

    /// Handles a one-way message of any kind, to completion. It stays in its box, since the future of this is held by every
    /// connection.
    async fn handle(&mut self, mut incoming: Box<Incoming>) {
        if incoming.topic.as_str().starts_with('$') {
            self.told(*incoming);
            return;
        }
        let Incoming {
            payload_len,
            variant,
            reply,
            id,
            ..
        } = *incoming;
        let head = MessageHead::take(&mut incoming);
        let clears = clears(&incoming);
        let read = if clears {
            decode_cleared::<D>(variant, reply, head.metadata.as_deref())
        } else {
            match decode::<D>(&self.receiver, *incoming) {
                Decode::Now(read) => read,
                Decode::Later(decoding) => {
                    self.wait();
                    decoded::<D>(decoding.await)
                }
            }
        };
        let outcome = match read {
            Ok((message, row)) => self.run_handler(row, head, message, reply, clears).await,
            Err(status) => {
                // What comes by a datagram never ends the connection.
                if payload_len > 0 {
                    self.receiver.refused(id, &status);
                }
                Err(status)
            }
        };
        self.receiver.handled(payload_len);
        match (reply, outcome) {
            (ReplyTo::Delivery { id, urgent }, outcome) => {
                self.receiver.acknowledge(id, urgent, outcome);
            }
            (_, Err(status)) => self
                .receiver
                .ignored(VariantLabel::of::<D::In>(variant), &status),
            (_, Ok(())) => {}
        }
    }

    /// Runs the handler of a one-way message.
    async fn run_handler(
        &mut self,
        row: &'static Variant,
        head: MessageHead,
        message: D::In,
        reply: ReplyTo,
        clears: bool,
    ) -> Result<(), Status> {
        let (side, context, variant) = (Arc::clone(&self.side), self.context.clone(), row.number);
        let left = head.timeout;
        let around = Instrumented::of(row, head, side.incoming());
        if around.is_none() && left.is_none() && !clears {
            tracing::trace!(message = row.name, "handling");
            let handler = pin!(side.dispatch(&context, message));
            return self.run_to_end(variant, handler).await;
        }
        let Instrumented {
            span,
            middleware,
            head,
        } = around.unwrap_or_else(Instrumented::nothing);
        let mut serving = Serving {
            deadline: left.and_then(|left| Instant::now().checked_add(left)),
            metadata: head.metadata,
            call: None,
        };
        span.in_scope(|| tracing::trace!(message = row.name, "handling"));
        match middleware {
            None => {
                let context = D::serving(&context, serving);
                let handler = Box::pin(handle(&*side, &context, message, clears)).instrument(span);
                self.run_to_end(variant, pin!(handler)).await
            }
            Some(stack) => {
                let is_delivery = reply != ReplyTo::Nobody;
                D::complete(&context, &mut serving);
                let peer = D::peer(&context);
                let len = head.body_len;
                let exchange = ExchangeContext::incoming(row, is_delivery, len, peer, serving);
                let message = (message, clears);
                let handler =
                    with_middleware::message(stack, exchange, side, context, message, variant);
                let handler = Box::pin(handler).instrument(span);
                self.run_to_end(variant, pin!(handler)).await
            }
        }
    }

    /// What the broker says itself is no message of the protocol.
    #[cold]
    fn told(&mut self, incoming: Incoming) {
        let said = broker::ServerToClient::decode(incoming.body);
        match said.map(|said| said.message) {
            Ok(Some(broker::server_to_client::Message::TopicInd(spoken))) => {
                D::topic_speaks(&self.context, &spoken);
            }
            Ok(Some(broker::server_to_client::Message::SubscriptionEndedInd(ended))) => {
                D::subscription_ended(&self.context, &ended.topic, why_ended(&ended));
            }
            _ => {}
        }
        self.receiver.handled(incoming.payload_len);
        if let ReplyTo::Delivery { id, urgent } = incoming.reply {
            self.receiver.acknowledge(id, urgent, Ok(()));
        }
    }

    /// Runs the handler of a one-way message. Before it is waited for, what came before it is settled: the other
    /// side may go on meanwhile.
    async fn run_to_end<T>(
        &mut self,
        variant: u16,
        mut handler: Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<(), Status> {
        let outcome = poll_fn(|task| {
            let polled = poll_told(handler.as_mut(), task);
            if polled.is_pending() {
                self.wait();
            }
            polled
        })
        .await;
        outcome.unwrap_or_else(|panic| Err(panicked(VariantLabel::of::<D::In>(variant), &panic)))
    }
}
