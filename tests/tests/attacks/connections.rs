//! Connections that come and go, and resume.

use msip_runtime::wire::{FrameType, Hello, MsgId, Side};
use msip_tests::{
    attack::{AttackOnServer, Bounds, KIB, MIB},
    raw,
};

use crate::messages::{act, echo};

#[test]
fn connections_that_are_reset_at_once() {
    AttackOnServer::new("1,000 connections that are reset before a byte")
        .attackers(4)
        .within(Bounds {
            // As many as the system has accepted before the server did.
            descriptors: 1000,
            ..Bounds::default()
        })
        .run(async |target| {
            for _ in 0..250 {
                drop(target.connect().await);
            }
        });
}

#[test]
fn connections_that_are_reset_within_a_frame() {
    AttackOnServer::new("40 connections that are reset within a frame of 1 MiB")
        .attackers(4)
        .within(Bounds {
            lines: 200,
            ..Bounds::default()
        })
        .run(async |target| {
            for _ in 0..10 {
                let mut attacker = target.enter().await;
                let id = MsgId::exchange(Side::Connecting, 2);
                let mut frame = raw::announced(FrameType::Publish, id, 1 << 20);
                frame.resize(500_000, 0);
                attacker.send(&frame).await;
            }
        });
}

#[test]
fn a_session_that_is_taken_over_again_and_again() {
    AttackOnServer::new("a session that is taken over 200 times, with 1,900 calls that it awaits")
        .attackers(2)
        .within(Bounds {
            lines: 1000,
            ..Bounds::default()
        })
        .run(async |target| {
            let awaited = (2..1900).map(call_id).collect();
            let hello = Hello {
                awaited,
                ..target.hello()
            };
            for _ in 0..100 {
                let mut attacker = target.connect().await;
                attacker.send(&raw::resuming_frame(&hello)).await;
                attacker.hear().await;
            }
        });
}

/// The id of a client's call, as a number.
fn call_id(sequence: u64) -> u64 {
    MsgId::exchange(Side::Connecting, sequence).number()
}

#[test]
fn connections_whose_writing_half_is_closed() {
    AttackOnServer::new(
        "40 connections that send 50 calls and their end of file, and read nothing",
    )
    .attackers(40)
    .within(Bounds {
        memory: 40 * 200 * KIB,
        lines: 200,
        descriptors: 60,
    })
    .run(async |target| {
        let mut attacker = target.enter().await;
        let calls = attacker.frames(&echo(1000), 50);
        attacker.send(&calls).await;
        attacker.finish().await;
        attacker
    });
}

#[test]
fn frames_of_a_byte_each() {
    AttackOnServer::new("100 calls, a byte at a time")
        .attackers(2)
        .run(async |target| {
            let mut attacker = target.enter().await;
            for byte in attacker.frames(&echo(0), 50) {
                attacker.send(&[byte]).await;
            }
            attacker
        });
}

#[test]
fn clients_that_close_while_their_calls_hang() {
    AttackOnServer::new("40 clients that say CLOSE while 50 of their calls hang")
        .attackers(4)
        .within(Bounds {
            memory: 32 * MIB,
            lines: 200,
            descriptors: 60,
        })
        .run(async |target| {
            let mut kept = Vec::new();
            for _ in 0..10 {
                let mut attacker = target.enter().await;
                let calls = attacker.frames(&act("hang"), 50);
                attacker.send(&calls).await;
                let close = raw::frame(FrameType::Close, MsgId::CONNECTION, b"CANCELLED: done");
                attacker.send(&close).await;
                kept.push(attacker);
            }
            kept
        });
}
