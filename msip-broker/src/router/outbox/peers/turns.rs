//! The clients of an instance take turns.

use std::{task::Waker, time::Duration};

use super::{
    PeerQueues,
    peer_queue::{Next, PeerQueue, QueueId},
};
use crate::router::{
    WakeList, fault_injection::FaultInjection, outbox::OutboxItem, peer_sizes::PeerSizes,
};

impl PeerQueues {
    pub(super) fn make_ready(&mut self, slot: usize) {
        if let Some(queue) = self.queues.get_mut(slot)
            && !queue.is_ready
            && queue.has_something()
        {
            queue.is_ready = true;
            let number = queue.number;
            self.ready.push_back(QueueId { slot, number });
        }
    }

    /// The next item, and its bytes. Publishers that need not wait any more are added to `wakes`.
    pub(in crate::router::outbox) fn pop(
        &mut self,
        now: Duration,
        max_bytes: usize,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        loop {
            let id = *self.ready.front()?;
            // As in `get_mut`, which would borrow all else too.
            let queue = self.queues.get_mut(id.slot);
            let Some(queue) = queue.filter(|queue| queue.number == id.number) else {
                self.ready.pop_front();
                continue;
            };
            if let Some(presence) = queue.first.pop_front() {
                if !std::mem::replace(&mut queue.is_told, true) {
                    self.untold -= 1;
                }
                return Some((OutboxItem::Presence(presence), 0));
            }
            let waiting = queue.size();
            if let Some(waiting) = &mut queue.waiting {
                waiting.queue.pass_over_expired(now);
            }
            // At once, since a client that has gone may leave nothing but what has expired.
            let before = queue.size();
            self.bytes -= waiting.0 - before.0;
            self.count -= waiting.1 - before.1;
            let popped = match (queue.next(), &mut queue.waiting) {
                (Next::Some(_), Some(waiting)) if waiting.deficit <= 0 => {
                    waiting.deficit += PeerSizes::current().quantum;
                    if !FaultInjection::NoTurns.is_on() {
                        self.ready.rotate_left(1);
                    }
                    None
                }
                (Next::Some(count), Some(waiting)) => {
                    let mut popped = waiting.queue.pop_up_to(count);
                    if let Some((item, bytes)) = &mut popped {
                        let bytes = bytes.saturating_add(64);
                        waiting.deficit -= i64::try_from(bytes).unwrap_or(i64::MAX);
                        queue.count_sent(item);
                    }
                    popped
                }
                (next, waiting) => {
                    queue.is_ready = false;
                    if let Some(waiting) = waiting {
                        waiting.deficit = 0;
                    }
                    self.ready.pop_front();
                    match (next, queue.last.take()) {
                        (Next::Nothing, Some(presence)) => {
                            self.remove(id.slot, wakes);
                            return Some((OutboxItem::Presence(presence), 0));
                        }
                        (Next::AwaitsCall, last) => {
                            queue.last = last;
                            if !std::mem::replace(&mut queue.awaits_call, true) {
                                self.awaiting_calls.push(id);
                            }
                        }
                        (_, last) => queue.last = last,
                    }
                    None
                }
            };
            let after = queue.size();
            self.bytes = self.bytes - before.0 + after.0;
            self.count = self.count - before.1 + after.1;
            let is_waited_for = queue
                .waiting
                .as_ref()
                .is_some_and(|waiting| !waiting.pushed_back.is_empty());
            if is_waited_for
                && !self.is_long(after, max_bytes)
                && let Some(queue) = self.get_mut(id)
            {
                queue.release(wakes);
            }
            if popped.is_some() {
                return popped;
            }
            self.rest(id);
        }
    }

    /// A client is silent: it holds no memory that it does not need.
    fn rest(&mut self, id: QueueId) {
        /// So many are kept.
        const FEW: usize = 64;
        /// After so many, what ended of others meanwhile is looked for.
        const MANY: u32 = 16;
        self.silent += 1;
        if self.silent >= MANY {
            self.sweep();
        }
        let Some(mut left) = self.get_mut(id).and_then(PeerQueue::rest) else {
            return;
        };
        self.dropped = self.dropped.saturating_add(left.queue.dropped);
        left.queue.dropped = 0;
        left.deficit = 0;
        left.queue.shrink();
        if self.spare.len() < FEW {
            self.spare.push(left);
        }
    }

    /// Looks at one client after the other: nobody is told here that the calls of a silent one have ended.
    pub(super) fn sweep(&mut self) {
        self.silent = 0;
        let slots = self.queues.capacity().max(1);
        self.swept = (self.swept + 1) % slots;
        if let Some(queue) = self.queues.get_mut(self.swept) {
            queue.forget_ended_calls();
        }
    }

    /// Nothing may be sent now: those that wait for a call of theirs to end wake `waker`. Returns whether one has ended.
    pub(in crate::router::outbox) fn park(&mut self, waker: &Waker) -> bool {
        for id in &self.awaiting_calls {
            if let Some(calls) = self.get(*id).and_then(|queue| queue.calls.as_ref()) {
                calls.wake_when_one_ends(waker);
            }
        }
        self.look_at_calls()
    }

    /// Those whose calls have ended go on. Returns whether there are any.
    pub(in crate::router::outbox) fn look_at_calls(&mut self) -> bool {
        let mut any = false;
        // It keeps its memory, since this is asked for each item.
        let mut awaiting = std::mem::take(&mut self.awaiting_calls);
        awaiting.retain(|id| match self.get_mut(*id) {
            Some(queue) if queue.has_too_many_calls() => true,
            Some(queue) => {
                any = true;
                queue.awaits_call = false;
                self.make_ready(id.slot);
                false
            }
            None => false,
        });
        self.awaiting_calls = awaiting;
        any
    }
}
