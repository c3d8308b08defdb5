//! What a server says on its own.

use msip_runtime::{CallOptions, Code, Peer, Status};
use msip_tests::{
    SeenByServer,
    lab::{AskReq, Lab as LabProtocol, NoteInd, SaveInd, SendServerToClient as _},
    soon,
};

use crate::{
    client::{Ask, Connection},
    fixture::Lab,
};

const EVENTS: &str = "/v1/lab/events";

/// An event stream that is open, and the peer that the server knows it by.
async fn listen(lab: &mut Lab, ask: Ask) -> (Connection, Peer<LabProtocol>) {
    let mut connection = ask.open(lab.url()).await;
    let head = connection.head().await;
    assert_eq!(
        (head.status, &*head.headers["content-type"]),
        (200, "text/event-stream")
    );
    let connected = |event| match event {
        SeenByServer::Connected(peer) => Some(peer),
        _ => None,
    };
    let peer = lab.seen("a client", connected).await;
    (connection, peer)
}

fn note(number: u64) -> NoteInd {
    NoteInd {
        number,
        ..NoteInd::default()
    }
}

/// The id of an event, and the rest of it.
fn parts(event: &str) -> (String, String) {
    let lines = event
        .lines()
        .partition::<Vec<_>, _>(|line| line.starts_with("id: "));
    (lines.0.concat().replace("id: ", ""), lines.1.join("\n"))
}

#[tokio::test]
async fn they_are_events_of_the_members_name_and_are_there_for_who_comes_back() {
    let mut lab = Lab::start().await;
    let (mut connection, peer) = listen(&mut lab, Ask::get(EVENTS)).await;
    peer.note_ind(note(1)).await.unwrap();
    let (id, event) = parts(&connection.event().await.unwrap());
    assert_eq!(event, "event: note_ind\ndata: {\"number\":\"1\"}");
    drop(connection);
    peer.note_ind(note(2)).await.unwrap();
    let again = Ask::get(EVENTS).header("last-event-id", &id);
    let mut connection = again.open(lab.url()).await;
    connection.head().await;
    let (_, event) = parts(&connection.event().await.unwrap());
    assert_eq!(event, "event: note_ind\ndata: {\"number\":\"2\"}");
    // What was kept by another session is not there.
    let unknown = Ask::get(&format!("{EVENTS}?last-event-id=abc-1"));
    let mut connection = unknown.open(lab.url()).await;
    connection.head().await;
    let (_, event) = parts(&connection.event().await.unwrap());
    assert_eq!(event, "event: lost\ndata: {}");
}

#[tokio::test]
async fn a_delivery_is_acknowledged_while_somebody_listens() {
    let mut lab = Lab::start().await;
    let (mut connection, peer) = listen(&mut lab, Ask::get(EVENTS)).await;
    peer.save_ind(SaveInd { number: 5 }).await.unwrap();
    let (_, event) = parts(&connection.event().await.unwrap());
    assert_eq!(event, "event: save_ind\ndata: {\"number\":\"5\"}");
    drop(connection);
    // Until the gateway has seen that nobody is there any more.
    let refused = soon("a refusal", async {
        loop {
            if let Err(error) = peer.save_ind(SaveInd { number: 6 }).await {
                return error;
            }
        }
    });
    assert_eq!(refused.await.code(), Code::Unavailable);
    let asked = peer.ask_req(AskReq::default()).await.unwrap_err();
    assert_eq!(asked.code(), Code::Unimplemented);
}

#[tokio::test]
async fn each_session_hears_what_is_said_to_it() {
    let mut lab = Lab::start().await;
    let named = |name: &str| Ask::get(EVENTS).header("msip-session", name);
    let (mut one, first) = listen(&mut lab, named("one")).await;
    let by_query = Ask::get(&format!("{EVENTS}?msip-session=two"));
    let (mut two, second) = listen(&mut lab, by_query).await;
    first.note_ind(note(1)).await.unwrap();
    second.note_ind(note(2)).await.unwrap();
    assert!(
        one.event()
            .await
            .unwrap()
            .ends_with("data: {\"number\":\"1\"}")
    );
    assert!(
        two.event()
            .await
            .unwrap()
            .ends_with("data: {\"number\":\"2\"}")
    );
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn a_slow_reader_is_told_and_ended_and_holds_nobody_up() {
    let mut lab = Lab::start().await;
    let (mut connection, peer) = listen(&mut lab, Ask::get(EVENTS)).await;
    // More than sockets and the session keep.
    for number in 0..200 {
        let heavy = NoteInd {
            number,
            ballast: vec![0; 256 * 1024],
        };
        peer.with(CallOptions::new()).note_ind(heavy).await.unwrap();
    }
    let mut last = String::new();
    while let Some(event) = connection.event().await {
        last = event;
    }
    assert!(
        last.starts_with("event: error\ndata: {\"code\":\"RESOURCE_EXHAUSTED\""),
        "{last:.100}"
    );
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_told() {
    let mut lab = Lab::start().await;
    let (mut connection, peer) = listen(&mut lab, Ask::get(EVENTS)).await;
    peer.disconnect(Status::permission_denied("enough"));
    let event = connection.event().await.unwrap();
    assert!(
        event.starts_with("event: error\ndata: {\"code\":\"UNAVAILABLE\""),
        "{event}"
    );
    assert_eq!(connection.event().await, None);
}

#[tokio::test]
async fn a_session_that_is_lost_is_told_and_the_next_one_is_heard() {
    let mut lab = Lab::start().await;
    let (mut connection, _) = listen(&mut lab, Ask::get(EVENTS)).await;
    lab.server.abort();
    let _ = (&mut lab.server).await;
    let (_, mut events, _server) = msip_tests::start(&lab.server_url).await;
    let peer = soon("a client", async {
        loop {
            if let Some(SeenByServer::Connected(peer)) = events.recv().await {
                return peer;
            }
        }
    });
    let peer = peer.await;
    peer.note_ind(note(4)).await.unwrap();
    let (_, lost) = parts(&connection.event().await.unwrap());
    assert_eq!(lost, "event: lost\ndata: {}");
    let (_, event) = parts(&connection.event().await.unwrap());
    assert_eq!(event, "event: note_ind\ndata: {\"number\":\"4\"}");
}
