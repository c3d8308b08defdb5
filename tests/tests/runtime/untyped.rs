//! The untyped layer: a relay that never decodes a body, services for any protocol, and several protocols at one port.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallOptions, Client, Code, ConnectError, MsgKind, ResponseMetadata, SendError, Server, Status,
    Stream, Variant,
    untyped::{
        self, Event, Handle, Inbound, Reply, Service, UntypedMessage, UntypedProtocol, VariantTable,
    },
};
use msip_tests::{
    Echo, LabClient, LabServer, SeenByClient, SeenByServer, advance,
    lab::{
        ActReq, CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SendServerToClient as _, ShoutReq, SumReq,
    },
    sampler::{Sampler, SendClientToServer as _, Text},
    soon, start,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

/// Passes each session on to a server.
struct Relay {
    upstream: String,
}

/// Passes what that server sends back to the client.
struct Back(Handle);

impl Service for Relay {
    async fn serve(&self, peer: untyped::UntypedPeer, inbound: Inbound) {
        let (name, fingerprint) = (peer.protocol().to_owned(), peer.fingerprint());
        let upstream = untyped::UntypedClient::builder(&self.upstream, name, fingerprint)
            .service(Back(peer.handle().clone()))
            .connect()
            .await;
        match upstream {
            Ok(upstream) => untyped::relay(inbound, upstream.handle()).await,
            Err(error) => peer.disconnect(Status::unavailable(error.to_string())),
        }
    }
}

impl Service for Back {
    async fn serve(&self, _: untyped::UntypedPeer, inbound: Inbound) {
        untyped::relay(inbound, &self.0).await;
    }
}

async fn serve(service: impl Service) -> (String, JoinHandle<()>) {
    let server = untyped::UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), service)
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    (url, tokio::spawn(server.serve()))
}

/// A relay in front of a server of the `lab` protocol.
async fn relayed() -> (String, mpsc::Receiver<SeenByServer>) {
    let (upstream, events, _) = start("tcp://127.0.0.1:0").await;
    let upstream = upstream.to_string();
    let (url, _) = serve(Relay { upstream }).await;
    (url, events)
}

async fn next<T>(events: &mut mpsc::Receiver<T>) -> T {
    soon("an event", events.recv())
        .await
        .expect("the handler lives")
}

fn note(number: u64) -> NoteInd {
    NoteInd {
        number,
        ballast: Vec::new(),
    }
}

/// Numbers to be added up, and how many of them were taken.
struct Numbers {
    next: u64,
    to: u64,
    taken: Arc<AtomicU64>,
}

impl Stream for Numbers {
    type Item = SumReq;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<SumReq>> {
        if self.next == self.to {
            return Poll::Ready(None);
        }
        self.next += 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        let number = self.next - 1;
        Poll::Ready(Some(SumReq { number }))
    }
}

fn numbers(next: u64, to: u64) -> Numbers {
    Numbers {
        next,
        to,
        taken: Arc::default(),
    }
}

/// Texts that a channel yields.
struct Said(mpsc::Receiver<&'static str>);

impl Stream for Said {
    type Item = ShoutReq;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ShoutReq>> {
        let said = std::task::ready!(self.0.poll_recv(context));
        Poll::Ready(said.map(|text| ShoutReq {
            text: text.to_owned(),
        }))
    }
}

#[tokio::test]
async fn a_relay_passes_one_way_messages_on_in_order() {
    let (url, mut events) = relayed().await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Connected(_)
    ));
    for number in 0..5_000 {
        client.note_ind(note(number)).await.expect("sent");
        if number % 1_000 == 999 {
            // With metadata, it takes another path.
            let with = client.with(CallOptions::new().header("tenant", "north"));
            with.note_ind(note(1_000_000 + number)).await.expect("sent");
        }
    }
    for number in 0..5_000 {
        assert!(matches!(next(&mut events).await, SeenByServer::Note(seen) if seen == number));
        if number % 1_000 == 999 {
            let event = next(&mut events).await;
            assert!(matches!(event, SeenByServer::Note(seen) if seen == 1_000_000 + number));
        }
    }
    client.alarm_ind(note(7)).await.expect("sent");
    assert!(matches!(next(&mut events).await, SeenByServer::Alarm(7)));
}

