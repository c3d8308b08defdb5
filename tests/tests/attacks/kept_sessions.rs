//! Sessions that are kept for clients without a connection.

use msip_tests::attack::{AttackOnServer, Bounds, MIB};

#[test]
fn sessions_that_are_left() {
    AttackOnServer::new("200 sessions whose clients leave at once")
        .settings("max_detached_sessions=100")
        .attackers(2)
        .within(Bounds {
            memory: 8 * MIB,
            lines: 1000,
            ..Bounds::default()
        })
        .run(async |target| {
            for _ in 0..100 {
                drop(target.enter().await);
            }
        });
}
