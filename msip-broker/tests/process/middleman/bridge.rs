//! Clients of MiddleMan and of MSIP, each on one end.

use msip_runtime::{
    CallOptions, Code, Metadata, MsgKind, ResponseMetadata, Status, Variant,
    untyped::{
        Event, Grant, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedExchange,
        UntypedMessage, UntypedPeer,
    },
};
use msip_tests::{advance, soon};
use tokio::sync::mpsc;

use super::{Client, Keys, PUBLIC, TRUSTED, broker, error, header, parts};
use crate::process::{Broker, get};

const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);
const ASK: Variant = Variant::new(6, "ask", MsgKind::Command).call(6);

/// What an MSIP client hears: the topic, the headers, and the body.
type Heard = (String, Vec<(String, String)>, Vec<u8>);

/// Tells what it hears, and answers what it is asked.
struct Peer(mpsc::Sender<Heard>);

fn owned(metadata: &Metadata) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    metadata.headers().map(owned).collect()
}

impl Peer {
    async fn answer(&self, exchange: UntypedExchange) {
        let headers = owned(exchange.metadata());
        let topic = exchange.message.topic().to_owned();
        let body = exchange.message.body().expect("as it is").to_vec();
        let Reply::Call(responder) = exchange.reply else {
            let _ = self.0.send((topic, headers, body)).await;
            return;
        };
        let answer = |body: &[u8]| UntypedMessage::new(&ASK, body.to_vec());
        match &*body {
            b"binary" => responder.answer(&answer(b"\xff\xfe")),
            b"fail" => responder.fail(&Status::not_found("no such\nroom")),
            // It keeps it.
            b"hang" => std::mem::forget(responder),
            _ => {
                responder.set_header("served-by", "msip").expect("a header");
                responder.answer(&answer(b".\r\nanswered"));
            }
        }
        let _ = self.0.send((topic, headers, body)).await;
    }
}

impl Service for Peer {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let mut all = Vec::new();
            match event {
                Event::Messages(messages) => all.extend(messages.iter().map(|message| {
                    (
                        message.topic().to_owned(),
                        Vec::new(),
                        message.body().to_vec(),
                    )
                })),
                Event::Exchange(exchange) => self.answer(exchange).await,
                _ => {}
            }
            for heard in all {
                let _ = self.0.send(heard).await;
            }
        }
    }
}

struct Msip {
    client: UntypedClient,
    heard: mpsc::Receiver<Heard>,
}

impl Msip {
    async fn connect(broker: &Broker) -> Self {
        let (tell, heard) = mpsc::channel(64);
        let client = UntypedClient::builder(&broker.urls[1], "raw", 0).service(Peer(tell));
        let client = client.connect().await.expect("connects");
        Self { client, heard }
    }

    async fn subscribe(&self, filter: &str) {
        let options = SubscribeOptions::new();
        let subscribed = self.client.subscribe(filter, &options).await;
        subscribed.expect("is allowed");
    }

    async fn send(&self, topic: &str, body: &[u8], options: &CallOptions) {
        let note = UntypedMessage::new(&NOTE, body.to_vec()).to_topic(topic);
        let sent = self.client.send(&note.expect("a topic"), options).await;
        sent.expect("is sent");
    }

    async fn next(&mut self) -> Heard {
        soon("a message", self.heard.recv())
            .await
            .expect("it is there")
    }
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| &**value)
}

