//! Tests of two sessions that are driven against each other in memory, with time as a number.

mod allowances;
mod backlog;
mod batches;
mod cancels;
mod closing;
mod datagrams;
mod droppable;
mod error_metadata;
mod exchanges;
mod fast_path;
mod flow_control;
mod handshake;
mod idle;
mod items;
mod liveness;
mod memory;
mod metadata;
mod parked;
mod streams;
mod subscriptions;
mod topics;
mod transport;

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    MsgKind,
    wire::{
        Code, Codec, Credit, Decoder, ErrorRef, Flags, Frame, FrameRef, FrameType, HEADER_LEN,
        Header, Hello, Limits, SECRET_LEN, SessionId, Welcome, write_ack,
    },
};

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The variants of the messages here, which only have to differ.
const NOTE: u16 = 2;
const REQUEST: u16 = 1;
const ANSWER: u16 = 9;

fn config(side: Side) -> Config {
    Config {
        max_calls: 4,
        max_call_bytes: 1024 * 1024,
        session_buffer: 1024 * 1024,
        ..Config::new(side)
    }
}

const fn head(variant: u16) -> RequestHead<'static> {
    RequestHead {
        variant,
        kind: MsgKind::Event,
        urgent: false,
        compressed: false,
        deadline_ms: None,
        metadata: &[],
        topic: None,
        caller: 0,
    }
}

/// A body that holds this text.
fn text(text: &str) -> impl FnOnce(&mut Vec<u8>) + '_ {
    move |buffer| buffer.extend_from_slice(text.as_bytes())
}

fn answer(text: &str) -> Reply<'_, impl FnOnce(&mut Vec<u8>) + '_> {
    Reply::Message {
        variant: ANSWER,
        len: text.len(),
        compressed: false,
        metadata: None,
        encode: move |buffer: &mut Vec<u8>| buffer.extend_from_slice(text.as_bytes()),
    }
}

/// What a reply needs as the type of an encoder where there is none.
type NoBody = fn(&mut Vec<u8>);

/// One side: a session, what reached it, and how the exchanges that it opened ended.
struct Peer {
    session: Session,
    decoder: Decoder,
    /// The bodies of the messages that came, in order.
    messages: Vec<String>,
    /// Messages that have not been handled.
    waiting: Vec<Incoming>,
    /// SUBSCRIBEs and UNSUBSCRIBEs that have not been answered.
    subscribes: Vec<SubscribeRequest>,
    /// Every outcome of each exchange of this side, by the index of its token.
    outcomes: BTreeMap<usize, Vec<String>>,
    /// All other events.
    told: Vec<String>,
}

