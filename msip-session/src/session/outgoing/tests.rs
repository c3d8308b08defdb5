use super::*;
use crate::wire::write_ping;

fn push(outgoing: &mut OutgoingQueue, priority: Priority, len: usize) -> Position {
    outgoing.push(priority, |bytes| {
        bytes.resize(bytes.len() + len, priority as u8)
    })
}

fn take_all(outgoing: &mut OutgoingQueue) -> Vec<(Priority, usize)> {
    std::iter::from_fn(|| {
        let transmit = outgoing.take()?;
        let taken = (transmit.priority, transmit.bytes.len());
        outgoing.complete(transmit);
        Some(taken)
    })
    .collect()
}

#[test]
fn few_buffers_are_shared_and_many_are_kept() {
    let mut outgoing = OutgoingQueue::new(64 * CHUNK_LEN * ChunkPool::MAX_BUFFERS);
    assert!(outgoing.share_buffers().is_none(), "it has none");
    outgoing.fill_buffers(vec![Vec::with_capacity(CHUNK_LEN)]);
    push(&mut outgoing, Priority::Normal, 32);
    assert!(!outgoing.has_buffers(), "it is in use");
    let transmit = outgoing.take().unwrap();
    assert_eq!(transmit.bytes.capacity(), CHUNK_LEN);
    outgoing.complete(transmit);
    let shared = outgoing.share_buffers().unwrap();
    assert_eq!((shared.len(), shared[0].len()), (1, 0));

    for _ in 0..=ChunkPool::MAX_SHARED {
        push(&mut outgoing, Priority::Normal, CHUNK_LEN);
    }
    take_all(&mut outgoing);
    assert!(outgoing.share_buffers().is_none());
    assert!(outgoing.has_buffers());
    outgoing.release();
    assert!(!outgoing.has_buffers());
}

#[test]
fn frames_that_are_ready_together_leave_in_one_chunk() {
    let mut outgoing = OutgoingQueue::default();
    for _ in 0..100 {
        push(&mut outgoing, Priority::Normal, 32);
    }
    assert_eq!(outgoing.cost(), 100 * (32 + 64));
    assert_eq!(take_all(&mut outgoing), [(Priority::Normal, 3200)]);
    assert_eq!(outgoing.cost(), 0);
    assert!(outgoing.is_empty());
}

#[test]
fn urgent_frames_overtake_but_take_at_most_half() {
    let mut outgoing = OutgoingQueue::default();
    for _ in 0..3 {
        push(&mut outgoing, Priority::Normal, CHUNK_LEN);
        push(&mut outgoing, Priority::Urgent, CHUNK_LEN);
    }
    let order: Vec<Priority> = take_all(&mut outgoing)
        .into_iter()
        .map(|(priority, _)| priority)
        .collect();
    use Priority::{Normal, Urgent};
    assert_eq!(order, [Urgent, Normal, Urgent, Normal, Urgent, Normal]);
}

#[test]
fn sent_frames_are_known_to_the_byte() {
    let mut outgoing = OutgoingQueue::default();
    let first = push(&mut outgoing, Priority::Normal, 10);
    let second = push(&mut outgoing, Priority::Normal, 10);
    assert!(!outgoing.is_sent(first));
    let transmit = outgoing.take().unwrap();
    assert!(outgoing.is_sent(first) && outgoing.is_sent(second));
    outgoing.abandon(&transmit, 10);
    assert!(outgoing.is_sent(first) && !outgoing.is_sent(second));
}

#[test]
fn unwritten_frames_are_taken_out_one_by_one() {
    let mut outgoing = OutgoingQueue::default();
    for id in 1..=3 {
        outgoing.push(Priority::Normal, |bytes| {
            write_ping(bytes, MsgId::new(id), &[7])
        });
    }
    let transmit = outgoing.take().unwrap();
    outgoing.push(Priority::Urgent, |bytes| {
        write_ping(bytes, MsgId::new(4), &[])
    });
    outgoing.push(Priority::Normal, |bytes| {
        write_ping(bytes, MsgId::new(5), &[])
    });
    let unwritten = outgoing.take_unwritten(Some((&transmit, 26)));
    let seen: Vec<(u8, bool)> = unwritten
        .iter()
        .map(|unwritten| (unwritten.frame[23], unwritten.is_begun))
        .collect();
    assert_eq!(seen, [(2, true), (3, false), (4, false), (5, false)]);
    assert!(outgoing.is_empty() && outgoing.cost() == 0);
}

