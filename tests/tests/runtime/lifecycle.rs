//! Connections that come, go and come back.

use std::{sync::Arc, time::Duration};

use msip_runtime::{
    CallError, Client, CloseReason, Code, ConnectError, ConnectionState, DisconnectReason, Peer,
    Reconnect, SendError, Server, Status,
    transport::{self, Address, ServiceUrl},
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{EchoReq, Lab, NoteInd, SendClientToServer as _, SendServerToClient as _},
    messages::act,
    next, soon, start, start_gated,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

#[tokio::test]
async fn a_client_comes_back_to_a_server_that_was_restarted() {
    let (url, _events, server) = start("tcp://127.0.0.1:0").await;
    let (client, mut seen) = LabClient::connect(&url).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let mut state = client.connection().watch();
    let lost = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("hang")).await }
    });
    // Sent, for the server has answered what came behind it.
    soon("pong", client.ping(0, Duration::from_secs(60)))
        .await
        .expect("pong");
    server.abort();
    let event = next(&mut seen).await;
    assert!(
        matches!(event, SeenByClient::Disconnected(DisconnectReason::Eof)),
        "{event:?}"
    );
    let error = client.note_ind(NoteInd::default()).await;
    assert_eq!(
        error,
        Err(SendError::Disconnected),
        "told at once, not buffered"
    );
    let event = next(&mut seen).await;
    assert!(
        matches!(
            event,
            SeenByClient::Failed(ConnectError::Transport { .. }, 1)
        ),
        "{event:?}"
    );
    let mut lost_sessions = client.connection().lost_sessions();
    let (_, mut events, _server) = start(&url.to_string()).await;
    connected(&mut events).await;
    assert_eq!(
        soon("the call's fate", lost).await.expect("no panic"),
        Err(CallError::ConnectionLost),
        "the server that knew of it is gone"
    );
    let told = soon("the loss", lost_sessions.wait_for(Option::is_some))
        .await
        .expect("lives")
        .clone()
        .expect("seen");
    assert_eq!((told.count, told.exchanges.len()), (1, 1), "{told:?}");
    let exchange = &told.exchanges[0];
    assert_eq!((exchange.message, exchange.is_call), ("act_req", true));
    assert!(exchange.is_unknown, "it may have run");
    loop {
        match next(&mut seen).await {
            SeenByClient::Connected => break,
            SeenByClient::Failed(..) => {}
            event => panic!("{event:?}"),
        }
    }
    soon(
        "the state",
        state.wait_for(|state| *state == ConnectionState::Connected),
    )
    .await
    .expect("lives");
    client
        .echo_req(EchoReq::default())
        .await
        .expect("works again");
}

#[tokio::test]
async fn a_handler_decides_whether_to_try_again() {
    let (url, _events, server) = start("tcp://127.0.0.1:0").await;
    let (handler, mut seen) = LabClient::new();
    let handler = handler.on_failure(Reconnect::Stop);
    let client = Client::<Lab>::builder(url.to_string())
        .handler(handler)
        .connect()
        .await
        .expect("connects");
    let mut state = client.connection().watch();
    server.abort();
    soon(
        "closed",
        state.wait_for(|state| *state == ConnectionState::Closed),
    )
    .await
    .expect("lives");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    assert!(matches!(next(&mut seen).await, SeenByClient::Failed(_, 1)));
    assert_eq!(
        client.note_ind(NoteInd::default()).await,
        Err(SendError::Closed)
    );
    soon("close", client.close()).await;
}

