//! What goes with an answer: headers of any shape, and details of errors.

use std::{
    borrow::Cow,
    pin::Pin,
    task::{Context, Poll},
};

use msip_runtime::{
    CallError, CallOptions, Client, Code, Detail, EmptyStream, Message, Peer, ResponseMetadata,
    SendError, Server, Status, Stream, Streaming, prost,
    testing::Pair,
    transport::ServiceUrl,
    untyped::{self, Handle, Inbound, Service, UntypedClient, UntypedProtocol},
    wire::{ERROR_METADATA, Flags, Frame, FrameType, Metadata, MsgId, Side},
};
use msip_tests::{
    Recorder,
    lab::{
        ActReq, ActRsp, ClientToServer, CountReq, CountRsp, EchoReq, EchoRsp, HandleClientToServer,
        Lab, NoteInd, SaveInd, SendClientToServer as _, ShoutReq, ShoutRsp, SumReq, SumRsp,
    },
    raw::{self, RawPeer},
    recorder, soon,
};
use tokio::sync::mpsc;

/// A detail of an error: any message will do.
#[derive(Debug, PartialEq, Message)]
struct RetryInfo {
    #[msip(tag = 1)]
    after_ms: u32,
}

impl Detail for RetryInfo {
    fn type_name() -> Cow<'static, str> {
        "lab.RetryInfo".into()
    }
}

const LONG: usize = 2000;

fn busy() -> Status {
    Status::resource_exhausted("x".repeat(LONG)).with_detail(&RetryInfo { after_ms: 500 })
}

/// Numbers up to this one, and how the stream ends.
struct Numbers(u64, Option<Status>);

impl Stream for Numbers {
    type Item = Result<CountRsp, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(if self.0 > 0 {
            self.0 -= 1;
            Some(Ok(CountRsp {
                number: self.0,
                ..CountRsp::default()
            }))
        } else {
            self.1.take().map(Err)
        })
    }
}

/// Sets a header in every answer, and fails where it is asked to. It records how each stream of requests has ended that a task
/// of its own reads.
struct Desk(Recorder<String>);

impl HandleClientToServer for Desk {
    async fn on_echo_req(&self, peer: &Peer<Lab>, request: EchoReq) -> Result<EchoRsp, Status> {
        peer.call().set_header("list", "none")?;
        peer.call().set_header("list", &request.text)?;
        if request.text == "later" {
            tokio::task::yield_now().await;
        }
        Ok(EchoRsp::default())
    }

    async fn on_act_req(&self, peer: &Peer<Lab>, request: ActReq) -> Result<ActRsp, Status> {
        match request.what.as_str() {
            "fail" => {
                peer.call().set_header("list", "failed")?;
                Err(busy())
            }
            "plain" => Ok(ActRsp::default()),
            "malformed" => {
                peer.call().set_header("a b", "x")?;
                Ok(ActRsp::default())
            }
            "too many" => {
                peer.call().set_header("kept", "yes")?;
                let refused = peer.call().set_header("large", &"x".repeat(9000));
                let text = refused.expect_err("too large").to_string();
                Ok(ActRsp { done: text })
            }
            what => Err(Status::invalid_argument(format!("`{what}`?"))),
        }
    }

    async fn on_count_req(
        &self,
        peer: &Peer<Lab>,
        request: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        peer.call().set_header("list", "counted")?;
        Ok(Numbers(request.to, (request.ballast_len > 0).then(busy)))
    }

    async fn on_sum_req(
        &self,
        peer: &Peer<Lab>,
        mut requests: Streaming<SumReq>,
    ) -> Result<SumRsp, Status> {
        let mut sum = 0;
        while let Some(request) = requests.next().await {
            sum += request?.number;
        }
        peer.call().set_header("list", "summed")?;
        Ok(SumRsp { sum })
    }

    async fn on_shout_req(
        &self,
        _: &Peer<Lab>,
        mut requests: Streaming<ShoutReq>,
    ) -> Result<impl Stream<Item = Result<ShoutRsp, Status>> + Send + 'static, Status> {
        let ends = self.0.clone();
        let first = requests.next().await.expect("an item")?;
        ends.record("begun".to_owned());
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                if let Err(error) = request {
                    ends.record(error.to_string());
                }
            }
        });
        let answers: Pin<Box<dyn Stream<Item = Result<ShoutRsp, Status>> + Send>> =
            if first.text == "done" {
                Box::pin(EmptyStream::new())
            } else {
                Box::pin(Endless)
            };
        Ok(answers)
    }

    async fn on_save_ind(&self, peer: &Peer<Lab>, _: SaveInd) -> Result<(), Status> {
        peer.call().set_header("list", "goes nowhere")?;
        Err(busy())
    }

    async fn on_note_ind(&self, peer: &Peer<Lab>, _: NoteInd) {
        peer.call()
            .set_header("list", "goes nowhere")
            .expect("no error");
    }
}

/// A stream of answers that never come.
struct Endless;

