//! Who is who: sessions by principal, at servers and at a broker.

use std::{sync::Arc, time::Duration};

use msip_gateway::{Gateway, UpstreamLimits};
use msip_runtime::{
    ConnectRequest, Identity, Status,
    untyped::{Event, Inbound, Reply, Service, UntypedPeer, UntypedProtocol, UntypedServer},
};
use msip_tests::{
    SeenByServer,
    lab::{NoteInd, SendServerToClient as _},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    client::Ask,
    fixture::{Running, broker, lab},
};

/// Tells who has called, with what headers, and answers with the request, which is the same as an EchoRsp.
struct Tell(mpsc::Sender<Told>);

#[derive(Debug, PartialEq)]
struct Told {
    user: String,
    headers: Vec<(String, String)>,
    correlation_id: Option<String>,
    traceparent: Option<String>,
    is_limited: bool,
}

impl Service for Tell {
    async fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            let metadata = exchange.metadata();
            let headers = metadata.headers();
            let told = Told {
                user: peer
                    .identity()
                    .map_or_else(String::new, |who| who.user.clone()),
                headers: headers
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                correlation_id: metadata.correlation_id().map(str::to_owned),
                traceparent: metadata.traceparent().map(str::to_owned),
                is_limited: exchange
                    .remaining()
                    .is_some_and(|left| left <= Duration::from_secs(7)),
            };
            self.0.send(told).await.unwrap();
            if let Reply::Call(responder) = exchange.reply {
                responder.set_header("price-list", "2026").unwrap();
                responder.answer(&exchange.message);
            }
        }
    }
}

/// A server that knows `ada` and `bob` by their keys, and nobody else but who shows none.
async fn server() -> (String, mpsc::Receiver<Told>, JoinHandle<()>) {
    let (told, asked) = mpsc::channel(16);
    let server = UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), Tell(told))
        .authenticate(|request: ConnectRequest| async move {
            match request.credential() {
                b"key-of-ada" => Ok(Identity::new("key").with_user("ada")),
                b"key-of-bob" => Ok(Identity::new("key").with_user("bob")),
                b"" => Ok(Identity::new("none")),
                _ => Err(Status::unauthenticated("unknown key")),
            }
        })
        .bind()
        .await
        .unwrap();
    let url = server.local_url().to_string();
    (url, asked, tokio::spawn(server.serve()))
}

