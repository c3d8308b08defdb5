//! Peers that speak QUIC and not MSIP.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use msip_runtime::{
    DisconnectReason, SendError,
    transport::ServiceUrl,
    wire::{Credit, FrameType, MsgId},
};
use msip_tests::{
    LabClient, SeenByServer, connected,
    lab::{EchoReq, SendClientToServer as _, SendServerToClient as _},
    messages::note,
    next, raw, soon, start,
};
use quinn::{
    ClientConfig, Connection, Endpoint,
    crypto::rustls::QuicClientConfig,
    rustls::{
        self, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject as _},
        version::TLS13,
    },
};
use tokio::{net::UdpSocket, time::timeout};

use crate::certificates::Certificates;

/// An endpoint of somebody else, which offers this protocol.
fn stranger(certificates: &Certificates, alpn: &[u8]) -> Endpoint {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(certificates.path("ca.pem")).expect("a certificate");
    roots.add(ca).expect("an authority");
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !alpn.is_empty() {
        tls.alpn_protocols = vec![alpn.to_vec()];
    }
    let crypto = QuicClientConfig::try_from(tls).expect("for QUIC");
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("binds");
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    endpoint
}

fn address(url: &ServiceUrl) -> SocketAddr {
    url.address().authority().parse().expect("an address")
}

async fn connect(endpoint: &Endpoint, url: &ServiceUrl) -> Connection {
    let connecting = endpoint.connect(address(url), "localhost").expect("begins");
    soon("a connection", connecting).await.expect("connects")
}

/// A client of ours is served.
async fn is_served(certificates: &Certificates, url: &ServiceUrl) {
    let (client, _seen) = LabClient::connect(certificates.connecting(url)).await;
    let answer = soon("an answer", client.echo_req(EchoReq::default())).await;
    answer.expect("answers");
}

#[tokio::test]
async fn another_protocol_is_refused_in_the_handshake() {
    let certificates = Certificates::new();
    let (url, _events, _server) = start(&certificates.listening()).await;
    for alpn in [b"h3".as_slice(), b"", b"msip/2"] {
        let endpoint = stranger(&certificates, alpn);
        let connecting = endpoint
            .connect(address(&url), "localhost")
            .expect("begins");
        let refused = soon("a refusal", connecting).await;
        let text = refused.expect_err("refused").to_string();
        assert!(
            text.contains("120") || text.to_lowercase().contains("protocol"),
            "{text}"
        );
    }
    is_served(&certificates, &url).await;
}

#[tokio::test]
async fn a_peer_has_one_stream_and_no_other() {
    let certificates = Certificates::new();
    let (url, _events, _server) = start(&certificates.listening()).await;
    let endpoint = stranger(&certificates, b"msip/1");
    let connection = connect(&endpoint, &url).await;
    let (mut send, _recv) = soon("a stream", connection.open_bi()).await.expect("opens");
    send.write_all(b"MS").await.expect("sent");
    assert_eq!(connection.max_datagram_size(), None, "no datagrams either");
    let more = async {
        tokio::select! {
            Ok(_) = connection.open_bi() => "a second stream",
            Ok(_) = connection.open_uni() => "a unidirectional stream",
            // The server gives it up after its time.
            _ = connection.closed() => "closed",
        }
    };
    assert_eq!(soon("the end", more).await, "closed");
    is_served(&certificates, &url).await;
}

