use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use msip_session::wire::{
    Code, Credit, ErrorText, Flags, FrameType, HEADER_LEN, Header, Hello, Metadata, MsgId,
    SessionId, Side, Welcome, parse_hello, parse_welcome, write_close, write_credit, write_error,
    write_hello, write_ping, write_welcome,
};
use prost::Message as _;

use super::{super::protocol::DialectProtocol, *};
use crate::body::Codec;

/// A protocol with every shape.
mod calc {
    #![expect(unreachable_pub, reason = "the derives generate public items")]

    use crate::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "calc")]
    pub enum ClientToServer {
        #[msip(tag = 1, code = "add")]
        AddReq(AddReq),
        #[msip(tag = 2, code = "ack")]
        NoteInd,
        #[msip(tag = 3, reply = ACK)]
        SaveCmd(AddReq),
        #[msip(tag = 4, reply = STREAM)]
        WatchReq,
        #[msip(tag = 5)]
        DoubleRsp(AddRsp),
    }

    #[derive(Debug, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        AddRsp(AddRsp),
        #[msip(tag = 2)]
        WatchRsp(AddRsp),
        #[msip(tag = 3, code = "double")]
        DoubleReq(AddReq),
        #[msip(tag = 4, code = "told")]
        ToldInd(AddReq),
    }

    #[derive(Debug, Message)]
    pub struct AddReq {
        #[msip(tag = 1)]
        pub a: u32,
        #[msip(tag = 2)]
        pub b: u32,
    }

    #[derive(Debug, Message)]
    pub struct AddRsp {
        #[msip(tag = 1)]
        pub sum: u32,
    }
}

const MAX_BODY: usize = 100_000;
const MAX_CALLS: u32 = 3;

fn hello() -> Hello {
    Hello {
        protocol: "calc".to_owned(),
        session_secret: vec![7; 16],
        ..Hello::default()
    }
}

/// A frame for a session.
#[derive(Debug, Clone, PartialEq)]
struct Got {
    header: Header,
    payload: Vec<u8>,
}

impl Got {
    /// What follows the empty topic.
    fn body(&self) -> &str {
        let body = self.payload.strip_prefix(&[0, 0]).unwrap();
        std::str::from_utf8(body).unwrap()
    }

    fn error(&self) -> String {
        assert_eq!(self.header.frame_type, FrameType::Error);
        ErrorText::parse(&self.payload).to_string()
    }
}

/// One end, and what it has answered.
struct End {
    dialect: FlyRpc,
    output: Output,
    input: BytesMut,
    now: Duration,
    /// The session's side.
    side: Side,
    next: u64,
}

impl End {
    fn new(side: Side) -> Self {
        let protocol = DialectProtocol::of::<calc::Calc>();
        let config = FlyRpcConfig {
            codes: Arc::new(Codes::of(&protocol, side)),
            codec: Codec::Json,
            max_body: MAX_BODY,
            max_calls: 3,
        };
        let session_id = SessionId::new(7).unwrap();
        let dialect = match side {
            Side::Connecting => FlyRpc::connecting(config),
            Side::Accepting => FlyRpc::accepting(config, (session_id, hello())),
        };
        let mut end = Self {
            dialect,
            output: Output::default(),
            input: BytesMut::new(),
            now: Duration::ZERO,
            side,
            next: 2,
        };
        end.dialect.handle_start(end.now, &mut end.output);
        end
    }

    /// One whose session is there.
    fn open(side: Side) -> Self {
        let mut end = Self::new(side);
        end.greet();
        end.frames();
        end
    }

    fn greet(&mut self) {
        let session_id = SessionId::new(7).unwrap();
        let mut payload = Vec::new();
        match self.side {
            Side::Connecting => {
                write_hello(&mut payload, session_id, &hello());
                self.frame(Header::control(FrameType::Hello, MsgId::new(1)), &payload);
            }
            Side::Accepting => {
                let welcome = Welcome {
                    codec: 2,
                    max_open_calls: MAX_CALLS,
                    ..Welcome::default()
                };
                write_welcome(&mut payload, session_id, &welcome);
                self.frame(Header::control(FrameType::Ack, HELLO), &payload);
            }
        }
    }

