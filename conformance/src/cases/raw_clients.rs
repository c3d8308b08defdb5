//! The raw peer as a client of each server.

use msip_runtime::{
    Protocol as _,
    prost::Message as _,
    wire::{Credit, Flags, FrameType, Hello, Identity, Metadata, Side},
};
use msip_tests::raw::{self, RawPeer};

use crate::{
    case::{Case, Group},
    end::{counted, item},
    pair::{Ways, serve},
    process::Process,
    protocol::conformance::{Conformance, Everything, Item, Nested},
    raw::{
        Opening, ack, bytes_of, client_of, delivery, envelope, hear, hello, id, line, payload,
        round_trip, try_hear, vector, welcome_in, with_id,
    },
};

const CLIENT: Side = Side::Connecting;

/// Numbers of members: of `ClientToServer`, and of `ServerToClient` where they differ.
const UNARY: u16 = 1;
const NOTE: u16 = 2;
const DOWNLOAD: u16 = 3;
const UPLOAD: u16 = 4;
const FIELDS: u16 = 10;
const URGENT: u16 = 12;
const SAVE: u16 = 23;

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("server");
    group.server("ping", &[], |server, ways| Box::pin(ping(server, ways)));
    group.server("vectors-of-messages", &[], |server, ways| {
        Box::pin(vectors_of_messages(server, ways))
    });
    group.server("vectors-of-calls", &[], |server, ways| {
        Box::pin(vectors_of_calls(server, ways))
    });
    group.server("vectors-of-streams", &[], |server, ways| {
        Box::pin(vectors_of_streams(server, ways))
    });
    group.server("vector-of-a-cancel", &[], |server, ways| {
        Box::pin(vector_of_a_cancel(server, ways))
    });
    group.server("welcome", &[], |server, ways| {
        Box::pin(welcome(server, ways))
    });
    group.server("other-protocol", &[], |server, ways| {
        Box::pin(other_protocol(server, ways))
    });
    group.server("other-fingerprint", &[], |server, ways| {
        Box::pin(other_fingerprint(server, ways))
    });
    group.server("unknown-codec", &[], |server, ways| {
        Box::pin(unknown_codec(server, ways))
    });
    group.server("before-hello", &[], |server, ways| {
        Box::pin(before_hello(server, ways))
    });
    group.server("violations", &[], |server, ways| {
        Box::pin(violations(server, ways))
    });
    group.server("unknown-fields", &[], |server, ways| {
        Box::pin(unknown_fields(server, ways))
    });
    group.server("unknown-variants", &[], |server, ways| {
        Box::pin(unknown_variants(server, ways))
    });
    group.server("unreadable-bodies", &[], |server, ways| {
        Box::pin(unreadable_bodies(server, ways))
    });
    group.server("too-large", &[], |server, ways| {
        Box::pin(too_large(server, ways))
    });
    group.server("urgency", &[], |server, ways| {
        Box::pin(urgency(server, ways))
    });
    group.server("urgent-overtakes", &[], |server, ways| {
        Box::pin(urgent_overtakes(server, ways))
    });
    group.server("credit-of-streams", &[], |server, ways| {
        Box::pin(credit_of_streams(server, ways))
    });
    group.server("credit-of-messages", &[], |server, ways| {
        Box::pin(credit_of_messages(server, ways))
    });
    group.server("beyond-the-window", &[], |server, ways| {
        Box::pin(beyond_the_window(server, ways))
    });
    group.server("identity-of-a-client", &[], |server, ways| {
        Box::pin(identity_of_a_client(server, ways))
    });
    group.server("dead-client", &[], |server, ways| {
        Box::pin(dead_client(server, ways))
    });
    group.server("drain", &[], |server, ways| Box::pin(drain(server, ways)));
    group.server("close", &[], |server, ways| Box::pin(close(server, ways)));
    group.server("wrong-secret", &["resume"], |server, ways| {
        Box::pin(wrong_secret(server, ways))
    });
    group.server("takeover", &["resume"], |server, ways| {
        Box::pin(takeover(server, ways))
    });
    group.server("duplicates", &["resume"], |server, ways| {
        Box::pin(duplicates(server, ways))
    });
    group.server("redelivers", &["resume"], |server, ways| {
        Box::pin(redelivers(server, ways))
    });
    group.server("awaited", &["resume"], |server, ways| {
        Box::pin(awaited(server, ways))
    });
    let mut cases = group.cases();
    cases.extend(super::malformed::to_servers());
    cases
}

