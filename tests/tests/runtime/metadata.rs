//! Metadata of messages: headers, ids, traces, deadlines, cancellation.

use std::time::{Duration, SystemTime};

use msip_runtime::{
    Call, CallError, CallOptions, Client, Code, EmptyStream, MetadataError, Peer, ResponseMetadata,
    SendError, Status, Stream, Streaming,
    transport::{Listener, ServiceUrl},
    wire::{Flags, FrameType, Header, Identity, Metadata, MsgId, Side, write_metadata},
};
use msip_tests::{
    Recorder, advance, at, direct_only,
    lab::{
        ActReq, ActRsp, AskReq, AskRsp, ClientToServer, CountReq, CountRsp, EchoReq, EchoRsp,
        HandleClientToServer, HandleServerToClient, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SendServerToClient as _, ShoutReq, ShoutRsp, SumReq, SumRsp,
    },
    raw::{self, RawPeer},
    recorder, serve, soon, with_settings,
};
use tokio::sync::mpsc;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The time of a message that says so.
const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

/// Formats the metadata of a message.
fn describe(call: Call<'_>) -> String {
    let metadata = call.metadata();
    let mut said: Vec<String> = Vec::new();
    for (name, value) in [
        ("id", metadata.correlation_id()),
        ("trace", metadata.traceparent()),
        ("state", metadata.tracestate()),
        ("key", metadata.key()),
        ("user", metadata.identity().map(|identity| &*identity.user)),
    ] {
        said.extend(value.map(|value| format!("{name}={value}")));
    }
    let headers = metadata.headers();
    said.extend(headers.map(|(name, value)| format!("{name}: {value}")));
    if metadata.is_idempotent() {
        said.push("idempotent".to_owned());
    }
    match metadata.request_time() {
        Some(time) if time == LONG_AGO => said.push("long ago".to_owned()),
        Some(_) => said.push("timed".to_owned()),
        None => {}
    }
    said.join(", ")
}

/// A server's handler that answers with the metadata that it receives.
#[derive(Clone)]
struct Desk(Recorder<String>);

impl Desk {
    fn say(&self, what: impl Into<String>) {
        self.0.record(what.into());
    }
}

impl HandleClientToServer for Desk {
    async fn on_echo_req(&self, _: &Peer<Lab>, request: EchoReq) -> Result<EchoRsp, Status> {
        Ok(EchoRsp {
            text: request.text,
            ballast: request.ballast,
        })
    }

    async fn on_act_req(&self, peer: &Peer<Lab>, request: ActReq) -> Result<ActRsp, Status> {
        let done = match request.what.as_str() {
            "tell" => describe(peer.call()),
            "chain" => {
                peer.with(peer.call())
                    .ask_req(AskReq::default())
                    .await?
                    .answer
            }
            "chain with headers" => {
                let headers = peer.call().metadata();
                let options = CallOptions::from(peer.call()).headers(headers.headers());
                peer.with(options).ask_req(AskReq::default()).await?.answer
            }
            "work on" => {
                let cancellation = peer.call().cancellation();
                let desk = self.clone();
                tokio::spawn(async move {
                    desk.say("working");
                    cancellation.cancelled().await;
                    assert!(cancellation.is_cancelled());
                    desk.say("heard that it is cancelled");
                });
                std::future::pending().await
            }
            "answer at once" => {
                let (cancellation, desk) = (peer.call().cancellation(), self.clone());
                assert!(!cancellation.is_cancelled() && !peer.call().is_cancelled());
                let (peer, before) = (peer.clone(), cancellation.clone());
                tokio::spawn(async move {
                    before.cancelled().await;
                    let late = peer.call();
                    desk.say(format!(
                        "over: {}, {}",
                        late.is_cancelled(),
                        late.cancellation().is_cancelled()
                    ));
                });
                String::new()
            }
            what => return Err(Status::invalid_argument(format!("`{what}`?"))),
        };
        Ok(ActRsp { done })
    }

    async fn on_note_ind(&self, peer: &Peer<Lab>, message: NoteInd) {
        assert!(!peer.call().is_cancelled());
        self.say(format!(
            "note {}: {}",
            message.number,
            describe(peer.call())
        ));
    }

    async fn on_save_ind(&self, peer: &Peer<Lab>, message: SaveInd) -> Result<(), Status> {
        let left = peer.call().remaining().is_some();
        self.say(format!(
            "save {} ({left}): {}",
            message.number,
            describe(peer.call())
        ));
        Ok(())
    }

    async fn on_count_req(
        &self,
        _: &Peer<Lab>,
        _: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        Ok(EmptyStream::new())
    }

