//! A server that is killed under hundreds of clients, and comes back: so do they, each by itself and not all at once.

use msip_runtime::{Client, ConnectionState};
use msip_tests::{
    HeldPort, ServerProcess,
    lab::{EchoReq, Lab, SendClientToServer as _},
    soon,
};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

/// As many as this process and the server have files for everywhere.
const CLIENTS: usize = 400;

/// Starts a server at this address, and returns where it listens.
async fn serve(url: &str) -> (Child, JoinHandle<()>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
    command.arg(url);
    let server = ServerProcess::start(command).await;
    let url = server.url.clone();
    let (child, reading) = server.unread();
    (child, reading, url)
}

async fn until(client: &Client<Lab>, wanted: impl Fn(&ConnectionState) -> bool) {
    let mut state = client.connection().watch();
    soon("the state", state.wait_for(|state| wanted(state)))
        .await
        .expect("lives");
}

#[tokio::test]
async fn clients_come_back_to_a_server_that_was_killed() {
    // The port stays its own while it is gone.
    let port = HeldPort::new().expect("a port");
    let (mut server, _, url) = serve(&format!("tcp://{}", port.address())).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let url = format!("{url}?reconnect_min=100ms&reconnect_max=1s");
        clients.push(Client::<Lab>::connect(url).await.expect("connects"));
    }
    server.kill().await.expect("it runs");
    for client in &clients {
        until(client, |state| {
            matches!(state, ConnectionState::Reconnecting { failed_attempts } if *failed_attempts > 0)
        })
        .await;
    }
    let (_server, _listening, _) = serve(&url).await;
    let mut lost = 0;
    for client in &clients {
        until(client, |state| *state == ConnectionState::Connected).await;
        client.echo_req(EchoReq::default()).await.expect("answers");
        lost += usize::from(client.connection().lost_sessions().borrow().is_some());
    }
    // Nothing was open, and still each was notified that its session is another one.
    assert_eq!(lost, CLIENTS);
}