async fn ping(server: Process, ways: Ways) {
    let (mut raw, ..) = client_of(&server, &ways, "").await;
    raw.say(&vector("ping")).await;
    let pong = raw.hear_type(FrameType::Pong).await;
    assert_eq!(
        (pong.header.msg_id, &*pong.payload),
        (id(CLIENT, 8), &vector("pong")[24..])
    );
    let large = raw::frame(FrameType::Ping, id(CLIENT, 9), &vec![7; 65_536]);
    raw.say(&large).await;
    let pong = raw.hear_type(FrameType::Pong).await;
    assert!(pong.payload.len() == 65_536 && pong.header.msg_id == id(CLIENT, 9));
}

async fn vectors_of_messages(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    raw.say(&vector("publish")).await;
    let note = peer.handling("note_ind").await.message::<Item>();
    assert_eq!((&*note.key, &*note.text), ("ada", "hi"));
    // Any message may ask for an acknowledgment.
    raw.say(&vector("publish-delivery")).await;
    let note = peer.handling("note_ind").await.message::<Item>();
    assert_eq!((&*note.key, &*note.text), ("ada", "hi"));
    assert_eq!(bytes_of(&hear(&mut raw).await), vector("ack"));
}

async fn vectors_of_calls(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    raw.say(&vector("publish-call")).await;
    let handling = peer.handling("unary_req").await;
    assert_eq!(handling.message::<Item>().key, "ada");
    let answer = Item {
        key: "welcome".to_owned(),
        text: "ada".to_owned(),
        ..Item::default()
    };
    handling.answer(&answer).await;
    assert_eq!(bytes_of(&hear(&mut raw).await), vector("ack-body"));
    raw.say(&vector("publish-meta")).await;
    let handling = peer.handling("unary_req").await;
    let told = &handling.told;
    assert_eq!(told.correlation_id, "order-17");
    assert_eq!(told.headers.get("lang").map(String::as_str), Some("en"));
    assert!(
        (1..=5_000).contains(&told.remaining_ms),
        "{}",
        told.remaining_ms
    );
    handling
        .fail("NOT_FOUND", "there is no room \"attic\"")
        .await;
    let error = hear(&mut raw).await;
    let expected = vector("error");
    assert_eq!(error.payload, expected[24..]);
    assert!(error.header.flags.contains(Flags::URGENT), "as its call");
    // Topics are a broker's.
    let mut topic = vector("publish-topic");
    topic[5] |= Flags::ACK_REQUIRED.bits();
    raw.say(&with_id(topic, delivery(CLIENT, 1))).await;
    let refused = line(&hear(&mut raw).await);
    assert!(refused.starts_with("ERROR"), "{refused}");
    round_trip(&mut raw, CLIENT, 30).await;
}

async fn vectors_of_streams(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    raw.say(&vector("publish-watch")).await;
    let handling = peer.handling("download_req").await;
    handling.send(&item(7), 1).await;
    let first = hear(&mut raw).await;
    assert_eq!(
        bytes_of(&first),
        ack(
            first.header.msg_id,
            Flags::MORE,
            DOWNLOAD,
            &envelope(DOWNLOAD, &item(7))
        )
    );
    handling.end_items().await;
    assert_eq!(bytes_of(&hear(&mut raw).await), vector("ack-end"));
    raw.say(&vector("publish-upload")).await;
    let handling = peer.handling("upload_req").await;
    handling.read(u64::MAX).await;
    raw.say(&vector("publish-item")).await;
    assert_eq!(handling.item().await.key, "hi");
    raw.say(&vector("publish-end")).await;
    assert_eq!(handling.items_ended().await, None);
    handling.answer(&counted(2)).await;
    assert_eq!(bytes_of(&hear(&mut raw).await), vector("ack-upload"));
}

