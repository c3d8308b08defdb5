//! Either end of a FlyRPC connection, to which a peer says whatever it may while its session does what a session may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use msip_session::wire::{
    Code, Credit, Flags, FrameType, HEADER_LEN, Header, Hello, MsgId, SECRET_LEN, SessionId, Side,
    Welcome, write_close, write_credit, write_error, write_hello, write_ping, write_welcome,
};

use super::{
    super::{Dialect as _, Output, protocol::DialectProtocol},
    Codes, FlyRpc, FlyRpcConfig, HELLO,
    packet::{Head, MAX_CODE, PacketKind},
};
use crate::{
    Exchange, Protocol, Variant,
    body::{Codec, MessageAlone, MessageForm},
};

const MAX_BODY: usize = 4096;
const MAX_CALLS: u32 = 4;

/// What a dialect may keep of the peer, and one body.
const MAX_INPUT: usize = MAX_BODY + 1024;

/// Runs one end, and checks all that it says to its session and to its peer.
///
/// # Panics
///
/// It says what it must not: a frame or packet that is none, a message beyond the credit, more calls than may be open, an answer
/// to what was not asked, or a second one.
pub(crate) fn run<P: Protocol>(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let mut end = End::new(DialectProtocol::of::<P>(), choice);
    while let Some((&step, behind)) = rest.split_first() {
        let len = usize::from(step >> 3).min(behind.len());
        let (bytes, behind) = behind.split_at(len);
        if !end.step(step & 7, bytes) {
            return;
        }
        rest = behind;
    }
}

struct End {
    dialect: FlyRpc,
    protocol: DialectProtocol,
    codec: Codec,
    session: Side,
    output: Output,
    input: BytesMut,
    now: Duration,
    next: u64,
    is_greeted: bool,
    is_closed: bool,
    /// What the session was asked and has not answered, and whether that is a call.
    asked: BTreeMap<u64, (u16, bool)>,
    /// What the session has asked, or sent for acknowledgment, and has no answer to.
    waits: BTreeSet<u64>,
    newest: [u64; 2],
    items: i64,
    bytes: i64,
    /// The numbers under which requests were sent that have no response.
    requests: BTreeSet<u16>,
    /// How many requests came that were not answered, by number.
    came: BTreeMap<u16, usize>,
}

impl End {
    fn new(protocol: DialectProtocol, choice: u8) -> Self {
        let session = if choice & 1 == 0 {
            Side::Accepting
        } else {
            Side::Connecting
        };
        let codec = match choice >> 1 & 3 {
            0 | 1 => Codec::Json,
            2 => Codec::Protobuf,
            _ => Codec::MessagePack,
        };
        let config = FlyRpcConfig {
            codes: Arc::new(Codes::of(&protocol, session)),
            codec,
            max_body: MAX_BODY,
            max_calls: 4,
        };
        let dialect = match session {
            Side::Connecting => FlyRpc::connecting(config),
            Side::Accepting => FlyRpc::accepting(config, (session_id(), hello())),
        };
        let Credit { items, bytes } = Credit::CONNECTION_START;
        let mut end = Self {
            dialect,
            protocol,
            codec,
            session,
            output: Output::default(),
            input: BytesMut::new(),
            now: Duration::ZERO,
            next: 2,
            is_greeted: false,
            is_closed: false,
            asked: BTreeMap::new(),
            waits: BTreeSet::new(),
            newest: [0; 2],
            items: items.into(),
            bytes: bytes.into(),
            requests: BTreeSet::new(),
            came: BTreeMap::new(),
        };
        end.dialect.handle_start(end.now, &mut end.output);
        end.look();
        end
    }

    /// Whether the connection goes on.
    fn step(&mut self, what: u8, bytes: &[u8]) -> bool {
        let first = bytes.first().copied().unwrap_or_default();
        let goes_on = match what {
            0..=2 => self.hear(bytes),
            3 => self.answer(first, bytes),
            4 => self.send(first),
            5 => self.grant(first),
            6 => {
                self.now += Duration::from_millis(u64::from(first) * 100);
                while self.dialect.poll_timeout().is_some_and(|at| at <= self.now) {
                    let handled = self.dialect.handle_timeout(self.now, &mut self.output);
                    assert!(handled.is_ok(), "a timeout ends nothing");
                }
                true
            }
            _ if !self.is_greeted => self.greet(),
            _ if first & 7 == 0 => {
                self.is_closed = true;
                self.write(|frame| write_close(frame, Code::Unavailable, "fuzzed"))
            }
            _ => {
                let id = MsgId::exchange(self.session, self.next);
                self.next += 1;
                self.write(|frame| write_ping(frame, id, &bytes[1..]))
            }
        };
        self.look();
        goes_on
    }

