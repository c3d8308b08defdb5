//! A protocol that carries the messages of several schema sets, in the shapes that they have in the wild: deep nesting,
//! imports of imports, options of three origins, additional services, names that differ in their case alone.

use msip_runtime::Envelope as _;
use msip_tests::shapes::packages::{mesh, plant};
use msip_tests::shapes::{ClientToServer, ServerToClient};

#[test]
fn messages_of_several_origins_go_through_their_envelopes() {
    let config = mesh::As3935Config2 {
        set_storage_2: mesh::Storage::Inline.into(),
        inner: Some(mesh::As3935Config { noise: 4 }),
        ..mesh::As3935Config2::default()
    };
    assert_eq!(config.set_storage_2(), mesh::Storage::Inline);
    let frame = plant::cell::Frame {
        parent_frame_name: "north".to_owned(),
        ..plant::cell::Frame::default()
    };
    for (variant, message) in [
        (3, ClientToServer::ConfigInd(config)),
        (4, ClientToServer::FrameInd(frame)),
    ] {
        assert_eq!(message.variant(), variant);
        let mut body = Vec::new();
        message.encode(&mut body);
        assert_eq!(body.len(), message.encoded_len());
    }
    let content = plant::cell::zone::station::slot::Content::default();
    assert_eq!(ServerToClient::ContentInd(content).variant(), 3);
}
