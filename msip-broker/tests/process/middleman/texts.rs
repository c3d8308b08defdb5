//! Texts as the reference takes and gives them.

use futures_util::SinkExt as _;
use msip_tests::soon;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::Frame};

use super::{Client, Keys, PUBLIC, TRUSTED, broker, error, header, parts};

/// The same headers, in whichever order.
fn sorted<'a>(mut headers: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    headers.sort_unstable();
    headers
}

#[tokio::test]
async fn what_is_sent_is_received_as_the_reference_has_it() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    let mut client = Client::connect(&broker, PUBLIC).await;
    let mut other = Client::connect(&broker, PUBLIC).await;
    for command in ["EPUB T1", "ESUB T1", "EREQ Chat"] {
        service.send(format!("{command}\n\n\r\n.\r\n")).await;
    }
    assert!(service.rest().await.is_empty());
    other.send("SUB T1\r\n\r\n\r\n.\r\n").await;
    assert!(other.rest().await.is_empty());

    let id = client.id.clone();
    let publications = [
        (
            "PUB T1\r\nFoo: 1\r\nx-bar-BAZ:  two words  \r\n\r\nhello\r\n.\r\n",
            vec![("Foo", "1"), ("X-Bar-Baz", "two words")],
            "hello",
        ),
        (
            "PUB T1\r\ncid: forged\r\nUID: forged\r\nCid: twice\r\n\r\n\r\n.\r\n",
            vec![],
            "",
        ),
        (
            "PUB T1\nx: 1\nX: 2\nfolded: one\n\ttwo\nempty:\n\na\nb\r\nc\n.\nignored\n",
            vec![("X", "1"), ("X", "2"), ("Folded", "one two"), ("Empty", "")],
            "a\nb\r\nc",
        ),
        // Dots stay as they are, for clients that neither double them nor remove them.
        (
            "PUB T1\n\n.dot\r\n..dotdot\r\nend\r\n.\r\n",
            vec![],
            ".dot\r\n..dotdot\r\nend",
        ),
        (
            "PUB T1\nrid: 7\n\n\u{fc}\u{1f600}\n.\n",
            vec![("Rid", "7")],
            "\u{fc}\u{1f600}",
        ),
    ];
    for (sent, mut headers, body) in publications {
        client.send(sent).await;
        let heard = other.hear().await;
        headers.extend([("Cid", &*id), ("Uid", "")]);
        let (first, got, got_body) = parts(&heard);
        assert_eq!((first, got_body), ("PUB T1", body), "{sent:?}");
        assert_eq!(sorted(got), sorted(headers), "{sent:?}");
    }

    client
        .send("REQ Chat\r\nReqID: 1f\r\n\r\nhello\r\n.\r\n")
        .await;
    let asked = service.hear().await;
    let rid = header(&asked, "Rid").expect("a number").to_owned();
    assert!(rid.parse::<u64>().is_ok(), "{rid}");
    let (first, headers, body) = parts(&asked);
    assert_eq!((first, body), ("REQ Chat", "hello"));
    let expected = [("Cid", &*id), ("Uid", ""), ("Rid", &rid), ("Reqid", "1f")];
    assert_eq!(sorted(headers), sorted(expected.to_vec()));

    let answer = format!("RES Chat\nreqid:1f\ncid:{id}\nuid:\nrid:{rid}\n\nOK\r\n.\r\n");
    service.send(answer).await;
    let answered = client.hear().await;
    let (first, headers, body) = parts(&answered);
    assert_eq!((first, body), ("RES Chat", "OK"));
    let service_id = service.id.clone();
    let expected = [
        ("Cid", &*service_id),
        ("Uid", ""),
        ("Reqid", "1f"),
        ("ReqID", "1f"),
    ];
    assert_eq!(sorted(headers), sorted(expected.to_vec()));

    service
        .send(format!(
            "PUB MSG:{id}\ncmd:error\ntype:Exception\nmsg:No UID\n\n\r\n.\r\n"
        ))
        .await;
    let told = client.hear().await;
    let (first, headers, body) = parts(&told);
    assert_eq!((first, body), (&*format!("PUB MSG:{id}"), ""));
    let expected = [
        ("Cid", &*service_id),
        ("Uid", ""),
        ("Cmd", "error"),
        ("Type", "Exception"),
        ("Msg", "No UID"),
    ];
    assert_eq!(sorted(headers), sorted(expected.to_vec()));

    service
        .send(format!("INT UID\nforcid:{id}\nsetuid:user7\n\n\r\n.\r\n"))
        .await;
    assert!(service.rest().await.is_empty());
    client.send("PUB T1\n\n.\n").await;
    assert_eq!(header(&other.hear().await, "Uid"), Some("user7"));
    broker.stop().await;
}

