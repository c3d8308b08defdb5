//! Bodies that cannot be read: the side that has sent one is at fault, and the text says which message, and which item of
//! a stream.

use msip_runtime::{
    BodyError, CallError, Client, Code,
    wire::{Compression, Credit, Flags, Frame, FrameType, Header, Hello, MsgId, Side},
};
use msip_tests::{
    at,
    lab::{
        ClientToServer, CountReq, CountRsp, EchoReq, EchoRsp, Lab, SendClientToServer as _,
        ServerToClient, ShoutReq, SumReq,
    },
    raw::{self, RawPeer},
    soon, start,
};
use tokio::{net::TcpListener, sync::mpsc};

const CALL: MsgId = MsgId::exchange(Side::Connecting, 2);
const STREAM: Flags = Flags::ACK_REQUIRED.union(Flags::MORE);
const ITEM: Flags = Flags::ITEM.union(Flags::MORE);

fn request(flags: Flags, message: &ClientToServer) -> Vec<u8> {
    raw::message(Side::Connecting, flags, CALL, message)
}

fn sum(number: u64) -> ClientToServer {
    ClientToServer::SumReq(SumReq { number })
}

/// A frame of the call with this variant and payload.
fn payload(flags: Flags, variant: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        flags,
        variant,
        kind: raw::kind(&sum(1)),
        ..Header::control(FrameType::Publish, CALL)
    };
    raw::frame_of(header, payload)
}

/// How a call is answered that a raw client sends.
async fn answer_of(frames: &[Vec<u8>], hello: &Hello) -> String {
    let (url, _events, _serving) = start("tcp://127.0.0.1:0").await;
    let mut raw = RawPeer::dial(&url).await;
    raw.greet_with(hello).await;
    raw.say(&frames.concat()).await;
    let (_, answer) = raw.hear_until(CALL).await;
    let answer: Frame = answer.expect("an answer");
    raw::describe(&answer).expect("it is told")
}

#[tokio::test]
async fn a_client_is_at_fault_for_the_items_of_its_requests() {
    let number = raw::variant(&sum(1));
    let zstd = Hello {
        compressions: vec![Compression::Zstd.into()],
        ..raw::hello()
    };
    let shout = ClientToServer::ShoutReq(ShoutReq::default());
    let cases = [
        (
            "malformed",
            payload(ITEM, number, &[0, 0, 0x4a, 9, 1]),
            "INVALID_ARGUMENT: item 2 of the requests cannot be read: malformed body of sum_req (9): ",
        ),
        (
            "another variant",
            request(ITEM, &shout),
            "INVALID_ARGUMENT: item 2 of the requests cannot be read: `shout_req` does not belong to this call",
        ),
        (
            "a variant that nobody knows",
            payload(ITEM, 99, &[0, 0, 1]),
            "UNIMPLEMENTED: item 2 of the requests cannot be read: unknown variant 99",
        ),
        (
            "a body that does not hold its variant",
            payload(ITEM, number, &[&[0, 0][..], &raw::body(&shout)].concat()),
            "INVALID_ARGUMENT: item 2 of the requests cannot be read: the body does not contain sum_req (9), which its header names",
        ),
        (
            "not to be inflated",
            payload(ITEM | Flags::COMPRESSED, number, &[0, 0, 2, 1, 2, 3]),
            "INVALID_ARGUMENT: item 2 of the requests cannot be read: cannot decompress body of sum_req (9): ",
        ),
        (
            "a topic that is none",
            payload(ITEM, number, &[0, 9, 1]),
            "INVALID_ARGUMENT: an item of variant 9 cannot be read: the topic reaches beyond the payload",
        ),
    ];
    for (name, item, text) in cases {
        let _case = raw::Playing(name);
        let frames = [request(STREAM, &sum(1)), item, request(ITEM, &sum(2))];
        let answer = answer_of(&frames, &zstd).await;
        let expected = format!("ERROR {CALL}: {text}");
        assert!(answer.starts_with(&expected), "{name}: {answer}");
    }
    // A compression that nobody has agreed on.
    let item = payload(ITEM | Flags::COMPRESSED, number, &[0, 0, 2, 1, 2, 3]);
    let answer = answer_of(&[request(STREAM, &sum(1)), item], &raw::hello()).await;
    assert_eq!(
        answer,
        format!(
            "ERROR {CALL}: INVALID_ARGUMENT: an item of variant 9 cannot be read: a compressed body, and no compression was agreed"
        )
    );
}

#[tokio::test]
async fn a_client_is_at_fault_for_its_request() {
    let number = raw::variant(&ClientToServer::EchoReq(EchoReq::default()));
    let answer = answer_of(
        &[payload(Flags::ACK_REQUIRED, number, &[0, 0, 0x0a, 9, 1])],
        &raw::hello(),
    )
    .await;
    let expected = format!("ERROR {CALL}: INVALID_ARGUMENT: malformed body of echo_req (1): ");
    assert!(answer.starts_with(&expected), "{answer}");
}

