//! Datagrams of those who have no key, and of those who have seen some.

use std::{net::SocketAddr, sync::Arc};

use msip_tests::{
    gauges::{SendClientToServer as _, SendServerToClient as _},
    next, soon,
};
use tokio::{net::UdpSocket, task::JoinSet};

use crate::{
    talk::{Seen, Served, Talk, line},
    tap::EMPTY_LEN,
};

/// Somebody else on this machine.
struct Stranger(UdpSocket);

impl Stranger {
    async fn at(server: SocketAddr) -> Self {
        Self::from("127.0.0.1", server).await
    }

    /// With this address of its own.
    async fn from(ip: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).await.expect("binds");
        socket.connect(server).await.expect("connects");
        Self(socket)
    }

    async fn send(&self, datagram: &[u8]) {
        self.0.send(datagram).await.expect("sent");
    }

    /// Whether nothing was sent to it.
    fn has_no_answer(&self) -> bool {
        self.0.try_recv(&mut [0; 1]).is_err()
    }
}

/// The next log that is handled is this one, which is sent now: nothing that was sent before is.
async fn expect_next(served: &mut Served, talk: &mut Talk, number: u64) {
    talk.log(number).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(number));
}

/// The same of the client.
async fn expect_next_of_client(talk: &mut Talk, number: u64) {
    talk.peer.line_log(line(number, 0)).await.expect("sent");
    assert_eq!(next(&mut talk.logs).await, number);
    talk.tap.of_server().await;
}

#[tokio::test]
async fn what_was_not_made_with_the_key_is_not_taken_and_not_answered() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log,metric", "").await;
    let (of_server, _) = talk.log_of_server().await;
    let known = talk.log(1).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(1));
    let stranger = Stranger::at(served.udp).await;
    let mut forged = Vec::new();
    // Every byte in turn is another: the tag, the counter, the frame, the code.
    for place in 0..known.len() {
        let mut datagram = known.clone();
        datagram[place] ^= 0x40;
        forged.push(datagram);
    }
    // A counter that was not there, with the code of one that was.
    for counter in [0, 3, 100, u64::MAX] {
        let mut datagram = known.clone();
        datagram[8..16].copy_from_slice(&u64::to_be_bytes(counter));
        forged.push(datagram);
    }
    // Lengths: parts of it, nothing, the longest that there may be, one more, and far more.
    for len in [0, 1, 8, 16, 31, EMPTY_LEN, known.len() - 1] {
        forged.push(known[..len].to_vec());
    }
    for len in [1200, 1201, 1500, 9000, 60_000] {
        let mut datagram = known.clone();
        datagram.resize(len, 0);
        forged.push(datagram);
    }
    // What the server has sent itself.
    forged.push(of_server.clone());
    for (index, datagram) in forged.iter().enumerate() {
        stranger.send(datagram).await;
        talk.tap.to_server(datagram).await;
        if index.is_multiple_of(16) {
            expect_next(&mut served, &mut talk, 2).await;
        }
    }
    expect_next(&mut served, &mut talk, 3).await;
    assert!(stranger.has_no_answer());
    // The server sends to the client as before.
    expect_next_of_client(&mut talk, 4).await;
    assert_eq!(talk.peer.connection().dropped().total(), 0);
}

#[tokio::test]
async fn a_client_takes_nothing_but_what_its_server_has_made() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log,metric", "").await;
    let (known, _) = talk.log_of_server().await;
    let of_client = talk.log(1).await;
    for place in 0..known.len() {
        let mut datagram = known.clone();
        datagram[place] ^= 1;
        talk.tap.to_client(&datagram).await;
        if place.is_multiple_of(16) {
            expect_next_of_client(&mut talk, 2).await;
        }
    }
    let mut longer = known.clone();
    longer.resize(1201, 0);
    // Once more, too long, its own, and nothing.
    for datagram in [&known[..], &longer, &of_client, &[]] {
        talk.tap.to_client(datagram).await;
    }
    expect_next_of_client(&mut talk, 3).await;
    assert_eq!(talk.client.connection().dropped().total(), 0);
}

#[tokio::test]
async fn a_datagram_is_taken_once_whoever_sends_it_again() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log,metric", "").await;
    talk.log_of_server().await;
    let stranger = Stranger::at(served.udp).await;
    let mut seen = Vec::new();
    for number in 0..100 {
        seen.push(talk.log(number).await);
        assert_eq!(next(&mut served.seen).await, Seen::Log(number));
        for datagram in seen.iter().rev().take(3) {
            stranger.send(datagram).await;
            talk.tap.to_server(datagram).await;
        }
    }
    for datagram in &seen {
        stranger.send(datagram).await;
    }
    expect_next(&mut served, &mut talk, 1000).await;
    // Not even to whoever has sent the newest once more does the server send anything.
    expect_next_of_client(&mut talk, 1001).await;
    assert!(stranger.has_no_answer());
}

