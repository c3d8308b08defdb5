//! Connections that do not speak MSIP, at the port of a server: handed off whole, under the server's limits.

use std::time::Duration;

use msip_runtime::{
    BindError, DrainReport, Server,
    transport::{self, ServiceUrl, Stream},
    untyped::{HandedOff, Handoff},
    wire::FrameType,
};
use msip_tests::{
    LabClient, LabServer, advance, advance_until, connected,
    lab::{EchoReq, Lab, SendClientToServer as _},
    raw::{RawPeer, text},
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// Repeats every byte after the greeting `!`, which is the answer to `?`; says `.` in a drain.
struct Toy {
    /// Told of each peer, when its future begins; closed when that ends.
    begun: mpsc::Sender<oneshot::Sender<()>>,
}

impl Handoff for Toy {
    fn recognizes(&self, start: &[u8]) -> bool {
        start.starts_with(b"toy")
    }

    async fn serve(&self, mut peer: HandedOff) {
        let (watching, _alive) = oneshot::channel();
        let _ = self.begun.try_send(watching);
        let stream = &mut peer.connection.stream;
        let mut received = peer.received;
        while !received.contains(&b'?') {
            match stream.read_buf(&mut received).await {
                Ok(len) if len > 0 => {}
                _ => return,
            }
        }
        if let Err(status) = peer.permit.greeted() {
            let _ = stream.write_all(status.to_string().as_bytes()).await;
            return;
        }
        let _ = stream.write_all(b"!").await;
        let mut draining = peer.permit.draining();
        let mut byte = [0];
        loop {
            tokio::select! {
                () = &mut draining => {
                    let _ = stream.write_all(b".").await;
                    return;
                }
                read = stream.read(&mut byte) => match read {
                    Ok(len) if len > 0 => { let _ = stream.write_all(&byte).await; }
                    _ => return,
                },
            }
        }
    }
}

struct Served {
    url: ServiceUrl,
    /// For each peer that was handed off: closed once its future is gone.
    begun: mpsc::Receiver<oneshot::Sender<()>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<DrainReport>,
    events: mpsc::Receiver<msip_tests::SeenByServer>,
}

async fn serve(settings: &str) -> Result<Served, BindError> {
    let (begin, begun) = mpsc::channel(64);
    let server = Server::<Lab>::builder(format!("tcp://127.0.0.1:0{settings}"))
        .handoff(Toy { begun: begin })
        .bind()
        .await?;
    let url = server.local_url().clone();
    let (handler, events) = LabServer::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    Ok(Served {
        url,
        begun,
        stop,
        serving,
        events,
    })
}

async fn dial(url: &ServiceUrl) -> Stream {
    let connection = soon("a connection", transport::connect(url)).await;
    connection.expect("connects").stream
}

async fn say(stream: &mut Stream, bytes: &[u8]) {
    stream.write_all(bytes).await.expect("writes");
}

async fn hear(stream: &mut Stream, len: usize) -> Vec<u8> {
    let mut heard = vec![0; len];
    let read = soon("an answer", stream.read_exact(&mut heard)).await;
    read.expect("reads");
    heard
}

async fn hear_to_the_end(stream: &mut Stream) -> Vec<u8> {
    let mut heard = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut heard)).await;
    heard
}

#[tokio::test]
async fn a_peer_of_another_protocol_and_a_client_share_a_port() {
    let mut served = serve("").await.expect("listens");
    let mut toy = dial(&served.url).await;
    // It is known only once enough has come, however it is cut.
    for byte in b"toy and so on?" {
        say(&mut toy, &[*byte]).await;
        toy.flush().await.expect("flushes");
    }
    assert_eq!(hear(&mut toy, 1).await, b"!");
    let (client, _events) = LabClient::connect(&served.url).await;
    connected(&mut served.events).await;
    let echo = client.echo_req(EchoReq {
        text: "both".to_owned(),
        ..EchoReq::default()
    });
    assert_eq!(soon("an echo", echo).await.expect("echoes").text, "both");
    say(&mut toy, b"x").await;
    assert_eq!(hear(&mut toy, 1).await, b"x");
}