    fn greet(&mut self) -> bool {
        self.is_greeted = true;
        let mut payload = Vec::new();
        let header = match self.session {
            Side::Connecting => {
                write_hello(&mut payload, session_id(), &hello());
                Header::control(FrameType::Hello, MsgId::new(1))
            }
            Side::Accepting => {
                let welcome = Welcome {
                    codec: 2,
                    max_open_calls: MAX_CALLS,
                    ..Welcome::default()
                };
                write_welcome(&mut payload, session_id(), &welcome);
                Header::control(FrameType::Ack, HELLO)
            }
        };
        self.frame(header, &payload)
    }

    fn hear(&mut self, bytes: &[u8]) -> bool {
        self.input.extend_from_slice(bytes);
        let before = self.input.clone();
        let heard = self
            .dialect
            .handle_bytes(&mut self.input, self.now, &mut self.output);
        let taken = before.len() - self.input.len();
        let mut rest = &before[..taken];
        while let Ok(Some(head)) = Head::parse(rest, MAX_CODE) {
            let len = head.len + usize::try_from(head.payload_len).unwrap_or(usize::MAX);
            if head.kind != PacketKind::Response {
                *self.came.entry(head.seq).or_default() += 1;
            } else {
                self.requests.remove(&head.seq);
            }
            rest = &rest[len..];
        }
        if heard.is_ok() && self.dialect.wants_bytes() {
            assert!(self.input.len() <= MAX_INPUT, "{} bytes", self.input.len());
        }
        if heard.is_err() {
            // One that is refused for its length was not taken off.
            let head = Head::parse(&self.input, MAX_CODE).ok().flatten();
            if let Some(head) = head {
                *self.came.entry(head.seq).or_default() += 1;
            }
        }
        heard.is_ok()
    }

