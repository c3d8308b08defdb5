//! Drains: what is refused and what is finished, who hears of it, and how soon it is over.

use std::{
    io,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, Code, ConnectRequest, DrainReport, Identity, SendError, Server,
    Status, Stream, Streaming,
    middleware::Retry,
    transport::{Connection, Incoming, Listen, Listener, PeerAddress, ServiceUrl},
    wire::{Flags, FrameType, MsgId, Side},
};
use msip_tests::{
    LabClient, LabServer, SeenByServer, connected,
    lab::{
        AskReq, ClientToServer, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SendServerToClient as _,
    },
    messages::{act, count},
    next,
    raw::{RawPeer, frame, hello, hello_frame, message},
    soon, start,
};
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// A server that a test stops.
struct Stoppable {
    url: ServiceUrl,
    events: mpsc::Receiver<SeenByServer>,
    gate: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<DrainReport>,
}

impl Stoppable {
    async fn start(url: &str) -> Self {
        let server = Server::<Lab>::bind(url).await.expect("binds");
        Self::serve(server)
    }

    fn serve(server: Server<Lab>) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let (handler, events) = LabServer::new();
        let url = server.local_url().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve_until(handler.gated(&gate), async {
            let _ = stopped.await;
        }));
        Self {
            url,
            events,
            gate,
            stop,
            serving,
        }
    }

    async fn drain(self) -> DrainReport {
        self.stop.send(()).expect("the server runs");
        soon("the end of the server", self.serving)
            .await
            .expect("no panic")
    }
}

/// A stream that never yields anything.
struct Silent<T>(PhantomData<fn() -> T>);

impl<T> Stream for Silent<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }
}

const fn silent<T>() -> Silent<T> {
    Silent(PhantomData)
}

/// Accepts one connection, whose upgrade never ends.
struct Hanging(Mutex<Option<oneshot::Sender<()>>>);

impl Listen for Hanging {
    async fn accept(&self) -> io::Result<Incoming> {
        let Some(begun) = self.0.lock().await.take() else {
            return std::future::pending().await;
        };
        let peer = PeerAddress::Named("slow".into());
        Ok(Incoming::upgrading(peer, async move {
            let _ = begun.send(());
            std::future::pending::<io::Result<Connection>>().await
        }))
    }

    fn is_confidential(&self) -> bool {
        true
    }
}

/// A server of the test's own.
async fn listen() -> (Listener, String) {
    let url = ServiceUrl::parse("tcp://127.0.0.1:0").expect("an address");
    let listener = Listener::bind(&url).await.expect("binds");
    let url = listener.local_url().to_string();
    (listener, url)
}

/// CLOSE, as a server that shuts down says it.
fn close() -> Vec<u8> {
    frame(
        FrameType::Close,
        MsgId::CONNECTION,
        b"UNAVAILABLE: the server is shutting down",
    )
}

/// The error of a stream, once all that came before it is read.
async fn end_of<T>(mut items: Streaming<T>) -> Option<CallError> {
    loop {
        match soon("the end of a stream", items.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Some(error),
            None => return None,
        }
    }
}