async fn vector_of_a_cancel(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(&hello())).await;
    let welcome = welcome_in(hear(&mut raw).await);
    let peer = listening.peer().await;
    raw.say(&vector("publish-call")).await;
    let handling = peer.handling("unary_req").await;
    raw.say(&vector("cancel")).await;
    handling.dropped().await;
    if welcome.extensions.contains_key("ends-cancelled") {
        assert_eq!(bytes_of(&hear(&mut raw).await), vector("error-cancelled"));
    }
}

async fn welcome(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "ping_interval=3s&max_body=2MiB&max_calls=9").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(&hello())).await;
    let welcome = welcome_in(hear(&mut raw).await);
    assert_eq!(welcome.fingerprint, Conformance::fingerprint());
    assert_eq!(welcome.codec, 1, "protobuf");
    assert_eq!((welcome.keepalive_ms, welcome.max_body), (3_000, 2 << 20));
    assert_eq!(welcome.max_open_calls, 9);
    assert_ne!(welcome.peer_id, 0);
    assert!(!welcome.resumed && !welcome.broker);
}

/// What a server says first to this Hello.
async fn answer_to(server: &Process, ways: &Ways, hello: &Hello) -> (String, RawPeer) {
    let listening = serve(server, ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(hello)).await;
    (line(&hear(&mut raw).await), raw)
}

async fn other_protocol(server: Process, ways: Ways) {
    let other = Hello {
        protocol: "chat".to_owned(),
        ..hello()
    };
    let (refused, mut raw) = answer_to(&server, &ways, &other).await;
    for part in ["ERROR", "FAILED_PRECONDITION", "chat", "conformance"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(
        try_hear(&mut raw)
            .await
            .is_none_or(|frame| frame.header.frame_type == FrameType::Close)
    );
}

async fn other_fingerprint(server: Process, ways: Ways) {
    let other = Hello {
        fingerprint: 7,
        ..hello()
    };
    let listening = serve(&server, &ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(&other)).await;
    let welcome = welcome_in(hear(&mut raw).await);
    assert_eq!(welcome.fingerprint, Conformance::fingerprint());
    let peer = listening.peer().await;
    raw.say(&Opening::call(UNARY, &item(1)).frame(CLIENT, id(CLIENT, 2)))
        .await;
    peer.handling("unary_req").await.answer(&item(2)).await;
    let answer = hear(&mut raw).await;
    assert_eq!(answer.payload, envelope(1, &item(2)));
}

async fn unknown_codec(server: Process, ways: Ways) {
    let other = Hello {
        codecs: vec![77],
        ..hello()
    };
    let (refused, _) = answer_to(&server, &ways, &other).await;
    assert!(refused.contains("UNIMPLEMENTED"), "{refused}");
    // The first that the server has is taken.
    let several = Hello {
        codecs: vec![77, 1],
        ..hello()
    };
    let (accepted, _) = answer_to(&server, &ways, &several).await;
    assert!(accepted.starts_with("ACK"), "{accepted}");
}

async fn before_hello(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "").await;
    for frame in [
        vector("ping"),
        vector("publish"),
        vector("close"),
        vector("event"),
    ] {
        let mut raw = listening.dial().await;
        raw.say(&frame).await;
        let heard = raw.hear_to_the_end().await;
        assert!(
            !heard.iter().any(|line| line.starts_with("ACK")),
            "{heard:?}"
        );
    }
    let mut raw = listening.dial().await;
    raw.greet_with(&hello()).await;
    listening.peer().await;
}