    async fn on_shout_req(
        &self,
        _: &Peer<Lab>,
        _: Streaming<ShoutReq>,
    ) -> Result<impl Stream<Item = Result<ShoutRsp, Status>> + Send + 'static, Status> {
        Ok(EmptyStream::new())
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
        self.say(describe(peer.call()));
        Ok(SumRsp { sum })
    }
}

/// A client's handler that does the same.
struct Answerer;

impl HandleServerToClient for Answerer {
    async fn on_ask_req(&self, client: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        let left = client.call().remaining().expect("a call");
        Ok(AskRsp {
            answer: format!("{} | {}", describe(client.call()), left.as_millis()),
        })
    }

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }
}

struct Hall {
    url: ServiceUrl,
    heard: mpsc::Receiver<String>,
    client: Client<Lab>,
}

impl Hall {
    async fn open(query: &str) -> Self {
        let (said, heard) = recorder();
        let (url, _serving) = serve::<Lab, _>(at!("tcp://127.0.0.1:0"), Desk(said)).await;
        let client = Client::<Lab>::builder(with_settings(&url, &format!("?{query}")))
            .handler(Answerer)
            .connect()
            .await
            .expect("connects");
        Self { url, heard, client }
    }

    async fn next(&mut self) -> String {
        soon("a word", self.heard.recv()).await.expect("lives")
    }

    async fn act(&self, options: CallOptions, what: &str) -> Result<String, CallError> {
        let request = ActReq { what: what.into() };
        let answer = self.client.with(options).act_req(request).await;
        answer.map(|answer| answer.done)
    }
}

fn all() -> CallOptions {
    CallOptions::new()
        .correlation_id("order-17")
        .traceparent(TRACE)
        .tracestate("vendor=1")
        .header("lang", "en")
        .header("tenant", "größer")
        .key("van-7")
        .idempotent()
}

const ALL: &str = "id=order-17, trace=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, state=vendor=1, key=van-7, lang: en, tenant: größer, idempotent, timed";

#[tokio::test]
async fn every_shape_carries_what_the_sender_says() {
    let mut hall = Hall::open("").await;
    assert_eq!(hall.act(all(), "tell").await.as_deref(), Ok(ALL));
    assert_eq!(
        hall.act(CallOptions::new(), "tell").await.as_deref(),
        Ok("")
    );
    let note = NoteInd {
        number: 1,
        ..NoteInd::default()
    };
    hall.client
        .with(all())
        .note_ind(note.clone())
        .await
        .expect("sent");
    assert_eq!(hall.next().await, format!("note 1: {ALL}"));
    hall.client
        .with(all())
        .try_note_ind(note.clone())
        .expect("sent");
    assert_eq!(hall.next().await, format!("note 1: {ALL}"));
    hall.client
        .with(all().ack())
        .note_ind(note)
        .await
        .expect("handled");
    assert_eq!(hall.next().await, format!("note 1: {ALL}"));
    let save = SaveInd { number: 2 };
    hall.client
        .with(all())
        .save_ind(save)
        .await
        .expect("handled");
    // How long a broker waits for a service is its own affair, and the service is told.
    let mut has_deadline = false;
    direct_only!("Acknowledgments", has_deadline = true);
    let saved = format!("save 2 ({has_deadline}): {ALL}");
    assert_eq!(hall.next().await, saved);
    let hurried = all().timeout(Duration::from_secs(7));
    hall.client
        .with(hurried)
        .save_ind(save)
        .await
        .expect("handled");
    assert_eq!(hall.next().await, format!("save 2 (true): {ALL}"));
    let sum = hall
        .client
        .with(all())
        .sum_req(numbers(vec![1, 2, 3]))
        .await
        .expect("adds");
    assert_eq!(sum.sum, 6);
    assert_eq!(hall.next().await, ALL);
}

fn numbers(numbers: Vec<u64>) -> impl Stream<Item = SumReq> + Send + 'static {
    struct Numbers(std::vec::IntoIter<u64>);
    impl Stream for Numbers {
        type Item = SumReq;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<SumReq>> {
            std::task::Poll::Ready(self.0.next().map(|number| SumReq { number }))
        }
    }
    Numbers(numbers.into_iter())
}

