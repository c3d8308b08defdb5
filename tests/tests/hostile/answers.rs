//! Answers that come too late, twice, or in a shape that no caller can read: the caller gets one outcome, and never
//! another's.

use std::{future::Future, time::Duration};

use msip_runtime::{
    CallError, CallOptions, Client, Envelope, Peer,
    transport::{Listener, ServiceUrl},
    wire::{Flags, FrameType, Header, MsgId, RawKind},
};
use msip_tests::{
    SeenByServer, advance, at,
    lab::{
        ActRsp, AskReq, AskRsp, ClientToServer, EchoReq, EchoRsp, Lab, SendClientToServer as _,
        SendServerToClient as _, ServerToClient,
    },
    next,
    raw::{self, Playing, RawPeer},
    soon, start,
};
use tokio::sync::mpsc;

/// Whoever calls the raw peer.
trait Caller {
    /// What the raw peer hears of a call.
    const OPENER: FrameType;

    /// Calls with a text that the raw peer may answer.
    fn call(
        &self,
        options: CallOptions,
        text: &str,
    ) -> impl Future<Output = Result<String, CallError>> + Send;

    /// A good answer.
    fn answer(id: MsgId, text: &str) -> Vec<u8>;

    /// The variant and the body of another message than the answer.
    fn other() -> (u16, Vec<u8>);

    const OTHER: &'static str;

    /// The name of the answer.
    const ANSWER: &'static str;
}

impl Caller for Client<Lab> {
    const OPENER: FrameType = FrameType::Publish;
    const OTHER: &'static str = "act_rsp";
    const ANSWER: &'static str = "echo_rsp";

    async fn call(&self, options: CallOptions, text: &str) -> Result<String, CallError> {
        let request = EchoReq {
            text: text.to_owned(),
            ..EchoReq::default()
        };
        let answer = self.with(options).echo_req(request).await?;
        Ok(answer.text)
    }

    fn answer(id: MsgId, text: &str) -> Vec<u8> {
        raw::answer(
            id,
            &ServerToClient::EchoRsp(EchoRsp {
                text: text.to_owned(),
                ..EchoRsp::default()
            }),
        )
    }

    fn other() -> (u16, Vec<u8>) {
        let other = ServerToClient::ActRsp(ActRsp::default());
        (raw::variant(&other), raw::body(&other))
    }
}

impl Caller for Peer<Lab> {
    const OPENER: FrameType = FrameType::Event;
    const OTHER: &'static str = "echo_req";
    const ANSWER: &'static str = "ask_rsp";

    async fn call(&self, options: CallOptions, text: &str) -> Result<String, CallError> {
        let request = AskReq {
            question: text.to_owned(),
        };
        let answer = self.with(options).ask_req(request).await?;
        Ok(answer.answer)
    }

    fn answer(id: MsgId, text: &str) -> Vec<u8> {
        raw::answer(
            id,
            &ClientToServer::AskRsp(AskRsp {
                answer: text.to_owned(),
            }),
        )
    }

    fn other() -> (u16, Vec<u8>) {
        let other = ClientToServer::EchoReq(EchoReq::default());
        (raw::variant(&other), raw::body(&other))
    }
}

/// A live client whose server is the raw peer.
async fn client() -> (Client<Lab>, RawPeer, Listener) {
    let address = ServiceUrl::parse(at!("tcp://127.0.0.1:0")).expect("an address");
    let listener = Listener::bind(&address).await.expect("binds");
    let url = format!("{}?ping_interval=1h", listener.local_url());
    let (client, raw) = tokio::join!(Client::<Lab>::connect(url), async {
        let mut raw = RawPeer::accept(&listener).await;
        raw.welcome().await;
        raw
    });
    (client.expect("connects"), raw, listener)
}

/// A live server's view of the raw peer, and the server's events.
async fn peer() -> (Peer<Lab>, RawPeer, mpsc::Receiver<SeenByServer>) {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0?ping_interval=1h")).await;
    let mut raw = RawPeer::dial(&url).await;
    raw.greet().await;
    match next(&mut events).await {
        SeenByServer::Connected(peer) => (peer, raw, events),
        event => panic!("{event:?}"),
    }
}

