//! The inbox of a session: what has been received and waits for its service.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use crate::{
    DisconnectReason,
    body::Body,
    connection::{FaultInjection, RefusedSubscription, Terms},
    sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock},
};
use msip_session::{
    BareMessage, Incoming, SubscribeRequest,
    wire::{Credit, Topic},
};

/// What has been received and not been taken yet. The session's window and limits bound it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
    /// Where it has a part of what the session receives, sorted by topic: who is told of one-way messages that were handled. The
    /// session has been told when they were sorted.
    window: Option<Arc<dyn PeerWindow>>,
    is_closed: AtomicBool,
    /// The service has taken all that is here, and waits for more, or for what wakes its task.
    is_awaited: AtomicBool,
    /// A driver polls the service, and asks whether its turn is over.
    is_driven: AtomicBool,
    /// The driver shares its thread with other busy connections, and it is not its turn.
    is_out_of_turn: AtomicBool,
    /// The service has more to do than it does in one turn.
    is_turn_over: AtomicBool,
    /// The service has done much since it was last asked.
    is_busy: AtomicBool,
}

/// What has been read from one chunk, to be added to the inbox.
#[derive(Debug, Default)]
pub(crate) struct ReceivedMessages(VecDeque<Item>);

impl ReceivedMessages {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, incoming: Incoming) {
        self.0.push_back(Item::Message(Box::new(incoming)));
    }

    pub(crate) fn push_subscription(&mut self, event: SubscriptionEvent) {
        self.0.push_back(Item::Subscription(Box::new(event)));
    }

    /// Adds messages and calls that lie in this memory. Leaves `bares` empty.
    pub(crate) fn push_bare_messages(&mut self, bares: &mut Vec<BareMessage>, memory: &Bytes) {
        if bares.is_empty() {
            return;
        }
        self.0.push_back(Item::Bare(BareMessages {
            memory: memory.clone(),
            messages: std::mem::take(bares),
            taken: 0,
        }));
    }
}

/// Messages and calls without metadata, one behind the other, and the memory that they lie in: nothing is moved for one of
/// them, and no reference counted.
#[derive(Debug, Default)]
pub(super) struct BareMessages {
    memory: Bytes,
    messages: Vec<BareMessage>,
    taken: usize,
}

impl BareMessages {
    /// The next one.
    #[inline]
    pub(super) fn take(&mut self) -> Option<BareMessage> {
        let message = *self.messages.get(self.taken)?;
        self.taken += 1;
        Some(message)
    }

    /// The same, without taking it.
    #[inline]
    pub(super) fn peek(&self) -> Option<BareMessage> {
        self.messages.get(self.taken).copied()
    }

    /// The one-way messages up to the next call, and their memory.
    pub(super) fn take_run(&mut self) -> (&[BareMessage], &Bytes) {
        let rest = self.messages.get(self.taken..).unwrap_or_default();
        let is_call = |message: &BareMessage| message.call.is_some();
        let len = rest.iter().position(is_call).unwrap_or(rest.len());
        self.taken += len;
        (rest.get(..len).unwrap_or_default(), &self.memory)
    }

    /// The calls up to the next one-way message.
    pub(super) fn next_calls(&self) -> &[BareMessage] {
        let rest = self.messages.get(self.taken..).unwrap_or_default();
        let is_message = |message: &BareMessage| message.call.is_none();
        let len = rest.iter().position(is_message).unwrap_or(rest.len());
        rest.get(..len).unwrap_or_default()
    }

    /// The same, which are taken, and their memory.
    pub(super) fn take_calls(&mut self) -> (&[BareMessage], &Bytes) {
        let (first, len) = (self.taken, self.next_calls().len());
        self.taken += len;
        let calls = self.messages.get(first..self.taken);
        (calls.unwrap_or_default(), &self.memory)
    }

    /// The body of one of them.
    #[inline]
    pub(super) fn body(&self, message: &BareMessage) -> Body<'_> {
        Body::within(&self.memory, message.body())
    }

    /// The same with a reference of its own to the memory.
    pub(super) fn body_of(&self, message: &BareMessage) -> Bytes {
        let body = self.memory.get(message.body()).unwrap_or_default();
        self.memory.slice_ref(body)
    }

    /// The bytes of the topic of one of them.
    #[inline]
    pub(super) fn topic_bytes(&self, message: &BareMessage) -> &[u8] {
        self.memory.get(message.topic()).unwrap_or_default()
    }

    /// The topic of one of them.
    pub(super) fn topic_of(&self, message: BareMessage) -> Topic {
        message.to_topic(&self.memory)
    }

    /// One of them, with a reference of its own to the memory.
    pub(super) fn incoming(&self, message: BareMessage) -> Incoming {
        message.to_incoming(&self.memory)
    }

    /// Whether all of them have been taken.
    pub(super) fn is_taken(&self) -> bool {
        self.taken >= self.messages.len()
    }

    /// Gives the memory back, once all of them have been taken.
    #[inline]
    pub(super) fn release(&mut self) {
        if self.is_taken() && !self.messages.is_empty() {
            *self = Self::default();
        }
    }
}

