//! Calls with streams: opening them, sending their items, and credit_batcher what comes.

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
    ConnectionInner, ConnectionShared, Waiter,
    capacity::Queue,
    exchange::{PROTOCOL_TIMEOUT, take_metadata, whole_ms},
    outgoing::{Deadline, OutgoingMessage},
    recv_buffer::RecvBuffer,
    recv_stream::{RecvStream, Taken},
    send_stream::StreamTarget,
};
use crate::{CallError, CallOptions, Envelope, SendError, body::Encoding};
use msip_session::{InboundSlot, Item, StreamSide, Token};

/// Where the answers to a call come in.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) connection: Arc<ConnectionShared>,
    pub(crate) recv_stream: RecvStream,
    token: Token,
    pub(crate) timeout: Duration,
    pub(crate) encoding: Encoding,
}

impl Answers {
    /// What comes next.
    pub(crate) fn poll_taken(&mut self, context: &mut Context<'_>) -> Poll<Taken> {
        self.recv_stream
            .poll_next(&self.connection, self.timeout, context)
    }
}

impl Drop for Answers {
    /// The answers are not wanted any more: the other side is told, unless they are complete.
    fn drop(&mut self) {
        self.connection.give_up(self.token);
    }
}

/// Where the requests of a call come in.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) connection: Arc<ConnectionShared>,
    pub(crate) recv_stream: RecvStream,
    pub(crate) encoding: Encoding,
}

