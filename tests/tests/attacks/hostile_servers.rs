//! Servers that mean harm: a client's other connections do not notice.

use msip_runtime::wire::{Flags, FrameType, Header, MsgId, Side, Welcome};
use msip_tests::{
    attack::{AttackOnClient, Bounds, HostileServer, MIB, RawMessage},
    lab::{AskReq, CountRsp, EchoRsp, NoteInd, SaveInd, ServerToClient},
    raw,
};

fn attack(name: &'static str) -> AttackOnClient {
    AttackOnClient::new(name).within(Bounds {
        memory: 8 * MIB,
        lines: 60,
        descriptors: 10,
    })
}

/// Answers the client's next HELLO with this.
async fn answer_hello(server: &HostileServer, welcome: &Welcome) -> msip_tests::attack::Attacker {
    let mut attacker = server.accept().await;
    let hello = attacker.hear_type(FrameType::Hello).await;
    let session = hello.payload.first_chunk().copied().unwrap_or_default();
    let session = u64::from_be_bytes(session);
    let frame = raw::welcome_frame(hello.header.msg_id, session, welcome);
    attacker.send(&frame).await;
    attacker
}

#[test]
fn messages_beyond_the_credit() {
    attack("50,000 messages beyond the credit").run(async |server| {
        let mut attacker = server.welcome().await;
        let note = RawMessage::of(Flags::NONE, &ServerToClient::NoteInd(NoteInd::default()));
        let notes = attacker.frames(&note, 50_000);
        attacker.send(&notes).await;
        attacker
    });
}

#[test]
fn calls_whose_answers_are_not_read() {
    attack("20,000 calls to a client, whose answers are not read").run(async |server| {
        let mut attacker = server.welcome().await;
        let ask = ServerToClient::AskReq(AskReq::default());
        let calls = attacker.frames(&RawMessage::of(Flags::ACK_REQUIRED, &ask), 20_000);
        attacker.send(&calls).await;
        attacker
    });
}

#[test]
fn calls_for_its_schema() {
    attack("5,000 calls for a client's schema").run(async |server| {
        let mut attacker = server.welcome().await;
        let calls = attacker.frames(&RawMessage::call(65_535, ""), 5_000);
        attacker.send(&calls).await;
        attacker
    });
}

#[test]
fn deliveries_that_come_twice() {
    attack("deliveries that come again and again").run(async |server| {
        let mut attacker = server.welcome().await;
        let save = ServerToClient::SaveInd(SaveInd { number: 1 });
        let id = MsgId::delivery(Side::Accepting, 1);
        let delivery = raw::message(Side::Accepting, Flags::ACK_REQUIRED, id, &save);
        attacker.send(&delivery.repeat(50_000)).await;
        attacker
    });
}

#[test]
fn items_beyond_the_credit() {
    attack("20,000 items of 1 KiB beyond the credit of a stream").run(async |server| {
        let mut attacker = server.welcome().await;
        let opener = loop {
            let frame = attacker.hear_type(FrameType::Publish).await;
            if frame.header.variant == COUNT_REQ {
                break frame.header.msg_id;
            }
        };
        let item = ServerToClient::CountRsp(CountRsp {
            number: 1,
            ballast: vec![0; 1000],
        });
        let header = Header {
            flags: Flags::ITEM | Flags::MORE,
            variant: raw::variant(&item),
            ..Header::control(FrameType::Ack, opener)
        };
        let items = raw::frame_of(header, &raw::body(&item)).repeat(20_000);
        attacker.send(&items).await;
        attacker
    });
}

/// The call of the `lab` protocol that is answered with a stream.
const COUNT_REQ: u16 = 8;

#[test]
fn answers_to_calls_that_were_never_made() {
    attack("100,000 answers to calls that were never made").run(async |server| {
        let mut attacker = server.welcome().await;
        let id = MsgId::exchange(Side::Connecting, 9_999_999);
        let answer = raw::answer(id, &ServerToClient::EchoRsp(EchoRsp::default()));
        attacker.send(&answer.repeat(100_000)).await;
        attacker
    });
}

#[test]
fn errors_of_control_characters() {
    attack("200 calls that are answered with 60 KiB of control characters").run(async |server| {
        let mut attacker = server.welcome().await;
        let text = [b"INTERNAL: ", &vec![0x1b; 60_000][..]].concat();
        for _ in 0..200 {
            let Some(call) = attacker.hear().await else {
                break;
            };
            let error = raw::frame(FrameType::Error, call.header.msg_id, &text);
            attacker.send(&error).await;
        }
        attacker
    });
}

#[test]
fn garbage_instead_of_a_welcome() {
    attack("garbage instead of a WELCOME, on ten connections").run(async |server| {
        for garbage in [&[0xaa; 5000][..], b"HTTP/1.1 400 Bad Request\r\n\r\n"].repeat(5) {
            server.accept().await.send(garbage).await;
        }
    });
}

#[test]
fn limits_that_let_nothing_pass() {
    attack("a WELCOME with limits of 1, and then nothing").run(async |server| {
        let welcome = Welcome {
            max_body: 1,
            max_open_calls: 1,
            keepalive_ms: 1,
            session_expiry_ms: 1,
            ..raw::welcome()
        };
        let attacker = answer_hello(&server, &welcome).await;
        // It goes on with another one.
        drop(attacker);
        answer_hello(&server, &welcome).await
    });
}

#[test]
fn a_session_that_is_not_the_clients() {
    attack("a WELCOME that resumes what there never was").run(async |server| {
        let welcome = Welcome {
            resumed: true,
            awaited: (1..1000).collect(),
            ..raw::welcome()
        };
        for _ in 0..5 {
            drop(answer_hello(&server, &welcome).await);
        }
    });
}
