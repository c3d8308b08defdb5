//! Work that one peer makes, during which the server works for nobody else.

use msip_tests::attack::{AttackOnServer, Bounds, MIB, RawMessage, Served, body};

/// A call of the sampler with a body of many small fields.
const CHAIN_REQ: u16 = 3;

#[test]
fn a_large_compressed_call() {
    AttackOnServer::new("a call of 1 KiB that becomes 256 KiB of a field")
        .served(Served::Sampler)
        .within(Bounds {
            memory: 16 * MIB,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            let chain = body::field(3, &vec![0; 256 << 10]);
            let call = attacker.frame(&RawMessage::call(CHAIN_REQ, chain).gzip());
            attacker.send(&call).await;
            attacker
        });
}
