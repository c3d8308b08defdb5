//! Two sessions that are driven against each other in memory, with time as a number.

mod batches;
mod fast_path;
mod items;
mod memory;
mod metadata;
mod streams;

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    MsgKind,
    budget::Budget,
    wire::{Codec, Decoder, ErrorRef, Frame, FrameRef, SECRET_LEN, write_ack},
};

mod pressure;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The variants of the messages here, which only have to be told apart.
const NOTE: u16 = 2;
const REQUEST: u16 = 1;
const ANSWER: u16 = 9;

fn config(side: Side) -> Config {
    Config {
        side,
        limits: Limits::default(),
        ping_interval: at(10),
        handshake_timeout: at(5),
        drain_timeout: at(30),
        max_calls: 4,
        max_call_bytes: 1024 * 1024,
        outgoing_queue: 8 * 1024 * 1024,
        session_buffer: 1024 * 1024,
        session_deliveries: 10_000,
        buffer_disconnected: 0,
        window: Credit::CONNECTION_START,
        stream_window: Credit::STREAM_START,
        budget: Budget::of_process(),
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
        time_us: None,
        encode: move |buffer: &mut Vec<u8>| buffer.extend_from_slice(text.as_bytes()),
    }
}

/// What a reply needs as the type of an encoder where there is none.
type NoBody = fn(&mut Vec<u8>);

/// One end: a session, what reached it, and what became of what it opened.
struct End {
    session: Session,
    decoder: Decoder,
    /// The bodies of what came, in order.
    heard: Vec<String>,
    /// Messages that have not been handled.
    waiting: Vec<Incoming>,
    /// Each outcome that an exchange of this end had.
    outcomes: BTreeMap<Token, Vec<String>>,
    /// What else was told.
    told: Vec<String>,
}

impl End {
    fn new(session: Session) -> Self {
        Self {
            session,
            decoder: Decoder::new(Limits::default().max_payload()),
            heard: Vec::new(),
            waiting: Vec::new(),
            outcomes: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// All that is ready to be written.
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
            None | Some(Event::Room | Event::StreamCredit(_)) => {}
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
            Some(Event::Cancelled(_)) => self.told.push("cancelled".to_owned()),
            Some(Event::Hello(hello)) => self.told.push(format!("hello {}", hello.hello.protocol)),
            Some(Event::Welcome(welcome)) => self
                .told
                .push(format!("welcome {}", welcome.welcome.server_name)),
            Some(Event::Refused(text)) => self.told.push(format!("refused {text}")),
            Some(Event::Closing(text)) => self.told.push(format!("closing {text}")),
            Some(Event::Blamed(text)) => self.told.push(format!("blamed {text}")),
            Some(Event::Answered { token, outcome }) => self.outcome(
                token,
                match outcome {
                    Outcome::Answer { body, .. } => {
                        format!("answer {}", String::from_utf8_lossy(&body))
                    }
                    Outcome::Error(text) => format!("error {text}"),
                    Outcome::NotReceived => "not received".to_owned(),
                    outcome => panic!("{outcome:?} does not come from the other side"),
                },
            ),
            Some(Event::Incoming(incoming)) => {
                self.heard
                    .push(String::from_utf8_lossy(&incoming.body).into_owned());
                self.waiting.push(incoming);
            }
        }
        Ok(())
    }

    fn outcome(&mut self, token: Token, outcome: String) {
        self.outcomes.entry(token).or_default().push(outcome);
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

    fn deliver(&mut self, token: Token, deadline: Duration) -> Result<Slot, Blocked> {
        self.session
            .deliver(&head(NOTE), token, deadline, text(&token.to_string()))
    }

    fn call(&mut self, token: Token, deadline: Duration) -> Result<Slot, Blocked> {
        self.session.call(
            &head(REQUEST),
            Shape::UNARY,
            token,
            deadline,
            text(&token.to_string()),
        )
    }
}

/// Both ends, and the time.
struct Pair {
    client: End,
    server: End,
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
    /// Two ends that have not spoken.
    fn strangers() -> Self {
        Self {
            client: End::new(Session::connecting(
                config(Side::Connecting),
                session_id(),
                &hello(),
                Duration::ZERO,
            )),
            server: End::new(Session::accepting(config(Side::Accepting), Duration::ZERO)),
            now: Duration::ZERO,
        }
    }

