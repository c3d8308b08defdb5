//! Clients that mean no good.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use msip_gateway::{Gateway, GatewayLimits, Hosts};
use msip_tests::{SeenByServer, advance, soon};

use crate::{
    client::{Ask, Connection},
    fixture::{Lab, Running, lab},
};

const ECHO: &str = "/v1/lab/echo_req";

/// A gateway that served somebody well before still does.
async fn still_serves(lab: &Lab) {
    let answer = Ask::post(ECHO, r#"{"text": "a"}"#).send(lab.url()).await;
    assert_eq!(answer.text(), r#"{"text":"a"}"#);
}

fn with(change: impl FnOnce(&mut GatewayLimits)) -> GatewayLimits {
    let mut limits = GatewayLimits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn heads_are_limited_in_size_and_in_number() {
    let lab = Lab::start().await;
    let large = Ask::post(ECHO, "{}").header("x-large", &"x".repeat(100_000));
    let mut connection = Connection::open(lab.url()).await;
    // It may be closed while it is written.
    let _ = connection.write(&large.bytes()).await;
    let answer = connection.rest().await;
    assert!(
        answer.starts_with(b"HTTP/1.1 431 ") || answer.is_empty(),
        "{answer:?}"
    );
    let many = (0..200).fold(Ask::post(ECHO, "{}"), |ask, number| {
        ask.header(&format!("x-{number}"), "x")
    });
    assert_eq!(many.open(lab.url()).await.head().await.status, 431);
    still_serves(&lab).await;
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let lab = Lab::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"MSIP\x01\x01\x00\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n bad: folded\r\n\r\n",
        b"POST /v1/lab/echo_req HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
          transfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut connection = Connection::open(lab.url()).await;
        connection.write(bytes).await.unwrap();
        let answer = connection.rest().await;
        let is_refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 ");
        assert!(is_refused, "{}", String::from_utf8_lossy(&answer));
    }
    still_serves(&lab).await;
}

#[tokio::test]
async fn a_request_may_not_be_smuggled_in_another() {
    let lab = Lab::start().await;
    for [first, second] in [
        ["transfer-encoding: chunked", "content-length: 4"],
        ["content-length: 4", "transfer-encoding: chunked"],
    ] {
        let mut connection = Connection::open(lab.url()).await;
        let text = format!(
            "POST {ECHO} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{first}\r\n{second}\r\n\r\n\
             11\r\n{{\"text\": \"first\"}}\r\n0\r\n\r\n\
             GET {ECHO}?text=second HTTP/1.1\r\nhost: localhost\r\n\r\n"
        );
        connection.write(text.as_bytes()).await.unwrap();
        // By RFC 9112 the chunks count, and nothing that follows in the connection does.
        let answer = soon("an answer", connection.answer()).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, r#"{"text":"first"}"#),
            "{first}"
        );
        assert_eq!(answer.header("connection"), "close", "{first}");
        let rest = connection.rest().await;
        assert!(rest.is_empty(), "{first}: {rest:?}");
    }
    still_serves(&lab).await;
}

#[tokio::test]
async fn a_slow_head_and_a_slow_body_are_ended() {
    let limit = Duration::from_secs(10);
    let lab = Lab::with(with(|limits| {
        limits.head_timeout = Duration::from_secs(10);
        limits.body_timeout = Duration::from_secs(10);
    }))
    .await;
    // Whoever is served came later than those before, whose time goes on then.
    let later = async || {
        still_serves(&lab).await;
        advance(limit).await;
    };
    let mut connection = Connection::open(lab.url()).await;
    connection
        .write(b"POST /v1/lab/echo_req HTTP/1.1\r\nhost: lo")
        .await
        .unwrap();
    let mut idle = Connection::open(lab.url()).await;
    later().await;
    connection.rest().await;
    idle.rest().await;
    let slow = Ask::new("POST", ECHO)
        .header("content-type", "application/json")
        .header("content-length", "2");
    let mut connection = slow.open(lab.url()).await;
    connection.write(b"{").await.unwrap();
    later().await;
    let answer = soon("an answer", connection.answer()).await;
    assert_eq!(answer.code(), (408, "DEADLINE_EXCEEDED".to_owned()));
    connection.rest().await;
    let stream = Ask::new("POST", "/v1/lab/sum_req")
        .header("content-type", "application/x-ndjson")
        .header("transfer-encoding", "chunked");
    let mut connection = stream.open(lab.url()).await;
    later().await;
    let answer = soon("an answer", connection.answer()).await;
    assert_eq!(answer.code(), (408, "DEADLINE_EXCEEDED".to_owned()));
    still_serves(&lab).await;
}

#[tokio::test]
async fn bodies_are_limited_however_they_come() {
    let lab = Lab::with(with(|limits| limits.max_body = 10_000)).await;
    let url = lab.url();
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(10_000));
    let refused = (413, "RESOURCE_EXHAUSTED".to_owned());
    assert_eq!(Ask::post(ECHO, &large).send(url).await.code(), refused);
    // Announced and never sent: nothing is reserved for it.
    let announced = Ask::new("POST", ECHO)
        .header("content-type", "application/json")
        .header("content-length", "1000000000000");
    assert_eq!(announced.open(url).await.head().await.status, 413);
    let mut chunked = Ask::new("POST", ECHO)
        .header("content-type", "application/json")
        .header("transfer-encoding", "chunked")
        .open(url)
        .await;
    let chunk = format!("{:x}\r\n{large}\r\n", large.len());
    chunked.write(chunk.as_bytes()).await.unwrap();
    assert_eq!(chunked.answer().await.code(), refused);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 5 << 20]).unwrap();
    let bomb = Ask::new("POST", ECHO)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(bomb.finish().unwrap());
    assert_eq!(bomb.send(url).await.code(), refused);
    let line = Ask::new("POST", "/v1/lab/sum_req")
        .header("content-type", "application/x-ndjson")
        .body(" ".repeat(10_001));
    assert_eq!(line.send(url).await.code(), refused);
    still_serves(&lab).await;
}

