//! Clients behind proxies that speak the PROXY protocol.

use std::net::{IpAddr, SocketAddr};

use msip_runtime::{
    BindError, Client, ConnectError, Server,
    transport::{PeerAddress, ServerTls},
};
use msip_tests::{Authority, LabServer, SeenByServer, connected, lab::Lab, soon};
use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{connect, is_served, raw_tls};

/// The header of a client at this address, with a TLV after the addresses.
fn header(client: SocketAddr) -> Vec<u8> {
    let mut addresses = Vec::new();
    let family = match client.ip() {
        IpAddr::V4(ip) => {
            addresses.extend(ip.octets());
            addresses.extend([192, 0, 2, 1]);
            0x11
        }
        IpAddr::V6(ip) => {
            addresses.extend(ip.octets());
            addresses.extend([0; 16]);
            0x21
        }
    };
    addresses.extend(client.port().to_be_bytes());
    addresses.extend([0, 80]);
    addresses.extend([4, 0, 2, 7, 7]);
    framed(0x21, family, &addresses)
}

fn framed(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("is short").to_be_bytes();
    let head = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &len].concat();
    [&head[..], rest].concat()
}

/// A proxy that sends this ahead of each connection. Returns its address.
async fn proxy(url: &str, ahead: Vec<u8>) -> SocketAddr {
    let target = raw_tls::address(url);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("has one");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(target).await.expect("connects");
            server.write_all(&ahead).await.expect("written");
            // Either may break it.
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    });
    address
}

async fn serve(url: &str, tls: ServerTls) -> (String, mpsc::Receiver<SeenByServer>) {
    let server = Server::<Lab>::builder(url).tls(tls).bind().await;
    let server = server.expect("listens");
    let url = server.local_url().to_string();
    let (handler, events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    (url, events)
}

async fn connect_plain(address: SocketAddr) -> Result<Client<Lab>, ConnectError> {
    let connecting = Client::<Lab>::connect(format!("tcp://{address}"));
    soon("an end of the handshake", connecting).await
}

#[tokio::test]
async fn the_address_that_a_trusted_proxy_states_is_the_peers() {
    let authority = Authority::new("authority");
    let tls = authority.issue_local().server_tls();
    for client in ["203.0.113.7:5000", "[2001:db8::7]:5000"] {
        let client: SocketAddr = client.parse().expect("an address");
        let (url, mut events) =
            serve("tcp://127.0.0.1:0?proxy_from=127.0.0.0/8", tls.clone()).await;
        let proxy_address = proxy(&url, header(client)).await;
        let served = connect_plain(proxy_address).await.expect("connects");
        let peer = connected(&mut events).await;
        assert_eq!(peer.address(), PeerAddress::Socket(client));
        assert!(
            !peer.connection().is_confidential(),
            "it came from elsewhere"
        );
        is_served(&served).await;

        let url = "tls://127.0.0.1:0?proxy_from=192.0.2.1,127.0.0.1";
        let (url, mut events) = serve(url, tls.clone()).await;
        let proxy_address = proxy(&url, header(client)).await;
        let url = format!("tls://{proxy_address}");
        let served = connect(&url, authority.client_tls())
            .await
            .expect("connects");
        let peer = connected(&mut events).await;
        assert_eq!(peer.address(), PeerAddress::Socket(client));
        assert!(peer.connection().is_confidential());
        is_served(&served).await;
    }
}

#[tokio::test]
async fn a_proxy_that_connects_itself_has_its_own_address() {
    let (url, mut events) = serve(
        "tcp://127.0.0.1:0?proxy_from=127.0.0.1",
        ServerTls::default(),
    )
    .await;
    for ahead in [framed(0x20, 0, &[]), framed(0x21, 0, &[1, 0, 0])] {
        let proxy_address = proxy(&url, ahead).await;
        let served = connect_plain(proxy_address).await.expect("connects");
        let peer = connected(&mut events).await;
        assert_eq!(peer.address().ip(), Some(proxy_address.ip()));
        is_served(&served).await;
        drop(served);
        msip_tests::next(&mut events).await;
    }
}

#[tokio::test]
async fn a_header_from_elsewhere_is_refused_and_clients_from_elsewhere_are_served() {
    let (url, mut events) = serve(
        "tcp://127.0.0.1:0?proxy_from=10.0.0.0/8",
        ServerTls::default(),
    )
    .await;
    let forged = header("203.0.113.7:5000".parse().expect("an address"));
    let refused = connect_plain(proxy(&url, forged).await).await;
    assert!(
        matches!(
            refused,
            Err(ConnectError::Refused { .. } | ConnectError::Protocol { .. })
        ),
        "{refused:?}"
    );
    let served = connect_plain(raw_tls::address(&url))
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert_eq!(peer.address().ip(), Some([127, 0, 0, 1].into()));
    is_served(&served).await;
}

#[tokio::test]
async fn a_proxy_that_sends_no_header_or_a_wrong_one_has_no_connection() {
    let (url, _events) = serve(
        "tcp://127.0.0.1:0?proxy_from=127.0.0.1",
        ServerTls::default(),
    )
    .await;
    let bad = [
        ("no header", Vec::new()),
        (
            "version 1",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n".to_vec(),
        ),
        ("version 3", framed(0x31, 0x11, &[0; 12])),
        ("an unknown command", framed(0x22, 0x11, &[0; 12])),
        ("datagrams", framed(0x21, 0x12, &[0; 12])),
        ("too short", framed(0x21, 0x11, &[0; 11])),
        ("too long", framed(0x21, 0x11, &[0; 2049])),
    ];
    for (name, ahead) in bad {
        let refused = connect_plain(proxy(&url, ahead).await).await;
        assert!(refused.is_err(), "{name}");
    }
    // Half a header holds up nobody else.
    let mut half = TcpStream::connect(raw_tls::address(&url))
        .await
        .expect("connects");
    half.write_all(b"\r\n\r\n\0").await.expect("written");
    let good = header("203.0.113.7:5000".parse().expect("an address"));
    is_served(
        &connect_plain(proxy(&url, good).await)
            .await
            .expect("connects"),
    )
    .await;
}

#[tokio::test]
async fn proxies_are_addresses_and_networks() {
    let refused =
        Server::<Lab>::bind("tcp://127.0.0.1:0?proxy_from=10.0.0.0/8,proxy.example").await;
    let refused = refused.expect_err("is a name");
    assert!(matches!(refused, BindError::TransportSetting(_)));
    assert_eq!(
        refused.to_string(),
        "setting `proxy_from`: `10.0.0.0/8,proxy.example` cannot be used: it is no list of IP addresses and networks, such \
         as 10.0.0.0/8,192.0.2.1"
    );
}