    /// Two ends whose handshake is done.
    fn open() -> Self {
        let mut pair = Self::strangers();
        pair.exchange();
        pair.server
            .session
            .welcome(session_id(), &welcome(), 1 << 20);
        pair.exchange();
        assert_eq!(pair.server.told, ["hello lab"]);
        assert_eq!(pair.client.told, ["welcome here"]);
        pair
    }

    /// Carries what either end has to say, until both are silent.
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

    /// Carries, and lets the handlers of both ends run, until both are silent.
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

    /// Each end in turn, with the other.
    fn ends(&mut self) -> [(&'static str, &mut End); 2] {
        [("client", &mut self.client), ("server", &mut self.server)]
    }
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(bytes);
    std::iter::from_fn(|| decoder.decode().expect("are frames")).collect()
}

// Handshake.

#[test]
fn nothing_is_sent_before_the_handshake_is_done() {
    let mut pair = Pair::strangers();
    let hello = pair.client.transmit();
    assert_eq!(frames(&hello).len(), 1, "HELLO and nothing else");
    for (name, end) in pair.ends() {
        assert_eq!(end.send("early"), Err(Blocked::Closing), "{name}");
        assert_eq!(end.call(1, at(1)), Err(Blocked::Closing), "{name}");
        assert_eq!(end.deliver(2, at(1)), Err(Blocked::Closing), "{name}");
        assert!(!end.session.has_transmit(), "{name}");
    }
    pair.server.receive(&hello, at(0)).expect("no fault");
    assert_eq!(pair.server.send("still early"), Err(Blocked::Closing));
}

#[test]
fn a_refusal_ends_it() {
    let mut pair = Pair::strangers();
    pair.exchange();
    pair.server
        .session
        .refuse(Code::Unauthenticated, "who are you?");
    assert!(!pair.server.session.is_finished(), "the text is still here");
    pair.exchange();
    assert_eq!(pair.client.told, ["refused UNAUTHENTICATED: who are you?"]);
    for (name, end) in pair.ends() {
        assert!(end.session.is_finished(), "{name}");
        assert_eq!(end.session.poll_timeout(), Duration::MAX, "{name}");
        assert_eq!(end.timeout(at(1_000_000)), Ok(()), "{name}");
    }
}

#[test]
fn a_handshake_has_its_time() {
    let mut pair = Pair::strangers();
    for (name, end) in pair.ends() {
        assert_eq!(end.session.poll_timeout(), at(5), "{name}");
        assert_eq!(end.timeout(at(4)), Ok(()), "{name}");
        assert_eq!(end.timeout(at(5)), Err(TimedOut::Handshake), "{name}");
    }
}

#[test]
fn a_frame_before_its_time_is_a_fault() {
    let mut pair = Pair::strangers();
    let hello = frames(&pair.client.transmit()).remove(0);
    let mut ping = Vec::new();
    write_ping(&mut ping, MsgId::new(9), &[]);
    let ping = frames(&ping).remove(0);
    let fault = pair
        .server
        .take(ping.clone(), at(0))
        .expect_err("before HELLO");
    assert_eq!(fault.rule, "PING before HELLO");
    let fault = pair
        .client
        .take(ping.clone(), at(0))
        .expect_err("before the answer");
    assert_eq!(fault.rule, "PING before the answer to HELLO");
    pair.server.take(hello, at(0)).expect("the HELLO is good");
    let fault = pair.server.take(ping, at(0)).expect_err("too early");
    assert_eq!(fault.rule, "PING before its HELLO was answered");
    assert_eq!(fault.code, Code::FailedPrecondition);
}

#[test]
fn the_server_says_how_many_calls_it_takes() {
    let mut pair = Pair::open();
    let open = (0..).take_while(|token| pair.client.call(*token, at(60)).is_ok());
    assert_eq!(open.count(), 4);
    assert_eq!(pair.client.call(9, at(60)), Err(Blocked::NoRoom));
    pair.settle();
    assert!(pair.client.call(9, at(60)).is_ok(), "there is room again");
}

#[test]
fn nothing_overtakes_the_welcome() {
    let mut pair = Pair::strangers();
    pair.exchange();
    pair.server
        .session
        .welcome(session_id(), &welcome(), 1 << 20);
    pair.server.session.ping(&[], 1, at(60)).expect("queued");
    let urgent = RequestHead {
        urgent: true,
        ..head(NOTE)
    };
    pair.server
        .session
        .send(&urgent, text("at once"))
        .expect("queued");
    pair.settle();
    assert_eq!(pair.client.told, ["welcome here"]);
    assert_eq!(pair.client.heard, ["at once"]);
}

// Exchanges.

#[test]
fn every_shape_of_exchange_works_in_both_directions() {
    let mut pair = Pair::open();
    for (name, end) in pair.ends() {
        end.send(&format!("from the {name}")).expect("sent");
        end.deliver(1, at(60)).expect("sent");
        end.call(2, at(60)).expect("sent");
        end.session.ping(b"3", 3, at(60)).expect("sent");
    }
    pair.settle();
    assert_eq!(pair.server.heard, ["from the client", "1", "2"]);
    assert_eq!(pair.client.heard, ["from the server", "1", "2"]);
    for (name, end) in pair.ends() {
        let expected = [(1, "answer "), (2, "answer 2"), (3, "answer 3")]
            .map(|(token, outcome)| (token, vec![outcome.to_owned()]));
        assert_eq!(end.outcomes, BTreeMap::from(expected), "{name}");
        assert_eq!(end.session.open_exchanges(), 0, "{name}");
        assert_eq!(end.session.queued(), 0, "{name}");
        assert_eq!(end.session.ignored(), 0, "{name}");
    }
}

#[test]
fn errors_reach_whoever_waits() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.client.deliver(2, at(60)).expect("sent");
    pair.exchange();
    let status = ErrorRef {
        code: Code::NotFound,
        message: "no such thing",
    };
    for incoming in std::mem::take(&mut pair.server.waiting) {
        match incoming.reply {
            ReplyTo::Call(slot) => pair
                .server
                .session
                .reply(slot, Reply::<NoBody>::Error(status)),
            ReplyTo::Delivery { id, urgent } => {
                pair.server.session.acknowledge(id, urgent, Err(status));
            }
            ReplyTo::Nobody => panic!("nothing was sent without a wish for an answer"),
        }
    }
    pair.exchange();
    let expected = vec!["error NOT_FOUND: no such thing".to_owned()];
    assert_eq!(
        pair.client.outcomes,
        BTreeMap::from([(1, expected.clone()), (2, expected)])
    );
}

#[test]
fn a_call_answered_twice_by_its_handler_is_answered_once() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.exchange();
    let incoming = pair.server.waiting.remove(0);
    pair.server.finish(&incoming);
    pair.server.finish(&incoming);
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["answer 1"]);
    assert_eq!(pair.client.session.ignored(), 0);
}

