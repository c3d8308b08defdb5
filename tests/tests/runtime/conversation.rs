//! A client and a server that talk: sends, calls and handlers in both directions.

use std::time::Duration;

use msip_runtime::{CallError, CallOptions, Client, Code, SendError, Server};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, advance, at, connected, direct_only,
    lab::{
        AskReq, BroadcastServerToClient as _, EchoReq, Lab, SaveInd, SendClientToServer as _,
        SendServerToClient as _,
    },
    messages::{act, note},
    next, soon, start, start_gated,
};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_call_is_answered() {
    for url in [
        at!("tcp://127.0.0.1:0"),
        at!("mem://a-call-is-answered"),
        at!("tcp://[::1]:0"),
    ] {
        let (url, _events, _server) = start(url).await;
        let client = Client::<Lab>::connect(url.to_string())
            .await
            .expect("connects");
        let request = EchoReq {
            text: "hi".into(),
            ballast: vec![7; 100_000],
        };
        let answer = client.echo_req(request.clone()).await.expect("answers");
        assert_eq!(
            (answer.text, answer.ballast),
            (request.text, request.ballast)
        );
        soon("close", client.close()).await;
        assert_eq!(client.note_ind(note(1)).await, Err(SendError::Closed));
    }
}

#[tokio::test]
async fn messages_arrive_in_the_order_sent() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    for number in 0..5_000 {
        client.note_ind(note(number)).await.expect("sent");
    }
    client.tick_ind().await.expect("sent");
    for expected in 0..5_000 {
        assert!(
            matches!(next(&mut events).await, SeenByServer::Note(number) if number == expected)
        );
    }
    assert!(matches!(next(&mut events).await, SeenByServer::Tick));
}

#[tokio::test]
async fn an_acknowledged_message_returns_when_it_was_handled() {
    direct_only!("Acknowledgments");
    let (url, mut events, _server) = start(at!("mem://an-acknowledged-message")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    client
        .save_ind(SaveInd { number: 1 })
        .await
        .expect("acknowledged");
    assert!(
        matches!(events.try_recv(), Ok(SeenByServer::Save(1))),
        "handled before the answer"
    );
    let refused = client.save_ind(SaveInd { number: 13 }).await;
    let Err(CallError::Status(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (status.code(), status.message()),
        (Code::FailedPrecondition, "not thirteen")
    );
    let unhandled = peer.save_ind(SaveInd { number: 1 }).await;
    assert!(
        matches!(&unhandled, Err(CallError::Status(status)) if status.code() == Code::Unimplemented),
        "{unhandled:?}"
    );
    // A one-way message may ask for it at the call site.
    client
        .with(CallOptions::new().ack())
        .note_ind(note(5))
        .await
        .expect("acknowledged");
    assert!(matches!(next(&mut events).await, SeenByServer::Save(13)));
    assert!(matches!(events.try_recv(), Ok(SeenByServer::Note(5))));
}

#[tokio::test]
async fn a_server_calls_its_client() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(url.to_string())
        .handler(handler)
        .name("lab client")
        .connect()
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert_eq!(peer.connection().client_name(), "lab client");
    assert_eq!(peer.id().number(), client.connection().peer_id());
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let answer = peer
        .ask_req(AskReq {
            question: "who?".into(),
        })
        .await
        .expect("answers");
    assert_eq!(answer.answer, "who? me");
    // From inside of a handler, while its caller waits.
    assert_eq!(
        client.act_req(act("ask")).await.expect("answers").done,
        "who? me"
    );
    peer.note_ind(note(3)).await.expect("sent");
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(3)));
    peer.save_ind(SaveInd { number: 4 })
        .await
        .expect("acknowledged");
    assert!(matches!(next(&mut seen).await, SeenByClient::Save(4)));
}

#[tokio::test]
async fn a_client_without_a_handler_ignores_messages_and_refuses_calls() {
    let (url, mut events, _server) = start(at!("mem://without-a-handler")).await;
    let _client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    peer.note_ind(note(1)).await.expect("sent");
    let refused = peer.ask_req(AskReq::default()).await;
    let Err(CallError::Status(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unimplemented, "no handler for `ask_req`")
    );
}

