//! The raw peer as a server of each client.

use msip_runtime::{
    Protocol as _,
    prost::Message as _,
    wire::{Credit, Flags, Frame, FrameType, Metadata, MsgId, Side, Welcome},
};
use msip_tests::raw;

use crate::{
    case::{Case, Group},
    end::{counted, item},
    pair::Ways,
    process::Process,
    protocol::conformance::{Conformance, Item, control::Start},
    raw::{
        Opening, RawServer, ack, bytes_of, delivery, envelope, hear, id, line, payload, round_trip,
        vector, welcome, with_id,
    },
};

const SERVER: Side = Side::Accepting;

/// A client that comes back at once.
const QUICK: &str = "reconnect_min=5ms&reconnect_max=20ms";

/// Numbers of members of `ServerToClient`.
const UNARY_ANSWER: u16 = 1;
const NOTE: u16 = 2;
const DOWNLOAD_ANSWER: u16 = 3;
const UNARY: u16 = 6;
const UPLOAD: u16 = 8;
const SAVE: u16 = 23;

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("client");
    group.client("hello", &[], |client, ways| Box::pin(hello(client, ways)));
    group.client("vectors-of-messages", &[], |client, ways| {
        Box::pin(vectors_of_messages(client, ways))
    });
    group.client("vectors-of-both-streams", &[], |client, ways| {
        Box::pin(vectors_of_both_streams(client, ways))
    });
    group.client("vectors-of-answers", &[], |client, ways| {
        Box::pin(vectors_of_answers(client, ways))
    });
    group.client("vectors-of-pings", &[], |client, ways| {
        Box::pin(vectors_of_pings(client, ways))
    });
    group.client("other-fingerprint", &[], |client, ways| {
        Box::pin(other_fingerprint(client, ways))
    });
    group.client("codec-that-was-not-offered", &[], |client, ways| {
        Box::pin(codec_that_was_not_offered(client, ways))
    });
    group.client("refused", &[], |client, ways| {
        Box::pin(refused(client, ways))
    });
    group.client("violations", &[], |client, ways| {
        Box::pin(violations(client, ways))
    });
    group.client("strays", &[], |client, ways| Box::pin(strays(client, ways)));
    group.client("unknown-variants", &[], |client, ways| {
        Box::pin(unknown_variants(client, ways))
    });
    group.client("unreadable-answers", &[], |client, ways| {
        Box::pin(unreadable_answers(client, ways))
    });
    group.client("deadline", &[], |client, ways| {
        Box::pin(deadline(client, ways))
    });
    group.client("cancel", &[], |client, ways| Box::pin(cancel(client, ways)));
    group.client("urgency", &[], |client, ways| {
        Box::pin(urgency(client, ways))
    });
    group.client("credit-of-streams", &[], |client, ways| {
        Box::pin(credit_of_streams(client, ways))
    });
    group.client("grants-credit", &[], |client, ways| {
        Box::pin(grants_credit(client, ways))
    });
    group.client("beyond-the-window", &[], |client, ways| {
        Box::pin(beyond_the_window(client, ways))
    });
    group.client("deliveries-are-numbered", &[], |client, ways| {
        Box::pin(deliveries_are_numbered(client, ways))
    });
    group.client("dead-server", &[], |client, ways| {
        Box::pin(dead_server(client, ways))
    });
    group.client("drain", &[], |client, ways| Box::pin(drain(client, ways)));
    group.client("closes", &[], |client, ways| Box::pin(closes(client, ways)));
    group.client("resumes", &["resume"], |client, ways| {
        Box::pin(resumes(client, ways))
    });
    group.client("awaits", &["resume"], |client, ways| {
        Box::pin(awaits(client, ways))
    });
    group.client("duplicates", &["resume"], |client, ways| {
        Box::pin(duplicates(client, ways))
    });
    group.client("session-lost", &["resume"], |client, ways| {
        Box::pin(session_lost(client, ways, false))
    });
    group.client("another-session-of-that-id", &["resume"], |client, ways| {
        Box::pin(session_lost(client, ways, true))
    });
    group.client("taken-over", &["resume"], |client, ways| {
        Box::pin(taken_over(client, ways))
    });
    let mut cases = group.cases();
    cases.extend(super::malformed::to_clients());
    cases
}