fn shutting_down() -> CallError {
    let text = "the server is shutting down: the stream was ended";
    CallError::Status(Status::unavailable(text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_that_crosses_a_drain_may_have_run() {
    for round in 0..10 {
        let server = Stoppable::start("tcp://127.0.0.1:0").await;
        let client = Client::<Lab>::connect(server.url.to_string())
            .await
            .expect("connects");
        let answered = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..32)
            .map(|number| {
                let (client, answered) = (client.clone(), Arc::clone(&answered));
                tokio::spawn(async move {
                    loop {
                        let error = if number % 4 == 0 {
                            match client.save_ind(SaveInd { number: 1 }).await {
                                Err(error) => error,
                                Ok(()) => continue,
                            }
                        } else {
                            match client.echo_req(EchoReq::default()).await {
                                Err(error) => error,
                                Ok(_) => {
                                    answered.fetch_add(1, Ordering::Relaxed);
                                    continue;
                                }
                            }
                        };
                        return error;
                    }
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < 100 {
            tokio::task::yield_now().await;
        }
        let report = server.drain().await;
        assert_eq!(report.cut_off, 0);
        for caller in callers {
            let error = soon("a caller's end", caller).await.expect("no panic");
            assert!(error.is_safe_to_repeat(), "round {round}: {error:?}");
        }
    }
}

#[tokio::test]
async fn requests_in_the_socket_are_refused_by_name_even_where_there_is_no_time() {
    for query in ["", "?drain_timeout=0s"] {
        let server = Stoppable::start(&format!("tcp://127.0.0.1:0{query}")).await;
        let mut peer = RawPeer::dial(&server.url).await;
        peer.greet().await;
        // Something is open for longer than the drain may take, where that has no time.
        let call = |number, what: &str| {
            let id = MsgId::exchange(Side::Connecting, number);
            let request = ClientToServer::ActReq(act(what));
            let frame = message(Side::Connecting, Flags::ACK_REQUIRED, id, &request);
            (id, frame)
        };
        let (_, first) = call(100, if query.is_empty() { "fail" } else { "hang" });
        peer.say(&first).await;
        let mut events = server.events;
        while !matches!(next(&mut events).await, SeenByServer::Act(_)) {}
        server.stop.send(()).expect("the server runs");
        peer.hear_type(FrameType::Close).await;
        let (id, late) = call(200, "hang");
        peer.say(&late).await;
        let (_, answer) = peer.hear_until(id).await;
        let answer = answer.expect("refused by name");
        assert_eq!(&*answer.payload, b"UNAVAILABLE: not accepted", "{query}");
        drop(peer);
        let report = soon("the end of the server", server.serving).await;
        let cut_off = usize::from(!query.is_empty());
        assert_eq!(report.expect("no panic").cut_off, cut_off);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_told_what_a_client_that_closes_did_not_accept() {
    for _ in 0..10 {
        let (url, mut events, server) = start("tcp://127.0.0.1:0").await;
        let (client, _seen) = LabClient::connect(&url).await;
        let peer = connected(&mut events).await;
        let answered = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (peer, answered) = (peer.clone(), Arc::clone(&answered));
                tokio::spawn(async move {
                    if let Err(error) = peer.ask_req(AskReq::default()).await {
                        return error;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    loop {
                        if let Err(error) = peer.ask_req(AskReq::default()).await {
                            return error;
                        }
                    }
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < 8 {
            tokio::task::yield_now().await;
        }
        soon("close", client.close()).await;
        for caller in callers {
            let error = soon("a caller's end", caller).await.expect("no panic");
            assert!(error.is_safe_to_repeat(), "{error:?}");
        }
        server.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_have_not_said_hello_take_no_part() {
    for query in ["", "?drain_timeout=0s"] {
        let server = Stoppable::start(&format!("mem://mute-sockets{query}")).await;
        let mute = RawPeer::dial(&server.url).await;
        let mut half = RawPeer::dial(&server.url).await;
        half.say(b"MS").await;
        // They have been accepted before this one.
        let client = Client::<Lab>::connect(server.url.to_string())
            .await
            .expect("connects");
        client.close().await;
        let begun = Instant::now();
        let report = server.drain().await;
        assert_eq!(report, DrainReport::default());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop((mute, half));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_upgrade_hangs_takes_no_part() {
    let (upgrading, begun) = oneshot::channel();
    let server = Server::<Lab>::builder("own://hanging-upgrade")
        .listener(Hanging(Mutex::new(Some(upgrading))))
        .bind()
        .await
        .expect("binds");
    let server = Stoppable::serve(server);
    soon("the upgrade", begun).await.expect("it has begun");
    let begun = Instant::now();
    assert_eq!(server.drain().await, DrainReport::default());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_being_authenticated_takes_no_part() {
    let (asking, mut asked) = mpsc::channel(1);
    let server = Server::<Lab>::builder("mem://drain-while-authenticating")
        .authenticate(move |_: ConnectRequest| {
            let asking = asking.clone();
            async move {
                let _ = asking.send(()).await;
                std::future::pending::<Result<Identity, Status>>().await
            }
        })
        .bind()
        .await
        .expect("binds");
    let server = Stoppable::serve(server);
    let mut client = RawPeer::dial(&server.url).await;
    client.say(&hello_frame(&hello())).await;
    soon("the question", asked.recv()).await.expect("asked");
    let begun = Instant::now();
    assert_eq!(server.drain().await, DrainReport::default());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_a_status_and_calls_keep_their_time() {
    let mut server = Stoppable::start("mem://streams-in-a-drain").await;
    let client = Client::<Lab>::connect(server.url.to_string())
        .await
        .expect("connects");
    connected(&mut server.events).await;
    let mut counting = client.count_req(count(0, 0)).await.expect("opens");
    let first = soon("a number", counting.next()).await;
    assert!(matches!(first, Some(Ok(_))), "{first:?}");
    let sum = tokio::spawn({
        let client = client.clone();
        async move { client.sum_req(silent()).await }
    });
    let shouts = client.shout_req(silent()).await.expect("opens");
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    while !matches!(next(&mut server.events).await, SeenByServer::Act(_)) {}
    let begun = Instant::now();
    server.stop.send(()).expect("the server runs");
    assert_eq!(end_of(shouts).await, Some(shutting_down()));
    assert_eq!(
        soon("the sum", sum).await.expect("no panic"),
        Err(shutting_down())
    );
    // It is read only now, since a clock that is paused stands still while a stream flows.
    assert_eq!(end_of(counting).await, Some(shutting_down()));
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "streams are ended"
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(!call.is_finished(), "a call has all of drain_timeout");
    server.gate.add_permits(1);
    let answer = soon("the answer", call).await.expect("no panic");
    assert_eq!(answer.expect("answered").done, "waited");
    let report = soon("the end", server.serving).await.expect("no panic");
    assert_eq!(
        (report.connections, report.cut_off, report.aborted),
        (1, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_does_not_hold_up_a_shutdown() {
    let mut server = Stoppable::start("mem://one-open-stream").await;
    let client = Client::<Lab>::connect(server.url.to_string())
        .await
        .expect("connects");
    connected(&mut server.events).await;
    let mut counting = client.count_req(count(0, 0)).await.expect("opens");
    let first = soon("a number", counting.next()).await;
    assert!(matches!(first, Some(Ok(_))), "{first:?}");
    let begun = Instant::now();
    let report = server.drain().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(
        (report.connections, report.cut_off, report.aborted),
        (1, 0, 0)
    );
    assert_eq!(end_of(counting).await, Some(shutting_down()));
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_does_not_hold_up_a_client_that_closes() {
    let mut server = Stoppable::start("mem://close-with-a-stream").await;
    let client = Client::<Lab>::connect(server.url.to_string())
        .await
        .expect("connects");
    connected(&mut server.events).await;
    let mut counting = client.count_req(count(0, 0)).await.expect("opens");
    let first = soon("a number", counting.next()).await;
    assert!(matches!(first, Some(Ok(_))), "{first:?}");
    let begun = Instant::now();
    soon("close", client.close()).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    let error = end_of(counting).await.expect("it does not end well");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    while !matches!(next(&mut server.events).await, SeenByServer::Dropped(_)) {}
    assert_eq!(server.drain().await.connections, 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_beside_handlers_hear_of_a_drain() {
    let bound = Server::<Lab>::bind("mem://tasks-hear")
        .await
        .expect("binds");
    let of_server = bound.draining();
    let mut server = Stoppable::serve(bound);
    let client = Client::<Lab>::connect(server.url.to_string())
        .await
        .expect("connects");
    let other = Client::<Lab>::connect(server.url.to_string())
        .await
        .expect("connects");
    let (peer, second) = (
        connected(&mut server.events).await,
        connected(&mut server.events).await,
    );
    let of_peer = peer.draining();
    let given_up = peer.draining();
    assert!(!of_peer.is_draining() && !of_server.is_draining() && !peer.call().is_draining());
    drop(given_up);
    second.disconnect("enough");
    soon("its drain", second.draining()).await;
    assert!(!of_peer.is_draining(), "the other one's");
    let waiting = tokio::spawn(of_peer.clone());
    server.stop.send(()).expect("the server runs");
    soon("the server's drain", of_server).await;
    soon("the peer's drain", waiting).await.expect("no panic");
    assert!(of_peer.is_draining() && peer.call().is_draining());
    soon("the end", server.serving).await.expect("no panic");
    assert!(peer.call().is_draining(), "its session is over");
    soon("a drain that is over", peer.call().draining()).await;
    drop((client, other));
}

#[tokio::test]
async fn a_call_that_a_drain_refused_is_repeated_on_the_next_connection() {
    let (listener, url) = listen().await;
    let connecting = tokio::spawn(
        Client::<Lab>::builder(&url)
            .outgoing(Retry::new(2))
            .connect(),
    );
    let mut first = RawPeer::accept(&listener).await;
    first.welcome().await;
    let client = connecting.await.expect("no panic").expect("connects");
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.echo_req(EchoReq::default()).await }
    });
    let request = first.hear_type(FrameType::Publish).await;
    first.say(&close()).await;
    let id = request.header.msg_id;
    let refusal = frame(FrameType::Error, id, b"UNAVAILABLE: not accepted");
    first.say(&refusal).await;
    first.hear_to_the_end().await;
    let mut second = RawPeer::accept(&listener).await;
    second.welcome().await;
    let request = second.hear_type(FrameType::Publish).await;
    let id = request.header.msg_id;
    let refusal = frame(FrameType::Error, id, b"NOT_FOUND: nothing");
    second.say(&refusal).await;
    let error = soon("the call", call).await.expect("no panic");
    assert_eq!(error, Err(CallError::Status(Status::not_found("nothing"))));
}

#[tokio::test]
async fn a_delivery_that_a_drain_refused_was_not_handled() {
    let (listener, url) = listen().await;
    let connecting = tokio::spawn(Client::<Lab>::builder(&url).connect());
    let mut peer = RawPeer::accept(&listener).await;
    peer.welcome().await;
    let client = connecting.await.expect("no panic").expect("connects");
    let sent = tokio::spawn(async move {
        let options = CallOptions::new().ack();
        client.with(options).note_ind(NoteInd::default()).await
    });
    let message = peer.hear_type(FrameType::Publish).await;
    peer.say(&close()).await;
    let id = message.header.msg_id;
    let refusal = frame(FrameType::Error, id, b"UNAVAILABLE: not accepted");
    peer.say(&refusal).await;
    let error = soon("the delivery", sent).await.expect("no panic");
    assert_eq!(
        error,
        Err(SendError::NotAcknowledged(Box::new(CallError::NotAccepted)))
    );
}

#[tokio::test(start_paused = true)]
async fn goodbyes_are_spread_so_that_clients_do_not_come_back_all_at_once() {
    const CLIENTS: u32 = 200;
    for (spread, over) in [("0s", 0), ("1h", 200), ("50ms", 50)] {
        let server =
            Stoppable::start(&format!("mem://spread-{spread}?drain_spread={spread}")).await;
        let Stoppable {
            url,
            mut events,
            stop,
            serving,
            ..
        } = server;
        let reading = tokio::spawn(async move { while events.recv().await.is_some() {} });
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let mut peer = RawPeer::dial(&url).await;
            peer.greet().await;
            clients.spawn(async move {
                peer.hear_type(FrameType::Close).await;
                Instant::now()
            });
        }
        let begun = Instant::now();
        stop.send(()).expect("the server runs");
        let report = soon("the end of the server", serving)
            .await
            .expect("no panic");
        assert_eq!((report.connections, report.aborted), (CLIENTS as usize, 0));
        reading.await.expect("no panic");
        let mut told: Vec<_> = clients.join_all().await;
        told.sort_unstable();
        told.dedup();
        let last = told.last().expect("some").duration_since(begun);
        let over = Duration::from_millis(over);
        assert!(
            last <= over + Duration::from_millis(5),
            "{spread}: {last:?}"
        );
        assert!(last >= over / 2, "{spread}: {last:?}");
        assert!(
            told.len() as u128 > over.as_millis() / 2,
            "{spread}: {} times",
            told.len()
        );
    }
}
