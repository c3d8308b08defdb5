//! Sending and calling: the futures behind every typed method.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use prost::Message as _;
use tokio::time::{timeout, timeout_at};

use super::{
    Link, State, Waiter,
    inflow::Inflow,
    wait_queue::{Ticket, WaitQueue},
};
use crate::{
    CallError, CallOptions, Envelope, Metadata, MsgKind, SendError, Status,
    body::{Encoding, Prepared, key_of},
    protocol::{Variant, variant_of},
    session::{Blocked, End, Opener, Outcome, Shape, StateKey, Token, may_be_shelved},
    wire,
};

/// How long an answer may take where neither the schema nor the caller says (docs/protocol.md, "Deadlines"). The
/// other side counts on it, so that a caller who waits for longer or shorter has to say so.
pub(crate) const PROTOCOL_TIMEOUT: Duration = Duration::from_secs(30);

/// What an exchange waits for room in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queue {
    Messages,
    Calls,
}

impl State {
    fn queue(&mut self, queue: Queue) -> &mut WaitQueue {
        match queue {
            Queue::Messages => &mut self.message_room,
            Queue::Calls => &mut self.call_room,
        }
    }
}

/// What came of an attempt to send, with the lock held.
pub(super) enum Attempt<T> {
    Done(T),
    NoRoom,
    Failed(SendError),
}

impl<T> Attempt<T> {
    pub(super) fn blocked(blocked: Blocked, no_session: SendError) -> Self {
        match blocked {
            Blocked::NoRoom => Self::NoRoom,
            Blocked::Closing => Self::Failed(no_session),
            // For good, where no session follows and this one just has not heard of it.
            Blocked::Disconnected => Self::Failed(no_session),
            Blocked::Full => Self::Failed(SendError::Full),
        }
    }
}

