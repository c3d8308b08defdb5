//! Calls with streams: opening them, sending their items, and taking what comes.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use tokio::time::timeout_at;

use super::{
    CallToAnswer, Link, State, Waiter,
    exchange::{Deadline, Outgoing, PROTOCOL_TIMEOUT, Queue, failure, take_metadata, whole_ms},
    inflow::{Inflow, Next},
};
use crate::{
    CallError, CallOptions, Envelope, SendError,
    body::Encoding,
    session::{Blocked, End, Item, Outcome, ServedSlot, Token},
};

/// Where the answers to a call come in.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) link: Arc<Link>,
    pub(crate) inflow: Arc<Inflow>,
    token: Token,
    pub(crate) timeout: Duration,
    pub(crate) encoding: Encoding,
}

impl Drop for Answers {
    /// The answers are not wanted any more: the other side is told, unless they are complete.
    fn drop(&mut self) {
        self.link.give_up(self.token);
    }
}

/// Where the requests of a call come in.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) link: Arc<Link>,
    pub(crate) inflow: Arc<Inflow>,
    pub(crate) encoding: Encoding,
}

/// What a stream yields next.
#[derive(Debug)]
pub(crate) enum Taken {
    /// An item, not yet decoded.
    Item(Item),
    /// Nothing more: it is complete.
    End,
    /// Nothing more: it broke off.
    Failed(CallError),
}

impl Link {
    /// Opens a call with a response stream, a request stream, or both.
    pub(crate) async fn open_streams<E: Envelope>(
        self: &Arc<Self>,
        opening: Opening<'_, E>,
        options: &CallOptions,
    ) -> Result<Answers, CallError> {
        let outgoing = match opening {
            Opening::Request(request) => Outgoing::new(self, request, options)?,
            Opening::Stream(variant) => Outgoing::<E>::stream(self, variant, options)?,
        };
        let schema_timeout = outgoing
            .variant
            .timeout_ms
            .map(|ms| Duration::from_millis(u64::from(ms)));
        // A stream may go on for as long as both sides like, unless somebody says otherwise.
        let limit = options.timeout.or(schema_timeout);
        let ms = limit.map(whole_ms).transpose()?;
        let deadline = Deadline {
            at: limit.map_or(Duration::MAX, |limit| self.now().saturating_add(limit)),
            told: ms.filter(|_| options.timeout.is_some() && options.timeout != schema_timeout),
        };
        let inflow = Arc::new(Inflow::default());
        let attempt = |state: &mut State, deadline| outgoing.call(state, deadline, Some(&inflow));
        let timeout = limit.unwrap_or(PROTOCOL_TIMEOUT);
        let token = match self.now_if_room(Queue::Calls, true, |state| attempt(state, deadline)) {
            Some(token) => token?,
            None => {
                let at = self.instant(self.now().saturating_add(timeout));
                let when_room = self.when_room(Queue::Calls, |state| {
                    attempt(state, deadline.late(self.now()))
                });
                match at {
                    Some(at) => timeout_at(at, when_room)
                        .await
                        .map_err(|_| CallError::DeadlineExceeded { timeout })??,
                    None => when_room.await?,
                }
            }
        };
        let encoding = self.encoding();
        Ok(Answers {
            link: Arc::clone(self),
            inflow,
            token,
            timeout,
            encoding,
        })
    }

    /// Sends the items of a request stream, and its end.
    pub(crate) async fn send_requests<E: Envelope>(
        self: Arc<Self>,
        inflow: Arc<Inflow>,
        requests: impl Stream<Item = E> + Send,
    ) -> Result<(), SendError> {
        let mut requests = pin!(requests);
        while let Some(request) = poll_fn(|task| requests.as_mut().poll_next(task)).await {
            self.send_item(&request, || inflow.end()).await?;
        }
        self.with_session(|session| {
            if let Some(End::Caller(slot)) = inflow.end() {
                session.end_requests(slot);
            }
        });
        Ok(())
    }

    /// Sends an item of the answer to a call.
    pub(crate) async fn send_answer<E: Envelope>(
        &self,
        call: CallToAnswer,
        answer: &E,
    ) -> Result<(), SendError> {
        self.send_item(answer, || {
            (self.generation() == call.generation).then_some(End::Callee(call.slot))
        })
        .await
    }

    /// A handler begins to answer with a stream.
    pub(crate) fn begin_answers(&self, call: CallToAnswer) {
        if self.generation() == call.generation {
            self.with_session(|session| session.begin_answers(call.slot));
        }
    }

    /// Sends an item once its stream has credit and the queue has room.
    async fn send_item<E: Envelope>(
        &self,
        item: &E,
        end: impl Fn() -> Option<End>,
    ) -> Result<(), SendError> {
        let Some(variant) = E::VARIANTS.get(item.index()) else {
            return Err(SendError::Closed);
        };
        // The exchange lives no longer than its session, whose encoding this is.
        let prepared = self
            .encoding()
            .prepare(item, variant)
            .map_err(SendError::Unwritable)?;
        let len = prepared
            .as_ref()
            .map_or_else(|| item.encoded_len(), |prepared| prepared.len);
        let compressed = prepared
            .as_ref()
            .is_some_and(|prepared| prepared.compressed);
        poll_fn(|task| {
            let Some(end) = end() else {
                return Poll::Ready(Err(SendError::Disconnected));
            };
            let mut state = self.lock();
            let Some(session) = state.session.as_mut() else {
                return Poll::Ready(Err(SendError::Disconnected));
            };
            let max = session.peer_max_body();
            if len > max {
                return Poll::Ready(Err(SendError::TooLarge { len, max }));
            }
            let encode = |buffer: &mut Vec<u8>| match &prepared {
                Some(prepared) => buffer.extend_from_slice(&prepared.bytes),
                None => item.encode(buffer),
            };
            match session.send_item(end, variant.number, compressed, encode) {
                Ok(()) => {
                    let driver = state.driver_to_wake();
                    drop(state);
                    if let Some(waker) = driver {
                        waker.wake();
                    }
                    Poll::Ready(Ok(()))
                }
                Err(Blocked::NoRoom) => {
                    state.wait_for_stream_room(task);
                    Poll::Pending
                }
                Err(Blocked::Closing | Blocked::Disconnected | Blocked::Full) => {
                    Poll::Ready(Err(SendError::Disconnected))
                }
            }
        })
        .await
    }

