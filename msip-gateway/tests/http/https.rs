//! HTTP over TLS.

use std::sync::Arc;

use msip_gateway::Gateway;
use msip_tests::{Authority, soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::{
    client::{Ask, Connection},
    fixture::{Running, lab},
};

/// What is answered over TLS, to a client that trusts this authority.
pub(crate) async fn ask_over_tls(
    address: &str,
    authority: &Authority,
    ask: Ask,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = soon("TLS", connector.connect(name, stream)).await?;
    let ask = ask.header("connection", "close");
    stream.write_all(&ask.bytes()).await.unwrap();
    let mut answer = String::new();
    // Some clients end without saying so.
    let _ = soon("an answer", stream.read_to_string(&mut answer)).await;
    Ok(answer)
}

#[tokio::test]
async fn a_listener_over_tls_serves_who_trusts_it_and_not_who_speaks_plainly() {
    let (server, _seen, _server) = msip_tests::start("tcp://127.0.0.1:0").await;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("gateway");
    authority
        .issue_local()
        .write(folder.path(), "server")
        .unwrap();
    let files = folder.path().display();
    let url = format!("https://127.0.0.1:0?cert={files}/server.pem&key={files}/server.key");
    let builder = Gateway::builder(url).upstream(server.to_string(), [lab()]);
    builder.check().unwrap();
    let gateway = Running::start(builder).await;
    let address = gateway.url.strip_prefix("https://").unwrap();

    let ask = || Ask::post("/v1/lab/echo_req", r#"{"text": "a"}"#);
    let answer = ask_over_tls(address, &authority, ask()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"text":"a"}"#), "{answer}");

    let mut plain = Connection::open(address).await;
    plain.write(&ask().bytes()).await.unwrap();
    let refused = plain.rest().await;
    assert!(!refused.starts_with(b"HTTP"), "{refused:?}");
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().display();
    let url = format!("https://127.0.0.1:0?cert={files}/a.pem&key={files}/a.key");
    let builder = Gateway::builder(url).upstream("tcp://127.0.0.1:1", [lab()]);
    let error = builder.check().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("a.pem"), "{cause}");
}
