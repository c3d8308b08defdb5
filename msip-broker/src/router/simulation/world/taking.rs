//! Sessions take what waits for them.

use std::task::{Context, Poll, Waker};

use super::{
    Checked, Link, World,
    calls::Call,
    limits::{OUTGOING, SIZE},
    message::{Message, numbers},
    typed::OpenedCall,
};
use crate::router::{EndReason, OutboxItem};

impl World {
    pub(super) fn take(&mut self, at: usize) -> Checked {
        let mut items = Vec::new();
        let mut task = Context::from_waker(Waker::noop());
        let most = SIZE * (1 + self.random.below(12));
        let mut taken = self.sims[at]
            .handle
            .poll_take(self.now, most, &mut items, &mut task);
        if let [OutboxItem::SubscriptionEnded(..), ..] = items[..] {
            // They come alone, and before all else.
            items.clear();
            taken = self.sims[at]
                .handle
                .poll_take(self.now, most, &mut items, &mut task);
        }
        self.say(|| format!("{at} takes {most}: {}", items.len()));
        let is_expected = match (self.sims[at].link, taken) {
            (Link::Ended(reason), Poll::Ready(Err(other))) => {
                return check_reason(at, reason, other);
            }
            (Link::Ended(_), _) => false,
            (Link::Away(_), _) => true,
            (_, Poll::Ready(Ok(()))) => !items.is_empty(),
            (_, Poll::Pending) => items.is_empty(),
            (_, Poll::Ready(Err(_))) => false,
        };
        if !is_expected {
            return Err(format!("{at} takes {taken:?}"));
        }
        if !matches!(self.sims[at].link, Link::Away(_)) {
            self.sims[at].link = match taken {
                Poll::Ready(_) => Link::Writing,
                Poll::Pending => Link::Ready,
            };
        }
        for item in items {
            let of;
            let numbers = match item {
                OutboxItem::Publication(delivery) => {
                    of = delivery.client.as_ref().map(|it| self.client_key(it));
                    let numbers = numbers(&delivery.publication);
                    let expires = delivery.publication.expires_at;
                    if expires.is_some_and(|expires| expires <= self.now) {
                        return Err(format!("{at} takes {numbers:?}, which have expired"));
                    }
                    self.sims[at].taken.push(delivery);
                    numbers
                }
                OutboxItem::Exchange(assigned) => {
                    of = assigned.client().map(|it| self.client_key(it));
                    let (request, open) = assigned.into_parts();
                    let exchange: Box<dyn std::any::Any> = request.exchange;
                    let call = exchange.downcast::<Call>().map_err(|_| "no call")?;
                    let queue = of.as_ref().map(|of| self.queue_of(at, of)).transpose()?;
                    self.sims[at].calls.push(OpenedCall {
                        number: call.number,
                        open,
                        queue,
                    });
                    vec![call.number]
                }
                OutboxItem::Presence(presence) => {
                    self.take_presence(at, &presence)?;
                    continue;
                }
                OutboxItem::TopicSpoken(_) | OutboxItem::SubscriptionEnded(..) => continue,
            };
            if let Some(of) = of {
                self.take_of_client(at, &of, &numbers)?;
                continue;
            }
            let now = self.now;
            let has_expired = |one: &Message| one.expires.is_some_and(|expires| expires <= now);
            let waits = |lane: usize| {
                let mut queue = self.sims[at].lanes[lane].iter();
                queue.any(|one| !has_expired(one))
            };
            let both = waits(0) && (waits(1) || waits(2));
            let lanes = &self.sims[at].lanes;
            // What has expired is passed over.
            let is_next = |lane: &&usize| {
                let next = lanes[**lane].iter().find(|one| !has_expired(one));
                next.is_some_and(|one| one.numbers == numbers)
            };
            let Some(&lane) = [0, 1, 2].iter().find(is_next) else {
                return Err(format!(
                    "{at} takes {numbers:?}, which is nowhere next in {lanes:?}"
                ));
            };
            while has_expired(&self.sims[at].lanes[lane][0]) {
                self.sims[at].lanes[lane].remove(0);
            }
            let message = self.sims[at].lanes[lane].remove(0);
            let count = message.numbers.len() as i64;
            let lead = &mut self.sims[at].lead;
            *lead = match (both, lane) {
                (false, _) => 0,
                (true, 0) => *lead + count,
                (true, _) => *lead - count,
            };
            // The longest run has four, and dead letters are a little longer.
            if lead.abs() > 6 {
                return Err(format!("{at}: urgent messages are ahead by {lead}"));
            }
        }
        let now = self.now;
        if taken.is_pending() && self.is_connected(at) {
            self.check_nothing_waits(at)?;
        }
        if taken.is_pending() {
            for queue in &mut self.sims[at].lanes {
                queue.retain(|one| one.expires.is_none_or(|expires| expires > now));
            }
        } else {
            // Those that had expired may have been passed over after the last item.
            let actual = self.actual(at);
            for (queue, actual) in self.sims[at].lanes.iter_mut().zip(actual) {
                while queue.len() > actual.len()
                    && queue[0].expires.is_some_and(|expires| expires <= now)
                {
                    queue.remove(0);
                }
            }
        }
        let is_long = self.is_connected(at) && self.waiting(at) > OUTGOING / 2;
        let since = &mut self.sims[at].stuck_since;
        *since = match is_long {
            // It has taken all that it was given before.
            true => since.and(Some(now)),
            false => None,
        };
        Ok(())
    }
}

fn check_reason(at: usize, one: EndReason, other: EndReason) -> Checked {
    match one == other {
        true => Ok(()),
        false => Err(format!("{at} is told {other:?}, not {one:?}")),
    }
}