/// What ends a connection, with an ERROR for it.
async fn violations(server: Process, ways: Ways) {
    let frames = [
        ("a second HELLO", raw::hello_frame(&hello())),
        ("an EVENT of a client", vector("event")),
        (
            "a call under the id 0",
            with_id(vector("publish-call"), raw_id(0)),
        ),
        (
            "a call under an id of the server",
            with_id(vector("publish-call"), raw_id(1 << 63 | 5)),
        ),
        (
            "a CREDIT of nothing",
            raw::frame(FrameType::Credit, raw_id(0), &[0; 8]),
        ),
        (
            "credit beyond what can be counted",
            raw::frame(FrameType::Credit, raw_id(0), &[255; 8]),
        ),
    ];
    let listening = serve(&server, &ways, "").await;
    for (name, frame) in frames {
        let mut raw = listening.dial().await;
        raw.greet_with(&hello()).await;
        let peer = listening.peer().await;
        raw.say(&frame).await;
        let heard = raw.hear_to_the_end().await;
        assert!(
            heard.iter().any(|line| line.starts_with("ERROR")),
            "{name}: {heard:?}"
        );
        peer.disconnected().await;
    }
}

const fn raw_id(number: u64) -> msip_runtime::wire::MsgId {
    msip_runtime::wire::MsgId::new(number)
}

async fn unknown_fields(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    let known = Everything {
        int32: 5,
        string: "known".to_owned(),
        color: 99,
        ..Everything::default()
    };
    // Fields 200 to 203, of each wire type, before what is known, and behind it.
    let unknown = [
        0xc0, 0x0c, 0x96, 0x01, 0xc9, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 0xd2, 0x0c, 2, b'h', b'i',
        0xdd, 0x0c, 1, 2, 3, 4,
    ];
    let inner = [&unknown, &*known.encode_to_vec(), &unknown].concat();
    let mut opening = Opening::call(FIELDS, &());
    opening.body = vec![0x52, u8::try_from(inner.len()).unwrap_or_default()];
    opening.body.extend_from_slice(&inner);
    raw.say(&opening.frame(CLIENT, id(CLIENT, 2))).await;
    let handling = peer.handling("fields_req").await;
    assert_eq!(handling.message::<Everything>(), known);
    handling.answer(&known).await;
    let answer = hear(&mut raw).await;
    assert_eq!(
        answer.header.frame_type,
        FrameType::Ack,
        "{}",
        line(&answer)
    );
}

async fn unknown_variants(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    let call = Opening::call(900, &item(1)).frame(CLIENT, id(CLIENT, 2));
    raw.say(&call).await;
    let refused = line(&hear(&mut raw).await);
    assert!(refused.contains("UNIMPLEMENTED"), "{refused}");
    let unknown = Opening::event(900, &item(1));
    raw.say(&unknown.frame(CLIENT, id(CLIENT, 3))).await;
    let delivered = unknown.with(Flags::ACK_REQUIRED);
    raw.say(&delivered.frame(CLIENT, delivery(CLIENT, 1))).await;
    let refused = hear(&mut raw).await;
    assert_eq!(refused.header.msg_id, delivery(CLIENT, 1));
    assert!(
        line(&refused).contains("UNIMPLEMENTED"),
        "{}",
        line(&refused)
    );
    // The connection goes on.
    raw.say(&Opening::call(UNARY, &item(1)).frame(CLIENT, id(CLIENT, 4)))
        .await;
    peer.handling("unary_req").await.answer(&item(2)).await;
    assert_eq!(hear(&mut raw).await.payload, envelope(1, &item(2)));
}

