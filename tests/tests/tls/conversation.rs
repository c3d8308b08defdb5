//! Clients and servers that talk over TLS.

use std::sync::Arc;

use msip_runtime::{
    BindError, Client, ConnectError, Server,
    transport::{
        CertificateName, ClientAuth, ClientTls, PeerCredential, Pem, ServerTls, TlsError, rustls,
    },
};
use msip_tests::{
    Authority, Issued, LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{EchoReq, Lab, SendClientToServer as _, SendServerToClient as _},
    messages::note,
    next,
    proxy::Proxy,
    soon,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{connect, is_served, refusal, serve, serve_with};

#[tokio::test]
async fn a_client_and_a_server_talk_and_know_that_nobody_listens() {
    let authority = Authority::new("authority");
    let (url, mut events) = serve(authority.issue_local().server_tls()).await;
    assert!(url.starts_with("tls://127.0.0.1:"), "{url}");
    let client = connect(&url, authority.client_tls())
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert!(peer.connection().is_confidential());
    assert_eq!(peer.connection().credential(), &PeerCredential::None);
    is_served(&client).await;
    // Bodies of more than one record of TLS, and of more than it holds back.
    let request = EchoReq {
        text: "large".into(),
        ballast: vec![7; 1 << 20],
    };
    let answer = soon("an answer", client.echo_req(request.clone())).await;
    assert_eq!(answer.expect("answered").ballast, request.ballast);
    peer.note_ind(note(1)).await.expect("sent");
    client.close().await;
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
}

#[tokio::test]
async fn tls_does_all_that_a_stream_may_do_and_nothing_is_lost() {
    let authority = Authority::new("authority");
    let server = Server::<Lab>::builder("rough+tls://127.0.0.1:0")
        .tls(authority.issue_local().server_tls())
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let client = connect(&url, authority.client_tls())
        .await
        .expect("connects");
    assert!(connected(&mut events).await.connection().is_confidential());
    let request = EchoReq {
        text: "large".into(),
        ballast: vec![7; 200_000],
    };
    for _ in 0..3 {
        let answer = soon("an answer", client.echo_req(request.clone())).await;
        assert_eq!(answer.expect("answered").ballast, request.ballast);
    }
    client.close().await;
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
}

#[tokio::test]
async fn settings_of_the_url_name_files_and_win_over_the_builder() {
    let authority = Authority::new("authority");
    let folder = tempfile::tempdir().expect("a folder");
    authority
        .issue_local()
        .write(folder.path(), "server")
        .expect("written");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let settings = format!("cert={}&key={}", path("server.pem"), path("server.key"));
    let (url, _events) = serve_with(Issued::by_itself().server_tls(), &settings).await;
    let other = Authority::new("another").client_tls();
    let client = connect(&format!("{url}?ca={}", path("ca.pem")), other).await;
    is_served(&client.expect("connects")).await;
}

#[tokio::test]
async fn a_client_certificate_tells_the_server_who_the_client_is() {
    let authority = Authority::new("authority");
    let tls = authority
        .issue_local()
        .server_tls()
        .client_ca(authority.ca());
    let (url, mut events) = serve(tls).await;
    let issued = authority.issue_client(
        &["relay.example", "*.relay.example", "192.0.2.1"],
        &["spiffe://example/relay"],
        &["ops@example"],
    );
    let tls = authority.client_tls().identity(issued.cert(), issued.key());
    // A second connection resumes the TLS session of the first, where the certificate comes from the ticket.
    for _ in 0..2 {
        let client = Client::<Lab>::builder(&url).tls(tls.clone()).connect();
        let client = soon("a connection", client).await.expect("connects");
        let peer = connected(&mut events).await;
        let PeerCredential::CertificateNames(names) = peer.connection().credential().clone() else {
            panic!("no names");
        };
        let dns = |name: &str| CertificateName::Dns(name.to_owned());
        assert_eq!(
            *names,
            [
                dns("relay.example"),
                dns("*.relay.example"),
                CertificateName::Ip([192, 0, 2, 1].into()),
                CertificateName::Uri("spiffe://example/relay".to_owned()),
                CertificateName::Email("ops@example".to_owned()),
            ]
        );
        client.close().await;
        next(&mut events).await;
    }
}

#[tokio::test]
async fn a_server_that_asks_serves_clients_without_a_certificate_and_refuses_a_wrong_one() {
    let authority = Authority::new("authority");
    let tls = authority
        .issue_local()
        .server_tls()
        .client_ca(authority.ca())
        .client_auth(ClientAuth::Ask);
    let (url, mut events) = serve(tls).await;
    let client = connect(&url, authority.client_tls())
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert_eq!(peer.connection().credential(), &PeerCredential::None);
    is_served(&client).await;
    let foreign = Authority::new("another").issue_client(&["relay"], &[], &[]);
    let tls = authority
        .client_tls()
        .identity(foreign.cert(), foreign.key());
    let told = refusal(&url, tls).await;
    assert!(
        matches!(told, TlsError::ClientCertificateRefused(_)),
        "{told}"
    );
}

#[tokio::test]
async fn a_session_is_resumed_over_another_connection() {
    let authority = Authority::new("authority");
    let (url, mut events) = serve(authority.issue_local().server_tls()).await;
    let proxy = Proxy::start(super::raw_tls::address(&url)).await;
    let through = proxy.url().replace("tcp://", "tls://");
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(format!("{through}?reconnect_min=5ms"))
        .tls(authority.client_tls())
        .handler(handler)
        .connect();
    let client = soon("a connection", client).await.expect("connects");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let peer = connected(&mut events).await;
    proxy.cut();
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert!(client.connection().resumed());
    // The peer of before is that of now.
    peer.note_ind(note(7)).await.expect("sent");
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(7)));
}

