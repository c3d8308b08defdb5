//! A node: one side's session, driver, handlers and senders.

mod datagrams;
mod handlers;
mod handshake;
mod senders;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    super::{
        Config, InboundSlot, Incoming, Lost, Outcome, Session, Slot, SubscribeReply, TimedOut,
        Token, Transmit, fault_injection::FaultInjection,
    },
    rules::Rules,
    streams::Streams,
};
use crate::wire::{Decoder, MsgId, SessionId, Side};

/// Requests that could wait are read all the same after so long without a byte written.
const READ_ON_AFTER: Duration = Duration::from_secs(1);

/// The member that each kind of exchange is.
pub(super) const NOTE: u16 = 1;
pub(super) const DELIVERY: u16 = 2;
pub(super) const CALL: u16 = 3;
pub(super) const STREAM: u16 = 4;
pub(super) const SUBSCRIBE: u16 = 5;

/// The longest answer, in bytes.
pub(super) const LONG_ANSWER: usize = 6000;

/// A sender that waits for an outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) variant: u16,
    slot: Slot,
}

/// A received message, and its session and connection.
#[derive(Debug)]
struct Queued {
    incoming: Incoming,
    generation: u64,
    connection: u64,
    by_datagram: bool,
}

/// A request of a handler to the peer. Only handlers of the server ask: two that ask each other would deadlock.
#[derive(Debug, Clone, Copy)]
enum Asks {
    /// To be sent as soon as there is capacity.
    Soon,
    /// Sent; the handler waits for the answer.
    Waits(Token),
}

/// A call whose handler runs.
#[derive(Debug)]
struct Running {
    slot: InboundSlot,
    number: u64,
    generation: u64,
    until: Duration,
}

/// A SUBSCRIBE that was received, and is not answered.
#[derive(Debug)]
struct Subscribing {
    reply: SubscribeReply,
    number: u64,
    generation: u64,
}

/// A connection that this side has.
#[derive(Debug)]
pub(super) struct Attached {
    /// Which one of the simulation's.
    pub(super) index: usize,
    pub(super) decoder: Decoder,
    pub(super) writing: Option<(Transmit, usize)>,
    /// The longest datagram that the session knows the lane to take.
    max_datagram: usize,
    /// Since when not a byte could be written.
    pub(super) stalled_since: Option<Duration>,
    /// It reads although the peer's requests could wait: nothing was written for long.
    reads_on: bool,
}

impl Attached {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            decoder: Decoder::new(1 << 20),
            writing: None,
            max_datagram: 0,
            stalled_since: None,
            reads_on: false,
        }
    }

    /// For how long not a byte could be written.
    fn stalled_for(&self, now: Duration) -> Duration {
        let since = self.stalled_since.unwrap_or(now);
        now.saturating_sub(since)
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
    pub(super) handshake: Option<(Session, Attached)>,
    pub(super) generation: u64,
    pub(super) waiters: BTreeMap<Token, Waiter>,
    next_token: usize,
    next_number: u64,
    queue: VecDeque<Queued>,
    /// The message that is being handled, and until when.
    handling: Option<(Queued, Duration)>,
    running: Vec<Running>,
    subscribing: Vec<Subscribing>,
    streams: Streams,
    /// What the running handler asks the peer.
    asks: Option<Asks>,
    /// Calls that were cancelled before their handlers began.
    cancelled: Vec<InboundSlot>,
    /// It does not read before this.
    pub(super) reads_at: Duration,
    /// When the client tries again.
    pub(super) connects_at: Duration,
    /// How many LOG and METRIC messages the session had dropped when its connection began.
    lossy_before: u64,
    /// The windows of which credit is withheld that the peer waits for: by their streams, how often they were granted
    /// something before, and since when.
    pub(super) withheld: BTreeMap<(Option<MsgId>, u32), Duration>,
}

