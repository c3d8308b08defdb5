//! Our server, against clients of Messi: every line that was recorded of its own.

use super::chat;
use crate::raw::{Raw, bytes};

const ERIK: &str = "01 00 00 08 0a 06 0a 04 45 72 69 6b";
const ASA: &str = "01 00 00 08 0a 06 0a 04 c3 85 73 61";
const WELCOME: &str = "02 00 00 02 0a 00";
const PING: &str = "03 00 00 00";
const PONG: &str = "04 00 00 00";

#[tokio::test]
async fn a_conversation_is_byte_for_byte_that_of_messis_own_server() {
    let (_, address) = chat("").await;
    let (mut erik, mut asa) = (Raw::dial(address).await, Raw::dial(address).await);
    erik.say_hex(ERIK).await;
    erik.hears_hex(WELCOME).await;
    asa.say_hex(ASA).await;
    asa.hears_hex(WELCOME).await;
    let hello = "00 00 0f 12 0d 0a 04 45 72 69 6b 12 05 48 65 6c 6c 6f";
    let hej = "00 00 11 12 0f 0a 04 c3 85 73 61 12 07 48 65 6a 20 e2 9a bd";
    let empty = "00 00 08 12 06 0a 04 45 72 69 6b";
    let long = "00 00 d4 12 d1 01 0a 04 45 72 69 6b 12 c8 01 78*200";
    let nothing = "00 00 02 12 00";
    for (by_erik, said) in [(true, hello), (false, hej), (true, empty), (true, long)] {
        let speaker = if by_erik { &mut erik } else { &mut asa };
        speaker.say_hex(&format!("01 {said}")).await;
        erik.hears_hex(&format!("02 {said}")).await;
        asa.hears_hex(&format!("02 {said}")).await;
    }
    erik.say_hex("01 00 00 02 0a 00").await;
    erik.hears_hex(WELCOME).await;
    erik.say_hex(&format!("01 {nothing}")).await;
    erik.hears_hex(&format!("02 {nothing}")).await;
    asa.hears_hex(&format!("02 {nothing}")).await;
    erik.say_hex(PING).await;
    erik.hears_hex(PONG).await;
}

#[tokio::test]
async fn what_messis_own_server_ignores_is_ignored() {
    let (_, address) = chat("").await;
    let mut client = Raw::dial(address).await;
    // An empty envelope, an unknown member, a ping with a payload.
    client.say_hex("01 00 00 00").await;
    client.say_hex("01 00 00 02 7a 00").await;
    client.say_hex("03 00 00 01 ff").await;
    client.hears_hex(PONG).await;
    // Unknown fields beside a member, and in it.
    client
        .say_hex("01 00 00 09 78 05 0a 05 0a 01 61 18 07")
        .await;
    client.hears_hex(WELCOME).await;
    client.say_hex(PING).await;
    client.hears_hex(PONG).await;
}

#[tokio::test]
async fn what_messis_own_server_closes_at_is_closed_at() {
    let (_, address) = chat("max_body=1KiB").await;
    for bad in [
        "00 00 00 00",
        "05 00 00 00",
        "ff 00 00 00",
        "02 00 00 02 0a 00",
        "04 00 00 00",
        "01 00 00 04 ff ff ff ff",
        "01 ff ff ff",
        "03 ff ff ff",
        // Within the message: a text that is not UTF-8, a field that reaches beyond it.
        "01 00 00 05 0a 03 0a 01 ff",
        "01 00 00 05 0a 03 0a 05 61",
        // A member that is no message.
        "01 00 00 02 08 01",
    ] {
        let mut client = Raw::dial(address).await;
        // What comes before it is served, and answered.
        client.say_hex(&format!("{ERIK} {PING} {bad} {ERIK}")).await;
        let mut heard = Vec::new();
        let _ = msip_tests::soon(
            "the end",
            tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut heard),
        )
        .await;
        heard.sort_unstable();
        let mut expected = bytes(&format!("{WELCOME} {PONG}"));
        expected.sort_unstable();
        assert_eq!(heard, expected, "{bad}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_ping_is_let_go() {
    let (_, address) = super::chat_at("messi://127.0.0.1:0?keepalive_timeout=300ms", "").await;
    let mut silent = Raw::dial(address).await;
    silent.is_let_go().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_whose_pongs_are_not_read_end_the_connection() {
    let (_, address) = super::chat_at("messi://127.0.0.1:0?keepalive_timeout=500ms", "").await;
    let mut client = Raw::dial(address).await;
    let pings = bytes(&PING.repeat(4096));
    // Until the system's buffers are full, this side's 64 KiB are, and nothing more is read.
    let flooding = async {
        loop {
            if tokio::io::AsyncWriteExt::write_all(&mut client.0, &pings)
                .await
                .is_err()
            {
                break;
            }
        }
    };
    msip_tests::soon("the end", flooding).await;
}