#[test]
fn an_answer_over_the_callers_limit_becomes_an_error() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.exchange();
    let incoming = pair.server.waiting.remove(0);
    let ReplyTo::Call(slot) = incoming.reply else {
        panic!("{incoming:?}")
    };
    let large = "x".repeat((1 << 20) + 1);
    pair.server.session.reply(slot, answer(&large));
    pair.exchange();
    assert_eq!(
        pair.client.outcomes[&1],
        [
            "error RESOURCE_EXHAUSTED: an answer of 1048577 bytes, where the caller accepts 1048576 (its setting `max_body`)"
        ]
    );
}

#[test]
fn a_full_queue_makes_senders_wait_and_stops_reading() {
    let mut pair = Pair::open();
    let mib = "x".repeat(1 << 20);
    let end = &mut pair.server;
    // Answers need no room: they are owed.
    for token in 0..4 {
        pair.client.call(token, at(60)).expect("sent");
    }
    let up = pair.client.transmit();
    end.receive(&up, at(0)).expect("no fault");
    end.session
        .call(
            &head(REQUEST),
            Shape::UNARY,
            1,
            at(60),
            text(&mib.repeat(8)),
        )
        .expect("sent");
    assert_eq!(end.call(2, at(60)), Err(Blocked::NoRoom));
    assert_eq!(end.send("more"), Err(Blocked::NoRoom));
    assert!(!end.session.is_over_queue(), "answers must get through");
    end.handle();
    end.transmit();
    assert!(end.call(2, at(60)).is_ok());
    // What is owed and not taken is another matter.
    pair.client.session.outbound.set_max_calls(100);
    for _ in 0..9 {
        pair.client.call(5, at(60)).expect("sent");
        let up = pair.client.transmit();
        end.receive(&up, at(0)).expect("no fault");
        for incoming in std::mem::take(&mut end.waiting) {
            let ReplyTo::Call(slot) = incoming.reply else {
                panic!("{incoming:?}");
            };
            end.session.reply(slot, answer(&mib));
        }
    }
    assert!(end.session.is_over_queue(), "nothing more is read");
    end.transmit();
    assert!(!end.session.is_over_queue());
}

