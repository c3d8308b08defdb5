//! The peer that a session expects, as a value: what a session says, and what it is given.

use msip_session::wire::{
    Decoder, Frame, SECRET_LEN, Welcome, write_ack, write_credit, write_hello, write_ping,
    write_welcome,
};

use super::*;

static CARRIES: Carries = Carries {
    dialect: "letters",
    lacks: &[],
};

/// A peer, and what the session is given by it.
struct Played {
    peer: SessionPeer,
    output: Output,
}

impl Played {
    /// A client whose HELLO a server has answered, where so many calls may be open.
    fn client(max_calls: u32, max_kept: usize) -> Self {
        let id = SessionId::new(7).unwrap();
        let hello = Hello {
            protocol: "chat".into(),
            ..Hello::default()
        };
        let mut played = Self {
            peer: SessionPeer::client(&CARRIES, id, hello, max_kept),
            output: Output::default(),
        };
        played.peer.begin(&mut played.output);
        let hello = played.given();
        assert_eq!(hello[0].header.frame_type, FrameType::Hello);
        let mut welcome = Vec::new();
        let header = Header::control(FrameType::Ack, hello[0].header.msg_id);
        let mark = begin_frame(&mut welcome, &header);
        let terms = Welcome {
            max_open_calls: max_calls,
            max_body: 1000,
            codec: 1,
            ..Welcome::default()
        };
        write_welcome(&mut welcome, id, &terms);
        finish_frame(&mut welcome, mark).unwrap();
        assert_eq!(played.say(&welcome), [""; 0]);
        assert_eq!(granted(&played.given()), [AHEAD]);
        played
    }

    /// The session says whole frames. What they are for the dialect.
    fn say(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for Frame { header, payload } in frames(bytes) {
            let event = self.peer.receive(&header, &payload, &mut self.output);
            events.extend(event.unwrap().map(|event| format!("{event:?}")));
        }
        events
    }

    /// What the session was given.
    fn given(&mut self) -> Vec<Frame> {
        frames(&std::mem::take(&mut self.output.to_session))
    }

    fn message(&mut self, body: &[u8]) {
        self.peer.give_message(heard(body), &mut self.output);
    }

    fn call(&mut self, turn: u16) -> MsgId {
        let id = MsgId::exchange(self.peer.plays, self.peer.next);
        self.peer.give_call(heard(b"?"), turn, &mut self.output);
        id
    }

    fn ack(&mut self, id: MsgId) -> Vec<String> {
        let mut ack = Vec::new();
        write_ack(&mut ack, Flags::NONE, id);
        self.say(&ack)
    }
}

fn heard(body: &[u8]) -> Heard<'_> {
    let (variant, kind) = (2, MsgKind::Event);
    Heard {
        variant,
        kind,
        body,
    }
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new(1 << 24);
    decoder.buffer().extend_from_slice(bytes);
    std::iter::from_fn(|| decoder.decode().unwrap()).collect()
}

/// What these frames grant, where that is all they do.
fn granted(frames: &[Frame]) -> Vec<Credit> {
    let grant = |frame: &Frame| {
        assert_eq!(frame.header.frame_type, FrameType::Credit);
        Credit::parse(&frame.payload).unwrap()
    };
    Vec::from_iter(frames.iter().map(grant))
}

/// A frame of the session.
fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mark = begin_frame(&mut bytes, &header);
    bytes.extend_from_slice(payload);
    finish_frame(&mut bytes, mark).unwrap();
    bytes
}

#[test]
fn messages_are_given_within_the_credit_and_in_their_order() {
    let mut client = Played::client(8, 1000);
    for _ in 0..1030 {
        client.message(b"x");
    }
    let call = client.call(1);
    assert_eq!(client.given().len(), 1024, "as many as the window has");
    let mut credit = Vec::new();
    let more = Credit {
        items: 10,
        bytes: 100,
    };
    write_credit(&mut credit, Flags::NONE, MsgId::CONNECTION, more);
    assert_eq!(client.say(&credit), [""; 0]);
    let given = client.given();
    assert_eq!(given.len(), 7);
    assert_eq!(given[6].header.msg_id, call, "behind those before it");
    assert_eq!(&*given[0].payload, b"\0\0x");
}

#[test]
fn no_more_is_taken_than_is_kept() {
    let mut client = Played::client(8, 1000);
    while client.peer.window.is_open() {
        client.message(b"x");
    }
    assert!(client.peer.wants_more());
    client.message(&[b'x'; 1000]);
    assert!(!client.peer.wants_more());
}

