//! Sessions that outlive their connections.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use msip_runtime::{
    CallError, CallOptions, Client, Code, ConnectionState, Peer, SendError, Server,
    transport::ServiceUrl,
    wire::{Flags, FrameType, MsgId, Side},
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, at, connected, direct_only,
    lab::{
        ClientToServer, CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SendServerToClient as _,
    },
    messages::act,
    next,
    proxy::Proxy,
    raw::{
        HELLO_ID, RawPeer, SESSION, frame, hello, hello_frame, message_at, resuming_frame, text,
    },
    soon, start, start_gated, through,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// A server behind a proxy.
struct Lossy {
    proxy: Proxy,
    url: ServiceUrl,
    events: mpsc::Receiver<SeenByServer>,
    gate: Arc<Semaphore>,
}

impl Lossy {
    /// Where clients connect to, with these settings.
    fn url(&self, settings: &str) -> String {
        through(&self.proxy, &self.url, settings)
    }

    /// Waits until the server has seen that a connection is lost. The service of a broker is not told.
    async fn see_loss(&mut self) {
        direct_only!("Sessions");
        assert!(matches!(
            next(&mut self.events).await,
            SeenByServer::Disconnected(_)
        ));
    }

    /// Waits until the server has seen that the client is there again.
    async fn see_resumed(&mut self, first: &Peer<Lab>) {
        direct_only!("Sessions");
        let second = self.see_another().await;
        assert!(second.resumed());
        assert_eq!(first.id(), second.id());
        let kept = |peer: &Peer<Lab>| peer.extensions().get::<u32>().as_deref().copied();
        assert_eq!(kept(first), kept(&second));
    }

