//! Log lines that a peer causes.

use msip_runtime::wire::{FrameType, Hello, MsgId};
use msip_tests::{
    attack::{AttackOnServer, Bounds},
    raw,
};

#[test]
fn strangers_that_speak_http() {
    AttackOnServer::new("300 strangers that speak HTTP")
        .attackers(3)
        .within(Bounds {
            lines: 15,
            ..Bounds::default()
        })
        .run(async |target| {
            for _ in 0..100 {
                let mut attacker = target.connect().await;
                attacker.send(b"GET / HTTP/1.1\r\n\r\n").await;
                attacker.hear_to_the_end().await;
            }
        });
}

#[test]
fn strangers_with_wrong_credentials_and_made_up_fingerprints() {
    AttackOnServer::new("600 strangers with wrong credentials and made-up fingerprints")
        .credential("right")
        .attackers(3)
        .within(Bounds {
            lines: 60,
            ..Bounds::default()
        })
        .run(async |target| {
            for fingerprint in 0..200 {
                let mut attacker = target.connect().await;
                let hello = Hello {
                    credential: b"!wrong".to_vec(),
                    fingerprint,
                    ..target.hello()
                };
                attacker.send(&raw::hello_frame(&hello)).await;
                attacker.hear_to_the_end().await;
            }
        });
}

#[test]
fn clients_that_come_and_go() {
    AttackOnServer::new("600 clients that connect and leave, with made-up fingerprints")
        .attackers(3)
        .within(Bounds {
            // A burst of 60, some of it the bystander's, one or two a second, and 16 about versions of the schema.
            lines: 60 + 16 + 60,
            ..Bounds::default()
        })
        .run(async |target| {
            for fingerprint in 0..200 {
                let hello = Hello {
                    fingerprint,
                    ..target.hello()
                };
                let mut attacker = target.enter_with(&hello).await;
                let goodbye = raw::frame(FrameType::Close, MsgId::CONNECTION, b"CANCELLED: done");
                attacker.send(&goodbye).await;
                attacker.hear_to_the_end().await;
            }
        });
}