    /// The session writes a frame.
    fn frame(&mut self, header: Header, payload: &[u8]) {
        self.try_frame(header, payload).unwrap();
    }

    fn try_frame(&mut self, header: Header, payload: &[u8]) -> Result<(), DialectError> {
        let header = Header {
            payload_len: u32::try_from(payload.len()).unwrap(),
            ..header
        };
        self.dialect
            .handle_frame(&header, payload, self.now, &mut self.output)
    }

    /// The session writes what is written by this.
    fn written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        write(&mut frame);
        let (head, payload) = frame.split_first_chunk::<HEADER_LEN>().unwrap();
        self.frame(Header::parse(head).unwrap(), payload);
    }

    /// The session sends a message of this number. Returns its id.
    fn send(&mut self, variant: u16, flags: Flags, body: &str) -> MsgId {
        let id = MsgId::exchange(self.side, self.next);
        self.next += 1;
        self.publish(id, variant, flags, body);
        id
    }

    fn publish(&mut self, id: MsgId, variant: u16, flags: Flags, body: &str) {
        let frame_type = match self.side {
            Side::Connecting => FrameType::Publish,
            Side::Accepting => FrameType::Event,
        };
        let header = Header {
            flags,
            variant,
            ..Header::control(frame_type, id)
        };
        self.frame(header, &[b"\0\0", body.as_bytes()].concat());
    }

    /// The session answers.
    fn answer(&mut self, id: MsgId, variant: u16, body: &str) {
        let header = Header {
            variant,
            ..Header::control(FrameType::Ack, id)
        };
        self.frame(header, body.as_bytes());
    }

    /// The peer sends this.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), DialectError> {
        self.input.extend_from_slice(bytes);
        self.dialect
            .handle_bytes(&mut self.input, self.now, &mut self.output)
    }

    fn frames(&mut self) -> VecDeque<Got> {
        let bytes = std::mem::take(&mut self.output.to_session);
        let mut rest = bytes.as_slice();
        let mut frames = VecDeque::new();
        while let Some((head, behind)) = rest.split_first_chunk::<HEADER_LEN>() {
            let header = Header::parse(head).unwrap();
            let (payload, behind) = behind.split_at(header.payload_len as usize);
            frames.push_back(Got {
                header,
                payload: payload.to_vec(),
            });
            rest = behind;
        }
        assert!(rest.is_empty());
        frames
    }

    /// The one frame for the session.
    fn only_frame(&mut self) -> Got {
        let mut frames = self.frames();
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.pop_front().unwrap()
    }

    /// The peer is sent exactly this.
    #[track_caller]
    fn sends(&mut self, bytes: &[u8]) {
        let sent = std::mem::take(&mut self.output.to_peer);
        assert_eq!(
            sent.escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
    }
}

#[test]
fn the_session_of_a_client_is_welcomed_at_once() {
    let mut client = End::new(Side::Connecting);
    assert!(client.frames().is_empty());
    client.greet();
    let welcome = client.only_frame();
    assert_eq!(welcome.header.msg_id, MsgId::new(1));
    let welcome = parse_welcome(Bytes::from(welcome.payload)).unwrap().welcome;
    assert_eq!((welcome.codec, welcome.resumed), (2, false));
    client.sends(b"");
}

#[test]
fn the_session_of_a_server_hears_a_hello_and_what_came_before_its_answer() {
    let mut server = End::new(Side::Accepting);
    let hello = server.only_frame();
    let parsed = parse_hello(hello.header.kind, Bytes::from(hello.payload)).unwrap();
    assert_eq!(parsed.hello.protocol, "calc");
    assert_eq!(parsed.hello.codecs, [2]);
    server.receive(b"\x40\0\x01add\0\x02{}").unwrap();
    assert!(server.frames().is_empty());
    server.greet();
    assert_eq!(server.only_frame().body(), "{\"add_req\":{}}");
}