async fn hello(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "ping_interval=3s&max_body=2MiB").await;
    let (_, _, hello) = server.accept().await;
    let hello = hello.hello;
    assert_eq!(hello.protocol, "conformance");
    assert_eq!(hello.fingerprint, Conformance::fingerprint());
    assert!(
        hello.codecs.is_empty() || hello.codecs == [1],
        "{:?}",
        hello.codecs
    );
    assert_eq!((hello.keepalive_ms, hello.max_body), (3_000, 2 << 20));
    assert!(hello.awaited.is_empty() && hello.credential.is_empty());
    assert!(hello.session_secret != [0; 16], "a secret is random");
}

async fn vectors_of_messages(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    raw.say(&vector("event")).await;
    let note = server.client.handling("note_ind").await.message::<Item>();
    assert_eq!((&*note.key, &*note.text), ("ada", "hi"));
    // Who has sent it is told by the server. Both are deliveries, and one is marked as sent again.
    raw.say(&with_id(vector("event-of-roles"), delivery(SERVER, 1)))
        .await;
    assert_eq!(server.client.handling("note_ind").await.told.user, "ada");
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(SERVER, 1))
    );
    raw.say(&with_id(vector("event-redelivered"), delivery(SERVER, 2)))
        .await;
    assert_eq!(server.client.handling("note_ind").await.told.user, "ada");
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(SERVER, 2))
    );
}

async fn vectors_of_both_streams(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    raw.say(&vector("event-both")).await;
    let handling = server.client.handling("both_req").await;
    handling.read(u64::MAX).await;
    raw.say(&vector("event-item")).await;
    assert_eq!(handling.item().await.key, "hi");
    handling.send(&counted(1), 1).await;
    assert_eq!(bytes_of(&hear(&mut raw).await), vector("ack-item-urgent"));
    handling
        .fail("OUT_OF_RANGE", "7 is not a number of a room")
        .await;
    assert_eq!(bytes_of(&hear(&mut raw).await), vector("error-both"));
}

async fn vectors_of_answers(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let call = server.client.start("unary_req", &item(1)).await;
    let asked = raw.hear_type(FrameType::Publish).await;
    assert_eq!(payload(asked.clone()).body, envelope(1, &item(1)));
    assert!(asked.header.flags.contains(Flags::ACK_REQUIRED));
    raw.say(&with_id(vector("ack-body"), asked.header.msg_id))
        .await;
    let answer = call.answer::<Item>().await;
    assert_eq!((&*answer.key, &*answer.text), ("welcome", "ada"));
    let call = server.client.start("unary_req", &item(1)).await;
    let asked = raw.hear_type(FrameType::Publish).await;
    raw.say(&with_id(vector("error"), asked.header.msg_id))
        .await;
    let failure = call.failure().await;
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("NOT_FOUND", "there is no room \"attic\"")
    );
    let call = server.client.start("download_req", &item(1)).await;
    let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
    raw.say(&ack(
        asked,
        Flags::MORE,
        DOWNLOAD_ANSWER,
        &envelope(DOWNLOAD_ANSWER, &item(5)),
    ))
    .await;
    assert_eq!(call.item::<Item>().await, item(5));
    raw.say(&with_id(vector("ack-end-meta"), asked)).await;
    let end = call.end().await;
    assert_eq!(
        end.headers.get("price-list").map(String::as_str),
        Some("2026-07")
    );
    // A last item without MORE ends a stream too.
    let call = server.client.start("download_req", &item(1)).await;
    let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
    raw.say(&ack(
        asked,
        Flags::NONE,
        DOWNLOAD_ANSWER,
        &envelope(DOWNLOAD_ANSWER, &item(6)),
    ))
    .await;
    assert_eq!(call.items::<Item>().await, [item(6)]);
}

async fn vectors_of_pings(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let ping = with_id(vector("ping"), id(SERVER, 8));
    raw.say(&ping).await;
    let pong = raw.hear_type(FrameType::Pong).await;
    assert_eq!(
        (pong.header.msg_id, &*pong.payload),
        (id(SERVER, 8), &vector("pong")[24..])
    );
}

