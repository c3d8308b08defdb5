//! A client and a server that talk over QUIC.

use msip_runtime::{
    Client, ConnectError, Server, Status, Stream,
    transport::{CertificateName, ClientTls, PeerCredential, TlsError},
};
use msip_tests::{
    Authority, LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{
        AskReq, CountReq, EchoReq, Lab, SaveInd, SendClientToServer as _, SendServerToClient as _,
        SumReq,
    },
    messages::note,
    next, soon, start,
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    certificates::Certificates,
    relay::{Faults, Relay},
};

/// Numbers up to a last one.
struct Numbers(u64, u64);

impl Stream for Numbers {
    type Item = SumReq;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<SumReq>> {
        let number = self.0;
        self.0 += 1;
        Poll::Ready((number <= self.1).then_some(SumReq { number }))
    }
}

/// Calls, streams in both directions, large bodies and an order, by one client.
async fn talk(
    client: &Client<Lab>,
    events: &mut tokio::sync::mpsc::Receiver<SeenByServer>,
    count: u64,
    largest: usize,
) {
    for len in [0, 100_000, largest] {
        let request = EchoReq {
            text: "hi".into(),
            ballast: vec![7; len],
        };
        let answer = soon("an answer", client.echo_req(request)).await;
        assert_eq!(answer.expect("answers").ballast.len(), len);
    }
    let peer = connected(events).await;
    assert!(peer.connection().is_confidential());
    let question = "who?".to_owned();
    let answer = soon("an answer", peer.ask_req(AskReq { question })).await;
    assert_eq!(answer.expect("answers").answer, "who? me");
    for number in 0..count {
        client.note_ind(note(number)).await.expect("sent");
    }
    client
        .save_ind(SaveInd { number: 1 })
        .await
        .expect("acknowledged");
    for expected in 0..count {
        let event = next(events).await;
        assert!(
            matches!(event, SeenByServer::Note(number) if number == expected),
            "{event:?}"
        );
    }
    let counting = CountReq {
        from: 20,
        to: 20 + count,
        ballast_len: 2_000,
    };
    let mut numbers = client.count_req(counting).await.expect("sent");
    for expected in 20..20 + count {
        let item = soon("an item", numbers.next()).await.expect("not the end");
        assert_eq!(item.expect("no error").number, expected);
    }
    assert!(soon("the end", numbers.next()).await.is_none());
    let sum = soon("a sum", client.sum_req(Numbers(14, 13 + count))).await;
    assert_eq!(sum.expect("answers").sum, (14..14 + count).sum::<u64>());
}

#[tokio::test]
async fn a_client_and_a_server_talk_at_both_families_and_by_name() {
    let certificates = Certificates::new();
    for authority in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
        let (url, mut events, _server) = start(&certificates.listening_at(authority)).await;
        let mut target = url.to_string();
        if authority.starts_with("localhost") {
            let port = url.address().port().expect("a port");
            target = format!("quic://localhost:{port}");
        }
        let (client, mut seen) = LabClient::connect(certificates.connecting(&target)).await;
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
        talk(&client, &mut events, 2_000, 3_000_000).await;
        soon("close", client.close()).await;
    }
}

#[tokio::test]
async fn datagrams_that_are_lost_repeated_and_reordered_change_nothing() {
    let certificates = Certificates::new();
    let (url, mut events, _server) = start(&certificates.listening()).await;
    let faults = Faults {
        lose: 41,
        repeat: 5,
        delay: 7,
    };
    let relay = Relay::start(&url, faults).await;
    let url = certificates.connecting(relay.url()) + "&call_timeout=24h";
    let (client, _seen) = LabClient::connect(url).await;
    talk(&client, &mut events, 100, 0).await;
    soon("close", client.close()).await;
}

