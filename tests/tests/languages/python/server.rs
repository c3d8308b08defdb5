//! Clients in Rust talk to a server in Python.

use std::process::Stdio;

use msip_runtime::{Client, Code, ConnectError};
use msip_tests::{
    Authority, LabClient, SeenByClient, ServerProcess,
    lab::{Lab, NoteInd, SaveInd, SendClientToServer as _, ShoutReq, SumReq},
    messages::{act, count, echo},
    next, soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::programs::program;

/// A server in Python at this URL.
async fn host(url: &str, secret: Option<&str>) -> Option<ServerProcess> {
    let mut command = program("lab_host.py")?;
    command.arg(url).stdin(Stdio::piped());
    if let Some(secret) = secret {
        command.env("LAB_SECRET", secret);
    }
    Some(ServerProcess::start(command).await)
}

/// Every exchange of the protocol, once.
async fn talk(url: &str) {
    let (handler, mut events) = LabClient::new();
    let connecting = Client::<Lab>::builder(url).handler(handler).connect();
    let client = soon("a connection", connecting).await.expect("connected");
    let calls = async {
        for len in [0, 1, 300_000] {
            let mut request = echo(&"é".repeat(len));
            request.ballast = [0, 255].repeat(len);
            let answer = client.echo_req(request.clone()).await.expect("answered");
            assert_eq!(
                (answer.text, answer.ballast),
                (request.text, request.ballast)
            );
        }
        client.tick_ind().await.expect("sent");
        let note = NoteInd {
            number: 7,
            ..NoteInd::default()
        };
        client.note_ind(note).await.expect("sent");
        client.save_ind(SaveInd { number: 8 }).await.expect("saved");
        let refused = client
            .save_ind(SaveInd { number: 13 })
            .await
            .expect_err("refused");
        assert_eq!(refused.code(), Code::FailedPrecondition);

        assert_eq!(
            client.act_req(act("ask")).await.expect("answered").done,
            "who? me"
        );
        let missing = client.act_req(act("missing")).await.expect_err("fails");
        assert_eq!(missing.code(), Code::NotFound);
        let fault = client.act_req(act("panic")).await.expect_err("fails");
        assert_eq!(fault.code(), Code::Internal);

        let mut numbers = client.count_req(count(100, 1100)).await.expect("begun");
        let mut expected = 100;
        while let Some(number) = numbers.next().await {
            assert_eq!(number.expect("a number").number, expected);
            expected += 1;
        }
        assert_eq!(expected, 1100);
        // Nobody reads on: the handler is stopped, or the server could not end.
        let mut endless = client.count_req(count(0, 0)).await.expect("begun");
        assert!(endless.next().await.is_some());
        drop(endless);

        let numbers = futures_util::stream::iter((0..100).map(|number| SumReq { number }));
        assert_eq!(client.sum_req(numbers).await.expect("answered").sum, 4950);
        let texts = (0..100).map(|number| ShoutReq {
            text: format!("é{number}"),
        });
        let mut shouted = client
            .shout_req(futures_util::stream::iter(texts))
            .await
            .expect("begun");
        let mut count = 0;
        while let Some(shout) = shouted.next().await {
            assert_eq!(shout.expect("a shout").text, format!("É{count}"));
            count += 1;
        }
        assert_eq!(count, 100);
    };
    soon("all of it", calls).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        match next(&mut events).await {
            SeenByClient::Note(number) | SeenByClient::Save(number) => heard.push(number),
            _ => {}
        }
    }
    assert_eq!(heard, [7, 8]);
    soon("the end", client.close()).await;
}

#[tokio::test]
async fn every_transport_and_codec() {
    let Some(server) = host("tcp://127.0.0.1:0", None).await else {
        return;
    };
    for settings in [
        "",
        "?codec=json",
        "?codec=msgpack&compress=gzip",
        "?compress=gzip",
    ] {
        talk(&format!("{}{settings}", server.url)).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display();
    let authority = Authority::new("authority");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a file");
    authority
        .issue_local()
        .write(folder.path(), "server")
        .expect("files");
    let unix = format!("unix://{place}/lab.sock");
    let server = host(&unix, None).await.expect("there is Python");
    talk(&server.url).await;
    let tls = format!("tls://127.0.0.1:0?cert={place}/server.pem&key={place}/server.key");
    let server = host(&tls, None).await.expect("there is Python");
    talk(&format!("{}?ca={place}/ca.pem", server.url)).await;
    let server = host("ws://127.0.0.1:0/lab", None)
        .await
        .expect("there is Python");
    talk(&server.url).await;
    talk(&format!("{}?codec=json&compress=gzip", server.url)).await;
    let wss = format!("wss://127.0.0.1:0/lab?cert={place}/server.pem&key={place}/server.key");
    let server = host(&wss, None).await.expect("there is Python");
    talk(&format!("{}?ca={place}/ca.pem", server.url)).await;
}

#[tokio::test]
async fn another_secret_is_refused() {
    let Some(server) = host("tcp://127.0.0.1:0", Some("open sesame")).await else {
        return;
    };
    let connect = |secret: &'static str| {
        let builder = Client::<Lab>::builder(&server.url).handler(LabClient::new().0);
        soon("an answer", builder.credential(secret).connect())
    };
    let refused = connect("open barley").await.expect_err("refused");
    let ConnectError::Refused { status, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(status.to_string(), "UNAUTHENTICATED: not authenticated");
    connect("open sesame")
        .await
        .expect("connected")
        .close()
        .await;
}

/// What a stranger may send that is no HELLO: it is answered once at most, and closed, and others are served.
#[tokio::test]
async fn strangers_are_sent_away() {
    let Some(server) = host("tcp://127.0.0.1:0", None).await else {
        return;
    };
    // For what it waits for in vain; others have time enough.
    let hurried = host("tcp://127.0.0.1:0?handshake_timeout=100ms", None).await;
    let hurried = hurried.expect("there is Python");
    let huge =
        b"MSIP\x01\x00\x00\x01\x00\x03\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01";
    let before_hello =
        b"MSIP\x01\x00\x00\x08\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01";
    let cases: [(&ServerProcess, &[u8], &str); 5] = [
        (
            &server,
            huge,
            "HELLO announces a payload of 4294967295 bytes",
        ),
        (&server, before_hello, "ERROR"),
        (&server, b"GET / HTTP/1.1\r\n\r\n", "bad magic"),
        (
            &server,
            b"\x16\x03\x01\x00\xfa\x01\x00\x00\xf6\x03\x03",
            "TLS, where MSIP is spoken without it",
        ),
        (&hurried, b"MSIP\x01", ""),
    ];
    for (server, said, expected) in cases {
        let stream = TcpStream::connect(server.address()).await;
        let mut stream = stream.expect("connected");
        stream.write_all(said).await.expect("written");
        let mut answer = Vec::new();
        let read = soon("the end", stream.read_to_end(&mut answer)).await;
        // It may be reset where more was sent than was read.
        drop(read);
        let answer = String::from_utf8_lossy(&answer);
        if expected != "ERROR" {
            assert!(answer.contains(expected), "{answer:?} to {said:?}");
        }
    }
    talk(&server.url).await;
}
