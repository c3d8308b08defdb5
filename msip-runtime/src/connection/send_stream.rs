//! The sending end of a stream: items that are ready together are enqueued together.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{CallToAnswer, ConnectionInner, ConnectionShared, Outgoing, RecvBuffer};
use crate::{
    SendError,
    body::{Encoding, Prepared},
};
use msip_session::{Blocked, ItemBatch, ItemHead, StreamSide, wire::Credit};

/// So many items, and so many bytes of them, are batched at most: enough that what they have in common costs little.
const MAX_ITEMS: usize = 64;
const MAX_BYTES: usize = 16 * 1024;

/// An item of more bytes is written straight into the connection's queue, instead of being copied there.
const LARGE: usize = 4 * 1024;

/// How much is sent before other tasks have their turn: so many bytes before any compression. An item that is transcoded or
/// compressed counts eight times, and each as much as its own cost in addition. What the queue has room for is no measure of
/// it: 64 KiB may be a hundred bytes once they are compressed.
const MAX_WORK: usize = 256 * 1024;
const PREPARED_WORK: usize = 8;
const ITEM_WORK: usize = 256;

/// Which stream it is.
#[derive(Debug)]
pub(crate) enum StreamTarget {
    /// The answers to a call that is served here.
    Answers(CallToAnswer),
    /// The requests of a call that was opened here.
    Requests(Arc<RecvBuffer>),
}

impl StreamTarget {
    /// The stream's name at the session, while the exchange is open: as long as the connection is locked.
    fn end(&self, state: &ConnectionInner) -> Option<StreamSide> {
        match self {
            Self::Answers(call) => {
                (state.generation == call.generation).then_some(StreamSide::Callee(call.slot))
            }
            Self::Requests(recv_buffer) => recv_buffer.end(),
        }
    }
}

/// Sends the items of a stream, in order, as its credit and the capacity of the queue allow.
///
/// It asks for items as long as they are ready, and hands them over under one lock: the first at once, then twice as
/// many each time, up to 64, so that an item waits for no more than have gone before it. Where none is ready, the batch
/// goes out at once. It never takes more than may be sent, but for one: a stream whose receiver is slow is asked for
/// one item.
pub(crate) struct SendStream<E> {
    connection: Arc<ConnectionShared>,
    target: StreamTarget,
    head: ItemHead,
    encoding: Encoding,
    max_body: usize,
    batch: ItemBatch,
    /// An item that goes out by itself, behind the batch.
    large: Option<LargeItem<E>>,
    /// How much may be batched: what there was capacity for, and how many items.
    capacity: Credit,
    batch_limit: usize,
    /// What was done since other tasks had their turn; see [`MAX_WORK`].
    work: usize,
    /// There are no more items, or there is one that cannot be sent.
    ended: Option<Result<(), SendError>>,
}

/// An item that is not written into the batch, and how its body is written.
struct LargeItem<E> {
    item: E,
    variant: u16,
    len: usize,
    prepared: Option<Prepared>,
}

impl<E: Outgoing> LargeItem<E> {
    fn is_compressed(&self) -> bool {
        let prepared = self.prepared.as_ref();
        prepared.is_some_and(|prepared| prepared.compressed)
    }

    /// How many bytes its body takes on the wire.
    fn wire_len(&self) -> usize {
        let prepared = self.prepared.as_ref();
        prepared.map_or(self.len, |prepared| prepared.bytes.len())
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        match &self.prepared {
            Some(prepared) => buffer.extend_from_slice(&prepared.bytes),
            None => self.item.encode(buffer),
        }
    }
}

impl ConnectionShared {
    /// Begins to send a stream. `None` where its exchange has ended.
    pub(crate) fn open_send_stream<E: Outgoing>(
        self: &Arc<Self>,
        target: StreamTarget,
    ) -> Option<SendStream<E>> {
        let now = self.now();
        let mut state = self.lock();
        let end = target.end(&state)?;
        let encoding = state.encoding.clone();
        let session = state.session()?;
        if let StreamSide::Callee(slot) = end {
            session.begin_answers(slot);
            if session.is_closing() {
                session.stream_begun(now);
            }
        }
        let head = session.item_head(end)?;
        let capacity = session.item_capacity(end);
        let max_body = session.peer_max_body();
        if session.is_closing() {
            // For its time limit.
            state.wake_driver();
        }
        drop(state);
        Some(SendStream {
            connection: Arc::clone(self),
            target,
            head,
            encoding,
            max_body,
            batch: ItemBatch::default(),
            large: None,
            capacity,
            batch_limit: 1,
            work: 0,
            ended: None,
        })
    }
}