#[tokio::test]
async fn what_one_publishes_the_other_hears() {
    let keys = Keys::new();
    let mut broker = broker(&keys, "", &["--admin", "127.0.0.1:0"]).await;
    let admin = broker.line().await.replace("admin on http://", "");
    let mut service = Client::connect(&broker, TRUSTED).await;
    let mut msip = Msip::connect(&broker).await;
    msip.subscribe("room/+").await;
    service
        .send("PUB room/7\nX-Room: seven\nx-two: a\nX-Two: b\ncid: forged\n\n..dot\r\n.x\n.\n")
        .await;
    let (topic, headers, body) = msip.next().await;
    assert_eq!((&*topic, &*body), ("room/7", &b".dot\r\n.x"[..]));
    assert_eq!(value(&headers, "cid"), Some(&*service.id));
    assert_eq!(value(&headers, "uid"), Some(""));
    assert_eq!(value(&headers, "x-room"), Some("seven"));
    assert_eq!(value(&headers, "x-two"), Some("a, b"));

    for key in ["room/7", "50% + #1"] {
        service.send(format!("SUB {key}\n\n.\n")).await;
    }
    assert!(service.rest().await.is_empty());
    let options = CallOptions::new()
        .header("x-room", "eight")
        .header("cid", "forged")
        .correlation_id("chain-1");
    msip.send("room/7", b".\nbody", &options).await;
    let heard = service.hear().await;
    assert_eq!(
        (parts(&heard).0, parts(&heard).2),
        ("PUB room/7", "..\nbody")
    );
    assert_eq!(header(&heard, "X-Room"), Some("eight"));
    assert_eq!(header(&heard, "Correlation-Id"), Some("chain-1"));
    assert_eq!(header(&heard, "Uid"), Some(""));
    let cid = header(&heard, "Cid").expect("an id");
    assert!(!cid.is_empty() && cid != "forged", "{cid}");
    // What is no text is not sent on; and a key may be what no topic is.
    msip.send("room/7", b"\xff\xfe", &CallOptions::new()).await;
    msip.send("50%25 %2B %231", b"odd", &CallOptions::new())
        .await;
    let heard = service.hear().await;
    assert_eq!((parts(&heard).0, parts(&heard).2), ("PUB 50% + #1", "odd"));
    let metrics = get(&admin, "/metrics").await.expect("an answer").1;
    assert!(
        metrics.contains("msip_broker_dropped_messages_total 1"),
        "{metrics}"
    );
    broker.stop().await;
}

#[tokio::test]
async fn a_service_of_middleman_answers_calls_of_msip() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    service.send("EREQ Chat\n\n\n.\n").await;
    assert!(service.rest().await.is_empty());
    let msip = Msip::connect(&broker).await;
    let ask = |body: &[u8]| {
        let ask = UntypedMessage::new(&ASK, body.to_vec()).to_topic("Chat");
        ask.expect("a topic")
    };
    let call = |message: UntypedMessage, options: CallOptions| {
        let client = msip.client.clone();
        tokio::spawn(async move { client.call(&message, &options).await })
    };
    let metadata = ResponseMetadata::new();
    let options = CallOptions::new()
        .header("cmd", "join")
        .response_metadata(&metadata);
    let calling = call(ask(b"hello"), options);
    let asked = service.hear().await;
    assert_eq!((parts(&asked).0, parts(&asked).2), ("REQ Chat", "hello"));
    assert_eq!(header(&asked, "Cmd"), Some("join"));
    let rid = header(&asked, "Rid").expect("a number");
    service
        .send(format!("RES Chat\nrid:{rid}\nroom: seven\n\n..\r\nOK\n.\n"))
        .await;
    let answer = soon("an answer", calling)
        .await
        .expect("no panic")
        .expect("is answered");
    assert_eq!(&answer.raw_body()[..], b".\r\nOK");
    let metadata = metadata.get().expect("is there");
    assert_eq!(metadata.header("room"), Some("seven"));
    assert_eq!(metadata.header("cid"), Some(&*service.id));
    assert_eq!(metadata.header("rid"), None);

    // What is no text is refused, and nothing reaches the service.
    let refused = call(ask(b"\xff"), CallOptions::new())
        .await
        .expect("no panic");
    assert_eq!(
        refused.expect_err("is no text").code(),
        Code::InvalidArgument
    );
    // A deadline is the caller's.
    let limit = std::time::Duration::from_secs(10);
    let late = call(ask(b"slow"), CallOptions::new().timeout(limit));
    assert_eq!(parts(&service.hear().await).2, "slow");
    advance(limit).await;
    let late = soon("a deadline", late).await.expect("no panic");
    assert_eq!(late.expect_err("is late").code(), Code::DeadlineExceeded);
    // Its service dies.
    let lost = call(ask(b"lost"), CallOptions::new());
    assert_eq!(parts(&service.hear().await).2, "lost");
    drop(service);
    let lost = soon("an outcome", lost).await.expect("no panic");
    assert_eq!(
        lost.expect_err("its service has gone").code(),
        Code::Unknown
    );
    let none = soon("an outcome", call(ask(b"none"), CallOptions::new())).await;
    let none = none.expect("no panic").expect_err("nobody is there");
    assert_eq!(none.code(), Code::Unavailable);
    broker.stop().await;
}