#[tokio::test]
async fn late_ones_are_taken_within_the_window_and_not_beyond_it() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    // The client says where it is once, and then only sends logs.
    let mut talk = served.connect("log", "&ping_interval=1h").await;
    expect_next(&mut served, &mut talk, 0).await;
    talk.tap.set_holds(true);
    let mut held = Vec::new();
    for number in 1..=100 {
        held.push(talk.log(number).await);
    }
    talk.tap.set_holds(false);
    // The newest first: of the 99 before it 63 are within the window.
    for datagram in held.iter().rev() {
        talk.tap.to_server(datagram).await;
    }
    for number in (37..=100).rev() {
        assert_eq!(next(&mut served.seen).await, Seen::Log(number));
    }
    expect_next(&mut served, &mut talk, 1000).await;
    for datagram in &held {
        talk.tap.to_server(datagram).await;
    }
    expect_next(&mut served, &mut talk, 1001).await;
}

#[tokio::test]
async fn a_tag_of_another_session_is_of_no_use() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut victim = served.connect("log", "").await;
    let mut attacker = served.connect("log", "").await;
    let of_victim = victim.log(1).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(1));
    attacker.tap.set_holds(true);
    for number in 100..120 {
        // What it has made itself, with the tag of the other: and the other way round.
        let own = attacker.log(number).await;
        let mut datagram = own.clone();
        datagram[..8].copy_from_slice(&of_victim[..8]);
        attacker.tap.to_server(&datagram).await;
        let mut datagram = of_victim.clone();
        datagram[..8].copy_from_slice(&own[..8]);
        attacker.tap.to_server(&datagram).await;
    }
    expect_next(&mut served, &mut victim, 2).await;
    attacker.tap.set_holds(false);
    expect_next(&mut served, &mut attacker, 3).await;
}

#[tokio::test]
async fn the_server_sends_to_where_the_newest_authentic_datagram_has_come_from() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log", "&ping_interval=1h").await;
    talk.log_of_server().await;
    talk.tap.set_holds(true);
    let (older, newer) = (talk.log(1).await, talk.log(2).await);
    talk.tap.set_holds(false);
    // Whoever can send what the client has sent is where the client is, as far as anybody can tell.
    let elsewhere = Stranger::at(served.udp).await;
    elsewhere.send(&newer).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(2));
    talk.peer.line_log(line(3, 0)).await.expect("sent");
    let mut buffer = [0; 2000];
    let received = soon("a datagram", elsewhere.0.recv(&mut buffer)).await;
    let received = buffer[..received.expect("received")].to_vec();
    // One that is late does not say where it is now.
    talk.tap.to_server(&older).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(1));
    talk.peer.line_log(line(4, 0)).await.expect("sent");
    let again = soon("a datagram", elsewhere.0.recv(&mut buffer)).await;
    again.expect("received");
    // The client is there again with its next one; what went elsewhere meanwhile is taken late.
    expect_next(&mut served, &mut talk, 5).await;
    talk.peer.line_log(line(6, 0)).await.expect("sent");
    assert_eq!(next(&mut talk.logs).await, 6);
    talk.tap.to_client(&received).await;
    assert_eq!(next(&mut talk.logs).await, 3);
}

/// Elsewhere loopback has one address.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn whoever_has_the_key_cannot_have_datagrams_sent_to_another_address() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log", "&ping_interval=1h").await;
    talk.log_of_server().await;
    let third_party = Stranger::from("127.0.0.2", served.udp).await;
    for number in 0..20 {
        talk.tap.set_holds(true);
        let forged = talk.log(number).await;
        talk.tap.set_holds(false);
        third_party.send(&forged).await;
        assert_eq!(next(&mut served.seen).await, Seen::Log(number));
        // The client hears it all the same: by the stream.
        talk.peer.line_log(line(number, 0)).await.expect("sent");
        assert_eq!(next(&mut talk.logs).await, number);
        assert_eq!(talk.tap.count_of_server(), 0);
    }
    assert!(third_party.has_no_answer());
    // By datagrams again, once one has come from where the client's connection comes from.
    expect_next(&mut served, &mut talk, 100).await;
    expect_next_of_client(&mut talk, 101).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_garbage_holds_up_nobody() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log,metric", "").await;
    let known = talk.log(1).await;
    assert_eq!(next(&mut served.seen).await, Seen::Log(1));
    let stranger = Arc::new(Stranger::at(served.udp).await);
    let mut flood = JoinSet::new();
    let mut forged = known.clone();
    forged.resize(1200, 7);
    for datagram in [vec![0; 1], vec![1; 40], vec![2; 1400], forged, known] {
        let stranger = Arc::clone(&stranger);
        flood.spawn(async move {
            loop {
                // Where the socket is full it waits.
                let _ = stranger.0.send(&datagram).await;
                tokio::task::yield_now().await;
            }
        });
    }
    for number in 0..200 {
        let echoed = soon("an answer", talk.client.echo_req(line(number, 0))).await;
        assert_eq!(echoed.expect("answered").number, number);
    }
    // Some of its own get through.
    soon("a log", async {
        let mut number = 1000;
        while served.seen.is_empty() {
            talk.client.line_log(line(number, 0)).await.expect("sent");
            talk.client
                .echo_req(line(number, 0))
                .await
                .expect("answered");
            number += 1;
        }
    })
    .await;
    flood.shutdown().await;
    assert!(stranger.has_no_answer());
    assert_eq!(talk.peer.connection().dropped().total(), 0);
}