impl Stream for Endless {
    type Item = Result<ShoutRsp, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

async fn serve() -> ServiceUrl {
    record().await.0
}

/// The same, and how streams of requests end there.
async fn record() -> (ServiceUrl, mpsc::Receiver<String>) {
    let (ends, ended) = recorder();
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("binds");
    let url = server.local_url().clone();
    tokio::spawn(server.serve(Desk(ends)));
    (url, ended)
}

/// Passes each session on to a server.
struct Relay(String);

struct Back(Handle);

impl Service for Relay {
    async fn serve(&self, peer: untyped::UntypedPeer, inbound: Inbound) {
        let (name, fingerprint) = (peer.protocol().to_owned(), peer.fingerprint());
        let upstream = UntypedClient::builder(&self.0, name, fingerprint)
            .service(Back(peer.handle().clone()))
            .connect()
            .await;
        match upstream {
            Ok(upstream) => untyped::relay(inbound, upstream.handle()).await,
            Err(error) => peer.disconnect(error.to_string()),
        }
    }
}

impl Service for Back {
    async fn serve(&self, _: untyped::UntypedPeer, inbound: Inbound) {
        untyped::relay(inbound, &self.0).await;
    }
}

/// The server itself, and a relay in front of it.
async fn ways() -> [(&'static str, String); 2] {
    let direct = serve().await.to_string();
    let relay = untyped::UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), Relay(direct.clone()))
        .bind()
        .await
        .expect("listens");
    let relayed = relay.local_url().to_string();
    tokio::spawn(relay.serve());
    [("direct", direct), ("through a relay", relayed)]
}

fn into(metadata: &ResponseMetadata) -> CallOptions {
    CallOptions::new().response_metadata(metadata)
}

fn act(what: &str) -> ActReq {
    ActReq { what: what.into() }
}

fn check_busy(error: &CallError, way: &str) {
    let CallError::Status(status) = error else {
        panic!("{way}: {error:?}");
    };
    assert_eq!(status.code(), Code::ResourceExhausted, "{way}");
    assert_eq!(status.message().len(), LONG, "{way}");
    assert_eq!(
        status.detail::<RetryInfo>(),
        Some(RetryInfo { after_ms: 500 }),
        "{way}"
    );
}

#[tokio::test]
async fn the_answer_of_every_shape_has_the_headers_that_its_handler_sets() {
    for (way, url) in ways().await {
        let client = Client::<Lab>::connect(url).await.expect("connects");
        let metadata = ResponseMetadata::new();
        for text in ["at once", "later"] {
            let request = EchoReq {
                text: text.to_owned(),
                ..EchoReq::default()
            };
            client
                .with(into(&metadata))
                .echo_req(request.clone())
                .await
                .expect("answers");
            assert_eq!(metadata.header("list").as_deref(), Some(text), "{way}");
            // A call without options is answered on the fast path.
            client.echo_req(request).await.expect("answers");
        }
        client
            .with(into(&metadata))
            .act_req(act("plain"))
            .await
            .expect("answers");
        assert_eq!(metadata.header("list"), None, "{way}: none is left over");
        let numbers = futures_of(vec![1, 2, 3]);
        let sum = client.with(into(&metadata)).sum_req(numbers).await;
        assert_eq!(sum.expect("adds").sum, 6);
        assert_eq!(metadata.header("list").as_deref(), Some("summed"), "{way}");
        for to in [0, 3] {
            let metadata = ResponseMetadata::new();
            let request = CountReq {
                to,
                ..CountReq::default()
            };
            let mut answers = client
                .with(into(&metadata))
                .count_req(request)
                .await
                .expect("opens");
            for _ in 0..to {
                answers.next().await.expect("an item").expect("no error");
            }
            assert_eq!(answers.next().await.map(|item| item.is_ok()), None, "{way}");
            assert_eq!(
                metadata.header("list").as_deref(),
                Some("counted"),
                "{way}, {to}"
            );
        }
    }
}

fn futures_of(numbers: Vec<u64>) -> impl Stream<Item = SumReq> + Send + 'static {
    struct Each(std::vec::IntoIter<u64>);
    impl Stream for Each {
        type Item = SumReq;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<SumReq>> {
            Poll::Ready(self.0.next().map(|number| SumReq { number }))
        }
    }
    Each(numbers.into_iter())
}