impl Link {
    /// Sends a one-way message, once there is room.
    pub(crate) async fn send<E: Envelope>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        if self.send_plain(message, options) {
            return Ok(());
        }
        if options.ack {
            let delivered = self.deliver(message, options).await;
            return delivered.map_err(|error| match error {
                CallError::NotSent(error) => error,
                error => SendError::NotAcknowledged(Box::new(error)),
            });
        }
        let outgoing = Outgoing::new(self, message, options)?;
        match self.try_send_outgoing(&outgoing) {
            Err(SendError::Full) => {}
            outcome => return outcome,
        }
        let sent = self.when_room(Queue::Messages, |state| outgoing.send_or_shelve(state));
        timeout(self.write_timeout, sent)
            .await
            .unwrap_or(Err(SendError::Full))
    }

    /// Sends a one-way message, or fails at once.
    pub(crate) fn try_send<E: Envelope>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        if self.send_plain(message, options) {
            return Ok(());
        }
        self.try_send_outgoing(&Outgoing::new(self, message, options)?)
    }

    /// Sends a one-way message as most are, with nothing beside its body and nothing in its way. `false` where it is
    /// another, and nothing has happened.
    #[inline]
    fn send_plain<E: Envelope>(&self, message: &E, options: &CallOptions) -> bool {
        let Some(variant) = E::VARIANTS.get(message.index()) else {
            return false;
        };
        let is_usual = options.is_silent()
            && !variant.urgent
            && !may_be_shelved(variant.kind)
            && self.correlation_ids.is_none()
            && self.is_plain.load(Ordering::Relaxed);
        if !is_usual {
            return false;
        }
        let len = message.encoded_len();
        let driver = {
            let mut state = self.lock();
            if !state.encoding.is_plain() || !state.message_room.is_empty() {
                return false;
            }
            let is_sent = state.session().is_some_and(|session| {
                session.send_plain(variant.number, variant.kind, len, |buffer| {
                    message.encode(buffer);
                })
            });
            if !is_sent {
                return false;
            }
            state.driver_to_wake()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        true
    }

    fn try_send_outgoing<E: Envelope>(&self, outgoing: &Outgoing<'_, E>) -> Result<(), SendError> {
        let waker = {
            let mut state = self.lock();
            // Where others wait, they came first.
            let mut attempt = if state.message_room.is_empty() {
                outgoing.send(&mut state)
            } else {
                Attempt::NoRoom
            };
            if matches!(attempt, Attempt::NoRoom) && may_be_shelved(outgoing.opener.kind) {
                attempt = outgoing.shelve(&mut state);
            }
            match attempt {
                Attempt::Done(()) => state.driver_to_wake(),
                Attempt::NoRoom => return Err(SendError::Full),
                Attempt::Failed(error) => return Err(error),
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Sends a one-way message whose body is encoded already, as this link's encoding has it; `key` makes the key of a
    /// STATE. Returns whether it was taken.
    pub(crate) fn try_send_prepared(
        &self,
        variant: &Variant,
        body: &Prepared,
        key: impl FnOnce() -> Vec<u8>,
    ) -> bool {
        let opener = Opener {
            variant: variant.number,
            kind: variant.kind,
            urgent: variant.urgent,
            compressed: body.compressed,
            deadline_ms: None,
            metadata: &[],
        };
        let waker = {
            let mut state = self.lock();
            let is_free = state.message_room.is_empty();
            let sent = state
                .session()
                .filter(|session| is_free && body.len <= session.peer_max_body())
                .is_some_and(|session| {
                    session
                        .send(&opener, |buffer| buffer.extend_from_slice(&body.bytes))
                        .is_ok()
                });
            let taken = sent
                || may_be_shelved(variant.kind)
                    && state
                        .session()
                        .filter(|session| body.len <= session.peer_max_body())
                        .is_some_and(|session| {
                            let key = state_key(variant, key);
                            let encode =
                                |buffer: &mut Vec<u8>| buffer.extend_from_slice(&body.bytes);
                            session.shelve(&opener, key, None, encode).is_ok()
                        });
            if !taken {
                return false;
            }
            state.driver_to_wake()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Sends a message and waits until the other side's handler has returned.
    pub(crate) async fn deliver<E: Envelope>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), CallError> {
        match self.exchange(Queue::Messages, message, options).await? {
            (Outcome::Answer { metadata, .. }, ..) => {
                take_metadata(options, metadata);
                Ok(())
            }
            (outcome, _, timeout) => Err(failure(outcome, timeout)),
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<Out: Envelope, In: Envelope>(
        &self,
        request: &Out,
        options: &CallOptions,
    ) -> Result<In, CallError> {
        match self.exchange(Queue::Calls, request, options).await? {
            (
                Outcome::Answer {
                    variant,
                    body,
                    compressed,
                    metadata,
                },
                encoding,
                _,
            ) => {
                take_metadata(options, metadata);
                let body = if compressed {
                    encoding.inflate(variant, body).map_err(CallError::Answer)?
                } else {
                    body
                };
                encoding.decode(variant, body).map_err(CallError::Answer)
            }
            (outcome, _, timeout) => Err(failure(outcome, timeout)),
        }
    }

    /// Sends a PING of this many bytes and waits for its PONG. Returns the time between.
    pub(crate) async fn ping(&self, len: usize, limit: Duration) -> Result<Duration, CallError> {
        let payload = vec![0; len.min(MAX_PING)];
        if len > MAX_PING {
            return Err(SendError::TooLarge { len, max: MAX_PING }.into());
        }
        let start = self.now();
        let deadline = start.saturating_add(limit);
        let token = self.when_room(Queue::Calls, |state| {
            open(state, |session, token| {
                session.ping(&payload, token, deadline)
            })
        });
        let token = timeout(limit, token)
            .await
            .map_err(|_| CallError::DeadlineExceeded { timeout: limit })??;
        match (Answer {
            link: self,
            token: Some(token),
        })
        .await_outcome()
        .await
        .0
        {
            Outcome::Answer { body, .. } if body.len() == len => {
                Ok(self.now().saturating_sub(start))
            }
            Outcome::Answer { body, .. } => Err(CallError::Status(Status::internal(format!(
                "a PONG of {} bytes answered a PING of {len}",
                body.len()
            )))),
            outcome => Err(failure(outcome, limit)),
        }
    }

    async fn exchange<E: Envelope>(
        &self,
        queue: Queue,
        message: &E,
        options: &CallOptions,
    ) -> Result<(Outcome, Encoding, Duration), CallError> {
        let outgoing = Outgoing::new(self, message, options)?;
        let schema_timeout = outgoing
            .variant
            .timeout_ms
            .map(|ms| Duration::from_millis(u64::from(ms)));
        let limit = options
            .timeout
            .or(schema_timeout)
            .unwrap_or(self.call_timeout);
        let ms = whole_ms(limit)?;
        let deadline = Deadline {
            at: self.now().saturating_add(limit),
            // Told only where the other side could not know.
            told: (limit != schema_timeout.unwrap_or(PROTOCOL_TIMEOUT)).then_some(ms),
        };
        let attempt = |state: &mut State, deadline| match queue {
            Queue::Messages => outgoing.deliver_or_shelve(state, deadline),
            Queue::Calls => outgoing.call(state, deadline, None),
        };
        let others_first = match queue {
            Queue::Messages => !may_be_shelved(outgoing.opener.kind),
            Queue::Calls => true,
        };
        let token = match self.now_if_room(queue, others_first, |state| attempt(state, deadline)) {
            Some(token) => token?,
            None => {
                let when_room =
                    self.when_room(queue, |state| attempt(state, deadline.late(self.now())));
                let at = self.instant(deadline.at);
                match at {
                    Some(at) => timeout_at(at, when_room)
                        .await
                        .map_err(|_| CallError::DeadlineExceeded { timeout: limit })??,
                    None => when_room.await?,
                }
            }
        };
        let answer = Answer {
            link: self,
            token: Some(token),
        };
        let (outcome, encoding) = answer.await_outcome().await;
        Ok((outcome, encoding, limit))
    }

    /// Tries once. `None` where there is no room, or others wait for it and are to go first.
    pub(super) fn now_if_room<T>(
        &self,
        queue: Queue,
        others_first: bool,
        attempt: impl FnOnce(&mut State) -> Attempt<T>,
    ) -> Option<Result<T, SendError>> {
        let (value, waker) = {
            let mut state = self.lock();
            if others_first && !state.queue(queue).is_empty() {
                return None;
            }
            match attempt(&mut state) {
                Attempt::Done(value) => (value, state.driver_to_wake()),
                Attempt::NoRoom => return None,
                Attempt::Failed(error) => return Some(Err(error)),
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(Ok(value))
    }

    /// Queues up until the attempt finds room. Dropping the future leaves the queue; nothing was sent.
    pub(super) async fn when_room<T>(
        &self,
        queue: Queue,
        mut attempt: impl FnMut(&mut State) -> Attempt<T>,
    ) -> Result<T, SendError> {
        let mut place = Place {
            link: self,
            queue,
            ticket: None,
        };
        poll_fn(|context| place.poll(context, &mut attempt)).await
    }
}

/// The largest payload of a PING (docs/protocol.md, "Ping").
const MAX_PING: usize = 64 * 1024;

/// A message that is ready to be sent, but for its id.
pub(super) struct Outgoing<'a, E> {
    /// `None` opens a request stream, whose items follow.
    message: Option<&'a E>,
    pub(super) variant: &'static Variant,
    opener: Opener<'static>,
    /// What goes beside it, encoded; empty for nothing.
    metadata: Vec<u8>,
    len: usize,
    /// The body, made before the lock is taken, and for which encoding; none for a message that is written in
    /// protobuf, as it is.
    prepared: Option<(Encoding, Prepared)>,
}

impl<'a, E: Envelope> Outgoing<'a, E> {
    /// The opening of a request stream of this variant.
    pub(super) fn stream(
        link: &Link,
        number: u16,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        // Generated code asks for a variant of its own.
        let variant = variant_of::<E>(number).ok_or(SendError::Closed)?;
        let opener = opener(variant, options);
        Ok(Self {
            message: None,
            variant,
            opener,
            metadata: link.metadata(options)?,
            len: 0,
            prepared: None,
        })
    }

    pub(super) fn new(
        link: &Link,
        message: &'a E,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        let variant = E::VARIANTS.get(message.index()).ok_or(SendError::Closed)?;
        let encoding = link.encoding();
        let prepared = encoding
            .prepare(message, variant)
            .map_err(SendError::Unwritable)?;
        Ok(Self {
            message: Some(message),
            variant,
            opener: opener(variant, options),
            metadata: link.metadata(options)?,
            len: message.encoded_len(),
            prepared: prepared.map(|prepared| (encoding, prepared)),
        })
    }

    fn send(&self, state: &mut State) -> Attempt<()> {
        self.attempt(state, None, |session, opener, encode| {
            session.send(opener, encode)
        })
    }

    fn deliver(&self, state: &mut State, deadline: Deadline) -> Attempt<Token> {
        let token = state.waiters.vacant_key();
        let Deadline { at: deadline, told } = deadline;
        let attempt = self.attempt(state, told, |session, opener, encode| {
            session.deliver(opener, token, deadline, encode)
        });
        state.wait(attempt, None)
    }

    fn send_or_shelve(&self, state: &mut State) -> Attempt<()> {
        match self.send(state) {
            Attempt::NoRoom if may_be_shelved(self.opener.kind) => self.shelve(state),
            attempt => attempt,
        }
    }

    /// Takes the message without room, by its kind.
    fn shelve(&self, state: &mut State) -> Attempt<()> {
        let attempt = self.attempt(state, None, |session, opener, encode| {
            let key = self.key();
            session.shelve(opener, key, None, encode).map(|_| ())
        });
        state.unshelve();
        attempt
    }

    fn deliver_or_shelve(&self, state: &mut State, deadline: Deadline) -> Attempt<Token> {
        let may_be_shelved = may_be_shelved(self.opener.kind);
        if !may_be_shelved || state.message_room.is_empty() {
            match self.deliver(state, deadline) {
                Attempt::NoRoom if may_be_shelved => {}
                attempt => return attempt,
            }
        }
        let token = state.waiters.vacant_key();
        let Deadline { at: deadline, told } = deadline;
        let attempt = self.attempt(state, told, |session, opener, encode| {
            let key = self.key();
            let slot = session.shelve(opener, key, Some((token, deadline)), encode)?;
            // There is one for whoever waits.
            slot.ok_or(Blocked::NoRoom)
        });
        let attempt = state.wait(attempt, None);
        state.unshelve();
        attempt
    }

    /// The key of a STATE.
    fn key(&self) -> Option<StateKey> {
        let message = self.message?;
        state_key(self.variant, || {
            // The sender's own word comes before the schema's.
            match wire::Metadata::decode(self.metadata.as_slice()) {
                Ok(metadata) if !metadata.key.is_empty() => metadata.key.into_bytes(),
                _ => key_of(message, self.variant),
            }
        })
    }

    /// Opens a call; `inflow` is where the items of its answer go, where that is a stream.
    pub(super) fn call(
        &self,
        state: &mut State,
        deadline: Deadline,
        inflow: Option<&Arc<Inflow>>,
    ) -> Attempt<Token> {
        let Deadline { at: deadline, told } = deadline;
        let token = state.waiters.vacant_key();
        let shape = Shape {
            request_stream: self.message.is_none(),
            response_stream: inflow.is_some(),
        };
        let attempt = self.attempt(state, told, |session, opener, encode| {
            session.call(opener, shape, token, deadline, encode)
        });
        state.wait(attempt, inflow)
    }

    fn attempt<T>(
        &self,
        state: &mut State,
        deadline_ms: Option<u32>,
        push: impl FnOnce(
            &mut crate::session::Session,
            &Opener<'_>,
            &mut dyn FnMut(&mut Vec<u8>),
        ) -> Result<T, Blocked>,
    ) -> Attempt<T> {
        let no_session = state.no_session();
        let late;
        let prepared = match (&self.prepared, self.message) {
            (_, None) => None,
            (Some((encoding, prepared)), _) if state.encoding.is_same(encoding) => Some(prepared),
            (None, _) if state.encoding.is_plain() => None,
            // Where the connection is another than before; or for a small message that would be compressed if it
            // were large, which costs nothing.
            (_, Some(message)) => match state.encoding.prepare(message, self.variant) {
                Ok(prepared) => {
                    late = prepared;
                    late.as_ref()
                }
                Err(error) => return Attempt::Failed(SendError::Unwritable(error)),
            },
        };
        let Some(session) = state.session.as_mut() else {
            return Attempt::Failed(no_session);
        };
        let max = session.peer_max_body();
        let len = prepared.map_or(self.len, |prepared| prepared.len);
        if len > max {
            return Attempt::Failed(SendError::TooLarge { len, max });
        }
        let opener = Opener {
            compressed: prepared.is_some_and(|prepared| prepared.compressed),
            deadline_ms,
            metadata: &self.metadata,
            ..self.opener
        };
        match push(session, &opener, &mut |buffer| match prepared {
            Some(prepared) => buffer.extend_from_slice(&prepared.bytes),
            None => {
                if let Some(message) = self.message {
                    message.encode(buffer);
                }
            }
        }) {
            Ok(value) => Attempt::Done(value),
            Err(blocked) => Attempt::blocked(blocked, no_session),
        }
    }
}

/// What tells a STATE from others; none for any other kind.
fn state_key(variant: &Variant, key: impl FnOnce() -> Vec<u8>) -> Option<StateKey> {
    (variant.kind == MsgKind::State).then(|| StateKey {
        variant: variant.number,
        key: key(),
    })
}

fn opener(variant: &Variant, options: &CallOptions) -> Opener<'static> {
    Opener {
        variant: variant.number,
        kind: variant.kind,
        urgent: options.urgent.unwrap_or(variant.urgent),
        compressed: false,
        deadline_ms: None,
        metadata: &[],
    }
}

/// When an exchange runs out of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// As sessions count time; `Duration::MAX` is never.
    pub(super) at: Duration,
    /// What the other side is told of it, in milliseconds, where it could not know.
    pub(super) told: Option<u32>,
}

impl Deadline {
    /// The same for what is sent later than it was to be: what remains is told.
    pub(super) fn late(self, now: Duration) -> Self {
        if self.at == Duration::MAX {
            return self;
        }
        let remaining = self.at.saturating_sub(now).as_millis();
        let told = Some(u32::try_from(remaining).unwrap_or(u32::MAX));
        Self { told, ..self }
    }
}

/// A limit in whole milliseconds, as deadlines travel.
pub(super) fn whole_ms(limit: Duration) -> Result<u32, SendError> {
    match u32::try_from(limit.as_millis()) {
        Ok(0) => Err(SendError::NoTime { timeout: limit }),
        ms => Ok(ms.unwrap_or(u32::MAX)),
    }
}

/// Puts the metadata of an answer where the caller wants it.
pub(super) fn take_metadata(options: &CallOptions, metadata: Option<Box<wire::Metadata>>) {
    if let Some(place) = options.answer_metadata() {
        place.set(metadata.map(|metadata| Metadata(*metadata)));
    }
}

/// Opens an exchange that is no message.
fn open(
    state: &mut State,
    push: impl FnOnce(&mut crate::session::Session, Token) -> Result<crate::session::Slot, Blocked>,
) -> Attempt<Token> {
    let no_session = state.no_session();
    let token = state.waiters.vacant_key();
    let attempt = match state.session.as_mut().map(|session| push(session, token)) {
        Some(Ok(slot)) => Attempt::Done(slot),
        Some(Err(blocked)) => Attempt::blocked(blocked, no_session),
        None => Attempt::Failed(no_session),
    };
    state.wait(attempt, None)
}

impl State {
    /// Makes somebody wait for the exchange that was just opened under the next free token.
    fn wait(
        &mut self,
        attempt: Attempt<crate::session::Slot>,
        inflow: Option<&Arc<Inflow>>,
    ) -> Attempt<Token> {
        match attempt {
            Attempt::Done(slot) => Attempt::Done(self.waiters.insert(match inflow {
                None => Waiter::Waiting { slot, waker: None },
                Some(inflow) => {
                    inflow.open(End::Caller(slot));
                    Waiter::Streaming {
                        slot,
                        inflow: Arc::clone(inflow),
                    }
                }
            })),
            Attempt::NoRoom => Attempt::NoRoom,
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }
}

pub(super) fn failure(outcome: Outcome, timeout: Duration) -> CallError {
    match outcome {
        Outcome::Error(text) => CallError::Status(text.into()),
        Outcome::NotReceived => CallError::NotReceived,
        Outcome::Expired => CallError::DeadlineExceeded { timeout },
        Outcome::Dropped => CallError::NotSent(SendError::Dropped),
        Outcome::Lost { sent: true } => CallError::ConnectionLost,
        Outcome::Lost { sent: false } => CallError::NotSent(SendError::Disconnected),
        // Every caller has taken its answer out before.
        Outcome::Answer { .. } => CallError::ConnectionLost,
    }
}

/// A place in a queue for room, left when it is dropped.
struct Place<'a> {
    link: &'a Link,
    queue: Queue,
    ticket: Option<Ticket>,
}

impl Place<'_> {
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl FnOnce(&mut State) -> Attempt<T>,
    ) -> Poll<Result<T, SendError>> {
        let mut state = self.link.lock();
        let may_go = match self.ticket {
            Some(ticket) => state.queue(self.queue).is_first(ticket),
            None => state.queue(self.queue).is_empty(),
        };
        // Without a session nobody has anything to wait for.
        let attempted = if may_go || state.session.is_none() {
            attempt(&mut state)
        } else {
            Attempt::NoRoom
        };
        let result = match attempted {
            Attempt::Done(value) => Ok(value),
            Attempt::Failed(error) => Err(error),
            Attempt::NoRoom => {
                match self.ticket {
                    Some(ticket) => state.queue(self.queue).wait(ticket, context.waker()),
                    None => self.ticket = Some(state.queue(self.queue).join(context.waker())),
                }
                return Poll::Pending;
            }
        };
        let next = self
            .ticket
            .take()
            .and_then(|ticket| state.queue(self.queue).leave(ticket));
        state.unshelve();
        let driver = state.driver_to_wake();
        drop(state);
        [driver, next].into_iter().flatten().for_each(Waker::wake);
        Poll::Ready(result)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let wakers = {
                let mut state = self.link.lock();
                let next = state.queue(self.queue).leave(ticket);
                state.unshelve();
                [next, state.driver_to_wake()]
            };
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

/// An exchange whose answer somebody waits for; given up when it is dropped.
struct Answer<'a> {
    link: &'a Link,
    token: Option<Token>,
}

impl Answer<'_> {
    async fn await_outcome(mut self) -> (Outcome, Encoding) {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let mut state = self.link.lock();
        let waiter = self.token.and_then(|token| state.waiters.get_mut(token));
        match waiter {
            Some(Waiter::Waiting {
                waker: Some(known), ..
            }) => {
                known.clone_from(context.waker());
                return Poll::Pending;
            }
            Some(Waiter::Waiting { waker, .. }) => {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Some(Waiter::Done(..) | Waiter::Streaming { .. } | Waiter::Ended) | None => {}
        }
        match self
            .token
            .take()
            .and_then(|token| state.waiters.try_remove(token))
        {
            Some(Waiter::Done(outcome, encoding)) => Poll::Ready((outcome, encoding)),
            // The line above has seen that it is done; and it is not polled again after that.
            _ => Poll::Ready((Outcome::Lost { sent: true }, Encoding::default())),
        }
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else {
            return;
        };
        self.link.give_up(token);
    }
}