async fn other_fingerprint(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let other = Welcome {
        fingerprint: 7,
        ..welcome()
    };
    let (mut raw, _) = server.welcome(&other).await;
    assert!(
        server.outcome().await.is_ok(),
        "rolling upgrades depend on it"
    );
    raw.say(&vector("event")).await;
    server.client.handling("note_ind").await;
}

async fn codec_that_was_not_offered(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let other = Welcome {
        codec: 2,
        ..welcome()
    };
    server.welcome(&other).await;
    assert!(server.outcome().await.is_err(), "the client is connected");
}

async fn refused(client: Process, ways: Ways) {
    for text in [
        "FAILED_PRECONDITION: this is `chat`",
        "UNAUTHENTICATED: who are you",
        "UNIMPLEMENTED: no",
    ] {
        let server = RawServer::of(&client, &ways, "").await;
        let (mut raw, id, _) = server.accept().await;
        raw.say(&raw::frame(FrameType::Error, id, text.as_bytes()))
            .await;
        match server.outcome().await {
            Ok(()) => panic!("the client is connected"),
            Err(status) => {
                let (code, message) = text.split_once(": ").unwrap_or_default();
                assert_eq!(status.code, code);
                assert!(status.message.contains(message), "{status:?}");
            }
        }
    }
}

/// What ends a connection, with an ERROR for it.
async fn violations(client: Process, ways: Ways) {
    let frames = [
        ("a PUBLISH of a server", vector("publish")),
        ("a HELLO of a server", vector("hello")),
        (
            "a call under the id 0",
            with_id(vector("event-both"), MsgId::new(0)),
        ),
        (
            "a call under an id of the client",
            with_id(vector("event-both"), MsgId::new(5)),
        ),
        (
            "a CREDIT of nothing",
            raw::frame(FrameType::Credit, MsgId::new(0), &[0; 8]),
        ),
    ];
    for (name, frame) in frames {
        let server = RawServer::of(&client, &ways, "").await;
        let (mut raw, _) = server.connected().await;
        raw.say(&frame).await;
        let heard = raw.hear_to_the_end().await;
        assert!(
            heard.iter().any(|line| line.starts_with("ERROR")),
            "{name}: {heard:?}"
        );
        server.client.disconnected().await;
    }
}

/// What answers nothing is ignored.
async fn strays(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let nobody = id(Side::Connecting, 500);
    raw.say(&ack(
        nobody,
        Flags::NONE,
        UNARY_ANSWER,
        &envelope(UNARY_ANSWER, &item(1)),
    ))
    .await;
    raw.say(&with_id(vector("error"), nobody)).await;
    raw.say(&raw::frame(
        FrameType::Credit,
        nobody,
        &[0, 0, 0, 1, 0, 0, 0, 1],
    ))
    .await;
    raw.say(&raw::frame(FrameType::Cancel, id(SERVER, 500), b""))
        .await;
    raw.say(&raw::frame(FrameType::Pong, id(Side::Connecting, 501), b""))
        .await;
    raw.say(&Opening::item(UPLOAD, &item(1)).frame(SERVER, id(SERVER, 502)))
        .await;
    assert_eq!(round_trip(&mut raw, SERVER, 600).await.len(), 0);
}

async fn unknown_variants(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    raw.say(&Opening::event(900, &item(1)).frame(SERVER, id(SERVER, 2)))
        .await;
    raw.say(&Opening::call(900, &item(1)).frame(SERVER, id(SERVER, 3)))
        .await;
    let refused = hear(&mut raw).await;
    assert_eq!(refused.header.msg_id, id(SERVER, 3));
    assert!(
        line(&refused).contains("UNIMPLEMENTED"),
        "{}",
        line(&refused)
    );
    raw.say(&Opening::event(NOTE, &item(4)).frame(SERVER, id(SERVER, 4)))
        .await;
    assert_eq!(server.client.handling("note_ind").await.item_number(), 4);
}

async fn unreadable_answers(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let other = envelope(NOTE, &item(1));
    let answers: [(&str, u16, &[u8]); 3] = [
        ("garbage", UNARY_ANSWER, &[0x0a, 0x05, 0xff]),
        ("another member", NOTE, &other),
        ("nothing", 0, &[]),
    ];
    for (name, variant, body) in answers {
        let call = server.client.start("unary_req", &item(1)).await;
        let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
        raw.say(&ack(asked, Flags::NONE, variant, body)).await;
        assert_eq!(call.failure().await.code, "INTERNAL", "{name}");
    }
    round_trip(&mut raw, SERVER, 20).await;
}