/// Late answers, answers twice, and answers in another order.
async fn answers_reach_their_own_callers<C: Caller>(caller: &C, mut raw: RawPeer) {
    let limit = Duration::from_secs(10);
    let short = CallOptions::new().timeout(limit);
    let (late, first) = tokio::join!(caller.call(short, "nobody answers in time"), async {
        let first = raw.hear_type(C::OPENER).await.header.msg_id;
        advance(limit).await;
        first
    });
    assert!(
        matches!(late, Err(CallError::DeadlineExceeded { .. })),
        "{late:?}"
    );

    // The late answer comes while another call waits in the same place.
    let calling = caller.call(CallOptions::new(), "second");
    let (answered, second) = tokio::join!(calling, async {
        let second = raw.hear_type(C::OPENER).await.header.msg_id;
        raw.say(&C::answer(first, "too late")).await;
        raw.say(&raw::frame(
            FrameType::Error,
            first,
            b"INTERNAL: too late too",
        ))
        .await;
        raw.say(&C::answer(second, "the second's")).await;
        raw.say(&C::answer(second, "the second's again")).await;
        second
    });
    assert_eq!(answered.expect("answered"), "the second's");

    // Two at once, answered the other way round, with the old answers in between.
    let (one, two, ()) = tokio::join!(
        caller.call(CallOptions::new(), "one"),
        caller.call(CallOptions::new(), "two"),
        async {
            let one = raw.hear_type(C::OPENER).await.header.msg_id;
            let two = raw.hear_type(C::OPENER).await.header.msg_id;
            for (id, text) in [
                (first, "old"),
                (second, "old"),
                (two, "for two"),
                (second, "old"),
                (one, "for one"),
                (two, "for two again"),
            ] {
                raw.say(&C::answer(id, text)).await;
            }
        }
    );
    assert_eq!(one.expect("answered"), "for one");
    assert_eq!(two.expect("answered"), "for two");
}

#[tokio::test]
async fn a_clients_callers_get_their_own_answers_once() {
    let (client, raw, _listener) = client().await;
    soon("the end", answers_reach_their_own_callers(&client, raw)).await;
}

#[tokio::test]
async fn a_servers_callers_get_their_own_answers_once() {
    let (peer, raw, _events) = peer().await;
    soon("the end", answers_reach_their_own_callers(&peer, raw)).await;
}

/// An answer, and what the caller makes of it.
struct Broken {
    name: &'static str,
    header: Header,
    payload: Vec<u8>,
    error: String,
}