impl Node {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            session: None,
            id: None,
            peer_id: 0,
            attached: None,
            handshake: None,
            generation: 0,
            waiters: BTreeMap::new(),
            next_token: 1,
            next_number: 1,
            queue: VecDeque::new(),
            handling: None,
            running: Vec::new(),
            subscribing: Vec::new(),
            streams: Streams::default(),
            asks: None,
            cancelled: Vec::new(),
            reads_at: Duration::ZERO,
            connects_at: Duration::ZERO,
            lossy_before: 0,
            withheld: BTreeMap::new(),
        }
    }

    /// Which connection of which session is there, and how many LOG and METRIC messages it has dropped.
    pub(super) fn connection(&self) -> Option<((u64, u64), u64)> {
        let session = self.session.as_ref()?;
        let dropped = lossy_dropped(session) - self.lossy_before;
        Some(((self.generation, session.connection()), dropped))
    }

    /// Whether the driver reads now. Where it lets requests wait, checks that many answers are owed, and that some of them
    /// were written a moment ago.
    pub(super) fn may_read(&mut self, now: Duration) -> Result<bool, String> {
        let is_stuck = self.is_asking() && FaultInjection::StopReading.is_on();
        if now < self.reads_at || is_stuck {
            return Ok(false);
        }
        let (Some(session), Some(attached)) = (self.session.as_mut(), self.attached.as_mut())
        else {
            return Ok(true);
        };
        let defers_requests = session.defers_requests();
        if defers_requests {
            attached.reads_on |=
                attached.stalled_for(now) >= READ_ON_AFTER && !FaultInjection::NeverReadOn.is_on();
        } else if !session.is_backlogged() {
            attached.reads_on = false;
        }
        let waits = defers_requests && !attached.reads_on;
        let owed = session.outgoing.response_cost();
        if waits && owed <= session.max_queued {
            return Err(format!(
                "{:?} does not read, and owes {owed} bytes",
                self.side
            ));
        }
        if waits && attached.stalled_for(now) >= READ_ON_AFTER {
            return Err(format!(
                "{:?} neither reads nor writes since {:?}",
                self.side, attached.stalled_since
            ));
        }
        let is_put_off = waits || session.is_read_paused();
        if is_put_off {
            session.received(now);
        }
        Ok(!is_put_off)
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

    /// The session has ended; notifies what waited for it.
    pub(super) fn end_session(&mut self, rules: &mut Rules) -> Result<(), String> {
        let lost = match self.session.take() {
            Some(mut session) => session.lost(None),
            None => Vec::new(),
        };
        self.running.clear();
        self.subscribing.clear();
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

    /// The process ends, and its state is lost.
    pub(super) fn crash(&mut self) {
        self.session = None;
        self.id = None;
        self.handshake = None;
        self.waiters.clear();
        self.queue.clear();
        self.handling = None;
        self.running.clear();
        self.subscribing.clear();
        self.streams.clear();
        self.asks = None;
        self.cancelled.clear();
        // Pings have tokens too, in a driver; here none are sent.
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
        self.lossy_before = lossy_dropped(session);
        self.cancel(&suspended.cancelled);
        self.lose(&suspended.lost, rules)
    }

    /// Where nothing is open in a session without a connection, it is kept in little memory, and goes on from that.
    pub(super) fn park(&mut self, config: Config, now: Duration) -> bool {
        let parked = self.session.as_mut().and_then(Session::park);
        let Some(parked) = parked else {
            return false;
        };
        self.session = Some(Session::unpark(config, parked, now));
        true
    }

    /// Where nothing is open in a session with a connection, it is kept in little memory until something is.
    pub(super) fn rest(&mut self) -> Result<(), String> {
        let Some(session) = self.session.as_mut() else {
            return Ok(());
        };
        let next = session.poll_timeout();
        let Some(idle) = session.rest() else {
            return Ok(());
        };
        let idle_next = idle.poll_timeout();
        let woken = idle.wake();
        // An exchange that has ended may have had the next deadline.
        if idle_next != woken.poll_timeout() || idle_next < next {
            return Err(format!(
                "{:?}: a silent session has another time",
                self.side
            ));
        }
        self.session = Some(woken);
        Ok(())
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
        while let Some(target) = session.poll_unreported() {
            self.streams.want_credit(target);
        }
        for token in expired {
            self.complete(token, &Outcome::Expired, rules)?;
        }
        match due {
            Ok(()) => Ok(false),
            Err(TimedOut::Silence(_)) => Ok(true),
            Err(timed_out) => Err(format!("{:?}: {timed_out:?}", self.side)),
        }
    }

    /// Whether nothing is left to do.
    pub(super) fn is_settled(&self) -> bool {
        self.waiters.is_empty()
            && self.queue.is_empty()
            && self.handling.is_none()
            && self.running.is_empty()
            && self.subscribing.is_empty()
            && self.streams.is_empty()
            && self.session.as_ref().is_some_and(|session| {
                session.is_open()
                    && !session.has_transmit()
                    && !session.is_waiting()
                    && !session.has_datagram()
            })
            && self
                .attached
                .as_ref()
                .is_some_and(|attached| attached.writing.is_none())
    }
}

/// How many LOG and METRIC messages the session has dropped.
fn lossy_dropped(session: &Session) -> u64 {
    session.dropped().logs + session.dropped().metrics
}

/// The number in a message's body.
fn number_of(incoming: &Incoming) -> u64 {
    incoming
        .body
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The length of the answer to a call: some are long, so that a few of them are more than the peer may leave unread.
fn answer_len(number: u64) -> usize {
    if number.is_multiple_of(2) {
        LONG_ANSWER
    } else {
        8
    }
}

/// Which messages their handlers fail.
pub(super) fn fails(number: u64) -> bool {
    number % 7 == 3
}