/// What a session hears of subscriptions.
#[derive(Debug)]
pub(crate) enum SubscriptionEvent {
    /// A client subscribes, or revokes that.
    Asked(SubscribeRequest),
    /// The broker has refused a subscription that was made again.
    Refused(RefusedSubscription),
}

/// How many one-way messages may be sent to one of the many who receive by a session.
pub(crate) trait PeerWindow: fmt::Debug + Send + Sync {
    /// So much of what came by the connection of this number has been handled.
    fn handled(&self, credit: Credit, connection: u64);
}

/// Something to be taken, in its turn.
#[derive(Debug)]
pub(super) enum Item {
    /// A connection is there; what follows came by it.
    Connected(Terms),
    /// The same, and nobody is told.
    Terms(Terms),
    /// The connection was lost; the session goes on.
    Disconnected(Box<DisconnectReason>),
    /// In a box, since there are few.
    Message(Box<Incoming>),
    Subscription(Box<SubscriptionEvent>),
    Bare(BareMessages),
}

#[derive(Debug, Default)]
struct InboxState {
    queue: VecDeque<Item>,
    is_to_release: bool,
    /// Nothing is added to it any more, and what is there is taken still.
    is_ending: bool,
    /// Its service ends when open calls are answered.
    awaits_calls: bool,
    reader: Option<Waker>,
}

impl InboxState {
    fn set_reader(&mut self, context: &Context<'_>) {
        match &mut self.reader {
            Some(known) => known.clone_from(context.waker()),
            unknown => *unknown = Some(context.waker().clone()),
        }
    }
}