#[tokio::test]
async fn the_first_failure_to_connect_is_returned() {
    let cases = [
        (
            "nobody listens",
            "tcp://127.0.0.1:1",
            "cannot reach tcp://127.0.0.1:1",
        ),
        (
            "nobody listens in memory",
            "mem://nobody",
            "cannot reach mem://nobody",
        ),
        ("no such scheme", "http://127.0.0.1:1", ""),
        (
            "a setting that is none",
            "tcp://127.0.0.1:1?ping=1s",
            "unknown setting `ping`",
        ),
    ];
    for (name, url, text) in cases {
        let error = Client::<Lab>::connect(url).await.expect_err(name);
        assert!(error.to_string().starts_with(text), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_server_is_not_bound_where_others_can_listen_in() {
    let error = Server::<Lab>::bind("tcp://0.0.0.0:0")
        .await
        .expect_err("insecure");
    assert_eq!(
        error.to_string(),
        "connections to tcp://0.0.0.0:0 would not be confidential: listen at 127.0.0.1, or set `insecure`"
    );
    Server::<Lab>::bind("tcp://0.0.0.0:0?insecure=true")
        .await
        .expect("asked for");
}

#[tokio::test]
async fn close_waits_for_open_calls_and_tells_the_server() {
    let (url, mut events, gate) = start_gated("tcp://127.0.0.1:0").await;
    let url = url.to_string();
    let client = Client::<Lab>::connect(url).await.expect("connects");
    connected(&mut events).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.close().await }
    });
    let mut state = client.connection().watch();
    // Nothing new is sent once the close has begun, though the call is open still.
    while client.try_note_ind(NoteInd::default()).is_ok() {
        tokio::task::yield_now().await;
    }
    assert_ne!(client.connection().state(), ConnectionState::Closed);
    gate.add_permits(1_000_000);
    assert_eq!(
        call.await.expect("no panic").expect("answered").done,
        "waited"
    );
    soon("close", closing).await.expect("no panic");
    assert_eq!(*state.borrow_and_update(), ConnectionState::Closed);
    let reason = loop {
        match next(&mut events).await {
            SeenByServer::Disconnected(reason) => break reason,
            SeenByServer::Note(_) => {}
            event => panic!("{event:?}"),
        }
    };
    let DisconnectReason::ClosedByPeer(status) = reason else {
        panic!("{reason:?}")
    };
    assert_eq!(
        status.to_string(),
        "CANCELLED: the client closes the connection"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_is_never_taken_for_a_loss() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    for round in 0..200 {
        let (client, mut seen) = LabClient::connect(&url).await;
        let peer = connected(&mut events).await;
        let by_client = round % 2 == 0;
        if by_client {
            soon("close", client.close()).await;
        } else {
            peer.disconnect(Status::new(Code::Aborted, "enough"));
        }
        let at_client = loop {
            if let SeenByClient::Disconnected(reason) = next(&mut seen).await {
                break reason;
            }
        };
        let SeenByServer::Disconnected(at_server) = next(&mut events).await else {
            panic!("the connection ended otherwise")
        };
        let (closer, other) = if by_client {
            (at_client, at_server)
        } else {
            (at_server, at_client)
        };
        assert!(
            matches!(closer, DisconnectReason::ClosedByUs),
            "round {round}: {closer}"
        );
        assert!(
            matches!(other, DisconnectReason::ClosedByPeer(_)),
            "round {round}: {other}"
        );
    }
}

#[tokio::test]
async fn dropping_the_last_handle_closes() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let clone = client.clone();
    drop(client);
    clone.tick_ind().await.expect("a clone keeps it open");
    drop(clone);
    assert!(
        matches!(next(&mut events).await, SeenByServer::Tick),
        "what was sent before arrives"
    );
    let event = next(&mut events).await;
    assert!(
        matches!(
            event,
            SeenByServer::Disconnected(DisconnectReason::ClosedByPeer(_))
        ),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_server_can_close_one_client() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let (client, mut seen) = LabClient::connect(&url).await;
    let first = connected(&mut events).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let answer = client
        .act_req(act("leave"))
        .await
        .expect("the answer comes before the end");
    assert_eq!(answer.done, "gone");
    let event = next(&mut seen).await;
    let SeenByClient::Disconnected(DisconnectReason::ClosedByPeer(status)) = event else {
        panic!("{event:?}")
    };
    assert_eq!(status.to_string(), "ABORTED: asked to");
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(DisconnectReason::ClosedByUs)
    ));
    assert_eq!(
        first.note_ind(NoteInd::default()).await,
        Err(SendError::Closed)
    );
    // Its handler is asked, and stays away.
    let event = next(&mut seen).await;
    let SeenByClient::ClosedByServer(status) = event else {
        panic!("{event:?}")
    };
    soon("closed", client.close()).await;
    assert_eq!(client.connection().state(), ConnectionState::Closed);
    assert!(matches!(
        client.connection().closed(),
        Some(CloseReason::ClosedByPeer(why)) if why == status
    ));
    assert_eq!(
        client.note_ind(NoteInd::default()).await,
        Err(SendError::ClosedByPeer(status.clone()))
    );
    let call = client.echo_req(EchoReq::default()).await;
    assert_eq!(
        call.map(|_| ()),
        Err(CallError::NotSent(SendError::ClosedByPeer(status)))
    );
}

/// The next peer that connects.
async fn connected_again(events: &mut mpsc::Receiver<SeenByServer>) -> Peer<Lab> {
    loop {
        if let SeenByServer::Connected(peer) = next(events).await {
            return peer;
        }
    }
}