#[tokio::test]
async fn a_relay_passes_acknowledgments_on() {
    let (url, mut events) = relayed().await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Connected(_)
    ));
    client.save_ind(SaveInd { number: 1 }).await.expect("saved");
    assert!(matches!(next(&mut events).await, SeenByServer::Save(1)));
    let error = client.save_ind(SaveInd { number: 13 }).await;
    let error = error.expect_err("refused");
    assert_eq!(error.to_string(), "FAILED_PRECONDITION: not thirteen");
    let acknowledged = client.with(CallOptions::new().ack());
    acknowledged.note_ind(note(2)).await.expect("acknowledged");
}

#[tokio::test]
async fn a_relay_passes_calls_on_with_their_errors() {
    let (url, _events) = relayed().await;
    for query in ["", "?codec=json", "?codec=msgpack", "?compress=zstd"] {
        let client = Client::<Lab>::connect(format!("{url}{query}")).await;
        let client = client.expect("connects");
        let request = EchoReq {
            text: "hello".into(),
            ballast: vec![7; 10_000],
        };
        let answer = soon("an answer", client.echo_req(request)).await;
        if query.contains("codec") {
            // The relay speaks protobuf upstream, and transcodes nothing.
            let error = answer.expect_err("the server cannot read it");
            assert_eq!(error.code(), Code::InvalidArgument, "{query}");
            continue;
        }
        let answer = answer.expect(query);
        assert_eq!((&*answer.text, answer.ballast.len()), ("hello", 10_000));
        let what = "fail".into();
        let error = client.act_req(ActReq { what }).await.expect_err("fails");
        assert_eq!(error.to_string(), "NOT_FOUND: no such thing");
    }
}

#[tokio::test]
async fn a_relay_passes_the_servers_calls_back() {
    let (url, mut events) = relayed().await;
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(&url).handler(handler).connect();
    let client = client.await.expect("connects");
    let SeenByServer::Connected(peer) = next(&mut events).await else {
        panic!("connected first");
    };
    let what = "ask".into();
    let answer = soon("an answer", client.act_req(ActReq { what })).await;
    assert!(!answer.expect("answered").done.is_empty());
    peer.note_ind(note(3)).await.expect("sent");
    peer.save_ind(SaveInd { number: 4 }).await.expect("saved");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(3)));
    assert!(matches!(next(&mut seen).await, SeenByClient::Save(4)));
}

#[tokio::test]
async fn a_relay_passes_response_streams_on_with_their_credit() {
    let (url, mut events) = relayed().await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let request = CountReq {
        from: 0,
        to: 2_000,
        ballast_len: 2_000,
    };
    let mut counted = client.count_req(request).await.expect("sent");
    for expected in 0..2_000 {
        let item = soon("an item", counted.next()).await.expect("not the end");
        assert_eq!(item.expect("no error").number, expected);
    }
    assert!(soon("the end", counted.next()).await.is_none());
    let request = CountReq {
        from: 5,
        to: 20,
        ballast_len: 0,
    };
    let mut counted = client.count_req(request).await.expect("sent");
    let mut last = None;
    while let Some(item) = soon("an item", counted.next()).await {
        last = Some(item);
    }
    let error = last.expect("an item").expect_err("not thirteen");
    assert_eq!(error.to_string(), "FAILED_PRECONDITION: not thirteen");
    let request = CountReq {
        from: 0,
        to: 0,
        ballast_len: 0,
    };
    let mut endless = client.count_req(request).await.expect("sent");
    soon("an item", endless.next())
        .await
        .expect("one")
        .expect("a number");
    drop(endless);
    loop {
        if let SeenByServer::Dropped(what) = next(&mut events).await {
            assert_eq!(what, "count", "the end of the chain hears of it");
            break;
        }
    }
}

#[tokio::test]
async fn a_relay_passes_request_streams_on() {
    let (url, _events) = relayed().await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let sum = soon("a sum", client.sum_req(numbers(20, 3_000))).await;
    assert_eq!(sum.expect("a sum").sum, (20..3_000).sum::<u64>());
    let refused = soon("an error", client.sum_req(numbers(0, 3_000))).await;
    let error = refused.expect_err("not thirteen");
    assert_eq!(error.to_string(), "FAILED_PRECONDITION: not thirteen");
    let none = soon("a sum", client.sum_req(numbers(0, 0))).await;
    assert_eq!(none.expect("a sum").sum, 0);
}