impl ConnectionShared {
    /// Opens a call with a response stream, a request stream, or both.
    pub(crate) async fn open_streams<E: Envelope>(
        self: &Arc<Self>,
        opening: Opening<'_, E>,
        options: &CallOptions,
    ) -> Result<Answers, CallError> {
        let outgoing = match opening {
            Opening::Request(request) => OutgoingMessage::new(self, request, options)?,
            Opening::Stream(variant) => OutgoingMessage::<E>::stream(self, variant, options)?,
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
        let recv_buffer = Arc::new(RecvBuffer::default());
        let attempt = |state: &mut ConnectionInner, deadline| {
            outgoing.call_streaming(state, deadline, &recv_buffer)
        };
        let timeout = limit.unwrap_or(PROTOCOL_TIMEOUT);
        let token = match self.now_if_room(Queue::Calls, true, |state| attempt(state, deadline)) {
            Some(token) => token?,
            None => {
                let at = self.instant(self.now().saturating_add(timeout));
                let when_room = self.when_room(Queue::Calls, outgoing.len, |state| {
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
            connection: Arc::clone(self),
            recv_stream: RecvStream::new(recv_buffer),
            token,
            timeout,
            encoding,
        })
    }

    /// Sends the items of a request stream, and its end.
    pub(crate) async fn send_requests<E: Envelope>(
        self: Arc<Self>,
        recv_buffer: Arc<RecvBuffer>,
        requests: impl Stream<Item = E> + Send,
    ) -> Result<(), SendError> {
        let mut requests = pin!(requests);
        let target = StreamTarget::Requests(Arc::clone(&recv_buffer));
        let mut feed = self.feed(target).ok_or(SendError::Disconnected)?;
        poll_fn(|task| feed.poll(task, |task| requests.as_mut().poll_next(task))).await?;
        self.with_session(|session| {
            if let Some(StreamSide::Caller(slot)) = recv_buffer.end() {
                session.end_requests(slot);
            }
        });
        Ok(())
    }

    /// The call's request is a stream, whose items come in from here on.
    pub(crate) fn requests(self: &Arc<Self>, slot: InboundSlot) -> Option<Requests> {
        let state = self.lock();
        let recv_buffer = Arc::clone(state.requests.get(&slot)?);
        let encoding = state.encoding.clone();
        drop(state);
        Some(Requests {
            connection: Arc::clone(self),
            recv_stream: RecvStream::new(recv_buffer),
            encoding,
        })
    }

    /// Nobody waits for the answer of this exchange any more.
    pub(super) fn give_up(&self, token: Token) {
        self.give_up_unless(token, || false);
    }

    /// The same, unless it has ended, which is asked under the lock: the token may be another's by then.
    pub(super) fn give_up_unless(&self, token: Token, has_ended: impl FnOnce() -> bool) {
        let next = {
            let mut state = self.lock();
            if has_ended() {
                return;
            }
            match state.waiters.remove(token) {
                Some(Waiter::Waiting { slot, .. } | Waiter::Streaming { slot, .. }) => {
                    if let Some(session) = state.session.as_mut() {
                        session.forget(slot);
                    }
                    // Whoever has given it up does not wait for it.
                    drop(state.stream_credit(StreamSide::Caller(slot)));
                }
                Some(Waiter::Ended) | None => {}
            }
            let next = state.call_those_who_fit(0).next();
            [next, state.driver_to_wake()]
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
    connection: &Arc<ConnectionShared>,
    variant: u16,
    requests: impl Stream<Item = Out> + Send + 'static,
    options: &CallOptions,
) -> Result<In, CallError> {
    let mut answers = connection
        .open_streams::<Out>(Opening::Stream(variant), options)
        .await?;
    let recv_buffer = Arc::clone(answers.recv_stream.recv_buffer());
    let mut sending = pin!(Arc::clone(connection).send_requests(recv_buffer, requests));
    let mut is_sending = true;
    let item = poll_fn(|task| {
        if let Poll::Ready(taken) = answers.poll_taken(task) {
            return Poll::Ready(Ok(taken));
        }
        if is_sending && let Poll::Ready(sent) = sending.as_mut().poll(task) {
            is_sending = false;
            match sent {
                // The answer, which is on its way, says why nothing more can be sent.
                Ok(()) | Err(SendError::Disconnected | SendError::Closed) => {}
                Err(error) => return Poll::Ready(Err(CallError::NotSent(error))),
            }
            if let Poll::Ready(taken) = answers.poll_taken(task) {
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
    let read = encoding.read(variant, body, compressed);
    read.map_err(CallError::Answer)
}

/// The sending side of a call with two streams, to be polled along with its answers.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

impl ConnectionInner {
    /// The sender of this stream is to ask again: when it has been granted credit, or where it has some, when there is capacity
    /// in the queue.
    pub(super) fn wait_for_stream_room(
        &mut self,
        end: StreamSide,
        has_credit: bool,
        context: &mut Context<'_>,
    ) {
        if !has_credit {
            self.stream_credit.insert(end, context.waker().clone());
            return;
        }
        let is_known = |waker: &std::task::Waker| waker.will_wake(context.waker());
        if !self.stream_room.iter().any(is_known) {
            self.stream_room.push(context.waker().clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use msip_session::{Outcome, Slot};

    fn callee(index: usize) -> StreamSide {
        StreamSide::Callee(InboundSlot::from_index(index))
    }

    fn caller(index: usize) -> StreamSide {
        StreamSide::Caller(Slot::from_index(index))
    }

    #[test]
    fn credit_wakes_the_sender_of_its_own_stream() {
        let mut state = ConnectionInner::default();
        let mut context = Context::from_waker(Waker::noop());
        let (first, second) = (callee(1), caller(1));
        for end in [first, first, second] {
            state.wait_for_stream_room(end, false, &mut context);
        }
        assert!(state.stream_credit(callee(2)).is_none());
        assert!(state.stream_credit(first).is_some());
        assert!(state.stream_credit(first).is_none(), "once");
        assert!(!state.is_awaited(), "it is not capacity that is waited for");
        assert!(state.stream_room().is_empty());
        state.wait_for_stream_room(first, true, &mut context);
        assert!(state.stream_credit(first).is_none(), "it has some");
        assert_eq!(state.stream_room().len(), 1);
        assert_eq!(state.detach(&[]).len(), 1, "the other one");
    }

    #[test]
    fn a_stream_that_ends_wakes_its_sender() {
        let mut state = ConnectionInner::default();
        let mut context = Context::from_waker(Waker::noop());
        state.wait_for_stream_room(callee(1), false, &mut context);
        assert_eq!(state.cancel(InboundSlot::from_index(1)).len(), 1);
        state.wait_for_stream_room(caller(7), false, &mut context);
        let recv_buffer = Arc::<RecvBuffer>::default();
        let token = state.waiters.vacant().insert(Waiter::Streaming {
            slot: Slot::from_index(7),
            recv_buffer,
        });
        assert!(state.complete(token, Outcome::NOTHING).is_some());
        assert!(state.stream_credit.is_empty());
    }
}
