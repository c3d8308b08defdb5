//! Streams that cost more than they look, and that nobody reads, feeds or ends.

use msip_runtime::wire::{Flags, FrameType, Side};
use msip_tests::{
    attack::{AttackOnServer, Attacker, Bounds, MIB, RawMessage},
    raw,
};

use crate::messages::{control, count, credit, sum};

/// Opens streams of items of this length, with all the credit that there can be.
async fn open(attacker: &mut Attacker, streams: usize, ballast_len: u32) {
    for _ in 0..streams {
        let id = attacker.next_id();
        let mut frames = count(ballast_len).frame(Side::Connecting, id);
        frames.extend(credit(id, 1 << 30, 1 << 31));
        attacker.send(&frames).await;
    }
}

#[test]
fn items_that_compress_well_and_are_not_read() {
    // An item of 64 KiB takes a hundred bytes of the queue.
    AttackOnServer::new("400 streams of items of 64 KiB that compress well, which are not read")
        .run(async |target| {
            let mut attacker = target.enter().await;
            open(&mut attacker, 400, 64 * 1024).await;
            attacker
        });
}

#[test]
fn items_of_nothing_that_are_read() {
    AttackOnServer::new("200 streams of empty items, as many as are read")
        .attackers(2)
        .run(async |target| {
            let mut attacker = target.enter().await;
            open(&mut attacker, 200, 0).await;
            for _ in 0..5_000 {
                attacker.hear_type(FrameType::Ack).await;
            }
            attacker
        });
}

#[test]
fn requests_that_stop() {
    AttackOnServer::new("4,096 streams of requests, of which nothing comes after the first")
        .attackers(4)
        .within(Bounds {
            memory: 4 * 1024 * PER_CALL,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            let streams = attacker.frames(&sum(), 1024);
            attacker.send(&streams).await;
            attacker
        });
}

/// What a call holds whose handler waits, in a debug build.
const PER_CALL: u64 = 8 * 1024;

#[test]
fn requests_that_are_cancelled() {
    AttackOnServer::new(
        "streams of requests that are opened and cancelled, as many as are allowed",
    )
    .attackers(4)
    .run(async |target| {
        let mut attacker = target.enter().await;
        let mut frames = Vec::new();
        for _ in 0..20_000 {
            let id = attacker.next_id();
            frames.extend(sum().frame(Side::Connecting, id));
            frames.extend(control(FrameType::Cancel, id));
        }
        attacker.send(&frames).await;
        attacker
    });
}

#[test]
fn readers_that_take_one_item_at_a_time() {
    AttackOnServer::new("64 streams, each with credit for one item after the other")
        .attackers(4)
        .within(Bounds {
            memory: 16 * MIB,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            let mut ids = Vec::new();
            for _ in 0..16 {
                let id = attacker.next_id();
                attacker.send(&count(16).frame(Side::Connecting, id)).await;
                ids.push(id);
            }
            for _ in 0..20 {
                let round: Vec<u8> = ids.iter().flat_map(|&id| credit(id, 1, 64)).collect();
                attacker.send(&round).await;
            }
            attacker
        });
}

#[test]
fn items_of_a_stream_that_was_refused() {
    AttackOnServer::new("50,000 items of a stream that was refused").run(async |target| {
        let mut attacker = target.enter().await;
        let id = attacker.next_id();
        let refused = RawMessage::call(999, "").flags(Flags::MORE);
        attacker.send(&refused.frame(Side::Connecting, id)).await;
        attacker.hear_until(id).await;
        let item = RawMessage::call(9, "").flags(Flags::ITEM | Flags::MORE);
        attacker
            .send(&item.frame(Side::Connecting, id).repeat(50_000))
            .await;
        attacker.send(&raw::frame(FrameType::Cancel, id, b"")).await;
        attacker
    });
}