    /// The session answers one of those that it was asked.
    fn answer(&mut self, which: u8, bytes: &[u8]) -> bool {
        let place = usize::from(which >> 2) % self.asked.len().max(1);
        let Some((&id, &(variant, is_call))) = self.asked.iter().nth(place) else {
            return true;
        };
        self.asked.remove(&id);
        let id = MsgId::new(id);
        match which & 3 {
            0 => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.write(|frame| write_error(frame, Flags::NONE, id, Code::Unknown, &text))
            }
            // A session answers with an envelope: this is for what would come of anything else.
            1 => self.frame(
                Header {
                    variant: which.into(),
                    ..Header::control(FrameType::Ack, id)
                },
                bytes,
            ),
            _ => {
                let table = self.outgoing();
                let answer = match self.incoming_exchange(variant) {
                    Exchange::Call { response, .. } if is_call => response,
                    _ => 0,
                };
                let row = table.variants.iter().find(|row| row.number == answer);
                let body = row.map(|row| self.body(row));
                let header = Header {
                    variant: answer,
                    ..Header::control(FrameType::Ack, id)
                };
                self.frame(header, &body.unwrap_or_default())
            }
        }
    }

    /// The body of a member with nothing in its message.
    fn body(&self, row: &Variant) -> Vec<u8> {
        let alone = MessageAlone {
            codec: self.codec,
            number: row.number,
            name: row.name,
            form: MessageForm::Empty,
        };
        let mut body = Vec::new();
        let wrapped = alone.wrap(&[], &mut body);
        assert_eq!(wrapped, Ok(()));
        body
    }

    fn outgoing(&self) -> super::super::protocol::EnvelopeTable {
        match self.session {
            Side::Connecting => self.protocol.client_to_server,
            Side::Accepting => self.protocol.server_to_client,
        }
    }

    fn incoming_exchange(&self, variant: u16) -> Exchange {
        let table = match self.session {
            Side::Connecting => self.protocol.server_to_client,
            Side::Accepting => self.protocol.client_to_server,
        };
        let row = table.variants.iter().find(|row| row.number == variant);
        row.map_or(Exchange::OneWay, |row| row.exchange)
    }

    /// The session sends a message, or calls.
    fn send(&mut self, which: u8) -> bool {
        if !self.is_greeted || self.is_closed {
            return true;
        }
        let table = self.outgoing();
        let rows = table.variants;
        let row = rows[usize::from(which & 7) % rows.len()];
        let id = if matches!(row.exchange, Exchange::Call { .. }) || which & 0x80 == 0 {
            MsgId::exchange(self.session, self.next)
        } else {
            MsgId::delivery(self.session, self.next)
        };
        self.next += 1;
        let waits = id.is_delivery() || matches!(row.exchange, Exchange::Call { .. });
        if waits {
            self.waits.insert(id.number());
        }
        let header = Header {
            flags: if waits {
                Flags::ACK_REQUIRED
            } else {
                Flags::NONE
            },
            variant: row.number,
            ..Header::control(frame_type(self.session), id)
        };
        let body = [&[0, 0], &*self.body(&row)].concat();
        self.frame(header, &body)
    }

    fn grant(&mut self, items: u8) -> bool {
        let credit = Credit {
            items: items.max(1).into(),
            bytes: u32::from(items) * 64,
        };
        self.items += i64::from(credit.items);
        self.bytes += i64::from(credit.bytes);
        self.write(|frame| write_credit(frame, Flags::NONE, MsgId::CONNECTION, credit))
    }

    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut frame = Vec::new();
        write(&mut frame);
        let Some((head, payload)) = frame.split_first_chunk::<HEADER_LEN>() else {
            return true;
        };
        Header::parse(head).is_ok_and(|header| self.frame(header, payload))
    }

    fn frame(&mut self, header: Header, payload: &[u8]) -> bool {
        let header = Header {
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            ..header
        };
        self.dialect
            .handle_frame(&header, payload, self.now, &mut self.output)
            .is_ok()
    }

    /// Checks what was said.
    fn look(&mut self) {
        let to_session = std::mem::take(&mut self.output.to_session);
        let mut rest = to_session.as_slice();
        while let Some((head, behind)) = rest.split_first_chunk::<HEADER_LEN>() {
            let header = Header::parse(head).unwrap_or_else(|error| panic!("{error}"));
            let (payload, behind) = behind.split_at(header.payload_len as usize);
            self.look_at_frame(&header, payload);
            rest = behind;
        }
        assert!(rest.is_empty(), "a frame is not whole");
        let to_peer = std::mem::take(&mut self.output.to_peer);
        let mut rest = to_peer.as_slice();
        while !rest.is_empty() {
            let head = Head::parse(rest, MAX_CODE).unwrap_or_else(|error| panic!("{error}"));
            let head = head.unwrap_or_else(|| panic!("a packet is not whole"));
            if head.kind == PacketKind::Response {
                let came = self.came.get_mut(&head.seq).filter(|came| **came > 0);
                *came.unwrap_or_else(|| panic!("{} was not asked", head.seq)) -= 1;
            } else {
                let is_new = self.requests.insert(head.seq);
                assert!(is_new, "{} is open", head.seq);
            }
            let len = head.len + head.payload_len as usize;
            rest = &rest[len..];
        }
    }

    fn look_at_frame(&mut self, header: &Header, payload: &[u8]) {
        let id = header.msg_id;
        match header.frame_type {
            FrameType::Publish | FrameType::Event => {
                assert!(self.is_greeted && !self.is_closed);
                assert_ne!(header.frame_type, frame_type(self.session));
                assert!(payload.len() <= MAX_BODY + 2 && payload.starts_with(&[0, 0]));
                let newest = &mut self.newest[usize::from(id.is_delivery())];
                assert!(id.sequence() > *newest);
                *newest = id.sequence();
                if id.is_delivery() {
                    assert!(self.items > 0 && self.bytes > 0, "beyond the credit");
                    self.items -= 1;
                    self.bytes -= i64::try_from(payload.len()).unwrap_or(i64::MAX);
                }
                self.asked
                    .insert(id.number(), (header.variant, !id.is_delivery()));
                let calls = self.asked.values().filter(|(_, is_call)| *is_call);
                assert!(calls.count() <= 4, "too many calls");
            }
            FrameType::Ack
                if id.sequence() == MsgId::exchange(self.session, u64::MAX).sequence() => {}
            FrameType::Ack if self.session == Side::Connecting && id == MsgId::new(1) => {}
            FrameType::Ack | FrameType::Error => {
                assert!(self.waits.remove(&id.number()), "{id:?} does not wait");
            }
            _ => {}
        }
    }
}

const fn frame_type(side: Side) -> FrameType {
    match side {
        Side::Connecting => FrameType::Publish,
        Side::Accepting => FrameType::Event,
    }
}

fn session_id() -> SessionId {
    SessionId::new(7).unwrap_or_else(|| unreachable!("7 is not 0"))
}

fn hello() -> Hello {
    Hello {
        protocol: "kitchen".to_owned(),
        session_secret: vec![0; SECRET_LEN],
        ..Hello::default()
    }
}
