//! Handles that outlive what they refer to: sessions, clients, streams.

use std::{sync::Arc, time::Duration};

use msip_runtime::{
    CallError, CallOptions, Client, ConnectionState, DisconnectReason, Peer, SendError, Server,
    Status,
};
use msip_tests::{
    Recorder,
    gauges::{
        BroadcastServerToClient as _, Gauges, HandleClientToServer, HandleServerToClient, Level,
        Line, SendServerToClient as _,
    },
    lab::{CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _},
    next,
    proxy::Proxy,
    recorder, soon, start,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What happened to a client, as its server sees it.
#[derive(Debug)]
enum Seen {
    Connected(Peer<Gauges>),
    /// How many a broadcast reached then.
    Disconnected(usize),
    Gone(Peer<Gauges>),
}

struct Watcher(Recorder<Seen>);

impl Watcher {
    fn see(&self, seen: Seen) {
        self.0.record(seen);
    }
}

impl HandleClientToServer for Watcher {
    async fn on_echo_req(&self, _: &Peer<Gauges>, line: Line) -> Result<Line, Status> {
        Ok(line)
    }

    async fn on_client_connected(&self, peer: &Peer<Gauges>) {
        self.see(Seen::Connected(peer.clone()));
    }

    async fn on_client_disconnected(&self, peer: &Peer<Gauges>, _: DisconnectReason) {
        let reached = peer.everyone().level_state(Level::default());
        self.see(Seen::Disconnected(reached));
    }

    async fn on_client_gone(&self, peer: &Peer<Gauges>) {
        self.see(Seen::Gone(peer.clone()));
    }
}

/// Handles nothing at all before it is let to.
struct Slow {
    gate: Arc<Semaphore>,
    begun: Recorder<()>,
}

impl HandleServerToClient for Slow {
    async fn on_line_log(&self, _: &Client<Gauges>, _: Line) {
        self.begun.record(());
        let _permit = self.gate.acquire().await;
    }
}

async fn serve(
    query: &str,
) -> (
    std::net::SocketAddr,
    mpsc::Receiver<Seen>,
    oneshot::Sender<()>,
) {
    let server = Server::<Gauges>::bind(format!("tcp://127.0.0.1:0{query}"))
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    let address = url.trim_start_matches("tcp://").parse();
    let (tell, seen) = recorder();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve_until(Watcher(tell), async {
        // Told or dropped, it is the same.
        let _ = stopped.await;
    }));
    (address.expect("an address"), seen, stop)
}

async fn connected(seen: &mut mpsc::Receiver<Seen>) -> Peer<Gauges> {
    match next(seen).await {
        Seen::Connected(peer) => peer,
        seen => panic!("{seen:?}"),
    }
}

/// The client is disconnected, once, and then gone.
async fn gone(seen: &mut mpsc::Receiver<Seen>, peer: &Peer<Gauges>) {
    match next(seen).await {
        Seen::Disconnected(reached) => {
            assert_eq!(reached, 0, "nobody is there to hear a broadcast");
        }
        seen => panic!("{seen:?}"),
    }
    match next(seen).await {
        Seen::Gone(gone) => assert_eq!(gone.id(), peer.id()),
        seen => panic!("{seen:?}"),
    }
    assert!(peer.connection().is_gone());
}