#[tokio::test]
async fn json_that_is_nested_without_end_is_refused() {
    let lab = Lab::start().await;
    for (open, close) in [("[", "]"), ("{\"text\":", "}"), ("{\"x\":", "}")] {
        let deep = [open.repeat(10_000), close.repeat(10_000)].concat();
        let answer = Ask::post(ECHO, &deep).send(lab.url()).await;
        assert_eq!(
            answer.code(),
            (400, "INVALID_ARGUMENT".to_owned()),
            "{open}"
        );
        assert!(answer.body.len() < 1000);
    }
    still_serves(&lab).await;
}

#[tokio::test]
async fn other_hosts_and_pages_of_other_sites_are_refused() {
    let lab = Lab::start().await;
    let post = |host: &str| {
        Ask::bare("POST", ECHO)
            .header("host", host)
            .header("content-type", "application/json")
            .body("{}")
    };
    let refused = post("rebound.example.org").send(lab.url()).await;
    assert_eq!(refused.code(), (421, "PERMISSION_DENIED".to_owned()));
    let none = Ask::bare("GET", "/healthz").send(lab.url()).await;
    assert_eq!(none.code(), (400, "INVALID_ARGUMENT".to_owned()));
    let foreign = Ask::post(ECHO, "{}")
        .header("origin", "https://evil.example")
        .send(lab.url())
        .await;
    assert_eq!(foreign.code(), (403, "PERMISSION_DENIED".to_owned()));
    assert!(!foreign.headers.contains_key("access-control-allow-origin"));
    let preflight = Ask::new("OPTIONS", ECHO)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    assert_eq!(preflight.send(lab.url()).await.status, 403);
    let events = Ask::get("/v1/lab/events").header("origin", "https://evil.example");
    assert_eq!(events.send(lab.url()).await.status, 403);
    still_serves(&lab).await;
}

