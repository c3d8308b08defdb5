//! Calls, one-way messages and deliveries.

use msip_gateway::Gateway;
use msip_tests::SeenByServer;

use crate::{
    client::Ask,
    fixture::{Lab, Running, lab},
};

#[tokio::test]
async fn each_shape_has_its_status() {
    let mut lab = Lab::start().await;
    let url = lab.url().to_owned();
    let answer = Ask::post("/v1/lab/echo_req", r#"{"text": "hi", "ballast": "AAE="}"#)
        .send(&url)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.text(), r#"{"text":"hi","ballast":"AAE="}"#);
    let one_way = Ask::post("/v1/lab/note_ind", r#"{"number": "7"}"#)
        .send(&url)
        .await;
    assert_eq!((one_way.status, one_way.text()), (202, ""));
    let seen = |event| match event {
        SeenByServer::Note(number) => Some(number),
        _ => None,
    };
    assert_eq!(lab.seen("a note", seen).await, 7);
    let saved = Ask::post("/v1/lab/save_ind", r#"{"number": 8}"#)
        .send(&url)
        .await;
    assert_eq!((saved.status, saved.text()), (204, ""));
    let refused = Ask::post("/v1/lab/save_ind", r#"{"number": 13}"#)
        .send(&url)
        .await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.text(),
        r#"{"code":"FAILED_PRECONDITION","message":"not thirteen"}"#
    );
    let nothing = Ask::post("/v1/lab/tick_ind", "{}").send(&url).await;
    assert_eq!(nothing.status, 202);
    lab.seen("a tick", |event| {
        matches!(event, SeenByServer::Tick).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_error_has_its_status() {
    let lab = Lab::start().await;
    let url = lab.url();
    let act = |what: &str| Ask::post("/v1/lab/act_req", &format!("{{\"what\": \"{what}\"}}"));
    let json = |text: &str| Ask::post("/v1/lab/echo_req", text);
    let other = |content_type: &str| {
        Ask::new("POST", "/v1/lab/echo_req")
            .header("content-type", content_type)
            .body("text=a")
    };
    for (name, ask, status, code) in [
        ("the handler's", act("fail"), 404, "NOT_FOUND"),
        ("a panic", act("panic"), 500, "INTERNAL"),
        ("an argument", act("nonsense"), 400, "INVALID_ARGUMENT"),
        (
            "a deadline",
            act("hang").header("grpc-timeout", "50m"),
            504,
            "DEADLINE_EXCEEDED",
        ),
        (
            "no time at all",
            act("hang").header("grpc-timeout", "0m"),
            504,
            "DEADLINE_EXCEEDED",
        ),
        ("a path", Ask::get("/nothing"), 404, "NOT_FOUND"),
        (
            "a package",
            Ask::post("/v1/other/echo_req", "{}"),
            404,
            "NOT_FOUND",
        ),
        (
            "a request",
            Ask::post("/v1/lab/no_req", "{}"),
            404,
            "NOT_FOUND",
        ),
        (
            "an answer",
            Ask::post("/v1/lab/ask_rsp", "{}"),
            404,
            "NOT_FOUND",
        ),
        (
            "a verb",
            Ask::new("DELETE", "/v1/lab/echo_req"),
            405,
            "UNIMPLEMENTED",
        ),
        (
            "a call with side effects",
            Ask::get("/v1/lab/act_req"),
            405,
            "UNIMPLEMENTED",
        ),
        (
            "no content type",
            Ask::new("POST", "/v1/lab/echo_req").body("{}"),
            415,
            "INVALID_ARGUMENT",
        ),
        (
            "a form",
            other("application/x-www-form-urlencoded"),
            415,
            "INVALID_ARGUMENT",
        ),
        ("text", other("text/plain"), 415, "INVALID_ARGUMENT"),
        (
            "brotli",
            json("{}").header("content-encoding", "br"),
            415,
            "INVALID_ARGUMENT",
        ),
        ("half of it", json(r#"{"text": "#), 400, "INVALID_ARGUMENT"),
        ("nothing", json(""), 400, "INVALID_ARGUMENT"),
        ("a slip", json(r#"{"txt": "a"}"#), 400, "INVALID_ARGUMENT"),
        ("a type", json(r#"{"text": 7}"#), 400, "INVALID_ARGUMENT"),
        (
            "basic authentication",
            json("{}").header("authorization", "Basic YTpi"),
            401,
            "UNAUTHENTICATED",
        ),
        (
            "a time",
            json("{}").header("grpc-timeout", "soon"),
            400,
            "INVALID_ARGUMENT",
        ),
    ] {
        let answer = ask.send(url).await;
        assert_eq!(
            answer.code(),
            (status, code.to_owned()),
            "{name}: {}",
            answer.text()
        );
    }
    let wrong_verb = Ask::new("PUT", "/v1/lab/echo_req").send(url).await;
    assert_eq!(wrong_verb.headers["allow"], "GET, POST");
    let slip = json(r#"{"txt": "a"}"#).send(url).await;
    assert!(
        slip.text().contains("echo_req: txt: no such field"),
        "{}",
        slip.text()
    );
}

#[tokio::test]
async fn calls_without_side_effects_are_made_by_get() {
    let lab = Lab::start().await;
    let url = lab.url();
    let answer = Ask::get("/v1/lab/echo_req?text=a+b%26c&ballast=AAE=")
        .send(url)
        .await;
    assert_eq!(answer.text(), r#"{"text":"a b&c","ballast":"AAE="}"#);
    let empty = Ask::get("/v1/lab/echo_req").send(url).await;
    assert_eq!((empty.status, empty.text()), (200, "{}"));
    for wrong in ["txt=a", "text=a&text=b", "text.x=1", "ballast=%ff"] {
        let answer = Ask::get(&format!("/v1/lab/echo_req?{wrong}"))
            .send(url)
            .await;
        assert_eq!(
            answer.code(),
            (400, "INVALID_ARGUMENT".to_owned()),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    let mut lab = Lab::start().await;
    let ask = Ask::post("/v1/lab/act_req", r#"{"what": "hang"}"#);
    let connection = ask.open(lab.url()).await;
    let begun = |event| matches!(event, SeenByServer::Act(_)).then_some(());
    lab.seen("the call", begun).await;
    drop(connection);
    let dropped = |event| matches!(event, SeenByServer::Dropped(_)).then_some(());
    lab.seen("that the handler was dropped", dropped).await;
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_asks_and_bodies_may_be() {
    use std::io::{Read as _, Write as _};

    let lab = Lab::start().await;
    let url = lab.url();
    let json = format!("{{\"text\":\"{}\"}}", "hello ".repeat(1000));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(json.as_bytes()).unwrap();
    let answer = Ask::new("POST", "/v1/lab/echo_req")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .header("accept-encoding", "br, gzip")
        .body(encoder.finish().unwrap())
        .send(url)
        .await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert!(answer.body.len() < 1000);
    let mut inflated = String::new();
    flate2::read::GzDecoder::new(&*answer.body)
        .read_to_string(&mut inflated)
        .unwrap();
    assert_eq!(inflated, json);
    let plain = Ask::post("/v1/lab/echo_req", &json).send(url).await;
    assert_eq!(plain.text(), json);
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_leaves_it_unknown_and_the_next_one_is_found() {
    let mut lab = Lab::start().await;
    let url = lab.url().to_owned();
    let hanging = Ask::post("/v1/lab/act_req", r#"{"what": "hang"}"#);
    let mut connection = hanging.open(&url).await;
    let begun = |event| matches!(event, SeenByServer::Act(_)).then_some(());
    lab.seen("the call", begun).await;
    lab.server.abort();
    let _ = (&mut lab.server).await;
    let (_, _events, _server) = msip_tests::start(&lab.server_url).await;
    let answer = msip_tests::soon("an answer", connection.answer()).await;
    assert_eq!(answer.code(), (500, "UNKNOWN".to_owned()));
    assert!(answer.text().contains("may have run"), "{}", answer.text());
    let again = Ask::post("/v1/lab/echo_req", r#"{"text": "again"}"#)
        .send(&url)
        .await;
    assert_eq!(again.text(), r#"{"text":"again"}"#);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("tcp://{}", gone.local_addr().unwrap());
    drop(gone);
    let builder = Gateway::builder("http://127.0.0.1:0").upstream(upstream, [lab()]);
    let gateway = Running::start(builder).await;
    let answer = Ask::post("/v1/lab/echo_req", "{}").send(&gateway.url).await;
    assert_eq!(
        answer.text(),
        r#"{"code":"UNAVAILABLE","message":"the upstream cannot be reached"}"#
    );
    assert_eq!(answer.status, 503);
}
