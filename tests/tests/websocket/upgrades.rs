//! Upgrades that are slow, too long, or ask for something else; and peers that speak another protocol.

use std::{error::Error, time::Duration};

use msip_runtime::{Client, ConnectError, Server, transport::ServiceUrl};
use msip_tests::{LabServer, advance, connected, lab::Lab, raw, soon, start};
use tokio::net::TcpListener;

use crate::raw_socket::{FIELDS, RawSocket, request};

/// The texts of an error and its causes.
pub(crate) fn texts(error: &dyn Error) -> String {
    let mut texts = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts = format!("{texts}: {error}");
        cause = error.source();
    }
    texts
}

/// Why nothing connects to this URL.
async fn refused(url: impl ToString) -> String {
    let connecting = Client::<Lab>::connect(url.to_string());
    match soon("an answer", connecting).await {
        Ok(_) => panic!("it connects"),
        Err(error) => texts(&error),
    }
}

#[tokio::test]
async fn what_asks_for_something_else_is_answered_with_a_status() {
    let (url, mut events, _server) =
        start("ws://127.0.0.1:0/chat?origin=https://a.example,https://b.example").await;
    let with = |field: &str| format!("{FIELDS}{field}\n");
    let long = format!("A: {}", "x".repeat(100_000));
    let many = with(&"A: b\n".repeat(200));
    let cases = [
        ("another path", request("GET / HTTP/1.1", FIELDS), "404"),
        (
            "a path below",
            request("GET /chat/x HTTP/1.1", FIELDS),
            "404",
        ),
        ("a page", request("GET /chat HTTP/1.1", "Host: a\n"), "426"),
        ("POST", request("POST /chat HTTP/1.1", FIELDS), "426"),
        (
            "an old version",
            request("GET /chat HTTP/1.1", &FIELDS.replace("13", "8")),
            "426",
        ),
        (
            "another subprotocol",
            request("GET /chat HTTP/1.1", &FIELDS.replace("msip.1", "mqtt")),
            "400",
        ),
        (
            "no subprotocol",
            request(
                "GET /chat HTTP/1.1",
                &FIELDS.replace("Sec-WebSocket-Protocol: msip.1\n", ""),
            ),
            "400",
        ),
        (
            "a foreign origin",
            request("GET /chat HTTP/1.1", &with("Origin: https://evil.example")),
            "403",
        ),
        (
            "an origin that is listed, by another scheme",
            request("GET /chat HTTP/1.1", &with("Origin: http://a.example")),
            "403",
        ),
        (
            "100 kB of headers",
            request("GET /chat HTTP/1.1", &with(&long)),
            "431",
        ),
        ("200 headers", request("GET /chat HTTP/1.1", &many), "400"),
    ];
    for (name, request, status) in cases {
        let mut socket = RawSocket::dial(&url).await;
        socket.say(&request).await;
        let answer = String::from_utf8(socket.hear_to_the_end().await).expect("text");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {answer}"
        );
    }
    for origin in ["https://a.example", "https://b.example"] {
        let mut socket = RawSocket::dial(&url).await;
        let field = with(&format!("Origin: {origin}"));
        socket.say(&request("GET /chat HTTP/1.1", &field)).await;
        let head = socket.hear_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }
    // Others are served as before.
    let _client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
}