async fn unreadable_bodies(server: Process, ways: Ways) {
    let (mut raw, ..) = client_of(&server, &ways, "").await;
    let deep = (0..120).fold(Nested::default(), |inner, _| Nested {
        inner: Some(Box::new(inner)),
        ..Nested::default()
    });
    let deep = Everything {
        nested: Some(deep),
        ..Everything::default()
    };
    let mut garbage = Opening::call(UNARY, &());
    garbage.body = vec![0x0a, 0x05, 0xff];
    let mut empty = Opening::call(UNARY, &());
    empty.body = Vec::new();
    let compressed = Opening::call(UNARY, &item(1)).with(Flags::COMPRESSED);
    let openings = [
        ("garbage", garbage),
        ("nothing", empty),
        ("nested too deep", Opening::call(FIELDS, &deep)),
        ("compressed without an agreement", compressed),
    ];
    for (number, (name, opening)) in (2..).zip(openings) {
        raw.say(&opening.frame(CLIENT, id(CLIENT, number))).await;
        let refused = hear(&mut raw).await;
        assert_eq!(refused.header.msg_id, id(CLIENT, number), "{name}");
        assert!(
            line(&refused).contains("INVALID_ARGUMENT"),
            "{name}: {}",
            line(&refused)
        );
    }
    round_trip(&mut raw, CLIENT, 30).await;
}

/// A payload that no body, metadata and topic may have ends the connection, from its header alone.
async fn too_large(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "max_body=4096").await;
    raw.say(&raw::announced(
        FrameType::Publish,
        id(CLIENT, 2),
        4096 + 8192 + 255 + 5,
    ))
    .await;
    let heard = raw.hear_to_the_end().await;
    assert!(
        heard.iter().any(|line| line.starts_with("ERROR")),
        "{heard:?}"
    );
    peer.disconnected().await;
}

async fn urgency(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    for (number, urgent) in [(2, Flags::URGENT), (3, Flags::NONE)] {
        let call = Opening::call(DOWNLOAD, &item(1)).with(urgent);
        raw.say(&call.frame(CLIENT, id(CLIENT, number))).await;
        let handling = peer.handling("download_req").await;
        handling.send(&item(1), 1).await;
        let first = hear(&mut raw).await;
        handling.end_items().await;
        let last = hear(&mut raw).await;
        for frame in [first, last] {
            assert_eq!(
                frame.header.flags.contains(Flags::URGENT),
                urgent == Flags::URGENT,
                "{}",
                line(&frame)
            );
        }
    }
    for (member, is_urgent) in [
        ("urgent_req", true),
        ("unary_req", false),
        ("alarm_ind", true),
        ("note_ind", false),
    ] {
        peer.start(member, &item(1)).await;
        let frame = hear(&mut raw).await;
        assert_eq!(
            frame.header.flags.contains(Flags::URGENT),
            is_urgent,
            "{member}"
        );
    }
}

/// An urgent answer overtakes those that wait because their receiver does not read.
async fn urgent_overtakes(server: Process, ways: Ways) {
    const COUNT: u64 = 15;
    let (mut raw, peer, listening) = client_of(&server, &ways, "").await;
    let large = Item {
        ballast: vec![1; 1 << 20],
        ..item(1)
    };
    let mut handlings = Vec::new();
    for number in 2..2 + COUNT {
        let call = Opening::call(UNARY, &item(1));
        raw.say(&call.frame(CLIENT, id(CLIENT, number))).await;
        handlings.push(peer.handling("unary_req").await);
    }
    let urgent = Opening::call(URGENT, &item(1)).with(Flags::URGENT);
    raw.say(&urgent.frame(CLIENT, id(CLIENT, 90))).await;
    let alarm = peer.handling("urgent_req").await;
    // More than the buffers of the system hold.
    for handling in handlings {
        handling.answer(&large).await;
    }
    alarm.answer(&item(2)).await;
    // By now the driver has been told all of it.
    listening.end.broadcast("trace_log", &item(3)).await;
    let mut before = 0;
    while hear(&mut raw).await.header.msg_id != id(CLIENT, 90) {
        before += 1;
    }
    assert!(before < COUNT, "the urgent answer came last");
}

