//! A client's connection, its driver and its peer, all under `shuttle`.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use msip_session::{
    CallShape, Event, InboundSlot, Outcome, Reply, ReplyTo, RequestHead, Session, Slot, Token,
    wire::{Code, Credit, Decoder, ErrorRef, Hello, SECRET_LEN, SessionId, Side, Welcome},
};
use shuttle::{future::block_on, thread};

use crate::{
    BodyError, Envelope, MsgKind, Variant,
    body::{Body, Encoding, decode_member, encode_member, member_len},
    connection::{CallToAnswer, ConnectionShared, DriverStep},
    settings::Settings,
    sync::{Mutex, MutexGuard, lock},
};

/// What both ends say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    Note(u32),
    /// Answered with the same.
    Ask(u32),
}

pub(super) const fn note(number: u32) -> Say {
    Say::Note(number)
}

/// The number of a call that the peer answers on request.
pub(super) const HELD: u32 = 1_000_000;

const ASK: u16 = 2;

impl Envelope for Say {
    const VARIANTS: &'static [Variant] = &[
        Variant::new(1, "note", MsgKind::Event),
        Variant::new(ASK, "ask", MsgKind::Command).call(ASK),
    ];

    fn index(&self) -> usize {
        usize::from(matches!(self, Self::Ask(_)))
    }

    fn encoded_len(&self) -> usize {
        let (tag, number) = self.member();
        member_len(tag, &number)
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        let (tag, number) = self.member();
        encode_member(tag, &number, buffer);
    }

    fn decode(variant: u16, body: Body<'_>) -> Result<Self, BodyError> {
        let number = decode_member(variant, body)?;
        Ok(match variant {
            ASK => Self::Ask(number),
            _ => Self::Note(number),
        })
    }
}

impl Say {
    fn member(self) -> (u16, u32) {
        match self {
            Self::Note(number) => (1, number),
            Self::Ask(number) => (ASK, number),
        }
    }
}

/// The far end, whose handlers answer at once.
#[derive(Debug)]
pub(super) struct Peer {
    session: Session,
    decoder: Decoder,
    max_calls: u32,
    /// What it has written, until it is read.
    output: Vec<u8>,
    is_cut: bool,
    /// The calls that it is to answer later.
    held: Vec<InboundSlot>,
    pub(super) notes: Vec<u32>,
    /// How its own calls have ended.
    pub(super) outcomes: Vec<(Token, Outcome)>,
    /// How many of its calls that were relayed have ended where they went.
    pub(super) relays_ended: usize,
    /// The driver, which waits for output.
    driver: Option<Waker>,
    /// A test that waits for something to arrive.
    observer: Option<Waker>,
}

impl Peer {
    pub(super) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.decoder.buffer().extend_from_slice(bytes);
        while let Some(frame) = self.decoder.decode().unwrap() {
            match self.session.handle_frame(frame, Duration::ZERO).unwrap() {
                Some(Event::Hello(hello)) => {
                    let welcome = Welcome {
                        max_body: 1000,
                        max_open_calls: self.max_calls,
                        ..Welcome::default()
                    };
                    let id = SessionId::new(1).unwrap();
                    self.session.welcome(id, &welcome, hello.hello.max_body);
                }
                Some(Event::Incoming(incoming)) => {
                    let said = Say::decode(incoming.variant, Body::from(&incoming.body)).unwrap();
                    match (said, incoming.reply) {
                        (Say::Ask(HELD), ReplyTo::Call(slot)) => self.held.push(slot),
                        (said, ReplyTo::Call(slot)) => self.answer(slot, said),
                        (Say::Note(number), _) => {
                            self.notes.push(number);
                            let handled = Credit {
                                items: 1,
                                bytes: incoming.payload_len,
                            };
                            let connection = self.session.connection();
                            self.session.consumed(handled, connection);
                        }
                        other => panic!("{other:?}"),
                    }
                }
                Some(Event::Cancelled(slot)) => {
                    self.held.retain(|held| *held != slot);
                    let cancelled = ErrorRef::new(Code::Cancelled, "nobody waits");
                    self.session
                        .reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(cancelled));
                }
                Some(Event::Answered { token, outcome }) => self.outcomes.push((token, outcome)),
                Some(Event::Closing(_) | Event::Capacity | Event::GivenUpEnded(_)) | None => {}
                other => panic!("{other:?}"),
            }
        }
        self.write();
    }

    fn answer(&mut self, slot: InboundSlot, said: Say) {
        let reply = Reply::Message {
            variant: ASK,
            len: said.encoded_len(),
            compressed: false,
            metadata: None,
            encode: |buffer: &mut Vec<u8>| said.encode(buffer),
        };
        self.session.reply(slot, reply);
    }

    fn write(&mut self) {
        while let Some(transmit) = self.session.poll_transmit() {
            self.output.extend_from_slice(&transmit.bytes);
            self.session.transmitted(transmit);
        }
    }

    /// Whom to wake for what has changed.
    fn changed(&mut self) -> [Option<Waker>; 2] {
        [self.driver.take(), self.observer.take()]
    }
}

