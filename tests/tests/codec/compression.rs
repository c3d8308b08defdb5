//! Compression: which bodies are sent compressed, and how received ones are handled.

use msip_runtime::{
    MsgKind,
    transport::ServiceUrl,
    wire::{Compression, Flags, Frame, FrameType, Header, Hello, MsgId, RawKind, Side},
};
use msip_tests::{
    Echo, RawCaller,
    raw::{self, RawPeer},
    sampler::{Chain, ClientToServer, Sampler, Text},
    soon,
};

const TEXT: u16 = 4;
const CHAIN: u16 = 3;

/// The HELLO of a client that offers this compression.
fn hello(compression: Compression) -> Hello {
    Hello {
        compressions: vec![compression.into()],
        ..raw::hello_of::<Sampler>()
    }
}

/// A client that has agreed on a compression.
async fn peer(url: &ServiceUrl, compression: Compression) -> RawPeer {
    let mut peer = RawPeer::dial(url).await;
    peer.greet_with(&hello(compression)).await;
    peer
}

/// Bytes without repetition, as far as any compression looks.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let byte = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..len).map(byte).collect()
}

/// Tells everyone a text, uncompressed as it may always be, and hears what the server makes of it.
async fn tell(peer: &mut RawPeer, number: u64, message: &ClientToServer) -> Frame {
    let id = MsgId::exchange(Side::Connecting, number);
    peer.say(&raw::message(Side::Connecting, Flags::NONE, id, message))
        .await;
    soon("an echo", peer.hear_type(FrameType::Event)).await
}

#[tokio::test]
async fn a_body_is_compressed_where_that_helps_and_is_allowed() {
    let url = Echo::start("mem://where-that-helps").await;
    let short_url = Echo::start("mem://short-threshold?compress_threshold=64").await;
    let long = "again and ".repeat(1000);
    let text = |text: &str| {
        ClientToServer::TextInd(Text {
            text: text.to_owned(),
        })
    };
    for compression in [Compression::Gzip, Compression::Zstd, Compression::Lz4] {
        let mut speaker = peer(&url, compression).await;
        let mut short = peer(&short_url, compression).await;
        let number = u8::try_from(i32::from(compression)).expect("a small number");

        let frame = tell(&mut speaker, 10, &text(&long)).await;
        assert!(
            frame.header.flags.contains(Flags::COMPRESSED),
            "{compression:?}"
        );
        assert_eq!(frame.payload[2], number, "the body's first byte");
        assert!(frame.payload.len() < 500, "{} bytes", frame.payload.len());

        // What came so is taken so.
        let id = MsgId::exchange(Side::Connecting, 11);
        let header = Header {
            flags: Flags::COMPRESSED,
            kind: RawKind::from(MsgKind::Event),
            variant: TEXT,
            ..Header::control(FrameType::Publish, id)
        };
        speaker.say(&raw::frame_of(header, &frame.payload)).await;
        let again = soon("an echo", speaker.hear_type(FrameType::Event)).await;
        assert_eq!(again.payload, frame.payload, "{compression:?}");

        for (name, message) in [
            ("short", text(&long[..900])),
            (
                "excepted",
                ClientToServer::SecretInd(Text { text: long.clone() }),
            ),
        ] {
            let frame = tell(&mut speaker, 12, &message).await;
            assert!(
                !frame.header.flags.contains(Flags::COMPRESSED),
                "{name}, {compression:?}"
            );
            assert_eq!(
                frame.payload[2..],
                raw::body(&message),
                "{name}, {compression:?}"
            );
        }
        for (number, ballast, is_smaller) in [(20, noise(9_000), false), (21, vec![7; 9_000], true)]
        {
            let id = MsgId::exchange(Side::Connecting, number);
            let request = ClientToServer::ChainReq(Chain {
                ballast,
                ..Chain::default()
            });
            speaker
                .say(&raw::message(
                    Side::Connecting,
                    Flags::ACK_REQUIRED,
                    id,
                    &request,
                ))
                .await;
            let (_, answer) = soon("an answer", speaker.hear_until(id)).await;
            let answer = answer.expect("an answer");
            assert_eq!(
                answer.header.flags.contains(Flags::COMPRESSED),
                is_smaller,
                "{compression:?}"
            );
            assert_eq!(
                answer.payload == raw::body(&request),
                !is_smaller,
                "{compression:?}"
            );
        }
        let frame = tell(&mut short, 12, &text(&long[..100])).await;
        assert!(
            frame.header.flags.contains(Flags::COMPRESSED),
            "{compression:?} from 64 bytes on"
        );
    }
    let mut plain = peer(&url, Compression::None).await;
    let frame = tell(&mut plain, 10, &text(&long)).await;
    assert!(!frame.header.flags.contains(Flags::COMPRESSED));
}

/// Asks for a chain with this compressed body, and returns the error's text, or nothing.
async fn ask(caller: &mut RawCaller, body: &[u8]) -> String {
    let answer = caller.call(CHAIN, Flags::COMPRESSED, body).await;
    match answer.header.frame_type {
        FrameType::Ack => String::new(),
        _ => raw::text(&answer.payload),
    }
}

#[tokio::test]
async fn what_cannot_be_inflated_is_refused_and_the_connection_goes_on() {
    let url = Echo::start("mem://cannot-be-inflated?max_body=1KiB").await;
    let refused = "INVALID_ARGUMENT: cannot decompress body of chain_req (3): ";
    for (compression, name) in [
        (Compression::Gzip, "gzip"),
        (Compression::Zstd, "zstd"),
        (Compression::Lz4, "lz4"),
    ] {
        let number = u8::try_from(i32::from(compression)).expect("a small number");
        let mut caller = RawCaller::new(&url, &hello(compression)).await;
        let other = number % 3 + 1;
        let cases = [
            (&b""[..], format!("invalid {name}: the body is empty")),
            (&[number], format!("invalid {name}: ")),
            (
                &[number, b'g', b'a', b'r', b'b', b'a', b'g', b'e'],
                String::new(),
            ),
            (&[other, 0, 0], "compressed with ".to_owned()),
            (
                &[9],
                format!("compressed with number 9, but {name} was negotiated"),
            ),
        ];
        for (body, expected) in cases {
            let text = ask(&mut caller, body).await;
            // Of lz4 the garbage is a length, which is too much.
            let is_too_large = text.starts_with("RESOURCE_EXHAUSTED") && body.len() > 4;
            assert!(
                is_too_large || text.starts_with(&format!("{refused}{expected}")),
                "{name} {body:x?}: {text}"
            );
        }
    }
    // A block of lz4: 3 bytes of chain, the first and the last of them said by hand.
    let mut lz4 = RawCaller::new(&url, &hello(Compression::Lz4)).await;
    assert_eq!(
        ask(&mut lz4, &[3, 2, 0, 0, 0, 0x20, 0x1a, 0]).await,
        "",
        "an empty chain"
    );
    assert_eq!(
        ask(&mut lz4, &[3, 1, 4, 0, 0, 0x20, 0x1a, 0]).await,
        "RESOURCE_EXHAUSTED: decompressed body of chain_req (3) exceeds 1024 bytes (max_body)"
    );
    assert_eq!(
        ask(&mut lz4, &[3, 2, 0, 0, 0, 0x20, 0x1a, 0]).await,
        "",
        "goes on"
    );
}
