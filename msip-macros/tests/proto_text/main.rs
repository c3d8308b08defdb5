//! The text of a derived protocol is read with the same fingerprint, whatever its types are called.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]
// For messages nested 65 levels deep.
#![recursion_limit = "512"]

mod of_others;
mod refused;
mod schemas;
#[path = "../support/mod.rs"]
mod support;

use msip_runtime::describe::DescribeProtocol;
use msip_runtime::prost_types::FileDescriptorSet;
use prost::Message as _;

/// Reads the text back, and the descriptors as any other library would.
fn check<P: DescribeProtocol>() {
    let text = msip_runtime::proto_text::<P>();
    assert_eq!(support::fingerprint_of(&text), P::fingerprint(), "{text}");
    let descriptors = P::descriptor_set();
    let pool = prost_reflect::DescriptorPool::decode(descriptors);
    if let Err(error) = pool {
        let set = FileDescriptorSet::decode(descriptors);
        panic!("{}: {error}\n{set:?}", P::NAME);
    }
}

#[test]
fn it_is_read_with_the_same_fingerprint() {
    check::<schemas::entry::Entry>();
    check::<schemas::word::Word>();
    check::<schemas::negative::Negative>();
    check::<schemas::prefix::Prefix>();
    check::<schemas::case::Case>();
    check::<schemas::odd::Odd>();
    check::<schemas::message::Message>();
    let text = msip_runtime::proto_text::<schemas::entry::Entry>();
    assert!(text.contains("repeated .entry.FooEntry bar"), "{text}");
}

#[test]
fn so_is_every_schema_of_this_repository() {
    check::<of_others::chat::Chat>();
    check::<of_others::greet::Greet>();
    check::<of_others::kitchen::Kitchen>();
    check::<of_others::lab::Lab>();
    check::<of_others::telemetry::Telemetry>();
    check::<of_others::upload::Upload>();
}

#[test]
fn names_that_collide_yield_where_they_are_not_on_the_wire() {
    let text = msip_runtime::proto_text::<schemas::prefix::Prefix>();
    insta::assert_snapshot!("prefix.proto", text);
    let text = msip_runtime::proto_text::<schemas::case::Case>();
    insta::assert_snapshot!("case.proto", text);
    let text = msip_runtime::proto_text::<schemas::odd::Odd>();
    insta::assert_snapshot!("odd.proto", text);
}
