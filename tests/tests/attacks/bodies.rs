//! Bodies that take longer to read than they look, in each codec.

use msip_runtime::wire::{Codec, Hello};
use msip_tests::attack::{AttackOnServer, RawMessage, Served, Target, body};

const KINDS_REQ: u16 = 1;
const WELL_KNOWN_REQ: u16 = 2;
const CHAIN_REQ: u16 = 3;

/// Some calls with this body.
async fn call(target: Target, codec: Codec, variant: u16, body: Vec<u8>, count: usize) {
    let hello = Hello {
        codecs: vec![codec.into()],
        ..target.hello()
    };
    let mut attacker = target.enter_with(&hello).await;
    let calls = attacker.frames(&RawMessage::call(variant, body), count);
    attacker.send(&calls).await;
    for _ in 0..count {
        if attacker.hear().await.is_none() {
            break;
        }
    }
}

fn attack(name: &'static str) -> AttackOnServer {
    AttackOnServer::new(name).served(Served::Sampler)
}

#[test]
fn json_numbers_of_many_digits() {
    attack("JSON: 10 numbers of 100,000 digits").run(async |target| {
        let body = format!(r#"{{"aDouble":{}}}"#, "9".repeat(100_000));
        call(target, Codec::Json, KINDS_REQ, body.into(), 10).await;
    });
}

#[test]
fn json_integers_with_a_large_exponent() {
    attack("JSON: 1,000 integers of 1e999999999").run(async |target| {
        let body = r#"{"anInt64":1e999999999}"#;
        call(target, Codec::Json, KINDS_REQ, body.into(), 1000).await;
    });
}

#[test]
fn json_escapes() {
    attack("JSON: 5 texts of 40,000 escapes").run(async |target| {
        let body = format!(r#"{{"aString":"{}"}}"#, r"\u0041".repeat(40_000));
        call(target, Codec::Json, KINDS_REQ, body.into(), 5).await;
    });
}

#[test]
fn json_of_any_types() {
    attack("JSON: 5 times 1,000 messages of a type that the body names").run(async |target| {
        let any = r#"{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}"#;
        let body = format!(r#"{{"anys":[{}]}}"#, vec![any; 1000].join(","));
        call(target, Codec::Json, WELL_KNOWN_REQ, body.into(), 5).await;
    });
}

#[test]
fn json_nested_below_the_limit() {
    attack("JSON: 5 times 100 values, each nested 80 deep").run(async |target| {
        let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
        let body = format!(r#"{{"value":[{}]}}"#, vec![deep; 100].join(","));
        call(target, Codec::Json, WELL_KNOWN_REQ, body.into(), 5).await;
    });
}

#[test]
fn message_pack_lengths_that_lie() {
    attack("MessagePack: 1,000 arrays that say they have 4,294,967,295 elements").run(
        async |target| {
            let mut body = vec![0x81, 0xa8];
            body.extend_from_slice(b"manyLeaf");
            body.extend_from_slice(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0x80, 0x80]);
            call(target, Codec::MessagePack, KINDS_REQ, body, 1000).await;
        },
    );
}

#[test]
fn protobuf_of_a_message_merged_again_and_again() {
    attack("protobuf: 2 bodies in which one message comes 30,000 times").run(async |target| {
        let body = body::field(18, b"").repeat(30_000);
        call(target, Codec::Protobuf, KINDS_REQ, body, 2).await;
    });
}

#[test]
fn protobuf_of_unknown_fields() {
    attack("protobuf: 2 bodies of 30,000 unknown fields").run(async |target| {
        let body = body::field(999, b"").repeat(30_000);
        call(target, Codec::Protobuf, KINDS_REQ, body, 2).await;
    });
}

#[test]
fn protobuf_nested_below_the_limit() {
    attack("protobuf: 100 bodies nested 99 deep").run(async |target| {
        let body = (0..98).fold(Vec::new(), |body, _| body::field(1, &body));
        call(target, Codec::Protobuf, CHAIN_REQ, body, 100).await;
    });
}
