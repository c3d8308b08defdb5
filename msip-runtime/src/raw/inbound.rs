//! The inbound side of a session, for a service of raw exchanges.

mod idle;

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use prost::Message as _;

use super::{
    PlainCall, Reply, SubscribeRequest, UntypedExchange, UntypedMessage,
    readiness::{Readiness, Waiting},
};
use crate::{
    DisconnectReason, Identity, MsgKind, Status, Variant,
    connection::why_ended,
    service::{Received, Receiver, SubscriptionEvent},
};
use msip_session::{
    BareMessage,
    wire::{
        Credit,
        broker::{self, ServerToClient, SubscriptionEndedInd, server_to_client},
    },
};

pub use idle::IdleInbound;

/// What one session receives, in order.
///
/// Messages that were read together come together. What has been taken counts against the sender's credit until the next call
/// of [`next`](Self::next): a service that takes no more slows down its own senders only.
pub struct Inbound {
    receiver: Receiver<UntypedMessage>,
    /// What was taken last, and is handled when more is asked for.
    taken: Credit,
    /// What a connection waits for before the service is told of it.
    readiness: Option<Readiness>,
    waiting: Option<Waiting>,
    /// The service is told when its session is silent.
    tells_idle: bool,
    /// An [`IdleInbound`] goes on in its place.
    is_over: bool,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("receiver", &self.receiver)
            .field("taken", &self.taken)
            .field("is_waiting", &self.waiting.is_some())
            .finish_non_exhaustive()
    }
}

/// What a session receives next.
#[derive(Debug)]
#[non_exhaustive]
// How large the difference is depends on the features.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once and taken apart, and a box would be an allocation for each exchange"
)]
pub enum Event<'a> {
    /// One-way messages with nothing but a body, or a topic and a body, that were read together, in the memory that they were read
    /// into. Most messages come so.
    Messages(Messages<'a>),
    /// Any other message, or a call.
    Exchange(UntypedExchange),
    /// A client subscribes to a topic, or gives a grant; only where the protocol was
    /// [given topics](crate::untyped::UntypedProtocol::with_topics).
    Subscribe(SubscribeRequest),
    /// A client revokes that.
    Unsubscribe(SubscribeRequest),
    /// A broker has ended a subscription of this client, since it may not hear that any longer, or has refused it when it was made
    /// again in a new session.
    SubscriptionLost {
        /// The topic, or the filter of topics.
        topic: String,
        /// Why.
        status: Status,
    },
    /// A connection is there: the first of the session, or the next after [`Disconnected`](Self::Disconnected).
    Connected,
    /// The connection was lost. The session waits for the next one, and what is answered meanwhile is kept for it.
    Disconnected(DisconnectReason),
    /// Nothing has come or gone by the connection for a while: a service may give back memory that it does not need now, and
    /// [rest](Inbound::rest). Only after [`Inbound::tell_idle`], and once for each while.
    Idle,
}

/// What is ready to be taken.
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once and taken apart, and a box would be an allocation for each exchange"
)]
enum Next {
    Messages,
    Exchange(UntypedExchange),
    Subscription(Box<SubscriptionEvent>),
    Connected,
    Disconnected(DisconnectReason),
    Idle,
}

/// The subscription that a broker says it has ended, where a message says so.
fn subscription_ended(exchange: &UntypedExchange) -> Option<SubscriptionEndedInd> {
    let message = &exchange.message;
    let is_of_broker = || message.topic_bytes() == broker::TOPIC.as_bytes();
    if !matches!(exchange.reply, Reply::Nobody) || !is_of_broker() {
        return None;
    }
    let said = ServerToClient::decode(message.body().ok()?).ok()?;
    match said.message? {
        server_to_client::Message::SubscriptionEndedInd(ended) => Some(ended),
        _ => None,
    }
}

impl Inbound {
    pub(super) fn new(receiver: Receiver<UntypedMessage>, readiness: Option<Readiness>) -> Self {
        Self {
            receiver,
            taken: Credit { items: 0, bytes: 0 },
            readiness,
            waiting: None,
            tells_idle: false,
            is_over: false,
        }
    }

