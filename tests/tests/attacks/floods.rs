//! Frames that are cheap to send, in great numbers.

use msip_runtime::wire::{FrameType, MsgId, Side};
use msip_tests::{
    attack::{AttackOnClient, AttackOnServer, Bounds, MIB, RawMessage},
    raw,
};

/// A ping with a payload of this length.
fn ping(len: usize) -> Vec<u8> {
    raw::frame(
        FrameType::Ping,
        MsgId::exchange(Side::Connecting, 2),
        &vec![0; len],
    )
}

#[test]
fn pings() {
    AttackOnServer::new("100,000 pings, whose answers are not read")
        .attackers(4)
        .within(Bounds {
            memory: 4 * MIB,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            attacker.send(&ping(8).repeat(100_000)).await;
            attacker
        });
}

#[test]
fn pings_to_a_client() {
    AttackOnClient::new("100,000 pings to a client, on each of five connections")
        .within(Bounds {
            memory: 4 * MIB,
            ..Bounds::default()
        })
        .run(async |server| {
            for _ in 0..5 {
                let mut attacker = server.welcome().await;
                attacker.send(&ping(8).repeat(100_000)).await;
            }
        });
}

#[test]
fn calls_of_no_variant() {
    AttackOnServer::new("calls of a variant that does not exist, whose answers are not read")
        .attackers(4)
        .within(Bounds {
            memory: 4 * MIB,
            ..Bounds::default()
        })
        .run_sending(&RawMessage::call(999, ""), 20_000);
}