#[tokio::test]
async fn without_a_list_no_page_may_connect() {
    let (url, _events, _server) = start("ws://127.0.0.1:0").await;
    for origin in ["http://localhost", "http://127.0.0.1:80", "null"] {
        let mut socket = RawSocket::dial(&url).await;
        let fields = format!("{FIELDS}Origin: {origin}\n");
        socket.say(&request("GET / HTTP/1.1", &fields)).await;
        let answer = String::from_utf8(socket.hear_to_the_end().await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("the setting origin lists"), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_upgrade_holds_up_nobody_else_and_is_given_up() {
    let limit = Duration::from_secs(10);
    let (handler, mut events) = LabServer::new();
    let server = Server::<Lab>::builder("ws://127.0.0.1:0")
        .handshake_timeout(limit)
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    let serving = tokio::spawn(server.serve(handler));
    let mut slow = Vec::new();
    for part in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
        let mut socket = RawSocket::dial(&url).await;
        socket.say(part.as_bytes()).await;
        slow.push(socket);
    }
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    // They have been accepted before.
    advance(limit).await;
    for mut socket in slow {
        assert_eq!(socket.hear_to_the_end().await, b"", "it is closed");
    }
    client
        .ping(0, Duration::from_secs(60))
        .await
        .expect("lives");
    serving.abort();
}

#[tokio::test]
async fn clients_of_tcp_and_of_websockets_are_told_from_each_other() {
    let (ws, _events, _server) = start("ws://127.0.0.1:0").await;
    let (tcp, _events, _server) = start("tcp://127.0.0.1:0").await;
    let (ws_at, tcp_at) = (ws.address().authority(), tcp.address().authority());
    let error = refused(format!("tcp://{ws_at}")).await;
    assert!(
        error.contains("this port speaks MSIP over WebSocket: connect to ws://"),
        "{error}"
    );
    let error = refused(format!("ws://{tcp_at}")).await;
    let expected = format!("speaks MSIP without a WebSocket: connect to tcp://{tcp_at}");
    assert!(error.contains(&expected), "{error}");
    // The server's end of it.
    let mut socket = RawSocket::dial(&tcp).await;
    socket.say(&request("GET / HTTP/1.1", FIELDS)).await;
    let heard = String::from_utf8_lossy(&socket.hear_to_the_end().await).into_owned();
    assert!(
        heard.contains("a WebSocket needs a listener at ws://"),
        "{heard}"
    );
    // And without a client of ours.
    let mut socket = RawSocket::dial(&ws).await;
    socket.say(&raw::hello_frame(&raw::hello())).await;
    let heard = String::from_utf8_lossy(&socket.hear_to_the_end().await).into_owned();
    assert!(heard.starts_with("MSIP"), "{heard}");
    for (name, bytes) in [
        ("a TLS hello", b"\x16\x03\x01\x02\x00".as_slice()),
        ("another protocol", b"\x00\x01\x02\x03"),
        ("nothing", b""),
    ] {
        let mut socket = RawSocket::dial(&ws).await;
        socket.say(bytes).await;
        drop(tokio::io::AsyncWriteExt::shutdown(&mut socket.0).await);
        assert_eq!(socket.hear_to_the_end().await, b"", "{name}");
    }
}

#[tokio::test]
async fn a_client_says_what_a_server_answers_instead_of_a_websocket() {
    let (ws, _events, _server) = start("ws://127.0.0.1:0/chat").await;
    let error = refused(format!("ws://{}/talk", ws.address().authority())).await;
    assert!(
        error.contains(r#"404 Not Found: there is nothing at "/talk""#),
        "{error}"
    );
    let accept = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    let cases = [
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nnot today".to_owned(),
            "503 Service Unavailable: not today",
        ),
        ("HTTP/1.1 301 Moved\r\n\r\n".to_owned(), "301"),
        (
            format!("HTTP/1.1 101 x\r\n{accept}AAAA\r\n\r\n"),
            "Sec-WebSocket-Accept",
        ),
        (
            "HTTP/1.1 101 x\r\n\r\n".to_owned(),
            "does not say that it upgrades",
        ),
        (
            "\x15\x03\x03\0\x02\x02\x28".to_owned(),
            "the server speaks TLS: connect to wss://",
        ),
        (
            "220 mail.example\r\n".to_owned(),
            "the server does not speak HTTP",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(20_000)),
            "longer than 16 KiB",
        ),
        (String::new(), "closed the connection instead of answering"),
    ];
    for (answer, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let answering = async {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut socket = RawSocket(stream);
            socket.hear_head().await;
            socket.say(answer.as_bytes()).await;
        };
        let (error, ()) = tokio::join!(refused(&url), answering);
        assert!(error.contains(expected), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn settings_and_urls_that_cannot_be_meant_are_refused_before_anything_is_sent() {
    let bind = async |url: &str| match Server::<Lab>::bind(url).await {
        Ok(_) => panic!("{url} listens"),
        Err(error) => texts(&error),
    };
    for origin in ["a.example", "https://a.example/path", "*"] {
        let error = bind(&format!("ws://127.0.0.1:0?origin={origin}")).await;
        assert!(error.contains("an origin is scheme://host"), "{error}");
    }
    for path in ["/a b", "/a\r\nX: y", "/a%4"] {
        let error = bind(&format!("ws://127.0.0.1:0{path}")).await;
        assert!(error.contains("is not the path of a URL"), "{error}");
    }
    let error = bind("ws://0.0.0.0:0").await;
    assert!(error.contains("insecure"), "{error}");
    let error = refused("ws://127.0.0.1:1?origin=https://a.example").await;
    assert!(
        error.contains("origin"),
        "clients have no such setting: {error}"
    );
    let url: ServiceUrl = "ws://a:1,b:2/x?topic=t".parse().expect("a URL");
    assert_eq!(url.to_string(), "ws://a:1,b:2/x?topic=t");
    let connecting = Client::<Lab>::connect("ws://127.0.0.1:1/x?topic=t/$in").await;
    assert!(
        matches!(connecting, Err(ConnectError::Url(_))),
        "{connecting:?}"
    );
}
