//! The writer takes what is in an outbox.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{Outbox, OutboxItem, Status, Writer};
use crate::router::{EndReason, Limits, WakeList};

impl Outbox {
    /// Takes items of up to `max_bytes`, and one in any case. Pending if there are none: the task is woken by the next one.
    pub(in crate::router) fn poll_take(
        &mut self,
        now: Duration,
        max_bytes: usize,
        limits: &Limits,
        taken: &mut Vec<OutboxItem>,
        wakes: &mut WakeList,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), EndReason>> {
        if let Status::Ended(reason) = self.status {
            return Poll::Ready(Err(reason));
        }
        // What is left is there after the session's end alone.
        let ended = self.ended.take().map(|ended| ended.subscriptions);
        if let Some(ended) = ended.filter(|ended| !ended.is_empty()) {
            let ended = ended.into_iter();
            taken.extend(ended.map(|(filter, why)| OutboxItem::SubscriptionEnded(filter, why)));
            self.writer = Writer::Busy(None);
            return Poll::Ready(Ok(()));
        }
        let (mut bytes, mut any) = (0_usize, false);
        while bytes < max_bytes {
            self.queue.pass_over_expired(now);
            let Some((item, len)) = self.pop(now, limits, wakes) else {
                break;
            };
            bytes = bytes.saturating_add(len);
            taken.push(item);
            any = true;
        }
        if !self.is_congested(limits) {
            self.pace.is_short(wakes);
        }
        if !any {
            if let Some(peers) = &mut self.peers
                && peers.park(task.waker())
            {
                // A call has ended just now.
                return self.poll_take(now, max_bytes, limits, taken, wakes, task);
            }
            match &self.writer {
                Writer::Parked(waker, _) if waker.will_wake(task.waker()) => {}
                Writer::Parked(_, since) => {
                    self.writer = Writer::Parked(task.waker().clone(), *since);
                }
                _ => self.writer = Writer::Parked(task.waker().clone(), now),
            }
            self.queue.shrink();
            return Poll::Pending;
        }
        self.pace.caught_up(now);
        self.writer = Writer::Busy(None);
        Poll::Ready(Ok(()))
    }

    /// The next item: of the topics with a window of their own, and of all else, in turn.
    fn pop(
        &mut self,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        if self.topics.is_none() {
            return self.pop_other(now, limits, wakes);
        }
        self.is_turn_of_topics = !self.is_turn_of_topics;
        let first = match self.is_turn_of_topics {
            true => None,
            false => self.pop_other(now, limits, wakes),
        };
        if first.is_some() {
            return first;
        }
        let topics = self.topics.as_mut();
        let second = topics.and_then(|topics| topics.pop(now, limits, wakes));
        match self.is_turn_of_topics && second.is_none() {
            true => self.pop_other(now, limits, wakes),
            false => second,
        }
    }

    /// The next item: of the clients that are heard apart, and of all else, in turn.
    fn pop_other(
        &mut self,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        let Some(peers) = &mut self.peers else {
            return self.queue.pop();
        };
        self.is_turn_of_peers = !self.is_turn_of_peers;
        peers.look_at_calls();
        let most = limits.outgoing_bytes;
        match self.is_turn_of_peers {
            true => peers.pop(now, most, wakes).or_else(|| self.queue.pop()),
            false => self.queue.pop().or_else(|| peers.pop(now, most, wakes)),
        }
    }
}
