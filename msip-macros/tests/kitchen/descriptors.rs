//! The descriptor set that is built from the types.

use msip_runtime::Protocol as _;
use msip_runtime::prost_types::{DescriptorProto, FileDescriptorSet};
use prost::Message as _;

use crate::{derived, spelled};

/// The messages of the schema's own file, by name, each without what is not part of its meaning.
fn messages(descriptors: &[u8]) -> Vec<DescriptorProto> {
    let set = FileDescriptorSet::decode(descriptors).expect("a descriptor set");
    let own = set
        .file
        .into_iter()
        .find(|file| file.package() == "acme.kitchen.v1");
    let mut messages = own.expect("the file").message_type;
    messages.sort_by(|a, b| a.name().cmp(b.name()));
    for message in &mut messages {
        message.field.sort_by_key(|field| field.number);
        for field in &mut message.field {
            // Options of members are in the tables of variants.
            field.options = None;
        }
        message.nested_type.sort_by(|a, b| a.name().cmp(b.name()));
        if message.name() == "Shape" {
            // The derive calls the oneof in its own way.
            message.oneof_decl.clear();
        }
    }
    messages
}

#[test]
fn both_spellings_describe_the_same_messages() {
    let derived = messages(derived::Kitchen::descriptor_set());
    let spelled = messages(spelled::Kitchen::descriptor_set());
    assert_eq!(derived.len(), spelled.len());
    for (derived, spelled) in derived.iter().zip(&spelled) {
        assert_eq!(derived, spelled);
    }
}

#[test]
fn the_set_holds_all_that_it_mentions() {
    let pool = prost_reflect::DescriptorPool::decode(derived::Kitchen::descriptor_set())
        .expect("complete");
    let message = pool
        .get_message_by_name("acme.kitchen.v1.ClientToServer")
        .expect("there");
    assert_eq!(message.fields().len(), 12);
}