#[tokio::test]
async fn a_handlers_error_and_panic_fail_that_call_alone() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let failed = client.act_req(act("fail")).await.expect_err("fails");
    assert_eq!(failed.code(), Code::NotFound);
    let panicked = client.act_req(act("panic")).await.expect_err("panics");
    assert_eq!(panicked.to_string(), "INTERNAL: the handler panicked");
    assert_eq!(
        client
            .echo_req(EchoReq::default())
            .await
            .expect("goes on")
            .text,
        ""
    );
}

#[tokio::test]
async fn a_deadline_ends_the_call_at_both_ends() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    // Long enough for the request to reach its handler on any machine, through a broker too.
    let limit = Duration::from_secs(10);
    let hurried = client.with(CallOptions::new().timeout(limit));
    let (late, event) = tokio::join!(hurried.act_req(act("hang")), async {
        let event = next(&mut events).await;
        advance(limit).await;
        event
    });
    let late = late.expect_err("nobody answers");
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late:?}");
    assert!(
        matches!(&event, SeenByServer::Act(what) if what == "hang"),
        "{event:?}"
    );
    let event = next(&mut events).await;
    assert!(
        matches!(&event, SeenByServer::Dropped(what) if what == "hang"),
        "{event:?}"
    );
    // The schema's own limit is known without being sent.
    let left: u64 = client
        .act_req(act("remaining"))
        .await
        .expect("answers")
        .done
        .parse()
        .expect("a number");
    assert!((10_000..=20_000).contains(&left), "{left} ms of 20 s");
    let never = client
        .with(CallOptions::new().timeout(Duration::ZERO))
        .echo_req(EchoReq::default())
        .await;
    assert_eq!(
        never,
        Err(CallError::NotSent(SendError::NoTime {
            timeout: Duration::ZERO
        }))
    );
}

#[tokio::test]
async fn no_handler_outlives_the_deadline_of_its_call() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    // Some of them end on their way there.
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let client = client.clone();
        let limit = Duration::from_millis(1 + number % 25);
        calls.spawn(async move {
            let options = CallOptions::new().timeout(limit);
            client.with(options).act_req(act("hang")).await
        });
    }
    while let Some(ended) = calls.join_next().await {
        let error = ended.expect("no panic").expect_err("nobody answers");
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    }
    let last = client.act_req(act("remaining"));
    soon("an answer", last).await.expect("answers");
    let (mut is_last_seen, mut running) = (false, 0);
    while !is_last_seen || running > 0 {
        match next(&mut events).await {
            SeenByServer::Act(what) if what == "hang" => running += 1,
            SeenByServer::Dropped(what) if what == "hang" => running -= 1,
            SeenByServer::Act(what) if what == "remaining" => is_last_seen = true,
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn calls_run_side_by_side_and_do_not_hold_up_what_follows() {
    let (url, mut events, gate) = start_gated(at!("mem://side-by-side")).await;
    let url = url.to_string();
    let client = Client::<Lab>::connect(url).await.expect("connects");
    connected(&mut events).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("wait")).await }
    });
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    assert_eq!(
        client
            .echo_req(EchoReq {
                text: "first".into(),
                ..EchoReq::default()
            })
            .await
            .expect("answers")
            .text,
        "first"
    );
    client.tick_ind().await.expect("sent");
    assert!(matches!(next(&mut events).await, SeenByServer::Tick));
    gate.add_permits(1);
    assert_eq!(
        waiting.await.expect("no panic").expect("answers").done,
        "waited"
    );
}

#[tokio::test]
async fn a_call_starts_after_the_handlers_of_earlier_messages() {
    let (url, mut events, gate) = start_gated(at!("mem://after-earlier")).await;
    let url = url.to_string();
    let client = Client::<Lab>::connect(url).await.expect("connects");
    connected(&mut events).await;
    client.note_ind(note(1)).await.expect("sent");
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("remaining")).await }
    });
    // The server has read both once it has answered a ping.
    soon("pong", client.ping(0, Duration::from_secs(60)))
        .await
        .expect("pong");
    assert!(events.try_recv().is_err(), "the note's handler still runs");
    gate.add_permits(1);
    assert!(matches!(next(&mut events).await, SeenByServer::Note(1)));
    assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
    call.await.expect("no panic").expect("answers");
}