#[tokio::test]
async fn a_relay_passes_streams_both_ways() {
    let (url, _events) = relayed().await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let (say, said) = mpsc::channel(4);
    let mut shouts = client.shout_req(Said(said)).await.expect("opened");
    for (text, expected) in [("one", "ONE"), ("two", "TWO"), ("three", "THREE")] {
        say.send(text).await.expect("heard");
        let shout = soon("a shout", shouts.next()).await.expect("not the end");
        assert_eq!(shout.expect("no error").text, expected);
    }
    drop(say);
    assert!(soon("the end", shouts.next()).await.is_none());
}

#[tokio::test]
async fn a_relay_passes_cancellation_and_deadlines_on() {
    let (url, mut events) = relayed().await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let act = |what: &str| ActReq { what: what.into() };
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("hang")).await }
    });
    loop {
        if let SeenByServer::Act(_) = next(&mut events).await {
            break;
        }
    }
    call.abort();
    assert!(matches!(next(&mut events).await, SeenByServer::Dropped(what) if what == "hang"));
    let hurried = client.with(CallOptions::new().timeout(Duration::from_secs(7)));
    let left = soon("an answer", hurried.act_req(act("remaining"))).await;
    let left: u64 = left.expect("answered").done.parse().expect("a number");
    assert!((5_000..=7_000).contains(&left), "{left} ms of 7 s");
    let patient = client.with(CallOptions::new().timeout(Duration::from_secs(600)));
    let left = soon("an answer", patient.act_req(act("remaining"))).await;
    let left: u64 = left.expect("answered").done.parse().expect("a number");
    assert!(
        (500_000..=600_000).contains(&left),
        "{left} ms of 10 min: a relay has no limit of its own"
    );
    let limit = Duration::from_secs(10);
    let brief = client.with(CallOptions::new().timeout(limit));
    let (outcome, ()) = tokio::join!(brief.act_req(act("hang")), async {
        while !matches!(next(&mut events).await, SeenByServer::Act(what) if what == "hang") {}
        advance(limit).await;
    });
    // The caller's own clock, or the handler's answer, whichever comes first.
    let code = outcome.expect_err("it hangs").code();
    assert_eq!(code, Code::DeadlineExceeded);
    loop {
        if let SeenByServer::Dropped(what) = next(&mut events).await {
            assert_eq!(what, "hang", "at the end of the chain too");
            break;
        }
    }
}

/// Echoes calls, and tells what came with them.
struct Tell(mpsc::Sender<String>);

impl Service for Tell {
    async fn serve(&self, _: untyped::UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            let metadata = exchange.metadata();
            let told = format!(
                "{:?} {:?} {}",
                metadata.header("tenant"),
                metadata.correlation_id(),
                metadata.is_idempotent()
            );
            self.0.send(told).await.expect("the test listens");
            if let Reply::Call(responder) = exchange.reply {
                responder.answer(&exchange.message);
            }
        }
    }
}

#[tokio::test]
async fn a_relay_passes_metadata_on() {
    let (tell, mut told) = mpsc::channel(10);
    let (upstream, _) = serve(Tell(tell)).await;
    let (url, _) = serve(Relay { upstream }).await;
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let options = CallOptions::new()
        .header("tenant", "north")
        .correlation_id("order-17")
        .idempotent();
    let metadata = ResponseMetadata::new();
    let options = options.response_metadata(&metadata);
    let answer = client.with(options).echo_req(EchoReq::default()).await;
    answer.expect("answered");
    assert_eq!(
        next(&mut told).await,
        "Some(\"north\") Some(\"order-17\") true"
    );
    let metadata = metadata.get().expect("the answer has some");
    assert!(metadata.response_time().is_some());
}

