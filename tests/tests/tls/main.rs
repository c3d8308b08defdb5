//! TLS between live peers and raw ones; docs/hostile.md names these tests.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod certificates;
mod conversation;
mod hostile;
#[cfg(unix)]
mod identities;
mod listeners;
mod openssl;
mod plaintext;
mod raw_tls;
mod reload;

use msip_runtime::{
    Client, ConnectError, Server,
    transport::{ClientTls, ServerTls, TlsError},
};
use msip_tests::{
    LabServer, SeenByServer,
    lab::{EchoReq, Lab, SendClientToServer as _},
    soon,
};
use tokio::sync::mpsc;

/// Serves over TLS in a task that the test's runtime ends.
async fn serve(tls: ServerTls) -> (String, mpsc::Receiver<SeenByServer>) {
    serve_with(tls, "").await
}

/// The same with these settings.
async fn serve_with(tls: ServerTls, settings: &str) -> (String, mpsc::Receiver<SeenByServer>) {
    let server = Server::<Lab>::builder(format!("tls://127.0.0.1:0?{settings}"))
        .tls(tls)
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let (handler, events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    (url, events)
}

async fn connect(url: &str, tls: ClientTls) -> Result<Client<Lab>, ConnectError> {
    soon("a connection", Client::builder(url).tls(tls).connect()).await
}

async fn is_served(client: &Client<Lab>) {
    let answer = client.echo_req(EchoReq::default());
    soon("an answer", answer).await.expect("answered");
}

/// What is wrong between the two, as the client says.
async fn refusal(url: &str, tls: ClientTls) -> TlsError {
    match connect(url, tls).await {
        Err(ConnectError::Tls { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}