    /// From here on [`next`](Self::next) yields [`Event::Idle`] too.
    pub fn tell_idle(&mut self) {
        self.tells_idle = true;
    }

    /// What comes next. `None` when the session has ended and nothing more will come.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event<'_>> {
        let next = poll_fn(|task| self.poll(task)).await?;
        Some(match next {
            Next::Messages => Event::Messages(self.take_messages()),
            Next::Exchange(exchange) => match subscription_ended(&exchange) {
                Some(ended) => Event::SubscriptionLost {
                    status: why_ended(&ended),
                    topic: ended.topic,
                },
                None => Event::Exchange(exchange),
            },
            Next::Subscription(event) => self.subscription(*event),
            Next::Connected => Event::Connected,
            Next::Disconnected(reason) => Event::Disconnected(reason),
            Next::Idle => Event::Idle,
        })
    }

    fn subscription(&self, event: SubscriptionEvent) -> Event<'static> {
        match event {
            SubscriptionEvent::Asked(request) => {
                let is_unsubscribe = request.is_unsubscribe;
                let request = SubscribeRequest::new(&self.receiver, request);
                if is_unsubscribe {
                    Event::Unsubscribe(request)
                } else {
                    Event::Subscribe(request)
                }
            }
            SubscriptionEvent::Refused(refused) => Event::SubscriptionLost {
                topic: refused.topic.as_str().to_owned(),
                status: refused.text.into(),
            },
        }
    }

    /// The next call, where it was read together with what [`next`](Self::next) has yielded, and nothing else comes before it. A
    /// service of many calls takes them so without waiting for each; it calls `next` all the same, which lets others have their
    /// turn.
    #[inline]
    pub fn take_call(&mut self) -> Option<UntypedExchange> {
        // What was taken before is handled with the next event.
        if self.taken.items > 0 || self.receiver.is_turn_check_due() {
            return None;
        }
        self.take_bare_call()
    }

    /// The same where that call is to this topic, and nothing was sent of it but that and a body. A broker has many such calls, one
    /// behind the other.
    #[inline]
    pub fn take_plain_call(&mut self, topic: &[u8]) -> Option<PlainCall> {
        if self.taken.items > 0 || self.receiver.is_turn_check_due() {
            return None;
        }
        while let Some(bare) = self.receiver.peek_bare()
            && let Some(slot) = bare.call
            && self.receiver.topic_bytes(&bare) == topic
        {
            self.receiver.expect_answers();
            self.receiver.take_bare();
            if self.receiver.is_closed() {
                continue;
            }
            let call = PlainCall::new(&self.receiver, bare, slot);
            if call.is_some() {
                return call;
            }
        }
        None
    }

    /// Who sends what comes now and says nothing of it, where this side has authenticated the other.
    #[must_use]
    pub fn sender(&self) -> Option<&Identity> {
        self.receiver.terms().sender.as_ref()?.identity()
    }

    /// The next call of those without metadata that come now.
    fn take_bare_call(&mut self) -> Option<UntypedExchange> {
        while let Some(slot) = self.receiver.peek_bare()?.call {
            self.receiver.expect_answers();
            // It was just seen.
            let message = self.receiver.take_bare()?;
            if self.receiver.is_closed() {
                continue;
            }
            let exchange = UntypedExchange::bare_call(&self.receiver, message, slot);
            if exchange.is_some() {
                return exchange;
            }
        }
        None
    }

    /// Whether more was read together with what [`next`](Self::next) has yielded, so that it will not have to wait. A service
    /// that passes messages on flushes where there is no more.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.receiver.has_more()
    }

    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Next>> {
        if self.receiver.is_turn_over() {
            self.receiver.wait();
            self.receiver.yield_turn(task);
            return Poll::Pending;
        }
        self.poll_received(task)
    }

    fn poll_received(&mut self, task: &mut Context<'_>) -> Poll<Option<Next>> {
        let taken = std::mem::replace(&mut self.taken, Credit { items: 0, bytes: 0 });
        if taken.items > 0 {
            self.receiver.handled_many(taken);
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(task));
            self.waiting = None;
            return Poll::Ready(Some(Next::Connected));
        }
        loop {
            if let Some(first) = self.receiver.peek_bare() {
                if first.call.is_none() {
                    return Poll::Ready(Some(Next::Messages));
                }
                match self.take_bare_call() {
                    Some(exchange) => return Poll::Ready(Some(Next::Exchange(exchange))),
                    // None of them is awaited any more.
                    None => continue,
                }
            }
            let next = self.receiver.poll_next(task);
            if next.is_pending() && self.receiver.take_released() && self.tells_idle {
                return Poll::Ready(Some(Next::Idle));
            }
            match ready!(next) {
                Some(Received::Bare) => {}
                Some(Received::Message(incoming)) => {
                    let exchange =
                        UntypedExchange::received(&self.receiver, *incoming, &mut self.taken);
                    if let Some(exchange) = exchange {
                        return Poll::Ready(Some(Next::Exchange(exchange)));
                    }
                }
                Some(Received::Subscription(event)) => {
                    return Poll::Ready(Some(Next::Subscription(event)));
                }
                Some(Received::Connected) => {
                    if let Some(readiness) = &self.readiness {
                        let waiting = self.waiting.insert(readiness.wait());
                        ready!(waiting.as_mut().poll(task));
                        self.waiting = None;
                    }
                    return Poll::Ready(Some(Next::Connected));
                }
                Some(Received::Disconnected(reason)) => {
                    return Poll::Ready(Some(Next::Disconnected(*reason)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    /// Drops what was received and not taken: callers that wait for an answer get an error.
    fn refuse_rest(&mut self) {
        self.receiver.refuse_rest();
        let mut task = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(next)) = self.poll_received(&mut task) {
            match next {
                Next::Messages => {
                    let _ = self.take_messages();
                }
                Next::Idle => break,
                // It answers by itself.
                Next::Subscription(event) => drop(self.subscription(*event)),
                _ => {}
            }
        }
    }

    fn take_messages(&mut self) -> Messages<'_> {
        let Self {
            receiver, taken, ..
        } = self;
        let (messages, memory) = receiver.take_run();
        taken.items = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        taken.bytes = messages.iter().fold(0, |sum: u32, message| {
            sum.saturating_add(message.payload_len)
        });
        Messages { messages, memory }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if !self.is_over {
            self.refuse_rest();
        }
    }
}

/// One-way messages that were read together.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a> {
    messages: &'a [BareMessage],
    memory: &'a Bytes,
}

impl<'a> Messages<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Each of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = MessageRef<'a>> + Clone + use<'a> {
        let memory = self.memory;
        self.messages
            .iter()
            .map(move |message| MessageRef { message, memory })
    }
}