#[test]
fn a_call_and_its_answer_are_the_bytes_of_the_reference() {
    let mut client = End::open(Side::Connecting);
    let mut server = End::open(Side::Accepting);
    client.send(2, Flags::NONE, "{\"noteInd\":{}}");
    client.sends(b"\x40\0\x01ack\0\0");
    let call = client.send(1, Flags::ACK_REQUIRED, "{\"addReq\":{\"a\":2,\"b\":40}}");
    client.sends(b"\x40\0\x02add\0\x0e{\"a\":2,\"b\":40}");

    server.receive(b"\x40\0\x01ack\0\0").unwrap();
    let note = server.only_frame();
    assert_eq!(note.header.msg_id, MsgId::delivery(Side::Connecting, 1));
    assert_eq!((note.header.variant, note.body()), (2, "{\"note_ind\":{}}"));
    server.answer(note.header.msg_id, 0, "");
    server.sends(b"\x80\0\x01\0\0");
    server
        .receive(b"\x40\0\x02add\0\x0e{\"a\":2,\"b\":40}")
        .unwrap();
    let asked = server.only_frame();
    assert_eq!(asked.header.frame_type, FrameType::Publish);
    assert_eq!(asked.header.flags, Flags::ACK_REQUIRED);
    assert_eq!(asked.body(), "{\"add_req\":{\"a\":2,\"b\":40}}");
    server.answer(asked.header.msg_id, 1, "{\"addRsp\":{\"sum\":42}}");
    server.sends(b"\x80\0\x02\0\x0a{\"sum\":42}");

    client.receive(b"\x80\0\x01\0\0").unwrap();
    let credit = client.only_frame();
    assert_eq!(credit.header.frame_type, FrameType::Credit);
    assert_eq!(Credit::parse(&credit.payload).unwrap().items, 1);
    client.receive(b"\x80\0\x02\0\x0a{\"sum\":42}").unwrap();
    let answer = client.only_frame();
    assert_eq!((answer.header.msg_id, answer.header.variant), (call, 1));
    assert_eq!(answer.payload, b"{\"add_rsp\":{\"sum\":42}}");
}

#[test]
fn the_server_asks_while_it_serves() {
    let mut server = End::open(Side::Accepting);
    server.receive(b"\x40\0\x02add\0\x02{}").unwrap();
    let asked = server.only_frame();
    let call = server.send(3, Flags::ACK_REQUIRED, "{\"doubleReq\":{\"a\":21}}");
    server.sends(b"\x40\0\x01double\0\x08{\"a\":21}");
    server.receive(b"\x80\0\x01\0\x0a{\"sum\":42}").unwrap();
    let answer = server.only_frame();
    assert_eq!((answer.header.msg_id, answer.header.variant), (call, 5));
    server.answer(asked.header.msg_id, 1, "{\"addRsp\":{\"sum\":42}}");
    server.sends(b"\x80\0\x02\0\x0a{\"sum\":42}");
    server.send(4, Flags::NONE, "{\"toldInd\":{}}");
    server.sends(b"\x40\0\x02told\0\x02{}");
}

#[test]
fn errors_are_codes_both_ways() {
    let mut server = End::open(Side::Accepting);
    for (code, message, expected) in [
        (Code::Unknown, "E_FOO", "E_FOO"),
        (Code::NotFound, "no such thing", "NOT_FOUND"),
        (Code::Internal, "the handler panicked", "HANDLER_PANIC"),
    ] {
        server.receive(b"\x40\0\x02add\0\x02{}").unwrap();
        let id = server.only_frame().header.msg_id;
        server.written(|frame| write_error(frame, Flags::NONE, id, code, message));
        server.sends(&[b"\x80\0\x02", expected.as_bytes(), b"\0\0"].concat());
    }
    let mut client = End::open(Side::Connecting);
    for (seq, code, expected) in [
        (1, "E_FOO", "UNKNOWN: E_FOO"),
        (2, "NOT_FOUND", "NOT_FOUND: the peer says no more"),
        (3, "HANDLER_PANIC", "INTERNAL: HANDLER_PANIC"),
    ] {
        let call = client.send(1, Flags::ACK_REQUIRED, "{\"addReq\":{}}");
        client
            .receive(&[&[0x80, 0, seq], code.as_bytes(), b"\0\0"].concat())
            .unwrap();
        let error = client.only_frame();
        assert_eq!((error.header.msg_id, &*error.error()), (call, expected));
    }
}

