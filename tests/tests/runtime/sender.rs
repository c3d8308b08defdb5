//! Exclusive senders: one-way messages through a buffer of the sender's own.

use std::time::Duration;

use msip_runtime::{
    CallError, CallOptions, Client, DisconnectReason, SendError, Status,
    middleware::{ExchangeContext, Middleware, Next},
};
use msip_tests::{
    LabClient, SeenByClient, SeenByServer, connected,
    lab::{Lab, NoteInd, PushClientToServer, PushServerToClient as _, SendClientToServer as _},
    messages::note,
    next, soon, start, start_gated,
};
use tokio::sync::mpsc;

async fn notes(events: &mut mpsc::Receiver<SeenByServer>, expected: impl Iterator<Item = u64>) {
    for expected in expected {
        let event = next(events).await;
        assert!(
            matches!(event, SeenByServer::Note(number) if number == expected),
            "{event:?}, not {expected}"
        );
    }
}

#[tokio::test]
async fn what_is_pushed_arrives_in_order_in_every_codec() {
    for query in ["", "?codec=json", "?codec=msgpack", "?compress=zstd"] {
        for scheme in ["tcp://127.0.0.1:0", "mem://pushed"] {
            let (url, mut events, server) = start(scheme).await;
            let client = Client::<Lab>::connect(format!("{url}{query}"))
                .await
                .expect("connects");
            connected(&mut events).await;
            let mut sender = client.sender();
            // More than any window, and more than any buffer.
            for number in 0..20_000 {
                sender.note_ind(note(number)).await.expect("pushed");
            }
            sender.tick_ind().await.expect("pushed");
            sender.flush().await.expect("flushed");
            assert_eq!(sender.buffered(), 0);
            notes(&mut events, 0..20_000).await;
            assert!(matches!(next(&mut events).await, SeenByServer::Tick));
            server.abort();
            let _ = server.await;
        }
    }
}

#[tokio::test]
async fn a_server_pushes_too() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let (_client, mut seen) = LabClient::connect(&url).await;
    let peer = connected(&mut events).await;
    let mut sender = peer.sender();
    for number in 0..5000 {
        sender.note_ind(note(number)).await.expect("pushed");
    }
    sender.flush().await.expect("flushed");
    let mut expected = 0;
    while expected < 5000 {
        if let SeenByClient::Note(number) = next(&mut seen).await {
            assert_eq!(number, expected);
            expected += 1;
        }
    }
}

#[tokio::test]
async fn what_waits_in_a_sender_is_overtaken_until_it_is_flushed() {
    let (url, mut events, _server) = start("mem://overtaken").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    sender.note_ind(note(1)).await.expect("pushed");
    sender.note_ind(note(2)).await.expect("pushed");
    assert_eq!(sender.buffered(), 2);
    client
        .with(CallOptions::new().ack())
        .note_ind(note(3))
        .await
        .expect("handled");
    sender.alarm_ind(note(4)).await.expect("sent at once");
    assert!(matches!(next(&mut events).await, SeenByServer::Note(3)));
    assert!(matches!(next(&mut events).await, SeenByServer::Alarm(4)));
    sender.flush().await.expect("flushed");
    client.note_ind(note(5)).await.expect("sent");
    notes(&mut events, [1, 2, 5].into_iter()).await;
}

#[tokio::test]
async fn a_sender_that_is_dropped_hands_over_what_waits_and_then_lets_the_connection_go() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    drop(client);
    for number in 0..100 {
        sender.note_ind(note(number)).await.expect("pushed");
    }
    assert_eq!(sender.buffered(), 100, "it keeps the connection open");
    drop(sender);
    notes(&mut events, 0..100).await;
    let event = next(&mut events).await;
    assert!(
        matches!(
            event,
            SeenByServer::Disconnected(DisconnectReason::ClosedByPeer(_))
        ),
        "{event:?}"
    );
}

