//! One session between a peer that sends whatever it likes, and a driver, senders and handlers of good will.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::Choices;
use crate::{
    MsgKind,
    session::{
        CallShape, Config, Event, InboundSlot, Incoming, Item, Lost, Outcome, PeerTerms, Reply,
        ReplyTo, RequestHead, Session, Slot, StreamSide, Suspended, Token,
    },
    wire::{
        Code, Codec, Credit, ErrorRef, Flags, Frame, FrameType, Header, Hello, Limits, MsgId,
        RawKind, SECRET_LEN, SessionId, Side, Welcome, write_hello, write_welcome,
    },
};

/// The most that one answer can add to the queue after that was found not to be full.
const ONE_MORE: usize = 128 * 1024;

fn config(side: Side) -> Config {
    Config {
        limits: Limits::with_max_body(4096),
        handshake_timeout: Duration::from_secs(5),
        max_calls: 8,
        max_call_bytes: 16 * 1024,
        outgoing_queue: 16 * 1024,
        session_buffer: 16 * 1024,
        session_deliveries: 20,
        buffer_disconnected: 4096,
        window: Credit {
            items: 12,
            bytes: 16 * 1024,
        },
        ..Config::new(side)
    }
}

/// Drives a session through the operations that the bytes name.
pub fn session_ops(data: &[u8]) {
    let mut choices = Choices(data);
    let side = if choices.byte().is_multiple_of(2) {
        Side::Accepting
    } else {
        Side::Connecting
    };
    let Some(mut driven) = Driven::open(side) else {
        panic!("no HELLO");
    };
    while !choices.is_empty() && driven.turn(&mut choices) {
        driven.check();
    }
    driven.end();
}

/// A session, and its users.
struct Driven {
    session: Session,
    side: Side,
    now: Duration,
    next_token: usize,
    /// What is open, by the session's place for it.
    waiting: BTreeMap<Token, Slot>,
    /// What is being handled, oldest first.
    handling: Vec<(Incoming, u64)>,
    /// Streams that can be taken from, with the length of what came.
    items: Vec<(StreamSide, u32)>,
}

/// A session whose handshake is done.
pub(super) fn open_session(side: Side) -> Option<Session> {
    Some(Driven::open(side)?.session)
}

impl Driven {
    /// A session whose handshake is done.
    fn open(side: Side) -> Option<Self> {
        let id = SessionId::new(7)?;
        let hello = Hello {
            protocol: "lab".to_owned(),
            session_secret: vec![7; SECRET_LEN],
            ..Hello::default()
        };
        let welcome = Welcome {
            codec: Codec::Protobuf.into(),
            ..Welcome::default()
        };
        let mut payload = Vec::new();
        let (mut session, frame_type, hello_id) = match side {
            Side::Accepting => {
                write_hello(&mut payload, id, &hello);
                let session = Session::accepting(config(side), Duration::ZERO);
                (
                    session,
                    FrameType::Hello,
                    MsgId::exchange(side.reverse(), 1),
                )
            }
            Side::Connecting => {
                write_welcome(&mut payload, id, &welcome);
                let mut session = Session::connecting(config(side), id, &hello, Duration::ZERO);
                let sent = session.poll_transmit()?;
                let header = Header::parse(sent.bytes.first_chunk()?).ok()?;
                session.transmitted(sent);
                (session, FrameType::Ack, header.msg_id)
            }
        };
        let header = Header::control(frame_type, hello_id);
        let greeted = session.handle_frame(frame(header, &payload), Duration::ZERO);
        match greeted {
            Ok(Some(Event::Hello(_))) => {
                session.keep_when_lost();
                session.welcome(id, &welcome, 4096);
            }
            Ok(Some(Event::Welcome(_))) => session.keep_when_lost(),
            other => panic!("{other:?}"),
        }
        Some(Self {
            session,
            side,
            now: Duration::ZERO,
            next_token: 0,
            waiting: BTreeMap::new(),
            handling: Vec::new(),
            items: Vec::new(),
        })
    }

    /// Does the next thing. `false` when the session is over.
    fn turn(&mut self, choices: &mut Choices<'_>) -> bool {
        match choices.byte() % 16 {
            0..=5 => return self.hear(choices),
            6 => self.transmit(usize::from(choices.byte())),
            7 => self.begin(choices),
            8 => self.answer(choices),
            9 => {
                if let Some((end, len)) = self.items.pop() {
                    let taken = Credit {
                        items: 1,
                        bytes: len,
                    };
                    let _ = self.session.items_consumed(end, taken);
                }
            }
            10 => {
                let chosen = self.waiting.keys().nth(usize::from(choices.byte()));
                if let Some(slot) = chosen
                    .copied()
                    .and_then(|token| self.waiting.remove(&token))
                {
                    self.session.forget(slot);
                }
            }
            11 | 12 => {
                self.now += Duration::from_millis(u64::from(choices.number()));
                let mut expired = Vec::new();
                let outcome = self.session.handle_timeout(self.now, &mut expired);
                expired.into_iter().for_each(|token| self.outcome(token));
                // Without a byte the peer is dead; the next one comes by another connection.
                if outcome.is_err() {
                    return self.reconnect(choices);
                }
            }
            13 => self.session.received(self.now),
            14 => return self.reconnect(choices),
            _ => {
                if choices.byte() == 0 {
                    let code = Code::Unavailable;
                    self.session.begin_close(code, "over", self.now);
                }
            }
        }
        true
    }

