//! The senders of a side: random messages, calls and streams.

use std::time::Duration;

use super::{Asks, CALL, DELIVERY, NOTE, Node, STREAM, SUBSCRIBE, Waiter, datagrams::frame_len};
use crate::{
    MsgKind,
    session::{
        BareHead, Blocked, CallShape, RequestHead, Session, Slot, StateKey, SubscribeHead, Token,
        is_droppable,
        simulation::{
            random::Random,
            rules::{Rules, SentMessage, is_lossy},
            streams::shape_of,
        },
    },
    wire::{Side, Topic},
};

/// One thing in so many that the client sends is a SUBSCRIBE or an UNSUBSCRIBE.
const SUBSCRIBING: u64 = 10;

/// How many keys the states have.
const KEYS: u64 = 4;

impl Node {
    /// Sends a random message, where it is taken.
    pub(in crate::session::simulation) fn send_random(
        &mut self,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) {
        if self.side == Side::Connecting && random.once_in(SUBSCRIBING) {
            return self.subscribe(now, rules);
        }
        let message = RandomMessage::new(self.next_number, random);
        self.send(message, now, rules);
    }

    /// Sends readings, and other messages that may be lost.
    pub(in crate::session::simulation) fn send_readings(
        &mut self,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) {
        for _ in 0..random.below(60) {
            let reading = RandomMessage::reading(self.next_number, random);
            self.send(reading, now, rules);
        }
    }

    fn send(&mut self, message: RandomMessage, now: Duration, rules: &mut Rules) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let RandomMessage {
            number,
            variant,
            kind,
            ..
        } = message;
        if kind == MsgKind::Event {
            rules.may_drop_earlier(self.side, number);
        }
        let (token, deadline) = (Token::new(self.next_token), now + message.timeout);
        let max_datagram = (self.attached.as_ref()).map_or(0, |attached| attached.max_datagram);
        let by_datagram =
            variant == NOTE && is_lossy(kind) && frame_len(message.padding) <= max_datagram;
        let Ok(slot) = message.send(session, token, deadline) else {
            return;
        };
        self.next_number += 1;
        let connection = (self.generation, session.connection());
        let sent = SentMessage {
            variant,
            urgent: message.urgent,
            kind,
            key: message.key.map(|key| key << 16 | u64::from(variant)),
            connection,
            by_datagram,
        };
        rules.sent(self.side, number, sent);
        // A droppable delivery has a waiter too.
        if let Some(slot) = slot {
            self.next_token += 1;
            let waiter = Waiter {
                number,
                variant,
                slot,
            };
            self.waiters.insert(token, waiter);
            if variant == STREAM {
                self.streams.begin(token, number, slot);
            }
        }
    }

    /// Subscribes to a topic, whose name is the number of the request.
    fn subscribe(&mut self, now: Duration, rules: &mut Rules) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let (number, token) = (self.next_number, Token::new(self.next_token));
        let topic = Topic::new(number.to_string().into(), 255).unwrap_or_default();
        let head = SubscribeHead {
            is_unsubscribe: number.is_multiple_of(3),
            kind: MsgKind::State,
            topic: &topic,
            subscribe: None,
        };
        let deadline = now + Duration::from_secs(100_000);
        let Ok(slot) = session.subscribe(&head, token, deadline) else {
            return;
        };
        self.next_number += 1;
        self.next_token += 1;
        let sent = SentMessage {
            variant: SUBSCRIBE,
            urgent: false,
            kind: MsgKind::Command,
            key: None,
            by_datagram: false,
            connection: (self.generation, session.connection()),
        };
        rules.sent(self.side, number, sent);
        let waiter = Waiter {
            number,
            variant: SUBSCRIBE,
            slot,
        };
        self.waiters.insert(token, waiter);
    }

    /// Whether a handler waits for the peer.
    pub(in crate::session::simulation) fn is_asking(&self) -> bool {
        match self.asks {
            Some(Asks::Waits(token)) => self.waiters.contains_key(&token),
            Some(Asks::Soon) => true,
            None => false,
        }
    }

    /// Lets the handler send its request, where there is capacity.
    pub(super) fn ask(&mut self, now: Duration, rules: &mut Rules) {
        let (Some(Asks::Soon), Some(session)) = (self.asks, self.session.as_mut()) else {
            return;
        };
        let (number, token) = (self.next_number, Token::new(self.next_token));
        let head = RequestHead {
            variant: CALL,
            kind: MsgKind::Command,
            urgent: false,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
            topic: None,
            caller: 0,
        };
        let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&number.to_be_bytes());
        let deadline = now + Duration::from_secs(100_000);
        let Ok(slot) = session.call(&head, CallShape::UNARY, token, deadline, encode) else {
            return;
        };
        self.next_number += 1;
        self.next_token += 1;
        let (variant, connection) = (CALL, (self.generation, session.connection()));
        let sent = SentMessage {
            variant,
            urgent: false,
            kind: MsgKind::Command,
            key: None,
            connection,
            by_datagram: false,
        };
        rules.sent(self.side, number, sent);
        self.waiters.insert(
            token,
            Waiter {
                number,
                variant,
                slot,
            },
        );
        self.asks = Some(Asks::Waits(token));
    }

    /// Lets the streams of this side go on.
    pub(in crate::session::simulation) fn stream(
        &mut self,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        match self.session.as_mut() {
            Some(session) => self
                .streams
                .progress(self.side, session, now, random, rules),
            None => Ok(()),
        }
    }

    /// Sends droppable messages, except for the capacity that is left to so many others, and completes the waiters of dropped
    /// ones.
    pub(in crate::session::simulation) fn progress(
        &mut self,
        others: usize,
        rules: &mut Rules,
    ) -> Result<(), String> {
        if let Some(session) = self.session.as_mut() {
            session.send_droppable(others);
        }
        while let Some((token, outcome)) = self.session.as_mut().and_then(Session::poll_dropped) {
            self.complete(token, &outcome, rules)?;
        }
        Ok(())
    }

    /// Somebody waits no longer.
    pub(in crate::session::simulation) fn give_up(
        &mut self,
        random: &mut Random,
        rules: &mut Rules,
    ) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let among = random.below(self.waiters.len() as u64 + 1) as usize;
        let Some((token, waiter)) = self.waiters.iter().nth(among) else {
            return;
        };
        let (token, waiter) = (*token, *waiter);
        self.waiters.remove(&token);
        self.streams.forget(token);
        session.forget(waiter.slot);
        rules.given_up(self.side, waiter.number);
    }
}

