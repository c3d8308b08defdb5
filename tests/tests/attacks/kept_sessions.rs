//! Sessions that are kept for clients without a connection.

use msip_runtime::wire::{Flags, FrameType, Hello, MsgId, Side};
use msip_tests::{
    attack::{AttackOnServer, Bounds, KIB, MIB, Served, Target},
    lab::{ClientToServer, EchoReq, SaveInd},
    raw,
};

/// Begins so many sessions, and leaves each once the server knows that it is known.
async fn leave_sessions(target: &Target, count: usize, hello: &Hello) {
    for _ in 0..count {
        let mut attacker = target.enter_with(hello).await;
        let ping = raw::frame(FrameType::Ping, MsgId::exchange(Side::Connecting, 2), b"");
        attacker.send(&ping).await;
        attacker.hear_type(FrameType::Pong).await;
    }
}

#[test]
fn sessions_that_are_left() {
    AttackOnServer::new("200 sessions whose clients leave at once")
        .settings("max_detached_sessions=100")
        .attackers(2)
        .within(Bounds {
            memory: 8 * MIB,
            lines: 60 + 60 + 120,
            ..Bounds::default()
        })
        .run(async |target| {
            for _ in 0..100 {
                drop(target.enter().await);
            }
        });
}

/// The most that is in use at once is what counts. Besides the sessions that are kept these are the few that were just left, which
/// are whole: 7 KiB each, and the more of them the busier the machine is. And the buffers by which the last ones read and write.
const JUST_LEFT: u64 = 256 * KIB;

/// So many sessions, which are left and kept, and may cost so many bytes each.
fn kept(name: &'static str, count: u64, bytes_each: u64) -> AttackOnServer {
    AttackOnServer::new(name)
        .settings("session_expiry=1h")
        .attackers(4)
        .within(Bounds {
            memory: count * bytes_each + JUST_LEFT,
            lines: 60 + 60,
            ..Bounds::default()
        })
}

#[test]
fn sessions_that_are_kept() {
    kept("4,000 sessions that are left and kept", 4000, KIB).run(async |target| {
        let hello = Hello {
            compressions: Vec::new(),
            ..target.hello()
        };
        leave_sessions(&target, 1000, &hello).await;
    });
}

#[test]
fn sessions_of_clients_with_another_schema_that_are_kept() {
    let name = "4,000 sessions of another schema that are left and kept";
    kept(name, 4000, 1536).run(async |target| {
        let hello = Hello {
            fingerprint: 7,
            ..target.hello()
        };
        leave_sessions(&target, 1000, &hello).await;
    });
}

#[test]
fn sessions_with_deliveries_that_are_kept() {
    let name = "1,000 sessions with 100 deliveries and 50 calls each that are left and kept";
    kept(name, 1000, 1536).run(async |target| {
        let deliveries = (1..=100).flat_map(|number| {
            let id = MsgId::delivery(Side::Connecting, number);
            let save = ClientToServer::SaveInd(SaveInd::default());
            raw::message(Side::Connecting, Flags::ACK_REQUIRED, id, &save)
        });
        let calls = (10..60).flat_map(|number: u64| {
            // As clients count: up, with the slot of each call in the lowest bits.
            let id = MsgId::exchange(Side::Connecting, (number << 16) | (number * 37 % 64));
            let echo = ClientToServer::EchoReq(EchoReq::default());
            raw::message(Side::Connecting, Flags::ACK_REQUIRED, id, &echo)
        });
        let spoken: Vec<u8> = deliveries.chain(calls).collect();
        for _ in 0..250 {
            let mut attacker = target.enter().await;
            attacker.send(&spoken).await;
            for _ in 0..150 {
                attacker.hear_type(FrameType::Ack).await;
            }
        }
    });
}

#[test]
fn sessions_of_an_untyped_service_that_are_kept() {
    // The service of each has a handle of it.
    kept(
        "4,000 untyped sessions that are left and kept",
        4000,
        10 * KIB,
    )
    .served(Served::Untyped)
    .run(async |target| {
        leave_sessions(&target, 1000, &target.hello()).await;
    });
}

#[test]
fn sessions_with_long_names() {
    AttackOnServer::new("2,000 sessions with names of 15,000 bytes that are left, within 1 MiB")
        .settings("max_memory=1MiB&session_expiry=1h")
        .attackers(4)
        .within(Bounds {
            memory: 8 * MIB,
            // Those of one address, those about sessions that made room, and one or two a second.
            lines: 60 + 60 + 120,
            ..Bounds::default()
        })
        .run(async |target| {
            let hello = Hello {
                client_name: "x".repeat(15_000),
                ..target.hello()
            };
            leave_sessions(&target, 500, &hello).await;
        });
}