fn broken<C: Caller>() -> Vec<Broken> {
    let good = C::answer(MsgId::new(1), "x");
    let good = Header::parse(good.first_chunk().expect("has a header")).expect("is good");
    let flagged = |flags: Flags| Header { flags, ..good };
    let (other, other_body) = C::other();
    let label = format!("{} ({})", C::ANSWER, good.variant);
    let case = |name, header, payload: &[u8], error: &str| Broken {
        name,
        header,
        payload: payload.to_vec(),
        error: error.to_owned(),
    };
    let unreadable = "INTERNAL: the answer cannot be read: ";
    vec![
        case(
            "compressed, and no compression was agreed",
            flagged(Flags::COMPRESSED),
            &[1, 0x1f, 0x8b],
            &format!("{unreadable}a compressed body, and no compression was agreed"),
        ),
        case(
            "a stream",
            flagged(Flags::MORE),
            &[],
            &format!("{unreadable}a stream, where one answer was asked for"),
        ),
        case(
            "metadata beyond the payload",
            flagged(Flags::META),
            &[0, 9, 8],
            &format!("{unreadable}the metadata reaches beyond the payload"),
        ),
        case(
            "no body",
            good,
            &[],
            "cannot decode the response: the body does not contain VARIANT, which its header names",
        ),
        case(
            "a body that is no protobuf",
            good,
            &[0xff; 12],
            "cannot decode the response: malformed body of VARIANT: failed to decode Protobuf message: invalid varint",
        ),
        case(
            "an acknowledgment where an answer belongs",
            Header { variant: 0, ..good },
            &[],
            "cannot decode the response: unknown variant 0",
        ),
        case(
            "a variant from a newer schema",
            Header {
                variant: 999,
                ..good
            },
            &[0xba, 0x3e, 0],
            "cannot decode the response: unknown variant 999",
        ),
        case(
            "another message",
            Header {
                variant: other,
                ..good
            },
            &other_body,
            &format!(
                "unexpected response: `{}` does not answer this request",
                C::OTHER
            ),
        ),
        case(
            "an ERROR without a text",
            Header::control(FrameType::Error, MsgId::new(1)),
            &[],
            "UNKNOWN: ",
        ),
        case(
            "an ERROR with a code of its own, an escape sequence and what is not UTF-8",
            Header::control(FrameType::Error, MsgId::new(1)),
            b"TEAPOT: \x1b[2J\xff",
            "UNKNOWN: TEAPOT: \\u{1b}[2J\u{fffd}",
        ),
        case(
            "an ERROR of 64 KiB, of which 256 bytes are kept",
            Header::control(FrameType::Error, MsgId::new(1)),
            &b"NOT_FOUND: "
                .iter()
                .chain(&[b'x'; 65_525])
                .copied()
                .collect::<Vec<u8>>(),
            &format!("NOT_FOUND: {}", "x".repeat(245)),
        ),
        case(
            "a good answer of an unknown kind, which means nothing",
            Header {
                kind: RawKind::new(77),
                ..good
            },
            &C::answer(MsgId::new(1), "good")[24..],
            "none",
        ),
    ]
    .into_iter()
    .map(|case| Broken {
        error: case.error.replace("VARIANT", &label),
        ..case
    })
    .collect()
}

/// An error with its causes, in one line.
fn chain(error: &CallError) -> String {
    let mut text = error.to_string();
    if let CallError::Answer(cause) = error {
        text.push_str(&format!(": {cause}"));
    }
    text
}

async fn broken_answers_fail_their_calls_alone<C: Caller>(caller: &C, mut raw: RawPeer) {
    let mut failures = Vec::new();
    for case in broken::<C>() {
        let _playing = Playing(case.name);
        let calling = caller.call(CallOptions::new(), "a good question");
        let (answered, ()) = tokio::join!(calling, async {
            let msg_id = raw.hear_type(C::OPENER).await.header.msg_id;
            let header = Header {
                msg_id,
                ..case.header
            };
            raw.say(&raw::frame_of(header, &case.payload)).await;
        });
        let error = answered
            .err()
            .map_or_else(|| "none".to_owned(), |error| chain(&error));
        if error != case.error {
            failures.push(format!("{}: `{error}`, not `{}`", case.name, case.error));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn a_client_reads_every_broken_answer() {
    let (client, raw, _listener) = client().await;
    soon(
        "the end",
        broken_answers_fail_their_calls_alone(&client, raw),
    )
    .await;
}

#[tokio::test]
async fn a_server_reads_every_broken_answer() {
    let (peer, raw, _events) = peer().await;
    soon("the end", broken_answers_fail_their_calls_alone(&peer, raw)).await;
}

/// `true` where the trait's user is some envelope: the two directions are not mixed up above.
#[test]
fn the_other_message_is_known_to_the_caller() {
    assert_eq!(
        ServerToClient::VARIANTS
            .iter()
            .find(|row| row.number() == <Client<Lab> as Caller>::other().0)
            .map(|row| row.name()),
        Some(<Client<Lab> as Caller>::OTHER)
    );
    assert_eq!(
        ClientToServer::VARIANTS
            .iter()
            .find(|row| row.number() == <Peer<Lab> as Caller>::other().0)
            .map(|row| row.name()),
        Some(<Peer<Lab> as Caller>::OTHER)
    );
}
