//! Bodies that are larger once they are decoded.

use msip_tests::attack::{AttackOnServer, Bounds, MIB, RawMessage, Served, body};

/// A call of the sampler, whose field 2 is repeated messages.
const CHAIN_REQ: u16 = 3;

#[test]
fn a_few_elements_that_are_empty() {
    let elements = body::field(2, b"").repeat(1000);
    let call = body::field(u32::from(CHAIN_REQ), &elements);
    AttackOnServer::new("1,000 empty elements, of 2 bytes each")
        .served(Served::Sampler)
        .within(Bounds {
            memory: 4 * MIB,
            ..Bounds::default()
        })
        .run_sending(&RawMessage::call(CHAIN_REQ, call), 1);
}

#[test]
fn bodies_of_empty_elements() {
    let elements = body::field(2, b"").repeat(MOST);
    let call = body::field(u32::from(CHAIN_REQ), &elements);
    // They would become 117 MB, and 235 MB while their list grows.
    const MOST: usize = 2_000_000;
    AttackOnServer::new("a body of 4 KB that is 4 MB, and 2,000,000 messages")
        .served(Served::Sampler)
        .settings("max_memory=64MiB")
        .within(Bounds {
            // The body while it is inflated, twice where its buffer grows.
            memory: 16 * MIB,
            ..Bounds::default()
        })
        .run_sending(&RawMessage::call(CHAIN_REQ, call).gzip(), 1);
}
