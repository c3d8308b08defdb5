//! ERRORs with metadata, between peers that have agreed on it and others.

use bytes::Bytes;

use super::*;
use crate::wire::{
    Detail, Identity, MAX_DETAILS, MAX_LONG_TEXT_LEN, MAX_TEXT_LEN, Metadata, split_error,
};

/// Two ends that have agreed on metadata in ERRORs.
fn agreed() -> Pair {
    let mut pair = Pair::open();
    for (_, end) in pair.ends() {
        end.session.allow_error_metadata();
    }
    pair
}

fn detail(value: Vec<u8>) -> Detail {
    Detail {
        type_name: "shop.v1.RetryInfo".to_owned(),
        value,
    }
}

fn metadata(details: Vec<Detail>) -> Metadata {
    Metadata {
        headers: [("tenant".to_owned(), "north".to_owned())].into(),
        details,
        ..Metadata::default()
    }
}

/// Answers a call of the client with this error, and returns the ERROR as it travels.
fn refuse(pair: &mut Pair, text: &str, metadata: &Metadata) -> Frame {
    pair.client.call(1, at(60)).expect("sent");
    pair.exchange();
    let Some(ReplyTo::Call(slot)) = pair.server.waiting.pop().map(|one| one.reply) else {
        panic!("a call");
    };
    let error = ErrorRef {
        metadata: Some(metadata),
        ..ErrorRef::new(Code::ResourceExhausted, text)
    };
    let reply = Reply::<NoBody>::Error(error);
    pair.server.session.reply(slot, reply);
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(&pair.server.transmit());
    decoder.decode().expect("a frame").expect("one")
}