// Credit.

#[test]
fn senders_stop_at_the_window_and_go_on_when_it_opens() {
    let mut pair = Pair::open();
    let sent = (0..).take_while(|_| pair.client.send("x").is_ok()).count();
    assert_eq!(sent, 1024);
    assert_eq!(pair.client.deliver(1, at(60)), Err(Blocked::NoRoom));
    assert!(pair.client.call(2, at(60)).is_ok(), "calls need no credit");
    assert!(
        pair.client.session.ping(&[], 3, at(60)).is_ok(),
        "nor do pings"
    );
    pair.exchange();
    assert_eq!(pair.server.heard.len(), 1025);
    assert_eq!(pair.client.send("x"), Err(Blocked::NoRoom));
    // Half of the window is worth a frame, and one less is not.
    let handled: Vec<Incoming> = pair.server.waiting.drain(..511).collect();
    handled.iter().for_each(|one| pair.server.finish(one));
    pair.exchange();
    assert_eq!(pair.client.send("x"), Err(Blocked::NoRoom));
    let one = pair.server.waiting.remove(0);
    pair.server.finish(&one);
    pair.exchange();
    let sent = (0..).take_while(|_| pair.client.send("x").is_ok()).count();
    assert_eq!(sent, 512 + 1024, "what was used up to the end grows");
    pair.settle();
    assert!(pair.client.send("x").is_ok());
}

#[test]
fn bytes_are_counted_too_and_one_message_may_exceed_them() {
    let mut pair = Pair::open();
    let almost = "x".repeat((1 << 20) - 3);
    pair.server.send(&almost).expect("sent");
    pair.server.send(&almost).expect("one byte was left");
    assert_eq!(pair.server.send(""), Err(Blocked::NoRoom));
    pair.settle();
    assert_eq!(pair.client.heard.len(), 2);
    assert!(pair.server.send("").is_ok());
}

#[test]
fn both_windows_empty_do_not_hold_up_calls() {
    let mut pair = Pair::open();
    for (_, end) in pair.ends() {
        while end.send("x").is_ok() {}
        end.call(1, at(60)).expect("sent");
    }
    pair.exchange();
    // No handler of a message has returned; those of the calls do.
    for (name, end) in pair.ends() {
        let call = end.waiting.pop().expect("came last");
        assert!(matches!(call.reply, ReplyTo::Call(_)), "{name}");
        end.finish(&call);
    }
    pair.exchange();
    for (name, end) in pair.ends() {
        assert_eq!(end.outcomes[&1], ["answer 1"], "{name}");
    }
}

