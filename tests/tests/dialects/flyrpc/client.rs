//! Bytes of FlyRPC's own server against our client.

use std::time::Duration;

use msip_runtime::{
    CallError, CallOptions, Client, Code, ConnectError, SendError, Status, untyped::UntypedClient,
};
use msip_tests::{
    advance,
    calc::{AddReq, Calc, HandleServerToClient, Number, SendClientToServer as _},
    soon,
};
use tokio::{net::TcpListener, sync::mpsc};

use super::{CalcClient, packet};
use crate::raw::Raw;

/// Tells of each connection.
struct TellConnected(mpsc::Sender<()>);

impl HandleServerToClient for TellConnected {
    async fn on_double_req(&self, _: &Client<Calc>, number: Number) -> Result<Number, Status> {
        Ok(number)
    }

    async fn on_connected(&self, _: &Client<Calc>) -> Result<(), Status> {
        let _ = self.0.send(()).await;
        Ok(())
    }
}

/// Where a server of FlyRPC would listen.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("flyrpc://{}", listener.local_addr().expect("is bound"));
    (listener, url)
}

/// A client, and the server's end of its connection.
async fn connected(settings: &str) -> (Client<Calc>, Raw) {
    let (listener, url) = listener().await;
    let connecting = Client::<Calc>::connect(format!("{url}{settings}"));
    let (client, server) = tokio::join!(connecting, Raw::accept(&listener));
    (client.expect("connects"), server)
}