#[tokio::test]
async fn a_chain_passes_on_its_id_its_trace_and_what_remains() {
    let hall = Hall::open("").await;
    let options = all().timeout(Duration::from_secs(15));
    let answer = hall.act(options.clone(), "chain").await.expect("answers");
    let (beside, left) = answer.split_once(" | ").expect("two parts");
    assert_eq!(
        beside,
        format!("id=order-17, trace={TRACE}, state=vendor=1, timed")
    );
    let left: u64 = left.parse().expect("a number");
    assert!(left <= 15_000, "{left} ms of 15 s");
    let answer = hall
        .act(options, "chain with headers")
        .await
        .expect("answers");
    let (beside, _) = answer.split_once(" | ").expect("two parts");
    assert_eq!(
        beside,
        format!("id=order-17, trace={TRACE}, state=vendor=1, lang: en, tenant: größer, timed")
    );
    let bare = hall
        .act(CallOptions::new(), "chain")
        .await
        .expect("answers");
    assert!(bare.starts_with(" | "), "nothing is made up: {bare}");
}

#[tokio::test]
async fn ids_are_made_where_the_setting_asks_for_them() {
    let hall = Hall::open("correlation_ids=true").await;
    let id = |told: String| {
        let id = told
            .strip_prefix("id=")
            .and_then(|rest| rest.strip_suffix(", timed"));
        id.map(str::to_owned).expect("an id and a time")
    };
    let first = id(hall.act(CallOptions::new(), "tell").await.expect("answers"));
    let second = id(hall.act(CallOptions::new(), "tell").await.expect("answers"));
    assert_ne!(first, second);
    let given = CallOptions::new().correlation_id("mine");
    assert_eq!(id(hall.act(given, "tell").await.expect("answers")), "mine");
    let chained = hall
        .act(CallOptions::new().correlation_id("mine"), "chain")
        .await
        .expect("answers");
    assert!(chained.starts_with("id=mine, timed"), "{chained}");
}