async fn deadline(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let start = Start {
        timeout_ms: 5_000,
        ..Start::default()
    };
    server.client.start_with("unary_req", start).await;
    let asked = raw.hear_type(FrameType::Publish).await;
    let metadata = payload(asked).metadata.unwrap_or_default();
    let metadata = Metadata::decode(metadata).unwrap_or_else(|error| panic!("{error}"));
    let deadline = metadata.deadline_ms.unwrap_or_default();
    assert!((4_000..=5_000).contains(&deadline), "{deadline}");
    let quick = Metadata {
        deadline_ms: Some(100),
        ..Metadata::default()
    };
    let call = Opening::call(UNARY, &item(1)).metadata(quick);
    raw.say(&call.frame(SERVER, id(SERVER, 2))).await;
    let handling = server.client.handling("unary_req").await;
    assert!(handling.told.remaining_ms <= 100);
    handling.dropped().await;
}

async fn cancel(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let call = server.client.start("unary_req", &item(1)).await;
    let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
    call.cancel().await;
    let cancel = hear(&mut raw).await;
    assert_eq!(bytes_of(&cancel), with_id(vector("cancel"), asked));
    // A late answer reaches nobody.
    raw.say(&ack(
        asked,
        Flags::NONE,
        UNARY_ANSWER,
        &envelope(UNARY_ANSWER, &item(2)),
    ))
    .await;
    assert_eq!(call.failure().await.code, "CANCELLED");
    assert_eq!(round_trip(&mut raw, SERVER, 20).await.len(), 0);
}

async fn urgency(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    for (member, is_urgent) in [
        ("urgent_req", true),
        ("unary_req", false),
        ("alarm_ind", true),
        ("note_ind", false),
    ] {
        let call = server.client.start(member, &item(1)).await;
        let frame = hear(&mut raw).await;
        assert_eq!(
            frame.header.flags.contains(Flags::URGENT),
            is_urgent,
            "{member}"
        );
        if member == "urgent_req" {
            call.cancel().await;
            let frame = hear(&mut raw).await;
            assert_eq!(frame.header.frame_type, FrameType::Cancel);
            assert!(frame.header.flags.contains(Flags::URGENT), "its CANCEL");
        }
    }
}

async fn credit_of_streams(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let call = server
        .client
        .start_with("upload_req", Start::default())
        .await;
    call.send(&item(1), 30).await;
    call.finish().await;
    let asked = raw.hear_type(FrameType::Publish).await;
    let is_item =
        |frame: &Frame| frame.header.variant != 0 && !payload(frame.clone()).body.is_empty();
    let mut sent = usize::from(is_item(&asked));
    while sent < 16 {
        sent += usize::from(is_item(&hear(&mut raw).await));
    }
    let beyond = round_trip(&mut raw, SERVER, 20).await;
    assert!(!beyond.iter().any(is_item), "beyond the credit");
    let rest = Credit {
        items: 14,
        bytes: 100_000,
    };
    raw.say(&raw::frame(
        FrameType::Credit,
        asked.header.msg_id,
        &rest.encode(),
    ))
    .await;
    loop {
        let frame = hear(&mut raw).await;
        sent += usize::from(is_item(&frame));
        if !frame.header.flags.contains(Flags::MORE) {
            break;
        }
    }
    assert_eq!(sent, 30);
}

/// What its program has read is granted again, and nothing else.
async fn grants_credit(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let call = server
        .client
        .start_reading("download_req", Start::default(), 0)
        .await;
    let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
    let next = ack(
        asked,
        Flags::MORE,
        DOWNLOAD_ANSWER,
        &envelope(DOWNLOAD_ANSWER, &item(1)),
    );
    for _ in 0..16 {
        raw.say(&next).await;
    }
    call.read(12).await;
    let credit = loop {
        let credit = raw.hear_type(FrameType::Credit).await;
        if credit.header.msg_id == asked {
            break credit;
        }
    };
    let granted = Credit::parse(&credit.payload).unwrap_or_else(|error| panic!("{error}"));
    assert!(granted.items > 0, "{granted:?}");
}

