//! Bodies that are larger once they are decoded.

use msip_tests::attack::{AttackOnServer, Bounds, MIB, RawMessage, Served, body};

/// A call of the sampler, whose field 2 is repeated messages.
const CHAIN_REQ: u16 = 3;

#[test]
fn a_few_elements_that_are_empty() {
    AttackOnServer::new("1,000 empty elements, of 2 bytes each")
        .served(Served::Sampler)
        .within(Bounds {
            memory: 4 * MIB,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            let elements = body::field(2, b"").repeat(1000);
            let call = attacker.frame(&RawMessage::call(CHAIN_REQ, elements));
            attacker.send(&call).await;
            attacker
        });
}
