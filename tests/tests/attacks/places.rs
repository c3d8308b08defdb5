//! Connections that take places of `max_connections` and file descriptors.

use msip_tests::attack::{AttackOnServer, Bounds, MIB};

#[test]
fn more_connections_than_there_are_places() {
    AttackOnServer::new("200 clients where there are places for 20")
        .settings("max_connections=20")
        .attackers(200)
        .within(Bounds {
            memory: 8 * MIB,
            lines: 450,
            descriptors: 220,
        })
        .run(async |target| {
            let mut attacker = target.connect().await;
            attacker
                .send(&msip_tests::raw::hello_frame(&target.hello()))
                .await;
            attacker.hear().await;
            attacker
        });
}
