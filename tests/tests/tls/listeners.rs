//! Servers that listen at several addresses.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use msip_runtime::{
    BindError, Client, Server,
    transport::{Connection, Incoming, Listen, memory_pair},
};
use msip_tests::{
    Authority, LabServer, SeenByServer, connected,
    lab::{BroadcastServerToClient as _, Lab},
    messages::note,
    next, soon,
};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{connect, is_served};

async fn plain(url: impl ToString) -> Client<Lab> {
    let client = Client::<Lab>::connect(url.to_string());
    soon("a connection", client).await.expect("connects")
}

#[tokio::test]
async fn all_clients_have_one_handler_one_broadcast_one_limit_and_one_drain() {
    let authority = Authority::new("authority");
    let server = Server::<Lab>::builder("tls://127.0.0.1:0?max_connections=3")
        .tls(authority.issue_local().server_tls())
        .also("tcp://127.0.0.1:0")
        .also("mem://several-listeners")
        .bind()
        .await
        .expect("listens");
    let urls: Vec<String> = server.local_urls().map(ToString::to_string).collect();
    assert_eq!(server.local_url().to_string(), urls[0]);
    assert!(urls[0].starts_with("tls://127.0.0.1:"), "{urls:?}");
    assert!(urls[1].starts_with("tcp://127.0.0.1:"), "{urls:?}");
    assert_eq!(urls[2], "mem://several-listeners");
    let (handler, mut events) = LabServer::new();
    let everyone = server.broadcast();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    let clients = [
        connect(&urls[0], authority.client_tls())
            .await
            .expect("connects"),
        plain(&urls[1]).await,
        plain(&urls[2]).await,
    ];
    let mut confidential = Vec::new();
    for client in &clients {
        let peer = connected(&mut events).await;
        confidential.push(peer.connection().is_confidential());
        is_served(client).await;
    }
    assert_eq!(confidential, [true; 3], "loopback is");
    assert_eq!(everyone.note_ind(note(1)), 3);
    // The limit is that of all together.
    let refused = Client::<Lab>::connect(&urls[2]).await;
    let refused = refused.expect_err("is one too many").to_string();
    assert!(refused.contains("RESOURCE_EXHAUSTED"), "{refused}");
    stop.send(()).expect("it serves");
    let report = soon("the end", serving).await.expect("no panic");
    assert_eq!((report.connections, report.aborted), (3, 0));
    for _ in 0..3 {
        let event = next(&mut events).await;
        assert!(matches!(event, SeenByServer::Disconnected(_)), "{event:?}");
    }
    for url in &urls {
        let gone = Client::<Lab>::builder(url)
            .tls(authority.client_tls())
            .connect();
        assert!(soon("a refusal", gone).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn settings_of_the_whole_server_are_an_error_in_a_second_url() {
    let refused = |first: &str, second: &str| {
        let bind = Server::<Lab>::builder(first).also(second).bind();
        async { bind.await.expect_err("is refused") }
    };
    let error = refused("mem://also-settings", "tcp://127.0.0.1:0?max_calls=3").await;
    assert!(matches!(error, BindError::ServerSetting { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "setting `max_calls` in tcp://127.0.0.1:0?max_calls=3 is one of the whole server: give it in the first URL or \
         the builder"
    );
    let error = refused("mem://also-settings", "tls://127.0.0.1:0?certs=a").await;
    assert!(matches!(error, BindError::Setting(_)), "{error}");
    let error = refused("mem://also-settings", "tcp://0.0.0.0:0").await;
    assert_eq!(
        error.to_string(),
        "connections to tcp://0.0.0.0:0 would not be confidential: listen at 127.0.0.1, or set `insecure`"
    );
    let error = refused("mem://also-settings", "mem://also-settings").await;
    assert!(matches!(error, BindError::Io { .. }), "{error}");
    // Nothing of the failures is left behind.
    let allowed = Server::<Lab>::builder("mem://also-settings?insecure=true")
        .also("tcp://0.0.0.0:0")
        .bind()
        .await;
    allowed.expect("is allowed to");
}

/// Fails while it is told to, and accepts what is sent to it otherwise.
struct Failing {
    fails: Arc<AtomicBool>,
    incoming: Mutex<mpsc::Receiver<Connection>>,
}

impl Listen for Failing {
    async fn accept(&self) -> io::Result<Incoming> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("no descriptor is free"));
        }
        match self.incoming.lock().await.recv().await {
            Some(connection) => Ok(connection.into()),
            None => std::future::pending().await,
        }
    }

    fn is_confidential(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_listener_that_cannot_accept_holds_up_no_other_and_comes_back() {
    let (sender, incoming) = mpsc::channel(1);
    let fails = Arc::new(AtomicBool::new(true));
    let listener = Failing {
        fails: Arc::clone(&fails),
        incoming: incoming.into(),
    };
    let server = Server::<Lab>::builder("pipe://failing")
        .listener(listener)
        .also("mem://beside-a-failing-one")
        .bind()
        .await
        .expect("listens");
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    for _ in 0..3 {
        is_served(&plain("mem://beside-a-failing-one").await).await;
        connected(&mut events).await;
        let gone = next(&mut events).await;
        assert!(matches!(gone, SeenByServer::Disconnected(_)), "{gone:?}");
    }
    fails.store(false, Ordering::Relaxed);
    let connector = move |_| {
        let sender = sender.clone();
        async move {
            let (near, far) = memory_pair();
            sender
                .send(far)
                .await
                .map_err(|_| io::ErrorKind::NotConnected)?;
            Ok(near)
        }
    };
    let client = Client::<Lab>::builder("pipe://failing")
        .connector(connector)
        .connect();
    is_served(&soon("a connection", client).await.expect("connects")).await;
}