#[test]
fn calls_wait_for_their_turn_and_for_the_limit() {
    let mut client = Played::client(2, 1000);
    let [one, two, three] = [1, 1, 2].map(|turn| client.call(turn));
    let ids = |frames: Vec<Frame>| Vec::from_iter(frames.iter().map(|frame| frame.header.msg_id));
    assert_eq!(ids(client.given()), [one], "the second takes the same turn");
    let answered = client.ack(one);
    assert_eq!(answered.len(), 1);
    assert_eq!(ids(client.given()), [two, three]);
    let four = client.call(3);
    assert_eq!(ids(client.given()), [], "two are open");
    client.ack(three);
    assert_eq!(ids(client.given()), [four]);
    // It has ended.
    assert_eq!(client.ack(three), [""; 0]);
}

#[test]
fn what_the_session_says_is_told_apart() {
    let mut client = Played::client(8, 1000);
    let event = |flags, id, payload: &[u8]| {
        let header = Header {
            variant: 3,
            flags,
            kind: MsgKind::Log.into(),
            ..Header::control(FrameType::Event, id)
        };
        frame(header, payload)
    };
    let (call, delivery) = (
        MsgId::exchange(Side::Accepting, 1),
        MsgId::delivery(Side::Accepting, 1),
    );
    let said = client.say(&event(Flags::NONE, call, b"\0\0body"));
    assert_eq!(said, [format!("{:?}", FromSession::Message(b"body"))]);
    let asked = client.say(&event(
        Flags::ACK_REQUIRED | Flags::META,
        call,
        b"\0\x02\x08\x05\0\0body",
    ));
    let expected = FromSession::Call {
        id: call,
        variant: 3,
        body: b"body",
    };
    assert_eq!(asked, [format!("{expected:?}")]);
    // What no dialect has.
    assert_eq!(
        client.say(&event(Flags::ACK_REQUIRED, delivery, b"\0\0")),
        [""; 0]
    );
    let refused = client.given();
    assert_eq!(
        &*refused[0].payload,
        b"UNIMPLEMENTED: the letters dialect has no acknowledgments"
    );
    let mut ping = Vec::new();
    write_ping(&mut ping, call, b"hi");
    assert!(client.say(&ping)[0].starts_with("Ping"));
}

#[test]
fn what_the_session_has_sent_is_granted_again() {
    let mut client = Played::client(8, 1000);
    let event = frame(
        Header::control(FrameType::Event, MsgId::exchange(Side::Accepting, 1)),
        b"\0\0",
    );
    for _ in 0..511 {
        client.say(&event);
    }
    assert_eq!(client.given(), []);
    client.say(&event);
    let again = Credit {
        items: 512,
        bytes: 1024,
    };
    assert_eq!(granted(&client.given()), [again]);
}

#[test]
fn a_close_of_either_side_waits_for_what_is_open() {
    let mut client = Played::client(8, 1000);
    let id = client.call(1);
    client.given();
    let mut close = Vec::new();
    write_close(&mut close, Code::Unavailable, "stops");
    client.say(&close);
    assert!(!client.peer.is_over());
    client.message(b"not begun any more");
    assert_eq!(client.given(), []);
    client.ack(id);
    assert!(client.peer.is_over());

    let mut client = Played::client(1, 1000);
    let [one, two] = [1, 2].map(|turn| client.call(turn));
    client.given();
    let text = "broke a rule".to_owned();
    client
        .peer
        .close(Code::InvalidArgument, text, &mut client.output);
    assert_eq!(client.given(), []);
    client.ack(one);
    let given = client.given();
    assert_eq!(given[0].header.msg_id, two);
    assert_eq!(given[1].header.frame_type, FrameType::Close);
}

#[test]
fn a_server_answers_hello_once_its_peer_is_there() {
    let mut server = Played {
        peer: SessionPeer::server(&CARRIES, 1000),
        output: Output::default(),
    };
    let mut hello = Vec::new();
    let header = Header::control(FrameType::Hello, MsgId::new(1));
    let mark = begin_frame(&mut hello, &header);
    let terms = Hello {
        protocol: "chat".into(),
        session_secret: vec![0; SECRET_LEN],
        max_body: 500,
        ..Hello::default()
    };
    write_hello(&mut hello, SessionId::new(9).unwrap(), &terms);
    finish_frame(&mut hello, mark).unwrap();
    assert_eq!(server.say(&hello), ["Hello"]);
    server.message(b"early");
    assert_eq!(server.given(), []);
    server.peer.welcome(300, &mut server.output);
    let given = server.given();
    let welcome = parse_welcome(given[0].payload.clone()).unwrap();
    assert_eq!(welcome.session_id, SessionId::new(9).unwrap());
    assert_eq!(
        (welcome.welcome.max_body, welcome.welcome.resumed),
        (300, false)
    );
    assert_eq!(granted(&given[1..2]), [AHEAD]);
    assert!(given[2].header.msg_id.is_chosen_by_acceptor());
}
