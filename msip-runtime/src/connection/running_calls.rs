//! The peer's calls that handlers work on: their request streams, and what stops their handlers.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use tokio::task::AbortHandle;

use super::{
    cancellation::Cancellation,
    recv_buffer::RecvBuffer,
    relayed_call::{CalleeConnection, RelayedAs, RelayedCalls, RelayedTo},
    signal::Signal,
    wake_list::WakeList,
};
use crate::sync::{AtomicU64, Ordering};
use msip_session::{
    InboundSlot, Item, Outcome, StreamSide,
    wire::{Code, ErrorText, Metadata},
};

/// A call whose handler did not end at once, or that was cancelled.
#[derive(Debug)]
enum RunningCall {
    /// Its handler runs in a task.
    Spawned(AbortHandle),
    /// The caller gave it up before its handler ran in one.
    Cancelled,
}

/// Why a request stream has ended before its last item.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestsEnd {
    /// Its sender has given the call up.
    GivenUp,
    /// The call has been answered, so that its sender stops.
    Answered,
    ConnectionLost,
}

impl RequestsEnd {
    /// What its reader is told.
    fn outcome(self) -> Outcome {
        let message = match self {
            Self::GivenUp => "the caller has given the call up",
            Self::Answered => "the call has been answered",
            Self::ConnectionLost => return Outcome::Lost { sent: true },
        };
        let text = ErrorText {
            code: Code::Cancelled,
            message: message.to_owned(),
        };
        Outcome::Error(text, None)
    }
}

/// What is known of the calls that are served, by their slots at the session, whose limits bound it. Most calls end at
/// once, and never appear here.
#[derive(Debug, Default)]
pub(super) struct RunningCalls {
    /// In a box, since most connections have none.
    special: Option<Box<SpecialCalls>>,
    /// How many of them were cancelled, for those who look without the lock.
    cancelled: Arc<AtomicU64>,
}

/// The calls of which more is known.
#[derive(Debug, Default)]
struct SpecialCalls {
    handlers: HashMap<InboundSlot, RunningCall>,
    request_streams: HashMap<InboundSlot, Arc<RecvBuffer>>,
    /// Of the calls whose handlers watch for cancellation.
    cancel_flags: HashMap<InboundSlot, Arc<Signal>>,
    /// The headers of answers, of the calls whose handlers have set some.
    answer_metadata: HashMap<InboundSlot, Box<Metadata>>,
    /// Where those go on that were relayed. They end without being looked for here.
    relayed: RelayedCalls,
}

impl SpecialCalls {
    fn is_empty(&self) -> bool {
        self.handlers.is_empty()
            && self.cancel_flags.is_empty()
            && self.request_streams.is_empty()
            && self.answer_metadata.is_empty()
    }
}