#[tokio::test]
async fn a_peer_that_opens_no_stream_is_closed_in_time() {
    let certificates = Certificates::new();
    let listening = certificates.listening() + "&handshake_timeout=3s&max_handshakes=2";
    let (url, _events, _server) = start(&listening).await;
    let endpoint = stranger(&certificates, b"msip/1");
    let mut connections = Vec::new();
    for _ in 0..3 {
        let connecting = endpoint
            .connect(address(&url), "localhost")
            .expect("begins");
        connections.push(tokio::spawn(connecting.into_future()));
    }
    for connecting in connections {
        let connection = soon("a connection", connecting).await.expect("no panic");
        soon("the end", connection.expect("connects").closed()).await;
    }
    is_served(&certificates, &url).await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off_and_holds_little() {
    const BALLAST: u64 = 64 * 1024;
    /// The queue of the server, what it has under way, and what the peer's QUIC takes without its reading.
    const HELD: u64 = 256 * 1024 + 1024 * 1024 + 1_250_000;
    let certificates = Certificates::new();
    let listening = certificates.listening() + "&write_timeout=1s&outgoing_queue=256KiB";
    let (url, mut events, _server) = start(&listening).await;
    let endpoint = stranger(&certificates, b"msip/1");
    let connection = connect(&endpoint, &url).await;
    let (mut send, _unread) = soon("a stream", connection.open_bi()).await.expect("opens");
    let hello = raw::hello_frame(&raw::hello());
    send.write_all(&hello).await.expect("sent");
    let peer = connected(&mut events).await;
    // What MSIP grants is not what holds the server back.
    let credit = Credit {
        items: 1_000_000,
        bytes: 1 << 30,
    };
    let credit = raw::frame(FrameType::Credit, MsgId::CONNECTION, &credit.encode());
    send.write_all(&credit).await.expect("sent");
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let flooding = tokio::spawn(async move {
        let mut large = note(1);
        large.ballast = vec![0; usize::try_from(BALLAST).expect("fits")];
        loop {
            match peer.note_ind(large.clone()).await {
                Ok(()) => counted.fetch_add(1, Ordering::Relaxed),
                Err(SendError::Closed | SendError::Disconnected) => return,
                Err(_) => continue,
            };
        }
    });
    // Others are served meanwhile.
    is_served(&certificates, &url).await;
    // The one that was served leaves too.
    let is_cut_off = |seen: &SeenByServer| {
        matches!(
            seen,
            SeenByServer::Disconnected(DisconnectReason::WriteStalled { .. })
        )
    };
    while !is_cut_off(&next(&mut events).await) {}
    soon("the sender", flooding).await.expect("no panic");
    let held = taken.load(Ordering::Relaxed) * BALLAST;
    assert!(held <= HELD + BALLAST, "{held} bytes were taken for it");
    is_served(&certificates, &url).await;
}

/// The first datagram of a client that connects to this server, which it has not seen.
async fn first_datagram(endpoint: &Endpoint) -> Vec<u8> {
    let catcher = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let connecting = endpoint
        .connect(catcher.local_addr().expect("bound"), "localhost")
        .expect("begins");
    let mut buffer = vec![0; 65_536];
    let (len, _) = soon("a datagram", catcher.recv_from(&mut buffer))
        .await
        .expect("received");
    drop(connecting);
    buffer.truncate(len);
    buffer
}

/// The type of the first packet of a datagram with a long header (RFC 9000, section 17.2).
fn packet_type(datagram: &[u8]) -> u8 {
    (datagram.first().copied().unwrap_or_default() >> 4) & 3
}

const INITIAL: u8 = 0;
const RETRY: u8 = 3;

#[tokio::test]
async fn while_many_handshakes_are_open_an_address_has_to_be_proved_first() {
    let certificates = Certificates::new();
    let (url, _events, _server) =
        start(&(certificates.listening() + "&handshake_timeout=60s")).await;
    let endpoint = stranger(&certificates, b"msip/1");
    let answer = async || {
        let first = first_datagram(&endpoint).await;
        let forged = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        forged.send_to(&first, address(&url)).await.expect("sent");
        let mut buffer = vec![0; 65_536];
        let (len, _) = soon("an answer", forged.recv_from(&mut buffer))
            .await
            .expect("received");
        buffer.truncate(len);
        (first, buffer)
    };
    let (_, few) = answer().await;
    assert_eq!(packet_type(&few), INITIAL);
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(connect(&endpoint, &url).await);
    }
    let (first, many) = answer().await;
    assert_eq!(packet_type(&many), RETRY);
    assert!(
        many.len() < 200 && first.len() >= 1200,
        "no amplification: {}",
        many.len()
    );
    // Who can receive at its address is served.
    is_served(&certificates, &url).await;
}

#[tokio::test]
async fn datagrams_that_are_no_quic_are_not_answered() {
    let certificates = Certificates::new();
    let (url, _events, _server) = start(&certificates.listening()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    for len in [0, 1, 20, 21, 1200, 1472] {
        for byte in [0, 0x16, b'M', 0x40, 0xff] {
            let datagram = vec![byte; len];
            let _ = socket.send_to(&datagram, address(&url)).await;
        }
    }
    is_served(&certificates, &url).await;
    // What is there was sent before the client was served. A version that is not known is answered with those that are, and
    // a connection that is not with less than was sent.
    let mut buffer = vec![0; 65_536];
    let mut answered = 0;
    while let Ok(Ok((len, _))) =
        timeout(Duration::from_millis(1), socket.recv_from(&mut buffer)).await
    {
        assert!(len < 1200, "{len}");
        answered += 1;
    }
    assert!(answered <= 30, "{answered}");
}