#[test]
fn what_cannot_be_handled_is_answered_at_once() {
    for (request, code) in [
        (&b"\x40\0\x02no-such-code\0\x01x"[..], "NOT_FOUND"),
        (b"\x40\0\x02\0\x01x", "NOT_FOUND"),
        // By its name, where it has a code.
        (b"\x40\0\x02add_req\0\0", "NOT_FOUND"),
        // An answer is not asked for.
        (b"\x40\0\x02double_rsp\0\0", "NOT_FOUND"),
        (b"\x40\0\x02\xff\0\0", "NOT_FOUND"),
        (b"\x40\0\x02watch_req\0\0", "UNIMPLEMENTED"),
        // An error is sent though no response is wanted.
        (b"\0\0\x02no-such-code\0\x01x", "NOT_FOUND"),
    ] {
        let mut server = End::open(Side::Accepting);
        server.receive(request).unwrap();
        server.sends(&[b"\x80\0\x02", code.as_bytes(), b"\0\0"].concat());
        assert!(server.frames().is_empty());
    }
}

#[test]
fn a_notice_hears_of_errors_alone() {
    let mut server = End::open(Side::Accepting);
    server
        .receive(b"\0\0\x01add\0\x02{}\0\0\x02ack\0\0\0\0\x03add\0\x02{}")
        .unwrap();
    let ids: Vec<_> = server
        .frames()
        .iter()
        .map(|got| got.header.msg_id)
        .collect();
    server.answer(ids[0], 1, "{\"addRsp\":{}}");
    server.answer(ids[1], 0, "");
    server.sends(b"");
    server.written(|frame| write_error(frame, Flags::NONE, ids[2], Code::Aborted, "no"));
    server.sends(b"\x80\0\x03ABORTED\0\0");
}

#[test]
fn an_acknowledged_message_waits_for_the_response() {
    let mut client = End::open(Side::Connecting);
    for (seq, response, expected) in [
        (1, &b"\0\0"[..], FrameType::Ack),
        (2, b"E_FULL\0\0", FrameType::Error),
    ] {
        let id = MsgId::delivery(Side::Connecting, seq.into());
        client.publish(id, 3, Flags::ACK_REQUIRED, "{\"saveCmd\":{}}");
        client.sends(&[&[0x40, 0, seq], &b"save_cmd\0\x02{}"[..]].concat());
        client
            .receive(&[&[0x80, 0, seq], response].concat())
            .unwrap();
        let answer = &client.frames()[0];
        assert_eq!(
            (answer.header.msg_id, answer.header.frame_type),
            (id, expected)
        );
    }
}

#[test]
fn any_width_of_a_length_is_taken_byte_by_byte() {
    let head = b"\0\x03add\0";
    for (width, length) in [
        (0, &b"\x02"[..]),
        (1, b"\0\x02"),
        (2, b"\0\0\0\x02"),
        (3, b"\0\0\0\0\0\0\0\x02"),
    ] {
        let mut server = End::open(Side::Accepting);
        let packet = [&[0x40 | width], &head[..], length, b"{}"].concat();
        let (last, rest) = packet.split_last().unwrap();
        for byte in rest {
            server.receive(&[*byte]).unwrap();
            assert!(server.frames().is_empty());
        }
        server.receive(&[*last]).unwrap();
        assert_eq!(server.only_frame().body(), "{\"add_req\":{}}");
        assert!(server.input.is_empty());
    }
}