/// What makes the driver look at the clock.
#[derive(Debug, Default)]
struct Timer {
    at: Duration,
    driver: Option<Waker>,
}

/// The calls of the peer.
#[derive(Debug, Default)]
struct Asked {
    calls: VecDeque<CallToAnswer>,
    observer: Option<Waker>,
}

/// Both ends, and what is between them.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) client: Arc<ConnectionShared>,
    peer: Mutex<Peer>,
    timer: Mutex<Timer>,
    asked: Mutex<Asked>,
    driver: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Network {
    pub(super) fn start() -> Arc<Self> {
        Self::with_max_calls(1000)
    }

    /// Shakes hands, and starts the client's driver. The peer accepts so many open calls.
    pub(super) fn with_max_calls(max_calls: u32) -> Arc<Self> {
        let mut settings = Settings::default();
        // The only times are those of the test.
        settings.ping_interval = Duration::from_secs(100_000);
        let config = |side| {
            let mut config = settings.session(side);
            config.window = Credit {
                items: 4,
                bytes: 1000,
            };
            config
        };
        let client = Arc::new(ConnectionShared::new(&settings));
        let mut peer = Peer {
            session: Session::accepting(config(Side::Accepting), Duration::ZERO),
            decoder: Decoder::new(1000),
            max_calls,
            output: Vec::new(),
            is_cut: false,
            held: Vec::new(),
            notes: Vec::new(),
            outcomes: Vec::new(),
            relays_ended: 0,
            driver: None,
            observer: None,
        };
        let hello = Hello {
            protocol: "test.v1".to_owned(),
            session_secret: vec![0; SECRET_LEN],
            max_body: 1000,
            ..Hello::default()
        };
        let id = SessionId::new(1).unwrap();
        let mut session = Session::connecting(config(Side::Connecting), id, &hello, Duration::ZERO);
        while let Some(transmit) = session.poll_transmit() {
            peer.receive(&transmit.bytes);
            session.transmitted(transmit);
        }
        let mut decoder = Decoder::new(1000);
        decoder.buffer().extend_from_slice(&peer.output);
        peer.output.clear();
        let frame = decoder.decode().unwrap().unwrap();
        let event = session.handle_frame(frame, Duration::ZERO).unwrap();
        assert!(matches!(event, Some(Event::Welcome(_))), "{event:?}");
        client.attach(session, Encoding::default());
        let network = Arc::new(Self {
            client,
            peer: Mutex::new(peer),
            timer: Mutex::default(),
            asked: Mutex::default(),
            driver: Mutex::new(None),
        });
        let driven = Arc::clone(&network);
        let driver = thread::spawn(move || {
            block_on(std::future::poll_fn(|task| {
                driven.poll_driver(&mut decoder, task)
            }));
        });
        *lock(&network.driver) = Some(driver);
        network
    }

    pub(super) fn peer(&self) -> MutexGuard<'_, Peer> {
        lock(&self.peer)
    }

    /// The driver: what it asks of the connection, and in which order, is as in the real one; the transport is the peer itself.
    fn poll_driver(&self, decoder: &mut Decoder, task: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut is_busy = false;
            self.client.lock().driver_awakes(task.waker());
            let (output, is_cut) = {
                let mut peer = self.peer();
                peer.driver = Some(task.waker().clone());
                (std::mem::take(&mut peer.output), peer.is_cut)
            };
            if !output.is_empty() {
                is_busy = true;
                self.read(decoder, &output);
            }
            if is_cut {
                self.client.lose_session();
                return Poll::Ready(());
            }
            loop {
                let Some(transmit) = self.client.lock().poll_transmit() else {
                    break;
                };
                is_busy = true;
                self.at_peer(|peer| peer.receive(&transmit.bytes));
                let now = self.client.now();
                self.client.lock().transmitted(transmit, now);
            }
            self.client.lock().driver_has_run();
            if is_busy {
                continue;
            }
            let now = self.client.now();
            let mut state = self.client.lock();
            if state.report_dropped() {
                continue;
            }
            match state.try_sleep(now, false) {
                DriverStep::Finished => return Poll::Ready(()),
                DriverStep::Write => {}
                DriverStep::Expire => state.expire(now).unwrap(),
                DriverStep::Sleep { until } => {
                    drop(state);
                    let mut timer = lock(&self.timer);
                    timer.at = until;
                    timer.driver = Some(task.waker().clone());
                    drop(timer);
                    self.client.lock().driver_has_run();
                    if self.client.now() < until {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Passes what was received to the session, each frame under a lock of its own.
    fn read(&self, decoder: &mut Decoder, bytes: &[u8]) {
        decoder.buffer().extend_from_slice(bytes);
        while let Some(frame) = decoder.decode().unwrap() {
            let mut state = self.client.lock();
            let Some(session) = state.session() else {
                return;
            };
            let event = session.handle_frame(frame, Duration::ZERO).unwrap();
            let has_freed_capacity = match event {
                Some(Event::Answered { token, outcome }) => {
                    state.complete(token, outcome);
                    true
                }
                Some(Event::GivenUpEnded(slot)) => {
                    state.given_up_ended(slot);
                    true
                }
                Some(Event::Capacity | Event::Closing(_)) => true,
                Some(Event::Incoming(incoming)) => {
                    let ReplyTo::Call(slot) = incoming.reply else {
                        panic!("{incoming:?}");
                    };
                    let call = CallToAnswer {
                        slot,
                        generation: state.generation,
                        id: incoming.id,
                    };
                    drop(state);
                    self.was_asked(call);
                    continue;
                }
                Some(Event::Cancelled(slot)) => {
                    state.cancel(slot);
                    false
                }
                None => false,
                other => panic!("{other:?}"),
            };
            if has_freed_capacity && state.is_capacity_awaited() {
                state.capacity_freed();
            }
        }
    }

    fn was_asked(&self, call: CallToAnswer) {
        let mut asked = lock(&self.asked);
        asked.calls.push_back(call);
        let observer = asked.observer.take();
        drop(asked);
        observer.into_iter().for_each(Waker::wake);
    }

    /// The next call of the peer, when it is there.
    pub(super) fn next_call(&self) -> CallToAnswer {
        block_on(std::future::poll_fn(|task| {
            let mut asked = lock(&self.asked);
            if let Some(call) = asked.calls.pop_front() {
                return Poll::Ready(call);
            }
            asked.observer = Some(task.waker().clone());
            Poll::Pending
        }))
    }

    /// The peer makes a call.
    pub(super) fn peer_asks(&self, token: Token, said: Say) -> Slot {
        self.at_peer(|peer| {
            let head = RequestHead {
                variant: ASK,
                kind: MsgKind::Command,
                urgent: false,
                compressed: false,
                deadline_ms: None,
                metadata: &[],
                topic: None,
                caller: 0,
            };
            let encode = |buffer: &mut Vec<u8>| said.encode(buffer);
            let session = &mut peer.session;
            session
                .call(&head, CallShape::UNARY, token, Duration::MAX, encode)
                .unwrap()
        })
    }

    /// The peer gives its call up.
    pub(super) fn peer_gives_up(&self, slot: Slot) {
        self.at_peer(|peer| peer.session.forget(slot));
    }

    /// A call of the peer that was relayed has ended where it went.
    pub(super) fn relay_ended(&self) {
        self.at_peer(|peer| peer.relays_ended += 1);
    }

    /// Does something at the peer, and wakes the tasks that wait for it.
    fn at_peer<T>(&self, action: impl FnOnce(&mut Peer) -> T) -> T {
        let mut peer = self.peer();
        let result = action(&mut peer);
        peer.write();
        let wakers = peer.changed();
        drop(peer);
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    /// Waits until this is so of the peer.
    pub(super) fn wait_until(&self, is_so: impl Fn(&Peer) -> bool) {
        block_on(std::future::poll_fn(|task| {
            let mut peer = self.peer();
            if is_so(&peer) {
                return Poll::Ready(());
            }
            peer.observer = Some(task.waker().clone());
            Poll::Pending
        }));
    }

    /// The peer answers the calls that it held back.
    pub(super) fn answer_held(&self) {
        self.at_peer(|peer| {
            for slot in std::mem::take(&mut peer.held) {
                peer.answer(slot, Say::Ask(HELD));
            }
        });
    }

    /// The transport breaks.
    pub(super) fn cut(&self) {
        self.at_peer(|peer| peer.is_cut = true);
    }

    /// Time passes.
    pub(super) fn advance(&self, by: Duration) {
        self.client.clock.advance(by);
        let driver = {
            let mut timer = lock(&self.timer);
            let is_due = timer.at <= self.client.now();
            is_due.then(|| timer.driver.take()).flatten()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// No exchange is open, and no caller waits for one.
    pub(super) fn assert_idle(&self) {
        let state = self.client.lock();
        assert_eq!(state.open_exchanges(), 0);
        assert!(!state.is_capacity_awaited());
        assert!(!self.client.has_returning(&state));
    }

    /// Ends the driver.
    pub(super) fn stop(&self) {
        self.cut();
        let driver = lock(&self.driver).take();
        driver.unwrap().join().unwrap();
    }
}
