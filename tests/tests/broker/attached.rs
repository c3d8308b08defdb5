//! Servers that are attached to a broker, with typed clients: every shape in both directions, and who is told of what.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, stream};
use msip_runtime::{
    AttachedServer, CallOptions, Client, Code, Peer, Protocol as _, Server, Status,
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer,
    lab::{
        BroadcastServerToClient as _, Lab, PushClientToServer as _, PushServerToClient as _,
        SaveInd, SendClientToServer as _, SendServerToClient as _, ShoutReq, SumReq,
    },
    messages::{act, count, echo, note},
    next, soon,
};
use tokio::sync::{Semaphore, mpsc};

use crate::fixture::Broker;

type Seen = mpsc::Receiver<SeenByServer>;

async fn attach(broker: &Broker, topic: &str, handler: LabServer) -> AttachedServer<Lab> {
    let url = format!("{}/{topic}", broker.url);
    Server::<Lab>::attach(url, handler)
        .await
        .expect("is attached")
}

/// A client at a topic, and what it hears; its connection is there.
async fn client(broker: &Broker, topic: &str) -> (Client<Lab>, mpsc::Receiver<SeenByClient>) {
    let (client, mut events) = LabClient::connect(format!("{}/{topic}", broker.url)).await;
    assert!(matches!(next(&mut events).await, SeenByClient::Connected));
    (client, events)
}

