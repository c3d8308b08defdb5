//! Rooms: groups of a server's clients.

use std::sync::Barrier;

use msip_runtime::{Broadcast, Client, Peer, RoomError, Server, testing, transport::ServiceUrl};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{BroadcastServerToClient as _, Lab, SendServerToClient as _, ServerToClient},
    messages::note,
    next,
    proxy::Proxy,
    soon,
};
use tokio::sync::mpsc;

/// A server whose broadcast the test has.
struct Hall {
    url: ServiceUrl,
    everyone: Broadcast<Lab>,
    events: mpsc::Receiver<SeenByServer>,
}

/// A client, what it sees, and what the server has of it.
struct Guest {
    client: Client<Lab>,
    seen: mpsc::Receiver<SeenByClient>,
    peer: Peer<Lab>,
}

impl Hall {
    async fn open(query: &str) -> Self {
        let server = Server::<Lab>::bind(format!("tcp://127.0.0.1:0{query}"))
            .await
            .expect("binds");
        let (handler, events) = LabServer::new();
        let hall = Self {
            url: server.local_url().clone(),
            everyone: server.broadcast(),
            events,
        };
        tokio::spawn(server.serve(handler));
        hall
    }

    async fn guest(&mut self) -> Guest {
        let url = self.url.clone();
        self.guest_by(&url.to_string()).await
    }

    async fn guest_by(&mut self, url: &str) -> Guest {
        let (client, mut seen) = LabClient::connect(url).await;
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
        let peer = connected(&mut self.events).await;
        Guest { client, seen, peer }
    }
}

impl Guest {
    async fn next_note(&mut self) -> u64 {
        match next(&mut self.seen).await {
            SeenByClient::Note(number) => number,
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn a_room_is_heard_by_those_who_are_in_it() {
    let mut hall = Hall::open("").await;
    let (mut ada, mut bob, mut cid) = (hall.guest().await, hall.guest().await, hall.guest().await);
    let north = hall.everyone.room("north");
    assert!(north.is_empty() && north.peers().is_empty());
    assert_eq!(north.note_ind(note(1)), 0, "nobody is in it");
    for guest in [&ada, &bob, &ada] {
        north.join(&guest.peer).expect("joins");
    }
    // Another handle of the same room.
    let room = cid.peer.everyone().room("north");
    assert_eq!((room.len(), room.peers().len()), (2, 2));
    assert!(room.contains(ada.peer.id()) && !room.contains(cid.peer.id()));
    assert_eq!(ada.peer.rooms(), ["north"]);
    assert_eq!(room.note_ind(note(2)), 2);
    assert_eq!(room.except(ada.peer.id()).note_ind(note(3)), 1);
    let broadcast = room.except(cid.peer.id());
    assert!(broadcast.peer(ada.peer.id()).is_some());
    assert!(broadcast.peer(cid.peer.id()).is_none());
    assert!(north.leave(bob.peer.id()) && !north.leave(bob.peer.id()));
    assert_eq!(broadcast.note_ind(note(4)), 1, "looked up at each send");
    assert_eq!(hall.everyone.note_ind(note(5)), 3);
    for number in [2, 4, 5] {
        assert_eq!(ada.next_note().await, number);
    }
    for number in [2, 3, 5] {
        assert_eq!(bob.next_note().await, number);
    }
    assert_eq!(cid.next_note().await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_hear_broadcasts_of_several_threads_in_one_order() {
    // Fewer than the credit of a connection.
    const EACH: u64 = 400;
    let mut hall = Hall::open("").await;
    let mut guests = [hall.guest().await, hall.guest().await, hall.guest().await];
    let north = hall.everyone.room("north");
    for guest in &guests {
        north.join(&guest.peer).expect("joins");
    }
    let begin = &Barrier::new(2);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            begin.wait();
            for number in 0..EACH {
                assert_eq!(hall.everyone.note_ind(note(number)), 3);
            }
        });
        begin.wait();
        for number in EACH..2 * EACH {
            assert_eq!(north.note_ind(note(number)), 3);
        }
    });
    let mut orders = Vec::new();
    for guest in &mut guests {
        let mut order = Vec::new();
        for _ in 0..2 * EACH {
            order.push(guest.next_note().await);
        }
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[0], orders[2]);
}

#[tokio::test]
async fn one_that_has_gone_has_left_and_may_not_join() {
    let mut hall = Hall::open("").await;
    let (ada, bob) = (hall.guest().await, hall.guest().await);
    let north = hall.everyone.room("north");
    for guest in [&ada, &bob] {
        north.join(&guest.peer).expect("joins");
    }
    ada.client.close().await;
    let left = async {
        while north.contains(ada.peer.id()) {
            tokio::task::yield_now().await;
        }
    };
    soon("leaves by itself", left).await;
    assert_eq!((north.len(), ada.peer.rooms().len()), (1, 0));
    assert_eq!(north.join(&ada.peer), Err(RoomError::Gone));
    let other = Hall::open("").await;
    let elsewhere = other.everyone.room("north");
    assert_eq!(elsewhere.join(&bob.peer), Err(RoomError::OtherServer));
    assert!(elsewhere.is_empty());
}

#[tokio::test]
async fn one_that_has_lost_its_connection_is_still_in_its_rooms() {
    let mut hall = Hall::open("").await;
    let address = hall.url.address().authority().parse().expect("an address");
    let proxy = Proxy::start(address).await;
    let mut ada = hall.guest_by(&proxy.url()).await;
    let north = hall.everyone.room("north");
    north.join(&ada.peer).expect("joins");
    proxy.cut();
    assert!(matches!(
        next(&mut ada.seen).await,
        SeenByClient::Disconnected(_)
    ));
    assert!(matches!(next(&mut ada.seen).await, SeenByClient::Connected));
    let event = next(&mut hall.events).await;
    assert!(matches!(event, SeenByServer::Disconnected(_)), "{event:?}");
    let again = connected(&mut hall.events).await;
    assert_eq!((again.id(), north.len()), (ada.peer.id(), 1));
    assert_eq!(north.note_ind(note(7)), 1);
    assert_eq!(ada.next_note().await, 7);
}

#[tokio::test]
async fn test_peers_have_rooms() {
    let ada = testing::peer::<Lab>();
    let bob = ada.beside();
    let north = ada.everyone().room("north");
    north.join(&ada).expect("joins");
    north.join(&bob).expect("joins");
    assert_eq!(north.except(ada.id()).note_ind(note(1)), 1);
    assert_eq!(bob.take_sent(), [ServerToClient::NoteInd(note(1))]);
    bob.leave();
    assert_eq!(north.len(), 1);
    assert_eq!(north.join(&bob), Err(RoomError::Gone));
    ada.note_ind(note(2)).await.expect("sends");
    assert_eq!(ada.take_sent(), [ServerToClient::NoteInd(note(2))]);
}