#[tokio::test]
async fn an_answer_tells_when_it_was_sent_where_that_is_asked_for() {
    let hall = Hall::open("").await;
    let told = ResponseMetadata::new();
    let before = SystemTime::now() - Duration::from_millis(1);
    hall.act(CallOptions::new().response_metadata(&told), "tell")
        .await
        .expect("answers");
    let at = told
        .get()
        .and_then(|metadata| metadata.response_time())
        .expect("told");
    assert!(before <= at && at <= SystemTime::now());
    let options = CallOptions::new().response_metadata(&told);
    hall.client
        .with(options)
        .sum_req(numbers(vec![1]))
        .await
        .expect("adds");
    let again = told
        .get()
        .and_then(|metadata| metadata.response_time())
        .expect("told");
    assert!(at <= again);
    hall.client
        .with(CallOptions::new().response_metadata(&told))
        .save_ind(SaveInd::default())
        .await
        .expect("handled");
    assert_eq!(told.get(), None, "an acknowledgment has none");
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_and_nothing_is_sent() {
    let mut hall = Hall::open("").await;
    let cases = [
        (
            CallOptions::new().header("", "x"),
            "empty header name",
            Code::InvalidArgument,
        ),
        (
            CallOptions::new().header("lang", "e\0n"),
            "control character U+0000 at byte 1 of header `lang`: escape it, or send the value in the message",
            Code::InvalidArgument,
        ),
        (
            CallOptions::new().traceparent("1-2-3"),
            "invalid traceparent `1-2-3`: expected a value such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Code::InvalidArgument,
        ),
        (
            CallOptions::new().header("large", "x".repeat(9000)),
            "metadata of 9028 bytes exceeds the limit of 8192: headers, ids and trace context together",
            Code::ResourceExhausted,
        ),
        (
            CallOptions::new().timeout(Duration::ZERO),
            "timeout of 0ns is too short: the minimum is 1 ms",
            Code::DeadlineExceeded,
        ),
        (
            CallOptions::new().timeout(Duration::from_micros(999)),
            "timeout of 999µs is too short: the minimum is 1 ms",
            Code::DeadlineExceeded,
        ),
    ];
    for (options, text, code) in cases {
        let error = hall.act(options.clone(), "tell").await.expect_err(text);
        assert_eq!(error.to_string(), text);
        assert_eq!(error.code(), code, "{text}");
        assert!(error.is_safe_to_repeat(), "{text}");
        let error = hall
            .client
            .with(options.clone())
            .sum_req(numbers(vec![1]))
            .await;
        assert_eq!(error.expect_err(text).code(), code, "{text}");
        if code == Code::DeadlineExceeded {
            // Nobody waits for the answer of a note.
            continue;
        }
        let error = hall
            .client
            .with(options.clone())
            .note_ind(NoteInd::default())
            .await;
        assert_eq!(error.expect_err(text).to_string(), text);
        let error = hall.client.with(options).try_note_ind(NoteInd::default());
        assert_eq!(error.expect_err(text).to_string(), text);
    }
    let mistake = hall
        .client
        .with(CallOptions::new().header("", "x"))
        .try_note_ind(NoteInd::default());
    assert_eq!(mistake, Err(SendError::Metadata(MetadataError::EmptyName)));
    hall.client
        .note_ind(NoteInd::default())
        .await
        .expect("sent");
    assert_eq!(hall.next().await, "note 0: ", "the first to arrive");
}

#[tokio::test]
async fn work_that_goes_on_without_its_handler_hears_of_the_cancellation() {
    let mut hall = Hall::open("").await;
    let calling = tokio::spawn({
        let client = hall.client.clone();
        async move {
            client
                .act_req(ActReq {
                    what: "work on".into(),
                })
                .await
        }
    });
    assert_eq!(hall.next().await, "working");
    calling.abort();
    assert_eq!(hall.next().await, "heard that it is cancelled");
    let limit = Duration::from_secs(10);
    let hurried = hall.client.clone();
    let hurried = hurried.with(CallOptions::new().timeout(limit));
    let calling = hurried.act_req(ActReq {
        what: "work on".into(),
    });
    let (late, ()) = tokio::join!(calling, async {
        assert_eq!(hall.next().await, "working");
        advance(limit).await;
    });
    assert_eq!(late.expect_err("too late").code(), Code::DeadlineExceeded);
    assert_eq!(hall.next().await, "heard that it is cancelled");
    let other = Client::<Lab>::connect(with_settings(&hall.url, "?drain_timeout=0ms"))
        .await
        .expect("connects");
    let calling = tokio::spawn({
        let client = other.clone();
        async move {
            client
                .act_req(ActReq {
                    what: "work on".into(),
                })
                .await
        }
    });
    assert_eq!(hall.next().await, "working");
    other.close().await;
    assert_eq!(hall.next().await, "heard that it is cancelled");
    soon("the outcome", calling)
        .await
        .expect("no panic")
        .expect_err("closed");
    hall.act(CallOptions::new(), "answer at once")
        .await
        .expect("answers");
    assert_eq!(hall.next().await, "over: true, true");
}

#[tokio::test]
async fn what_a_client_says_of_its_identity_is_dropped_and_the_rest_is_not() {
    let mut hall = Hall::open("").await;
    let mut raw = RawPeer::dial(&hall.url).await;
    raw.greet().await;
    for (request_time_us, heard) in [
        (None, "note 0: id=order-17"),
        (Some(0), "note 0: id=order-17, long ago"),
    ] {
        raw.say(&note_of_root(request_time_us)).await;
        assert_eq!(hall.next().await, heard);
    }
    raw.leave().await;
}

/// A note whose metadata claims an identity.
fn note_of_root(request_time_us: Option<i64>) -> Vec<u8> {
    let metadata = Metadata {
        correlation_id: "order-17".to_owned(),
        request_time_us,
        identity: Some(Identity {
            user: "root".to_owned(),
            ..Identity::default()
        }),
        ..Metadata::default()
    };
    let note = ClientToServer::NoteInd(NoteInd::default());
    let mut payload = Vec::new();
    write_metadata(&mut payload, &metadata, 1000).expect("fits");
    let topic = match env!("CARGO_CRATE_NAME") {
        "over_broker" => "lab/$in",
        _ => "",
    };
    let topic_len = u16::try_from(topic.len()).expect("fits");
    payload.extend_from_slice(&topic_len.to_be_bytes());
    payload.extend_from_slice(topic.as_bytes());
    payload.extend_from_slice(&raw::body(&note));
    let header = Header {
        flags: Flags::META,
        kind: raw::kind(&note),
        variant: raw::variant(&note),
        ..Header::control(FrameType::Publish, MsgId::exchange(Side::Connecting, 2))
    };
    raw::frame_of(header, &payload)
}

#[tokio::test]
async fn a_message_for_which_nobody_says_anything_carries_nothing() {
    let url = ServiceUrl::parse("mem://carries-nothing").expect("an address");
    let listener = Listener::bind(&url).await.expect("binds");
    let connecting = tokio::spawn(Client::<Lab>::connect("mem://carries-nothing"));
    let mut raw = RawPeer::accept(&listener).await;
    raw.welcome().await;
    let client = connecting.await.expect("no panic").expect("connects");
    let usual = Duration::from_secs(20);
    for (options, has_metadata) in [
        (CallOptions::new(), false),
        (CallOptions::new().timeout(usual), false),
        (CallOptions::new().timeout(2 * usual), true),
        (CallOptions::new().timestamps(), true),
    ] {
        let calling = tokio::spawn({
            let client = client.clone();
            let request = ActReq { what: "x".into() };
            async move { client.with(options).act_req(request).await }
        });
        let heard = raw.hear_type(FrameType::Publish).await.header;
        assert_eq!(heard.flags.contains(Flags::META), has_metadata);
        calling.abort();
    }
}
