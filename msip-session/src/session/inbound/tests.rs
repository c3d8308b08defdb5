//! The table of inbound calls, by itself.

use super::*;
use crate::wire::Credit;

fn no_streams() -> StreamTable {
    StreamTable::new(Credit::STREAM_START)
}

#[test]
fn a_request_counts_with_what_it_has_grown_to() {
    let mut inbound = InboundCalls::new(4, 100);
    let first = inbound.begin(MsgId::new(1), false, 10).unwrap();
    assert_eq!(
        inbound.grow(first, 1000),
        Ok(990),
        "one alone may exceed the limit"
    );
    assert_eq!(
        inbound.begin(MsgId::new(2), false, 1),
        Err(Busy::Bytes { max: 100 })
    );
    let _ = inbound.end(first, &mut no_streams());
    let second = inbound.begin(MsgId::new(3), false, 10).unwrap();
    let third = inbound.begin(MsgId::new(4), false, 10).unwrap();
    assert_eq!(inbound.grow(second, 91), Err(Busy::Bytes { max: 100 }));
    assert_eq!(inbound.grow(second, 90), Ok(80));
    for slot in [second, third] {
        let _ = inbound.end(slot, &mut no_streams());
    }
    assert!(
        inbound.begin(MsgId::new(5), false, 100).is_ok(),
        "all of it is free again"
    );
}

#[test]
fn memory_of_a_burst_is_freed() {
    let mut inbound = InboundCalls::new(100, 100);
    let mut streams = no_streams();
    let slots: Vec<_> = (1..=100)
        .map(|id| inbound.begin(MsgId::new(id), false, 0).unwrap())
        .collect();
    inbound.open_streams(slots[3], &mut streams, true, true);
    for slot in &slots[1..] {
        let _ = inbound.end(*slot, &mut streams);
    }
    inbound.release();
    assert_eq!(streams.len(), 0);
    assert!(inbound.is_serving(MsgId::new(1)), "what is open stays");
    let _ = inbound.end(slots[0], &mut streams);
    inbound.release();
    assert_eq!(inbound.entries.capacity(), 0);
    assert_eq!(inbound.index.capacity(), 0);
}

#[test]
fn a_call_is_cancelled_once_and_found_by_its_id() {
    let mut inbound = InboundCalls::new(100, 100);
    let slots: Vec<_> = (1..=100)
        .map(|id| inbound.begin(MsgId::new(id), false, 0).unwrap())
        .collect();
    assert_eq!(inbound.cancel(MsgId::new(77)), Some(slots[76]));
    assert_eq!(inbound.cancel(MsgId::new(77)), None);
    assert_eq!(inbound.cancel(MsgId::new(101)), None);
    assert!(inbound.contains(slots[76]) && !inbound.is_awaited(slots[76], MsgId::new(77)));
    let cancelled = Unanswered::Cancelled {
        id: MsgId::new(77),
        is_urgent: false,
    };
    assert_eq!(inbound.end(slots[76], &mut no_streams()), Err(cancelled));
    assert_eq!(inbound.len(), 99);
}

#[test]
fn calls_count_until_their_handlers_end() {
    let mut inbound = InboundCalls::new(2, 100);
    let first = inbound.begin(MsgId::new(1), false, 60).unwrap();
    assert_eq!(
        inbound.begin(MsgId::new(2), false, 60),
        Err(Busy::Bytes { max: 100 })
    );
    let second = inbound.begin(MsgId::new(3), true, 40).unwrap();
    assert_eq!(
        inbound.begin(MsgId::new(4), false, 0),
        Err(Busy::Calls { max: 2 })
    );
    let mut end = |slot| inbound.end(slot, &mut no_streams());
    assert_eq!(end(first), Ok((MsgId::new(1), false)));
    assert_eq!(end(first), Err(Unanswered::Nothing));
    assert_eq!(end(second), Ok((MsgId::new(3), true)));
    assert!(inbound.is_idle());
    assert!(
        inbound.begin(MsgId::new(5), false, 1000).is_ok(),
        "one alone may exceed the limit"
    );
}