/// One of [`Messages`], where it lies.
#[derive(Debug, Clone, Copy)]
pub struct MessageRef<'a> {
    message: &'a BareMessage,
    memory: &'a Bytes,
}

impl<'a> MessageRef<'a> {
    /// The number of its variant.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.message.variant
    }

    /// How it is delivered.
    #[must_use]
    pub fn kind(&self) -> MsgKind {
        self.message.kind()
    }

    /// Its topic; empty on a direct connection.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        // It was accepted as one.
        str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    /// The bytes of its topic.
    #[must_use]
    #[inline]
    pub fn topic_bytes(&self) -> &'a [u8] {
        self.memory.get(self.message.topic()).unwrap_or_default()
    }

    /// The whole frame as it was received, in the memory that it was read into.
    #[must_use]
    #[inline]
    pub fn frame(&self) -> &'a [u8] {
        self.memory.get(self.message.frame()).unwrap_or_default()
    }

    /// Its body.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.memory.get(self.message.body()).unwrap_or_default()
    }

    /// The same message with a reference of its own to the memory.
    #[must_use]
    pub fn to_message(&self) -> UntypedMessage {
        let variant = Variant::new(self.number(), "", self.kind());
        let mut message = UntypedMessage::received(variant, self.memory.slice_ref(self.body()));
        message.set_topic(self.message.to_topic(self.memory));
        message
    }
}