async fn beyond_the_window(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let call = server
        .client
        .start_reading("download_req", Start::default(), 0)
        .await;
    let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
    let next = ack(
        asked,
        Flags::MORE,
        DOWNLOAD_ANSWER,
        &envelope(DOWNLOAD_ANSWER, &item(1)),
    );
    for _ in 0..17 {
        raw.say(&next).await;
    }
    let heard = raw.hear_to_the_end().await;
    assert!(
        heard.iter().any(|line| line.starts_with("ERROR")),
        "{heard:?}"
    );
    call.read(20).await;
    call.failure().await;
}

async fn deliveries_are_numbered(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let mut last = MsgId::new(0);
    for number in 1..=4 {
        let sending = server.client.start("save_ind", &item(number)).await;
        let saved = hear(&mut raw).await;
        assert_eq!(saved.header.msg_id, delivery(Side::Connecting, number));
        server.client.start("note_ind", &item(number)).await;
        let note = hear(&mut raw).await;
        assert!(note.header.msg_id.number() > last.number() && !note.header.msg_id.is_delivery());
        last = note.header.msg_id;
        raw.say(&ack(saved.header.msg_id, Flags::NONE, 0, b""))
            .await;
        sending.sent().await;
    }
}

async fn dead_server(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "ping_interval=60ms").await;
    let (mut raw, _) = server.connected().await;
    raw.hear_type(FrameType::Ping).await;
    server.client.disconnected().await;
}

/// A client whose server says goodbye sends nothing new, finishes what is open, and leaves.
async fn drain(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    let call = server.client.start("unary_req", &item(1)).await;
    let asked = raw.hear_type(FrameType::Publish).await.header.msg_id;
    raw.say(&vector("close")).await;
    round_trip(&mut raw, SERVER, 20).await;
    raw.say(&ack(
        asked,
        Flags::NONE,
        UNARY_ANSWER,
        &envelope(UNARY_ANSWER, &item(2)),
    ))
    .await;
    assert_eq!(call.answer::<Item>().await, item(2));
    raw.hear_to_the_end().await;
    server.client.disconnected().await;
}

async fn closes(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, "").await;
    let (mut raw, _) = server.connected().await;
    server.client.begin_close().await;
    let close = hear(&mut raw).await;
    assert!(line(&close).starts_with("CLOSE"), "{}", line(&close));
    raw.say(&Opening::call(UNARY, &item(1)).frame(SERVER, id(SERVER, 2)))
        .await;
    let refused = hear(&mut raw).await;
    assert_eq!(refused.payload, vector("error-not-accepted")[24..]);
    raw.say(&raw::frame(
        FrameType::Close,
        MsgId::new(0),
        b"CANCELLED: you too",
    ))
    .await;
    raw.hear_to_the_end().await;
    assert!(!server.client.has_handled("unary_req"), "after CLOSE");
}

fn resumed() -> Welcome {
    Welcome {
        resumed: true,
        ..welcome()
    }
}

async fn resumes(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, QUICK).await;
    let (mut raw, first) = server.connected().await;
    let mut sending = Vec::new();
    for number in 1..=3 {
        sending.push(server.client.start("save_ind", &item(number)).await);
        hear(&mut raw).await;
    }
    raw.say(&ack(delivery(Side::Connecting, 2), Flags::NONE, 0, b""))
        .await;
    sending[1].sent().await;
    drop(raw);
    let (mut raw, second) = server.welcome(&resumed()).await;
    assert_eq!(second.session_id, first.session_id);
    assert_eq!(second.hello.session_secret, first.hello.session_secret);
    for number in [1, 3] {
        let frame = hear(&mut raw).await;
        assert_eq!(frame.header.msg_id, delivery(Side::Connecting, number));
        assert!(frame.header.flags.contains(Flags::REDELIVERED));
        assert_eq!(payload(frame).body, envelope(SAVE, &item(number)));
        raw.say(&ack(
            delivery(Side::Connecting, number),
            Flags::NONE,
            0,
            b"",
        ))
        .await;
    }
    for delivery in [&sending[0], &sending[2]] {
        delivery.sent().await;
    }
    // What is new goes on with the numbers.
    server.client.start("save_ind", &item(4)).await;
    let frame = hear(&mut raw).await;
    assert_eq!(frame.header.msg_id, delivery(Side::Connecting, 4));
    assert!(!frame.header.flags.contains(Flags::REDELIVERED));
}

