//! Bytes of FlyRPC's own client against our server.

use std::sync::atomic::Ordering;

use msip_runtime::Server;
use msip_tests::{calc::Calc, soon};

use tokio::io::AsyncReadExt as _;

use super::{CalcServer, calculator, packet};
use crate::raw::{Raw, bytes};

#[tokio::test]
async fn a_conversation_is_byte_for_byte_that_of_the_reference() {
    let (handler, address) = calculator("").await;
    let mut client = Raw::dial(address).await;
    let mut lines = 0;
    for line in conversation() {
        let (speaker, hex) = line.split_once(": ").expect("somebody speaks");
        let bytes = bytes(hex);
        match speaker {
            "client" => client.say(&bytes).await,
            _ => client.hears(&bytes).await,
        }
        lines += 1;
    }
    assert_eq!(lines, 23);
    assert_eq!(handler.acks.load(Ordering::Relaxed), 1);
}

/// The lines of the conversation in docs/protocol.md, as FlyRPC's own client and server have said them.
fn conversation() -> impl Iterator<Item = &'static str> {
    let page = include_str!("../../../../docs/protocol.md");
    let (_, block) = page
        .split_once("```flyrpc name=flyrpc-calc\n")
        .expect("has the conversation");
    block.lines().take_while(|line| !line.starts_with("```"))
}

#[tokio::test]
async fn a_flood_of_responses_to_nothing_ends_the_connection() {
    let (_, address) = calculator("").await;
    let mut client = Raw::dial(address).await;
    let flood: Vec<u8> = (0..4000).flat_map(|n| packet(0x80, n, "", b"")).collect();
    client.say(&flood).await;
    client.is_let_go().await;
}

#[tokio::test]
async fn all_widths_of_a_length_come_back_as_the_shortest() {
    let (_, address) = calculator("").await;
    let mut client = Raw::dial(address).await;
    for (len, width) in [(255, 0), (256, 1), (65_535, 1), (65_536, 2)] {
        let payload = vec![7; len];
        let request = packet(0x40, 9, "echo", &payload);
        assert_eq!(request[0], 0x40 | width);
        client.say(&request).await;
        client.hears(&packet(0x80, 9, "", &payload)).await;
    }
}