/// Says how much time a peer has, and is done.
struct Remaining(mpsc::Sender<Duration>);

impl Handoff for Remaining {
    fn recognizes(&self, _: &[u8]) -> bool {
        true
    }

    async fn serve(&self, peer: HandedOff) {
        let _ = self.0.send(peer.permit.remaining()).await;
    }
}

#[tokio::test]
async fn a_handoff_is_told_how_much_is_left_of_the_handshake_timeout() {
    let timeout = Duration::from_secs(600);
    let (tell, mut told) = mpsc::channel(1);
    let server = Server::<Lab>::builder("tcp://127.0.0.1:0?handshake_timeout=10min")
        .handoff(Remaining(tell))
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    let serving = tokio::spawn(server.serve(LabServer::new().0));
    say(&mut dial(&url).await, b"toy").await;
    let remaining = soon("the time", told.recv()).await.expect("is told");
    assert!(remaining < timeout, "some of it is over: {remaining:?}");
    assert!(remaining > timeout / 2, "{remaining:?}");
    serving.abort();
}

#[tokio::test]
async fn bytes_that_nothing_recognizes_are_told_what_is_wrong() {
    let served = serve("").await.expect("listens");
    let mut stranger = RawPeer::dial(&served.url).await;
    stranger.say(b"GET / HTTP/1.1\r\n\r\n").await;
    let error = stranger.hear_type(FrameType::Error).await;
    assert!(text(&error.payload).contains("bad magic 47455420"));
}

#[tokio::test]
async fn a_peer_that_is_not_greeted_in_time_is_dropped_and_gives_its_places_back() {
    let limit = Duration::from_secs(10);
    let mut served = serve("?handshake_timeout=10s&max_connections=1&max_handshakes=1")
        .await
        .expect("listens");
    let mut silent = dial(&served.url).await;
    say(&mut silent, b"toy").await;
    let mut watched = soon("it is handed off", served.begun.recv())
        .await
        .expect("is");
    advance(limit).await;
    assert_eq!(hear_to_the_end(&mut silent).await, b"");
    soon("its future is dropped", watched.closed()).await;
    // One that says nothing at all does not even get there.
    let mut mute = dial(&served.url).await;
    let mut heard = Vec::new();
    let _ = advance_until(limit, "the end", mute.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"");
    let mut toy = dial(&served.url).await;
    say(&mut toy, b"toy?").await;
    assert_eq!(hear(&mut toy, 1).await, b"!", "there is a place");
    // A greeted one blocks no handshake, and stays when the time of one that began after it is up.
    let mut later = dial(&served.url).await;
    say(&mut later, b"toy").await;
    let mut heard = Vec::new();
    let _ = advance_until(limit, "the end", later.read_to_end(&mut heard)).await;
    assert_eq!(heard, b"");
    say(&mut toy, b"x").await;
    assert_eq!(hear(&mut toy, 1).await, b"x");
    let mut second = dial(&served.url).await;
    say(&mut second, b"toy?").await;
    let refusal = hear_to_the_end(&mut second).await;
    let expected =
        "RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later";
    assert_eq!(String::from_utf8_lossy(&refusal), expected);
}

#[tokio::test]
async fn a_drain_ends_strangers_at_once_and_lets_greeted_peers_say_goodbye() {
    let mut served = serve("").await.expect("listens");
    let mut stranger = dial(&served.url).await;
    say(&mut stranger, b"toy").await;
    let mut watched = soon("it is handed off", served.begun.recv())
        .await
        .expect("is");
    let mut toy = dial(&served.url).await;
    say(&mut toy, b"toy?").await;
    assert_eq!(hear(&mut toy, 1).await, b"!");
    served.stop.send(()).expect("serves");
    assert_eq!(hear_to_the_end(&mut stranger).await, b"");
    soon("its future is dropped", watched.closed()).await;
    assert_eq!(hear_to_the_end(&mut toy).await, b".");
    let report = soon("the drain", served.serving).await.expect("ends");
    assert_eq!((report.connections, report.aborted), (1, 0));
}
