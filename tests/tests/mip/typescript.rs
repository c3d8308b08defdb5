//! The bytes of MIP's TypeScript client, which comes back with the decimal text of its last HELLO's message id.

use crate::{Bytes, broker};

/// A frame as that client writes it: of kind EVENT, with an id of microseconds and a count.
fn frame(frame_type: u16, flags: u8, msg_id: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x4d, 0x53, 0x49, 0x50, 1, flags];
    frame.extend(frame_type.to_be_bytes());
    frame.extend([0, 1, 0, 0]);
    frame.extend(
        u32::try_from(payload.len())
            .expect("is short")
            .to_be_bytes(),
    );
    frame.extend(msg_id.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ack(msg_id: u64) -> Vec<u8> {
    let mut ack = frame(6, 0, msg_id, b"");
    ack[9] = 3;
    ack
}

const HELLO: u16 = 1;
const SUBSCRIBE: u16 = 2;
const PUBLISH: u16 = 4;
const EVENT: u16 = 5;
const PING: u16 = 8;
const PONG: u16 = 9;
const CLOSE: u16 = 10;

/// Says HELLO, and returns the number of the session.
async fn greet(peer: &mut Bytes, msg_id: u64, id: &str) -> [u8; 8] {
    use tokio::io::AsyncReadExt as _;

    peer.say(&frame(HELLO, 0, msg_id, id.as_bytes())).await;
    let mut header = ack(msg_id);
    header[15] = 8;
    peer.hears(&header).await;
    let mut number = [0; 8];
    let read = msip_tests::soon("the number", peer.0.read_exact(&mut number)).await;
    read.expect("is connected");
    number
}

#[tokio::test]
async fn it_comes_back_by_the_text_of_its_last_hello() {
    let address = broker().await;
    let mut peer = Bytes::dial(address).await;
    let first_id = 1_764_400_000_000_000_001;
    let number = greet(&mut peer, first_id, "").await;
    peer.say(&frame(SUBSCRIBE, 1, 2, b"t")).await;
    peer.hears(&ack(2)).await;
    drop(peer);
    let mut last_id = first_id;
    for round in 0..3 {
        let mut peer = Bytes::dial(address).await;
        let id = last_id + 17;
        assert_eq!(
            greet(&mut peer, id, &last_id.to_string()).await,
            number,
            "{round}"
        );
        last_id = id;
        let message = b"\0\x01thello";
        peer.say(&frame(PUBLISH, 0, 5, message)).await;
        peer.hears(&ack(5)).await;
        peer.hears(&frame(EVENT, 0, 5, message)).await;
        peer.say(&frame(PING, 0, 6, b"")).await;
        peer.hears(&frame(PONG, 0, 6, b"")).await;
        peer.say(&frame(CLOSE, 0, 7, b"")).await;
        peer.is_let_go().await;
    }
}

#[tokio::test]
async fn a_text_that_is_no_hello_of_a_session_begins_another() {
    let address = broker().await;
    let mut one = Bytes::dial(address).await;
    let mut two = Bytes::dial(address).await;
    let number = greet(&mut one, 1_764_400_000_000_000_001, "").await;
    assert_ne!(greet(&mut two, 3, "1764400000000000002").await, number);
}