#[tokio::test]
async fn an_error_has_its_details_its_headers_and_a_long_text() {
    for (way, url) in ways().await {
        let client = Client::<Lab>::connect(url).await.expect("connects");
        let metadata = ResponseMetadata::new();
        let failed = client.with(into(&metadata)).act_req(act("fail")).await;
        check_busy(&failed.expect_err("fails"), way);
        assert_eq!(metadata.header("list").as_deref(), Some("failed"), "{way}");
        let failed = client.act_req(act("fail")).await;
        check_busy(&failed.expect_err("fails"), way);
        let request = CountReq {
            to: 1,
            ballast_len: 1,
            ..CountReq::default()
        };
        let metadata = ResponseMetadata::new();
        let mut answers = client
            .with(into(&metadata))
            .count_req(request)
            .await
            .expect("opens");
        answers.next().await.expect("an item").expect("no error");
        let failed = answers.next().await.expect("an error");
        check_busy(&failed.expect_err("fails"), way);
        assert_eq!(metadata.header("list").as_deref(), Some("counted"), "{way}");
        match client.save_ind(SaveInd::default()).await {
            Err(CallError::Status(status)) => check_busy(&CallError::Status(status), way),
            other => panic!("{way}: {other:?}"),
        }
        let sent = client
            .with(CallOptions::new().ack())
            .note_ind(NoteInd::default())
            .await;
        assert_eq!(sent, Ok::<(), SendError>(()), "{way}");
    }
}

#[tokio::test]
async fn headers_that_cannot_be_sent_are_errors_of_the_handler() {
    let client = Client::<Lab>::connect(serve().await.to_string())
        .await
        .expect("connects");
    let failed = client.act_req(act("malformed")).await;
    assert_eq!(
        failed.expect_err("fails").to_string(),
        "INTERNAL: invalid character ' ' in header name `a b`: use ASCII letters and digits, `-`, `_`, `.` and `/`"
    );
    let metadata = ResponseMetadata::new();
    let told = client.with(into(&metadata)).act_req(act("too many")).await;
    assert_eq!(
        told.expect("answers").done,
        "metadata of 9037 bytes exceeds the limit of 8192: headers, ids and trace context together"
    );
    assert_eq!(metadata.header("kept").as_deref(), Some("yes"));
    assert_eq!(metadata.header("large"), None);
}

/// Calls a server whose `act_req` fails, and returns the ERROR.
async fn failure(raw: &mut RawPeer) -> Frame {
    let request = ClientToServer::ActReq(act("fail"));
    let id = MsgId::exchange(Side::Connecting, 2);
    let request = raw::message(Side::Connecting, Flags::ACK_REQUIRED, id, &request);
    raw.say(&request).await;
    raw.hear_type(FrameType::Error).await
}

#[tokio::test]
async fn an_older_client_gets_the_text_alone() {
    let url = serve().await;
    let mut old = RawPeer::dial(&url).await;
    old.greet().await;
    let error = soon("an error", failure(&mut old)).await;
    assert_eq!(error.header.flags, Flags::NONE);
    let text = format!("RESOURCE_EXHAUSTED: {}", "x".repeat(LONG));
    assert_eq!(error.payload, text.as_bytes()[..256]);
    old.leave().await;

    let mut new = RawPeer::dial(&url).await;
    let mut hello = raw::hello();
    let name = ERROR_METADATA.to_owned();
    hello.extensions.insert(name, Vec::new());
    new.greet_with(&hello).await;
    let error = soon("an error", failure(&mut new)).await;
    assert_eq!(error.header.flags, Flags::META);
    assert!(error.payload.ends_with(text.as_bytes()));
    let (len, rest) = error.payload.split_first_chunk().expect("a length");
    let metadata = rest.get(..usize::from(u16::from_be_bytes(*len)));
    let metadata = <Metadata as prost::Message>::decode(metadata.expect("metadata"));
    let metadata = metadata.expect("decodes");
    assert_eq!(metadata.headers["list"], "failed");
    assert_eq!(metadata.details.len(), 1);
    assert_eq!(metadata.details[0].type_name, "lab.RetryInfo");
    new.leave().await;
}

/// Requests of which the first is this, and which then neither come nor end.
struct First(Option<&'static str>);

impl Stream for First {
    type Item = ShoutReq;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<ShoutReq>> {
        match self.0.take() {
            Some(text) => Poll::Ready(Some(ShoutReq { text: text.into() })),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn the_reader_of_requests_is_told_why_they_end() {
    let (ends, mut ended) = recorder();
    let pair = Pair::<Lab>::connect(Desk(ends), ())
        .await
        .expect("connects");
    let client = pair.client();
    let mut next = async || soon("an end", ended.recv()).await.expect("lives");
    for (first, end) in [
        ("go on", "CANCELLED: the caller has given the call up"),
        ("done", "CANCELLED: the call has been answered"),
    ] {
        let mut answers = client.shout_req(First(Some(first))).await.expect("opens");
        if first == "done" {
            assert!(soon("the end", answers.next()).await.is_none());
        } else {
            tokio::select! {
                biased;
                _ = answers.next() => panic!("there is no answer"),
                begun = next() => assert_eq!(begun, "begun"),
            }
        }
        drop(answers);
        if first == "done" {
            assert_eq!(next().await, "begun");
        }
        assert_eq!(next().await, end);
    }
    let mut answers = client.shout_req(First(Some("go on"))).await.expect("opens");
    tokio::select! {
        biased;
        _ = answers.next() => panic!("there is no answer"),
        begun = next() => assert_eq!(begun, "begun"),
    }
    pair.cut();
    let end = next().await;
    assert!(end.starts_with("connection lost"), "{end}");
}