/// What the client takes this ERROR for.
fn outcome(pair: &mut Pair, frame: Frame) -> Outcome {
    let event = pair.client.session.handle_frame(frame, at(1));
    match event.expect("no fault") {
        Some(Event::Answered { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn details_and_a_long_text_arrive_where_they_were_agreed_on() {
    let mut pair = agreed();
    let sent = metadata(vec![detail(vec![8, 1])]);
    let long = "x".repeat(5000);
    let frame = refuse(&mut pair, &long, &sent);
    assert!(frame.header.flags.contains(Flags::META));
    let Outcome::Error(text, metadata) = outcome(&mut pair, frame) else {
        panic!("an error");
    };
    assert_eq!(text.code, Code::ResourceExhausted);
    assert_eq!(
        text.message.len(),
        MAX_LONG_TEXT_LEN - "RESOURCE_EXHAUSTED: ".len()
    );
    assert_eq!(metadata.as_deref(), Some(&sent));
}

#[test]
fn an_older_peer_gets_the_text_alone_and_takes_all_for_text() {
    let mut pair = Pair::open();
    let sent = metadata(vec![detail(vec![8, 1])]);
    let frame = refuse(&mut pair, &"x".repeat(5000), &sent);
    assert!(!frame.header.flags.contains(Flags::META));
    assert_eq!(frame.payload.len(), MAX_TEXT_LEN);
    // Without the agreement the flag has no meaning.
    let mut pair = Pair::open();
    let mut frame = refuse(&mut pair, "no more", &sent);
    frame.header.flags = frame.header.flags.union(Flags::META);
    let Outcome::Error(text, metadata) = outcome(&mut pair, frame) else {
        panic!("an error");
    };
    assert_eq!(text.to_string(), "RESOURCE_EXHAUSTED: no more");
    assert_eq!(metadata, None);
}

#[test]
fn what_the_receiver_would_not_accept_is_left_out() {
    let mut pair = agreed();
    let frame = refuse(&mut pair, "no", &metadata(vec![detail(vec![0; 25 * 1024])]));
    assert!(!frame.header.flags.contains(Flags::META), "over 24 KiB");
    assert_eq!(frame.payload, b"RESOURCE_EXHAUSTED: no"[..]);
    let mut pair = agreed();
    pair.server.session.peer_max_body = 1024;
    let frame = refuse(&mut pair, "no", &metadata(vec![detail(vec![0; 15 * 1024])]));
    assert!(
        !frame.header.flags.contains(Flags::META),
        "over what a peer with a small max_body reads"
    );
}

#[test]
fn hostile_metadata_ends_the_call_alone() {
    let many = metadata(vec![Detail::default(); 5000]);
    let mut pair = agreed();
    let frame = refuse(&mut pair, "no", &many);
    let Outcome::Error(_, metadata) = outcome(&mut pair, frame) else {
        panic!("an error");
    };
    let kept = metadata.expect("metadata").details;
    assert_eq!(kept.len(), MAX_DETAILS);
    for (name, payload) in [
        ("no length", &b"\0"[..]),
        ("beyond the payload", b"\0\x05ab"),
        ("too long", b"\x60\x01x"),
        ("no metadata", b"\0\x01\xffINTERNAL: no"),
    ] {
        let mut pair = agreed();
        let mut frame = refuse(&mut pair, "no", &many);
        frame.payload = Bytes::copy_from_slice(payload);
        let Outcome::Error(text, None) = outcome(&mut pair, frame) else {
            panic!("an error");
        };
        let shown = text.to_string();
        assert!(
            shown.starts_with("INTERNAL: the answer cannot be read: "),
            "{name}: {shown}"
        );
    }
}

#[test]
fn a_client_cannot_assert_an_identity_in_an_error_or_an_answer() {
    let root = Metadata {
        identity: Some(Identity {
            user: "root".to_owned(),
            ..Identity::default()
        }),
        correlation_id: "order-17".to_owned(),
        ..Metadata::default()
    };
    let failed = ErrorRef {
        metadata: Some(&root),
        ..ErrorRef::new(Code::Aborted, "no")
    };
    let replies = [
        Reply::Error(failed),
        Reply::End {
            metadata: Some(&root),
        },
    ];
    for reply in replies {
        let reply: Reply<'_, NoBody> = reply;
        let mut pair = agreed();
        pair.server.call(1, at(60)).expect("sent");
        pair.exchange();
        let Some(ReplyTo::Call(slot)) = pair.client.waiting.pop().map(|one| one.reply) else {
            panic!("a call");
        };
        pair.client.session.reply(slot, reply);
        let mut decoder = Decoder::new(Limits::default().max_payload());
        decoder.buffer().extend_from_slice(&pair.client.transmit());
        let frame = decoder.decode().expect("a frame").expect("one");
        let event = pair.server.session.handle_frame(frame, at(1));
        let Ok(Some(Event::Answered { outcome, .. })) = event else {
            panic!("{event:?}");
        };
        let metadata = match outcome {
            Outcome::Error(_, metadata) => metadata,
            Outcome::Answer { metadata, .. } => metadata,
            outcome => panic!("{outcome:?}"),
        };
        let metadata = metadata.expect("metadata");
        assert_eq!(metadata.correlation_id, "order-17");
        assert_eq!(metadata.identity, None);
    }
}

#[test]
fn a_failed_delivery_has_details_too() {
    let mut pair = agreed();
    pair.client
        .session
        .deliver(&head(NOTE), Token::new(1), at(60), text("note"))
        .expect("sent");
    pair.exchange();
    let Some(ReplyTo::Delivery { id, urgent }) = pair.server.waiting.pop().map(|one| one.reply)
    else {
        panic!("a delivery");
    };
    let sent = metadata(vec![detail(vec![8, 1])]);
    let error = ErrorRef {
        metadata: Some(&sent),
        ..ErrorRef::new(Code::Aborted, "no")
    };
    pair.server.session.acknowledge(id, urgent, Err(error));
    let bytes = pair.server.transmit();
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(&bytes);
    let frame = decoder.decode().expect("a frame").expect("one");
    let (metadata, text) = split_error(frame.header.flags, frame.payload.clone()).expect("both");
    assert!(metadata.is_some_and(|metadata| !metadata.is_empty()));
    assert_eq!(text, b"ABORTED: no"[..]);
    let Outcome::Error(_, metadata) = outcome(&mut pair, frame) else {
        panic!("an error");
    };
    assert_eq!(metadata.as_deref(), Some(&sent));
}