// The clock stands still while anything runs: what waits for room, waits for the handler alone.
#[tokio::test(start_paused = true)]
async fn a_slow_handler_holds_a_sender_up_and_nothing_is_lost_by_it() {
    let (url, mut events, gate) = start_gated("mem://push-held-up").await;
    let url = url.to_string();
    let client = Client::<Lab>::builder(url)
        .write_timeout(Duration::from_millis(50))
        .connect()
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    let mut pushed = 0;
    let refused = loop {
        match sender.note_ind(note(pushed)).await {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
        assert!(pushed < 100_000, "the window is 1,024");
    };
    assert_eq!(refused, SendError::Full, "the last one was not taken");
    let waiting = u64::try_from(sender.buffered()).expect("fits");
    let mut other = client.sender();
    other.note_ind(note(0)).await.expect("pushed");
    drop(other);
    assert_eq!(client.connection().dropped().unflushed, 1, "no room for it");
    assert_eq!(pushed - waiting, 1024, "the window of one-way messages");
    assert_eq!(sender.flush().await, Err(SendError::Full));
    assert_eq!(u64::try_from(sender.buffered()), Ok(waiting), "it waits on");
    gate.add_permits(100_000);
    notes(&mut events, 0..1024).await;
    loop {
        match soon("room", sender.flush()).await {
            Ok(()) => break,
            Err(error) => assert_eq!(error, SendError::Full),
        }
    }
    notes(&mut events, 1024..pushed).await;
    assert_eq!(client.connection().dropped().total(), 1);
}

#[tokio::test]
async fn a_dropped_flush_loses_nothing() {
    let (url, mut events, gate) = start_gated("mem://dropped-flush").await;
    let url = url.to_string();
    let client = Client::<Lab>::connect(url).await.expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    for number in 0..1500 {
        tokio::select! {
            biased;
            pushed = sender.note_ind(note(number)) => pushed.expect("pushed"),
            () = std::future::ready(()) => panic!("a push that is not due to hand over is done at once"),
        }
    }
    {
        let mut flush = std::pin::pin!(sender.flush());
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(flush.as_mut().poll(context).is_ready())
        });
        assert!(!polled.await, "there is credit for 1,024");
    }
    assert_eq!(sender.buffered(), 1500 - 1024);
    gate.add_permits(10_000);
    soon("a flush", sender.flush()).await.expect("flushed");
    notes(&mut events, 0..1500).await;
}

#[tokio::test]
async fn without_a_connection_it_is_told_and_what_waited_is_counted() {
    let (url, mut events, server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    for number in 0..10 {
        sender.note_ind(note(number)).await.expect("pushed");
    }
    server.abort();
    let _ = server.await;
    soon(
        "the loss",
        client
            .connection()
            .watch()
            .wait_for(|state| !matches!(state, msip_runtime::ConnectionState::Connected)),
    )
    .await
    .expect("the client lives");
    assert_eq!(sender.flush().await, Err(SendError::Disconnected));
    assert_eq!(sender.buffered(), 0);
    assert_eq!(client.connection().dropped().disconnected, 10);
    assert_eq!(
        sender.note_ind(note(1)).await,
        Err(SendError::Disconnected),
        "told before it is taken"
    );
    client.close().await;
    assert_eq!(sender.note_ind(note(1)).await, Err(SendError::Closed));
    assert_eq!(client.connection().dropped().total(), 10);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_others_go() {
    let (url, mut events, _server) = start("mem://push-limit?max_body=2KiB").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    sender.note_ind(note(1)).await.expect("pushed");
    let large = NoteInd {
        number: 2,
        ballast: vec![0; 3000],
    };
    let refused = sender.note_ind(large).await;
    assert!(
        matches!(refused, Err(SendError::TooLarge { len, max: 2048 }) if len > 3000),
        "{refused:?}"
    );
    sender.note_ind(note(3)).await.expect("pushed");
    drop(sender);
    notes(&mut events, [1, 3].into_iter()).await;
}

/// Code that is written against the push trait takes whatever gathers.
async fn count_down(mut sender: impl PushClientToServer, from: u64) -> Result<(), SendError> {
    for number in (0..from).rev() {
        sender.note_ind(note(number)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_senders_of_a_client_each_keep_their_order() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0").await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut first = client.sender();
    count_down(&mut first, 10).await.expect("pushed");
    let second = tokio::spawn({
        let mut second = client.sender();
        async move {
            for number in 1000..8000 {
                second.note_ind(note(number)).await.expect("pushed");
            }
            second.flush().await.expect("flushed");
        }
    });
    for number in 10_000..17_000 {
        first.note_ind(note(number)).await.expect("pushed");
    }
    first.flush().await.expect("flushed");
    second.await.expect("no panic");
    let mut seen = [Vec::new(), Vec::new()];
    for _ in 0..14_010 {
        match next(&mut events).await {
            SeenByServer::Note(number) => {
                seen[usize::from((1000..10_000).contains(&number))].push(number);
            }
            event => panic!("{event:?}"),
        }
    }
    let [first, second] = seen;
    assert!(first.into_iter().eq((0..10).rev().chain(10_000..17_000)));
    assert!(second.into_iter().eq(1000..8000));
}

/// Lets nothing out.
struct Wall;

impl Middleware for Wall {
    async fn handle(&self, exchange: &mut ExchangeContext, _: Next<'_>) -> Result<(), CallError> {
        Err(exchange.refuse(Status::permission_denied("nothing goes out")))
    }
}

#[tokio::test]
async fn what_is_pushed_passes_the_middleware() {
    let (url, mut events, _server) = start("mem://push-middleware").await;
    let client = Client::<Lab>::builder(url.to_string())
        .outgoing(Wall)
        .connect()
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut sender = client.sender();
    let refused = sender.note_ind(note(1)).await;
    let sent = client.note_ind(note(1)).await;
    assert!(sent.is_err(), "{sent:?}");
    assert_eq!(refused, sent, "as the client sends it");
    assert_eq!(sender.buffered(), 0);
}
