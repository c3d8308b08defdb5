//! `wss`: WebSockets over TLS.

use msip_runtime::{
    Client, Server,
    transport::{ClientTls, PeerCredential},
};
use msip_tests::{
    Authority, LabServer, SeenByServer, connected,
    lab::{AskReq, Lab, SendClientToServer as _, SendServerToClient as _},
    messages::echo,
    soon, start,
};
use tokio::sync::mpsc;

use crate::upgrades::texts;

/// Serves at `wss` with a certificate of this authority.
async fn serve(authority: &Authority, settings: &str) -> (String, mpsc::Receiver<SeenByServer>) {
    let (handler, events) = LabServer::new();
    let server = Server::<Lab>::builder(format!("wss://127.0.0.1:0/chat?{settings}"))
        .tls(authority.issue_local().server_tls())
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(handler));
    (url, events)
}

async fn refused(url: String, tls: ClientTls) -> String {
    let connecting = Client::<Lab>::builder(url).tls(tls).connect();
    match soon("an answer", connecting).await {
        Ok(_) => panic!("it connects"),
        Err(error) => texts(&error),
    }
}

#[tokio::test]
async fn both_sides_call_each_other() {
    let authority = Authority::new("tests");
    let (url, mut events) = serve(&authority, "origin=https://a.example").await;
    assert!(
        url.starts_with("wss://127.0.0.1:") && url.ends_with("/chat"),
        "{url}"
    );
    let (handler, _seen) = msip_tests::LabClient::new();
    let client = Client::<Lab>::builder(&url)
        .tls(authority.client_tls())
        .handler(handler)
        .connect()
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert!(peer.connection().is_confidential());
    assert_eq!(*peer.connection().credential(), PeerCredential::None);
    let mut request = echo("hi");
    request.ballast = vec![7; 300_000];
    let answer = soon("an answer", client.echo_req(request))
        .await
        .expect("answers");
    assert_eq!(answer.ballast.len(), 300_000);
    let question = "who?".to_owned();
    let answer = peer.ask_req(AskReq { question }).await.expect("answers");
    assert_eq!(answer.answer, "who? me");
    soon("close", client.close()).await;
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let authority = Authority::new("tests");
    let (wss, _events) = serve(&authority, "").await;
    let error = refused(wss.clone(), Authority::new("others").client_tls()).await;
    assert!(
        error.contains("issued by nobody who is trusted here"),
        "{error}"
    );
    let error = refused(wss.replace("/chat", "/talk"), authority.client_tls()).await;
    assert!(error.contains("404 Not Found"), "{error}");
    let error = refused(wss.replace("wss://", "ws://"), ClientTls::new()).await;
    assert!(
        error.contains("connect to wss://") || error.contains("closed"),
        "{error}"
    );
    let (ws, _events, _server) = start("ws://127.0.0.1:0/chat").await;
    let error = refused(
        ws.to_string().replace("ws://", "wss://"),
        authority.client_tls(),
    )
    .await;
    assert!(error.contains("TLS"), "{error}");
}