/// Every way of sending reports that the session has ended.
async fn nothing_can_be_sent(peer: &Peer<Gauges>) {
    assert_eq!(
        soon("told", peer.line_log(Line::default())).await,
        Err(SendError::Closed)
    );
    assert_eq!(
        peer.try_level_state(Level::default()),
        Err(SendError::Closed)
    );
    let acknowledged = peer.with(CallOptions::new().ack());
    assert_eq!(
        soon("told", acknowledged.line_log(Line::default())).await,
        Err(SendError::Closed)
    );
    let ping = soon("told", peer.ping(0, Duration::from_secs(60))).await;
    let error = ping.expect_err("nobody is there");
    assert_eq!(error, CallError::NotSent(SendError::Closed));
    assert_eq!(error.to_string(), "closed: the session has ended");
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_gone() {
    let (address, mut seen, _stop) = serve("").await;
    let client = Client::<Gauges>::connect(format!("tcp://{address}"))
        .await
        .expect("connects");
    let peer = connected(&mut seen).await;
    assert!(!peer.connection().is_gone() && peer.connection().lost().is_empty());
    soon("closed", client.close()).await;
    gone(&mut seen, &peer).await;
    assert!(peer.connection().lost().is_empty());
    nothing_can_be_sent(&peer).await;
}

#[tokio::test]
async fn a_client_that_does_not_come_back_is_gone_and_what_is_unknown_is_told() {
    let (address, mut seen, _stop) = serve("?session_expiry=20ms").await;
    let proxy = Proxy::start(address).await;
    let gate = Arc::new(Semaphore::new(0));
    let (tell, mut begun) = recorder();
    let slow = Slow {
        gate: Arc::clone(&gate),
        begun: tell,
    };
    let _client = Client::<Gauges>::builder(proxy.url())
        .handler(slow)
        .connect()
        .await
        .expect("connects");
    let peer = connected(&mut seen).await;
    let told = tokio::spawn({
        let peer = peer.clone();
        async move {
            let acknowledged = peer.with(CallOptions::new().ack());
            acknowledged.line_log(Line::default()).await
        }
    });
    soon("the handler", begun.recv()).await.expect("begins");
    proxy.let_in(false);
    proxy.cut();
    gone(&mut seen, &peer).await;
    let told = soon("told", told).await.expect("no panic");
    assert_eq!(
        told,
        Err(SendError::NotAcknowledged(Box::new(
            CallError::ConnectionLost
        )))
    );
    let lost = peer.connection().lost();
    assert_eq!(lost.len(), 1, "{lost:?}");
    let (name, is_call, is_unknown) = (lost[0].message, lost[0].is_call, lost[0].is_unknown);
    assert_eq!((name, is_call, is_unknown), ("line_log", false, true));
    nothing_can_be_sent(&peer).await;
    // When it comes back it is another client.
    gate.add_permits(1);
    proxy.let_in(true);
    let another = connected(&mut seen).await;
    assert_ne!(another.id(), peer.id());
    assert!(!another.connection().is_gone());
}

#[tokio::test]
async fn where_sessions_are_not_kept_a_lost_connection_is_the_end() {
    let (address, mut seen, _stop) = serve("?session_expiry=0s").await;
    let proxy = Proxy::start(address).await;
    let _client = Client::<Gauges>::connect(proxy.url())
        .await
        .expect("connects");
    let peer = connected(&mut seen).await;
    proxy.cut();
    gone(&mut seen, &peer).await;
    nothing_can_be_sent(&peer).await;
}

#[tokio::test]
async fn a_server_that_shuts_down_ends_the_sessions_without_a_connection_too() {
    let (address, mut seen, stop) = serve("").await;
    let proxy = Proxy::start(address).await;
    let _client = Client::<Gauges>::connect(proxy.url())
        .await
        .expect("connects");
    let peer = connected(&mut seen).await;
    proxy.let_in(false);
    proxy.cut();
    let event = next(&mut seen).await;
    assert!(matches!(event, Seen::Disconnected(_)), "{event:?}");
    assert!(!peer.connection().is_gone(), "it may come back");
    assert_eq!(
        peer.line_log(Line::default()).await,
        Err(SendError::Disconnected),
        "not for good"
    );
    stop.send(()).expect("it serves");
    let event = next(&mut seen).await;
    assert!(matches!(event, Seen::Gone(_)), "{event:?}");
    nothing_can_be_sent(&peer).await;
}

#[tokio::test]
async fn nothing_can_be_sent_by_a_client_that_was_closed() {
    let (url, _events, _server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let other = client.clone();
    soon("closed", client.close()).await;
    soon("closed, again", client.close()).await;
    assert_eq!(other.connection().state(), ConnectionState::Closed);
    let closed = CallError::NotSent(SendError::Closed);
    let call = other.echo_req(EchoReq::default()).await;
    assert_eq!(call.expect_err("closed"), closed);
    assert_eq!(
        other.note_ind(NoteInd::default()).await,
        Err(SendError::Closed)
    );
    assert_eq!(
        other.try_note_ind(NoteInd::default()),
        Err(SendError::Closed)
    );
    let saved = other.save_ind(SaveInd::default()).await;
    assert_eq!(saved.expect_err("closed"), closed);
    let stream = other.count_req(CountReq::default()).await;
    assert_eq!(stream.err(), Some(closed.clone()));
    let ping = other.ping(0, Duration::from_secs(60)).await;
    assert_eq!(ping.expect_err("closed"), closed);
    assert!(closed.is_safe_to_repeat());
}

#[tokio::test]
async fn a_stream_that_broke_off_says_so_once_and_is_over() {
    let (url, _events, server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let endless = CountReq {
        from: 0,
        to: u64::MAX,
        ballast_len: 0,
    };
    let mut numbers = client.count_req(endless).await.expect("sent");
    soon("an item", numbers.next())
        .await
        .expect("not the end")
        .expect("no error");
    server.abort();
    let error = soon("the end", async {
        loop {
            match numbers.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("broken off, and not complete"),
            }
        }
    })
    .await;
    assert_eq!(error, CallError::ConnectionLost);
    for _ in 0..3 {
        assert!(soon("nothing", numbers.next()).await.is_none());
    }
}