#[test]
fn a_message_that_exceeds_the_window_may_overtake_one_within_it() {
    let mut pair = Pair::open();
    for (_, end) in pair.ends() {
        end.send("small").expect("there is room");
        let urgent = RequestHead {
            urgent: true,
            ..head(NOTE)
        };
        let large = "x".repeat(1 << 20);
        let sent = end.session.send(&urgent, text(&large));
        assert_eq!(sent, Ok(()));
        assert_eq!(end.send("more"), Err(Blocked::NoRoom));
    }
    pair.exchange();
    for (name, end) in pair.ends() {
        assert_eq!(end.heard.len(), 2, "{name}");
        assert_eq!(end.heard[1], "small", "{name}: it was overtaken");
    }
}

#[test]
fn a_message_without_credit_is_a_fault() {
    let mut pair = Pair::open();
    while pair.client.send("x").is_ok() {}
    pair.exchange();
    // A sender that has lost count.
    pair.client.session.send_window = SendWindow::new(Credit::CONNECTION_START);
    pair.client.send("one too many").expect("it believes so");
    let up = pair.client.transmit();
    let fault = pair.server.receive(&up, at(0)).expect_err("no credit");
    assert_eq!(
        (fault.code, fault.rule.as_str()),
        (
            Code::ResourceExhausted,
            "a message beyond the credit that was granted"
        )
    );
}

// Time.

#[test]
fn deadlines_expire_and_late_answers_are_ignored() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3)).expect("sent");
    pair.client.deliver(2, at(4)).expect("sent");
    pair.client.session.ping(&[], 3, at(5)).expect("sent");
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no fault");
    assert_eq!(pair.client.session.poll_timeout(), at(3));
    pair.client.timeout(at(2)).expect("alive");
    assert!(pair.client.outcomes.is_empty());
    pair.client.timeout(at(4)).expect("alive");
    assert_eq!(pair.client.outcomes[&1], ["expired"]);
    assert_eq!(pair.client.outcomes[&2], ["expired"]);
    pair.client.timeout(at(5)).expect("alive");
    assert_eq!(pair.client.outcomes[&3], ["expired"]);
    assert_eq!(pair.client.session.open_exchanges(), 0);

    // Others take the places, and then the late answers come.
    pair.client.call(11, at(60)).expect("sent");
    pair.client.deliver(12, at(60)).expect("sent");
    pair.client.session.ping(b"13", 13, at(60)).expect("sent");
    pair.settle();
    for (token, outcome) in [(11, "answer 11"), (12, "answer "), (13, "answer 13")] {
        assert_eq!(pair.client.outcomes[&token], [outcome]);
    }
    for token in 1..4 {
        assert_eq!(pair.client.outcomes[&token], ["expired"], "once only");
    }
    assert_eq!(pair.client.session.ignored(), 3, "counted");
}

#[test]
fn an_exchange_that_was_given_up_frees_its_place() {
    let mut pair = Pair::open();
    for token in 0..100 {
        let slot = pair.client.call(token, at(60)).expect("there is room");
        pair.exchange();
        pair.client.session.forget(slot);
        pair.settle();
    }
    assert!(pair.client.outcomes.is_empty());
    assert_eq!(pair.server.told[1..], ["cancelled"; 100]);
}

#[test]
fn the_deadline_travels_where_it_has_to() {
    let mut pair = Pair::open();
    let hurried = RequestHead {
        deadline_ms: Some(250),
        ..head(REQUEST)
    };
    pair.client
        .session
        .call(&hurried, Shape::UNARY, 1, at(1), text(""))
        .expect("sent");
    pair.client.call(2, at(60)).expect("sent");
    pair.exchange();
    let timeouts: Vec<Option<Duration>> =
        pair.server.waiting.iter().map(|one| one.timeout).collect();
    assert_eq!(timeouts, [Some(Duration::from_millis(250)), None]);
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3600)).expect("sent");
    pair.client.transmit();
    assert_eq!(pair.client.session.poll_timeout(), at(10));
    pair.client.timeout(at(10)).expect("asked first");
    let ping = frames(&pair.client.transmit());
    assert_eq!(ping.len(), 1);
    assert_eq!(ping[0].header.frame_type, FrameType::Ping);
    assert_eq!(pair.client.session.poll_timeout(), at(20));
    assert_eq!(pair.client.timeout(at(20)), Err(TimedOut::Silence(at(20))));
    pair.client.lose();
    assert_eq!(pair.client.outcomes[&1], ["lost, sent"]);
}

