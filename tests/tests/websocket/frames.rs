//! Frames that break the protocol, and floods of those that carry nothing.

use std::time::Duration;

use msip_runtime::{
    Client, DisconnectReason, SendError, Server,
    wire::{Credit, FrameType, MsgId},
};
use msip_tests::{
    LabServer, SeenByServer, connected,
    lab::{Lab, SendServerToClient as _},
    messages::note,
    next,
    raw::{self, hello_frame},
    soon, start,
};
use tokio::io::AsyncReadExt as _;

use crate::raw_socket::{
    BINARY, BINARY_BEGINS, CLOSE, CONTINUES, ENDS, PING, PONG, RawSocket, TEXT, frame, unmasked,
};

/// A frame of which only the header has come.
fn announced(first: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0xff];
    bytes.extend(len.to_be_bytes());
    bytes.extend([1, 2, 3, 4]);
    bytes
}

#[tokio::test]
async fn what_breaks_the_protocol_is_told_with_a_close_frame() {
    let (url, mut events, _server) = start("ws://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let many = |first: u8| frame(first, b"").repeat(100_000);
    let cases = [
        ("a text message", frame(TEXT, b"hello"), 1003),
        (
            "a frame that is not masked",
            unmasked(BINARY, b"hello"),
            1002,
        ),
        ("a reserved bit", frame(0xc2, b"hello"), 1002),
        ("an unknown opcode", frame(0x83, b"hello"), 1002),
        (
            "a frame of 2^63-1 bytes",
            announced(BINARY, u64::MAX >> 1),
            1009,
        ),
        ("a frame over 64 KiB", announced(BINARY, 65_537), 1009),
        (
            "a control frame that is too long",
            frame(PING, &[0; 126]),
            1002,
        ),
        ("a control frame in fragments", frame(0x09, b""), 1002),
        ("a continuation of nothing", frame(ENDS, b"x"), 1002),
        (
            "a message within another",
            [frame(BINARY_BEGINS, b"x"), frame(BINARY, b"x")].concat(),
            1002,
        ),
        ("100,000 empty messages", many(BINARY), 1008),
        (
            "100,000 empty fragments",
            [frame(BINARY_BEGINS, b""), many(CONTINUES)].concat(),
            1008,
        ),
        ("100,000 pings", many(PING), 1008),
        ("100,000 pongs", many(PONG), 1008),
    ];
    for is_greeted in [false, true] {
        for (name, bytes, code) in &cases {
            let mut socket = RawSocket::upgraded(&url).await;
            if is_greeted {
                socket
                    .say(&frame(BINARY, &hello_frame(&raw::hello())))
                    .await;
                let (first, _) = socket.hear().await.expect("a WELCOME");
                assert_eq!(first, BINARY, "{name}");
                connected(&mut events).await;
            }
            let (mut reader, mut writer) = socket.0.into_split();
            let sending = async {
                // What follows the first part is not read.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut writer, bytes).await;
            };
            let mut heard = Vec::new();
            let (_, ()) = soon("the end", async {
                tokio::join!(reader.read_to_end(&mut heard), sending)
            })
            .await;
            // Pongs may come before, and a flood's reset may take the close frame back.
            let close = unmasked(CLOSE, &u16::to_be_bytes(*code));
            let is_flood = bytes.len() > 1000;
            assert!(
                heard.ends_with(&close) || is_flood && !heard.contains(&CLOSE),
                "{name}, greeted: {is_greeted}: {heard:?}"
            );
            if is_greeted {
                let SeenByServer::Disconnected(reason) = next(&mut events).await else {
                    panic!("{name}")
                };
                assert!(
                    matches!(reason, DisconnectReason::Transport(_)),
                    "{name}: {reason:?}"
                );
            }
        }
    }
    client
        .ping(0, Duration::from_secs(60))
        .await
        .expect("others go on");
}

#[tokio::test]
async fn pings_are_answered_before_hello_and_after() {
    let (url, mut events, _server) = start("ws://127.0.0.1:0").await;
    let mut socket = RawSocket::upgraded(&url).await;
    socket.say(&frame(PING, b"early")).await;
    assert_eq!(socket.hear().await, Some((PONG, b"early".to_vec())));
    socket
        .say(&frame(BINARY, &hello_frame(&raw::hello())))
        .await;
    let (first, _) = socket.hear().await.expect("a WELCOME");
    assert_eq!(first, BINARY);
    connected(&mut events).await;
    socket.say(&frame(PING, b"late")).await;
    assert_eq!(socket.hear().await, Some((PONG, b"late".to_vec())));
}

#[tokio::test]
async fn a_hello_may_come_in_any_chunks() {
    let (url, mut events, _server) = start("ws://127.0.0.1:0").await;
    let mut socket = RawSocket::upgraded(&url).await;
    let hello = hello_frame(&raw::hello());
    let (first, rest) = hello.split_at(30);
    let mut bytes = Vec::new();
    for byte in first {
        bytes.extend(frame(BINARY, &[*byte]));
    }
    bytes.extend(frame(BINARY_BEGINS, b""));
    for byte in rest {
        bytes.extend(frame(CONTINUES, &[*byte]));
    }
    bytes.extend(frame(ENDS, b""));
    socket.say(&bytes).await;
    let (first, _) = socket.hear().await.expect("a WELCOME");
    assert_eq!(first, BINARY);
    connected(&mut events).await;
}

#[tokio::test]
async fn a_close_frame_is_answered_and_is_the_end_of_input() {
    let (url, mut events, _server) = start("ws://127.0.0.1:0").await;
    let mut socket = RawSocket::upgraded(&url).await;
    socket
        .say(&frame(BINARY, &hello_frame(&raw::hello())))
        .await;
    connected(&mut events).await;
    socket.say(&frame(CLOSE, &1001_u16.to_be_bytes())).await;
    let heard = socket.hear_to_the_end().await;
    assert!(
        heard.ends_with(&unmasked(CLOSE, &1001_u16.to_be_bytes())),
        "{heard:?}"
    );
    let SeenByServer::Disconnected(reason) = next(&mut events).await else {
        panic!("it is over")
    };
    assert!(matches!(reason, DisconnectReason::Eof), "{reason:?}");
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off() {
    let (handler, mut events) = LabServer::new();
    let server = Server::<Lab>::builder("ws://127.0.0.1:0")
        .write_timeout(Duration::from_millis(200))
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    let _serving = tokio::spawn(server.serve(handler));
    let mut socket = RawSocket::upgraded(&url).await;
    socket
        .say(&frame(BINARY, &hello_frame(&raw::hello())))
        .await;
    let peer = connected(&mut events).await;
    let mut large = note(1);
    large.ballast = vec![0; 64 * 1024];
    // More than the credit that it begins with is not needed: the socket's buffers are smaller.
    let credit = Credit {
        items: 10_000,
        bytes: 1 << 30,
    };
    socket
        .say(&frame(
            BINARY,
            &raw::frame(FrameType::Credit, MsgId::CONNECTION, &credit.encode()),
        ))
        .await;
    let flooding = tokio::spawn(async move {
        while !matches!(
            peer.note_ind(large.clone()).await,
            Err(SendError::Closed | SendError::Disconnected)
        ) {}
    });
    let SeenByServer::Disconnected(reason) = next(&mut events).await else {
        panic!("it is cut off")
    };
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { .. }),
        "{reason:?}"
    );
    soon("the sender", flooding).await.expect("no panic");
}
