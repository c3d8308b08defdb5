//! A small peer in Python, written from FlyRPC's wire, both as a client and as a server.

use std::process::Stdio;

use msip_runtime::{CallError, Client, Code};
use msip_tests::{
    calc::{AddReq, Calc, Number, SendClientToServer as _},
    soon,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{CalcClient, calculator};

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/flyrpc_peer.py");

#[tokio::test]
async fn a_client_in_python_finds_what_it_expects() {
    let (handler, address) = calculator("").await;
    let mut command = Command::new("python3");
    command.args([PEER, "client", &address.port().to_string()]);
    let output = soon("the client is done", command.output()).await;
    let output = output.expect("python3 runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out, "all is as expected\n");
    let expected: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(handler.notes(), expected, "in their order");
}

#[tokio::test]
async fn a_server_in_python_is_a_server() {
    let mut server = Command::new("python3")
        .args([PEER, "server"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python3 runs");
    let out = server.stdout.take().expect("is piped");
    let port = soon("a port", BufReader::new(out).lines().next_line()).await;
    let port = port.expect("reads").expect("a line");
    let (handler, mut told) = CalcClient::new();
    let client = Client::<Calc>::builder(format!("flyrpc://127.0.0.1:{port}"))
        .handler(handler)
        .connect()
        .await
        .expect("connects");
    let calls = (0..200).map(|n| client.add_req(AddReq { a: n, b: 1 }));
    let sums = soon("all answers", futures_util::future::join_all(calls)).await;
    for (n, sum) in (0..).zip(sums) {
        assert_eq!(sum.expect("an answer").sum, n + 1);
    }
    let doubled = client.call_back_req(Number { n: 21 }).await;
    assert_eq!(doubled.expect("an answer").n, 42);
    assert_eq!(told.recv().await.as_deref(), Some("hello"));
    let failed = client.fail_req("E_FOO".to_owned()).await;
    let Err(CallError::Status(status)) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!((status.code(), status.message()), (Code::Unknown, "E_FOO"));
    client
        .save_cmd("kept".to_owned())
        .await
        .expect("acknowledged");
    client.close().await;
}