#[tokio::test]
async fn requests_are_handled_in_their_order_and_answered_as_they_are_done() {
    let (handler, address) = calculator("").await;
    let mut client = Raw::dial(address).await;
    let mut all = packet(0x40, 1, "hang_req", b"").to_vec();
    for n in 2..=201 {
        all.extend_from_slice(&packet(0x40, n, "note_ind", n.to_string().as_bytes()));
    }
    all.extend_from_slice(&packet(0x40, 202, "add", b"{\"a\":1,\"b\":1}"));
    client.say(&all).await;
    // All but the first are answered, in any order: 200 without a payload, and one with 9 bytes.
    let mut answered: Vec<u16> = Vec::new();
    for _ in 2..=202 {
        let mut head = [0; 5];
        let read = client.0.read_exact(&mut head);
        soon("an answer", read).await.expect("is connected");
        answered.push(u16::from_be_bytes([head[1], head[2]]));
        if answered.last() == Some(&202) {
            assert_eq!(head[4], 9);
            client.hears(b"{\"sum\":2}").await;
        }
    }
    answered.sort_unstable();
    assert!(answered.into_iter().eq(2..=202));
    let expected: Vec<_> = (2..=201).map(|n| n.to_string()).collect();
    assert_eq!(handler.notes(), expected);
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_answered_at_once() {
    let (handler, address) = calculator("").await;
    let mut client = Raw::dial(address).await;
    for (code, payload) in [
        ("add", &b"{\"a\":"[..]),
        ("add", b"{\"a\":\"many\"}"),
        ("add", b"\xff"),
        ("upper", b"\xff"),
        ("note_ind", b"\xff"),
        ("save", b"\xff"),
    ] {
        client.say(&packet(0x40, 3, code, payload)).await;
        client.hears(b"\x80\x00\x03INVALID_ARGUMENT\x00\x00").await;
    }
    // Whoever wants no response hears of the error all the same.
    client.say(&packet(0, 4, "add", b"{")).await;
    client.hears(b"\x80\x00\x04INVALID_ARGUMENT\x00\x00").await;
    client.say(&packet(0, 5, "note_ind", b"\xff")).await;
    client.hears(b"\x80\x00\x05INVALID_ARGUMENT\x00\x00").await;
    client.say(&packet(0x40, 6, "save", b"")).await;
    client.hears(b"\x80\x00\x06E_EMPTY\x00\x00").await;
    client.say(&packet(0x40, 7, "save", b"kept")).await;
    client.hears(b"\x80\x00\x07\x00\x00").await;
    client.say(&packet(0x40, 8, "count_req", b"{}")).await;
    client.hears(b"\x80\x00\x08UNIMPLEMENTED\x00\x00").await;
    assert_eq!(handler.notes(), ["kept"]);
}

#[tokio::test]
async fn lengths_and_codes_have_limits_and_the_server_goes_on() {
    let (_, address) = calculator("?max_body=64KiB").await;
    let mut well = Raw::dial(address).await;
    // 13 bytes that end the reference.
    let mut client = Raw::dial(address).await;
    client
        .say(b"\x43\x00\x01a\x00\xff\xff\xff\xff\xff\xff\xff\xff")
        .await;
    client
        .hears(b"\x80\x00\x01RESOURCE_EXHAUSTED\x00\x00")
        .await;
    client.is_let_go().await;
    let mut client = Raw::dial(address).await;
    client.say(&[b'a'; 300]).await;
    client.is_let_go().await;
    // All that is told of a length of 64 KiB is held, and no more.
    let mut client = Raw::dial(address).await;
    client.say(b"\x42\x00\x01echo\x00\x00\x01\x00\x01").await;
    client
        .hears(b"\x80\x00\x01RESOURCE_EXHAUSTED\x00\x00")
        .await;
    client.is_let_go().await;
    // Bytes grow in base64, in which the session has them: refused alone.
    let mut client = Raw::dial(address).await;
    client.say(&packet(0x40, 1, "echo", &[0; 65_536])).await;
    client
        .hears(b"\x80\x00\x01RESOURCE_EXHAUSTED\x00\x00")
        .await;
    client.say(&packet(0x40, 2, "echo", b"short")).await;
    client.hears(&packet(0x80, 2, "", b"short")).await;
    well.say(&packet(0x40, 1, "add", b"{}")).await;
    well.hears(b"\x80\x00\x01\x00\x02{}").await;
}

#[tokio::test]
async fn a_packet_that_is_cut_is_lost_with_its_connection_alone() {
    let (handler, address) = calculator("").await;
    let whole = packet(0x40, 1, "note_ind", b"cut");
    for len in 0..whole.len() {
        let mut client = Raw::dial(address).await;
        client.say(&whole[..len]).await;
    }
    let mut client = Raw::dial(address).await;
    for byte in &whole[..] {
        client.say(&[*byte]).await;
    }
    client.hears(b"\x80\x00\x01\x00\x00").await;
    assert_eq!(handler.notes(), ["cut"]);
}

#[tokio::test]
async fn all_of_many_calls_in_one_write_are_answered() {
    let (_, address) = calculator("?max_calls=4").await;
    let mut client = Raw::dial(address).await;
    let mut all = Vec::new();
    for n in 0..1000_u16 {
        let request = format!("{{\"a\":{n}}}");
        all.extend_from_slice(&packet(0x40, n, "add", request.as_bytes()));
    }
    client.say(&all).await;
    // Handlers that do not wait are done in the order of their calls.
    client.hears(b"\x80\x00\x00\x00\x02{}").await;
    for n in 1..1000_u16 {
        let response = format!("{{\"sum\":{n}}}");
        client
            .hears(&packet(0x80, n, "", response.as_bytes()))
            .await;
    }
}

#[tokio::test]
async fn protobuf_and_messagepack_are_spoken_where_the_listener_says_so() {
    let (_, address) = calculator("?codec=protobuf").await;
    let mut client = Raw::dial(address).await;
    client
        .say(b"\x40\x00\x01add\x00\x04\x08\x02\x10\x28\x40\x00\x02upper\x00\x01a")
        .await;
    client
        .hears(b"\x80\x00\x01\x00\x02\x08\x2a\x80\x00\x02\x00\x01A")
        .await;
    client.say(&packet(0x40, 3, "echo", &[0xff; 65_536])).await;
    client.hears(&packet(0x80, 3, "", &[0xff; 65_536])).await;
    let (_, address) = calculator("?codec=msgpack").await;
    let mut client = Raw::dial(address).await;
    client
        .say(b"\x40\x00\x01add\x00\x07\x82\xa1a\x02\xa1b\x28")
        .await;
    client.hears(b"\x80\x00\x01\x00\x06\x81\xa3sum\x2a").await;
    client.say(&packet(0x40, 2, "echo", b"\x00\xff")).await;
    client.hears(&packet(0x80, 2, "", b"\x00\xff")).await;
}

#[tokio::test]
async fn a_listener_is_checked_when_it_is_bound() {
    let text = async |url: &str| {
        let bound = Server::<Calc>::bind(url).await;
        bound.map(drop).expect_err(url).to_string()
    };
    let error = text("flyrpc://127.0.0.1:0?codec=xml").await;
    assert_eq!(
        error,
        "setting `codec`: expected `protobuf`, `json` or `msgpack`, found `xml`"
    );
    let error = text("flyrpc://127.0.0.1:0?codecs=protobuf").await;
    assert_eq!(error, "settings `codec` and `codecs`: give one of them");
    let error = text("flyrpc://0.0.0.0:0").await;
    assert!(error.contains("insecure"), "{error}");
}

#[tokio::test]
async fn a_server_that_shuts_down_answers_what_it_has_begun() {
    let server = Server::<Calc>::bind("flyrpc://127.0.0.1:0")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let address = url.strip_prefix("flyrpc://").expect("is FlyRPC's").parse();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(CalcServer::default(), async {
        let _ = stopped.await;
    }));
    let mut client = Raw::dial(address.expect("an address")).await;
    client.say(b"\x40\x00\x01call-back\x00\x07{\"n\":1}").await;
    client.hears(b"\x40\x00\x01double\x00\x07{\"n\":1}").await;
    stop.send(()).expect("serves");
    // What comes now is refused, and what was begun is finished.
    loop {
        client.say(b"\x40\x00\x02add\x00\x02{}").await;
        let mut head = [0; 5];
        let read = client.0.read_exact(&mut head);
        soon("an answer", read).await.expect("is connected");
        if head != *b"\x80\x00\x02\x00\x02" {
            assert_eq!(head, *b"\x80\x00\x02UN");
            client.hears(b"AVAILABLE\x00\x00").await;
            break;
        }
        client.hears(b"{}").await;
    }
    client.say(b"\x80\x00\x01\x00\x07{\"n\":2}").await;
    client.hears(b"\x80\x00\x01\x00\x07{\"n\":2}").await;
    client.is_let_go().await;
    soon("the end", serving).await.expect("no panic");
}