#[test]
fn a_length_that_is_not_allowed_ends_the_connection_with_an_answer() {
    let mut server = End::open(Side::Accepting);
    let refused = server.receive(b"\x43\0\x05add\0\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(
        refused.unwrap_err().rule,
        "a payload of 18446744073709551615 bytes is announced: 100000 are allowed (max_body)"
    );
    server.sends(b"\x80\0\x05RESOURCE_EXHAUSTED\0\0");
    let mut client = End::open(Side::Connecting);
    let call = client.send(1, Flags::ACK_REQUIRED, "{\"addReq\":{}}");
    assert!(client.receive(b"\x82\0\x01\0\xff\0\0\0").is_err());
    let error = client.only_frame();
    assert_eq!(error.header.msg_id, call);
    assert!(error.error().starts_with("RESOURCE_EXHAUSTED: "));
    let mut server = End::open(Side::Accepting);
    assert!(server.receive(&[b'a'; 300]).is_err());
}

#[test]
fn a_body_that_is_too_large_with_its_envelope_is_refused_alone() {
    let mut server = End::open(Side::Accepting);
    let payload = vec![b' '; MAX_BODY];
    let len = u32::try_from(MAX_BODY).unwrap().to_be_bytes();
    server
        .receive(&[b"\x42\0\x05add\0", &len[..], &payload].concat())
        .unwrap();
    // It says nothing, and is short in the envelope.
    assert_eq!(server.only_frame().body(), "{\"add_req\":{}}");
    let payload = vec![b'1'; MAX_BODY];
    server
        .receive(&[b"\x42\0\x05add\0", &len[..], &payload].concat())
        .unwrap();
    server.sends(b"\x80\0\x05RESOURCE_EXHAUSTED\0\0");
    assert!(server.frames().is_empty());
}

#[test]
fn calls_beyond_those_that_may_be_open_wait_and_so_does_what_follows() {
    let mut server = End::open(Side::Accepting);
    for seq in 1..=4 {
        server
            .receive(&[&[0x40, 0, seq], &b"add\0\x02{}"[..]].concat())
            .unwrap();
    }
    server.receive(b"\x40\0\x05ack\0\0").unwrap();
    let open = server.frames();
    assert_eq!(open.len(), 3);
    // The answers come in any order.
    server.answer(open[1].header.msg_id, 1, "{\"addRsp\":{}}");
    server.sends(b"\x80\0\x02\0\x02{}");
    let next = server.frames();
    assert_eq!(next.len(), 2, "the fourth call, and the message behind it");
    assert_eq!(next[1].header.variant, 2);
    server.answer(next[1].header.msg_id, 0, "");
    server.sends(b"\x80\0\x05\0\0");
    // Nobody waits for it a second time.
    server.answer(next[1].header.msg_id, 0, "");
    server.sends(b"");
}

#[test]
fn nothing_more_is_read_where_much_waits_for_handlers() {
    let mut server = End::open(Side::Accepting);
    let payload = vec![b'1'; MAX_BODY - 100];
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let packet = [b"\x42\0\x05add\0", &len[..], &payload].concat();
    let mut sent = 0;
    while server.dialect.wants_bytes() {
        server.receive(&packet).unwrap();
        sent += 1;
    }
    assert!(sent < 16, "{sent} of {}", packet.len());
    server.receive(b"\x40\0\x06").unwrap();
    assert_eq!(server.input.len(), 3, "it is left where it is");
    let ids: Vec<_> = server
        .frames()
        .iter()
        .map(|got| got.header.msg_id)
        .collect();
    for id in ids {
        server.answer(id, 1, "{\"addRsp\":{}}");
    }
    assert!(server.dialect.wants_bytes());
}

