//! A server whose process has no file descriptor left goes on, and takes clients again as soon as it has one.

use std::time::Duration;

use msip_runtime::Client;
use msip_tests::{
    ServerProcess,
    lab::{Lab, SendClientToServer as _},
    messages::echo,
};
use tokio::{net::TcpStream, process::Command};

/// How many files the server may have open.
const MAX_OPEN: usize = 24;

#[tokio::test]
async fn a_server_outlives_accepts_that_fail() {
    let script = format!(r#"ulimit -n {MAX_OPEN}; exec "$0""#);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_lab-server")]);
    let mut server = ServerProcess::start(command).await;

    let early = Client::<Lab>::connect(&server.url).await.expect("connects");
    early.echo_req(echo("hi")).await.expect("answers");

    // More than it can have; the rest wait in the system's queue.
    let mut crowd = Vec::new();
    for _ in 0..2 * MAX_OPEN {
        crowd.push(TcpStream::connect(server.address()).await.expect("queued"));
    }
    let lines = server.lines_until("cannot accept a connection").await;
    assert!(
        lines.last().is_some_and(|failure| failure.contains("WARN")),
        "{lines:?}"
    );
    // Those who are in are served meanwhile.
    early.echo_req(echo("hi")).await.expect("answers");
    early
        .ping(16, Duration::from_secs(30))
        .await
        .expect("answers");

    drop(crowd);
    let late = Client::<Lab>::builder(&server.url)
        .connect_timeout(Duration::from_secs(60))
        .handshake_timeout(Duration::from_secs(60))
        .connect()
        .await
        .expect("connects");
    late.echo_req(echo("hi")).await.expect("answers");
    early.echo_req(echo("hi")).await.expect("answers");
    assert!(
        server.child.try_wait().expect("can be asked").is_none(),
        "it ended"
    );
    server.child.kill().await.expect("it runs");
}