impl Peer {
    fn new(session: Session) -> Self {
        Self {
            session,
            decoder: Decoder::new(Limits::default().max_payload()),
            messages: Vec::new(),
            waiting: Vec::new(),
            subscribes: Vec::new(),
            outcomes: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Everything that is ready to be written.
    fn transmit(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.session.poll_transmit() {
            bytes.extend_from_slice(&chunk.bytes);
            self.session.transmitted(chunk);
        }
        bytes
    }

    fn receive(&mut self, bytes: &[u8], now: Duration) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.decoder.buffer().extend_from_slice(bytes);
        self.session.received(now);
        while let Some(frame) = self.decoder.decode().expect("sessions write frames") {
            self.take(frame, now)?;
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame, now: Duration) -> Result<(), Fault> {
        match self.session.handle_any(frame, now)? {
            None | Some(Event::Capacity | Event::GivenUpEnded(_) | Event::StreamCredit(_)) => {}
            Some(Event::Item { item, .. }) => self
                .told
                .push(format!("item {}", String::from_utf8_lossy(&item.body))),
            Some(Event::RequestItem { item, is_last, .. }) => {
                if let Some(item) = item {
                    self.told
                        .push(format!("request {}", String::from_utf8_lossy(&item.body)));
                }
                if is_last {
                    self.told.push("end of requests".to_owned());
                }
            }
            Some(Event::Subscribe(request)) => self.subscribes.push(*request),
            Some(Event::Cancelled(_)) => self.told.push("cancelled".to_owned()),
            Some(Event::Hello(hello)) => self.told.push(format!("hello {}", hello.hello.protocol)),
            Some(Event::Welcome(welcome)) => self
                .told
                .push(format!("welcome {}", welcome.welcome.server_name)),
            Some(Event::Refused(text)) => self.told.push(format!("refused {text}")),
            Some(Event::Closing(text)) => self.told.push(format!("closing {text}")),
            Some(Event::PeerFault(text)) => self.told.push(format!("peer fault {text}")),
            Some(Event::Answered { token, outcome }) => self.outcome(
                token,
                match outcome {
                    Outcome::Answer { body, .. } => {
                        format!("answer {}", String::from_utf8_lossy(&body))
                    }
                    Outcome::Error(text, _) => format!("error {text}"),
                    Outcome::NotReceived => "not received".to_owned(),
                    Outcome::NotAccepted => "not accepted".to_owned(),
                    outcome => panic!("{outcome:?} does not come from the peer"),
                },
            ),
            Some(Event::Incoming(incoming)) => {
                self.messages
                    .push(String::from_utf8_lossy(&incoming.body).into_owned());
                self.waiting.push(incoming);
            }
        }
        Ok(())
    }

    fn outcome(&mut self, token: Token, outcome: String) {
        self.outcomes
            .entry(token.index())
            .or_default()
            .push(outcome);
    }

    /// Handles all that waits: requests are answered with their own text, and messages acknowledged.
    fn handle(&mut self) {
        for incoming in std::mem::take(&mut self.waiting) {
            self.finish(&incoming);
        }
    }

    fn finish(&mut self, incoming: &Incoming) {
        match incoming.reply {
            ReplyTo::Call(slot) => {
                let text = String::from_utf8_lossy(&incoming.body);
                self.session.reply(slot, answer(&text));
                return;
            }
            ReplyTo::Delivery { id, urgent } => self.session.acknowledge(id, urgent, Ok(())),
            ReplyTo::Nobody => {}
        }
        let handled = Credit {
            items: 1,
            bytes: incoming.payload_len,
        };
        self.session.consumed(handled, self.session.connection());
    }

    fn timeout(&mut self, now: Duration) -> Result<(), TimedOut> {
        let mut expired = Vec::new();
        let outcome = self.session.handle_timeout(now, &mut expired);
        for token in expired {
            self.outcome(token, "expired".to_owned());
        }
        outcome
    }

    fn lose(&mut self) {
        for Lost { token, sent, .. } in self.session.lost(None) {
            let outcome = if sent { "lost, sent" } else { "lost, unsent" };
            self.outcome(token, outcome.to_owned());
        }
    }

    fn send(&mut self, body: &str) -> Result<(), Blocked> {
        self.session.send(&head(NOTE), text(body))
    }

    fn deliver(&mut self, token: usize, deadline: Duration) -> Result<Slot, Blocked> {
        self.session.deliver(
            &head(NOTE),
            Token::new(token),
            deadline,
            text(&token.to_string()),
        )
    }

    fn call(&mut self, token: usize, deadline: Duration) -> Result<Slot, Blocked> {
        self.session.call(
            &head(REQUEST),
            CallShape::UNARY,
            Token::new(token),
            deadline,
            text(&token.to_string()),
        )
    }
}

/// Both sides, and the time.
struct Pair {
    client: Peer,
    server: Peer,
    now: Duration,
}

fn hello() -> Hello {
    Hello {
        protocol: "lab".to_owned(),
        session_secret: vec![7; SECRET_LEN],
        ..Hello::default()
    }
}

fn welcome() -> Welcome {
    Welcome {
        codec: Codec::Protobuf.into(),
        server_name: "here".to_owned(),
        max_open_calls: 4,
        ..Welcome::default()
    }
}

fn session_id() -> SessionId {
    SessionId::new(77).expect("is not 0")
}

impl Pair {
    /// Two sides before the handshake.
    fn before_handshake() -> Self {
        Self {
            client: Peer::new(Session::connecting(
                config(Side::Connecting),
                session_id(),
                &hello(),
                Duration::ZERO,
            )),
            server: Peer::new(Session::accepting(config(Side::Accepting), Duration::ZERO)),
            now: Duration::ZERO,
        }
    }

    /// Two sides after the handshake.
    fn open() -> Self {
        let mut pair = Self::before_handshake();
        pair.exchange();
        pair.server
            .session
            .welcome(session_id(), &welcome(), 1 << 20);
        pair.exchange();
        assert_eq!(pair.server.told, ["hello lab"]);
        assert_eq!(pair.client.told, ["welcome here"]);
        pair
    }

    /// Carries what either side sends, until both are silent.
    fn exchange(&mut self) {
        loop {
            let (up, down) = (self.client.transmit(), self.server.transmit());
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.server.receive(&up, self.now).expect("no fault");
            self.client.receive(&down, self.now).expect("no fault");
        }
    }

    /// Carries, and runs the handlers of both sides, until both are silent.
    fn settle(&mut self) {
        loop {
            self.exchange();
            if self.client.waiting.is_empty() && self.server.waiting.is_empty() {
                return;
            }
            self.client.handle();
            self.server.handle();
        }
    }

    /// Both sides, by name.
    fn ends(&mut self) -> [(&'static str, &mut Peer); 2] {
        [("client", &mut self.client), ("server", &mut self.server)]
    }
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(bytes);
    std::iter::from_fn(|| decoder.decode().expect("are frames")).collect()
}