/// A message of random properties.
#[derive(Debug)]
struct RandomMessage {
    number: u64,
    variant: u16,
    kind: MsgKind,
    urgent: bool,
    /// The key of a STATE.
    key: Option<u64>,
    /// How many bytes of the body follow its number.
    padding: usize,
    timeout: Duration,
}

impl RandomMessage {
    fn new(number: u64, random: &mut Random) -> Self {
        let urgent = random.once_in(4);
        let variant = [NOTE, DELIVERY, DELIVERY, CALL, STREAM][random.below(5) as usize];
        let kind = if matches!(variant, CALL | STREAM) {
            MsgKind::Command
        } else {
            let kinds = [MsgKind::Event, MsgKind::Event, MsgKind::State, MsgKind::Log];
            kinds[random.below(4) as usize]
        };
        Self {
            number,
            variant,
            kind,
            urgent,
            key: (kind == MsgKind::State).then(|| random.below(KEYS)),
            padding: if kind == MsgKind::Event && random.once_in(20) {
                3000
            } else {
                random.below(40) as usize
            },
            timeout: if random.once_in(20) {
                Duration::from_millis(random.below(4000))
            } else {
                Duration::from_secs(100_000)
            },
        }
    }

    /// A message that may be lost.
    fn reading(number: u64, random: &mut Random) -> Self {
        let is_log = random.once_in(3);
        Self {
            number,
            variant: NOTE,
            kind: if is_log {
                MsgKind::Log
            } else {
                MsgKind::Metric
            },
            urgent: random.once_in(8),
            key: None,
            padding: random.below(40) as usize,
            timeout: Duration::from_secs(100_000),
        }
    }

    /// Sends it as a driver does: on the fast path where there is one, and into the droppable queue where there is no
    /// capacity. Returns the slot of its waiter.
    fn send(
        &self,
        session: &mut Session,
        token: Token,
        deadline: Duration,
    ) -> Result<Option<Slot>, Blocked> {
        let &Self { variant, kind, .. } = self;
        let head = RequestHead::new(variant, kind, self.urgent);
        let encode = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(&self.number.to_be_bytes());
            buffer.resize(buffer.len() + self.padding, 7);
        };
        let bare = BareHead {
            variant,
            kind,
            topic: None,
        };
        let body_len = size_of_val(&self.number) + self.padding;
        let is_usual = !self.urgent && !is_droppable(kind);
        if variant == NOTE && is_usual && session.send_fast(&bare, body_len, encode) {
            return Ok(None);
        }
        if variant == CALL && is_usual {
            let slot = session.call_fast(&bare, token, deadline, body_len, encode);
            if slot.is_some() {
                return Ok(slot);
            }
        }
        let sent = match variant {
            NOTE => session.send(&head, encode).map(|()| None),
            DELIVERY => session.deliver(&head, token, deadline, encode).map(Some),
            _ => {
                let shape = if variant == CALL {
                    CallShape::UNARY
                } else {
                    shape_of(self.number)
                };
                let slot = session.call(&head, shape, token, deadline, encode);
                slot.map(Some)
            }
        };
        match sent {
            Err(Blocked::NoCapacity) if is_droppable(kind) => {
                let key = self.key.map(|key| StateKey {
                    variant,
                    key: vec![key as u8],
                });
                let waiter = (variant == DELIVERY).then_some((token, deadline));
                session.enqueue_droppable(&head, key, waiter, encode)
            }
            sent => sent,
        }
    }
}