#[tokio::test]
async fn a_slow_receiver_behind_a_relay_slows_its_sender_down() {
    let gate = Arc::new(Semaphore::new(0));
    let (handler, mut events) = LabServer::new();
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("listens");
    let upstream = server.local_url().to_string();
    tokio::spawn(server.serve(handler.gated(&gate)));
    let (url, _) = serve(Relay { upstream }).await;
    let client = Client::<Lab>::builder(&url)
        .outgoing_queue(64 * 1024)
        .write_timeout(Duration::from_millis(300))
        .connect()
        .await
        .expect("connects");
    let mut sent = 0;
    let stopped = loop {
        let message = NoteInd {
            number: sent,
            ballast: vec![0; 8 * 1024],
        };
        match client.note_ind(message).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 20_000, "nothing holds the sender up");
    };
    assert_eq!(stopped, SendError::Full);
    gate.add_permits(1_000_000);
    let mut seen = 0;
    while seen < sent {
        if let SeenByServer::Note(number) = next(&mut events).await {
            assert_eq!(number, seen);
            seen += 1;
        }
    }
}

/// Echoes whatever comes, in whatever protocol.
struct AnyEcho;

impl Service for AnyEcho {
    async fn serve(&self, peer: untyped::UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let echo = message.to_message();
                        peer.send(&echo, &CallOptions::new()).await.expect("sent");
                    }
                }
                Event::Exchange(exchange) => match exchange.reply {
                    Reply::Delivery(acknowledgment) => acknowledgment.acknowledge(),
                    Reply::Call(responder) => match exchange.requests {
                        None => responder.answer(&exchange.message),
                        Some(requests) => {
                            tokio::spawn(async move { responder.stream(Items(requests)).await });
                        }
                    },
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

struct Items(untyped::Requests);

impl Stream for Items {
    type Item = Result<UntypedMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(Pin::new(&mut self.0).poll_next(task));
        Poll::Ready(next.map(|next| next.map_err(Status::from)))
    }
}

struct Bodies(Vec<UntypedMessage>);

impl Stream for Bodies {
    type Item = UntypedMessage;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<UntypedMessage>> {
        Poll::Ready(self.0.pop())
    }
}

/// Keeps what it hears.
struct Keep(mpsc::Sender<(u16, Vec<u8>)>);

