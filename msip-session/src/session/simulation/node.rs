//! One side: a session, what drives it, its handlers, and those who wait.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    super::{
        Agreed, Blocked, Event, InboundSlot, Incoming, Lost, Outcome, Reply, ReplyTo, RequestHead,
        Session, Shape, Slot, StateKey, TimedOut, Token, Transmit, goes_on, is_droppable,
    },
    random::Random,
    rules::{Rules, Spoken},
    streams::{Streams, shape_of},
};
use crate::{
    MsgKind,
    wire::{
        Code, Decoder, ErrorRef, Flags, FrameType, Header, Hello, MsgId, SECRET_LEN, SessionId,
        Side, Welcome,
    },
};

/// The member that each kind of exchange is.
pub(super) const NOTE: u16 = 1;
pub(super) const DELIVERY: u16 = 2;
pub(super) const CALL: u16 = 3;
pub(super) const STREAM: u16 = 4;

/// How many keys the states have.
const KEYS: u64 = 4;

/// What somebody waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) variant: u16,
    slot: Slot,
}

/// A message that has come, and by which session and connection.
#[derive(Debug)]
struct Queued {
    incoming: Incoming,
    generation: u64,
    connection: u64,
}

/// What a handler asks the other side before it goes on. Handlers of the server alone do: two that ask each other would
/// wait for each other.
#[derive(Debug, Clone, Copy)]
enum Asks {
    /// As soon as there is room.
    Soon,
    /// It has, and waits for the answer.
    Waits(Token),
}

/// One message in so many has a handler that asks.
const ASKING: u64 = 9;

/// A call whose handler runs.
#[derive(Debug)]
struct Running {
    slot: InboundSlot,
    number: u64,
    generation: u64,
    until: Duration,
}

/// A connection as this side sees it.
#[derive(Debug)]
pub(super) struct Attached {
    /// Which one of the simulation's.
    pub(super) index: usize,
    pub(super) decoder: Decoder,
    pub(super) writing: Option<(Transmit, usize)>,
}

impl Attached {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            decoder: Decoder::new(1 << 20),
            writing: None,
        }
    }
}

/// One side.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) side: Side,
    pub(super) session: Option<Session>,
    pub(super) id: Option<SessionId>,
    /// The session's other number, which the server chooses.
    peer_id: u64,
    pub(super) attached: Option<Attached>,
    /// A handshake that is under way.
    pub(super) shaking: Option<(Session, Attached)>,
    pub(super) generation: u64,
    pub(super) waiters: BTreeMap<Token, Waiter>,
    next_token: Token,
    next_number: u64,
    queue: VecDeque<Queued>,
    /// The message that is being handled, and until when.
    handling: Option<(Queued, Duration)>,
    running: Vec<Running>,
    streams: Streams,
    /// What the handler that runs asks the other side.
    asks: Option<Asks>,
    /// Calls that were cancelled before their handlers began.
    cancelled: Vec<InboundSlot>,
    /// It does not read before this.
    pub(super) reads_at: Duration,
    /// When the client tries again.
    pub(super) connects_at: Duration,
    /// How many LOG messages the session had dropped when its connection began.
    logs_before: u64,
}

