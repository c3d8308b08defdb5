//! The ends of connections: nothing that was said last is lost, the other end hears of it at once, and no task is left.

use msip_runtime::{Client, Code, ConnectError, DisconnectReason, Server, Status};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{Lab, SendClientToServer as _},
    messages::act,
    next, soon, start, start_gated,
};
use tokio::{runtime::Handle, sync::oneshot};

use crate::certificates::Certificates;

/// No PING tells that a connection is gone.
const SILENT: &str = "&ping_interval=1h";

#[tokio::test]
async fn a_goodbye_arrives_before_the_end_of_its_connection() {
    let certificates = Certificates::new();
    let (url, mut events, _server) = start(&(certificates.listening() + SILENT)).await;
    for number in 0..20 {
        let url = certificates.connecting(&url) + SILENT;
        let (_client, mut seen) = LabClient::connect(url).await;
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
        let peer = connected(&mut events).await;
        peer.disconnect(Status::new(Code::Aborted, format!("goodbye {number}")));
        assert!(matches!(
            next(&mut events).await,
            SeenByServer::Disconnected(_)
        ));
        loop {
            match next(&mut seen).await {
                SeenByClient::ClosedByServer(status) => {
                    assert_eq!(status.message(), format!("goodbye {number}"));
                    break;
                }
                SeenByClient::Disconnected(DisconnectReason::ClosedByPeer(_)) => {}
                event => panic!("{event:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_or_is_dropped_is_missed_at_once() {
    let certificates = Certificates::new();
    let (url, mut events, _server) = start(&(certificates.listening() + SILENT)).await;
    let url = certificates.connecting(&url) + SILENT;
    let (client, _seen) = LabClient::connect(&url).await;
    connected(&mut events).await;
    soon("close", client.close()).await;
    let event = next(&mut events).await;
    assert!(
        matches!(
            event,
            SeenByServer::Disconnected(DisconnectReason::ClosedByPeer(_))
        ),
        "{event:?}"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = runtime.spawn(async move { LabClient::connect(&url).await });
    let client = soon("a client", client).await.expect("connects");
    connected(&mut events).await;
    // Nobody is left to say goodbye.
    runtime.shutdown_background();
    let event = next(&mut events).await;
    assert!(
        matches!(event, SeenByServer::Disconnected(DisconnectReason::Eof)),
        "{event:?}"
    );
    drop(client);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_missed_at_once() {
    let certificates = Certificates::new();
    let (url, mut events, server) = start(&(certificates.listening() + SILENT)).await;
    let url = certificates.connecting(&url) + SILENT;
    let (_client, mut seen) = LabClient::connect(url).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    connected(&mut events).await;
    server.abort();
    let event = next(&mut seen).await;
    assert!(
        matches!(event, SeenByClient::Disconnected(DisconnectReason::Eof)),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_drain_lets_calls_end_and_leaves_no_task() {
    let certificates = Certificates::new();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let server = Server::<Lab>::bind(certificates.listening())
        .await
        .expect("binds");
    let url = server.local_url().clone();
    let (handler, mut events) = LabServer::new();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let handler = handler.gated(&gate);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    let (client, mut seen) = LabClient::connect(certificates.connecting(&url)).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    connected(&mut events).await;
    let calling = {
        let client = client.clone();
        tokio::spawn(async move { client.act_req(act("wait")).await })
    };
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    stop.send(()).expect("the server runs");
    gate.add_permits(1);
    let answer = soon("an answer", calling).await.expect("no panic");
    assert_eq!(answer.expect("answered").done, "waited");
    let report = soon("the end", serving).await.expect("no panic");
    assert_eq!((report.cut_off, report.aborted), (0, 0));
    let event = next(&mut seen).await;
    assert!(
        matches!(&event, SeenByClient::Disconnected(DisconnectReason::ClosedByPeer(status)) if status.code() == Code::Unavailable),
        "{event:?}"
    );
    soon("close", client.close()).await;
    drop(client);
    soon("the end of every task", async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_refused_hears_why() {
    let certificates = Certificates::new();
    let listening = certificates.listening() + "&max_connections=1";
    let (url, _events, _gate) = start_gated(&listening).await;
    let (_first, _seen) = LabClient::connect(certificates.connecting(&url)).await;
    for _ in 0..10 {
        let connecting = Client::<Lab>::connect(certificates.connecting(&url));
        let error = soon("a refusal", connecting).await.expect_err("refused");
        let ConnectError::Refused { status, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}
