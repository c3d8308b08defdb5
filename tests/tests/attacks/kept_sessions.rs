//! Sessions that are kept for clients without a connection.

use msip_runtime::wire::{FrameType, Hello, MsgId, Side};
use msip_tests::{
    attack::{AttackOnServer, Bounds, KIB, MIB, Target},
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

#[test]
fn sessions_that_are_kept() {
    AttackOnServer::new("4,000 sessions that are left and kept")
        .settings("session_expiry=1h")
        .attackers(4)
        .within(Bounds {
            // As many as docs/operations.md says.
            memory: 4000 * 8 * KIB,
            lines: 60 + 60,
            ..Bounds::default()
        })
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
