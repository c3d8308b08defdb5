//! A server whose process has no file descriptor left goes on, and takes clients again as soon as it has one.

use std::{process::Stdio, time::Duration};

use msip_runtime::Client;
use msip_tests::{
    lab::{EchoReq, Lab, SendClientToServer as _},
    soon,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{ChildStdout, Command},
};

/// How many files the server may have open.
const MAX_OPEN: usize = 24;

async fn until(lines: &mut Lines<BufReader<ChildStdout>>, what: &str) -> String {
    loop {
        let line = soon(what, lines.next_line()).await.expect("text");
        match line {
            Some(line) if line.contains(what) => return line,
            Some(_) => {}
            None => panic!("the server ended before `{what}`"),
        }
    }
}

fn echo() -> EchoReq {
    EchoReq {
        text: "hi".into(),
        ..EchoReq::default()
    }
}

#[tokio::test]
async fn a_server_outlives_accepts_that_fail() {
    let script = format!(r#"ulimit -n {MAX_OPEN}; exec "$0""#);
    let mut server = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_lab-server")])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let url = until(&mut lines, "tcp://").await;
    let address = url.trim_start_matches("tcp://").to_owned();

    let early = Client::<Lab>::connect(&url).await.expect("connects");
    early.echo_req(echo()).await.expect("answers");

    // More than it can have; the rest wait in the system's queue.
    let mut crowd = Vec::new();
    for _ in 0..2 * MAX_OPEN {
        crowd.push(TcpStream::connect(&address).await.expect("queued"));
    }
    let failure = until(&mut lines, "cannot accept a connection").await;
    assert!(failure.contains("WARN"), "{failure}");
    // Those who are in are served meanwhile.
    early.echo_req(echo()).await.expect("answers");
    early
        .ping(16, Duration::from_secs(30))
        .await
        .expect("answers");

    drop(crowd);
    let late = Client::<Lab>::builder(&url)
        .connect_timeout(Duration::from_secs(60))
        .handshake_timeout(Duration::from_secs(60))
        .connect()
        .await
        .expect("connects");
    late.echo_req(echo()).await.expect("answers");
    early.echo_req(echo()).await.expect("answers");
    assert!(
        server.try_wait().expect("can be asked").is_none(),
        "it ended"
    );
    server.kill().await.expect("it runs");
}