/// A client of a raw server, which takes one call and says this.
async fn client_of(said: impl Fn(MsgId) -> Vec<u8> + Send + 'static) -> (Client<Lab>, Hangup) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has one");
    let (hangup, mut is_done) = mpsc::channel::<()>(1);
    tokio::spawn(async move {
        let (stream, _) = soon("a client", listener.accept()).await.expect("accepts");
        let mut raw = RawPeer::new(stream);
        raw.welcome().await;
        let call = raw.hear_type(FrameType::Publish).await.header.msg_id;
        raw.say(&said(call)).await;
        let _ = is_done.recv().await;
    });
    let url = at!(format!("tcp://{address}")).to_owned();
    let client = soon("a connection", Client::<Lab>::connect(url))
        .await
        .expect("connects");
    (client, Hangup { _sender: hangup })
}

/// Keeps the raw server there.
struct Hangup {
    _sender: mpsc::Sender<()>,
}

/// An answer, or an item of answers, with this variant and body.
fn ack(id: MsgId, flags: Flags, variant: u16, body: &[u8]) -> Vec<u8> {
    let header = Header {
        flags,
        variant,
        ..Header::control(FrameType::Ack, id)
    };
    raw::frame_of(header, body)
}

#[tokio::test]
async fn a_server_is_at_fault_for_its_answers() {
    let number = raw::variant(&ServerToClient::CountRsp(CountRsp::default()));
    let echo = ServerToClient::EchoRsp(EchoRsp::default());
    let (other, other_body) = (raw::variant(&echo), raw::body(&echo));
    let cases: [(&str, u16, Vec<u8>, &str); 3] = [
        (
            "malformed",
            number,
            vec![0x32, 9, 1],
            "malformed body of count_rsp (6)",
        ),
        (
            "another variant",
            other,
            other_body,
            "`echo_rsp` does not belong to this call",
        ),
        ("unknown", 99, vec![1], "unknown variant 99"),
    ];
    for (name, variant, body, reason) in cases {
        let _case = raw::Playing(name);
        let good = raw::body(&ServerToClient::CountRsp(CountRsp::default()));
        let (client, _hangup) = client_of(move |id| {
            let good = ack(id, Flags::MORE, number, &good);
            [good, ack(id, Flags::MORE, variant, &body)].concat()
        })
        .await;
        let counting = client.count_req(CountReq::default());
        let mut counted = soon("answers", counting).await.expect("begins");
        soon("an item", counted.next())
            .await
            .expect("comes")
            .expect("is good");
        let error = soon("an item", counted.next()).await.expect("comes");
        let error = error.expect_err("it cannot be read");
        assert_eq!(error.code(), Code::Internal, "{name}: {error}");
        assert_eq!(error.to_string(), "item 2 of the answers cannot be read");
        let source = std::error::Error::source(&error).expect("has one");
        assert!(source.to_string().starts_with(reason), "{name}: {source}");
        assert!(counted.next().await.is_none(), "it was the last");
    }
    let (client, _hangup) = client_of(|id| ack(id, Flags::NONE, 1, &[0x0a, 9, 1])).await;
    let error = soon("an answer", client.echo_req(EchoReq::default()))
        .await
        .expect_err("it cannot be read");
    assert_eq!(error.code(), Code::Internal);
    let is_malformed = |error: &BodyError| matches!(error, BodyError::Malformed { .. });
    assert!(
        matches!(&error, CallError::Answer(error) if is_malformed(error)),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_follows_an_item_that_cannot_be_read_counts_against_nobody() {
    let (url, _events, _serving) = start("tcp://127.0.0.1:0").await;
    let mut raw = RawPeer::dial(&url).await;
    raw.greet().await;
    let bad = payload(ITEM, raw::variant(&sum(1)), &[0, 9, 1]);
    let frames = [
        request(STREAM, &sum(1)),
        bad,
        request(ITEM, &sum(2)).repeat(14),
        raw::frame(
            FrameType::Credit,
            CALL,
            &Credit { items: 1, bytes: 1 }.encode(),
        ),
        request(Flags::ITEM, &sum(3)),
        raw::frame(FrameType::Cancel, CALL, b""),
    ];
    raw.say(&frames.concat()).await;
    let (_, answer) = raw.hear_until(CALL).await;
    assert_eq!(answer.expect("one").header.frame_type, FrameType::Error);
    // Nothing more is said of it.
    let next = MsgId::exchange(Side::Connecting, 3);
    let echo = ClientToServer::EchoReq(EchoReq::default());
    raw.say(&raw::message(
        Side::Connecting,
        Flags::ACK_REQUIRED,
        next,
        &echo,
    ))
    .await;
    let (heard, answer) = raw.hear_until(next).await;
    assert_eq!(heard, Vec::<String>::new());
    assert_eq!(answer.expect("goes on").header.frame_type, FrameType::Ack);
}
