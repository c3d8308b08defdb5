//! The tests of conversations, streams, resumption, backpressure and metadata once more, through a broker. What cannot hold there
//! says why: `direct_only!`.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "runtime/conversation.rs"]
mod conversation;
#[path = "runtime/metadata.rs"]
mod metadata;
#[path = "runtime/pressure.rs"]
mod pressure;
#[path = "runtime/resume.rs"]
mod resume;
#[path = "runtime/slow_receivers.rs"]
mod slow_receivers;
#[path = "runtime/streams.rs"]
mod streams;

/// Each test that is left out here is of a difference that users are told of.
#[test]
fn what_is_different_through_a_broker_is_documented() {
    let docs = include_str!("../../docs/broker.md");
    let sources = [
        include_str!("runtime/conversation.rs"),
        include_str!("runtime/metadata.rs"),
        include_str!("runtime/pressure.rs"),
        include_str!("runtime/resume.rs"),
        include_str!("runtime/slow_receivers.rs"),
        include_str!("runtime/streams.rs"),
    ];
    let left_out: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.split("direct_only!(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(!left_out.is_empty());
    for what in left_out {
        assert!(docs.contains(&format!("| **{what}** |")), "{what}");
    }
}
