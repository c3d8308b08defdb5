//! The tests of conversations and of streams once more, through a broker. What cannot hold there says why: `direct_only!`.

#[path = "runtime/conversation.rs"]
mod conversation;
#[path = "runtime/streams.rs"]
mod streams;

/// Each test that is left out here is of a difference that users are told of.
#[test]
fn what_is_different_through_a_broker_is_documented() {
    let docs = include_str!("../../docs/broker.md");
    let sources = [
        include_str!("runtime/conversation.rs"),
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
