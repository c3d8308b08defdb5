//! Transports that a user brings: connectors, listeners, single connections, and what a stream may do.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    AcceptError, BindError, Client, ConnectError, DisconnectReason, SendError, Server,
    transport::{
        Address, Connection, Incoming, Listen, PeerAddress, PeerCredential, Stream, UrlError,
        memory_pair,
    },
    untyped::UntypedClient,
};
use msip_tests::{
    LabServer, SeenByServer, connected,
    lab::{EchoReq, Lab, SendClientToServer as _, SendServerToClient as _},
    messages::note,
    next, soon,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Mutex, mpsc},
};

fn named(name: &str) -> PeerAddress {
    PeerAddress::Named(name.into())
}

/// Accepts what is sent to it.
struct FromChannel {
    incoming: Mutex<mpsc::Receiver<Incoming>>,
    is_confidential: bool,
}

impl FromChannel {
    fn new(is_confidential: bool) -> (mpsc::Sender<Incoming>, Self) {
        let (sender, incoming) = mpsc::channel(8);
        let listener = Self {
            incoming: incoming.into(),
            is_confidential,
        };
        (sender, listener)
    }
}

impl Listen for FromChannel {
    async fn accept(&self) -> io::Result<Incoming> {
        match self.incoming.lock().await.recv().await {
            Some(incoming) => Ok(incoming),
            None => std::future::pending().await,
        }
    }

    fn is_confidential(&self) -> bool {
        self.is_confidential
    }
}

/// A client that connects by what is behind `incoming`.
async fn connect(incoming: &mpsc::Sender<Incoming>, url: &str) -> Client<Lab> {
    let incoming = incoming.clone();
    let connector = move |_: Address| {
        let incoming = incoming.clone();
        async move {
            let (near, far) = memory_pair();
            let far = far.with_credential(PeerCredential::UnixUser { uid: 7, gid: 8 });
            let sent = incoming.send(far.into()).await;
            sent.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(near)
        }
    };
    let connecting = Client::builder(url).connector(connector).connect();
    soon("a connection", connecting).await.expect("connects")
}

async fn is_served(client: &Client<Lab>) {
    let answer = client.echo_req(EchoReq::default());
    soon("an answer", answer).await.expect("answered");
}

#[tokio::test]
async fn a_client_and_a_server_talk_over_a_connector_and_a_listener_of_their_own() {
    let (incoming, listener) = FromChannel::new(true);
    let server = Server::<Lab>::builder("pipe:///dev/one?max_calls=3")
        .listener(listener)
        .bind()
        .await
        .expect("binds");
    assert_eq!(server.local_url().to_string(), "pipe:///dev/one");
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let client = connect(&incoming, "pipe:///dev/one?ping_interval=1h").await;
    let address = client.connection().address().expect("is connected");
    assert_eq!(address.to_string(), "pipe:///dev/one");
    is_served(&client).await;
    let peer = connected(&mut events).await;
    let connection = peer.connection();
    assert!(connection.is_confidential());
    assert_eq!(
        connection.credential(),
        &PeerCredential::UnixUser { uid: 7, gid: 8 }
    );
}

#[tokio::test]
async fn a_connector_is_given_each_address_of_the_url() {
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let connector = move |address: Address| {
        counted.fetch_add(u32::from(address.port().unwrap_or(0)), Ordering::Relaxed);
        async { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) }
    };
    let connecting = Client::<Lab>::builder("tcp://a.example:1,b.example:2")
        .connector(connector)
        .connect();
    let error = soon("a refusal", connecting).await.expect_err("refused");
    assert!(matches!(error, ConnectError::NoAddress { .. }), "{error}");
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_listener_that_is_not_confidential_needs_insecure() {
    let bind = |url: &'static str| {
        let (_incoming, listener) = FromChannel::new(false);
        Server::<Lab>::builder(url).listener(listener).bind()
    };
    let error = bind("pipe://one").await.expect_err("refused");
    assert!(matches!(error, BindError::Insecure { .. }), "{error}");
    bind("pipe://one?insecure=true").await.expect("binds");
}

