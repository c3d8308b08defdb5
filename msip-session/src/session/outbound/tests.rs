use std::time::Duration;

use super::*;
use crate::{
    session::{outgoing::OutgoingQueue, request::Priority, streams::StreamTable},
    wire::Credit,
};

const SOON: Duration = Duration::from_secs(1);

/// The table, and the streams of its exchanges.
struct Table {
    outbound: OutboundExchanges,
    streams: StreamTable,
}

impl Table {
    fn new(side: Side) -> Self {
        Self {
            outbound: OutboundExchanges::new(side),
            streams: StreamTable::new(Credit::STREAM_START),
        }
    }

    fn call(&mut self, token: usize, deadline: Duration) -> (MsgId, Slot) {
        let vacant = self.outbound.vacant_call();
        let id = vacant.id();
        (id, vacant.insert(opening(token, deadline), None))
    }

    fn deliver(&mut self, token: usize) -> MsgId {
        let vacant = self.outbound.vacant_delivery();
        let id = vacant.id();
        vacant.insert(opening(token, SOON), None);
        id
    }

    fn answer(&mut self, id: MsgId) -> Option<usize> {
        let ended = self.outbound.answer(id, &mut self.streams);
        let token = ended.and_then(|ended| match ended {
            Ended::Awaited(token) => Some(token),
            Ended::Abandoned(_) => None,
        });
        token.map(Token::index)
    }

    fn expire(&mut self, now: Duration) -> Vec<usize> {
        let mut expired = Vec::new();
        let calls = self.outbound.expire(now, &mut self.streams, &mut expired);
        for slot in calls {
            self.outbound.forget(slot, &mut self.streams);
        }
        expired.into_iter().map(Token::index).collect()
    }
}

fn opening(token: usize, deadline: Duration) -> Opening {
    Opening {
        variant: 1,
        token: Token::new(token),
        is_urgent: false,
        caller: 0,
        deadline,
        position: OutgoingQueue::default().push(Priority::Normal, |_| ()),
        kept: Vec::new(),
    }
}

#[test]
fn an_answer_finds_its_exchange_once() {
    let mut table = Table::new(Side::Connecting);
    let (first, slot) = table.call(7, SOON);
    assert_eq!(table.answer(first), Some(7));
    assert_eq!(table.answer(first), None, "answered twice");
    let (second, again) = table.call(8, SOON);
    assert_eq!(again, slot, "slots are reused");
    assert_eq!(
        table.answer(first),
        None,
        "a late answer never reaches another waiter"
    );
    assert!(second > first, "ids increase");
    assert_eq!(table.answer(second), Some(8));
}

#[test]
fn a_vacant_slot_that_is_not_used_stays_free() {
    let mut table = Table::new(Side::Connecting);
    let unused = table.outbound.vacant_call().id();
    let unused_delivery = table.outbound.vacant_delivery().id();
    assert!(table.outbound.is_idle());
    assert_eq!(table.answer(unused), None);
    let (id, slot) = table.call(1, SOON);
    assert_eq!(slot, Slot::from_index(0));
    assert!(id > unused, "its id is not used again");
    assert_eq!(table.deliver(2), unused_delivery, "deliveries have no gaps");
}

#[test]
fn deliveries_count_without_gaps_and_may_be_answered_in_any_order() {
    let mut table = Table::new(Side::Accepting);
    let ids: Vec<_> = (0..4).map(|token| table.deliver(token)).collect();
    let sequences: Vec<_> = ids.iter().map(|id| id.sequence()).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
    assert_eq!(table.answer(ids[2]), Some(2));
    assert_eq!(table.answer(ids[0]), Some(0));
    assert_eq!(table.answer(ids[0]), None);
    assert_eq!(table.deliver(4).sequence(), 5);
    assert_eq!(table.answer(ids[1]), Some(1));
    let never_sent = MsgId::delivery(Side::Accepting, 6);
    assert_eq!(table.answer(never_sent), None);
}

#[test]
fn deliveries_stop_at_the_window() {
    let mut table = Table::new(Side::Connecting);
    let oldest = table.deliver(0);
    while table.outbound.can_deliver() {
        let id = table.deliver(1);
        table.answer(id);
        if id.sequence() == 4096 {
            assert!(!table.outbound.can_deliver(), "the oldest one still waits");
        }
    }
    table.answer(oldest);
    assert!(table.outbound.can_deliver());
    assert!(table.outbound.is_idle());
}

#[test]
fn memory_of_a_burst_is_freed() {
    let mut table = Table::new(Side::Connecting);
    let deliveries: Vec<_> = (0..100).map(|token| table.deliver(token)).collect();
    let calls: Vec<_> = (0..100).map(|_| table.call(0, SOON).0).collect();
    for id in deliveries.iter().chain(&calls[1..]) {
        table.answer(*id);
    }
    table.outbound.release();
    assert_eq!(table.outbound.books.deliveries.capacity(), 0);
    assert_eq!(table.answer(calls[0]), Some(0), "what is open stays");
    table.outbound.release();
    assert_eq!(table.outbound.entries.capacity(), 0);
    let (id, slot) = table.call(9, SOON);
    assert_eq!((slot.index(), table.answer(id)), (0, Some(9)));
}

#[test]
fn an_exchange_times_out_once() {
    let mut table = Table::new(Side::Connecting);
    table.call(5, Duration::from_secs(5));
    table.call(1, SOON);
    assert_eq!(table.outbound.poll_timeout(), Some(SOON));
    assert_eq!(table.expire(SOON), [1]);
    let next = table.outbound.poll_timeout();
    assert_eq!(next, Some(Duration::from_secs(5)));
    assert_eq!(table.expire(Duration::from_secs(6)), [5]);
    assert!(table.outbound.is_idle());
}

#[test]
fn a_ping_is_not_ended_by_an_ack() {
    let mut table = Table::new(Side::Connecting);
    let vacant = table.outbound.vacant_ping();
    let id = vacant.id();
    vacant.insert(opening(3, SOON), None);
    assert_eq!(table.answer(id), None);
    assert_eq!(table.outbound.pong(id), Some(Token::new(3)));
}

#[test]
fn deliveries_that_are_lost_with_their_session_are_in_the_order_in_which_they_were_sent() {
    let mut table = Table::new(Side::Connecting);
    let before: Vec<_> = (0..4).map(|token| table.deliver(token)).collect();
    for id in before {
        table.answer(id);
    }
    // These use the same slots, in another order.
    for token in 10..13 {
        table.deliver(token);
    }
    table.call(20, SOON);
    let lost = table.outbound.take_all(&mut table.streams, |_| true);
    let tokens: Vec<_> = lost.iter().map(|lost| lost.token.index()).collect();
    assert_eq!(tokens, [10, 11, 12, 20]);
    assert!(table.outbound.is_idle());
}
