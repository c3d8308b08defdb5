//! A server at a Unix socket is killed, and started again at the same path.

use msip_runtime::Client;
use msip_tests::{
    LabClient, SeenByClient, ServerProcess,
    lab::{Lab, SendClientToServer as _},
    messages::echo,
    next, soon,
};
use tokio::process::Command;

async fn serve(url: &str) -> ServerProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
    command.arg(url);
    ServerProcess::start(command).await
}

#[tokio::test]
async fn a_server_that_was_killed_listens_again_at_its_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lab.sock");
    let url = format!("unix://{}", path.display());
    let mut server = serve(&url).await;
    assert_eq!(server.url, url);
    let (client, mut seen) = LabClient::connect(format!("{url}?reconnect_max=5ms")).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    client.echo_req(echo("hi")).await.expect("answers");

    server.child.kill().await.expect("it runs");
    assert!(path.exists(), "nobody was left to remove it");
    let mut server = serve(&url).await;
    loop {
        // It is told of attempts that failed in between.
        if matches!(next(&mut seen).await, SeenByClient::Connected) {
            break;
        }
    }
    let again = soon("an answer", client.echo_req(echo("again"))).await;
    assert_eq!(again.expect("answers").text, "again");

    // One that lives keeps its place.
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
    let second = soon("a refusal", command.arg(&url).output()).await;
    let second = second.expect("runs");
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("at which somebody listens"), "{told}");
    client.echo_req(echo("still")).await.expect("answers");
    Client::<Lab>::connect(&url).await.expect("connects");
    server.child.kill().await.expect("it runs");
}