#[tokio::test]
async fn errors_have_the_texts_of_the_reference() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut client = Client::connect(&broker, PUBLIC).await;
    for command in ["PUB", "REQ", "RES", "EPUB", "ESUB", "EREQ"] {
        client
            .send(format!("{command} a b \r\nrid: 1\r\n\r\nx\r\n.\r\n"))
            .await;
        let told = error(&format!("Not trusted {command} a b "));
        assert_eq!(client.hear().await, told);
    }
    client.send("SUB a b \r\n\r\n\r\n.\r\n").await;
    assert_eq!(client.hear().await, error("Not trusted: SUB a b "));
    let mut service = Client::connect(&broker, TRUSTED).await;
    service.send("REQ a b\n\n.\n").await;
    assert_eq!(service.hear().await, error("No responder for REQ a b"));
    service.send("RES a b\nrid: 1\n\n.\n").await;
    let told = error("No client for request ID  RES a b");
    assert_eq!(service.hear().await, told);
    // These are told nothing.
    for text in [
        "RES a\n\n.\n",
        "RES a\nrid: one\n\n.\n",
        "INT UID\nforcid: nobody\nsetuid: x\n\n.\n",
        "INT other\n\n.\n",
        "UNS a\n\n.\n",
        "pub a\n\n.\n",
        "NOP a\n\n.\n",
    ] {
        service.send(text).await;
    }
    assert!(service.rest().await.is_empty());
    client.send("INT UID\nforcid: x\nsetuid: y\n\n.\n").await;
    assert!(client.rest().await.is_empty());
    for (text, told) in [
        (format!("PUB {}\n\n.\n", "k".repeat(300)), "Not a key PUB k"),
        ("SUB \n\n.\n".to_owned(), "Not a key SUB "),
    ] {
        client.send(text).await;
        let heard = client.hear().await;
        assert!(parts(&heard).2.starts_with(told), "{heard}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn what_is_malformed_ends_its_connection_alone_and_says_why() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &["--max-body", "64KiB"]).await;
    let mut bystander = Client::connect(&broker, TRUSTED).await;
    bystander.send("SUB news\n\n.\n").await;
    let headers = "x: 1\n".repeat(101);
    let cases: [(&str, Message, u16, &str); 11] = [
        (
            "no blank",
            Message::text("PUB\n\n.\n"),
            1002,
            "the first line",
        ),
        (
            "no end",
            Message::text("PUB a\n\nhello"),
            1002,
            "no line with a dot",
        ),
        (
            "no colon",
            Message::text("PUB a\nfoo\n\n.\n"),
            1002,
            "no colon",
        ),
        (
            "a leading blank",
            Message::text("PUB a\n x: 1\n\n.\n"),
            1002,
            "begins with a blank",
        ),
        ("empty", Message::text(""), 1002, "the first line"),
        (
            "no headers' end",
            Message::text("PUB a\nx: 1\n"),
            1002,
            "no line with a dot",
        ),
        (
            "many headers",
            Message::text(format!("PUB a\n{headers}\n.\n")),
            1002,
            "more than 16384",
        ),
        (
            "binary",
            Message::binary(&b"PUB a\n\n.\n"[..]),
            1003,
            "not text",
        ),
        (
            "not UTF-8",
            Message::Frame(Frame::message(
                &b"PUB a\n\n\xff\n.\n"[..],
                tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode::Data(
                    tokio_tungstenite::tungstenite::protocol::frame::coding::Data::Text,
                ),
                true,
            )),
            1007,
            "UTF-8",
        ),
        (
            "too large",
            Message::text(format!("PUB a\n\n{}\n.\n", "x".repeat(100 * 1024))),
            1009,
            "more than 81920 bytes",
        ),
        (
            "a pong storm",
            Message::Pong(Vec::new().into()),
            1008,
            "control frames",
        ),
    ];
    for (name, message, code, reason) in cases {
        let mut client = Client::connect(&broker, PUBLIC).await;
        let times = if name == "a pong storm" { 2000 } else { 1 };
        for _ in 0..times {
            // It may be closed before the last one.
            if soon("is taken", client.socket.send(message.clone()))
                .await
                .is_err()
            {
                break;
            }
        }
        let (closed, why) = client.closed().await;
        assert_eq!(closed, code, "{name}: {why}");
        assert!(why.contains(reason), "{name}: {why}");
    }
    bystander.send("PUB news\n\nstill here\n.\n").await;
    assert_eq!(parts(&bystander.hear().await).2, "still here");
    broker.stop().await;
}