fn echo(key: &str) -> Ask {
    let ask = Ask::post("/v1/lab/echo_req", r#"{"text": "a"}"#);
    match key {
        "" => ask,
        key => ask.header("authorization", &format!("Bearer {key}")),
    }
}

#[tokio::test]
async fn the_credential_and_the_metadata_are_handed_on() {
    let (url, mut told, _server) = server().await;
    let gateway =
        Running::start(Gateway::builder("http://127.0.0.1:0").upstream(url, [lab()])).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = echo("key-of-ada")
        .header("Msip-Tenant", "north")
        .header("x-correlation-id", "order-17")
        .header("traceparent", trace)
        .header("grpc-timeout", "7S")
        .send(&gateway.url)
        .await;
    assert_eq!(answer.text(), r#"{"text":"a"}"#);
    assert_eq!(answer.headers["msip-price-list"], "2026");
    let expected = Told {
        user: "ada".to_owned(),
        headers: vec![("tenant".to_owned(), "north".to_owned())],
        correlation_id: Some("order-17".to_owned()),
        traceparent: Some(trace.to_owned()),
        is_limited: true,
    };
    assert_eq!(told.recv().await.unwrap(), expected);
    for (key, user) in [("key-of-bob", "bob"), ("", ""), ("key-of-ada", "ada")] {
        assert_eq!(echo(key).send(&gateway.url).await.status, 200);
        assert_eq!(told.recv().await.unwrap().user, user, "{key}");
    }
}

#[tokio::test]
async fn who_is_refused_is_told_and_who_tries_many_is_refused_without_asking() {
    let (url, mut told, _server) = server().await;
    let gateway =
        Running::start(Gateway::builder("http://127.0.0.1:0").upstream(url, [lab()])).await;
    for number in 0..20 {
        let answer = echo(&format!("guess-{number}")).send(&gateway.url).await;
        assert_eq!(
            answer.code(),
            (401, "UNAUTHENTICATED".to_owned()),
            "{number}"
        );
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let answer = echo("guess-20").send(&gateway.url).await;
    assert_eq!(answer.code(), (429, "RESOURCE_EXHAUSTED".to_owned()));
    // Others from elsewhere would be served, and so is who shows nothing.
    assert_eq!(echo("").send(&gateway.url).await.status, 200);
    assert_eq!(told.recv().await.unwrap().user, "");
}

#[tokio::test]
async fn sessions_are_limited_and_an_idle_one_makes_way() {
    let (url, mut told, _server) = server().await;
    let limits = UpstreamLimits::default().max_sessions(2);
    let builder = Gateway::builder("http://127.0.0.1:0")
        .upstream(url, [lab()])
        .upstream_limits(limits);
    let gateway = Running::start(builder).await;
    for key in ["key-of-ada", "key-of-bob", "", "key-of-ada"] {
        assert_eq!(echo(key).send(&gateway.url).await.status, 200);
        told.recv().await.unwrap();
    }
    // Two that are in use stay.
    let events =
        |key: &str| Ask::get("/v1/lab/events").header("authorization", &format!("Bearer {key}"));
    let mut ada = events("key-of-ada").open(&gateway.url).await;
    let mut bob = events("key-of-bob").open(&gateway.url).await;
    assert_eq!(
        (ada.head().await.status, bob.head().await.status),
        (200, 200)
    );
    let answer = echo("").send(&gateway.url).await;
    assert_eq!(answer.code(), (503, "RESOURCE_EXHAUSTED".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_typed_service_behind_a_broker_is_called_and_heard() {
    let (url, _broker) = broker().await;
    let (handler, mut seen) = msip_tests::LabServer::new();
    let service =
        msip_runtime::Server::<msip_tests::lab::Lab>::attach(&format!("{url}/room"), handler)
            .await
            .unwrap();
    let builder = Gateway::builder("http://127.0.0.1:0").upstream(format!("{url}/room"), [lab()]);
    let gateway = Running::start(builder).await;
    let mut connection = Ask::get("/v1/lab/events").open(&gateway.url).await;
    assert_eq!(connection.head().await.status, 200);
    let answer = echo("").send(&gateway.url).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"text":"a"}"#));
    let saved = Ask::post("/v1/lab/save_ind", r#"{"number": 8}"#)
        .send(&gateway.url)
        .await;
    assert_eq!(saved.status, 204);
    let counted = Ask::post("/v1/lab/count_req", r#"{"from": 20, "to": 21}"#)
        .send(&gateway.url)
        .await;
    assert!(
        counted.text().ends_with("event: end\ndata: {}\n\n"),
        "{}",
        counted.text()
    );
    let peer = loop {
        if let SeenByServer::Connected(peer) =
            msip_tests::soon("a client", seen.recv()).await.unwrap()
        {
            break peer;
        }
    };
    peer.note_ind(NoteInd {
        number: 3,
        ..NoteInd::default()
    })
    .await
    .unwrap();
    let event = connection.event().await.unwrap();
    assert!(event.starts_with("event: note_ind\n"), "{event}");
    assert!(event.ends_with("data: {\"number\":\"3\"}"), "{event}");
    drop(service);
}

#[tokio::test]
async fn a_topic_without_a_service_is_unavailable() {
    let (url, _broker) = broker().await;
    let builder = Gateway::builder("http://127.0.0.1:0").upstream(format!("{url}/empty"), [lab()]);
    let gateway = Running::start(builder).await;
    let answer = echo("").send(&gateway.url).await;
    assert_eq!(
        answer.code(),
        (503, "UNAVAILABLE".to_owned()),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_server_of_the_same_process_is_called_without_a_socket() {
    let (_, _seen, _server) = msip_tests::start("mem://gateway-in-process").await;
    let builder =
        Gateway::builder("http://127.0.0.1:0").upstream("mem://gateway-in-process", [lab()]);
    let gateway = Running::start(builder).await;
    let gateway = Arc::new(gateway);
    assert_eq!(echo("").send(&gateway.url).await.status, 200);
}