/// Takes a flag that is seldom set, and that the driver's task alone sets and takes.
#[inline]
fn take(flag: &AtomicBool) -> bool {
    let is_set = flag.load(Ordering::Relaxed);
    if is_set {
        flag.store(false, Ordering::Relaxed);
    }
    is_set
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        lock(&self.state)
    }

    /// Adds what has been received, in order, and leaves `received` empty. The caller polls the service next: no task
    /// is woken.
    #[inline]
    pub(crate) fn extend(&self, received: &mut ReceivedMessages) {
        let mut state = self.lock();
        self.is_awaited.store(false, Ordering::Relaxed);
        if state.queue.is_empty() {
            std::mem::swap(&mut state.queue, &mut received.0);
        } else {
            state.queue.append(&mut received.0);
        }
    }

    /// Asks for the memory back that a burst needed. The caller polls the handlers next: no task is woken.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.queue = VecDeque::new();
        }
        state.is_to_release = true;
        self.is_awaited.store(false, Ordering::Relaxed);
    }

    /// A connection is there: what is added from here on comes by it.
    pub(crate) fn connected(&self, terms: Terms) {
        self.add(Item::Connected(terms));
    }

    /// The connection was lost; the session goes on.
    pub(crate) fn disconnected(&self, reason: DisconnectReason) {
        self.add(Item::Disconnected(Box::new(reason)));
    }

    /// Whether its service has taken everything that was added while there was no connection, and waits for more.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.queue.is_empty() && state.reader.is_some()
    }

    /// One for a part of what a session receives, which has this window.
    pub(crate) fn with_window(window: Arc<dyn PeerWindow>) -> Self {
        Self {
            window: Some(window),
            ..Self::default()
        }
    }

    /// Whether it has a part of what the session receives. Its service is polled by a task of its own.
    #[inline]
    pub(super) fn is_virtual(&self) -> bool {
        self.window.is_some()
    }

    /// Who is told of one-way messages that were handled, instead of the session.
    pub(super) fn window(&self) -> Option<&dyn PeerWindow> {
        self.window.as_deref()
    }

    /// Adds messages and calls that lie in this memory.
    pub(crate) fn add_bare(&self, messages: &[BareMessage], memory: &Bytes) {
        self.add(Item::Bare(BareMessages {
            memory: memory.clone(),
            messages: messages.to_vec(),
            taken: 0,
        }));
    }

    /// Adds a message or a call.
    pub(crate) fn add_message(&self, incoming: Box<Incoming>) {
        self.add(Item::Message(incoming));
    }

    /// What is added from here on comes by another connection of the session.
    pub(crate) fn resumed(&self, terms: Terms) {
        self.add(Item::Terms(terms));
    }

    /// Nothing is added any more: its service ends when it has taken what is there.
    pub(crate) fn end(&self) {
        let reader = {
            let mut state = self.lock();
            state.is_ending = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The same, and open calls are answered before.
    pub(crate) fn finish(&self) {
        self.lock().awaits_calls = true;
        self.end();
    }

    /// Pending while its service is to wait for open calls.
    pub(super) fn poll_awaits_no_calls(&self, task: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.awaits_calls || self.is_closed() {
            return Poll::Ready(());
        }
        state.set_reader(task);
        Poll::Pending
    }

    pub(super) fn add(&self, item: Item) {
        let reader = {
            let mut state = self.lock();
            state.queue.push_back(item);
            self.is_awaited.store(false, Ordering::Relaxed);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing more will be received.
    pub(crate) fn close(&self) {
        let reader = {
            let mut state = self.lock();
            self.is_closed.store(true, Ordering::Release);
            self.is_awaited.store(false, Ordering::Relaxed);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// All that is there, in `batch`, which is empty before. `false` when nothing more will come. Where nothing is there
    /// yet, `is_to_release` is set if memory is to be given back.
    pub(super) fn poll_next(
        &self,
        context: &mut Context<'_>,
        batch: &mut VecDeque<Item>,
        is_to_release: &mut bool,
    ) -> Poll<bool> {
        let mut state = self.lock();
        if !state.queue.is_empty() {
            std::mem::swap(&mut state.queue, batch);
            return Poll::Ready(true);
        }
        if state.is_ending || self.is_closed() {
            return Poll::Ready(false);
        }
        if FaultInjection::StoreReaderLate.is_on() {
            drop(state);
            state = self.lock();
        }
        state.set_reader(context);
        *is_to_release = std::mem::take(&mut state.is_to_release);
        self.is_awaited.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// Ready when something is there to be taken, or nothing more will come. Nothing is taken; who polls this has no memory to
    /// give back.
    pub(super) fn poll_ready(&self, task: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.queue.is_empty() || state.is_ending || self.is_closed() {
            return Poll::Ready(());
        }
        state.set_reader(task);
        state.is_to_release = false;
        self.is_awaited.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// How many items were there, and are taken; `None` when nothing more will come.
    #[cfg(all(test, shuttle))]
    pub(crate) fn poll_count(&self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        let (mut batch, mut is_to_release) = (VecDeque::new(), false);
        let any = self.poll_next(context, &mut batch, &mut is_to_release);
        any.map(|any| any.then_some(batch.len()))
    }

    /// Whether the service has nothing to do but what wakes its task: nothing was added since it found nothing here.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// The reader takes nothing yet: wakes it when nothing more will be received. The driver polls it after each write.
    pub(super) fn wait(&self, context: &Context<'_>) {
        self.is_awaited.store(false, Ordering::Relaxed);
        self.lock().set_reader(context);
    }

    /// A driver polls the service from here on, or does not any more.
    pub(crate) fn set_driven(&self, is_driven: bool) {
        self.is_driven.store(is_driven, Ordering::Relaxed);
    }

    /// Whether the service may do what costs much, now that it is polled.
    pub(crate) fn set_may_cost(&self, may_cost: bool) {
        self.is_out_of_turn.store(!may_cost, Ordering::Relaxed);
    }

    pub(super) fn may_cost(&self) -> bool {
        !self.is_out_of_turn.load(Ordering::Relaxed) || !self.is_driven.load(Ordering::Relaxed)
    }

    /// The service returns, and has more to do.
    pub(super) fn yield_turn(&self, task: &Context<'_>) {
        if self.is_driven.load(Ordering::Relaxed) {
            self.is_turn_over.store(true, Ordering::Relaxed);
        } else {
            task.waker().wake_by_ref();
        }
    }

    /// Whether the service, which has just been polled, has more to do. It is to be polled again.
    #[inline]
    pub(crate) fn take_turn_over(&self) -> bool {
        take(&self.is_turn_over)
    }

    pub(super) fn set_busy(&self) {
        self.is_busy.store(true, Ordering::Relaxed);
    }

    /// Whether the service has done much since this was last asked.
    #[inline]
    pub(crate) fn take_busy(&self) -> bool {
        take(&self.is_busy)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_has_found_nothing_waits_until_something_is_there_for_it() {
        let inbox = Inbox::default();
        let poll = |inbox: &Inbox| {
            let mut task = Context::from_waker(Waker::noop());
            let (mut batch, mut is_to_release) = (VecDeque::new(), false);
            let polled = inbox.poll_next(&mut task, &mut batch, &mut is_to_release);
            (polled, batch.len(), is_to_release)
        };
        assert!(!inbox.is_awaited(), "it has not looked");
        let lost = || {
            let mut received = ReceivedMessages::default();
            let reason = DisconnectReason::ClosedByUs;
            received.0.push_back(Item::Disconnected(Box::new(reason)));
            received
        };
        for _ in 0..2 {
            assert_eq!(poll(&inbox), (Poll::Pending, 0, false));
            assert!(inbox.is_awaited());
            inbox.extend(&mut lost());
            assert!(!inbox.is_awaited(), "something was read");
            assert_eq!(poll(&inbox), (Poll::Ready(true), 1, false));
            assert!(!inbox.is_awaited(), "it has something to do");
        }
        assert_eq!(poll(&inbox), (Poll::Pending, 0, false));
        inbox.release();
        assert!(!inbox.is_awaited(), "memory is to be given back");
        assert_eq!(poll(&inbox), (Poll::Pending, 0, true));
        inbox.close();
        assert!(!inbox.is_awaited(), "nothing more will come");
        assert_eq!(poll(&inbox), (Poll::Ready(false), 0, false));
    }
}