#[tokio::test]
async fn a_service_of_msip_answers_requests_of_middleman() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut msip = Msip::connect(&broker).await;
    msip.subscribe("Chat/$in").await;
    let mut client = Client::connect(&broker, PUBLIC).await;
    client.send("REQ Chat\n\nhello\n.\n").await;
    assert_eq!(client.hear().await, error("Not trusted REQ Chat"));
    // An MSIP service enables as one of MiddleMan does.
    let grant = Grant::new()
        .request("Chat")
        .publish("Chat")
        .subscribe("Chat");
    msip.client.grant("Chat", &grant).await.expect("is allowed");
    client
        .send("REQ Chat\r\nReqID: 1f\r\ncmd: join\r\ncid: forged\r\n\r\n..\r\nhello\r\n.\r\n")
        .await;
    let (topic, headers, body) = msip.next().await;
    assert_eq!((&*topic, &*body), ("Chat", &b".\r\nhello"[..]));
    assert_eq!(value(&headers, "cid"), Some(&*client.id));
    assert_eq!(value(&headers, "cmd"), Some("join"));
    let answer = client.hear().await;
    assert_eq!(
        (parts(&answer).0, parts(&answer).2),
        ("RES Chat", "..\r\nanswered")
    );
    assert_eq!(header(&answer, "ReqID"), Some("1f"));
    assert_eq!(header(&answer, "Reqid"), Some("1f"));
    assert_eq!(header(&answer, "Served-By"), Some("msip"));
    for (body, told) in [
        ("fail", "NOT_FOUND: no such room REQ Chat"),
        (
            "binary",
            "INVALID_ARGUMENT: MiddleMan has text alone, and the body is not UTF-8 REQ Chat",
        ),
    ] {
        client.send(format!("REQ Chat\n\n{body}\n.\n")).await;
        assert_eq!(client.hear().await, error(told));
        msip.next().await;
    }
    client.send("REQ Chat\n\nhang\n.\n").await;
    msip.next().await;
    msip.client.close().await;
    let told = client.hear().await;
    assert!(parts(&told).2.ends_with(" REQ Chat"), "{told}");
    broker.stop().await;
}

#[tokio::test]
async fn messages_to_one_client_cross_the_bridge() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    service.send("EREQ Chat\n\n.\n").await;
    service.send("SUB hello\n\n.\n").await;
    assert!(service.rest().await.is_empty());
    let mut msip = Msip::connect(&broker).await;
    msip.send("hello", b"", &CallOptions::new().header("a", "b"))
        .await;
    let heard = service.hear().await;
    let cid = header(&heard, "Cid").expect("an id");
    // That client listens to what is for itself.
    msip.subscribe(&format!("MSG:/$to/{cid}")).await;
    service
        .send(format!("PUB MSG:{cid}\ncmd: error\n\nfor you\n.\n"))
        .await;
    let (topic, headers, body) = msip.next().await;
    assert_eq!(
        (topic, &*body),
        (format!("MSG:/$to/{cid}"), &b"for you"[..])
    );
    assert_eq!(value(&headers, "cmd"), Some("error"));
    // And a service of MSIP writes to a client of MiddleMan.
    let topic = format!("MSG:/$to/{}", service.id);
    msip.send(&topic, b"back", &CallOptions::new()).await;
    let heard = service.hear().await;
    assert_eq!(parts(&heard).0, format!("PUB MSG:{}", service.id));
    assert_eq!(parts(&heard).2, "back");
    broker.stop().await;
}