#[tokio::test]
async fn configs_of_rustls_are_taken_as_they_are() {
    let authority = Authority::new("authority");
    let issued = authority.issue_local();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let make = move || {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(issued.cert.as_bytes()).expect("PEM")],
                PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM"),
            );
        Ok(Arc::new(config.expect("a config")))
    };
    let (url, _events) = serve(ServerTls::from_rustls(make)).await;
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    roots.add(ca).expect("an authority");
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = ClientTls::from_rustls(Arc::new(config));
    is_served(&connect(&url, tls.clone()).await.expect("connects")).await;
    let both = connect(&url, tls.ca(authority.ca())).await;
    assert!(
        matches!(both, Err(ConnectError::TransportSetting(_))),
        "{both:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error_before_anything_is_sent() {
    let authority = Authority::new("authority");
    let issued = authority.issue_local();
    let no_pem = || Pem::bytes("no PEM");
    let clients = [
        ("no certificate in it", ClientTls::new().ca(no_pem())),
        (
            "no such file",
            ClientTls::new().ca(Pem::file("/nowhere/ca.pem")),
        ),
        (
            "no key in it",
            ClientTls::new()
                .ca(authority.ca())
                .identity(issued.cert(), issued.cert()),
        ),
        ("no name", authority.client_tls().server_name("a name")),
    ];
    for (name, tls) in clients {
        let refused = connect("tls://127.0.0.1:1", tls).await;
        assert!(
            matches!(refused, Err(ConnectError::TransportSetting(_))),
            "{name}: {refused:?}"
        );
    }
    let other = authority.issue_local();
    let servers = [
        ("nothing", ServerTls::default()),
        (
            "the key of another",
            ServerTls::new(issued.cert(), other.key()),
        ),
        (
            "nobody to trust",
            issued.server_tls().client_auth(ClientAuth::Require),
        ),
    ];
    for (name, tls) in servers {
        let refused = Server::<Lab>::builder("tls://127.0.0.1:0")
            .tls(tls)
            .bind()
            .await;
        assert!(
            matches!(refused, Err(BindError::TransportSetting(_))),
            "{name}: {refused:?}"
        );
    }
    let refused = Server::<Lab>::bind("tls://127.0.0.1:0?cert=a&key=b&client_auth=maybe").await;
    assert_eq!(
        format!("{:?}", refused.expect_err("is no such thing")),
        "setting `client_auth`: `maybe` cannot be used: it is `none`, `ask` or `require`"
    );
    let refused = Server::<Lab>::bind("tls://127.0.0.1:0").await;
    assert_eq!(
        format!("{:?}", refused.expect_err("has no certificate")),
        "setting `cert` is missing: a server over TLS needs one"
    );
}
