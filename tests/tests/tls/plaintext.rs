//! Peers with TLS at ports without it, and peers without it at ports with it: both ends say so.

use msip_runtime::{
    Client, ConnectError, Server,
    transport::{Listener, ServiceUrl, TlsError},
};
use msip_tests::{
    Authority, LabServer,
    lab::Lab,
    raw::{self, RawPeer},
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{raw_tls, refusal, serve};

/// A listener over TLS, and what it says of the next client.
pub(crate) async fn tls_listener(authority: &Authority) -> (tempfile::TempDir, Listener) {
    let folder = tempfile::tempdir().expect("a folder");
    let issued = authority.issue_local();
    issued.write(folder.path(), "server").expect("written");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("server.pem"), path("server.key"));
    let url: ServiceUrl = format!("tls://127.0.0.1:0?cert={cert}&key={key}")
        .parse()
        .expect("a URL");
    let listener = Listener::bind(&url).await.expect("listens");
    (folder, listener)
}

pub(crate) async fn said_of_next(listener: &Listener) -> String {
    let accepted = async { listener.accept().await.expect("accepted").upgrade().await };
    let failed = soon("the end of the handshake", accepted).await;
    failed.expect_err("fails").to_string()
}

#[tokio::test]
async fn a_client_without_tls_at_a_port_with_it() {
    let (_folder, listener) = tls_listener(&Authority::new("authority")).await;
    let url = listener.local_url().to_string().replace("tls://", "tcp://");
    let connecting = Client::<Lab>::connect(&url);
    let (refused, said) = tokio::join!(connecting, said_of_next(&listener));
    assert_eq!(
        said,
        "the client speaks MSIP without TLS: it has to use tls://"
    );
    let refused = refused.expect_err("is refused");
    assert!(matches!(refused, ConnectError::TlsPeer { .. }), "{refused}");
    assert_eq!(
        refused.to_string(),
        format!("{url} speaks TLS: connect to tls:// instead")
    );
}

#[tokio::test]
async fn no_frame_goes_out_without_tls_at_a_port_with_it() {
    let authority = Authority::new("authority");
    let (url, _events) = serve(authority.issue_local().server_tls()).await;
    for first in [
        raw::hello_frame(&raw::hello()),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 100],
    ] {
        let mut socket = TcpStream::connect(raw_tls::address(&url))
            .await
            .expect("connects");
        socket.write_all(&first).await.expect("written");
        let mut said = Vec::new();
        let read = soon("the end", socket.read_to_end(&mut said)).await;
        read.expect("an alert, then the end");
        // An alert of TLS: type 21, version 3, two bytes.
        assert!(matches!(said[..], [21, 3, _, 0, 2, 2, _]), "{said:?}");
    }
}

#[tokio::test]
async fn a_client_with_tls_at_a_port_without_it() {
    let (handler, _events) = LabServer::new();
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("listens");
    let url = server.local_url().to_string().replace("tcp://", "tls://");
    tokio::spawn(server.serve(handler));
    let told = refusal(&url, Authority::new("authority").client_tls()).await;
    assert_eq!(told, TlsError::Plaintext);
    // What the server says of it is in the ERROR that it sends.
    let url: ServiceUrl = url.replace("tls://", "tcp://").parse().expect("a URL");
    let mut raw = RawPeer::dial(&url).await;
    raw.say(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await;
    assert_eq!(
        raw.hear_to_the_end().await,
        ["ERROR connection: INVALID_ARGUMENT: TLS, where MSIP is spoken without it"]
    );
}

#[tokio::test]
async fn a_client_with_tls_at_a_port_of_something_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("tls://{}", listener.local_addr().expect("has one"));
    let other = async {
        let (mut socket, _) = listener.accept().await.expect("accepted");
        let mut hello = [0; 64];
        socket.read_exact(&mut hello).await.expect("a hello");
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        socket.write_all(answer).await.expect("written");
        socket
    };
    let tls = Authority::new("authority").client_tls();
    let (told, _socket) = tokio::join!(refusal(&url, tls), other);
    assert_eq!(told, TlsError::NotTls);
}
