//! The interface of jesus, as its clients use it. The numbers are those of what MSIP must offer so that nobody loses anything.

use std::{sync::atomic::Ordering, time::Duration};

use msip_gateway::{
    GatewayLimits, Hosts,
    jesus::{JesusOptions, Methods},
};
use msip_tests::{advance, soon};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    client::{Answer, ask},
    rest::{Seen, methods, model, start, start_at},
};

const JSON: (&str, &str) = ("content-type", "application/json");

/// What jesus' HTTP client sends with each message.
const META: [(&str, &str); 9] = [
    JSON,
    ("app-meta-corrid", "c1"),
    ("app-meta-userid", "u1"),
    ("app-meta-from", "net1"),
    ("app-meta-timestamp", "1795170958272"),
    ("app-meta-reqtype", "out"),
    ("app-meta-channel", "http"),
    ("app-meta-to", "net2"),
    ("app-meta-stream", "false"),
];

async fn post(url: &str, path: &str, body: &str) -> Answer {
    ask(url, &format!("POST {path}"), &META, body.as_bytes()).await
}

fn private() -> JesusOptions {
    JesusOptions::private(methods(None))
}

/// 1
#[tokio::test]
async fn the_four_response_types() {
    let mut running = start(private()).await;
    let url = &running.url;

    let sum = post(url, "/sum", r#"{"n":5,"more":[1,2]}"#).await;
    assert_eq!(
        (sum.status, sum.header("content-type")),
        (200, "application/json; charset=utf-8")
    );
    assert_eq!(sum.json()["sum"], 8);

    let note = post(url, "/note", r#"{"n":1}"#).await;
    assert_eq!((note.status, note.text()), (204, ""));
    assert_eq!(
        soon("the service", running.seen.recv()).await,
        Some(Seen::Note(1))
    );

    let count = post(url, "/count", r#"{"to":2}"#).await;
    assert_eq!(
        (count.status, count.header("content-type")),
        (200, "text/event-stream")
    );
    assert_eq!(count.header("cache-control"), "no-cache");
    assert_eq!(count.chunks.len(), 3);
    assert_eq!(count.chunks[0], "data: {\"number\":0,\"text\":\"\"}\n\n");
    assert_eq!(
        soon("the service", running.seen.recv()).await,
        Some(Seen::StreamDropped)
    );

    // Its handler never ends: it was acknowledged before.
    let save = post(url, "/save", r#"{"n":13}"#).await;
    assert_eq!((save.status, save.text()), (200, r#"{"aknowlegment":1}"#));
    assert_eq!(
        soon("the service", running.seen.recv()).await,
        Some(Seen::Save(13))
    );
}

/// 1
#[tokio::test]
async fn a_stream_has_a_time_limit_and_its_handler_hears_that_the_reader_leaves() {
    let limit = Duration::from_secs(10);
    let mut running = start(private().stream_limit(limit)).await;
    let authority = running.url.trim_start_matches("http://");
    let mut reader = TcpStream::connect(authority).await.expect("connects");
    let request = format!("GET /count HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    reader.write_all(request.as_bytes()).await.expect("sent");
    let mut endless = Vec::new();
    while !String::from_utf8_lossy(&endless).contains("\"number\":0") {
        let read = soon("an item", reader.read_buf(&mut endless)).await;
        assert!(read.expect("is connected") > 0, "it has an item");
    }
    advance(limit).await;
    let ended = soon("the end", reader.read_to_end(&mut endless)).await;
    ended.expect("is connected");
    let endless = String::from_utf8(endless).expect("text");
    let items: Vec<&str> = endless
        .split("data: ")
        .skip(1)
        .filter_map(|item| item.split_once("\n\n"))
        .map(|(item, _)| item)
        .collect();
    assert_eq!(items.len(), 2, "{endless}");
    let last: Value = serde_json::from_str(items[1]).expect("JSON");
    assert_eq!(last["__RESULT_TYPE__"], "error");
    assert_eq!(
        soon("the service", running.seen.recv()).await,
        Some(Seen::StreamDropped)
    );

    let mut running = start(private()).await;
    let authority = running.url.trim_start_matches("http://");
    let mut reader = TcpStream::connect(authority).await.expect("connects");
    let request = format!("GET /count HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    reader.write_all(request.as_bytes()).await.expect("sent");
    reader.readable().await.expect("the head of the answer");
    assert!(running.seen.try_recv().is_err(), "it goes on");
    drop(reader);
    assert_eq!(
        soon("the service", running.seen.recv()).await,
        Some(Seen::StreamDropped)
    );
}

/// 2
#[tokio::test]
async fn paths_verbs_queries_forms_and_parts() {
    let running = start(private()).await;
    let url = &running.url;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (line, header, body) in [
        ("GET /sum?n=5&more[]=1&more[]=2&room=12", JSON, ""),
        ("GET /sum/n/5/room/12?more[0]=1&more[1]=2", JSON, ""),
        ("POST /sum/room/12", JSON, r#"{"n":5,"more":[1,2]}"#),
        ("PUT /sum", form, "n=5&more=1&more=2&room=12"),
        ("PATCH /sum/", form, "n=5&more[]=1&more[]=2&room=12"),
        (
            "DELETE /sum?n=5&more=1&more=2&room=12",
            ("x-nothing", "1"),
            "",
        ),
    ] {
        let answer = ask(url, line, &[header], body.as_bytes()).await;
        let json = answer.json();
        assert_eq!(
            (&json["sum"], &json["room"]),
            (&json!(8), &json!("12")),
            "{line}: {json}"
        );
    }
    let parts = "--b\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n8\r\n--b--\r\n";
    let answer = ask(
        url,
        "POST /sum",
        &[("content-type", "multipart/form-data; boundary=b")],
        parts.as_bytes(),
    )
    .await;
    assert_eq!(answer.json()["sum"], 8);
}

/// 2
#[tokio::test]
async fn each_type_of_result_is_answered() {
    let running = start(private()).await;
    let url = &running.url;
    for (path, body, status, content_type, text) in [
        (
            "/page",
            r#"{"value":"ada"}"#,
            200,
            "text/html; charset=utf-8",
            "<h1>ada</h1>",
        ),
        ("/nothing", "{}", 404, "", ""),
        ("/echo", r#"{"echo":null}"#, 404, "", ""),
        (
            "/echo",
            r#"{"echo":5}"#,
            200,
            "application/json; charset=utf-8",
            "5",
        ),
        (
            "/echo",
            r#"{"echo":true}"#,
            200,
            "application/json; charset=utf-8",
            "true",
        ),
        (
            "/echo",
            r#"{"echo":[1,"a"]}"#,
            200,
            "application/json; charset=utf-8",
            r#"[1,"a"]"#,
        ),
        (
            "/size",
            r#"{"value":"7"}"#,
            200,
            "application/json; charset=utf-8",
            "7",
        ),
    ] {
        let answer = post(url, path, body).await;
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.text()),
            (status, content_type, text),
            "{path} {body}"
        );
    }
    let picture = post(url, "/picture", r#"{"value":""}"#).await;
    assert_eq!(
        (picture.status, picture.header("content-type")),
        (200, "image/png")
    );
    assert!(picture.body.starts_with(b"\x89PNG"));
}

/// 2
#[tokio::test]
async fn errors_are_told_in_answers_and_in_streams() {
    let running = start(private()).await;
    let url = &running.url;
    let failed = post(url, "/fail", "{}").await;
    assert_eq!(
        (failed.status, failed.text()),
        (
            200,
            r#"{"__RESULT_TYPE__":"error","method":"fail","error":"boom"}"#
        )
    );
    let scalar = post(url, "/sum", "7").await;
    assert_eq!(
        (scalar.status, scalar.text()),
        (
            200,
            r#"{"__RESULT_TYPE__":"error","error":"MESSAGE IS NOT VALID"}"#
        )
    );
    let unknown = post(url, "/gone", "{}").await;
    assert_eq!(
        (unknown.status, unknown.text()),
        (
            200,
            r#"{"__RESULT_TYPE__":"error","method":"gone","error":"gone is not valid (not defined in methods config)"}"#
        )
    );
    let stream = post(url, "/count", r#"{"to":9,"failAfter":1}"#).await;
    assert_eq!(
        stream.chunks,
        [
            "data: {\"number\":0,\"text\":\"\"}\n\n",
            "data: {\"__RESULT_TYPE__\":\"error\",\"method\":\"count\",\"error\":\"enough\"}\n\n"
        ]
    );
    let stream_meta = [JSON, ("app-meta-stream", "true")];
    let plain = ask(url, "POST /sum", &stream_meta, b"{\"n\":1}").await;
    assert_eq!(plain.json()["sum"], 1, "a header makes no stream of it");
}

/// 2: the old client parses each chunk, so an event that is long has one too.
#[tokio::test]
async fn an_event_is_exactly_one_chunk() {
    let running = start(private()).await;
    let stream = post(&running.url, "/count", r#"{"to":3}"#).await;
    let events: Vec<Value> = stream
        .chunks
        .iter()
        .map(|chunk| {
            let data = chunk
                .strip_prefix("data: ")
                .and_then(|data| data.strip_suffix("\n\n"));
            serde_json::from_str(data.expect("one event")).expect("JSON")
        })
        .collect();
    let numbers: Vec<_> = events
        .iter()
        .map(|event| event["number"].as_u64())
        .collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!(events[1]["text"].as_str().map(str::len), Some(100_000));
}

/// 6
#[tokio::test]
async fn meta_goes_along_and_makes_nobody_somebody() {
    let running = start(private()).await;
    let answer = post(&running.url, "/sum", "{}").await;
    assert_eq!(answer.header("app-meta-corrid"), "c1");
    let meta = &answer.json()["meta"];
    for (name, expected) in [
        ("corrid", "c1"),
        ("app-meta-claimed-userid", "u1"),
        ("app-meta-claimed-from", "net1"),
        ("app-meta-to", "net2"),
        ("app-meta-reqintime", "1795170958272"),
        ("app-meta-reqtype", "out"),
        ("app-meta-channel", "http"),
        ("app-meta-stream", "false"),
    ] {
        assert_eq!(meta[name], expected, "{name} in {meta}");
    }
    assert_eq!(
        (meta.get("app-meta-userid"), meta.get("app-meta-from")),
        (None, None)
    );
    assert!(
        meta["app-meta-timestamp"]
            .as_str()
            .is_some_and(|text| text.parse::<u64>().is_ok())
    );

    let nobody = ask(&running.url, "POST /sum", &[JSON], b"{}").await;
    let made = nobody.header("app-meta-corrid");
    assert_eq!(made.len(), 32, "one is made");
    assert_eq!(nobody.json()["meta"]["corrid"], made);
    assert_eq!(nobody.json()["meta"]["app-meta-claimed-userid"], "UNKNOW");
}

/// 7
#[tokio::test]
async fn data_is_coerced_and_checked_and_the_errors_are_those_of_ajv() {
    let file = r#"{
        "sum": { "required": ["n"] },
        "strict": { "request": "sum_req", "requestSchema": false },
        "own": { "request": "sum_req", "requestSchema": { "type": "object", "properties": { "n": { "type": "integer", "maximum": 5 } } } },
        "checked": { "request": "echo_req", "responseType": "response",
                     "responseSchema": { "type": "object", "properties": { "a": { "type": "boolean" } }, "required": ["a"] } },
        "unchecked": { "request": "echo_req", "responseType": "any", "responseSchema": { "required": ["a"] } }
    }"#;
    let running = start(JesusOptions::private(methods(Some(file)))).await;
    let url = &running.url;
    let error = post(url, "/sum", r#"{"nonsense":1,"room":7,"more":["x"]}"#).await;
    assert_eq!(
        (error.status, error.text()),
        (
            200,
            r##"{"__RESULT_TYPE__":"error","method":"sum","error":"validation errors","data":{"type":"schemaValidation","schemaField":"requestSchema","errors":[{"keyword":"additionalProperties","dataPath":"","schemaPath":"#/additionalProperties","params":{"additionalProperty":"nonsense"},"message":"should NOT have additional properties"},{"keyword":"required","dataPath":"","schemaPath":"#/required","params":{"missingProperty":"n"},"message":"should have required property 'n'"},{"keyword":"type","dataPath":".more[0]","schemaPath":"#/properties/more/items/type","params":{"type":"integer"},"message":"should be integer"}]}}"##
        )
    );
    assert_eq!(
        post(url, "/sum", r#"{"n":"5","room":7}"#).await.json()["room"],
        "7",
        "types are coerced"
    );
    let file = Some(r#"{ "sum": {} }"#);
    let strict = Methods::new(&[model()], file, false).expect("methods");
    let strict = start(JesusOptions::private(strict)).await;
    let error = post(&strict.url, "/sum", r#"{"n":"5"}"#).await.json();
    assert_eq!(error["data"]["errors"][0]["keyword"], "type", "{error}");
    let unchecked = post(url, "/strict", r#"{"nonsense":1}"#).await.json();
    assert_eq!(
        unchecked["__RESULT_TYPE__"], "error",
        "not checked by a schema, but a message has its fields: {unchecked}"
    );
    let own = post(url, "/own", r#"{"n":6}"#).await.json();
    assert_eq!(own["data"]["errors"][0]["params"]["limit"], 5);
    let response = post(url, "/checked", r#"{"echo":{"a":"x"}}"#).await.json();
    assert_eq!(
        response["data"]["schemaField"], "responseSchema",
        "{response}"
    );
    assert_eq!(
        post(url, "/checked", r#"{"echo":{"a":true}}"#).await.text(),
        r#"{"a":true}"#
    );
    assert_eq!(
        post(url, "/unchecked", r#"{"echo":{"b":1}}"#).await.text(),
        r#"{"b":1}"#
    );
}

/// 8
#[tokio::test]
async fn a_private_method_is_not_there_at_a_public_gateway() {
    let file = r#"{ "sum": { "public": true }, "note": {}, "save": { "public": false } }"#;
    let public = start(JesusOptions::public(methods(Some(file)))).await;
    assert_eq!(
        post(&public.url, "/sum", r#"{"n":1}"#).await.json()["sum"],
        1
    );
    let told = |name: &str| json!({ "__RESULT_TYPE__": "error", "method": name, "error": format!("{name} is not valid (not defined in methods config)") });
    for name in ["note", "save", "fail", "v1"] {
        assert_eq!(
            post(&public.url, &format!("/{name}"), "{}").await.json(),
            told(name),
            "as one that does not exist"
        );
    }
    let meta = post(&public.url, "/sum", "{}").await.json();
    assert_eq!(meta["meta"]["app-meta-channel"], "httpPublic");

    let private = start(JesusOptions::private(methods(Some(file)))).await;
    assert_eq!(post(&private.url, "/note", "{}").await.status, 204);
    assert_eq!(
        post(&private.url, "/fail", "{}").await.json(),
        told("fail"),
        "the file does not list it"
    );
}

/// 8
#[tokio::test]
async fn pages_of_other_origins_call_only_where_they_are_listed() {
    let hosts = Hosts::default().origin("https://app.example.org");
    let running = start_at(
        "http://127.0.0.1:0",
        private(),
        hosts,
        GatewayLimits::default(),
    )
    .await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    // A form needs no permission of the browser: whoever it comes from is looked at.
    let foreign = ask(
        &running.url,
        "POST /sum",
        &[form, ("origin", "https://evil.example")],
        b"n=1",
    )
    .await;
    assert_eq!(foreign.status, 403, "{foreign:?}");
    assert_eq!(running.calls.load(Ordering::Relaxed), 0);
    let listed = ask(
        &running.url,
        "POST /sum",
        &[form, ("origin", "https://app.example.org")],
        b"n=1",
    )
    .await;
    assert_eq!(listed.status, 200);
    assert_eq!(
        listed.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    let rebound = ask(
        &running.url,
        "POST /sum",
        &[form, ("host", "evil.example")],
        b"n=1",
    )
    .await;
    assert_eq!(rebound.status, 400, "two hosts");
}

/// 8
#[tokio::test]
async fn uploads_have_limits_and_nothing_of_them_stays() {
    let running = start(private().max_file(1000).max_files(1)).await;
    let before = temporary_files();
    let png = b"\x89PNG\r\n\x1a\nand so on";
    let upload = async |name: &str, content: &[u8]| {
        let mut body =
            b"--b\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nme\r\n".to_vec();
        let head = format!(
            "--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--b--\r\n");
        ask(
            &running.url,
            "POST /upload",
            &[("content-type", "multipart/form-data; boundary=b")],
            &body,
        )
        .await
    };
    assert_eq!(
        upload("avatar", png).await.json()["text"],
        "me: avatar a.png image/png 17 17"
    );
    assert_eq!(upload("raw", png).await.json()["text"], "me:    0 17");
    let other = upload("other", png).await;
    assert_eq!(other.json()["error"], "the method takes no file `other`");
    let wrong = upload("avatar", b"GIF89a").await;
    assert_eq!(wrong.status, 415);
    assert_eq!(
        wrong.json()["error"],
        "a file is image/gif, and not one of image/png, image/jpeg"
    );
    let long = [&png[..], &[0; 1000]].concat();
    let too_long = upload("avatar", &long).await;
    assert_eq!(too_long.status, 413);
    assert_eq!(too_long.json()["__RESULT_TYPE__"], "error");
    assert_eq!(temporary_files(), before);
}

/// Files right in the folder for temporary ones that this process has open: none of a gateway are. Those of other tests, which run
/// at the same time, are in folders of their own.
fn temporary_files() -> usize {
    let open = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let folder = std::env::temp_dir();
    open.filter(|entry| std::fs::metadata(entry.path()).is_ok_and(|file| file.is_file()))
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|path| path.parent() == Some(&*folder))
        .count()
}

/// 8
#[tokio::test]
async fn a_body_that_cannot_be_taken_is_an_error_with_a_type() {
    let running = start(private()).await;
    for (body, status, error) in [
        (
            "{".to_owned(),
            400,
            "the body is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            format!("{{\"room\":\"{}\"}}", "x".repeat(100 * 1024)),
            413,
            "the body is longer than 102400 bytes",
        ),
    ] {
        let answer = post(&running.url, "/sum", &body).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.json(),
            json!({ "__RESULT_TYPE__": "error", "method": "sum", "error": error })
        );
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
    }
}

/// A caller that says nothing more is let go, and the gateway stops at once.
#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let mut limits = GatewayLimits::default();
    limits.body_timeout = Duration::from_millis(50);
    let running = start_at("http://127.0.0.1:0", private(), Hosts::default(), limits).await;
    let authority = running.url.trim_start_matches("http://");
    let head = [
        "content-type: multipart/form-data; boundary=b",
        "content-type: application/json",
    ];
    for content_type in head {
        let mut stream = TcpStream::connect(authority).await.expect("connects");
        let head = format!(
            "POST /sum HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n{content_type}\r\ncontent-length: 1000\r\n\r\n--b"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        soon(
            "an answer",
            tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer),
        )
        .await
        .expect("text");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    soon("the end", running.stop()).await;
}

/// 3
#[tokio::test]
async fn the_envelope_of_the_socket_channel() {
    let running = start(private().envelope()).await;
    let url = &running.url;
    let send = async |path: &str, body: Value| {
        ask(
            url,
            &format!("POST {path}"),
            &[JSON],
            body.to_string().as_bytes(),
        )
        .await
    };
    let meta =
        json!({ "corrid": "c7", "userid": "u1", "from": "net1", "timestamp": 1795170958272u64 });
    let sum = send(
        "/_httpMessage",
        json!({ "method": "sum", "data": { "n": "5" }, "meta": meta }),
    )
    .await;
    let json = sum.json();
    assert_eq!(
        (&json["sum"], &json["meta"]["corrid"]),
        (&json!(5), &json!("c7"))
    );
    assert_eq!(json["meta"]["app-meta-channel"], "socket");
    assert_eq!(json["meta"]["app-meta-claimed-userid"], "u1");
    let nothing = send(
        "/_httpMessage",
        json!({ "method": "note", "data": {}, "meta": {} }),
    )
    .await;
    assert_eq!((nothing.status, nothing.text()), (200, ""));
    let null = send("/_httpMessage", json!({ "method": "nothing" })).await;
    assert_eq!((null.status, null.text()), (200, ""));
    let stream = send(
        "/_httpMessageStream",
        json!({ "method": "count", "data": { "to": 1 }, "meta": {} }),
    )
    .await;
    assert_eq!(stream.chunks.len(), 2, "{stream:?}");
    let events: Vec<Value> = serde_json::Deserializer::from_slice(&stream.body)
        .into_iter()
        .map(|event| event.expect("JSON"))
        .collect();
    assert_eq!(
        events[0],
        json!({ "number": 0, "text": "" }),
        "with nothing between them"
    );
    for wrong in [json!([]), json!({ "data": {} }), json!("x")] {
        assert_eq!(
            send("/_httpMessage", wrong).await.json()["error"],
            "MESSAGE IS NOT VALID"
        );
    }
    let unary = send("/_httpMessageStream", json!({ "method": "sum" })).await;
    assert_eq!(unary.json()["__RESULT_TYPE__"], "error");
    assert_eq!(
        ask(url, "GET /other/path", &[], b"").await.json()["__RESULT_TYPE__"],
        "error"
    );

    let without = start(private()).await;
    let answer = ask(&without.url, "POST /_httpMessage", &[JSON], b"{}").await;
    assert_eq!(
        answer.json()["error"],
        "_httpMessage is not valid (not defined in methods config)"
    );
}
