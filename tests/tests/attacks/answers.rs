//! Answers that nobody reads.

use msip_runtime::wire::Flags;
use msip_tests::{
    attack::{AttackOnServer, Bounds, MIB, RawMessage},
    lab::{ClientToServer, EchoReq},
};

#[test]
fn answers_of_one_client() {
    AttackOnServer::new("200 calls with answers of 8 KiB, which are not read")
        .settings("outgoing_queue=64KiB&max_memory=1MiB")
        .within(Bounds {
            memory: 16 * MIB,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            let echo = ClientToServer::EchoReq(EchoReq {
                ballast: vec![0; 8192],
                ..EchoReq::default()
            });
            let call = RawMessage::of(Flags::ACK_REQUIRED, &echo);
            let calls = attacker.frames(&call, 200);
            attacker.send(&calls).await;
            attacker
        });
}