#[test]
fn messages_beyond_the_credit_wait_for_it() {
    let mut server = End::open(Side::Accepting);
    let start = Credit::CONNECTION_START.items;
    for _ in 0..start + 2 {
        server.receive(b"\0\0\x01ack\0\0").unwrap();
    }
    let given = server.frames();
    assert_eq!(u32::try_from(given.len()).unwrap(), start);
    let credit = Credit { items: 1, bytes: 1 };
    server.written(|frame| {
        write_credit(frame, Flags::NONE, MsgId::CONNECTION, credit);
    });
    let next = server.only_frame().header.msg_id;
    assert_eq!(
        next,
        MsgId::delivery(Side::Connecting, u64::from(start) + 1)
    );
}

#[test]
fn what_nobody_asked_for_is_counted_by_the_session() {
    let mut client = End::open(Side::Connecting);
    client.receive(b"\x80\0\x09\0\x02{}").unwrap();
    let unwanted = client.only_frame();
    assert_eq!(unwanted.header.frame_type, FrameType::Ack);
    assert!(!unwanted.header.msg_id.is_chosen_by_acceptor());
    // A late response reaches nobody else.
    client.send(2, Flags::NONE, "{\"noteInd\":{}}");
    client
        .receive(b"\x80\0\x01E_FOO\0\0\x80\0\x01\0\0")
        .unwrap();
    let types: Vec<_> = client
        .frames()
        .iter()
        .map(|got| got.header.frame_type)
        .collect();
    assert_eq!(types, [FrameType::Ack, FrameType::Credit]);
}

#[test]
fn numbers_wrap() {
    let mut client = End::open(Side::Connecting);
    client.dialect.requests.start_at(65_535);
    for seq in [b"\xff\xff", b"\0\0", b"\0\x01"] {
        client.send(2, Flags::NONE, "{\"noteInd\":{}}");
        client.sends(&[b"\x40", &seq[..], b"ack\0\0"].concat());
    }
}

#[test]
fn messages_without_a_response_give_their_credit_back_in_time() {
    let mut client = End::open(Side::Connecting);
    client.send(2, Flags::NONE, "{\"noteInd\":{}}");
    let at = client.dialect.poll_timeout();
    assert_eq!(at, Some(Duration::from_secs(10)));
    client.now = Duration::from_secs(10);
    client
        .dialect
        .handle_timeout(client.now, &mut client.output)
        .unwrap();
    assert_eq!(client.only_frame().header.frame_type, FrameType::Credit);
    assert_eq!(client.dialect.poll_timeout(), None);
}

#[test]
fn a_client_pings_by_the_empty_code_and_a_server_answers_itself() {
    let mut client = End::open(Side::Connecting);
    client.written(|frame| write_ping(frame, MsgId::new(9), &[0; 3]));
    client.sends(b"\x40\0\x01\0\x03\0\0\0");
    assert!(client.frames().is_empty());
    client.receive(b"\x80\0\x01NOT_FOUND\0\0").unwrap();
    let pong = client.only_frame();
    assert_eq!(pong.header.frame_type, FrameType::Pong);
    assert_eq!(
        (pong.header.msg_id, pong.payload),
        (MsgId::new(9), vec![0; 3])
    );
    let mut server = End::open(Side::Accepting);
    server.written(|frame| write_ping(frame, MsgId::new(1 << 63), &[]));
    assert_eq!(server.only_frame().header.frame_type, FrameType::Pong);
    server.sends(b"");
    server.written(|frame| write_ping(frame, MsgId::new(1 << 63), &[0; 2]));
    server.sends(b"\x40\0\x01\0\x02\0\0");
}

