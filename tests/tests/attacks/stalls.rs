//! Work that one peer makes, during which the server works for nobody else.

use msip_runtime::{
    Protocol as _,
    wire::{Codec, Compression, Flags, FrameType, Header, Hello, Metadata, Welcome},
};
use msip_tests::{
    attack::{AttackOnClient, AttackOnServer, Attacker, Bounds, MIB, RawMessage, Served, body},
    lab::Lab,
    raw,
};

/// A call of the sampler with a message of every type of field.
const KINDS_REQ: u16 = 1;

/// A call of the sampler with a body of many small fields.
const CHAIN_REQ: u16 = 3;

/// A one-way message of the sampler.
const TEXT_IND: u16 = 4;

/// What attackers of this file may cost in memory: their bodies, as one or a few threads read them.
const BOUNDS: Bounds = Bounds {
    memory: 128 * MIB,
    lines: 60,
    descriptors: 40,
};

/// A body of about this many bytes, of which each three are a message of their own, and the last one cannot be read: all are
/// read, and nothing is answered.
fn leaves(len: usize) -> Vec<u8> {
    let mut leaves = body::field(41, &[]).repeat(len / 3);
    leaves.push(7);
    body::field(1, &leaves)
}

/// Says that it uses this codec.
fn with_codec(hello: Hello, codec: Codec) -> Hello {
    Hello {
        codecs: vec![codec.into()],
        ..hello
    }
}

#[test]
fn a_large_compressed_call() {
    let chain = body::field(3, &vec![0; 256 << 10]);
    AttackOnServer::new("a call of 1 KiB that becomes 256 KiB of a field")
        .served(Served::Sampler)
        .within(Bounds {
            memory: 16 * MIB,
            ..Bounds::default()
        })
        .run_sending(&RawMessage::call(CHAIN_REQ, chain).gzip(), 1);
}

#[test]
fn large_compressed_calls() {
    let call = RawMessage::call(KINDS_REQ, leaves(512 << 10)).gzip();
    AttackOnServer::new("16 calls of 1 KiB that become 512 KiB each, by 16 clients")
        .served(Served::Sampler)
        .attackers(16)
        .within(BOUNDS)
        .run_sending(&call, 16);
}

#[test]
fn large_compressed_calls_to_two_workers() {
    let call = RawMessage::call(KINDS_REQ, leaves(512 << 10)).gzip();
    AttackOnServer::new("16 calls of 1 KiB that become 512 KiB each, by 4 clients of two workers")
        .served(Served::Sampler)
        .workers(2)
        .attackers(4)
        .within(BOUNDS)
        .run_sending(&call, 16);
}

#[test]
fn short_compressed_calls() {
    let call = RawMessage::call(KINDS_REQ, leaves(48 << 10)).gzip();
    AttackOnServer::new("100 calls of 200 bytes that become 48 KiB each, by 16 clients")
        .served(Served::Sampler)
        .attackers(16)
        .within(BOUNDS)
        .run_sending(&call, 100);
}

#[test]
fn large_calls() {
    AttackOnServer::new("a call of 512 KiB, by 16 clients")
        .served(Served::Sampler)
        .attackers(16)
        .within(BOUNDS)
        .run_sending(&RawMessage::call(KINDS_REQ, leaves(512 << 10)), 1);
}

#[test]
fn keys_of_a_json_map() {
    AttackOnServer::new("10 calls with a map of 99 KB of keys in JSON, by 8 clients")
        .served(Served::Sampler)
        .attackers(8)
        .within(BOUNDS)
        .run(async |target| {
            let hello = with_codec(target.hello(), Codec::Json);
            let mut attacker = target.enter_with(&hello).await;
            let keys: Vec<String> = (100_000..108_500)
                .map(|key| format!("\"{key}\":\"\""))
                .collect();
            let json = format!("{{\"kindsReq\":{{\"byInt32\":{{{}}}}}", keys.join(","));
            let calls = attacker.frames(&RawMessage::call(KINDS_REQ, json), 10);
            attacker.send(&calls).await;
            attacker
        });
}

#[test]
fn compressed_one_way_messages() {
    // A text that is replaced again and again.
    let text = [body::field(1, b"").repeat(256 << 10), vec![7]].concat();
    let text = body::field(u32::from(TEXT_IND), &text);
    AttackOnServer::new("100 one-way messages of 1 KiB that become 512 KiB each, by 4 clients")
        .served(Served::Sampler)
        .attackers(4)
        .within(BOUNDS)
        .run_sending(&RawMessage::one_way(TEXT_IND, text).gzip(), 100);
}

#[test]
fn tiny_one_way_messages() {
    AttackOnServer::new("one-way messages of a variant that does not exist, by 16 clients")
        .attackers(16)
        .within(BOUNDS)
        .run_sending(&RawMessage::one_way(999, ""), 4000);
}

#[test]
fn metadata_as_large_as_it_may_be() {
    let header = |number: usize| (format!("h{number}"), "v".to_owned());
    let metadata = Metadata {
        headers: (0..1000).map(header).collect(),
        ..Metadata::default()
    };
    let call = RawMessage::call(999, "").metadata(&metadata);
    AttackOnServer::new("100 calls with 8 KiB of headers each, by 16 clients")
        .attackers(16)
        .within(BOUNDS)
        .run_sending(&call, 100);
}

/// Answers what a client calls with this message, again and again, until it has done so often enough.
async fn answer_with(attacker: &mut Attacker, answer: &[u8], count: usize) {
    for _ in 0..count {
        let call = attacker.hear_type(FrameType::Publish).await;
        let header = Header {
            flags: Flags::COMPRESSED,
            variant: 1,
            ..Header::control(FrameType::Ack, call.header.msg_id)
        };
        let frame = raw::frame_of(header, &[&[0, 0], answer].concat());
        attacker.send(&frame).await;
    }
}

#[test]
fn answers_to_a_client() {
    AttackOnClient::new("10 answers of 4 KiB that become 2 MiB each, to a client")
        .settings("compress=gzip")
        .within(BOUNDS)
        .run(async |server| {
            let mut attacker = server.accept().await;
            let hello = attacker.hear_type(FrameType::Hello).await;
            let session = hello.payload.first_chunk().copied().unwrap_or_default();
            let welcome = Welcome {
                fingerprint: Lab::fingerprint(),
                codec: Codec::Protobuf.into(),
                compression: Compression::Gzip.into(),
                ..Welcome::default()
            };
            let session = u64::from_be_bytes(session);
            let welcome = raw::welcome_frame(hello.header.msg_id, session, &welcome);
            attacker.send(&welcome).await;
            // A text that is replaced again and again.
            let text = [body::field(1, b"").repeat(1 << 20), vec![7]].concat();
            let answer = body::gzip(&body::field(1, &text));
            answer_with(&mut attacker, &answer, 10).await;
            attacker
        });
}
