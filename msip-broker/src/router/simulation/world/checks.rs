//! Both brokers are the same.

use super::{
    Checked, Link, World,
    calls::Call,
    limits::{AWAY, OUTGOING, SIZE},
    message::{Message, Shown, numbers, text},
};
use crate::{
    router::{OutboxItem, Target, choices, outbox::Status},
    topic::Filter,
};

/// What waits in some queues.
pub(super) fn show_lanes(lanes: [Vec<&OutboxItem>; 3]) -> [Vec<Shown>; 3] {
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
                (
                    vec![call.number],
                    Target::Service,
                    text(&assigned.request.topic),
                )
            }
            OutboxItem::Presence(_)
            | OutboxItem::TopicSpoken(_)
            | OutboxItem::SubscriptionEnded(..) => {
                panic!("nobody asked for it")
            }
        }
    };
    lanes.map(|lane| lane.iter().map(show).collect())
}

impl World {
    /// What is really in the queues of a session.
    pub(super) fn actual(&self, at: usize) -> [Vec<Shown>; 3] {
        self.sims[at]
            .handle
            .0
            .with_outbox(|outbox| show_lanes(outbox.lanes()))
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
            let now = self.now;
            self.compare_peers(at, now)?;
            let expected = &self.sims[at].lanes;
            let expected = expected
                .each_ref()
                .map(|lane| lane.iter().map(Message::shown).collect::<Vec<_>>());
            if actual != expected {
                return Err(format!("{at} has {actual:?}, not {expected:?}"));
            }
            let bound = match status {
                Status::Ended(_) => 0,
                Status::Away => AWAY.max(2 * OUTGOING),
                Status::Connected => 2 * OUTGOING,
            };
            // What waits of clients leaves place for all else.
            let bound = match self.sims[at].peers.is_empty() {
                true => bound,
                false => 2 * bound,
            };
            let (bytes, waiting) = self.sims[at]
                .handle
                .0
                .with_outbox(|outbox| (outbox.bytes(), outbox.count()));
            if waiting > bound || (bytes == 0) != (waiting == 0) {
                return Err(format!("{at} has {waiting} messages of {bytes} bytes"));
            }
            let open = self.sims[at].handle.open_calls();
            let known = self.open_calls(at);
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
            self.trace.push(waiting as u64);
        }
        self.choices.extend(choices::take());
        if let Some(choice) = self.choices.pop_front() {
            return Err(format!("nobody expects {choice:?}"));
        }
        let mut refused = self.refused_calls.lock().expect("outcomes");
        let (mut refused, mut expected) = (
            std::mem::take(&mut *refused),
            std::mem::take(&mut self.expected_refusals),
        );
        refused.sort_unstable_by_key(|one| one.0);
        expected.sort_unstable_by_key(|one| one.0);
        if refused != expected {
            return Err(format!("{refused:?} are refused, not {expected:?}"));
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
}
