//! Streams of answers and of requests.

use msip_tests::SeenByServer;

use crate::{client::Ask, fixture::Lab};

fn lines(path: &str, lines: &str) -> Ask {
    Ask::new("POST", path)
        .header("content-type", "application/x-ndjson")
        .body(lines)
}

#[tokio::test]
async fn answers_are_events_with_ids_and_an_end() {
    let lab = Lab::start().await;
    let ask = Ask::post("/v1/lab/count_req", r#"{"from": 20, "to": 22}"#);
    let mut connection = ask.open(lab.url()).await;
    let head = connection.head().await;
    assert_eq!(
        (head.status, &*head.headers["content-type"]),
        (200, "text/event-stream")
    );
    let mut events = Vec::new();
    while let Some(event) = connection.event().await {
        events.push(event);
    }
    assert_eq!(
        events,
        [
            "id: 1\ndata: {\"number\":\"20\"}",
            "id: 2\ndata: {\"number\":\"21\"}",
            "event: end\ndata: {}",
        ]
    );
    let by_get = Ask::get("/v1/lab/count_req?from=20&to=21")
        .send(lab.url())
        .await;
    assert!(
        by_get
            .text()
            .starts_with("id: 1\ndata: {\"number\":\"20\"}\n\n")
    );
}

#[tokio::test]
async fn an_error_before_the_first_answer_is_a_status_and_one_later_an_event() {
    let lab = Lab::start().await;
    let at_once = Ask::post("/v1/lab/count_req", r#"{"from": 13}"#)
        .send(lab.url())
        .await;
    assert_eq!(at_once.code(), (400, "FAILED_PRECONDITION".to_owned()));
    let later = Ask::post("/v1/lab/count_req", r#"{"from": 12, "to": 20}"#)
        .send(lab.url())
        .await;
    assert_eq!(later.status, 200);
    assert_eq!(
        later.text(),
        "id: 1\ndata: {\"number\":\"12\"}\n\nevent: error\n\
         data: {\"code\":\"FAILED_PRECONDITION\",\"message\":\"not thirteen\"}\n\n"
    );
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_stream_at_its_source() {
    let mut lab = Lab::start().await;
    let ask = Ask::post("/v1/lab/count_req", r#"{"from": 20}"#);
    let mut connection = ask.open(lab.url()).await;
    connection.head().await;
    connection.event().await.unwrap();
    drop(connection);
    let dropped = |event| matches!(event, SeenByServer::Dropped(_)).then_some(());
    lab.seen("that the stream was dropped", dropped).await;
}

#[tokio::test]
async fn lines_are_a_stream_of_requests() {
    let lab = Lab::start().await;
    let sum = lines(
        "/v1/lab/sum_req",
        "{\"number\": 1}\n\n{\"number\": \"2\"}\r\n{\"number\": 3}",
    );
    let answer = sum.send(lab.url()).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"sum":"6"}"#));
    let none = lines("/v1/lab/sum_req", "").send(lab.url()).await;
    assert_eq!((none.status, none.text()), (200, "{}"));
    let refused = lines("/v1/lab/sum_req", "{\"number\": 1}\n{\"number\": 13}\n");
    assert_eq!(
        refused.send(lab.url()).await.code(),
        (400, "FAILED_PRECONDITION".to_owned())
    );
    let wrong = lines(
        "/v1/lab/sum_req",
        "{\"number\": 1}\n{\"number\": \"x\"}\n{\"number\": 2}\n",
    );
    let wrong = wrong.send(lab.url()).await;
    assert_eq!(wrong.code(), (400, "INVALID_ARGUMENT".to_owned()));
    assert!(
        wrong.text().contains("line 2: sum_req: number: "),
        "{}",
        wrong.text()
    );
    let json = Ask::post("/v1/lab/sum_req", "{}").send(lab.url()).await;
    assert_eq!(json.code(), (415, "INVALID_ARGUMENT".to_owned()));
}

#[tokio::test]
async fn both_ways_stream_at_once() {
    let lab = Lab::start().await;
    let shout = Ask::new("POST", "/v1/lab/shout_req")
        .header("content-type", "application/x-ndjson")
        .header("transfer-encoding", "chunked");
    let mut connection = shout.open(lab.url()).await;
    let mut say = async |text: &str| {
        let line = format!("{{\"text\": \"{text}\"}}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        connection.write(chunk.as_bytes()).await.unwrap();
        if text == "one" {
            assert_eq!(connection.head().await.status, 200);
        }
        connection.event().await.unwrap()
    };
    assert_eq!(say("one").await, "id: 1\ndata: {\"text\":\"ONE\"}");
    assert_eq!(say("two").await, "id: 2\ndata: {\"text\":\"TWO\"}");
    connection.write(b"0\r\n\r\n").await.unwrap();
    assert_eq!(connection.event().await.unwrap(), "event: end\ndata: {}");
    assert_eq!(connection.event().await, None);
}