impl Service for Keep {
    async fn serve(&self, _: untyped::UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            if let Event::Messages(messages) = event {
                for message in messages.iter() {
                    let heard = (message.number(), message.body().to_vec());
                    self.0.send(heard).await.expect("the test listens");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_untyped_client_sends_every_shape_from_a_table_that_is_made_at_run_time() {
    let (url, _) = serve(AnyEcho).await;
    let mut table = VariantTable::new();
    table.insert(
        String::from("ask"),
        Variant::new(1, "", MsgKind::Command).call(1),
    );
    table.insert("tell", Variant::new(2, "", MsgKind::Event));
    table.insert("keep", Variant::new(3, "", MsgKind::State).acknowledged());
    let (ask, tell, keep) = (table.find("ask"), table.find("tell"), table.get(3));
    let (ask, tell, keep) = (ask.expect("ask"), tell.expect("tell"), keep.expect("keep"));
    let (heard, mut hears) = mpsc::channel(10);
    let client = untyped::UntypedClient::builder(&url, "made.up", 7).service(Keep(heard));
    let client = client.connect().await.expect("connects");
    let options = CallOptions::new();
    let answer = client.call(&ask.message(&b"what?"[..]), &options).await;
    let answer = answer.expect("answered");
    assert_eq!((answer.number(), &**answer.raw_body()), (1, &b"what?"[..]));
    assert!(answer.is_answer());
    let body = &b"a thing"[..];
    client
        .deliver(&keep.message(body), &options)
        .await
        .expect("kept");
    client
        .send(&tell.message(body), &options)
        .await
        .expect("sent");
    assert_eq!(next(&mut hears).await, (2, body.to_vec()));
    let mut sender = client.sender();
    for _ in 0..3 {
        sender.push(&tell.message(body)).await.expect("taken");
    }
    sender.flush().await.expect("handed over");
    for _ in 0..3 {
        assert_eq!(next(&mut hears).await, (2, body.to_vec()));
    }
    let items = Bodies(
        (0..100_u8)
            .rev()
            .map(|item| ask.message(vec![item]))
            .collect(),
    );
    let empty = ask.message(&b""[..]);
    let mut responses = client
        .open_stream(&empty, items, &options)
        .await
        .expect("opened");
    for item in 0..100_u8 {
        let response = soon("an item", responses.next())
            .await
            .expect("not the end");
        let response = response.expect("no error");
        assert_eq!(
            (&**response.raw_body(), response.is_answer()),
            (&[item][..], false)
        );
    }
    assert!(soon("the end", responses.next()).await.is_none());
    client.close().await;
    let closed = client.send(&tell.message(body), &options).await;
    assert_eq!(closed, Err(SendError::Closed));
}

#[tokio::test]
async fn a_direct_server_refuses_topics() {
    let (url, _events, _server) = start("tcp://127.0.0.1:0").await;
    let client = untyped::UntypedClient::builder(url.to_string(), "lab", 0).connect();
    let client = client.await.expect("connects");
    let echo = VariantTable::of::<msip_tests::lab::ClientToServer>();
    let echo = echo.find("echo_req").expect("it is there");
    let request = echo
        .message(&[0x0a, 0][..])
        .to_topic("room/1")
        .expect("a topic");
    assert_eq!(request.topic(), "room/1");
    let error = client
        .call(&request, &CallOptions::new())
        .await
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "INVALID_ARGUMENT: a topic, and this is a direct connection"
    );
    assert!(
        UntypedMessage::new(echo.variant(), &b""[..])
            .to_topic("a\nb")
            .is_err()
    );
    assert!(
        UntypedMessage::new(echo.variant(), &b""[..])
            .to_topic("t".repeat(256))
            .is_err()
    );
}

/// Returns at once.
struct Gone;

impl Service for Gone {
    async fn serve(&self, _: untyped::UntypedPeer, _: Inbound) {}
}

#[tokio::test]
async fn what_a_service_leaves_is_answered_with_an_error() {
    for (url, _) in [serve(Gone).await, serve(Panic).await] {
        let client = Client::<Lab>::connect(&url).await.expect("connects");
        for _ in 0..3 {
            let error = soon("an answer", client.echo_req(EchoReq::default())).await;
            assert_eq!(error.expect_err("no answer").code(), Code::Cancelled);
        }
        let error = soon("an answer", client.save_ind(SaveInd { number: 1 })).await;
        assert_eq!(error.expect_err("not saved").code(), Code::Cancelled);
    }
}

/// Panics at the first exchange.
struct Panic;

impl Service for Panic {
    async fn serve(&self, _: untyped::UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            assert!(!matches!(event, Event::Exchange(_)), "it came");
        }
    }
}

#[tokio::test]
async fn one_port_serves_several_protocols_and_refuses_others_by_name() {
    let (handler, mut events) = LabServer::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::<Lab>::builder("tcp://127.0.0.1:0")
        .protocol::<Sampler, _>(Echo)
        .untyped(
            UntypedProtocol::named("made.up").with_fingerprint(7),
            AnyEcho,
        )
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    let lab = Client::<Lab>::connect(&url).await.expect("connects");
    lab.note_ind(note(1)).await.expect("sent");
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Connected(_)
    ));
    assert!(matches!(next(&mut events).await, SeenByServer::Note(1)));
    let sampler = Client::<Sampler>::connect(&url).await.expect("connects");
    sampler.nothing_req().await.expect("answered");
    sampler.text_ind(Text::default()).await.expect("sent");
    let made_up = untyped::UntypedClient::builder(&url, "made.up", 7).connect();
    let made_up = made_up.await.expect("connects");
    let ask = Variant::new(1, "", MsgKind::Command).call(1);
    let (ask, options) = (UntypedMessage::new(&ask, &b"x"[..]), CallOptions::new());
    let answer = made_up.call(&ask, &options).await.expect("answered");
    assert_eq!(&**answer.raw_body(), b"x");
    let unknown = untyped::UntypedClient::builder(&url, "other", 1)
        .connect()
        .await;
    let Err(ConnectError::Refused { status, .. }) = unknown else {
        panic!("{unknown:?}");
    };
    assert_eq!(
        status.to_string(),
        "FAILED_PRECONDITION: this server speaks `lab`, `sampler` and `made.up`, not `other`"
    );
    let strict = untyped::UntypedClient::builder(&url, "made.up", 8).connect();
    drop(strict.await.expect("another schema is told, and served"));
    let _ = stop.send(());
    let report = soon("the end", serving).await.expect("no panic");
    assert_eq!(report.aborted, 0);
    assert!(report.connections >= 3, "{report:?}");
}
