use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};

use tokio_tungstenite::tungstenite::protocol::Role;

use super::{is_origin, is_path, stream::ByteStream};
use crate::transport::RoughStream;

/// A frame, as a client sends it if it is `masked`.
fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(mask_bit | u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            bytes.push(mask_bit | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(mask_bit | 127);
            bytes.extend(u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    if !masked {
        bytes.extend(payload);
        return bytes;
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    let masks = mask.iter().cycle();
    bytes.extend(payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    bytes
}

const BINARY: u8 = 0x82;
const BINARY_BEGINS: u8 = 0x02;
const CONTINUES: u8 = 0x00;
const ENDS: u8 = 0x80;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A server's end and the raw stream of its client.
async fn server() -> (ByteStream<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(1024 * 1024);
    (ByteStream::new(near, Role::Server, Vec::new()).await, far)
}

/// Both ends.
async fn pair(len: usize) -> (ByteStream<DuplexStream>, ByteStream<DuplexStream>) {
    let (near, far) = duplex(len);
    (
        ByteStream::new(near, Role::Client, Vec::new()).await,
        ByteStream::new(far, Role::Server, Vec::new()).await,
    )
}

/// Whether there is nothing to read.
async fn is_silent(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut bytes = [0; 64];
    poll_fn(|task| {
        let mut buf = ReadBuf::new(&mut bytes);
        let polled = std::pin::Pin::new(&mut *stream).poll_read(task, &mut buf);
        std::task::Poll::Ready(polled.is_pending())
    })
    .await
}

/// Sends bytes both ways at once, and reads them.
async fn converse(
    near: impl AsyncRead + AsyncWrite + Unpin,
    far: impl AsyncRead + AsyncWrite + Unpin,
    len: usize,
) {
    let sent: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
    let one = |stream, sent: Vec<u8>| async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut heard = vec![0; sent.len()];
        let writing = async {
            for chunk in sent.chunks(100_000) {
                writer.write_all(chunk).await.unwrap();
                writer.flush().await.unwrap();
            }
        };
        let (read, ()) = tokio::join!(reader.read_exact(&mut heard), writing);
        read.unwrap();
        assert!(heard == sent);
    };
    tokio::join!(one(near, sent.clone()), async {
        let (mut reader, mut writer) = tokio::io::split(far);
        let mut heard = vec![0; sent.len()];
        let writing = async {
            writer.write_all(&sent).await.unwrap();
            writer.flush().await.unwrap();
        };
        let (read, ()) = tokio::join!(reader.read_exact(&mut heard), writing);
        read.unwrap();
        assert!(heard == sent);
    });
}

#[tokio::test]
async fn bytes_arrive_both_ways() {
    for len in [1, 125, 126, 65_535, 65_536, 3_000_000] {
        let (client, server) = pair(10_000).await;
        converse(client, server, len).await;
    }
}

#[tokio::test]
async fn bytes_arrive_over_a_stream_that_does_all_that_it_may_and_as_such_a_stream() {
    let (near, far) = duplex(5000);
    let client = ByteStream::new(RoughStream::new(near), Role::Client, Vec::new()).await;
    let server = ByteStream::new(RoughStream::new(far), Role::Server, Vec::new()).await;
    converse(client, server, 300_000).await;
    let (client, server) = pair(5000).await;
    converse(RoughStream::new(client), RoughStream::new(server), 300_000).await;
}

#[tokio::test]
async fn what_is_written_between_two_flushes_is_one_message() {
    let (mut server, mut peer) = server().await;
    for _ in 0..3 {
        server.write_all(&[7; 100]).await.unwrap();
    }
    server.flush().await.unwrap();
    let mut heard = vec![0; 304];
    peer.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, frame(BINARY, false, &[7; 300]));
    assert!(is_silent(&mut peer).await);
}

#[tokio::test]
async fn a_clients_messages_are_masked_each_with_a_mask_of_its_own() {
    let (near, mut peer) = duplex(1000);
    let mut client = ByteStream::new(near, Role::Client, Vec::new()).await;
    let mut masks = Vec::new();
    for _ in 0..2 {
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        let mut heard = [0; 11];
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard[..2], [BINARY, 0x85]);
        let masks_of = heard[2..6].iter().cycle();
        let payload: Vec<u8> = heard[6..]
            .iter()
            .zip(masks_of)
            .map(|(a, b)| a ^ b)
            .collect();
        assert_eq!(payload, b"hello");
        masks.push(heard[2..6].to_vec());
    }
    assert_ne!(masks[0], masks[1]);
}

#[tokio::test]
async fn a_ping_is_answered_by_whoever_only_reads() {
    let (mut server, mut peer) = server().await;
    peer.write_all(&frame(PING, true, b"one")).await.unwrap();
    peer.write_all(&frame(PING, true, b"two")).await.unwrap();
    assert!(is_silent(&mut server).await);
    let mut heard = [0; 10];
    peer.read_exact(&mut heard).await.unwrap();
    let pongs = [frame(PONG, false, b"one"), frame(PONG, false, b"two")];
    assert_eq!(heard.as_slice(), pongs.concat());
    assert!(is_silent(&mut peer).await);
}

#[tokio::test]
async fn pings_of_a_peer_that_reads_no_pongs_cost_nothing_and_end_with_the_allowance() {
    let (near, mut peer) = duplex(10);
    let mut server = ByteStream::new(near, Role::Server, Vec::new()).await;
    let ping = frame(PING, true, b"x");
    let flood = async {
        for _ in 0..100_000 {
            if peer.write_all(&ping).await.is_err() {
                break;
            }
        }
        peer
    };
    let reading = async {
        let error = server.read_u8().await.unwrap_err();
        drop(server);
        error
    };
    let (_, error) = tokio::join!(flood, reading);
    assert!(
        error.to_string().contains("too many WebSocket frames"),
        "{error}"
    );
}

#[tokio::test]
async fn a_close_is_answered_and_is_the_end_of_input() {
    let (mut server, mut peer) = server().await;
    peer.write_all(&frame(BINARY, true, b"last")).await.unwrap();
    peer.write_all(&frame(CLOSE, true, &1000_u16.to_be_bytes()))
        .await
        .unwrap();
    peer.write_all(b"what follows is not read").await.unwrap();
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last");
    assert!(server.write_all(b"more").await.is_err());
    server.shutdown().await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, frame(CLOSE, false, &1000_u16.to_be_bytes()));
}