#[test]
fn two_live_peers_stay_together_for_years() {
    let mut pair = Pair::open();
    let year = at(365 * 86_400);
    let mut steps = 0_u32;
    while pair.now < year {
        let next = pair
            .ends()
            .map(|(_, end)| end.session.poll_timeout())
            .into_iter()
            .min();
        let next = next.expect("there are two");
        assert!(next > pair.now, "it does not spin at {:?}", pair.now);
        // Steps of an hour keep the test short, and nobody dies of a clock that goes in steps.
        pair.now = next + at(3600);
        let now = pair.now;
        for (name, end) in pair.ends() {
            assert_eq!(end.timeout(now), Ok(()), "the {name} at {now:?}");
        }
        pair.exchange();
        steps += 1;
    }
    assert!(steps > 8000, "{steps} steps");
    for (name, end) in pair.ends() {
        assert_eq!(end.session.round_trip(), Some(Duration::ZERO), "{name}");
        assert_eq!(end.session.ignored(), 0, "{name}");
    }
}

#[test]
fn pings_beyond_those_that_wait_are_ignored() {
    let mut pair = Pair::open();
    for sequence in 0..100 {
        pair.client
            .session
            .ping(b"x", sequence, at(60))
            .expect("sent");
    }
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no flood yet");
    let pongs = frames(&pair.server.transmit());
    assert_eq!(pongs.len(), 16);
    assert_eq!(pair.server.session.ignored(), 84);
}

// Closing.

#[test]
fn a_close_lets_open_exchanges_finish_on_both_sides() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.client.deliver(2, at(60)).expect("sent");
    pair.server.call(3, at(60)).expect("sent");
    pair.exchange();
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    // Sent before it could know, and still taken.
    pair.client.send("under way").expect("sent");
    pair.client.call(4, at(60)).expect("sent");
    pair.client.deliver(5, at(60)).expect("sent");
    pair.exchange();
    assert_eq!(pair.client.told[1..], ["closing UNAVAILABLE: going away"]);
    let refused = "error UNAVAILABLE: closing: nothing new is accepted";
    assert_eq!(pair.client.outcomes[&4], [refused]);
    assert_eq!(pair.client.outcomes[&5], [refused]);
    for (name, end) in pair.ends() {
        assert_eq!(end.send("late"), Err(Blocked::Closing), "{name}");
        assert_eq!(end.call(6, at(60)), Err(Blocked::Closing), "{name}");
        assert_eq!(end.deliver(7, at(60)), Err(Blocked::Closing), "{name}");
        assert!(end.session.is_closing(), "{name}");
        assert!(!end.session.is_finished(), "{name}");
    }
    pair.settle();
    assert_eq!(pair.server.heard, ["1", "2", "under way"]);
    assert_eq!(pair.client.outcomes[&1], ["answer 1"]);
    assert_eq!(pair.client.outcomes[&2], ["answer "]);
    assert_eq!(pair.server.outcomes[&3], ["answer 3"]);
    for (name, end) in pair.ends() {
        assert!(end.session.is_finished(), "{name}");
    }
}

#[test]
fn both_may_close_at_once_and_each_says_so_once() {
    let mut pair = Pair::open();
    for (name, end) in pair.ends() {
        end.session.begin_close(Code::Cancelled, name, at(0));
        end.session.begin_close(Code::Cancelled, "again", at(1));
    }
    pair.exchange();
    assert_eq!(pair.client.told[1..], ["closing CANCELLED: server"]);
    assert_eq!(pair.server.told[1..], ["closing CANCELLED: client"]);
    for (name, end) in pair.ends() {
        assert!(end.session.is_finished(), "{name}");
    }
}