#[tokio::test]
async fn a_broadcast_reaches_whom_it_means() {
    direct_only!("Counts of broadcasts");
    let server = Server::<Lab>::bind(at!("mem://broadcast"))
        .await
        .expect("binds");
    let (url, everyone) = (server.local_url().to_string(), server.broadcast());
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let mut clients = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let (client, mut seen) = LabClient::connect(&url).await;
        peers.push(connected(&mut events).await);
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
        clients.push((client, seen));
    }
    assert_eq!(everyone.note_ind(note(1)), 3);
    assert_eq!(peers[0].others().note_ind(note(2)), 2);
    assert_eq!(
        everyone
            .clone()
            .only([peers[0].id(), peers[1].id()])
            .except(peers[1].id())
            .note_ind(note(3)),
        1
    );
    assert_eq!(peers[2].everyone().note_ind(note(4)), 3);
    let expected: [&[u64]; 3] = [&[1, 3, 4], &[1, 2, 4], &[1, 2, 4]];
    for ((_, seen), expected) in clients.iter_mut().zip(expected) {
        for number in expected {
            let event = next(seen).await;
            assert!(
                matches!(event, SeenByClient::Note(found) if found == *number),
                "{event:?}, not {number}"
            );
        }
    }
}

// The clock stands still while anything runs: what waits for room, waits for the handler alone.
#[tokio::test(start_paused = true)]
async fn a_slow_handler_pushes_back_and_a_try_send_says_so() {
    direct_only!("Windows");
    let (url, mut events, gate) = start_gated(at!("mem://push-back")).await;
    let url = url.to_string();
    let client = Client::<Lab>::builder(url)
        .write_timeout(Duration::from_millis(50))
        .connect()
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sent = 0;
    while client.try_note_ind(note(sent)).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 1024, "the window of one-way messages");
    assert_eq!(
        client.note_ind(note(sent)).await,
        Err(SendError::Full),
        "after the time for writing"
    );
    // Calls and pings need no credit.
    soon("pong", client.ping(1000, Duration::from_secs(60)))
        .await
        .expect("pong");
    let blocked = tokio::spawn({
        let client = client.clone();
        async move { client.with(CallOptions::new()).note_ind(note(sent)).await }
    });
    gate.add_permits(10_000);
    for expected in 0..sent {
        assert!(
            matches!(next(&mut events).await, SeenByServer::Note(number) if number == expected)
        );
    }
    // It was in time, or it was not: either way the connection goes on.
    let _ = blocked.await.expect("no panic");
    client
        .with(CallOptions::new().ack())
        .note_ind(note(7))
        .await
        .expect("goes on");
}

#[tokio::test]
async fn a_message_over_the_receivers_limit_is_not_sent() {
    direct_only!("Limits");
    let (url, _events, _server) = start(at!("mem://limit?max_body=2KiB")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let request = EchoReq {
        text: String::new(),
        ballast: vec![0; 3000],
    };
    let error = client.echo_req(request).await.expect_err("too large");
    assert_eq!(
        error.to_string(),
        "body of 3006 bytes exceeds the limit of the receiver, 2048 (its setting `max_body`)"
    );
    let answer = client
        .act_req(act("large"))
        .await
        .expect_err("the answer is too large for us");
    assert_eq!(answer.code(), Code::ResourceExhausted, "{answer}");
    client.echo_req(EchoReq::default()).await.expect("goes on");
}

#[tokio::test]
async fn an_urgent_message_overtakes() {
    let (url, mut events, _server) = start(at!("mem://urgent")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    // Nothing is written between these, for this task does not yield.
    for number in 0..10 {
        client.try_note_ind(note(number)).expect("room");
    }
    client.try_alarm_ind(note(99)).expect("room");
    assert!(matches!(next(&mut events).await, SeenByServer::Alarm(99)));
    assert!(matches!(next(&mut events).await, SeenByServer::Note(0)));
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_behind() {
    let (url, mut events, _server) = start(at!("mem://dropped-call?max_calls=4")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    for _ in 0..100 {
        let mut call = Box::pin(client.echo_req(EchoReq::default()));
        // Polled once, so that it is sent, and dropped.
        std::future::poll_fn(|task| {
            let _ = call.as_mut().poll(task);
            std::task::Poll::Ready(())
        })
        .await;
        drop(call);
        soon("pong", client.ping(0, Duration::from_secs(60)))
            .await
            .expect("pong");
    }
    client
        .echo_req(EchoReq::default())
        .await
        .expect("there is room for a call");
}