/// Why a client has no connection.
async fn refusal(url: &str, tls: ClientTls) -> TlsError {
    let connecting = Client::<Lab>::builder(url).tls(tls).connect();
    match soon("a refusal", connecting).await {
        Err(ConnectError::Tls { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_with_the_reason() {
    let certificates = Certificates::new();
    let (url, _events, _server) = start(&certificates.listening()).await;
    let url = url.to_string();
    let other = Authority::new("another").client_tls();
    assert_eq!(refusal(&url, other).await, TlsError::UnknownIssuer);
    let misnamed = certificates
        .authority
        .client_tls()
        .server_name("other.example");
    let error = refusal(&url, misnamed).await.to_string();
    assert!(
        error.contains("other.example") && error.contains("localhost"),
        "{error}"
    );
    let expired = certificates.authority.issue_expired().server_tls();
    let server = Server::<Lab>::builder("quic://127.0.0.1:0")
        .tls(expired)
        .bind();
    let server = server.await.expect("binds");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(LabServer::new().0));
    let error = refusal(&url, certificates.authority.client_tls())
        .await
        .to_string();
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_tells_who_the_client_is_and_none_is_refused() {
    let certificates = Certificates::new();
    let ca = certificates.path("ca.pem").display().to_string();
    let listening = certificates.listening() + "&client_ca=" + &ca;
    let (url, mut events, _server) = start(&listening).await;
    let url = url.to_string();
    let authority = &certificates.authority;
    let issued = authority.issue_client(&["relay.example"], &[], &[]);
    let tls = authority.client_tls().identity(issued.cert(), issued.key());
    // The second resumes the TLS session of the first.
    for _ in 0..2 {
        let connecting = Client::<Lab>::builder(&url).tls(tls.clone()).connect();
        let client = soon("a client", connecting).await.expect("connects");
        let peer = connected(&mut events).await;
        let names = [CertificateName::Dns("relay.example".into())];
        assert_eq!(
            peer.connection().credential(),
            &PeerCredential::CertificateNames(names.into())
        );
        soon("close", client.close()).await;
        assert!(matches!(
            next(&mut events).await,
            SeenByServer::Disconnected(_)
        ));
    }
    assert_eq!(
        refusal(&url, authority.client_tls()).await,
        TlsError::ClientCertificateRequired
    );
}

#[tokio::test]
async fn certificates_are_read_again_while_the_server_serves() {
    let certificates = Certificates::new();
    let server = Server::<Lab>::bind(certificates.listening())
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    let reloader = server.reloader();
    tokio::spawn(server.serve(LabServer::new().0));
    let (client, _seen) = LabClient::connect(certificates.connecting(&url)).await;
    let next = Authority::new("the next");
    let folder = certificates.path("");
    let issued = next.issue(&["localhost", "127.0.0.1"]);
    issued.write(&folder, "server").expect("written");
    reloader.reload_tls().expect("reads them");
    let connecting = Client::<Lab>::builder(&url)
        .tls(next.client_tls())
        .connect();
    let other = soon("a client", connecting).await.expect("connects");
    for client in [&client, &other] {
        let answer = soon("an answer", client.echo_req(EchoReq::default())).await;
        answer.expect("answers");
    }
    std::fs::write(certificates.path("server.pem"), "nothing").expect("written");
    reloader.reload_tls().expect_err("there is none");
    let connecting = Client::<Lab>::builder(&url)
        .tls(next.client_tls())
        .connect();
    soon("a client", connecting).await.expect("connects still");
}

#[tokio::test]
async fn a_client_keeps_its_socket_when_it_connects_again() {
    let certificates = Certificates::new();
    let (url, mut events, _server) = start(&certificates.listening()).await;
    let url = format!("{}&reconnect_max=5ms", certificates.connecting(&url));
    let (_client, mut seen) = LabClient::connect(url).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let mut peer = connected(&mut events).await;
    for _ in 0..5 {
        let before = peer.address();
        peer.disconnect(Status::unavailable("elsewhere"));
        assert!(matches!(
            next(&mut events).await,
            SeenByServer::Disconnected(_)
        ));
        peer = connected(&mut events).await;
        assert_eq!(peer.address(), before, "the same port");
    }
}