#[test]
fn a_drain_has_its_time() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3600)).expect("sent");
    pair.exchange();
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    pair.exchange();
    for seconds in [10, 20] {
        pair.now = at(seconds);
        for (name, end) in pair.ends() {
            assert_eq!(end.timeout(at(seconds)), Ok(()), "{name}");
        }
        pair.exchange();
    }
    for (name, end) in pair.ends() {
        assert_eq!(end.session.poll_timeout(), at(30), "{name}");
        assert_eq!(end.session.open_exchanges(), 1, "{name}");
        assert_eq!(end.timeout(at(30)), Err(TimedOut::Drain), "{name}");
        end.lose();
    }
    assert_eq!(pair.client.outcomes[&1], ["lost, sent"]);
}

#[test]
fn a_later_close_does_not_lengthen_the_drain() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3600)).expect("sent");
    pair.exchange();
    pair.client
        .session
        .begin_close(Code::Cancelled, "done", at(0));
    pair.exchange();
    pair.now = at(9);
    pair.server
        .session
        .begin_close(Code::Unavailable, "so do we", at(9));
    pair.exchange();
    for (name, end) in pair.ends() {
        for seconds in [10, 15] {
            end.session.received(at(seconds));
            assert_eq!(end.timeout(at(seconds)), Ok(()), "{name}");
        }
        end.session.received(at(29));
        assert_eq!(end.timeout(at(30)), Err(TimedOut::Drain), "{name}");
    }
}

// The end.

#[test]
fn a_loss_tells_sent_and_unsent_apart() {
    let mut pair = Pair::open();
    let end = &mut pair.client;
    end.call(1, at(60)).expect("sent");
    end.deliver(2, at(60)).expect("sent");
    end.transmit();
    end.call(3, at(60)).expect("queued");
    let cut = end.session.queued() - 64;
    end.call(4, at(60)).expect("queued");
    let chunk = end.session.poll_transmit().expect("two calls");
    let urgent = RequestHead {
        urgent: true,
        ..head(REQUEST)
    };
    end.session
        .call(&urgent, Shape::UNARY, 5, at(60), text("5"))
        .expect("queued");
    // The first of the two is all that was handed over.
    let lost = end.session.lost(Some((&chunk, cut)));
    let lost: BTreeMap<Token, bool> = lost.iter().map(|lost| (lost.token, lost.sent)).collect();
    let expected = [(1, true), (2, true), (3, true), (4, false), (5, false)];
    assert_eq!(lost, BTreeMap::from(expected));
    assert!(end.session.lost(None).is_empty(), "once only");
    assert_eq!(end.call(6, at(60)), Err(Blocked::Closing));
}

#[test]
fn one_byte_more_makes_a_call_sent() {
    for (written, sent) in [(0, false), (1, true)] {
        let mut pair = Pair::open();
        pair.client.call(1, at(60)).expect("queued");
        let chunk = pair.client.session.poll_transmit().expect("a call");
        let lost = pair.client.session.lost(Some((&chunk, written)));
        let lost: Vec<_> = lost.iter().map(|lost| (lost.token, lost.sent)).collect();
        assert_eq!(lost, [(1, sent)], "{written} bytes");
    }
}

#[test]
fn a_fault_is_told_to_both_sides_and_drops_the_rest() {
    let mut pair = Pair::open();
    pair.server.send("never written").expect("queued");
    pair.server.call(1, at(60)).expect("queued");
    let fault = Fault::new(MsgId::CONNECTION, "this is not done");
    pair.server.session.handle_fault(&fault);
    pair.exchange();
    assert!(pair.client.heard.is_empty());
    assert_eq!(
        pair.client.told[1..],
        [
            "blamed INVALID_ARGUMENT: this is not done",
            "closing INVALID_ARGUMENT: this is not done"
        ]
    );
    assert!(pair.server.session.is_finished());
    pair.server.lose();
    assert_eq!(pair.server.outcomes[&1], ["lost, unsent"]);
    // What comes after it is not looked at.
    pair.client.session.heard_close = false;
    pair.client.send("too late").expect("as if not heard");
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no second fault");
    assert!(pair.server.heard.is_empty());
}