#[tokio::test]
async fn two_devices_of_one_name_do_not_throw_each_other_out_for_ever() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let (first, _seen) = LabClient::connect(&url).await;
    let earlier = connected(&mut events).await;
    let (second, _seen_too) = LabClient::connect(&url).await;
    connected(&mut events).await;
    earlier.disconnect(Status::already_exists("signed in on another device"));
    let mut state = first.connection().watch();
    let closed = state.wait_for(|state| *state == ConnectionState::Closed);
    soon("the end", closed).await.expect("lives");
    let why = first.connection().closed().map(|why| why.to_string());
    assert_eq!(
        why.as_deref(),
        Some("closed by the peer: ALREADY_EXISTS: signed in on another device")
    );
    soon("still there", second.echo_req(EchoReq::default()))
        .await
        .expect("answers");
    second.close().await;
    first.close().await;
    while let Ok(event) = events.try_recv() {
        assert!(
            !matches!(event, SeenByServer::Connected(_)),
            "nobody came back"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_connections_do_not_last_comes_back_later_each_time() {
    let (_, mut left, _server) = start("mem://goodbye-left").await;
    let (_, mut right, _other) = start("mem://goodbye-right").await;
    let in_memory = |address: Address| async move {
        let side = address.authority().split(':').next().unwrap_or_default();
        let url = ServiceUrl::parse(&format!("mem://goodbye-{side}")).expect("a URL");
        transport::connect(&url).await
    };
    let client = Client::<Lab>::builder("tcp://left:1,right:1")
        .connector(in_memory)
        .connect()
        .await
        .expect("connects");
    let mut connects = 0;
    let saying_goodbye = async {
        loop {
            let peer = tokio::select! {
                peer = connected_again(&mut left) => peer,
                peer = connected_again(&mut right) => peer,
            };
            connects += 1;
            peer.disconnect(Status::unavailable("goes away"));
        }
    };
    let minute = Duration::from_secs(60);
    let _ = tokio::time::timeout(minute, saying_goodbye).await;
    // Half of 50 ms, of 100 ms, and so on, up to half of 10 s, on average: some 18.
    assert!((5..60).contains(&connects), "{connects}");
    client.close().await;
}

#[tokio::test]
async fn a_handler_may_come_back_after_any_close() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(url.to_string())
        .handler(handler.on_close(Reconnect::After(Duration::ZERO)))
        .connect();
    let client = soon("a client", client).await.expect("connects");
    let first = connected(&mut events).await;
    first.disconnect(Status::unauthenticated("who are you?"));
    let second = connected_again(&mut events).await;
    assert_ne!(first.id(), second.id(), "as a new peer");
    // Where the code says it, nobody is asked.
    second.disconnect(Status::unavailable("maintenance"));
    let third = connected_again(&mut events).await;
    third.disconnect(Status::resource_exhausted("too many"));
    connected_again(&mut events).await;
    client.close().await;
    let mut asked = Vec::new();
    while let Ok(event) = seen.try_recv() {
        if let SeenByClient::ClosedByServer(status) = event {
            asked.push(status.code());
        }
    }
    assert_eq!(asked, [Code::Unauthenticated]);
}

#[tokio::test]
async fn a_shutdown_drains() {
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("binds");
    let gate = Arc::new(Semaphore::new(0));
    let (handler, mut events) = LabServer::new();
    let url = server.local_url().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler.gated(&gate), async {
        let _ = stopped.await;
    }));
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(&url)
        .handler(handler.on_failure(Reconnect::Stop))
        .connect()
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    stop.send(()).expect("the server runs");
    // The client hears of it, and sends nothing new.
    while client.try_tick_ind().is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!peer.connection().is_open());
    assert!(
        Client::<Lab>::connect(&url).await.is_err(),
        "nobody is let in"
    );
    gate.add_permits(1);
    assert_eq!(
        call.await.expect("no panic").expect("answered").done,
        "waited"
    );
    let report = soon("the end of the server", serving)
        .await
        .expect("no panic");
    assert_eq!(
        (report.connections, report.cut_off, report.aborted),
        (1, 0, 0)
    );
    let event = next(&mut seen).await;
    let SeenByClient::Disconnected(DisconnectReason::ClosedByPeer(status)) = event else {
        panic!("{event:?}")
    };
    assert_eq!(status.to_string(), "UNAVAILABLE: the server goes away");
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_cut_off() {
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0?drain_timeout=50ms")
        .await
        .expect("binds");
    let (handler, mut events) = LabServer::new();
    let url = server.local_url().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(handler, async {
        let _ = stopped.await;
    }));
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    connected(&mut events).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("hang")).await }
    });
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    stop.send(()).expect("the server runs");
    let report = soon("the end of the server", serving)
        .await
        .expect("no panic");
    assert_eq!(
        (report.connections, report.cut_off, report.aborted),
        (1, 1, 0)
    );
    let lost = call.await.expect("no panic").expect_err("cut off");
    assert!(
        matches!(lost.code(), Code::Unknown | Code::Cancelled),
        "{lost}"
    );
}

#[tokio::test]
async fn a_client_that_waits_to_connect_again_can_be_closed() {
    let (url, _events, server) = start("tcp://127.0.0.1:0").await;
    let (handler, mut seen) = LabClient::new();
    let handler = handler.on_failure(Reconnect::After(Duration::from_secs(86_400)));
    let client = Client::<Lab>::builder(url.to_string())
        .handler(handler)
        .connect()
        .await
        .expect("connects");
    server.abort();
    while !matches!(next(&mut seen).await, SeenByClient::Failed(..)) {}
    soon("close", client.close()).await;
    assert_eq!(client.connection().state(), ConnectionState::Closed);
}
