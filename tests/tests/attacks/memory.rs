//! The worst peer of each kind costs what docs/operations.md says in "Worst cases": `max_memory`, and for each
//! connection what it is itself and what its kind may hold beyond that.

use msip_runtime::wire::{Flags, FrameType, Hello, MsgId, Side};
use msip_tests::{
    HANG,
    attack::{AttackOnServer, Bounds, KIB, MIB, RawMessage, Served, Target, body},
    lab::{ClientToServer, NoteInd},
    raw,
};

use crate::messages::{act, count, credit, echo, sum};

/// A connection whose handshake is done, without anything that it holds.
const CONNECTION: u64 = 24 * KIB;

/// What each connection may hold while memory is short.
const FLOOR: u64 = 64 * KIB;

/// What a call is while it is open, with the future of a small handler.
const CALL: u64 = 4 * KIB;

/// A chunk that is written, and twice what a read is offered.
const IN_TRANSIT: u64 = 3 * 64 * KIB;

/// What the allocator keeps, and pages of the program that were not used before.
const SLACK: u64 = 3 * MIB;

/// The least that there may be.
const MAX_MEMORY: u64 = MIB;

/// So many attackers, of which each may cost this beyond what a connection is.
fn attack(name: &'static str, attackers: u32, each: u64) -> AttackOnServer {
    let all = u64::from(attackers) * (CONNECTION + each);
    AttackOnServer::new(name)
        .attackers(usize::try_from(attackers).unwrap_or_default())
        .settings("max_memory=1MiB&outgoing_queue=64KiB&max_calls=128")
        .within(Bounds {
            memory: MAX_MEMORY + all + SLACK,
            lines: 4 * u64::from(attackers) + 200,
            descriptors: u64::from(attackers) + 20,
        })
}

#[test]
fn strangers() {
    attack(
        "memory: 200 strangers, and all but a byte of a HELLO of 16 KiB",
        200,
        64 * KIB,
    )
    .run(async |target| {
        let mut attacker = target.connect().await;
        let mut hello = raw::announced(FrameType::Hello, raw::HELLO_ID, 16 * 1024);
        hello.resize(hello.len() + 16 * 1024 - 1, 0);
        attacker.send(&hello).await;
        attacker
    });
}

#[test]
fn silent_clients() {
    attack(
        "memory: 200 clients that say nothing after their handshake",
        200,
        0,
    )
    .run(async |target| target.enter().await);
}

#[test]
fn frames_that_are_not_complete() {
    attack(
        "memory: 40 clients, and half of a frame of 4 MiB",
        40,
        FLOOR + IN_TRANSIT,
    )
    .run(async |target| {
        let mut attacker = target.enter().await;
        let id = MsgId::exchange(Side::Connecting, 2);
        let mut frame = raw::announced(FrameType::Publish, id, 4 << 20);
        frame.resize(2 << 20, 0);
        attacker.send(&frame).await;
        attacker
    });
}

/// A HELLO without any compression: all that is sent is as large as it looks.
fn uncompressed(target: &Target) -> Hello {
    Hello {
        compressions: Vec::new(),
        ..target.hello()
    }
}

#[test]
fn answers_that_are_not_read() {
    let queue = 64 * KIB;
    attack(
        "memory: 20 clients that read none of 100 answers of 16 KiB",
        20,
        FLOOR + queue + IN_TRANSIT,
    )
    .run(async |target| {
        let mut attacker = target.enter_with(&uncompressed(&target)).await;
        let calls = attacker.frames(&echo(16 * 1024), 100);
        attacker.send(&calls).await;
        attacker
    });
}

#[test]
fn streams_that_are_not_read() {
    let queue = 64 * KIB;
    attack(
        "memory: 10 clients that read none of 32 streams",
        10,
        32 * CALL + queue + IN_TRANSIT,
    )
    .run(async |target| {
        let mut attacker = target.enter_with(&uncompressed(&target)).await;
        for _ in 0..32 {
            let id = attacker.next_id();
            let mut frames = count(1024).frame(Side::Connecting, id);
            frames.extend(credit(id, 1 << 30, 1 << 31));
            attacker.send(&frames).await;
        }
        attacker
    });
}

#[test]
fn calls_that_wait() {
    attack(
        "memory: 20 clients with 128 calls that hang",
        20,
        128 * CALL,
    )
    .run_sending(&act("hang"), 128);
}

#[test]
fn streams_that_stop() {
    attack(
        "memory: 20 clients with 128 streams of requests that stop",
        20,
        128 * CALL,
    )
    .run_sending(&sum(), 128);
}

#[test]
fn requests_that_are_large_once_decoded() {
    attack(
        "memory: 20 clients with 64 calls of 1.5 or 6 KB that become many times as much and hang",
        20,
        FLOOR + IN_TRANSIT + 64 * CALL,
    )
    .served(Served::Sampler)
    .run(async |target| {
        let mut attacker = target.enter_with(&uncompressed(&target)).await;
        // A list of empty messages.
        let request = |leaves| {
            let text = body::field(14, HANG.as_bytes());
            let fields = [text, body::field(41, b"").repeat(leaves)].concat();
            RawMessage::call(1, body::field(1, &fields))
        };
        for leaves in [500, 2000] {
            let calls = attacker.frames(&request(leaves), 32);
            attacker.send(&calls).await;
        }
        attacker
    });
}

#[test]
fn messages_that_wait() {
    attack(
        "memory: 10 clients with 1 MiB of messages whose handler waits",
        10,
        FLOOR + MIB + IN_TRANSIT,
    )
    .gated()
    .run(async |target| {
        let mut attacker = target.enter_with(&uncompressed(&target)).await;
        let note = ClientToServer::NoteInd(NoteInd {
            number: 1,
            ballast: vec![0; 1000],
        });
        let notes = attacker.frames(&RawMessage::of(Flags::NONE, &note), 1000);
        attacker.send(&notes).await;
        attacker
    });
}

#[test]
fn broadcasts_that_are_not_read() {
    let text = body::field(1, &[b'a'; 8 * 1024]);
    let queue = 64 * KIB;
    attack(
        "memory: 30 clients that read no broadcast",
        30,
        queue + FLOOR + IN_TRANSIT,
    )
    .served(Served::Sampler)
    .run_sending(&RawMessage::one_way(4, text), 10);
}

#[test]
fn sessions_that_are_kept() {
    // However many there were: they are within `max_memory` whole.
    attack(
        "memory: 800 sessions that are left, with names of 8 KiB",
        4,
        0,
    )
    .run(async |target| {
        let hello = Hello {
            client_name: "n".repeat(8 * 1024),
            ..target.hello()
        };
        for _ in 0..200 {
            drop(target.enter_with(&hello).await);
        }
    });
}
