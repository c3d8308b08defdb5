//! Log lines that a peer causes.

use msip_tests::attack::{AttackOnServer, Bounds};

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