#[tokio::test]
async fn a_shutdown_sends_a_close_frame_and_then_closes() {
    let (mut client, mut server) = pair(1000).await;
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last");
    assert_eq!(client.read(&mut [0; 9]).await.unwrap(), 0, "it is answered");
}

#[tokio::test]
async fn an_end_without_a_close_frame_is_an_end() {
    let (mut server, mut peer) = server().await;
    peer.write_all(&frame(BINARY, true, b"cut")[..7])
        .await
        .unwrap();
    drop(peer);
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"", "a message that is cut is none");
}

#[tokio::test]
async fn bytes_that_came_with_the_upgrade_are_read_first() {
    let (near, mut peer) = duplex(1000);
    let both = [
        frame(BINARY, false, b"early"),
        frame(BINARY, false, b"late"),
    ]
    .concat();
    let mut client = ByteStream::new(near, Role::Client, both[..5].to_vec()).await;
    peer.write_all(&both[5..]).await.unwrap();
    let mut heard = [0; 9];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"earlylate");
}

#[tokio::test]
async fn messages_that_are_there_are_read_together_and_what_breaks_the_protocol_after_them() {
    let (mut server, mut peer) = server().await;
    let messages = [b"one", b"two"].map(|payload| frame(BINARY, true, payload));
    peer.write_all(&messages.concat()).await.unwrap();
    peer.write_all(&frame(TEXT, true, b"no")).await.unwrap();
    let mut heard = [0; 100];
    assert_eq!(server.read(&mut heard).await.unwrap(), 6);
    assert_eq!(heard[..6], *b"onetwo");
    for _ in 0..2 {
        let error = server.read(&mut heard).await.unwrap_err();
        assert!(error.to_string().contains("text"), "{error}");
    }
}

/// A stream that has these bytes, and then fails once.
struct Failing(Vec<u8>, Option<io::Error>);