async fn credit_of_streams(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    raw.say(&Opening::call(DOWNLOAD, &item(1)).frame(CLIENT, id(CLIENT, 2)))
        .await;
    let handling = peer.handling("download_req").await;
    handling.send(&item(1), 30).await;
    for _ in 0..16 {
        assert!(hear(&mut raw).await.header.flags.contains(Flags::MORE));
    }
    assert_eq!(
        round_trip(&mut raw, CLIENT, 20).await.len(),
        0,
        "beyond the credit"
    );
    let more = Credit {
        items: 4,
        bytes: 1_000,
    };
    raw.say(&raw::frame(
        FrameType::Credit,
        id(CLIENT, 2),
        &more.encode(),
    ))
    .await;
    for _ in 0..4 {
        hear(&mut raw).await;
    }
    assert_eq!(
        round_trip(&mut raw, CLIENT, 21).await.len(),
        0,
        "beyond the credit"
    );
    // The end of a stream needs none; its items do.
    let rest = Credit {
        items: 100,
        bytes: 100_000,
    };
    raw.say(&raw::frame(
        FrameType::Credit,
        id(CLIENT, 2),
        &rest.encode(),
    ))
    .await;
    for _ in 0..10 {
        hear(&mut raw).await;
    }
    handling.end_items().await;
    assert!(!hear(&mut raw).await.header.flags.contains(Flags::MORE));
}

async fn credit_of_messages(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    let large = Item {
        ballast: vec![1; 300_000],
        ..item(1)
    };
    for _ in 0..6 {
        peer.start("note_ind", &large).await;
    }
    // Three fit in 1 MiB, and one item may exceed what is left.
    for _ in 0..4 {
        hear(&mut raw).await;
    }
    assert_eq!(
        round_trip(&mut raw, CLIENT, 20).await.len(),
        0,
        "beyond the credit"
    );
    // Calls need none.
    peer.start("unary_req", &item(1)).await;
    assert_eq!(hear(&mut raw).await.header.variant, 6);
    let more = Credit {
        items: 2,
        bytes: 1 << 20,
    };
    raw.say(&raw::frame(FrameType::Credit, raw_id(0), &more.encode()))
        .await;
    for _ in 0..2 {
        assert_eq!(hear(&mut raw).await.header.variant, NOTE);
    }
}

async fn beyond_the_window(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    raw.say(&Opening::stream(UPLOAD).frame(CLIENT, id(CLIENT, 2)))
        .await;
    let handling = peer.handling("upload_req").await;
    let item = Opening::item(UPLOAD, &item(1)).frame(CLIENT, id(CLIENT, 2));
    for _ in 0..17 {
        raw.say(&item).await;
    }
    let heard = raw.hear_to_the_end().await;
    assert!(
        heard.iter().any(|line| line.starts_with("ERROR")),
        "{heard:?}"
    );
    handling.dropped().await;
    peer.disconnected().await;
}

/// Who a client is says the server.
async fn identity_of_a_client(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    let metadata = Metadata {
        identity: Some(Identity {
            user: "eve".to_owned(),
            ..Identity::default()
        }),
        ..Metadata::default()
    };
    let call = Opening::call(UNARY, &item(1)).metadata(metadata);
    raw.say(&call.frame(CLIENT, id(CLIENT, 2))).await;
    assert_eq!(peer.handling("unary_req").await.told.user, "");
}

async fn dead_client(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "ping_interval=60ms").await;
    raw.hear_type(FrameType::Ping).await;
    peer.disconnected().await;
}

async fn drain(server: Process, ways: Ways) {
    let (mut raw, peer, listening) = client_of(&server, &ways, "").await;
    raw.say(&Opening::call(UNARY, &item(1)).frame(CLIENT, id(CLIENT, 2)))
        .await;
    let handling = peer.handling("unary_req").await;
    listening.end.begin_close().await;
    let close = hear(&mut raw).await;
    assert!(
        line(&close).starts_with("CLOSE") && line(&close).contains("UNAVAILABLE"),
        "{}",
        line(&close)
    );
    raw.say(&Opening::call(UNARY, &item(2)).frame(CLIENT, id(CLIENT, 3)))
        .await;
    let refused = hear(&mut raw).await;
    assert_eq!(refused.header.msg_id, id(CLIENT, 3));
    assert_eq!(refused.payload, vector("error-not-accepted")[24..]);
    handling.answer(&item(3)).await;
    assert_eq!(hear(&mut raw).await.payload, envelope(1, &item(3)));
    assert!(!peer.has_handled("unary_req"), "after CLOSE");
    assert_eq!(raw.hear_to_the_end().await, Vec::<String>::new());
}