impl<E: Outgoing> SendStream<E> {
    /// Sends what `next` yields, until it ends; not to be polled after that. The end is not sent to the peer.
    pub(crate) fn poll(
        &mut self,
        task: &mut Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<E>>,
    ) -> Poll<Result<(), SendError>> {
        loop {
            if self.holds_nothing() && self.capacity.bytes == 0 {
                ready!(self.poll_queue(task))?;
            }
            let is_waiting = self.fill_batch(task, &mut next);
            if !self.batch.is_empty() || self.large.is_some() {
                ready!(self.poll_hand_over(task))?;
                self.batch_limit = if is_waiting {
                    1
                } else {
                    MAX_ITEMS.min(self.batch_limit * 2)
                };
            }
            if let Some(ended) = self.ended.take() {
                return Poll::Ready(ended);
            }
            if is_waiting {
                self.work = 0;
                self.batch.release();
                return Poll::Pending;
            }
            if self.work > MAX_WORK {
                self.work = 0;
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn holds_nothing(&self) -> bool {
        self.batch.is_empty() && self.large.is_none() && self.ended.is_none()
    }

    /// Waits until the queue has capacity, before an item is asked for that would have to wait for it: with many streams,
    /// those would be many.
    fn poll_queue(&mut self, task: &Context<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.connection.lock();
        let end = self.target.end(&state);
        let (Some(end), Some(session)) = (end, state.session()) else {
            return Poll::Ready(Err(SendError::Disconnected));
        };
        if session.has_request_capacity() {
            self.capacity = session.item_capacity(end);
            return Poll::Ready(Ok(()));
        }
        if session.item_head(end).is_none() {
            return Poll::Ready(Err(SendError::Disconnected));
        }
        state.stream_senders.wait(end, true, task.waker());
        Poll::Pending
    }

    /// Takes the items that are ready, as many as may go out together. Whether the next one is not.
    fn fill_batch(
        &mut self,
        task: &mut Context<'_>,
        next: &mut impl FnMut(&mut Context<'_>) -> Poll<Option<E>>,
    ) -> bool {
        while self.ended.is_none()
            && self.large.is_none()
            && self.work <= MAX_WORK
            && self.may_take_more()
        {
            match next(task) {
                Poll::Pending => return true,
                Poll::Ready(None) => self.ended = Some(Ok(())),
                Poll::Ready(Some(item)) => {
                    if let Err(error) = self.push(item) {
                        self.ended = Some(Err(error));
                    }
                }
            }
        }
        false
    }

    fn may_take_more(&self) -> bool {
        let is_below = |len: usize, limit: u32| u32::try_from(len).is_ok_and(|len| len < limit);
        let (count, len) = (self.batch.item_count(), self.batch.payload_len());
        self.batch.is_empty()
            || count < self.batch_limit
                && len < MAX_BYTES
                && is_below(count, self.capacity.items)
                && is_below(len, self.capacity.bytes)
    }

    fn push(&mut self, item: E) -> Result<(), SendError> {
        let variant = item.variant().ok_or(SendError::Closed)?.number;
        let prepared = item
            .prepare(&self.encoding)
            .map_err(SendError::Unwritable)?;
        let len = match &prepared {
            Some(prepared) => prepared.len,
            None => item.encoded_len(),
        };
        self.work += match &prepared {
            Some(_) => ITEM_WORK + PREPARED_WORK * len,
            None => ITEM_WORK + len,
        };
        if len > self.max_body {
            let max = self.max_body;
            return Err(SendError::TooLarge { len, max });
        }
        if prepared.is_none() && len <= LARGE {
            let encode = |buffer: &mut Vec<u8>| item.encode(buffer);
            self.batch.push(&self.head, variant, false, len, encode);
            return Ok(());
        }
        let item = LargeItem {
            item,
            variant,
            len,
            prepared,
        };
        let wire_len = item.wire_len();
        if wire_len > LARGE {
            self.large = Some(item);
        } else {
            let compressed = item.is_compressed();
            let encode = |buffer: &mut Vec<u8>| item.encode(buffer);
            self.batch
                .push(&self.head, item.variant, compressed, wire_len, encode);
        }
        Ok(())
    }

    /// Hands the batch over, once there is capacity.
    fn poll_hand_over(&mut self, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.connection.lock();
        let Some(end) = self.target.end(&state) else {
            return Poll::Ready(Err(SendError::Disconnected));
        };
        let Some(session) = state.session() else {
            return Poll::Ready(Err(SendError::Disconnected));
        };
        let mut sent = Ok(());
        let mut has_sent = false;
        if !self.batch.is_empty() {
            sent = session.send_items(end, &mut self.batch);
            has_sent = sent.is_ok();
        }
        if let (Some(large), Ok(())) = (&self.large, sent) {
            let compressed = large.is_compressed();
            let encode = |buffer: &mut Vec<u8>| large.encode(buffer);
            sent = session.send_item(end, large.variant, compressed, large.wire_len(), encode);
            if let StreamSide::Callee(slot) = end {
                session.note_answer(slot, large.wire_len());
            }
            if sent.is_ok() {
                has_sent = true;
                self.large = None;
            }
        }
        self.capacity = session.item_capacity(end);
        let outcome = match sent {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Blocked::NoCapacity) => {
                let has_credit = session.has_item_credit(end, &self.batch);
                state.stream_senders.wait(end, has_credit, task.waker());
                Poll::Pending
            }
            Err(Blocked::Closing | Blocked::Disconnected | Blocked::Full) => {
                Poll::Ready(Err(SendError::Disconnected))
            }
        };
        if has_sent {
            state.wake_driver();
        }
        outcome
    }
}
