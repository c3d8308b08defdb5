//! Our client against our server, by FlyRPC's wire.

use std::time::Duration;

use futures_util::future::join_all;
use msip_runtime::{CallError, Client, Code, Server};
use msip_tests::{
    calc::{AddReq, BroadcastServerToClient as _, Calc, Number, SendClientToServer as _},
    soon,
};

use super::{CalcClient, CalcServer, calculator};
use crate::certificate::Certificate;

#[tokio::test]
async fn two_hundred_calls_at_once_are_all_answered() {
    for codec in ["json", "protobuf", "msgpack"] {
        let (_, address) = calculator(&format!("?codec={codec}")).await;
        let url = format!("flyrpc://{address}?codec={codec}");
        let client = Client::<Calc>::connect(url).await.expect("connects");
        for _ in 0..5 {
            let calls = (0..200).map(|n| client.add_req(AddReq { a: n, b: 1 }));
            let sums = soon("all answers", join_all(calls)).await;
            for (n, sum) in (0..).zip(sums) {
                assert_eq!(sum.expect("an answer").sum, n + 1, "{codec}");
            }
        }
        client.close().await;
    }
}

#[tokio::test]
async fn errors_panics_and_calls_back_are_those_of_a_native_connection() {
    let (handler, address) = calculator("").await;
    let (listener, mut told) = CalcClient::new();
    let client = Client::<Calc>::builder(format!("flyrpc://{address}"))
        .handler(listener)
        .connect()
        .await
        .expect("connects");
    let code = |error: CallError| match error {
        CallError::Status(status) => (status.code(), status.message().to_owned()),
        error => panic!("{error:?}"),
    };
    let failed = client.fail_req("E_FOO".to_owned()).await;
    assert_eq!(
        code(failed.expect_err("fails")),
        (Code::Unknown, "E_FOO".to_owned())
    );
    let failed = client.panic_req(String::new()).await;
    assert_eq!(code(failed.expect_err("fails")).0, Code::Internal);
    let doubled = client.call_back_req(Number { n: 21 }).await;
    assert_eq!(doubled.expect("an answer").n, 42);
    assert_eq!(told.recv().await.as_deref(), Some("hello"));
    client
        .save_cmd("kept".to_owned())
        .await
        .expect("acknowledged");
    assert_eq!(handler.notes(), ["kept"]);
    client
        .ping(100, Duration::from_secs(60))
        .await
        .expect("answered");
    let large = vec![7; 100_000];
    assert_eq!(
        client.echo_req(large.clone()).await.expect("an answer"),
        large
    );
    client.close().await;
}

#[tokio::test]
async fn one_handler_serves_both_and_a_broadcast_reaches_both() {
    let server = Server::<Calc>::builder("tcp://127.0.0.1:0")
        .also("flyrpc://127.0.0.1:0")
        .bind()
        .await
        .expect("listens");
    let urls: Vec<_> = server.local_urls().map(ToString::to_string).collect();
    let everyone = server.broadcast();
    tokio::spawn(server.serve(CalcServer::default()));
    let mut clients = Vec::new();
    for url in &urls {
        let (handler, told) = CalcClient::new();
        let client = Client::<Calc>::builder(url)
            .handler(handler)
            .connect()
            .await;
        let client = client.expect("connects");
        let sum = client.add_req(AddReq { a: 1, b: 2 }).await;
        assert_eq!(sum.expect("an answer").sum, 3);
        clients.push((client, told));
    }
    for n in 0..100 {
        everyone.told_ind(n.to_string());
    }
    for (client, told) in &mut clients {
        for n in 0..100 {
            let heard = soon("what was told", told.recv()).await;
            assert_eq!(heard, Some(n.to_string()));
        }
        client.close().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_carries_it_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("flyrpc+unix://{}", folder.path().join("calc").display());
    let server = Server::<Calc>::bind(&url).await.expect("listens");
    tokio::spawn(server.serve(CalcServer::default()));
    let client = Client::<Calc>::connect(&url).await.expect("connects");
    let sum = client.add_req(AddReq { a: 1, b: 2 }).await;
    assert_eq!(sum.expect("an answer").sum, 3);
    client.close().await;
}

#[tokio::test]
async fn tls_carries_it_too() {
    let certificate = Certificate::issue();
    let server = Server::<Calc>::bind(&certificate.url("flyrpc+tls")).await;
    let server = server.expect("listens");
    let url = server.local_url().to_string();
    assert!(url.starts_with("flyrpc+tls://"), "{url}");
    tokio::spawn(server.serve(CalcServer::default()));
    let (handler, mut told) = CalcClient::new();
    let client = Client::<Calc>::builder(&url)
        .tls(certificate.authority.client_tls())
        .handler(handler)
        .connect();
    let client = soon("a client", client).await.expect("connects");
    // Both sides ask.
    let doubled = client.call_back_req(Number { n: 21 });
    assert_eq!(soon("an answer", doubled).await.expect("answered").n, 42);
    assert_eq!(told.recv().await.as_deref(), Some("hello"));
    // It is the certificate by which the server is known.
    let stranger = Client::<Calc>::builder(&url)
        .tls(Certificate::issue().authority.client_tls())
        .connect();
    soon("a refusal", stranger)
        .await
        .map(drop)
        .expect_err("is not trusted");
    client.close().await;
}

#[tokio::test]
async fn a_client_learns_in_time_that_its_server_is_gone() {
    let (handler, address) = calculator("").await;
    let url = format!("flyrpc://{address}");
    let client = Client::<Calc>::connect(&url).await.expect("connects");
    let closing = client.clone();
    // An exchange that is open is waited for as long as it may last, and no longer.
    let limit = msip_runtime::CallOptions::new().timeout(Duration::from_millis(50));
    let waiting = client.with(limit);
    let hanging = waiting.hang_req();
    let (failed, ()) = tokio::join!(hanging, closing.close());
    failed.expect_err("is given up");
    assert!(handler.notes().is_empty());
}