/// The next client that the server is told of.
async fn come(seen: &mut Seen) -> Peer<Lab> {
    match next(seen).await {
        SeenByServer::Connected(peer) => peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_clients_and_a_server_talk_in_every_shape_through_a_broker() {
    let broker = Broker::start().await;
    let (handler, mut seen) = LabServer::new();
    let server = attach(&broker, "room1", handler).await;
    let (ada, mut to_ada) = client(&broker, "room1").await;
    let of_ada = come(&mut seen).await;
    let (bob, mut to_bob) = client(&broker, "room1").await;
    let of_bob = come(&mut seen).await;
    assert_eq!(of_ada.id().number(), ada.connection().peer_id());
    assert_eq!(of_ada.topic(), Some("room1"));
    assert_eq!(server.peers().len(), 2);

    // Client to server.
    for number in 0..100 {
        ada.note_ind(note(number)).await.expect("is sent");
    }
    for number in 0..100 {
        assert!(matches!(next(&mut seen).await, SeenByServer::Note(heard) if heard == number));
    }
    bob.save_ind(SaveInd { number: 1 }).await.expect("is kept");
    assert!(matches!(next(&mut seen).await, SeenByServer::Save(1)));
    for (client, text) in [(&ada, "ada"), (&bob, "bob")] {
        let answer = client.echo_req(echo(text)).await.expect("is answered");
        assert_eq!(answer.text, text);
    }
    let error = ada.act_req(act("fail")).await.expect_err("it fails");
    assert_eq!(error.to_string(), "NOT_FOUND: no such thing");
    assert!(matches!(next(&mut seen).await, SeenByServer::Act(what) if what == "fail"));
    let mut counted = bob.count_req(count(0, 1000)).await.expect("is answered");
    for number in 0..1000 {
        let item = counted.next().await.expect("another").expect("a number");
        assert_eq!(item.number, number);
    }
    assert!(counted.next().await.is_none());
    let numbers = stream::iter((20..=30).map(|number| SumReq { number }));
    assert_eq!(ada.sum_req(numbers).await.expect("is answered").sum, 275);
    let words = stream::iter(["a", "b"].map(|text| ShoutReq { text: text.into() }));
    let shouted = bob.shout_req(words).await.expect("is answered");
    let shouted: Vec<_> = shouted
        .map(|item| item.expect("a word").text)
        .collect()
        .await;
    assert_eq!(shouted, ["A", "B"]);
    let mut sender = ada.sender();
    for number in 0..500 {
        sender.note_ind(note(number)).await.expect("is taken");
    }
    sender.flush().await.expect("is sent");
    for number in 0..500 {
        assert!(matches!(next(&mut seen).await, SeenByServer::Note(heard) if heard == number));
    }

    // Server to client, each to the one that is meant.
    of_ada.note_ind(note(1)).await.expect("is sent");
    of_bob
        .save_ind(SaveInd { number: 2 })
        .await
        .expect("is kept");
    let mut pushed = of_ada.sender();
    pushed.note_ind(note(3)).await.expect("is taken");
    pushed.flush().await.expect("is sent");
    let answer = bob.act_req(act("ask")).await.expect("is answered");
    assert!(
        !answer.done.is_empty(),
        "the server has asked the client that asked it"
    );
    assert!(matches!(next(&mut seen).await, SeenByServer::Act(_)));
    let mut room = of_bob.everyone();
    assert_eq!(room.note_ind(note(4)), 2);
    assert_eq!(of_bob.others().note_ind(note(5)), 1);
    room = room.except(of_ada.id());
    assert_eq!(room.note_ind(note(6)), 1);
    for number in [1, 3, 4, 5] {
        assert!(matches!(next(&mut to_ada).await, SeenByClient::Note(heard) if heard == number));
    }
    assert!(matches!(next(&mut to_bob).await, SeenByClient::Save(2)));
    for number in [4, 6] {
        assert!(matches!(next(&mut to_bob).await, SeenByClient::Note(heard) if heard == number));
    }

    // One leaves, and the other is put out.
    ada.close().await;
    assert!(matches!(
        next(&mut seen).await,
        SeenByServer::Disconnected(_)
    ));
    assert!(of_ada.connection().is_gone() && !of_bob.connection().is_gone());
    of_bob.disconnect(Status::new(Code::PermissionDenied, "enough"));
    match next(&mut to_bob).await {
        SeenByClient::ClosedByServer(status) => assert_eq!(status.message(), "enough"),
        SeenByClient::Disconnected(_) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        next(&mut seen).await,
        SeenByServer::Disconnected(_)
    ));
    assert!(server.peers().is_empty());
    soon("the end of the server", server.shutdown()).await;
}

#[tokio::test]
async fn a_client_that_came_before_the_first_server_is_told_of_its_schema() {
    let broker = Broker::start().await;
    let (ada, mut to_ada) = client(&broker, "room1").await;
    assert_eq!(ada.connection().server_fingerprint(), 0);
    let (handler, mut seen) = LabServer::new();
    let _server = attach(&broker, "room1", handler).await;
    let of_ada = come(&mut seen).await;
    // What the broker has told comes before it.
    of_ada.note_ind(note(1)).await.expect("is sent");
    assert!(matches!(next(&mut to_ada).await, SeenByClient::Note(1)));
    assert_eq!(ada.connection().server_fingerprint(), Lab::fingerprint());
}

#[tokio::test]
async fn a_client_that_floods_holds_up_no_other_client_of_the_service() {
    let broker = Broker::start().await;
    let (handler, mut seen) = LabServer::new();
    let gate = Arc::new(Semaphore::new(0));
    let _server = attach(&broker, "room1", handler.gated(&gate)).await;
    let (flooder, _heard) = client(&broker, "room1").await;
    come(&mut seen).await;
    let (caller, _heard) = client(&broker, "room1").await;
    come(&mut seen).await;
    let flooding = tokio::spawn(async move {
        for number in 0..5_000 {
            flooder.note_ind(note(number)).await.expect("is sent");
        }
        flooder
    });
    for _ in 0..50 {
        let answer = soon("an answer", caller.echo_req(echo("here"))).await;
        answer.expect("is answered");
    }
    gate.add_permits(5_000);
    for number in 0..5_000 {
        assert!(matches!(next(&mut seen).await, SeenByServer::Note(heard) if heard == number));
    }
    drop(flooding.await.expect("no panic"));
}

#[tokio::test]
async fn a_server_of_many_topics_sees_at_which_one_a_client_speaks() {
    let broker = Broker::start().await;
    let (handler, mut seen) = LabServer::new();
    let server = attach(&broker, "devices/+", handler).await;
    let (seven, mut to_seven) = client(&broker, "devices/7").await;
    let of_seven = come(&mut seen).await;
    let (eight, mut to_eight) = client(&broker, "devices/8").await;
    let of_eight = come(&mut seen).await;
    assert_eq!(of_seven.topic(), Some("devices/7"));
    assert_eq!(of_eight.topic(), Some("devices/8"));
    assert_eq!(of_seven.everyone().note_ind(note(7)), 1);
    let at_eight = server.broadcast_at("devices/8").expect("is served");
    assert_eq!(at_eight.note_ind(note(8)), 1);
    assert!(matches!(next(&mut to_seven).await, SeenByClient::Note(7)));
    assert!(matches!(next(&mut to_eight).await, SeenByClient::Note(8)));
    assert_eq!(
        seven.echo_req(echo("7")).await.expect("is answered").text,
        "7"
    );
    assert_eq!(
        eight.echo_req(echo("8")).await.expect("is answered").text,
        "8"
    );
}

#[tokio::test]
async fn another_instance_takes_over_when_one_shuts_down_and_no_call_is_lost() {
    let broker = Broker::start().await;
    let (handler, mut first_seen) = LabServer::new();
    let first = attach(&broker, "room1", handler).await;
    let (ada, _heard) = client(&broker, "room1").await;
    come(&mut first_seen).await;
    let (handler, mut second_seen) = LabServer::new();
    let _second = attach(&broker, "room1", handler).await;
    let calling = tokio::spawn(async move {
        let options = CallOptions::new();
        for number in 0..200 {
            let text = number.to_string();
            let answer = ada.with(options.clone()).echo_req(echo(&text)).await;
            assert_eq!(answer.expect("is answered").text, text);
        }
        ada
    });
    soon("the end of the first", first.shutdown()).await;
    let ada = soon("all calls", calling).await.expect("no panic");
    ada.save_ind(SaveInd { number: 1 }).await.expect("is kept");
    loop {
        // It may have been told before of the client.
        match next(&mut second_seen).await {
            SeenByServer::Save(1) => break,
            SeenByServer::Connected(peer) => {
                assert_eq!(peer.id().number(), ada.connection().peer_id());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_instance_that_drains_ends_what_several_clients_have_open_in_every_shape() {
    let broker = Broker::start().await;
    let (handler, mut seen) = LabServer::new();
    let gate = Arc::new(Semaphore::new(0));
    let first = attach(&broker, "room1", handler.gated(&gate)).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(client(&broker, "room1").await.0);
        come(&mut seen).await;
    }
    // Each has a call open, a stream that it has begun to read, one that it has begun to write, and one of both.
    let mut open = Vec::new();
    for client in &clients {
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.act_req(act("wait")).await }
        });
        assert!(matches!(next(&mut seen).await, SeenByServer::Act(_)));
        let mut counted = client.count_req(count(0, 2000)).await.expect("begins");
        assert_eq!(
            counted
                .next()
                .await
                .expect("an item")
                .expect("readable")
                .number,
            0
        );
        let (say_sum, numbers) = mpsc::channel(1);
        let summing = tokio::spawn({
            let client = client.clone();
            async move { client.sum_req(Items(numbers)).await }
        });
        say_sum
            .send(SumReq { number: 1 })
            .await
            .expect("it is read");
        let (say_word, words) = mpsc::channel(1);
        let mut shouted = client.shout_req(Items(words)).await.expect("begins");
        let word = |text: &str| ShoutReq { text: text.into() };
        say_word.send(word("a")).await.expect("it is read");
        assert_eq!(
            shouted
                .next()
                .await
                .expect("an item")
                .expect("readable")
                .text,
            "A"
        );
        open.push((waiting, counted, (say_sum, summing), (say_word, shouted)));
    }
    let (handler, mut elsewhere) = LabServer::new();
    let second = attach(&broker, "room1", handler).await;
    let draining = first.draining();
    let stopping = tokio::spawn(first.shutdown());
    soon("the drain", draining).await;
    // What is new goes to the other one.
    for client in &clients {
        loop {
            let answer = client.act_req(act("answer 1")).await;
            assert_eq!(answer.expect("is answered").done, "x");
            match elsewhere.try_recv() {
                Ok(SeenByServer::Act(_)) => break,
                Ok(SeenByServer::Connected(_)) | Err(_) => {}
                Ok(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(!stopping.is_finished());
    // What is open goes on to its end.
    gate.add_permits(clients.len());
    for (waiting, mut counted, (say_sum, summing), (say_word, mut shouted)) in open {
        let answer = soon("an answer", waiting).await.expect("no panic");
        assert_eq!(answer.expect("is answered").done, "waited");
        for number in 1..2000 {
            let item = soon("an item", counted.next()).await.expect("another");
            assert_eq!(item.expect("readable").number, number);
        }
        assert!(counted.next().await.is_none());
        say_sum
            .send(SumReq { number: 2 })
            .await
            .expect("it is read");
        drop(say_sum);
        let sum = soon("a sum", summing).await.expect("no panic");
        assert_eq!(sum.expect("is answered").sum, 3);
        say_word
            .send(ShoutReq { text: "b".into() })
            .await
            .expect("it is read");
        drop(say_word);
        assert_eq!(
            shouted
                .next()
                .await
                .expect("an item")
                .expect("readable")
                .text,
            "B"
        );
        assert!(shouted.next().await.is_none());
    }
    soon("the end of the first", stopping)
        .await
        .expect("no panic");
    for client in &clients {
        client.echo_req(echo("still")).await.expect("is answered");
    }
    soon("the end of the second", second.shutdown()).await;
}

#[tokio::test]
async fn a_stream_without_end_does_not_hold_up_an_instance_that_drains_for_longer_than_it_may() {
    let broker = Broker::start().await;
    let (handler, mut seen) = LabServer::new();
    let url = format!("{}/room1?drain_timeout=50ms", broker.url);
    let server = Server::<Lab>::attach(url, handler)
        .await
        .expect("is attached");
    let (ada, _heard) = client(&broker, "room1").await;
    come(&mut seen).await;
    let mut counted = ada.count_req(count(0, 0)).await.expect("begins");
    let reading = tokio::spawn(async move {
        loop {
            match counted.next().await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    });
    soon("the end", server.shutdown()).await;
    let end = soon("the end of the stream", reading)
        .await
        .expect("no panic");
    let error = end.expect("it has broken off").expect_err("it has no end");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

/// What is sent to a stream of requests.
struct Items<T>(mpsc::Receiver<T>);

impl<T> stream::Stream for Items<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(task)
    }
}