/// A client that says goodbye gets what is open, and the connection ends.
async fn close(server: Process, ways: Ways) {
    let (mut raw, peer, _) = client_of(&server, &ways, "").await;
    raw.say(&Opening::call(UNARY, &item(1)).frame(CLIENT, id(CLIENT, 2)))
        .await;
    let handling = peer.handling("unary_req").await;
    raw.say(&raw::frame(FrameType::Close, raw_id(0), b"CANCELLED: done"))
        .await;
    handling.answer(&item(2)).await;
    assert_eq!(hear(&mut raw).await.payload, envelope(1, &item(2)));
    let heard = raw.hear_to_the_end().await;
    assert!(
        !heard.iter().any(|line| line.starts_with("ERROR")),
        "{heard:?}"
    );
    peer.disconnected().await;
}

async fn wrong_secret(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "").await;
    let mut first = listening.dial().await;
    first.say(&raw::resuming_frame(&hello())).await;
    welcome_in(hear(&mut first).await);
    listening.peer().await;
    let thief = Hello {
        session_secret: vec![8; 16],
        ..hello()
    };
    let mut second = listening.dial().await;
    second.say(&raw::resuming_frame(&thief)).await;
    let refused = line(&hear(&mut second).await);
    assert!(refused.contains("UNAUTHENTICATED"), "{refused}");
    // The owner has noticed nothing.
    assert_eq!(round_trip(&mut first, CLIENT, 20).await.len(), 0);
}

async fn takeover(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "").await;
    let mut first = listening.dial().await;
    first.say(&raw::resuming_frame(&hello())).await;
    let begun = welcome_in(hear(&mut first).await);
    listening.peer().await;
    // The client has shown that it has the session.
    round_trip(&mut first, CLIENT, 20).await;
    let mut second = listening.dial().await;
    second.say(&raw::resuming_frame(&hello())).await;
    let resumed = welcome_in(hear(&mut second).await);
    assert!(
        resumed.resumed && resumed.peer_id == begun.peer_id,
        "{resumed:?}"
    );
    let heard = first.hear_to_the_end().await;
    assert!(
        heard
            .iter()
            .any(|line| line.contains("ABORTED: session taken over")),
        "{heard:?}"
    );
    assert_eq!(round_trip(&mut second, CLIENT, 22).await.len(), 0);
}

/// A delivery that was handled is answered again, and not handled again; the same if it has failed.
async fn duplicates(server: Process, ways: Ways) {
    let told = crate::protocol::conformance::control::Serve {
        url: ways.listen_url(""),
        held: vec!["save_ind".to_owned()],
        ..Default::default()
    };
    let listening = crate::pair::serve_with(&server, told).await;
    let mut raw = listening.dial().await;
    raw.say(&raw::resuming_frame(&hello())).await;
    welcome_in(hear(&mut raw).await);
    let peer = listening.peer().await;
    let save = |number, flags| {
        Opening::event(SAVE, &item(number))
            .with(Flags::ACK_REQUIRED | flags)
            .frame(CLIENT, delivery(CLIENT, number))
    };
    for number in 1..=3 {
        raw.say(&save(number, Flags::NONE)).await;
    }
    peer.handling("save_ind").await.finish().await;
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(CLIENT, 1))
    );
    peer.handling("save_ind")
        .await
        .fail("DATA_LOSS", "no")
        .await;
    assert!(line(&hear(&mut raw).await).contains("DATA_LOSS"));
    let third = peer.handling("save_ind").await;
    drop(raw);
    let mut raw = listening.dial().await;
    raw.say(&raw::resuming_frame(&hello())).await;
    assert!(welcome_in(hear(&mut raw).await).resumed);
    for number in 1..=4 {
        raw.say(&save(number, Flags::REDELIVERED)).await;
    }
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(CLIENT, 1))
    );
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ERROR {}: ABORTED: failed earlier", delivery(CLIENT, 2))
    );
    assert_eq!(third.item_number(), 3);
    third.finish().await;
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(CLIENT, 3))
    );
    let fourth = peer.handling("save_ind").await;
    assert_eq!(fourth.item_number(), 4);
    fourth.finish().await;
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(CLIENT, 4))
    );
    assert!(!peer.has_handled("save_ind"), "handled twice");
}

