//! Our server, against clients of Messi: every line that was recorded of its own.

use super::{Bytes, chat};

const ERIK: &str = "01 00 00 08 0a 06 0a 04 45 72 69 6b";
const ASA: &str = "01 00 00 08 0a 06 0a 04 c3 85 73 61";
const WELCOME: &str = "02 00 00 02 0a 00";
const PING: &str = "03 00 00 00";
const PONG: &str = "04 00 00 00";

#[tokio::test]
async fn a_conversation_is_byte_for_byte_that_of_messis_own_server() {
    let (_, address) = chat("").await;
    let (mut erik, mut asa) = (Bytes::dial(address).await, Bytes::dial(address).await);
    erik.say(ERIK).await;
    erik.hears(WELCOME).await;
    asa.say(ASA).await;
    asa.hears(WELCOME).await;
    let hello = "00 00 0f 12 0d 0a 04 45 72 69 6b 12 05 48 65 6c 6c 6f";
    let hej = "00 00 11 12 0f 0a 04 c3 85 73 61 12 07 48 65 6a 20 e2 9a bd";
    let empty = "00 00 08 12 06 0a 04 45 72 69 6b";
    let long = "00 00 d4 12 d1 01 0a 04 45 72 69 6b 12 c8 01 78*200";
    let nothing = "00 00 02 12 00";
    for (by_erik, said) in [(true, hello), (false, hej), (true, empty), (true, long)] {
        let speaker = if by_erik { &mut erik } else { &mut asa };
        speaker.say(&format!("01 {said}")).await;
        erik.hears(&format!("02 {said}")).await;
        asa.hears(&format!("02 {said}")).await;
    }
    erik.say("01 00 00 02 0a 00").await;
    erik.hears(WELCOME).await;
    erik.say(&format!("01 {nothing}")).await;
    erik.hears(&format!("02 {nothing}")).await;
    asa.hears(&format!("02 {nothing}")).await;
    erik.say(PING).await;
    erik.hears(PONG).await;
}

#[tokio::test]
async fn what_messis_own_server_ignores_is_ignored() {
    let (_, address) = chat("").await;
    let mut client = Bytes::dial(address).await;
    // An empty envelope, an unknown member, a ping with a payload.
    client.say("01 00 00 00").await;
    client.say("01 00 00 02 7a 00").await;
    client.say("03 00 00 01 ff").await;
    client.hears(PONG).await;
    // Unknown fields beside a member, and in it.
    client.say("01 00 00 09 78 05 0a 05 0a 01 61 18 07").await;
    client.hears(WELCOME).await;
    client.say(PING).await;
    client.hears(PONG).await;
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
        let mut client = Bytes::dial(address).await;
        // What comes before it is served, and answered.
        client.say(&format!("{ERIK} {PING} {bad} {ERIK}")).await;
        let mut heard = Vec::new();
        let _ = msip_tests::soon(
            "the end",
            tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut heard),
        )
        .await;
        heard.sort_unstable();
        let mut expected = super::bytes(&format!("{WELCOME} {PONG}"));
        expected.sort_unstable();
        assert_eq!(heard, expected, "{bad}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_ping_is_let_go() {
    let (_, address) = super::chat_at("messi://127.0.0.1:0?keepalive_timeout=300ms", "").await;
    let mut silent = Bytes::dial(address).await;
    silent.is_let_go().await;
}
