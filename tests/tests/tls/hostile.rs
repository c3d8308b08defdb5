//! Handshakes and connections that go wrong.

use std::io::{Read as _, Write as _};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use msip_runtime::{
    DisconnectReason,
    transport::{TlsError, rustls::version::TLS13},
    wire::{FrameType, Header},
};
use msip_tests::{Authority, SeenByServer, next, raw};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    connect, is_served,
    plaintext::{said_of_next, tls_listener},
    raw_tls::{self, RawTls},
    refusal, serve, serve_with,
};

/// The beginning of a handshake by somebody who speaks TLS 1.1 at most: a hello without extensions.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.push(0);
    // Two ciphers, no compression.
    hello.extend([0, 4, 0xc0, 0x13, 0xc0, 0x14, 1, 0]);
    framed_hello(&hello)
}

fn framed_hello(body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).expect("is short");
    [&[22, 3, 1, 0, len + 4, 1, 0, 0, len][..], body].concat()
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let (_folder, listener) = tls_listener(&Authority::new("authority")).await;
    let url = listener.local_url().to_string();
    let said = spawn_blocking(move || {
        let mut socket = raw_tls::dial(&url);
        socket.write_all(&hello_of_tls_1_1()).expect("written");
        raw_tls::read_to_the_end(&mut socket)
    });
    assert_eq!(
        said_of_next(&listener).await,
        "the client speaks no version of TLS that this server does (TLS 1.3 and 1.2)"
    );
    let said = said.await.expect("no panic");
    // handshake_failure: the hello lacks an extension of later versions.
    assert!(matches!(said[..], [21, 3, _, 0, 2, 2, 40]), "{said:?}");
}

#[tokio::test]
async fn a_client_that_speaks_another_protocol_over_tls_is_refused() {
    let authority = Authority::new("authority");
    let (url, _events) = serve(authority.issue_local().server_tls()).await;
    let raw = spawn_blocking(move || {
        let refused = RawTls::connect(&url, &authority, &TLS13, &[b"h2"]);
        refused.err().expect("is refused").to_string()
    });
    let refused = raw.await.expect("no panic");
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn a_handshake_that_stops_in_the_middle_holds_up_nobody() {
    let authority = Authority::new("authority");
    let (url, _events) = serve(authority.issue_local().server_tls()).await;
    let hello = hello_of_tls_1_1();
    let mut sockets = Vec::new();
    for len in [0, 1, 5, 6, hello.len() - 1] {
        let mut socket = raw_tls::dial(&url);
        socket.write_all(&hello[..len]).expect("written");
        sockets.push(socket);
    }
    is_served(
        &connect(&url, authority.client_tls())
            .await
            .expect("connects"),
    )
    .await;
    // Those that go away are done with; the others have `handshake_timeout`.
    sockets.truncate(2);
    is_served(
        &connect(&url, authority.client_tls())
            .await
            .expect("connects"),
    )
    .await;
}

/// Ten thousand in all, a few hundred at a time, at a server which has 16 at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_half_open_handshakes() {
    const CROWD: usize = 250;
    const CROWDS: usize = 40;
    let authority = Authority::new("authority");
    let tls = authority.issue_local().server_tls();
    let (url, _events) = serve_with(tls, "max_handshakes=16").await;
    let first = connect(&url, authority.client_tls())
        .await
        .expect("connects");
    let hello = hello_of_tls_1_1();
    for _ in 0..CROWDS {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let socket = TcpStream::connect(raw_tls::address(&url)).await;
            let mut socket = socket.expect("connects");
            // It leaves with a reset, and no port stays taken.
            socket.set_zero_linger().expect("can be set");
            let part = &hello[..hello.len() - 1];
            socket.write_all(part).await.expect("written");
            crowd.push(socket);
        }
        is_served(&first).await;
    }
    is_served(
        &connect(&url, authority.client_tls())
            .await
            .expect("connects"),
    )
    .await;
    is_served(&first).await;
}

/// A raw client whose HELLO was answered, and what the server sees.
async fn entered(alpn: &'static [&'static [u8]]) -> (RawTls, mpsc::Receiver<SeenByServer>) {
    let authority = Authority::new("authority");
    let (url, mut events) = serve(authority.issue_local().server_tls()).await;
    let raw = spawn_blocking(move || {
        let mut raw = RawTls::connect(&url, &authority, &TLS13, alpn).expect("connects");
        raw.say(&raw::hello_frame(&raw::hello()));
        let header = raw.hear(24).try_into().expect("24 bytes");
        let header = Header::parse(&header).expect("a header");
        assert_eq!(header.frame_type, FrameType::Ack);
        raw.hear(header.payload_len as usize);
        raw
    });
    let raw = raw.await.expect("no panic");
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Connected(_)
    ));
    (raw, events)
}

async fn disconnected(mut events: mpsc::Receiver<SeenByServer>) -> DisconnectReason {
    match next(&mut events).await {
        SeenByServer::Disconnected(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_after_the_handshake_ends_the_connection() {
    let (mut raw, events) = entered(&[b"msip/1"]).await;
    // A record of the right form, which nobody has sealed.
    let garbage = [&[23, 3, 3, 0, 40][..], &[9; 40]].concat();
    raw.socket().write_all(&garbage).expect("written");
    let reason = disconnected(events).await;
    assert!(matches!(reason, DisconnectReason::Transport(_)), "{reason}");
    // And one of no form at all.
    let (mut raw, events) = entered(&[b"msip/1"]).await;
    raw.socket().write_all(b"no record").expect("written");
    let reason = disconnected(events).await;
    assert!(matches!(reason, DisconnectReason::Transport(_)), "{reason}");
}

#[tokio::test]
async fn an_end_without_close_notify_is_the_end_of_input_and_so_is_one_with_it() {
    let (raw, events) = entered(&[b"msip/1"]).await;
    drop(raw);
    assert!(matches!(disconnected(events).await, DisconnectReason::Eof));
    let (mut raw, events) = entered(&[]).await;
    raw.close_notify();
    assert!(matches!(disconnected(events).await, DisconnectReason::Eof));
}

#[tokio::test]
async fn a_server_that_leaves_in_the_handshake_is_no_server_for_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let url = format!("tls://{}", listener.local_addr().expect("has one"));
    let server = spawn_blocking(move || {
        let (mut socket, _) = listener.accept().expect("accepted");
        let mut hello = [0; 5];
        socket.read_exact(&mut hello).expect("a hello");
    });
    let told = refusal(&url, Authority::new("authority").client_tls()).await;
    server.await.expect("no panic");
    assert_eq!(told, TlsError::Closed);
}