#[test]
fn after_a_close_what_is_open_is_finished_and_nothing_begins() {
    let mut server = End::open(Side::Accepting);
    for seq in 1..=4 {
        server
            .receive(&[&[0x40, 0, seq], &b"add\0\x02{}"[..]].concat())
            .unwrap();
    }
    let open = server.frames();
    server.send(3, Flags::ACK_REQUIRED, "{\"doubleReq\":{}}");
    server.sends(b"\x40\0\x01double\0\x02{}");
    server.written(|frame| write_close(frame, Code::Unavailable, "shuts down"));
    // One waits still.
    server.sends(b"\x80\0\x04UNAVAILABLE\0\0");
    server.receive(b"\x40\0\x06add\0\x02{}").unwrap();
    server.sends(b"\x80\0\x06UNAVAILABLE\0\0");
    assert!(server.frames().is_empty());
    for got in &open {
        server.answer(got.header.msg_id, 1, "{\"addRsp\":{}}");
    }
    server.sends(b"\x80\0\x01\0\x02{}\x80\0\x02\0\x02{}\x80\0\x03\0\x02{}");
    assert!(!server.dialect.is_over());
    server.receive(b"\x80\0\x01\0\x02{}").unwrap();
    assert_eq!(server.only_frame().header.frame_type, FrameType::Ack);
    assert!(server.dialect.is_over());
}

#[test]
fn what_flyrpc_lacks_is_refused_here_too() {
    let mut client = End::open(Side::Connecting);
    let cases = [
        (
            client.send(4, Flags::ACK_REQUIRED | Flags::MORE, "{}"),
            "UNIMPLEMENTED: the FlyRPC dialect has no streams",
        ),
        (
            {
                let id = MsgId::delivery(Side::Connecting, 1);
                client.publish(id, 3, Flags::ACK_REQUIRED, "");
                id
            },
            "UNIMPLEMENTED: the FlyRPC dialect has no clearing of STATEs",
        ),
        (
            client.send(1, Flags::ACK_REQUIRED, "no body"),
            "INTERNAL: the body of add_req is not as FlyRPC needs it: invalid JSON at byte 0: expected a value, found n",
        ),
    ];
    let frames = client.frames();
    let (errors, rest): (Vec<_>, Vec<_>) =
        (frames.iter()).partition(|got| got.header.frame_type == FrameType::Error);
    for ((id, text), got) in cases.into_iter().zip(&errors) {
        assert_eq!((got.header.msg_id, &*got.error()), (id, text));
    }
    assert_eq!((errors.len(), rest.len()), (3, 1), "{rest:?}");
    assert_eq!(rest[0].header.frame_type, FrameType::Credit);
    // Nobody hears of it, and the credit is there again.
    client.send(3, Flags::NONE, "no body");
    assert_eq!(client.only_frame().header.frame_type, FrameType::Credit);
    let subscribe = Header {
        flags: Flags::ACK_REQUIRED,
        ..Header::control(FrameType::Subscribe, MsgId::new(9))
    };
    client.frame(subscribe, b"a");
    assert_eq!(
        client.only_frame().error(),
        "UNIMPLEMENTED: the FlyRPC dialect has no topics"
    );
    client.sends(b"");
}

#[test]
fn a_deadline_stays_here() {
    let mut client = End::open(Side::Connecting);
    let metadata = Metadata {
        deadline_ms: Some(500),
        ..Metadata::default()
    }
    .encode_to_vec();
    let len = u16::try_from(metadata.len()).unwrap().to_be_bytes();
    let header = Header {
        flags: Flags::ACK_REQUIRED | Flags::META,
        variant: 1,
        ..Header::control(FrameType::Publish, MsgId::new(4))
    };
    let body = b"\0\0{\"addReq\":{\"a\":1}}";
    client.frame(header, &[&len[..], &metadata, body].concat());
    client.sends(b"\x40\0\x01add\0\x07{\"a\":1}");
}

#[test]
fn an_answer_that_is_too_large_fails_its_call_alone() {
    let mut client = End::open(Side::Connecting);
    let call = client.send(1, Flags::ACK_REQUIRED, "{\"addReq\":{}}");
    let payload = vec![b'1'; MAX_BODY];
    let len = u32::try_from(MAX_BODY).unwrap().to_be_bytes();
    client
        .receive(&[b"\x82\0\x01\0", &len[..], &payload].concat())
        .unwrap();
    let error = client.only_frame();
    assert_eq!(error.header.msg_id, call);
    assert!(error.error().starts_with("RESOURCE_EXHAUSTED: a body of"));
}