    /// The call's request is a stream, whose items come in from here on.
    pub(crate) fn requests(self: &Arc<Self>, slot: ServedSlot) -> Option<Requests> {
        let state = self.lock();
        let inflow = Arc::clone(state.requests.get(&slot)?);
        let encoding = state.encoding.clone();
        drop(state);
        Some(Requests {
            link: Arc::clone(self),
            inflow,
            encoding,
        })
    }

    /// The next item of a stream; credit for it goes back to its sender.
    pub(crate) fn poll_taken(
        &self,
        inflow: &Inflow,
        timeout: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Taken> {
        Poll::Ready(match std::task::ready!(inflow.poll_next(context)) {
            Next::Item(item, end) => {
                // What came with the opening frame took no credit.
                if end.is_some() && item.payload_len > 0 {
                    // Asked again under the lock: the exchange may have ended meanwhile.
                    self.with_session(|session| {
                        if let Some(end) = inflow.end() {
                            session.taken(end, item.payload_len);
                        }
                    });
                }
                Taken::Item(item)
            }
            Next::Outcome(Outcome::Answer {
                variant,
                body,
                compressed,
                metadata,
            }) if !body.is_empty() => Taken::Item(Item {
                variant,
                body,
                compressed,
                metadata,
                payload_len: 0,
            }),
            Next::Outcome(Outcome::Answer { .. }) => Taken::End,
            Next::Outcome(outcome) => Taken::Failed(failure(outcome, timeout)),
        })
    }

    fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Nobody waits for the answer of this exchange any more.
    pub(super) fn give_up(&self, token: Token) {
        let next = {
            let mut state = self.lock();
            match state.waiters.try_remove(token) {
                Some(Waiter::Waiting { slot, .. } | Waiter::Streaming { slot, .. }) => {
                    if let Some(session) = state.session.as_mut() {
                        session.forget(slot);
                    }
                }
                Some(Waiter::Done(..) | Waiter::Ended) | None => {}
            }
            [state.call_room.first(), state.driver_to_wake()]
        };
        next.into_iter().flatten().for_each(std::task::Waker::wake);
    }
}

/// How a call with streams begins.
pub(crate) enum Opening<'a, E> {
    /// With its one request.
    Request(&'a E),
    /// With the promise of a stream of requests of this variant.
    Stream(u16),
}

/// A call whose request is a stream and whose answer is one message: sends until the answer is there.
pub(crate) async fn upload<Out: Envelope, In: Envelope>(
    link: &Arc<Link>,
    variant: u16,
    requests: impl Stream<Item = Out> + Send + 'static,
    options: &CallOptions,
) -> Result<In, CallError> {
    let answers = link
        .open_streams::<Out>(Opening::Stream(variant), options)
        .await?;
    let mut sending = pin!(Arc::clone(link).send_requests(Arc::clone(&answers.inflow), requests));
    let mut is_sending = true;
    let item = poll_fn(|task| {
        if let Poll::Ready(taken) = link.poll_taken(&answers.inflow, answers.timeout, task) {
            return Poll::Ready(Ok(taken));
        }
        if is_sending && let Poll::Ready(sent) = sending.as_mut().poll(task) {
            is_sending = false;
            match sent {
                // The answer, which is on its way, says why nothing more can be sent.
                Ok(()) | Err(SendError::Disconnected | SendError::Closed) => {}
                Err(error) => return Poll::Ready(Err(CallError::NotSent(error))),
            }
            if let Poll::Ready(taken) = link.poll_taken(&answers.inflow, answers.timeout, task) {
                return Poll::Ready(Ok(taken));
            }
        }
        Poll::Pending
    })
    .await?;
    match item {
        Taken::Item(mut item) => {
            take_metadata(options, item.metadata.take());
            read(&answers.encoding, item)
        }
        Taken::End => Err(CallError::UnexpectedAnswer { found: "nothing" }),
        Taken::Failed(error) => Err(error),
    }
}

/// Reads an item.
pub(crate) fn read<E: Envelope>(encoding: &Encoding, item: Item) -> Result<E, CallError> {
    let Item {
        variant,
        body,
        compressed,
        ..
    } = item;
    let body = if compressed {
        encoding.inflate(variant, body).map_err(CallError::Answer)?
    } else {
        body
    };
    encoding.decode(variant, body).map_err(CallError::Answer)
}

/// The sending side of a call with two streams, to be polled along with its answers.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

impl State {
    fn wait_for_stream_room(&mut self, context: &mut Context<'_>) {
        if !self
            .stream_room
            .iter()
            .any(|waker| waker.will_wake(context.waker()))
        {
            self.stream_room.push(context.waker().clone());
        }
    }
}