#[test]
fn responses_are_counted_apart_from_requests() {
    let respond = |outgoing: &mut OutgoingQueue, len| {
        outgoing.push_response(Priority::Normal, |bytes| bytes.resize(bytes.len() + len, 0));
    };
    let mut outgoing = OutgoingQueue::default();
    push(&mut outgoing, Priority::Normal, 4 * CHUNK_LEN);
    assert_eq!(outgoing.response_cost(), 0);
    for _ in 0..3 {
        respond(&mut outgoing, CHUNK_LEN);
    }
    push(&mut outgoing, Priority::Urgent, 100);
    assert_eq!(outgoing.response_cost(), 3 * (CHUNK_LEN + 64));
    for count in [3, 3, 2, 1, 0] {
        let transmit = outgoing.take().unwrap();
        outgoing.complete(transmit);
        assert_eq!(outgoing.response_cost(), count * (CHUNK_LEN + 64));
    }
    assert_eq!(outgoing.cost(), 0);
    respond(&mut outgoing, 10);
    outgoing.clear();
    assert_eq!(outgoing.response_cost(), 0);
}

#[test]
fn clearing_keeps_the_count_of_taken_chunks() {
    let mut outgoing = OutgoingQueue::default();
    push(&mut outgoing, Priority::Normal, 100);
    let transmit = outgoing.take().unwrap();
    push(&mut outgoing, Priority::Normal, 100);
    outgoing.clear();
    assert_eq!(outgoing.cost(), 164);
    outgoing.complete(transmit);
    assert_eq!(outgoing.cost(), 0);
}

#[test]
fn a_withdrawn_frame_is_not_sent() {
    let mut outgoing = OutgoingQueue::default();
    let positions: Vec<Position> = (1..=4)
        .map(|id| {
            outgoing.push(Priority::Normal, |bytes| {
                write_ping(bytes, MsgId::new(id), &[0; 10])
            })
        })
        .collect();
    assert!(outgoing.withdraw(positions[2]));
    assert!(outgoing.withdraw(positions[0]));
    let transmit = outgoing.take().unwrap();
    let mut expected = Vec::new();
    write_ping(&mut expected, MsgId::new(2), &[0; 10]);
    write_ping(&mut expected, MsgId::new(4), &[0; 10]);
    assert_eq!(transmit.bytes, expected);
    assert!(!outgoing.withdraw(positions[1]), "too late");
    outgoing.complete(transmit);
    assert_eq!(outgoing.cost(), 0);
}

#[test]
fn an_exchange_is_withdrawn_with_all_of_its_frames() {
    let mut outgoing = OutgoingQueue::default();
    let push = |outgoing: &mut OutgoingQueue, id, len| {
        outgoing.push(Priority::Normal, |bytes| {
            write_ping(bytes, MsgId::new(id), &vec![0; len])
        })
    };
    push(&mut outgoing, 1, 10);
    let first = push(&mut outgoing, 2, 10);
    // The next frames are in another chunk.
    push(&mut outgoing, 3, CHUNK_LEN);
    push(&mut outgoing, 2, 10);
    push(&mut outgoing, 4, 10);
    push(&mut outgoing, 2, 20);
    assert!(outgoing.withdraw_all(first, MsgId::new(2)));
    let mut sent = Vec::new();
    while let Some(transmit) = outgoing.take() {
        let mut rest = transmit.bytes.as_slice();
        while let Some(frame) = first_frame(rest) {
            sent.extend(id_of(frame).map(MsgId::number));
            rest = &rest[frame.len()..];
        }
        outgoing.complete(transmit);
    }
    assert_eq!(sent, [1, 3, 4]);
    assert_eq!(outgoing.cost(), 0);
    assert!(!outgoing.withdraw_all(first, MsgId::new(2)), "too late");
}