/// A server's own deliveries go out again, in their order and marked.
async fn redelivers(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::resuming_frame(&hello())).await;
    welcome_in(hear(&mut raw).await);
    let peer = listening.peer().await;
    let mut sending = Vec::new();
    for number in 1..=3 {
        sending.push(peer.start("save_ind", &item(number)).await);
        let frame = hear(&mut raw).await;
        assert_eq!(frame.header.msg_id, delivery(Side::Accepting, number));
        assert!(!frame.header.flags.contains(Flags::REDELIVERED));
    }
    raw.say(&ack(delivery(Side::Accepting, 2), Flags::NONE, 0, b""))
        .await;
    sending[1].sent().await;
    drop(raw);
    peer.disconnected().await;
    let mut raw = listening.dial().await;
    raw.say(&raw::resuming_frame(&hello())).await;
    assert!(welcome_in(hear(&mut raw).await).resumed);
    for number in [1, 3] {
        let frame = hear(&mut raw).await;
        assert_eq!(frame.header.msg_id, delivery(Side::Accepting, number));
        assert!(frame.header.flags.contains(Flags::REDELIVERED));
        assert_eq!(payload(frame).body, envelope(SAVE, &item(number)));
        raw.say(&ack(delivery(Side::Accepting, number), Flags::NONE, 0, b""))
            .await;
    }
    for delivery in [&sending[0], &sending[2]] {
        delivery.sent().await;
    }
}

/// What becomes of the calls that a client that comes back waits for.
async fn awaited(server: Process, ways: Ways) {
    let listening = serve(&server, &ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::resuming_frame(&hello())).await;
    welcome_in(hear(&mut raw).await);
    let peer = listening.peer().await;
    let [running, kept, given_up, unsent] = [5, 6, 7, 8].map(|number| id(CLIENT, number));
    let mut handlings = Vec::new();
    for id in [running, kept, given_up] {
        raw.say(&Opening::call(UNARY, &item(id.sequence())).frame(CLIENT, id))
            .await;
        handlings.push(peer.handling("unary_req").await);
    }
    drop(raw);
    peer.disconnected().await;
    // There are as many as ids.
    let [runs, answers, lost] = <[_; 3]>::try_from(handlings).unwrap_or_else(|_| unreachable!());
    answers.answer(&item(60)).await;
    let mut raw = listening.dial().await;
    let coming_back = Hello {
        awaited: [running, kept, unsent].map(|id| id.number()).to_vec(),
        ..hello()
    };
    raw.say(&raw::resuming_frame(&coming_back)).await;
    assert!(welcome_in(hear(&mut raw).await).resumed);
    lost.dropped().await;
    let mut fates = [hear(&mut raw).await, hear(&mut raw).await];
    fates.sort_by_key(|frame| frame.header.msg_id.number());
    assert_eq!(fates[0].header.msg_id, kept);
    assert_eq!(fates[0].payload, envelope(1, &item(60)));
    assert_eq!(
        line(&fates[1]),
        format!("ERROR {unsent}: UNAVAILABLE: not received")
    );
    runs.answer(&item(50)).await;
    let answer = hear(&mut raw).await;
    assert_eq!(
        (answer.header.msg_id, &*answer.payload),
        (running, &*envelope(1, &item(50)))
    );
}
