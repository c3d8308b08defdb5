//! Datagrams and the connections of a session.

use msip_runtime::ConnectionState;
use msip_tests::{gauges::SendClientToServer as _, next, proxy::Proxy, soon};

use crate::talk::{Seen, Served, Talk, line};

/// Sends a log whose datagram is held back, and returns that.
async fn held(talk: &mut Talk, number: u64) -> Vec<u8> {
    talk.tap.set_holds(true);
    let datagram = talk.log(number).await;
    talk.tap.set_holds(false);
    datagram
}

/// Sends a log by a datagram, and returns that. Nothing that was sent before may arrive ahead of it.
async fn arrives(served: &mut Served, talk: &mut Talk, number: u64) -> Vec<u8> {
    let datagram = talk.log(number).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(number));
    datagram
}

#[tokio::test]
async fn a_resumed_session_has_another_key_and_the_one_before_is_worth_nothing() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let target = served
        .url
        .address()
        .authority()
        .parse()
        .expect("an address");
    let proxy = Proxy::start(target).await;
    let settings = "&reconnect_min=1ms&reconnect_max=5ms";
    let mut talk = served
        .connect_at(&proxy.url(), "log,metric", settings)
        .await;
    let mut earlier = vec![arrives(&mut served, &mut talk, 0).await];
    for round in 0..3 {
        let number = 100 + round;
        earlier.push(held(&mut talk, number).await);
        // That the connection is gone is known before there is another one.
        proxy.let_in(false);
        proxy.cut();
        next(&mut served.ends).await;
        for datagram in &earlier {
            talk.tap.to_server(datagram).await;
        }
        proxy.let_in(true);
        let peer = next(&mut served.peers).await;
        assert_eq!(peer.id(), talk.peer.id(), "it is the same session");
        let mut state = talk.client.connection().watch();
        let connected = state.wait_for(|state| *state == ConnectionState::Connected);
        soon("a connection", connected).await.expect("lives");
        for datagram in &earlier {
            talk.tap.to_server(datagram).await;
        }
        let datagram = arrives(&mut served, &mut talk, 200 + round).await;
        for before in &earlier {
            assert_ne!(datagram[..8], before[..8], "another tag");
        }
        earlier.push(datagram);
        let (of_server, _) = talk.log_of_server().await;
        talk.tap.to_client(&of_server).await;
    }
    assert_eq!(talk.client.connection().dropped().total(), 0);
    assert_eq!(talk.peer.connection().dropped().total(), 0);
}

#[tokio::test]
async fn datagrams_end_with_the_connection() {
    let mut served = Served::start("tcp://127.0.0.1:0?session_expiry=0s", 1_000_000).await;
    let mut gone = served.connect("log", "").await;
    let mut talk = served.connect("log", "").await;
    arrives(&mut served, &mut gone, 1).await;
    let late = held(&mut gone, 100).await;
    gone.client.close().await;
    next(&mut served.ends).await;
    gone.tap.to_server(&late).await;
    arrives(&mut served, &mut talk, 2).await;
    talk.client.done_ind(line(1, 0)).await.expect("sent");
    assert_eq!(next(&mut served.seen).await, Seen::Done(1));
}