#[tokio::test]
async fn pages_of_the_list_may_ask_and_read() {
    let (url, _seen, _server) = msip_tests::start("tcp://127.0.0.1:0").await;
    let hosts = Hosts::default()
        .host("api.example.org")
        .origin("https://app.example.org");
    let builder = Gateway::builder("http://127.0.0.1:0")
        .upstream(url.to_string(), [lab()])
        .hosts(hosts);
    let gateway = Running::start(builder).await;
    let preflight = Ask::bare("OPTIONS", ECHO)
        .header("host", "api.example.org")
        .header("origin", "https://app.example.org")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type, msip-tenant, x-evil",
        )
        .send(&gateway.url)
        .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.headers["access-control-allow-origin"],
        "https://app.example.org"
    );
    assert_eq!(
        preflight.headers["access-control-allow-methods"],
        "GET, POST"
    );
    let allowed = &preflight.headers["access-control-allow-headers"];
    assert!(
        allowed.contains("content-type") && allowed.ends_with(", msip-tenant"),
        "{allowed}"
    );
    let answer = Ask::post(ECHO, "{}")
        .header("origin", "https://app.example.org")
        .send(&gateway.url)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://app.example.org"
    );
    assert_eq!(answer.headers["vary"], "Origin");
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_after_the_other() {
    let lab = Lab::start().await;
    let mut connection = Connection::open(lab.url()).await;
    let asks: Vec<u8> = (0..50)
        .flat_map(|number| Ask::post(ECHO, &format!("{{\"text\": \"{number}\"}}")).bytes())
        .collect();
    connection.write(&asks).await.unwrap();
    for number in 0..50 {
        let answer = soon("an answer", connection.answer()).await;
        assert_eq!(answer.text(), format!("{{\"text\":\"{number}\"}}"));
    }
}

#[tokio::test]
async fn requests_streams_and_connections_are_limited() {
    let mut lab = Lab::with(with(|limits| {
        limits.max_requests = 1;
        limits.max_streams = 1;
    }))
    .await;
    let hanging = Ask::post("/v1/lab/act_req", r#"{"what": "hang"}"#);
    let hanging = hanging.open(lab.url()).await;
    let begun = |event| matches!(event, SeenByServer::Act(_)).then_some(());
    lab.seen("the call", begun).await;
    let answer = Ask::post(ECHO, "{}").send(lab.url()).await;
    assert_eq!(answer.code(), (503, "RESOURCE_EXHAUSTED".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    // Whether it is there is told all the same.
    assert_eq!(Ask::get("/healthz").send(lab.url()).await.text(), "ok\n");
    drop(hanging);
    let dropped = |event| matches!(event, SeenByServer::Dropped(_)).then_some(());
    lab.seen("the end of the call", dropped).await;
    let mut stream = Ask::post("/v1/lab/count_req", r#"{"from": 20}"#)
        .open(lab.url())
        .await;
    while stream.head().await.status == 503 {
        // The first request has not ended in the gateway yet.
        stream = Ask::post("/v1/lab/count_req", r#"{"from": 20}"#)
            .open(lab.url())
            .await;
    }
    let answer = Ask::get("/v1/lab/events").send(lab.url()).await;
    assert_eq!(answer.code(), (503, "RESOURCE_EXHAUSTED".to_owned()));
    still_serves(&lab).await;
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_its_turn() {
    let lab = Lab::with(with(|limits| limits.max_connections = 1)).await;
    let mut first = Ask::post(ECHO, "{}").open(lab.url()).await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = Ask::post(ECHO, "{}").open(lab.url()).await;
    assert!(second.rest_of(Duration::from_millis(100)).await.is_empty());
    drop(first);
    assert_eq!(soon("an answer", second.answer()).await.status, 200);
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut() {
    let mut lab = Lab::with(with(|limits| {
        limits.write_timeout = Duration::from_millis(200)
    }))
    .await;
    // More than sockets hold, and nobody reads it.
    let ask = Ask::post("/v1/lab/count_req", r#"{"from": 20, "ballastLen": 100000}"#);
    let _connection = ask.open(lab.url()).await;
    let dropped = |event| matches!(event, SeenByServer::Dropped(_)).then_some(());
    lab.seen("the end of the stream", dropped).await;
    still_serves(&lab).await;
}
