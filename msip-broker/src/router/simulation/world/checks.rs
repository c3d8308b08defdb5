//! Both brokers are the same.

use std::time::Duration;

use super::{
    Checked, Link, Sim, World,
    calls::Call,
    limits::{AWAY, MAX_RUN, OUTGOING, SIZE},
    message::{Message, Shown, numbers, text},
};
use crate::{
    router::{OutboxItem, Target, outbox::Status},
    topic::Filter,
};

impl World {
    /// What is really in the queues of a session.
    pub(super) fn actual(&self, at: usize) -> [Vec<Shown>; 3] {
        let show = |item: &&OutboxItem| -> Shown {
            match item {
                OutboxItem::Publication(delivery) => (
                    numbers(&delivery.publication),
                    delivery.target.clone(),
                    text(&delivery.publication.topic),
                ),
                OutboxItem::Exchange(assigned) => {
                    let exchange: &dyn std::any::Any = &*assigned.request.exchange;
                    let call = exchange.downcast_ref::<Call>().expect("a call");
                    (vec![call.0], Target::Service, text(&assigned.request.topic))
                }
                OutboxItem::Presence(_) | OutboxItem::SubscriptionEnded(_) => {
                    panic!("nobody asked for it")
                }
            }
        };
        self.sims[at].handle.0.with_outbox(|outbox| {
            outbox
                .lanes()
                .map(|lane| lane.iter().map(show).collect::<Vec<_>>())
        })
    }

    pub(super) fn status(&self, at: usize) -> Status {
        self.sims[at].handle.0.with_outbox(|outbox| outbox.status())
    }

    /// The queues of both brokers are the same.
    pub(super) fn compare(&mut self) -> Checked {
        for at in 0..self.sims.len() {
            let (actual, status) = (self.actual(at), self.status(at));
            let is_same = matches!(
                (self.sims[at].link, status),
                (Link::Ready | Link::Writing, Status::Connected) | (Link::Away(_), Status::Away)
            ) || matches!((self.sims[at].link, status),
                (Link::Ended(one), Status::Ended(other)) if one == other);
            if !is_same {
                return Err(format!("{at} is {status:?}, not {:?}", self.sims[at].link));
            }
            // What has expired may be dropped at any time.
            let now = self.now;
            for lane in &mut self.sims[at].lanes {
                lane.retain(|one| {
                    let has_expired = one.expires.is_some_and(|expires| expires <= now);
                    !has_expired || actual.iter().flatten().any(|it| *it == one.shown())
                });
            }
            let expected = &self.sims[at].lanes;
            let expected = expected
                .each_ref()
                .map(|lane| lane.iter().map(Message::shown).collect::<Vec<_>>());
            // Dead letters, and what is handed over from others, are in no order with the rest.
            let in_order = |lanes: &[Vec<Shown>; 3]| {
                lanes.each_ref().map(|lane| {
                    let is_dead =
                        |one: &&Shown| one.2.starts_with('$') || one.1 != Target::Everyone;
                    let (mut dead, mut rest): (Vec<Shown>, Vec<Shown>) =
                        lane.iter().cloned().partition(|one| is_dead(&one));
                    dead.sort_unstable_by_key(|one| one.0.clone());
                    rest.append(&mut dead);
                    rest
                })
            };
            if in_order(&actual) != in_order(&expected) {
                return Err(format!("{at} has {actual:?}, not {expected:?}"));
            }
            for (lane, actual) in self.sims[at].lanes.iter_mut().zip(&actual) {
                lane.sort_by_key(|one| {
                    let shown = one.shown();
                    actual.iter().position(|other| *other == shown)
                });
            }
            let bound = match status {
                Status::Ended(_) => 0,
                Status::Away => AWAY.max(2 * OUTGOING),
                Status::Connected => 2 * OUTGOING,
            };
            let (bytes, waiting) = self.sims[at]
                .handle
                .0
                .with_outbox(|outbox| (outbox.bytes(), outbox.count()));
            if waiting > bound || (bytes == 0) != (waiting == 0) {
                return Err(format!("{at} has {waiting} messages of {bytes} bytes"));
            }
            let open = self.sims[at].handle.open_calls();
            let calls = self.sims[at]
                .lanes
                .iter()
                .flatten()
                .filter(|one| one.is_call);
            let known = calls.count() + self.sims[at].calls.len();
            if open != known {
                return Err(format!("{at} counts {open} open calls, not {known}"));
            }
            let mut filters: Vec<String> = self
                .router
                .subscriptions(&self.sims[at].handle)
                .iter()
                .map(|filter| match filter {
                    Filter::Literal(topic) => text(topic),
                    Filter::Pattern(filter) => filter.as_str().to_owned(),
                })
                .collect();
            filters.sort_unstable();
            if !filters.iter().eq(self.sims[at].filters.keys()) {
                return Err(format!(
                    "{at} has {filters:?}, not {:?}",
                    self.sims[at].filters
                ));
            }
            let is_long = status == Status::Connected && waiting > OUTGOING / 2;
            let sim = &mut self.sims[at];
            // One that comes back with a long queue has its time from the next message on.
            let has_grown = waiting > std::mem::replace(&mut sim.waited, waiting);
            let since = sim.stuck_since.or(has_grown.then_some(now));
            sim.stuck_since = since.filter(|_| is_long);
            self.trace.push(waiting as u64);
        }
        let (kept, bytes) = self.router.kept_totals_now();
        if kept != self.kept.len() || bytes != kept * SIZE {
            return Err(format!(
                "{kept} STATEs of {bytes} bytes are kept, not {}",
                self.kept.len()
            ));
        }
        Ok(())
    }

    /// A publisher is told to wait: not for itself, nor for one that takes nothing.
    pub(super) fn check_wait(&self, publisher: usize) -> Checked {
        let is_waited_for = |(at, sim): (usize, &Sim)| {
            let goes_on = |since: Duration| since + self.router.limits().push_back > self.now;
            // One that has ended by the same messages may have been waited for before.
            let has_ended = matches!(self.status(at), Status::Ended(_))
                && matches!(sim.link, Link::Ready | Link::Writing);
            // LOGs of the same run may have displaced others since it was long.
            let was_long = sim.handle.waiting() + MAX_RUN > OUTGOING / 2;
            at != publisher
                && (has_ended || sim.handle.is_connected() && was_long)
                && sim.stuck_since.is_none_or(goes_on)
        };
        match self.sims.iter().enumerate().any(is_waited_for) {
            true => Ok(()),
            false => Err(format!("{publisher} waits, and nobody who goes on is slow")),
        }
    }
}
