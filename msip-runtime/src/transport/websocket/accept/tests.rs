use super::*;

fn accepting() -> Accepting {
    Accepting {
        path: "/chat".to_owned(),
        origins: vec!["https://a.example".to_owned(), "null".to_owned()],
        scheme: "ws",
    }
}

/// A request that is taken, with its fields one to a line.
const TAKEN: &str = "GET /chat HTTP/1.1
Host: localhost:7400
Upgrade: websocket
Connection: keep-alive, Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
Sec-WebSocket-Protocol: chat, msip.1
";

fn answered(request: &str) -> Result<String, RefusedUpgrade> {
    let head = format!("{request}\n").replace('\n', "\r\n");
    let response = check(head.as_bytes(), &[], &accepting())?;
    Ok(String::from_utf8(response).unwrap().to_lowercase())
}

#[test]
fn a_request_is_taken_and_its_answer_is_that_of_the_rfc() {
    let response = answered(TAKEN).unwrap();
    assert!(response.starts_with("http/1.1 101 "), "{response}");
    assert!(response.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));
    assert!(response.contains("\r\nsec-websocket-protocol: msip.1\r\n"));
    assert!(response.ends_with("\r\n\r\n"));
}

#[test]
fn variations_are_taken() {
    let cases = [
        ("a query", TAKEN.replace("/chat", "/chat?room=1")),
        (
            "fields in another case",
            TAKEN.replace("Upgrade: websocket", "upgrade: WebSocket"),
        ),
        (
            "a listed origin",
            format!("{TAKEN}Origin: https://a.example\n"),
        ),
        (
            "no origin that may be shown",
            format!("{TAKEN}Origin: null\n"),
        ),
        (
            "the subprotocol in a field of its own",
            TAKEN.replace("chat, msip.1", "chat\nSec-WebSocket-Protocol: msip.1"),
        ),
        (
            "an extension that is not agreed to",
            format!("{TAKEN}Sec-WebSocket-Extensions: permessage-deflate\n"),
        ),
    ];
    for (name, request) in cases {
        assert!(answered(&request).is_ok(), "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let cases = [
        ("another path", TAKEN.replace("/chat", "/"), "404"),
        ("a longer path", TAKEN.replace("/chat", "/chat/"), "404"),
        ("POST", TAKEN.replace("GET", "POST"), "426"),
        ("HTTP/1.0", TAKEN.replace("HTTP/1.1", "HTTP/1.0"), "426"),
        (
            "no upgrade",
            TAKEN.replace("Upgrade: websocket\n", ""),
            "426",
        ),
        (
            "another upgrade",
            TAKEN.replace("Upgrade: websocket", "Upgrade: h2c"),
            "426",
        ),
        (
            "no connection",
            TAKEN.replace("keep-alive, Upgrade", "keep-alive"),
            "426",
        ),
        (
            "version 8",
            TAKEN.replace("Version: 13", "Version: 8"),
            "426",
        ),
        (
            "no host",
            TAKEN.replace("Host: localhost:7400\n", ""),
            "400",
        ),
        (
            "two hosts",
            TAKEN.replace("Upgrade: w", "Host: b\nUpgrade: w"),
            "400",
        ),
        (
            "a short key",
            TAKEN.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"),
            "400",
        ),
        (
            "two keys",
            format!("{TAKEN}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"),
            "400",
        ),
        ("a body", format!("{TAKEN}Content-Length: 5\n"), "400"),
        (
            "chunks",
            format!("{TAKEN}Transfer-Encoding: chunked\n"),
            "400",
        ),
        (
            "another subprotocol",
            TAKEN.replace("msip.1", "msip.2"),
            "400",
        ),
        (
            "no subprotocol",
            TAKEN.replace("Sec-WebSocket-Protocol: chat, msip.1\n", ""),
            "400",
        ),
        (
            "a foreign origin",
            format!("{TAKEN}Origin: https://b.example\n"),
            "403",
        ),
        (
            "another port of an origin",
            format!("{TAKEN}Origin: https://a.example:8443\n"),
            "403",
        ),
        (
            "a foreign origin beside a listed one",
            format!("{TAKEN}Origin: https://a.example\nOrigin: https://b.example\n"),
            "403",
        ),
        (
            "no field at all",
            "GET /chat HTTP/1.1\nHost\n".to_owned(),
            "400",
        ),
        (
            "125 fields",
            format!("{TAKEN}{}", "A: b\n".repeat(125)),
            "400",
        ),
    ];
    for (name, request, status) in cases {
        let refused = answered(&request).expect_err(name);
        let answer = String::from_utf8(refused.answer()).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {answer}"
        );
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            answer.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{name}"
        );
    }
}

#[test]
fn bytes_behind_a_request_are_refused() {
    let head = format!("{TAKEN}\n").replace('\n', "\r\n");
    let refused = check(head.as_bytes(), b"more", &accepting()).unwrap_err();
    let what = "bytes follow its head";
    assert_eq!(refused, RefusedUpgrade::BadUpgrade { what });
}

#[test]
fn texts_of_the_peer_are_escaped_and_cut() {
    let origin = format!("https://\u{1b}[31m{}", "x".repeat(1000));
    let text = RefusedUpgrade::Origin { origin }.to_string();
    assert!(text.len() < 300, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