async fn awaits(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, QUICK).await;
    let (mut raw, _) = server.connected().await;
    let (mut calls, mut ids) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        calls.push(server.client.start("unary_req", &item(number)).await);
        ids.push(raw.hear_type(FrameType::Publish).await.header.msg_id);
    }
    drop(raw);
    let (mut raw, hello) = server.welcome(&resumed()).await;
    let mut awaited = hello.hello.awaited;
    awaited.sort_unstable();
    assert_eq!(
        awaited,
        ids.iter().map(|id| id.number()).collect::<Vec<_>>()
    );
    // None of them is sent again.
    assert_eq!(round_trip(&mut raw, SERVER, 20).await.len(), 0);
    raw.say(&raw::frame(
        FrameType::Error,
        ids[0],
        b"UNAVAILABLE: not received",
    ))
    .await;
    raw.say(&raw::frame(
        FrameType::Error,
        ids[1],
        b"UNKNOWN: reply lost",
    ))
    .await;
    raw.say(&ack(
        ids[2],
        Flags::NONE,
        UNARY_ANSWER,
        &envelope(UNARY_ANSWER, &item(9)),
    ))
    .await;
    assert_eq!(calls[0].failure().await.code, "UNAVAILABLE");
    assert_eq!(calls[1].failure().await.code, "UNKNOWN");
    assert_eq!(calls[2].answer::<Item>().await, item(9));
}

async fn duplicates(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, QUICK).await;
    let (mut raw, _) = server.connected().await;
    let save = |number, flags| {
        Opening::event(SAVE, &item(number))
            .with(Flags::ACK_REQUIRED | flags)
            .frame(SERVER, delivery(SERVER, number))
    };
    raw.say(&save(1, Flags::NONE)).await;
    assert_eq!(
        line(&hear(&mut raw).await),
        format!("ACK {}", delivery(SERVER, 1))
    );
    drop(raw);
    let (mut raw, _) = server.welcome(&resumed()).await;
    for number in 1..=2 {
        raw.say(&save(number, Flags::REDELIVERED)).await;
        assert_eq!(
            line(&hear(&mut raw).await),
            format!("ACK {}", delivery(SERVER, number))
        );
    }
    for number in 1..=2 {
        assert_eq!(
            server.client.handling("save_ind").await.item_number(),
            number
        );
    }
    assert!(!server.client.has_handled("save_ind"), "handled twice");
}

/// A server that knows nothing of the session, or has another one under its id.
async fn session_lost(client: Process, ways: Ways, is_resumed: bool) {
    let server = RawServer::of(&client, &ways, QUICK).await;
    let (mut raw, _) = server.connected().await;
    let call = server.client.start("unary_req", &item(1)).await;
    let sending = server.client.start("save_ind", &item(2)).await;
    raw.hear_type(FrameType::Publish).await;
    raw.hear_type(FrameType::Publish).await;
    drop(raw);
    let other = Welcome {
        resumed: is_resumed,
        peer_id: 8,
        ..welcome()
    };
    let (mut raw, _) = server.welcome(&other).await;
    server.client.session_lost().await;
    call.failure().await;
    assert_eq!(sending.failure().await.code, "UNKNOWN");
    assert_eq!(
        round_trip(&mut raw, SERVER, 20).await.len(),
        0,
        "sent again in another session"
    );
    // Deliveries of the new session are numbered anew.
    server.client.start("save_ind", &item(3)).await;
    let saved = hear(&mut raw).await;
    assert_eq!(saved.header.msg_id, delivery(Side::Connecting, 1));
}

/// Of two connections that claim one session the older one does not come back.
async fn taken_over(client: Process, ways: Ways) {
    let server = RawServer::of(&client, &ways, QUICK).await;
    let (mut raw, _) = server.connected().await;
    raw.say(&raw::frame(
        FrameType::Close,
        MsgId::new(0),
        b"ABORTED: session taken over",
    ))
    .await;
    raw.finish().await;
    server.client.disconnected().await;
    let status = server.client.closed().await;
    assert_eq!(status.code, "ABORTED");
}