impl RunningCalls {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.special.as_ref().is_none_or(|it| it.is_empty())
    }

    fn special(&mut self) -> &mut SpecialCalls {
        self.special.get_or_insert_default()
    }

    /// Calls were relayed, and are cancelled where they went if they are cancelled here.
    pub(super) fn relayed(&mut self, to: &Weak<dyn CalleeConnection>, calls: &[RelayedAs]) {
        if !calls.is_empty() {
            self.special().relayed.insert(to, calls);
        }
    }

    /// A call has ended that may have been relayed.
    #[inline]
    pub(super) fn forget_relayed(&mut self, slot: InboundSlot) {
        if let Some(special) = &mut self.special {
            special.relayed.forget(slot);
        }
    }

    /// How many calls were cancelled and have not ended, at any time.
    pub(super) fn cancelled_count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.cancelled)
    }

    /// A handler goes on in a task, unless its call was cancelled meanwhile, or has ended.
    pub(super) fn spawned(&mut self, slot: InboundSlot, task: AbortHandle, is_open: bool) {
        if self.is_cancelled(slot) {
            task.abort();
        } else if is_open {
            // Where it has ended already, the handle would never be taken out again.
            let handlers = &mut self.special().handlers;
            handlers.insert(slot, RunningCall::Spawned(task));
        }
    }

    pub(super) fn is_cancelled(&self, slot: InboundSlot) -> bool {
        let special = self.special.as_ref();
        let call = special.and_then(|special| special.handlers.get(&slot));
        matches!(call, Some(RunningCall::Cancelled))
    }

    /// The cancellation of a call that is open.
    pub(super) fn cancellation(&mut self, slot: InboundSlot) -> Cancellation {
        Cancellation::of(self.special().cancel_flags.entry(slot).or_default())
    }

    /// The metadata that the answer of a call is to have.
    pub(super) fn answer_metadata(&mut self, slot: InboundSlot) -> &mut Metadata {
        self.special().answer_metadata.entry(slot).or_default()
    }

    /// Takes the metadata of an answer that is sent.
    #[inline]
    pub(super) fn take_answer_metadata(&mut self, slot: InboundSlot) -> Option<Box<Metadata>> {
        let special = self.special.as_mut()?;
        if special.answer_metadata.is_empty() {
            return None;
        }
        special.answer_metadata.remove(&slot)
    }

    /// The caller has given a call up: its handler is dropped. Returns where it was relayed to.
    pub(super) fn cancel(&mut self, slot: InboundSlot, wakes: &mut WakeList) -> Option<RelayedTo> {
        let handlers = &mut self.special().handlers;
        match handlers.insert(slot, RunningCall::Cancelled) {
            Some(RunningCall::Cancelled) => {}
            before => {
                self.cancelled.fetch_add(1, Ordering::Relaxed);
                if let Some(RunningCall::Spawned(task)) = before {
                    task.abort();
                }
            }
        }
        self.raise_flag(slot, wakes);
        self.special.as_mut()?.relayed.take(slot)
    }

    /// A call has been answered.
    pub(super) fn end(&mut self, slot: InboundSlot, wakes: &mut WakeList) {
        let _ = self.take_answer_metadata(slot);
        let special = self.special.as_mut();
        let call = special.and_then(|special| special.handlers.remove(&slot));
        if let Some(RunningCall::Cancelled) = call {
            self.cancelled.fetch_sub(1, Ordering::Relaxed);
        }
        self.raise_flag(slot, wakes);
        self.end_request_stream(slot, RequestsEnd::Answered, wakes);
    }

    /// The session has ended, and with it all calls. Returns where they were relayed to.
    pub(super) fn end_all(&mut self, wakes: &mut WakeList) -> RelayedCalls {
        self.cancelled.store(0, Ordering::Relaxed);
        let Some(special) = self.special.take() else {
            return RelayedCalls::default();
        };
        for (_, flag) in special.cancel_flags {
            flag.raise_with(wakes);
        }
        for (_, recv_buffer) in special.request_streams {
            recv_buffer.close(RequestsEnd::ConnectionLost.outcome(), wakes);
        }
        special.relayed
    }

    fn raise_flag(&mut self, slot: InboundSlot, wakes: &mut WakeList) {
        let flags = self.special.as_mut().map(|it| &mut it.cancel_flags);
        if let Some(flag) = flags.and_then(|flags| flags.remove(&slot)) {
            flag.raise_with(wakes);
        }
    }

    /// A call was received whose request is a stream; `first` is an item that came with it.
    pub(super) fn begin_request_stream(&mut self, slot: InboundSlot, first: Option<Item>) {
        let recv_buffer = RecvBuffer::default();
        recv_buffer.open(StreamSide::Callee(slot));
        if let Some(item) = first {
            // Nobody reads yet.
            recv_buffer.push(item, &mut WakeList::default());
        }
        let streams = &mut self.special().request_streams;
        streams.insert(slot, Arc::new(recv_buffer));
    }

    pub(super) fn request_stream(&self, slot: InboundSlot) -> Option<&Arc<RecvBuffer>> {
        self.special.as_ref()?.request_streams.get(&slot)
    }

    /// The call has ended, and with it its request stream.
    pub(super) fn end_request_stream(
        &mut self,
        slot: InboundSlot,
        end: RequestsEnd,
        wakes: &mut WakeList,
    ) {
        let streams = self.special.as_mut().map(|it| &mut it.request_streams);
        if let Some(recv_buffer) = streams.and_then(|streams| streams.remove(&slot)) {
            recv_buffer.close(end.outcome(), wakes);
        }
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        let Some(special) = &mut self.special else {
            return;
        };
        if special.is_empty() && special.relayed.is_empty() {
            self.special = None;
            return;
        }
        special.handlers.shrink_to_fit();
        special.request_streams.shrink_to_fit();
        special.cancel_flags.shrink_to_fit();
        special.answer_metadata.shrink_to_fit();
    }
}
