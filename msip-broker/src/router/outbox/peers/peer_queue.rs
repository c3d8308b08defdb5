//! What waits of one client.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use bytes::Bytes;

use crate::router::{
    Presence, WakeList,
    client::Client,
    open_calls::ClientCalls,
    outbox::{
        OutboxItem,
        queue::Queue,
        window::{Window, WindowSize},
    },
};

/// Which queue: its slot may be that of another one later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueId {
    pub(super) slot: usize,
    pub(super) number: u64,
}

/// What waits of a client. Small while the client is silent: an instance has many.
#[derive(Debug)]
pub(super) struct PeerQueue {
    pub(super) number: u64,
    pub(super) topic: Bytes,
    pub(super) client: Arc<Client>,
    /// What the instance is told of it, before anything else of it.
    pub(super) first: VecDeque<Arc<Presence>>,
    /// There while something waits.
    pub(super) waiting: Option<Box<Waiting>>,
    /// What it is told at last: that the client has gone.
    pub(super) last: Option<Arc<Presence>>,
    /// What the instance has not finished with. There while that is something.
    pub(super) sent: Option<Box<Window>>,
    pub(super) window: WindowSize,
    /// There while calls are open.
    pub(super) calls: Option<Arc<ClientCalls>>,
    /// Whether the instance has taken the introduction.
    pub(super) is_told: bool,
    pub(super) is_ready: bool,
    pub(super) awaits_call: bool,
}

/// What a client has while something of it waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) queue: Queue,
    pub(super) deficit: i64,
    pub(super) pushed_back: Vec<Waker>,
}

/// What may be sent of a queue.
pub(super) enum Next {
    Nothing,
    /// So many messages, or a call, or something else.
    Some(u32),
    AwaitsCredit,
    AwaitsCall,
}

impl PeerQueue {
    pub(super) fn next(&self) -> Next {
        let first = self.waiting.as_ref();
        match first.and_then(|waiting| waiting.queue.peek()) {
            None => Next::Nothing,
            Some(OutboxItem::Exchange(_)) if self.has_too_many_calls() => Next::AwaitsCall,
            Some(OutboxItem::Publication(delivery)) => {
                match Window::affordable(self.sent.as_deref(), self.window, &delivery.publication) {
                    0 => Next::AwaitsCredit,
                    count => Next::Some(count),
                }
            }
            Some(_) => Next::Some(1),
        }
    }

    /// It is sent: it counts until the instance has finished with it.
    pub(super) fn count_sent(&mut self, item: &mut OutboxItem) {
        match item {
            OutboxItem::Publication(delivery) => {
                let sent = self.sent.get_or_insert_default();
                sent.push(&delivery.publication);
            }
            OutboxItem::Exchange(assigned) => {
                assigned.open.of_client(self.calls.get_or_insert_default());
            }
            OutboxItem::Presence(_)
            | OutboxItem::TopicSpoken(_)
            | OutboxItem::SubscriptionEnded(..) => {}
        }
    }

    pub(super) fn has_something(&self) -> bool {
        !self.first.is_empty() || self.size().1 > 0 || self.last.is_some()
    }

    /// How many bytes wait, and how many messages.
    pub(super) fn size(&self) -> (usize, usize) {
        let waiting = self.waiting.as_ref();
        waiting.map_or((0, 0), |waiting| {
            (waiting.queue.bytes(), waiting.queue.count())
        })
    }

    pub(super) fn has_too_many_calls(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.is_full())
    }

    /// What waited is to be taken out, as far as it is not to stay.
    pub(super) fn take_out(&mut self, stays: impl FnMut(&OutboxItem) -> bool) -> Vec<OutboxItem> {
        let waiting = self.waiting.as_mut();
        waiting.map_or_else(Vec::new, |waiting| waiting.queue.take_out(stays))
    }

    /// Nobody waits until less does.
    pub(super) fn release(&mut self, wakes: &mut WakeList) {
        if let Some(waiting) = &mut self.waiting {
            let pushed_back = std::mem::take(&mut waiting.pushed_back);
            for waker in pushed_back {
                wakes.push(Some(waker));
            }
        }
    }

    /// Holds nothing for calls where none is open.
    pub(super) fn forget_ended_calls(&mut self) {
        let is_ended = |calls: &mut Arc<ClientCalls>| Arc::strong_count(calls) == 1;
        self.calls.take_if(is_ended);
    }

    /// Holds no memory that it does not need. Returns what is to be kept for others.
    pub(super) fn rest(&mut self) -> Option<Box<Waiting>> {
        if self.first.is_empty() {
            self.first = VecDeque::new();
        }
        self.forget_ended_calls();
        let is_silent = |waiting: &mut Box<Waiting>| {
            waiting.queue.count() == 0 && waiting.pushed_back.is_empty()
        };
        self.waiting.take_if(is_silent)
    }
}