impl Node {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            session: None,
            id: None,
            peer_id: 0,
            attached: None,
            shaking: None,
            generation: 0,
            waiters: BTreeMap::new(),
            next_token: 1,
            next_number: 1,
            queue: VecDeque::new(),
            handling: None,
            running: Vec::new(),
            streams: Streams::default(),
            asks: None,
            cancelled: Vec::new(),
            reads_at: Duration::ZERO,
            connects_at: Duration::ZERO,
            logs_before: 0,
        }
    }

    /// Sends something of a random kind, where it is taken.
    pub(super) fn say(&mut self, now: Duration, random: &mut Random, rules: &mut Rules) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let number = self.next_number;
        let urgent = random.once_in(4);
        let variant = [NOTE, DELIVERY, DELIVERY, CALL, STREAM][random.below(5) as usize];
        let kind = if matches!(variant, CALL | STREAM) {
            MsgKind::Command
        } else {
            let kinds = [MsgKind::Event, MsgKind::Event, MsgKind::State, MsgKind::Log];
            kinds[random.below(4) as usize]
        };
        let key = (kind == MsgKind::State).then(|| random.below(KEYS));
        let len = if kind == MsgKind::Event && random.once_in(20) {
            3000
        } else {
            random.below(40) as usize
        };
        let patience = if random.once_in(20) {
            Duration::from_millis(random.below(4000))
        } else {
            Duration::from_secs(100_000)
        };
        let head = RequestHead {
            variant,
            kind,
            urgent,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
            topic: None,
        };
        let encode = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(&number.to_be_bytes());
            buffer.resize(buffer.len() + len, 7);
        };
        let (token, deadline) = (self.next_token, now + patience);
        if kind == MsgKind::Event {
            rules.pushes(self.side, number);
        }
        let body_len = size_of_val(&number) + len;
        let is_usual = !urgent && !is_droppable(kind);
        let sent: Result<Slot, Blocked> = match variant {
            NOTE if is_usual && session.send_fast(variant, kind, body_len, encode) => Ok(0),
            NOTE => session.send(&head, encode).map(|()| 0),
            DELIVERY => session.deliver(&head, token, deadline, encode),
            CALL => match is_usual
                .then(|| session.call_fast(variant, kind, token, deadline, body_len, encode))
                .flatten()
            {
                Some(slot) => Ok(slot),
                None => session.call(&head, Shape::UNARY, token, deadline, encode),
            },
            _ => session.call(&head, shape_of(number), token, deadline, encode),
        };
        let sent = match sent {
            Err(Blocked::NoRoom) if is_droppable(kind) => {
                let key = key.map(|key| StateKey {
                    variant,
                    key: vec![key as u8],
                });
                let waiter = (variant == DELIVERY).then_some((token, deadline));
                let droppable = session.enqueue_droppable(&head, key, waiter, encode);
                droppable.map(|slot| slot.unwrap_or_default())
            }
            sent => sent,
        };
        let Ok(slot) = sent else {
            return;
        };
        self.next_number += 1;
        let connection = (self.generation, session.connection());
        let spoken = Spoken {
            variant,
            urgent,
            kind,
            key: key.map(|key| key << 16 | u64::from(variant)),
            connection,
        };
        rules.said(self.side, number, spoken);
        if variant != NOTE {
            self.next_token += 1;
            self.waiters.insert(
                token,
                Waiter {
                    number,
                    variant,
                    slot,
                },
            );
        }
        if variant == STREAM {
            self.streams.begin(token, number, slot);
        }
    }

    /// Whether a handler waits for the other side.
    pub(super) fn is_asking(&self) -> bool {
        match self.asks {
            Some(Asks::Waits(token)) => self.waiters.contains_key(&token),
            Some(Asks::Soon) => true,
            None => false,
        }
    }

    /// Lets the handler ask, where there is room.
    fn ask(&mut self, now: Duration, rules: &mut Rules) {
        let (Some(Asks::Soon), Some(session)) = (self.asks, self.session.as_mut()) else {
            return;
        };
        let (number, token) = (self.next_number, self.next_token);
        let head = RequestHead {
            variant: CALL,
            kind: MsgKind::Command,
            urgent: false,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
            topic: None,
        };
        let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&number.to_be_bytes());
        let deadline = now + Duration::from_secs(100_000);
        let Ok(slot) = session.call(&head, Shape::UNARY, token, deadline, encode) else {
            return;
        };
        self.next_number += 1;
        self.next_token += 1;
        let (variant, connection) = (CALL, (self.generation, session.connection()));
        let spoken = Spoken {
            variant,
            urgent: false,
            kind: MsgKind::Command,
            key: None,
            connection,
        };
        rules.said(self.side, number, spoken);
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
    pub(super) fn stream(
        &mut self,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        match self.session.as_mut() {
            Some(session) => self.streams.go_on(self.side, session, now, random, rules),
            None => Ok(()),
        }
    }

    /// Sends what waits for room, but for what is left to so many others, and tells those whose messages made room.
    pub(super) fn go_on(&mut self, others: usize, rules: &mut Rules) -> Result<(), String> {
        if let Some(session) = self.session.as_mut() {
            session.send_droppable(others);
        }
        while let Some((token, outcome)) = self.session.as_mut().and_then(Session::poll_dropped) {
            self.complete(token, &outcome, rules)?;
        }
        Ok(())
    }

    /// Which connection of which session is there, and how many LOG messages it has dropped.
    pub(super) fn connection(&self) -> Option<((u64, u64), u64)> {
        let session = self.session.as_ref()?;
        let dropped = session.dropped().logs - self.logs_before;
        Some(((self.generation, session.connection()), dropped))
    }

    /// Takes what an end of an exchange means.
    pub(super) fn complete(
        &mut self,
        token: Token,
        outcome: &Outcome,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some(waiter) = self.waiters.remove(&token) else {
            return Err(format!(
                "{:?}: a second outcome for {token}: {outcome:?}",
                self.side
            ));
        };
        rules.outcome(self.side, waiter, outcome)?;
        self.streams.complete(self.side, token, outcome, rules)
    }

    pub(super) fn lose(&mut self, lost: &[Lost], rules: &mut Rules) -> Result<(), String> {
        lost.iter().try_for_each(|lost| {
            self.complete(lost.token, &Outcome::Lost { sent: lost.sent }, rules)
        })
    }

    /// The session is over; what waited for it is told.
    pub(super) fn end_session(&mut self, rules: &mut Rules) -> Result<(), String> {
        let lost = match self.session.take() {
            Some(mut session) => session.lost(None),
            None => Vec::new(),
        };
        self.running.clear();
        self.cancelled.clear();
        self.streams.end_session();
        self.lose(&lost, rules)?;
        match self.waiters.first_key_value() {
            Some((token, waiter)) => Err(format!(
                "{:?}: the session is over, and {token} ({waiter:?}) was not told",
                self.side
            )),
            None => Ok(()),
        }
    }

    /// The process dies, and all that it knew.
    pub(super) fn crash(&mut self) {
        self.session = None;
        self.id = None;
        self.shaking = None;
        self.waiters.clear();
        self.queue.clear();
        self.handling = None;
        self.running.clear();
        self.streams.clear();
        self.asks = None;
        self.cancelled.clear();
        // Pings have tokens too, in a driver; here nobody sends any.
    }

    /// The connection is lost, as this side sees it.
    pub(super) fn detach(&mut self, rules: &mut Rules) -> Result<(), String> {
        let Some(attached) = self.attached.take() else {
            return Ok(());
        };
        let Some(session) = self.session.as_mut() else {
            return Ok(());
        };
        if !session.is_resumable() {
            return Err(format!("{:?}: not resumable", self.side));
        }
        let in_flight = attached
            .writing
            .as_ref()
            .map(|(chunk, written)| (chunk, *written));
        let suspended = session.suspend(in_flight);
        self.logs_before = session.dropped().logs;
        self.cancel(&suspended.cancelled);
        self.lose(&suspended.lost, rules)
    }

    /// Somebody waits no longer.
    pub(super) fn give_up(&mut self, random: &mut Random, rules: &mut Rules) {
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

    /// Calls of the other side are dropped.
    fn cancel(&mut self, slots: &[InboundSlot]) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let generation = self.generation;
        for slot in slots {
            let is_it =
                |running: &Running| running.slot == *slot && running.generation == generation;
            if self.streams.cancel(*slot) == Some(true) || self.running.iter().any(is_it) {
                self.running.retain(|running| !is_it(running));
                let status = ErrorRef {
                    code: Code::Internal,
                    message: "dropped",
                };
                session.reply(*slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
            } else {
                self.cancelled.push(*slot);
            }
        }
    }

    /// Hands what has been read to the session.
    pub(super) fn handle_read(
        &mut self,
        bytes: &[u8],
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some(attached) = self.attached.as_mut() else {
            return Ok(());
        };
        attached.decoder.buffer().extend_from_slice(bytes);
        self.handle_decoded(now, rules)
    }

    /// Hands all whole frames to the session.
    pub(super) fn handle_decoded(
        &mut self,
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        loop {
            let (Some(session), Some(attached)) = (self.session.as_mut(), self.attached.as_mut())
            else {
                return Ok(());
            };
            session.received(now);
            let before = (session.ignored(), session.send_window.items());
            let Some(frame) = attached
                .decoder
                .decode()
                .map_err(|error| error.to_string())?
            else {
                return Ok(());
            };
            let may_be_late = is_part(&frame.header);
            let event = session
                .handle_any(frame, now)
                .map_err(|fault| format!("{:?} finds a fault: {fault}", self.side))?;
            // What belongs to nothing is counted, and brings nobody credit.
            let is_for_one = may_be_late && event.is_none();
            if is_for_one
                && (session.ignored(), session.send_window.items()) != (before.0 + 1, before.1)
            {
                return Err(format!("{:?}: a late frame, and not counted", self.side));
            }
            match event {
                None | Some(Event::Room | Event::StreamCredit(_)) => {}
                Some(Event::Item { token, item }) => {
                    self.streams.answer(self.side, token, &item, rules)?;
                }
                Some(Event::RequestItem {
                    slot,
                    item,
                    is_last,
                }) => {
                    let item = item.as_ref();
                    self.streams
                        .request(self.side, slot, item, is_last, rules)?;
                }
                Some(Event::Cancelled(slot)) => self.cancel(&[slot]),
                Some(Event::Answered { token, outcome }) => {
                    self.complete(token, &outcome, rules)?;
                }
                Some(Event::Incoming(incoming)) => {
                    let connection = session.connection();
                    if let ReplyTo::Call(slot) = incoming.reply
                        && incoming.variant == STREAM
                    {
                        let number = number_of(&incoming);
                        self.streams.incoming(slot, number, &incoming);
                    }
                    self.queue.push_back(Queued {
                        incoming,
                        generation: self.generation,
                        connection,
                    });
                }
                Some(event) => return Err(format!("{:?} hears {event:?}", self.side)),
            }
        }
    }

    /// Does what is due by the clock. Says whether the connection counts as dead.
    pub(super) fn handle_time(&mut self, now: Duration, rules: &mut Rules) -> Result<bool, String> {
        let Some(session) = self.session.as_mut() else {
            return Ok(false);
        };
        if session.poll_timeout() > now {
            return Ok(false);
        }
        let mut expired = Vec::new();
        let due = session.handle_timeout(now, &mut expired);
        for token in expired {
            self.complete(token, &Outcome::Expired, rules)?;
        }
        match due {
            Ok(()) => Ok(false),
            Err(TimedOut::Silence(_)) => Ok(true),
            Err(timed_out) => Err(format!("{:?}: {timed_out:?}", self.side)),
        }
    }

    /// Lets the handlers go on: one-way messages one after the other, calls side by side.
    pub(super) fn handle_messages(
        &mut self,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        loop {
            if let Some((queued, until)) = self.handling.take() {
                self.ask(now, rules);
                if now < until || self.is_asking() {
                    self.handling = Some((queued, until));
                    break;
                }
                self.asks = None;
                self.handled(&queued, rules);
            }
            let Some(queued) = self.queue.pop_front() else {
                break;
            };
            let number = number_of(&queued.incoming);
            match queued.incoming.reply {
                ReplyTo::Call(slot) => {
                    if queued.generation != self.generation || self.session.is_none() {
                        continue;
                    }
                    if let Some(place) = self.cancelled.iter().position(|it| *it == slot) {
                        self.cancelled.remove(place);
                        if let Some(session) = self.session.as_mut() {
                            let status = ErrorRef {
                                code: Code::Internal,
                                message: "dropped",
                            };
                            session.reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
                        }
                        continue;
                    }
                    rules.handling(self.side, number)?;
                    if queued.incoming.variant == STREAM {
                        if let Some(session) = self.session.as_mut() {
                            self.streams.serve(slot, session);
                        }
                        continue;
                    }
                    let time = if random.once_in(2) {
                        0
                    } else {
                        random.below(3000)
                    };
                    self.running.push(Running {
                        slot,
                        number,
                        generation: queued.generation,
                        until: now + Duration::from_millis(time),
                    });
                }
                ReplyTo::Nobody | ReplyTo::Delivery { .. } => {
                    rules.handling(self.side, number)?;
                    let time = if random.once_in(3) {
                        random.below(300)
                    } else {
                        0
                    };
                    if self.side == Side::Accepting && number.is_multiple_of(ASKING) {
                        self.asks = Some(Asks::Soon);
                    }
                    self.handling = Some((queued, now + Duration::from_millis(time)));
                }
            }
        }
        self.reply(now, rules);
        Ok(())
    }

    /// A one-way message has been handled.
    fn handled(&mut self, queued: &Queued, rules: &mut Rules) {
        let number = number_of(&queued.incoming);
        rules.handled(self.side, number);
        let Some(session) = self
            .session
            .as_mut()
            .filter(|_| queued.generation == self.generation)
        else {
            return;
        };
        if let ReplyTo::Delivery { id, urgent } = queued.incoming.reply {
            let failure = ErrorRef {
                code: Code::NotFound,
                message: "not this one",
            };
            let outcome = if fails(number) { Err(failure) } else { Ok(()) };
            session.acknowledge(id, urgent, outcome);
        }
        let handled = crate::wire::Credit {
            items: 1,
            bytes: queued.incoming.payload_len,
        };
        session.consumed(handled, queued.connection);
    }

    /// Answers the calls whose handlers have ended.
    fn reply(&mut self, now: Duration, rules: &mut Rules) {
        let (done, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| running.until <= now);
        self.running = running;
        for Running {
            slot,
            number,
            generation,
            ..
        } in done
        {
            rules.handled(self.side, number);
            let Some(session) = self
                .session
                .as_mut()
                .filter(|_| generation == self.generation)
            else {
                continue;
            };
            if fails(number) {
                let status = ErrorRef {
                    code: Code::NotFound,
                    message: "not this one",
                };
                session.reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
            } else {
                let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&number.to_be_bytes());
                session.reply(
                    slot,
                    Reply::Message {
                        variant: CALL,
                        len: 8,
                        compressed: false,
                        time_us: None,
                        encode,
                    },
                );
            }
        }
    }

    /// Whether nothing is left to do.
    pub(super) fn is_settled(&self) -> bool {
        self.waiters.is_empty()
            && self.queue.is_empty()
            && self.handling.is_none()
            && self.running.is_empty()
            && self.streams.is_empty()
            && self.session.as_ref().is_some_and(|session| {
                session.is_open() && !session.has_transmit() && !session.is_waiting()
            })
            && self
                .attached
                .as_ref()
                .is_some_and(|attached| attached.writing.is_none())
    }

    /// The client's HELLO: it resumes its session, or begins another.
    pub(super) fn begin_handshake(
        &mut self,
        config: super::super::Config,
        index: usize,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let mut lost = Vec::new();
        let hello = |awaited| Hello {
            protocol: "sim".to_owned(),
            session_secret: vec![7; SECRET_LEN],
            awaited,
            ..Hello::default()
        };
        let shaking = match (self.session.as_mut(), self.id) {
            (Some(session), Some(id)) => {
                let hello = hello(session.awaited(&mut lost));
                session.shake_hands_again(id, &hello, now)
            }
            _ => {
                let id = SessionId::new(random.next() | 1).ok_or("no id")?;
                self.id = Some(id);
                Session::connecting(config, id, &hello(Vec::new()), now)
            }
        };
        self.lose(&lost, rules)?;
        self.shaking = Some((shaking, Attached::new(index)));
        Ok(())
    }

    /// The client has its answer.
    pub(super) fn welcomed(
        &mut self,
        welcome: &Welcome,
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some((mut shaken, attached)) = self.shaking.take() else {
            return Ok(());
        };
        let agreed = Agreed {
            peer_max_body: welcome.max_body,
            max_calls: welcome.max_open_calls,
            awaited: &welcome.awaited,
        };
        let is_same = goes_on(welcome, self.peer_id);
        if let Some(session) = self.session.as_mut().filter(|_| is_same) {
            let cancelled = session.resume(&agreed, now);
            self.cancel(&cancelled);
        } else {
            self.end_session(rules)?;
            self.peer_id = welcome.peer_id;
            shaken.keep_when_lost();
            if welcome.resumed {
                let _ = shaken.resume(&agreed, now);
            }
            self.session = Some(shaken);
            self.logs_before = 0;
            self.generation += 1;
        }
        self.attached = Some(attached);
        self.handle_decoded(now, rules)
    }

    /// The server has a HELLO, and answers it.
    pub(super) fn greeted(
        &mut self,
        id: SessionId,
        hello: &Hello,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some((mut shaken, attached)) = self.shaking.take() else {
            return Ok(());
        };
        let hello_id: MsgId = shaken.deciding().ok_or("no HELLO")?;
        let welcome = Welcome {
            codec: 1,
            max_open_calls: super::MAX_CALLS,
            session_expiry_ms: 300_000,
            ..Welcome::default()
        };
        if self.id == Some(id) && self.session.is_some() {
            self.detach(rules)?;
            let mut lost = Vec::new();
            let awaited = self
                .session
                .as_mut()
                .map(|session| session.awaited(&mut lost))
                .unwrap_or_default();
            self.lose(&lost, rules)?;
            if let Some(session) = self.session.as_mut() {
                let cancelled = session.welcome_back(
                    hello_id,
                    id,
                    &Welcome {
                        resumed: true,
                        peer_id: self.peer_id,
                        awaited,
                        ..welcome
                    },
                    &Agreed {
                        peer_max_body: 0,
                        max_calls: super::MAX_CALLS,
                        awaited: &hello.awaited,
                    },
                    now,
                );
                self.cancel(&cancelled);
            }
        } else {
            self.attached = None;
            self.end_session(rules)?;
            self.peer_id = random.next();
            shaken.welcome(
                id,
                &Welcome {
                    peer_id: self.peer_id,
                    ..welcome
                },
                0,
            );
            shaken.keep_when_lost();
            self.session = Some(shaken);
            self.logs_before = 0;
            self.id = Some(id);
            self.generation += 1;
        }
        self.attached = Some(attached);
        self.handle_decoded(now, rules)
    }
}

/// Which messages their handlers fail.
pub(super) fn fails(number: u64) -> bool {
    number % 7 == 3
}

fn number_of(incoming: &Incoming) -> u64 {
    incoming
        .body
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Whether a frame is a later part of an exchange: it may come when that has ended.
fn is_part(header: &Header) -> bool {
    match header.frame_type {
        FrameType::Publish | FrameType::Event => header.flags.contains(Flags::ITEM),
        FrameType::Ack | FrameType::Error | FrameType::Cancel => true,
        FrameType::Credit => !header.msg_id.is_connection(),
        _ => false,
    }
}