    /// The next client that connects.
    async fn see_another(&mut self) -> Peer<Lab> {
        loop {
            match next(&mut self.events).await {
                SeenByServer::Connected(peer) => return peer,
                SeenByServer::Disconnected(_) | SeenByServer::Dropped(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// The server hears that nobody waits for an answer any longer.
    async fn see_drop(&mut self) {
        loop {
            match next(&mut self.events).await {
                SeenByServer::Dropped(_) => return,
                SeenByServer::Connected(_) | SeenByServer::Disconnected(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }
}

async fn lossy(query: &str) -> Lossy {
    let (url, events, gate) = start_gated(at!(format!("tcp://127.0.0.1:0{query}"))).await;
    Lossy {
        proxy: Proxy::start(address(&url)).await,
        url,
        events,
        gate,
    }
}

fn address(url: &ServiceUrl) -> SocketAddr {
    let authority = url.address().authority();
    authority.parse().expect("an address")
}

/// A message of a raw client: through a broker, to the topic of its services.
fn message(flags: Flags, id: MsgId, message: &ClientToServer) -> Vec<u8> {
    let topic = match env!("CARGO_CRATE_NAME") {
        "over_broker" => "lab/$in",
        _ => "",
    };
    message_at(topic, Side::Connecting, flags, id, message)
}

/// Shakes hands as the client of one and the same session.
async fn greet(peer: &mut RawPeer) {
    peer.say(&resuming_frame(&hello())).await;
    peer.hear_type(FrameType::Ack).await;
}

/// Waits until the client is there again, or is not.
async fn until_connected(client: &Client<Lab>, wanted: bool) {
    let mut state = client.connection().watch();
    let reached = state.wait_for(|state| (*state == ConnectionState::Connected) == wanted);
    soon("the state", reached).await.expect("lives");
}

#[tokio::test]
async fn deliveries_are_handled_once_and_in_order_across_cuts() {
    const COUNT: u64 = 2000;
    let mut lossy = lossy("").await;
    let url = lossy.url("?buffer_disconnected=1MiB&reconnect_max=5ms");
    let client = Client::<Lab>::connect(url).await.expect("connects");
    let seen = tokio::spawn(async move {
        let (mut numbers, mut connections) = (Vec::new(), Vec::new());
        while numbers.len() < usize::try_from(COUNT).expect("fits") {
            match next(&mut lossy.events).await {
                SeenByServer::Save(number) => numbers.push(number),
                SeenByServer::Connected(peer) => connections.push(peer),
                SeenByServer::Disconnected(_) => {}
                event => panic!("{event:?}"),
            }
        }
        (numbers, connections)
    });
    let cutting = async {
        for _ in 0..20 {
            until_connected(&client, true).await;
            // So that each connection has carried something before it is cut.
            let _ = client.ping(1000, Duration::from_secs(60)).await;
            lossy.proxy.cut();
            until_connected(&client, false).await;
        }
    };
    let sending = async {
        let mut sends = Vec::new();
        for number in 100..100 + COUNT {
            let sender = client.clone();
            // Tasks of one thread begin in the order in which they were spawned.
            sends.push(tokio::spawn(async move {
                sender.save_ind(SaveInd { number }).await
            }));
            if number % 20 == 0 {
                // The pace of the connections, or all would be sent between two cuts.
                until_connected(&client, true).await;
                let _ = client.ping(0, Duration::from_secs(60)).await;
            }
        }
        for send in sends {
            assert_eq!(soon("acknowledged", send).await.expect("no panic"), Ok(()));
        }
    };
    tokio::join!(cutting, sending);
    let (numbers, connections) = seen.await.expect("no panic");
    assert_eq!(numbers, (100..100 + COUNT).collect::<Vec<_>>());
    assert!(client.connection().lost_sessions().borrow().is_none());
    direct_only!("Sessions", {
        assert_eq!(connections.len(), 1);
        return;
    });
    assert!(connections.len() > 2, "{}", connections.len());
    let first = &connections[0];
    assert!(connections.iter().all(|peer| peer.id() == first.id()));
}

#[tokio::test]
async fn what_fails_fast_does_not_wait_for_the_next_connection() {
    let mut lossy = lossy("").await;
    let url = lossy.url("?buffer_disconnected=1MiB&reconnect_max=5ms");
    let client = Client::<Lab>::connect(url).await.expect("connects");
    connected(&mut lossy.events).await;
    let options = || {
        CallOptions::new()
            .fail_fast()
            .timeout(Duration::from_secs(3600))
    };
    let begin = |options: CallOptions| {
        let client = client.clone();
        tokio::spawn(async move { client.with(options).act_req(act("wait")).await })
    };
    let fast = begin(options());
    let patient = begin(CallOptions::new().timeout(Duration::from_secs(3600)));
    for _ in 0..2 {
        assert!(matches!(
            next(&mut lossy.events).await,
            SeenByServer::Act(_)
        ));
    }
    lossy.proxy.let_in(false);
    lossy.proxy.cut();
    let outcome = soon("the loss", fast).await.expect("no panic");
    assert_eq!(outcome, Err(CallError::ConnectionLost));
    let unsent = CallError::NotSent(SendError::Disconnected);
    let view = client.with(options());
    assert_eq!(view.act_req(act("wait")).await, Err(unsent.clone()));
    assert_eq!(view.save_ind(SaveInd::default()).await, Err(unsent));
    let note = view.note_ind(NoteInd::default()).await;
    assert_eq!(note, Err(SendError::Disconnected));
    assert_ne!(client.connection().state(), ConnectionState::Connected);
    lossy.proxy.let_in(true);
    lossy.see_drop().await;
    lossy.gate.add_permits(1);
    let answer = soon("the other", patient).await.expect("no panic");
    assert_eq!(answer.expect("answered").done, "waited");
    let again = view.echo_req(EchoReq::default()).await;
    assert!(again.is_ok(), "{again:?}");
}

#[tokio::test]
async fn a_call_goes_on_while_its_connection_is_lost() {
    let mut lossy = lossy("").await;
    let client = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    let first = connected(&mut lossy.events).await;
    first.extensions().insert(7_u32);
    assert!(!first.resumed() && !client.connection().resumed());
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(
        next(&mut lossy.events).await,
        SeenByServer::Act(_)
    ));
    lossy.proxy.cut();
    until_connected(&client, false).await;
    lossy.see_loss().await;
    lossy.see_resumed(&first).await;
    assert_eq!(first.extensions().get::<u32>().as_deref(), Some(&7));
    lossy.gate.add_permits(1);
    let answer = soon("the answer", call)
        .await
        .expect("no panic")
        .expect("answered");
    assert_eq!(answer.done, "waited");
    assert!(client.connection().resumed());
}

#[tokio::test]
async fn a_reply_is_kept_until_the_caller_is_back() {
    let mut lossy = lossy("").await;
    let client = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    connected(&mut lossy.events).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(
        next(&mut lossy.events).await,
        SeenByServer::Act(_)
    ));
    lossy.proxy.let_in(false);
    lossy.proxy.cut();
    lossy.see_loss().await;
    lossy.gate.add_permits(1);
    // The permit is taken, so that the handler has gone on, and has answered.
    while lossy.gate.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    until_connected(&client, false).await;
    assert_eq!(
        client.act_req(act("fail")).await,
        Err(CallError::NotSent(SendError::Disconnected)),
        "nothing new is begun"
    );
    lossy.proxy.let_in(true);
    let answer = soon("the answer", call)
        .await
        .expect("no panic")
        .expect("answered");
    assert_eq!(answer.done, "waited");
}

#[tokio::test]
async fn the_server_delivers_across_cuts_too() {
    let mut lossy = lossy("").await;
    let (handler, mut seen) = LabClient::new();
    let url = lossy.url("?reconnect_max=5ms");
    let client = Client::<Lab>::builder(url)
        .handler(handler)
        .connect()
        .await
        .expect("connects");
    let peer = connected(&mut lossy.events).await;
    let mut sent = 0;
    for _ in 0..10 {
        let mut sends = Vec::new();
        for _ in 0..20 {
            let (peer, number) = (peer.clone(), sent);
            sends.push(tokio::spawn(async move {
                let send = peer.with(CallOptions::new().timeout(Duration::from_secs(60)));
                send.save_ind(SaveInd { number }).await
            }));
            sent += 1;
        }
        // All of them are under way, or handled already.
        tokio::task::yield_now().await;
        lossy.proxy.cut();
        for send in sends {
            assert_eq!(soon("acknowledged", send).await.expect("no panic"), Ok(()));
        }
        until_connected(&client, true).await;
    }
    let mut numbers = Vec::new();
    while numbers.len() < 200 {
        match next(&mut seen).await {
            SeenByClient::Save(number) => numbers.push(number),
            SeenByClient::Connected | SeenByClient::Disconnected(_) | SeenByClient::Failed(..) => {}
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_that_expires_is_told_with_what_is_unknown() {
    let mut lossy = lossy("?session_expiry=50ms").await;
    let client = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    let first = connected(&mut lossy.events).await;
    let mut lost_sessions = client.connection().lost_sessions();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(
        next(&mut lossy.events).await,
        SeenByServer::Act(_)
    ));
    lossy.proxy.let_in(false);
    lossy.proxy.cut();
    lossy.see_loss().await;
    lossy.see_drop().await;
    soon("the session is gone", async {
        // On a direct connection it is already. A broker tells of it last.
        while let Ok(()) = first.note_ind(NoteInd::default()).await {
            direct_only!("Sessions", {
                tokio::task::yield_now().await;
                continue;
            });
            panic!("it goes on");
        }
    })
    .await;
    let gone = first.note_ind(NoteInd::default()).await;
    assert_eq!(gone, Err(SendError::Closed));
    lossy.proxy.let_in(true);
    let error = soon("the fate", call)
        .await
        .expect("no panic")
        .expect_err("lost");
    assert_eq!(error, CallError::ConnectionLost);
    assert_eq!(error.code(), Code::Unknown);
    let lost = soon("told", lost_sessions.wait_for(Option::is_some))
        .await
        .expect("lives")
        .clone()
        .expect("seen");
    assert_eq!(lost.count, 1);
    assert_eq!(lost.reason, "the server does not know the session any more");
    let names: Vec<_> = lost
        .exchanges
        .iter()
        .map(|exchange| (exchange.message, exchange.is_call, exchange.is_unknown))
        .collect();
    assert_eq!(names, [("act_req", true, true)]);
    let second = lossy.see_another().await;
    assert_ne!(first.id(), second.id());
    assert!(!second.resumed());
}

#[tokio::test]
async fn without_an_expiry_no_session_is_kept() {
    let mut lossy = lossy("?session_expiry=0s").await;
    let client = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    let first = connected(&mut lossy.events).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(
        next(&mut lossy.events).await,
        SeenByServer::Act(_)
    ));
    lossy.proxy.cut();
    assert_eq!(
        soon("at once", call).await.expect("no panic"),
        Err(CallError::ConnectionLost)
    );
    let second = lossy.see_another().await;
    assert_ne!(first.id(), second.id());
    assert!(!second.resumed());
}

#[tokio::test]
async fn what_is_said_without_a_connection_is_kept_only_when_asked_to() {
    let mut lossy = lossy("").await;
    let proud = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    connected(&mut lossy.events).await;
    let url = lossy.url("?buffer_disconnected=1000");
    let patient = Client::<Lab>::connect(url).await.expect("connects");
    connected(&mut lossy.events).await;
    lossy.proxy.let_in(false);
    lossy.proxy.cut();
    for client in [&proud, &patient] {
        until_connected(client, false).await;
    }
    let note = |number| NoteInd {
        number,
        ..NoteInd::default()
    };
    assert_eq!(proud.note_ind(note(1)).await, Err(SendError::Disconnected));
    let delivered = proud.save_ind(SaveInd { number: 1 }).await;
    assert_eq!(delivered, Err(CallError::NotSent(SendError::Disconnected)));
    let mut kept = 0;
    let refused = loop {
        match patient.note_ind(note(kept)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SendError::Full);
    assert!((5..20).contains(&kept), "{kept}");
    lossy.gate.add_permits(1000);
    lossy.proxy.let_in(true);
    let mut numbers = Vec::new();
    while numbers.len() < usize::try_from(kept).expect("fits") {
        if let SeenByServer::Note(number) = next(&mut lossy.events).await {
            numbers.push(number);
        }
    }
    assert_eq!(numbers, (0..kept).collect::<Vec<_>>());
    assert_eq!(patient.connection().dropped().total(), 0);
}

#[tokio::test]
async fn the_newer_of_two_connections_wins() {
    let lossy = lossy("").await;
    let mut first = RawPeer::dial(&lossy.url).await;
    greet(&mut first).await;
    let mut second = RawPeer::dial(&lossy.url).await;
    greet(&mut second).await;
    assert_eq!(
        first.hear_to_the_end().await,
        ["CLOSE connection: ABORTED: session taken over"]
    );
    // A delivery is handled once, by whatever connection it comes.
    let id = MsgId::delivery(Side::Connecting, 1);
    let save = ClientToServer::SaveInd(SaveInd { number: 5 });
    second.say(&message(Flags::ACK_REQUIRED, id, &save)).await;
    second.hear_type(FrameType::Ack).await;
    let mut third = RawPeer::dial(&lossy.url).await;
    greet(&mut third).await;
    let again = Flags::ACK_REQUIRED | Flags::REDELIVERED;
    third.say(&message(again, id, &save)).await;
    let answer = third.hear_type(FrameType::Ack).await;
    assert_eq!(answer.header.msg_id, id);
    let other = ClientToServer::SaveInd(SaveInd { number: 6 });
    let id = MsgId::delivery(Side::Connecting, 2);
    third.say(&message(Flags::ACK_REQUIRED, id, &other)).await;
    third.hear_type(FrameType::Ack).await;
    let mut events = lossy.events;
    let mut saved = Vec::new();
    while !saved.contains(&6) {
        if let SeenByServer::Save(number) = next(&mut events).await {
            saved.push(number);
        }
    }
    assert_eq!(saved, [5, 6]);
}

/// A client whose old connection is half open comes back to a server that has no place for another.
#[tokio::test]
async fn a_session_is_taken_over_where_its_connection_has_the_last_place() {
    direct_only!("Settings of a listener");
    let mut lossy = lossy("?max_connections=1").await;
    let mut owner = RawPeer::dial(&lossy.url).await;
    greet(&mut owner).await;
    connected(&mut lossy.events).await;
    for _ in 0..20 {
        let mut next_connection = RawPeer::dial(&lossy.url).await;
        greet(&mut next_connection).await;
        assert_eq!(
            owner.hear_to_the_end().await,
            ["CLOSE connection: ABORTED: session taken over"]
        );
        owner = next_connection;
    }
    // The place is the owner's, and nobody else's.
    let refused = format!(
        "ERROR {HELLO_ID}: RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later"
    );
    for hello in [hello_frame(&hello()), {
        let mut guess = hello();
        guess.session_secret[0] ^= 1;
        hello_frame(&guess)
    }] {
        let mut stranger = RawPeer::dial(&lossy.url).await;
        stranger.say(&hello).await;
        assert_eq!(stranger.hear_to_the_end().await, [refused.as_str()]);
    }
    let call = message(
        Flags::ACK_REQUIRED,
        MsgId::exchange(Side::Connecting, 2),
        &ClientToServer::EchoReq(EchoReq::default()),
    );
    owner.say(&call).await;
    owner.hear_type(FrameType::Ack).await;
    // A session that is kept finds no place while another client has it, and has it again later.
    drop(owner);
    let Some(mut other) = place(&lossy.url, &hello_frame(&hello())).await else {
        panic!("no place");
    };
    let mut back = RawPeer::dial(&lossy.url).await;
    back.say(&resuming_frame(&hello())).await;
    assert_eq!(back.hear_to_the_end().await, [refused.as_str()]);
    other
        .say(&frame(
            FrameType::Close,
            MsgId::CONNECTION,
            b"CANCELLED: done",
        ))
        .await;
    other.hear_to_the_end().await;
    let resumed = place(&lossy.url, &resuming_frame(&hello())).await;
    assert!(resumed.is_some());
}

/// Connects until there is a place: until the server has seen that the one before has gone.
async fn place(url: &ServiceUrl, hello: &[u8]) -> Option<RawPeer> {
    soon("a place", async {
        loop {
            let mut peer = RawPeer::dial(url).await;
            peer.say(hello).await;
            let answer = peer.hear().await?;
            if answer.header.frame_type == FrameType::Ack {
                return Some(peer);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_session_is_not_given_to_a_stranger() {
    let lossy = lossy("").await;
    let mut owner = RawPeer::dial(&lossy.url).await;
    greet(&mut owner).await;
    let mut stranger = RawPeer::dial(&lossy.url).await;
    let mut guess = hello();
    guess.session_secret[0] ^= 1;
    stranger.say(&resuming_frame(&guess)).await;
    let refused = stranger.hear_type(FrameType::Error).await;
    assert_eq!(
        text(&refused.payload),
        "UNAUTHENTICATED: the session cannot be resumed"
    );
    assert!(stranger.hear().await.is_none());
    // The owner has not noticed.
    let id = MsgId::delivery(Side::Connecting, 1);
    let save = ClientToServer::SaveInd(SaveInd { number: 5 });
    owner.say(&message(Flags::ACK_REQUIRED, id, &save)).await;
    owner.hear_type(FrameType::Ack).await;
}

#[tokio::test]
async fn a_mip_hello_finds_no_session_of_this_dialect() {
    direct_only!("MIP");
    let lossy = lossy("").await;
    let mut owner = RawPeer::dial(&lossy.url).await;
    greet(&mut owner).await;
    // Its number, as a MIP client would name a session of its own: that needs no secret.
    let mut stranger = RawPeer::dial(&lossy.url).await;
    stranger
        .say(&frame(FrameType::Hello, HELLO_ID, &SESSION.to_be_bytes()))
        .await;
    let heard = stranger.hear_to_the_end().await;
    assert_eq!(
        heard,
        [format!(
            "ERROR {HELLO_ID}: UNIMPLEMENTED: this is a HELLO of the MIP dialect: the MSIP dialect is understood"
        )]
    );
    let id = MsgId::delivery(Side::Connecting, 1);
    let save = ClientToServer::SaveInd(SaveInd { number: 5 });
    owner.say(&message(Flags::ACK_REQUIRED, id, &save)).await;
    owner.hear_type(FrameType::Ack).await;
}

#[tokio::test]
async fn what_is_awaited_is_told() {
    let lossy = lossy("").await;
    let mut first = RawPeer::dial(&lossy.url).await;
    greet(&mut first).await;
    let id = |sequence| MsgId::exchange(Side::Connecting, sequence);
    let call = |sequence, what| {
        let request = ClientToServer::ActReq(act(what));
        message(Flags::ACK_REQUIRED, id(sequence), &request)
    };
    first.say(&call(10, "fail")).await;
    first.hear_type(FrameType::Error).await;
    drop(first);
    let mut second = RawPeer::dial(&lossy.url).await;
    let mut again = hello();
    again.awaited = vec![id(10).number(), id(11).number()];
    second.say(&resuming_frame(&again)).await;
    second.hear_type(FrameType::Ack).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let error = second.hear_type(FrameType::Error).await;
        told.push((error.header.msg_id, text(&error.payload)));
    }
    assert_eq!(
        told,
        [
            (id(10), "UNKNOWN: reply lost".to_owned()),
            (id(11), "UNAVAILABLE: not received".to_owned()),
        ]
    );
}

#[tokio::test]
async fn the_oldest_session_without_a_connection_makes_room() {
    direct_only!("Settings of a listener");
    let mut lossy = lossy("?max_detached_sessions=1").await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let client = Client::<Lab>::connect(lossy.url(""))
            .await
            .expect("connects");
        let peer = connected(&mut lossy.events).await;
        clients.push((client, peer));
    }
    lossy.proxy.let_in(false);
    lossy.proxy.cut();
    for _ in 0..2 {
        assert!(matches!(
            next(&mut lossy.events).await,
            SeenByServer::Disconnected(_)
        ));
    }
    lossy.proxy.let_in(true);
    let mut resumed = 0;
    for _ in 0..2 {
        resumed += usize::from(connected(&mut lossy.events).await.resumed());
    }
    assert_eq!(resumed, 1);
}

#[tokio::test]
async fn a_shutdown_ends_sessions_that_nobody_has_come_back_to() {
    direct_only!("Sessions");
    let server = Server::<Lab>::bind(at!("tcp://127.0.0.1:0"))
        .await
        .expect("binds");
    let url = server.local_url().clone();
    let (handler, mut events) = LabServer::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    let mut raw = RawPeer::dial(&url).await;
    raw.greet().await;
    connected(&mut events).await;
    drop(raw);
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
    stop.send(()).expect("serves");
    let report = tokio::time::timeout(Duration::from_secs(20), serving)
        .await
        .expect("does not wait for the session's expiry")
        .expect("no panic");
    assert_eq!((report.connections, report.aborted), (0, 0));
}

#[tokio::test]
async fn a_client_can_be_closed_while_its_session_waits() {
    let mut lossy = lossy("").await;
    let client = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    connected(&mut lossy.events).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(
        next(&mut lossy.events).await,
        SeenByServer::Act(_)
    ));
    lossy.proxy.let_in(false);
    lossy.proxy.cut();
    until_connected(&client, false).await;
    soon("close", client.close()).await;
    assert_eq!(client.connection().state(), ConnectionState::Closed);
    assert_eq!(
        soon("the call", call).await.expect("no panic"),
        Err(CallError::ConnectionLost)
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_connection_and_the_session_goes_on() {
    let mut lossy = lossy("").await;
    let client = Client::<Lab>::connect(lossy.url(""))
        .await
        .expect("connects");
    let first = connected(&mut lossy.events).await;
    let request = CountReq {
        from: 0,
        to: 1_000_000,
        ballast_len: 0,
    };
    let mut stream = client.count_req(request).await.expect("begins");
    soon("an item", stream.next())
        .await
        .expect("there is one")
        .expect("readable");
    lossy.proxy.cut();
    let end = loop {
        match soon("an item, or the end", stream.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a stream that broke off is not complete"),
        }
    };
    assert_eq!(end, CallError::ConnectionLost);
    lossy.see_resumed(&first).await;
    until_connected(&client, true).await;
    client
        .save_ind(SaveInd { number: 1 })
        .await
        .expect("the session goes on");
}

#[tokio::test(start_paused = true)]
async fn a_session_is_kept_for_long_only_where_its_client_may_know_of_it() {
    direct_only!("Sessions");
    const GIVEN_UP: usize = 2000;
    let (url, mut events, _server) = start("mem://given-up-half-way").await;
    let mut peers = Vec::new();
    for number in 0..=GIVEN_UP {
        let mut client = RawPeer::dial(&url).await;
        if number < GIVEN_UP {
            // It is gone before it has its answer, or with it.
            client.say(&hello_frame(&hello())).await;
        } else {
            client.greet().await;
            client
                .say(&frame(FrameType::Ping, MsgId::new(9), b""))
                .await;
            client.hear_type(FrameType::Pong).await;
        }
        drop(client);
        loop {
            match next(&mut events).await {
                SeenByServer::Connected(peer) => peers.push(peer),
                SeenByServer::Disconnected(_) => break,
                event => panic!("{event:?}"),
            }
        }
    }
    assert_eq!(peers.len(), GIVEN_UP + 1);
    let are_gone = |peers: &[Peer<Lab>]| {
        let gone = peers.iter().filter(|peer| peer.connection().is_gone());
        gone.count()
    };
    assert_eq!(
        are_gone(&peers),
        0,
        "a client whose answer was lost may come back"
    );
    // `handshake_timeout`, and a moment.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(are_gone(&peers), GIVEN_UP);
    let known = peers.last().expect("the last").connection();
    assert!(!known.is_gone(), "its client was heard");
}