    /// A frame of the peer's, whatever it likes.
    fn hear(&mut self, choices: &mut Choices<'_>) -> bool {
        let types = FrameType::ALL;
        let frame_type = types[usize::from(choices.byte()) % types.len()];
        let flags = Flags::from_bits(choices.byte() & 0x7f).unwrap_or(Flags::NONE);
        let (kind, id) = (choices.byte(), choices.byte());
        let side = if id & 0x80 == 0 {
            Side::Connecting
        } else {
            Side::Accepting
        };
        let sequence = u64::from(id & 0x3f);
        let msg_id = match choices.byte() {
            0 => MsgId::CONNECTION,
            // Those of the window's edge, and the last there is.
            1 => MsgId::delivery(side, sequence + 4096),
            2 => MsgId::new(u64::MAX),
            _ if id & 0x40 != 0 => MsgId::delivery(side, sequence),
            _ => MsgId::exchange(side, sequence),
        };
        let len = match choices.byte() {
            len @ ..=250 => usize::from(len),
            len => usize::from(len) * 16,
        };
        let mut payload = choices.bytes(len).to_vec();
        if kind & 0x80 == 0 && matches!(frame_type, FrameType::Publish | FrameType::Event) {
            // Mostly a message without a topic.
            payload.splice(0..0, [0, 0]);
        }
        if kind & 0x40 != 0 {
            payload.resize(len, 7);
        }
        let header = Header {
            flags,
            kind: RawKind::new(u16::from(kind & 7)),
            variant: 1,
            ..Header::control(frame_type, msg_id)
        };
        if self.session.is_read_paused() {
            // A driver reads no more now.
            return true;
        }
        match self.session.handle_any(frame(header, &payload), self.now) {
            Ok(None) => {}
            Ok(Some(event)) => self.take(event),
            Err(fault) => {
                self.session.handle_fault(&fault);
                return false;
            }
        }
        true
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Incoming(incoming) => {
                let connection = self.session.connection();
                self.handling.push((incoming, connection));
            }
            Event::Answered { token, outcome } => {
                assert!(!matches!(outcome, Outcome::Lost { .. } | Outcome::Expired));
                self.outcome(token);
            }
            Event::Item { token, item } => {
                let slot = self.waiting.get(&token);
                let slot = *slot.unwrap_or_else(|| panic!("an item for {token}, which is over"));
                self.keep(StreamSide::Caller(slot), &item);
            }
            Event::RequestItem { slot, item, .. } => {
                assert!(self.session.is_serving(slot));
                if let Some(item) = item {
                    self.keep(StreamSide::Callee(slot), &item);
                }
            }
            Event::Subscribe(request) => {
                let refusal = ErrorRef::new(Code::NotFound, "none");
                let outcome: Result<&[u8], _> = if request.is_unsubscribe {
                    Err(refusal)
                } else {
                    Ok(&[])
                };
                self.session.answer_subscribe(request.reply, outcome);
            }
            Event::Cancelled(slot) => assert!(self.session.is_serving(slot)),
            Event::Hello(_) | Event::Welcome(_) | Event::Refused(_) => {
                panic!("the handshake is over")
            }
            Event::Capacity
            | Event::GivenUpEnded(_)
            | Event::StreamCredit(_)
            | Event::Closing(_)
            | Event::PeerFault(_) => {}
        }
    }

    fn keep(&mut self, end: StreamSide, item: &Item) {
        self.items.push((end, item.payload_len));
    }

    /// An exchange has its outcome, and has it once.
    fn outcome(&mut self, token: Token) {
        let was_open = self.waiting.remove(&token);
        assert!(was_open.is_some(), "a second outcome for {token}");
    }

    /// Writes a few chunks; of the last one perhaps a part.
    fn transmit(&mut self, count: usize) {
        for _ in 0..count {
            match self.session.poll_transmit() {
                Some(chunk) => self.session.transmitted(chunk),
                None => return,
            }
        }
    }

    /// Sends something.
    fn begin(&mut self, choices: &mut Choices<'_>) {
        let (what, len) = (choices.byte(), usize::from(choices.byte()));
        let head = RequestHead {
            variant: 1,
            kind: MsgKind::Event,
            urgent: what & 0x80 != 0,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
            topic: None,
            caller: 0,
        };
        let encode = |buffer: &mut Vec<u8>| buffer.resize(buffer.len() + len, 1);
        let token = Token::new(self.next_token);
        let deadline = self.now + Duration::from_secs(20);
        let streams = what & 0x40 != 0;
        let shape = CallShape {
            request_stream: streams,
            response_stream: streams,
        };
        let opened = match what % 4 {
            0 => {
                // It may be blocked.
                let _ = self.session.send(&head, encode);
                return;
            }
            1 => self.session.deliver(&head, token, deadline, encode),
            2 => self.session.call(&head, shape, token, deadline, encode),
            _ => self.session.ping(&[1, 2, 3], token, deadline),
        };
        if let Ok(slot) = opened {
            self.next_token += 1;
            self.waiting.insert(token, slot);
        }
    }

    /// A handler returns.
    fn answer(&mut self, choices: &mut Choices<'_>) {
        let how = choices.byte();
        if self.handling.is_empty() {
            return;
        }
        let at = usize::from(how >> 2) % self.handling.len();
        let (incoming, connection) = self.handling.remove(at);
        let failure = ErrorRef::new(Code::Internal, "no");
        match incoming.reply {
            ReplyTo::Call(slot) => return self.reply(slot, how, failure),
            ReplyTo::Delivery { id, urgent } => {
                let outcome = if how.is_multiple_of(2) {
                    Ok(())
                } else {
                    Err(failure)
                };
                self.session.acknowledge(id, urgent, outcome);
            }
            ReplyTo::Nobody => {}
        }
        let handled = Credit {
            items: 1,
            bytes: incoming.payload_len,
        };
        self.session.consumed(handled, connection);
    }

    fn reply(&mut self, slot: InboundSlot, how: u8, failure: ErrorRef<'_>) {
        let is_this = |end: &StreamSide| matches!(end, StreamSide::Callee(other) if *other == slot);
        self.items.retain(|(end, _)| !is_this(end));
        let len = usize::from(how) * 40;
        let encode = |buffer: &mut Vec<u8>| buffer.resize(buffer.len() + len, 2);
        let reply = match how % 3 {
            0 => Reply::Message {
                variant: 2,
                len,
                compressed: false,
                metadata: None,
                encode,
            },
            1 => Reply::END,
            _ => Reply::Error(failure),
        };
        self.session.reply(slot, reply);
        assert!(!self.session.is_serving(slot), "it has ended");
    }

    /// The connection is lost, in the middle of a chunk perhaps, and another one comes.
    fn reconnect(&mut self, choices: &mut Choices<'_>) -> bool {
        if !self.session.is_resumable() {
            return false;
        }
        let chunk = if choices.byte().is_multiple_of(2) {
            self.session.poll_transmit()
        } else {
            None
        };
        let written = usize::from(choices.number());
        let in_flight = chunk
            .as_ref()
            .map(|chunk| (chunk, written.min(chunk.bytes.len())));
        let Suspended { lost, .. } = self.session.suspend(in_flight);
        self.lose(lost);
        self.items.clear();
        assert!(self.session.is_suspended());
        // What is sent meanwhile is kept, or is not.
        self.begin(choices);
        if self.session.is_finished() {
            return false;
        }
        let mut lost = Vec::new();
        self.session.awaited_calls(&mut lost);
        self.lose(lost);
        let awaited: Vec<u64> = (0..choices.byte() % 8)
            .map(|_| MsgId::exchange(self.side.reverse(), u64::from(choices.byte())).number())
            .collect();
        let agreed = PeerTerms {
            peer_max_body: 4096,
            max_calls: 8,
            awaited: &awaited,
        };
        self.session.resume(&agreed, self.now);
        true
    }

    fn lose(&mut self, lost: Vec<Lost>) {
        for Lost { token, .. } in lost {
            self.outcome(token);
        }
    }

    fn check(&self) {
        let queued = self.session.queued();
        assert!(queued <= 16 * 1024 + ONE_MORE, "{queued} bytes are queued");
        assert!(self.handling.len() <= 8 + 20 * 1024);
    }

    /// The session is over: all that is open is lost, and nothing else.
    fn end(mut self) {
        let lost = self.session.lost(None);
        self.lose(lost);
        assert!(self.waiting.is_empty(), "forgotten: {:?}", self.waiting);
    }
}

fn frame(header: Header, payload: &[u8]) -> Frame {
    let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    Frame {
        header: Header {
            payload_len,
            ..header
        },
        payload: Bytes::copy_from_slice(payload),
    }
}