#[tokio::test]
async fn a_server_serves_connections_that_are_handed_to_it() {
    let server = Server::<Lab>::bind("mem://handed").await.expect("binds");
    let acceptor = server.acceptor();
    let (handler, mut events) = LabServer::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    let (near, far) = memory_pair();
    acceptor.accept(far).await.expect("taken over");
    let handed = {
        let near = std::sync::Mutex::new(Some(near));
        let connector = move |_: Address| {
            let near = near.lock().expect("not poisoned").take();
            async { near.ok_or_else(|| io::ErrorKind::ConnectionRefused.into()) }
        };
        let connecting = Client::<Lab>::builder("mem://any")
            .connector(connector)
            .connect();
        soon("a connection", connecting).await.expect("connects")
    };
    is_served(&handed).await;
    let by_listener = Client::<Lab>::connect("mem://handed")
        .await
        .expect("connects");
    is_served(&by_listener).await;
    // Both are clients of one server.
    let peer = connected(&mut events).await;
    connected(&mut events).await;
    assert_eq!(peer.others().peers().len(), 1);

    let (_, far) = tokio::io::duplex(64);
    let exposed = Connection::new(far, named("any"), named("any"));
    assert_eq!(
        acceptor.accept(exposed).await,
        Err(AcceptError::NotConfidential)
    );
    stop.send(()).expect("serves");
    soon("the end", serving).await.expect("no panic");
    let (_, far) = memory_pair();
    assert_eq!(acceptor.accept(far).await, Err(AcceptError::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_slow_upgrade_holds_up_nobody_else_and_is_given_up() {
    let (incoming, listener) = FromChannel::new(true);
    let server = Server::<Lab>::builder("pipe://one")
        .listener(listener)
        .handshake_timeout(Duration::from_secs(3))
        .bind()
        .await
        .expect("binds");
    let (handler, _events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let (open, mut gone) = mpsc::channel::<()>(1);
    let slow = Incoming::upgrading(named("slow"), async move {
        // Dropped with the upgrade.
        let _open = open;
        std::future::pending().await
    });
    let begun = tokio::time::Instant::now();
    incoming.send(slow).await.expect("listens");
    let client = connect(&incoming, "pipe://one").await;
    is_served(&client).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "it waited");
    assert_eq!(soon("the end of the upgrade", gone.recv()).await, None);
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn a_failed_upgrade_ends_its_connection_only() {
    let (incoming, listener) = FromChannel::new(true);
    let server = Server::<Lab>::builder("pipe://one").listener(listener);
    let server = server.bind().await.expect("binds");
    let (handler, _events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let failing = Incoming::upgrading(named("failing"), async { Err(io::Error::other("no")) });
    incoming.send(failing).await.expect("listens");
    is_served(&connect(&incoming, "pipe://one").await).await;
}

/// Takes every byte, and never has it out.
struct NeverFlushed<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for NeverFlushed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(task, buf)
    }
}

/// The answer to the HELLO has this many bytes at most, and must go out.
const ANSWER_LEN: usize = 512;

impl<S: AsyncWrite + Unpin> AsyncWrite for NeverFlushed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.len() > ANSWER_LEN {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.0).poll_write(task, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_flush_counts_as_a_stalled_write() {
    let (incoming, listener) = FromChannel::new(true);
    let server = Server::<Lab>::builder("pipe://one?write_timeout=3s&ping_interval=1h")
        .listener(listener)
        .bind()
        .await
        .expect("binds");
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let connector = move |_: Address| {
        let incoming = incoming.clone();
        async move {
            let (near, far) = memory_pair();
            let stream = Stream::boxed(NeverFlushed(far.stream));
            let far = Connection::new(stream, far.local, far.peer);
            let sent = incoming.send(far.into()).await;
            sent.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(near)
        }
    };
    let connecting = Client::<Lab>::builder("pipe://one")
        .connector(connector)
        .connect();
    let _client = soon("a connection", connecting).await.expect("connects");
    let begun = tokio::time::Instant::now();
    let peer = connected(&mut events).await;
    // What is written meanwhile is no progress.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        peer.note_ind(note(1)).await.expect("queued");
    }
    match next(&mut events).await {
        SeenByServer::Disconnected(DisconnectReason::WriteStalled { stalled }) => {
            assert_eq!(stalled.as_secs(), 3);
        }
        event => panic!("{event:?}"),
    }
    assert_eq!(begun.elapsed().as_secs(), 3);
    let error = peer.note_ind(note(1)).await.expect_err("is gone");
    assert_eq!(error, SendError::Disconnected);
}

#[tokio::test]
async fn a_server_and_an_untyped_client_refuse_a_topic() {
    for url in ["tcp://127.0.0.1:1/fleet", "mem://topic?topic=fleet"] {
        let client = UntypedClient::builder(url, "lab", 0);
        let error = client.connect().await.expect_err("refused");
        let expected = UrlError::Topic {
            topic: "fleet".to_owned(),
        };
        assert!(
            matches!(&error, ConnectError::Url(error) if *error == expected),
            "{error}"
        );
        let error = Server::<Lab>::bind(url).await.expect_err("refused");
        assert!(
            matches!(&error, BindError::Url(error) if *error == expected),
            "{error}"
        );
    }
}