impl AsyncRead for Failing {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(bytes, error) = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(error.take().map_or(Ok(()), Err));
        }
        buf.put_slice(&std::mem::take(bytes));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Failing {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_error_of_the_stream_comes_after_what_was_received_before_it() {
    let stream = Failing(
        frame(BINARY, true, b"one"),
        Some(io::ErrorKind::ConnectionReset.into()),
    );
    let mut server = ByteStream::new(stream, Role::Server, Vec::new()).await;
    let mut heard = [0; 100];
    assert_eq!(server.read(&mut heard).await.unwrap(), 3);
    let error = server.read(&mut heard).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(server.read(&mut heard).await.unwrap(), 0);
}

#[tokio::test]
async fn what_breaks_the_protocol_is_told_and_ends_the_connection() {
    let long = |first: u8, len: u64| {
        let mut bytes = vec![first, 0xff];
        bytes.extend(len.to_be_bytes());
        bytes.extend([0; 4]);
        bytes
    };
    let many = |first: u8, count: usize| frame(first, true, b"").repeat(count);
    let cases = [
        ("a text message", frame(TEXT, true, b"hello"), 1003, "text"),
        (
            "a frame that is not masked",
            frame(BINARY, false, b"x"),
            1002,
            "unmasked frame",
        ),
        (
            "a reserved bit",
            frame(0xc2, true, b"x"),
            1002,
            "Reserved bits",
        ),
        ("an unknown opcode", frame(0x83, true, b"x"), 1002, "opcode"),
        (
            "a frame of 2^63-1 bytes",
            long(BINARY, u64::MAX >> 1),
            1009,
            "65536 are allowed",
        ),
        (
            "a frame of 2^64-1 bytes",
            long(BINARY, u64::MAX),
            1009,
            "65536 are allowed",
        ),
        (
            "a first frame over 64 KiB",
            long(BINARY, 65_537),
            1009,
            "65536 are allowed",
        ),
        ("a long ping", frame(PING, true, &[0; 126]), 1002, "too big"),
        (
            "a ping in fragments",
            frame(0x09, true, b""),
            1002,
            "Fragmented control",
        ),
        (
            "a continuation of nothing",
            frame(ENDS, true, b"x"),
            1002,
            "nothing to continue",
        ),
        (
            "a message within another",
            [frame(BINARY_BEGINS, true, b""), frame(BINARY, true, b"")].concat(),
            1002,
            "more fragments",
        ),
        (
            "a close frame of one byte",
            frame(CLOSE, true, b"x"),
            1002,
            "close sequence",
        ),
        (
            "100,000 empty messages",
            many(BINARY, 100_000),
            1008,
            "1000 at once",
        ),
        (
            "100,000 empty fragments",
            [many(BINARY_BEGINS, 1), many(CONTINUES, 100_000)].concat(),
            1008,
            "no message is complete",
        ),
        ("100,000 pongs", many(PONG, 100_000), 1008, "1000 at once"),
    ];
    for (name, bytes, code, text) in cases {
        let (mut server, mut peer) = server().await;
        // What comes before it is read.
        let bytes = [frame(BINARY, true, b"before"), bytes].concat();
        let sending = async {
            // The rest of a flood is not read.
            let _ = peer.write_all(&bytes).await;
            peer
        };
        let reading = async {
            let mut heard = [0; 6];
            server.read_exact(&mut heard).await.unwrap();
            let error = server.read_u8().await.unwrap_err();
            drop(server);
            error
        };
        let (mut peer, error) = tokio::join!(sending, reading);
        assert!(error.to_string().contains(text), "{name}: {error}");
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        let expected = frame(CLOSE, false, &u16::to_be_bytes(code));
        assert_eq!(answer, expected, "{name}");
    }
}

#[tokio::test]
async fn masked_frames_from_a_server_end_the_connection() {
    let (near, mut peer) = duplex(1000);
    let mut client = ByteStream::new(near, Role::Client, Vec::new()).await;
    peer.write_all(&frame(BINARY, true, b"x")).await.unwrap();
    let error = client.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("masked frame"), "{error}");
}

#[test]
fn origins_and_paths_are_told_from_what_is_none() {
    for origin in [
        "https://a.example",
        "http://[::1]:8000",
        "null",
        "chrome-extension://abc",
    ] {
        assert!(is_origin(origin), "{origin}");
    }
    for none in [
        "a.example",
        "https://",
        "https://a.example/",
        "*",
        "",
        "https://a b",
        "://a",
    ] {
        assert!(!is_origin(none), "{none}");
    }
    for path in ["", "/", "/a/b;c=1,2:@x", "/%7Ea"] {
        assert!(is_path(path), "{path}");
    }
    for none in ["/a b", "/a\r\nX: y", "/a%2", "/ä", "/a\"b"] {
        assert!(!is_path(none), "{none}");
    }
}

/// The bytes of the block with this name in docs/protocol.md, "WebSocket": the payload, and the message that holds it.
fn vector(name: &str) -> (Vec<u8>, Vec<u8>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, block) = page
        .split_once(&format!("```websocket name={name}\n"))
        .unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let (head, hex) = block.split_once("hex:").unwrap();
    let (_, payload) = head.split_once("payload:").unwrap();
    let bytes = |text: &str| {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    };
    (bytes(payload), bytes(hex))
}

#[tokio::test]
async fn messages_are_as_the_protocol_page_shows_them() {
    let (mut server, mut peer) = server().await;
    let (payload, message) = vector("ping-from-a-client");
    assert_eq!(frame(BINARY, true, &payload), message);
    peer.write_all(&message).await.unwrap();
    let mut heard = vec![0; payload.len()];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, payload);
    let (payload, message) = vector("ping-from-a-server");
    server.write_all(&payload).await.unwrap();
    server.flush().await.unwrap();
    let mut heard = vec![0; message.len()];
    peer.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, message);
}