fn status(error: CallError) -> (Code, String) {
    match error {
        CallError::Status(status) => (status.code(), status.message().to_owned()),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_conversation_is_byte_for_byte_that_of_the_reference() {
    let (client, mut server) = connected("").await;
    client.ack_ind().await.expect("sends");
    server.hears(b"\x40\x00\x01ack\x00\x00").await;
    server.say(b"\x80\x00\x01\x00\x00").await;
    let (sum, ()) = tokio::join!(client.add_req(AddReq { a: 2, b: 40 }), async {
        server
            .hears(b"\x40\x00\x02add\x00\x0e{\"a\":2,\"b\":40}")
            .await;
        server.say(b"\x80\x00\x02\x00\x0a{\"sum\":42}").await;
    });
    assert_eq!(sum.expect("an answer").sum, 42);
    let (text, ()) = tokio::join!(client.upper_req("gr\u{fc}\u{df}e".to_owned()), async {
        server
            .hears(b"\x40\x00\x03upper\x00\x07gr\xc3\xbc\xc3\x9fe")
            .await;
        server.say(b"\x80\x00\x03\x00\x07GR\xc3\x9c\xc3\x9fE").await;
    });
    assert_eq!(text.expect("an answer"), "GR\u{dc}\u{df}E");
    let (bytes, ()) = tokio::join!(client.echo_req(b"\x00\x01\xff\x00\x80".to_vec()), async {
        server
            .hears(b"\x40\x00\x04echo\x00\x05\x00\x01\xff\x00\x80")
            .await;
        server
            .say(b"\x80\x00\x04\x00\x05\x00\x01\xff\x00\x80")
            .await;
    });
    assert_eq!(bytes.expect("an answer"), b"\x00\x01\xff\x00\x80");
    let (failed, ()) = tokio::join!(client.fail_req("E_FOO".to_owned()), async {
        server.hears(b"\x40\x00\x05fail\x00\x05E_FOO").await;
        server.say(b"\x80\x00\x05E_FOO\x00\x00").await;
    });
    let unknown = (Code::Unknown, "E_FOO".to_owned());
    assert_eq!(status(failed.expect_err("fails")), unknown);
    let (failed, ()) = tokio::join!(client.panic_req("x".to_owned()), async {
        server.hears(b"\x40\x00\x06panic\x00\x01x").await;
        server.say(b"\x80\x00\x06HANDLER_PANIC\x00\x00").await;
    });
    let panicked = (Code::Internal, "HANDLER_PANIC".to_owned());
    assert_eq!(status(failed.expect_err("fails")), panicked);
    let (failed, ()) = tokio::join!(client.save_cmd("x".to_owned()), async {
        server.hears(b"\x40\x00\x07save\x00\x01x").await;
        server.say(b"\x80\x00\x07NOT_FOUND\x00\x00").await;
    });
    let not_found = (Code::NotFound, "the peer says no more".to_owned());
    assert_eq!(status(failed.expect_err("fails")), not_found);
    // Longer than needed.
    let (sum, ()) = tokio::join!(client.add_req(AddReq { a: 0, b: 0 }), async {
        server.hears(b"\x40\x00\x08add\x00\x02{}").await;
        server
            .say(b"\x83\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x09{\"sum\":1}")
            .await;
    });
    assert_eq!(sum.expect("an answer").sum, 1);
    client.close().await;
    server.is_let_go().await;
}

#[tokio::test]
async fn the_server_calls_back_and_tells() {
    let (listener, url) = listener().await;
    let (handler, mut told) = CalcClient::new();
    let connecting = Client::<Calc>::builder(url).handler(handler).connect();
    let (client, mut server) = tokio::join!(connecting, Raw::accept(&listener));
    let client = client.expect("connects");
    server.say(b"\x40\x00\x01double\x00\x08{\"n\":21}").await;
    server.hears(b"\x80\x00\x01\x00\x08{\"n\":42}").await;
    server.say(b"\x40\x00\x02told\x00\x05hello").await;
    server.hears(b"\x80\x00\x02\x00\x00").await;
    assert_eq!(told.recv().await.as_deref(), Some("hello"));
    server.say(b"\x40\x00\x03nothing\x00\x00").await;
    server.hears(b"\x80\x00\x03NOT_FOUND\x00\x00").await;
    client.close().await;
}

#[tokio::test]
async fn responses_come_in_any_order_and_late_ones_reach_nobody() {
    let (client, mut server) = connected("").await;
    // Shorter than pings are apart.
    let limit = Duration::from_secs(5);
    let hurried = client.with(CallOptions::new().timeout(limit));
    let (timed_out, ()) = tokio::join!(hurried.add_req(AddReq { a: 9, b: 9 }), async {
        server
            .hears(b"\x40\x00\x01add\x00\x0d{\"a\":9,\"b\":9}")
            .await;
        advance(limit).await;
    });
    assert!(matches!(timed_out, Err(CallError::DeadlineExceeded { .. })));
    let call = |n| client.add_req(AddReq { a: n, b: 0 });
    let (first, second, ()) = tokio::join!(call(1), call(2), async {
        server
            .hears(b"\x40\x00\x02add\x00\x07{\"a\":1}\x40\x00\x03add\x00\x07{\"a\":2}")
            .await;
        // Late, twice, and never asked for.
        server
            .say(b"\x80\x00\x01\x00\x0a{\"sum\":18}\x80\x00\x01\x00\x0a{\"sum\":18}\x80\x00\x63\x00\x02{}")
            .await;
        server
            .say(b"\x80\x00\x03\x00\x09{\"sum\":2}\x80\x00\x02\x00\x09{\"sum\":1}")
            .await;
    });
    assert_eq!(first.expect("an answer").sum, 1);
    assert_eq!(second.expect("an answer").sum, 2);
    client.close().await;
}

#[tokio::test]
async fn a_response_that_cannot_be_read_fails_its_call_alone() {
    let (client, mut server) = connected("?max_body=4KiB").await;
    let cases: [&[u8]; 3] = [
        b"\x80\x00\x01\x00\x01{",
        b"\x80\x00\x02\x00\x0d{\"sum\":\"lots\"",
        b"\x80\x00\x03\x00\x03[1]",
    ];
    for (seq, response) in (1..).zip(cases) {
        let (failed, ()) = tokio::join!(client.add_req(AddReq { a: 0, b: 0 }), async {
            server.hears(&packet(0x40, seq, "add", b"{}")).await;
            server.say(response).await;
        });
        let error = failed.expect_err("fails").to_string();
        assert_eq!(error, "cannot decode the response");
    }
    // One that is too long is told to its caller, and ends the connection.
    let (failed, ()) = tokio::join!(client.add_req(AddReq { a: 0, b: 0 }), async {
        server.hears(&packet(0x40, 4, "add", b"{}")).await;
        server
            .say(b"\x83\x00\x04\x00\xff\xff\xff\xff\xff\xff\xff\xff")
            .await;
    });
    let (code, message) = status(failed.expect_err("fails"));
    assert_eq!(code, Code::ResourceExhausted, "{message}");
    server.is_let_go().await;
    client.close().await;
}

#[tokio::test]
async fn a_ping_is_a_request_of_the_empty_code() {
    let (client, mut server) = connected("").await;
    let (round_trip, ()) = tokio::join!(client.ping(3, Duration::from_secs(60)), async {
        server.hears(b"\x40\x00\x01\x00\x03\x00\x00\x00").await;
        server.say(b"\x80\x00\x01NOT_FOUND\x00\x00").await;
    });
    round_trip.expect("answered");
    client.close().await;
}

#[tokio::test]
async fn a_client_connects_again_and_numbers_from_one() {
    let (listener, url) = listener().await;
    let (connected, mut connections) = mpsc::channel(64);
    let connecting = Client::<Calc>::builder(format!("{url}?reconnect_max=1ms"))
        .handler(TellConnected(connected))
        .connect();
    let (client, mut server) = tokio::join!(connecting, Raw::accept(&listener));
    let client = client.expect("connects");
    soon("the first connection", connections.recv()).await;
    // The connection is cut in the middle of a response.
    let (failed, ()) = tokio::join!(client.add_req(AddReq { a: 1, b: 0 }), async {
        server.hears(b"\x40\x00\x01add\x00\x07{\"a\":1}").await;
        server.say(b"\x80\x00\x01\x00\x09{\"su").await;
        drop(server);
    });
    failed.expect_err("its answer is lost");
    let mut server = Raw::accept(&listener).await;
    soon("another connection", connections.recv()).await;
    let (sum, ()) = tokio::join!(client.add_req(AddReq { a: 1, b: 0 }), async {
        server.hears(b"\x40\x00\x01add\x00\x07{\"a\":1}").await;
        server.say(b"\x80\x00\x01\x00\x09{\"sum\":1}").await;
    });
    assert_eq!(sum.expect("an answer").sum, 1);
    client.close().await;
}

#[tokio::test]
async fn what_flyrpc_does_not_carry_is_refused_by_name() {
    let (client, _server) = connected("").await;
    let refused = |what: &str| format!("the FlyRPC dialect has no {what}");
    let streamed = client.count_req(Number { n: 1 }).await;
    let error = streamed.map(drop).expect_err("has streams");
    assert_eq!(error.to_string(), refused("streams"));
    assert!(matches!(error, CallError::Unsupported(_)));
    let options = CallOptions::new().header("a", "b");
    let error = client.with(options).ack_ind().await.expect_err("a header");
    assert_eq!(error.to_string(), refused("headers"));
    assert!(matches!(error, SendError::Unsupported(_)));
    client.close().await;
    for (settings, what) in [
        ("?compress=gzip", "compression"),
        ("?topic=a", "topics"),
        ("?correlation_ids=true", "correlation ids"),
        ("?channel=log:tcp://127.0.0.1:1", "channels"),
    ] {
        let url = format!("flyrpc://127.0.0.1:1{settings}");
        let error = Client::<Calc>::connect(&url)
            .await
            .map(drop)
            .expect_err(&url);
        assert_eq!(error.to_string(), refused(what));
        assert!(matches!(error, ConnectError::Unsupported(_)));
    }
    let untyped = UntypedClient::builder("flyrpc://127.0.0.1:1", "calc", 0).connect();
    let error = untyped.await.map(drop).expect_err("has no schema");
    assert_eq!(error.to_string(), refused("clients without a schema"));
    let keyed = Client::<Calc>::builder("flyrpc://127.0.0.1:1").credential("secret");
    let error = keyed.connect().await.map(drop).expect_err("a credential");
    assert_eq!(error.to_string(), refused("credentials"));
}
