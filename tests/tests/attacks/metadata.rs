//! Metadata: as much as there may be, and what is none.

use msip_runtime::wire::{Metadata, MsgId, Side};
use msip_tests::attack::{AttackOnServer, Bounds, MIB, RawMessage};

use crate::messages::{act, echo, note};

/// As many headers as fit into 8 KiB, each of which takes many times its bytes when it is decoded.
fn headers() -> Metadata {
    let names = (b'!'..=b'~').flat_map(|first| (b'!'..=b'~').map(move |second| [first, second]));
    let names = names.map(|name| String::from_utf8_lossy(&name).into_owned());
    Metadata {
        headers: names.take(800).map(|name| (name, String::new())).collect(),
        ..Metadata::default()
    }
}

#[test]
fn headers_of_calls_that_wait() {
    AttackOnServer::new(
        "400 calls that wait with 800 headers each, where their requests may take 1 MiB",
    )
    .settings("max_call_bytes=1MiB")
    .attackers(2)
    .within(Bounds {
        memory: 8 * MIB,
        ..Bounds::default()
    })
    .run_sending(&act("hang").metadata(&headers()), 200);
}

#[test]
fn details_where_there_is_no_error() {
    let call = act("hang").raw_metadata(&[0x5a, 0].repeat(4000));
    AttackOnServer::new("1,000 calls that wait with 4,000 empty details each")
        .within(Bounds {
            memory: 16 * MIB,
            ..Bounds::default()
        })
        .run_sending(&call, 1000);
}

#[test]
fn trace_contexts_and_ids_that_are_none() {
    let metadata = Metadata {
        traceparent: "00-\u{1b}[2J".repeat(500),
        tracestate: ",=,".repeat(300),
        correlation_id: "\n\u{1b}x".repeat(800),
        ..Metadata::default()
    };
    AttackOnServer::new(
        "1,000 messages with 8 KiB of escape sequences as their traceparent and correlation id",
    )
    .attackers(2)
    .run_sending(&note().metadata(&metadata), 500);
}

#[test]
fn bytes_that_are_no_metadata() {
    AttackOnServer::new("calls with 8 KiB that are no metadata, as many as are allowed")
        .attackers(2)
        .run_sending(&echo(0).raw_metadata(&[0xff; 8000]), 1000);
}

#[test]
fn a_state_with_another_key_each_time() {
    AttackOnServer::new("5,000 messages with a key of their own").run(async |target| {
        let mut attacker = target.enter().await;
        let mut states = Vec::new();
        for key in 0..5000_u64 {
            let metadata = Metadata {
                key: key.to_string(),
                ..Metadata::default()
            };
            let id = MsgId::exchange(Side::Connecting, key + 2);
            states.extend(note().metadata(&metadata).frame(Side::Connecting, id));
        }
        attacker.send(&states).await;
        attacker
    });
}

#[test]
fn topics_where_there_are_none() {
    AttackOnServer::new("messages with a topic, on a connection that has none")
        .attackers(2)
        .run(async |target| {
            let mut attacker = target.enter().await;
            for topic in [&b"a".repeat(60_000)[..], b"\0", b"a/b", &[0xff; 255]] {
                let calls = attacker.frames(&RawMessage::call(1, "").topic(topic), 100);
                attacker.send(&calls).await;
            }
            attacker
        });
}