#[test]
fn what_is_not_msip_is_told_once_and_a_mip_server_nothing() {
    for (kind, frame_count) in [
        (FaultKind::Rule, 2),
        (FaultKind::TooLarge { len: 9, max: 8 }, 2),
        (FaultKind::Foreign, 1),
        (FaultKind::MipPeer, 0),
    ] {
        let mut pair = Pair::open();
        let fault = Fault {
            kind,
            ..Fault::new(MsgId::CONNECTION, "no")
        };
        pair.client.session.handle_fault(&fault);
        let said = frames(&pair.client.transmit());
        assert_eq!(said.len(), frame_count, "{kind:?}");
    }
}

/// A small conversation with every shape of exchange in both directions, over a transport that breaks after so many
/// bytes each way. Returns how many bytes went each way.
fn converse(up_limit: usize, down_limit: usize) -> (usize, usize) {
    let name = format!("cut after {up_limit} bytes up, {down_limit} down");
    let mut pair = Pair::strangers();
    let mut opened = [0, 0];
    let (mut up_len, mut down_len) = (0, 0);
    for round in 0..12 {
        if round == 2 {
            pair.server
                .session
                .welcome(session_id(), &welcome(), 1 << 20);
        }
        for (index, (_, end)) in pair.ends().into_iter().enumerate() {
            let deadline = at(60);
            let count = &mut opened[index];
            // What is not sent, for it is too early or there is no room, is not an exchange.
            *count += usize::from(end.call(*count, deadline).is_ok());
            *count += usize::from(end.deliver(*count, deadline).is_ok());
            *count += usize::from(end.session.ping(b"?", *count, deadline).is_ok());
            // Whether there is room does not matter here.
            let _ = end.send("note");
            if round == 8 {
                end.session.begin_close(Code::Cancelled, "done", at(1));
            }
            end.handle();
        }
        let (up, down) = (pair.client.transmit(), pair.server.transmit());
        for (end, bytes, passed, limit) in [
            (&mut pair.server, up, &mut up_len, up_limit),
            (&mut pair.client, down, &mut down_len, down_limit),
        ] {
            let room = limit.saturating_sub(*passed).min(bytes.len());
            *passed += room;
            end.receive(&bytes[..room], at(1))
                .unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }
    for (index, (side, end)) in pair.ends().into_iter().enumerate() {
        end.lose();
        end.handle();
        assert_eq!(
            end.outcomes.len(),
            opened[index],
            "{name}: the {side} hears of each exchange"
        );
        for (token, outcomes) in &end.outcomes {
            assert_eq!(
                outcomes.len(),
                1,
                "{name}: exchange {token} of the {side}: {outcomes:?}"
            );
        }
        assert_eq!(end.session.open_exchanges(), 0, "{name}");
    }
    (up_len, down_len)
}

#[test]
fn a_conversation_may_be_cut_anywhere() {
    let (up, down) = converse(usize::MAX, usize::MAX);
    assert!(
        up > 1000 && down > 1000,
        "{up} bytes up and {down} down are more than a handshake"
    );
    for cut in 0..=up {
        converse(cut, usize::MAX);
    }
    for cut in 0..=down {
        converse(usize::MAX, cut);
    }
    for cut in (0..=up.max(down)).step_by(7) {
        converse(cut, cut);
    }
}

#[test]
fn any_chunking_makes_the_same_conversation() {
    let mut whole = Pair::open();
    let mut bytewise = Pair::open();
    for pair in [&mut whole, &mut bytewise] {
        for token in 0..4 {
            pair.client.call(token, at(60)).expect("sent");
            pair.client.send("between").expect("sent");
            pair.client.deliver(100 + token, at(60)).expect("sent");
        }
    }
    whole.settle();
    loop {
        let (up, down) = (bytewise.client.transmit(), bytewise.server.transmit());
        if up.is_empty() && down.is_empty() {
            break;
        }
        for byte in up {
            bytewise.server.receive(&[byte], at(0)).expect("no fault");
        }
        for byte in down {
            bytewise.client.receive(&[byte], at(0)).expect("no fault");
        }
        bytewise.server.handle();
    }
    assert_eq!(bytewise.server.heard, whole.server.heard);
    assert_eq!(bytewise.client.outcomes, whole.client.outcomes);
    assert_eq!(bytewise.client.outcomes.len(), 8);
}
