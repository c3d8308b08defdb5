//! The shared part of a connection: what senders, handlers and the driver have in common, behind one lock.

mod guard;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    channels::Role, clock::Clock, draining::Draining, fault_injection::FaultInjection,
    inner::ConnectionInner, metadata::CorrelationIds, session_slot::SessionSlot, signal::Raised,
};
use crate::{
    CloseReason, Dropped, Identity, MemoryUse, Metadata, Status, Unsupported,
    body::Encoding,
    decode_pool::DecodeQueue,
    dialect::{Carries, Feature, Texts},
    settings::Settings,
    sync::{AtomicBool, AtomicU8, AtomicU64, Mutex, Ordering, lock},
};
use msip_session::{Budget, Lost, Session};

pub(crate) use guard::ConnectionGuard;

/// The shared part of one client, or of one connection of a server.
#[derive(Debug)]
pub(crate) struct ConnectionShared {
    inner: Mutex<ConnectionInner>,
    /// Whether the session's bodies are plain protobuf, so that nothing needs doing to them before the lock is taken.
    pub(super) is_plain: AtomicBool,
    /// The same, and no kind goes by a channel: a one-way message without metadata is sent at once.
    pub(super) sends_fast: AtomicBool,
    /// What a received message may take in memory, by the connection that there was last.
    max_decoded: AtomicU64,
    /// So much waits to be written that the next sender lets the driver write first: what the peer can work on already
    /// should not wait for what is still to be encoded.
    pub(super) is_write_due: AtomicBool,
    /// The peer leaves so many answers unread that no handler is to begin.
    is_backlogged: AtomicBool,
    /// A connection was lost meanwhile: what was received by it and waits for a handler is not begun.
    has_lost_backlog: AtomicBool,
    /// How many outcomes of exchanges were taken, or left behind, by their waiters.
    pub(super) taken: AtomicU64,
    /// How many calls of the peer were cancelled and have not ended.
    pub(super) cancelled_calls: Arc<AtomicU64>,
    pub(super) clock: Clock,
    pub(super) call_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// What can be sent, where the peer speaks another dialect.
    pub(super) carries: Option<&'static Carries>,
    /// The texts of what is sent, where the peer cannot read every text.
    texts: Option<Arc<Texts>>,
    /// Where a message without a correlation id is given one.
    pub(super) correlation_ids: Option<CorrelationIds>,
    budget: Arc<Budget>,
    /// The kinds that go by a channel, as the bits of a set.
    pub(super) channel_kinds: AtomicU8,
    /// Its channels, or that it is one. In a box, since most have none.
    pub(super) role: OnceLock<Box<Role<Self>>>,
    /// The bodies of the peer that are read on other threads, once there was one.
    decode_queue: OnceLock<DecodeQueue>,
}

/// What holds as long as a session does.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Which session it is.
    pub(crate) generation: u64,
    /// Which of the session's connections.
    pub(crate) connection: u64,
    /// How it writes bodies.
    pub(crate) encoding: Encoding,
    /// The metadata of a message that comes by it without any: who sends it, where this side has authenticated the other.
    pub(crate) sender: Option<Arc<Metadata>>,
}

impl ConnectionShared {
    /// A connection without a session yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let inner = ConnectionInner::default();
        Self {
            cancelled_calls: inner.running_calls.cancelled_count(),
            inner: Mutex::new(inner),
            is_plain: AtomicBool::new(true),
            sends_fast: AtomicBool::new(true),
            max_decoded: AtomicU64::new(u64::MAX),
            is_write_due: AtomicBool::new(false),
            is_backlogged: AtomicBool::new(false),
            has_lost_backlog: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            clock: Clock::start(),
            call_timeout: settings.call_timeout,
            write_timeout: settings.write_timeout,
            carries: None,
            texts: None,
            correlation_ids: settings.correlation_ids.then(CorrelationIds::new),
            budget: Arc::clone(&settings.budget),
            channel_kinds: AtomicU8::new(0),
            role: OnceLock::new(),
            decode_queue: OnceLock::new(),
        }
    }

    /// A connection to a peer of another dialect. No message takes the fast path, which looks at nothing.
    pub(crate) fn carrying(mut self, carries: &'static Carries, texts: Option<Arc<Texts>>) -> Self {
        self.carries = Some(carries);
        self.texts = texts;
        self.is_plain = AtomicBool::new(false);
        self.sends_fast = AtomicBool::new(false);
        self
    }

    /// What the peer speaks, where that is not MSIP.
    pub(crate) fn dialect(&self) -> Option<&'static str> {
        self.carries.map(|carries| carries.dialect)
    }

    /// Refuses a text that the peer of a dialect cannot read, in the body that `write` writes.
    pub(super) fn check_texts(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Unsupported> {
        if self.texts.is_none() {
            return Ok(());
        }
        let mut body = Vec::new();
        write(&mut body);
        self.check_texts_of(&body)
    }

    /// The same in a body that is there.
    pub(crate) fn check_texts_of(&self, body: &[u8]) -> Result<(), Unsupported> {
        match &self.texts {
            Some(texts) if texts.have_nul(body) => self.check_carried(Feature::NulText),
            _ => Ok(()),
        }
    }

    /// Refuses what the dialect of the peer lacks.
    pub(crate) fn check_carried(&self, feature: Feature) -> Result<(), Unsupported> {
        self.carries
            .map_or(Ok(()), |carries| carries.check(feature))
    }

    /// Where bodies of the peer are read that would hold up this thread.
    pub(crate) fn decode_queue(&self) -> &DecodeQueue {
        self.decode_queue.get_or_init(DecodeQueue::default)
    }

    /// How much memory its sessions hold, with those that share their limit.
    pub(crate) fn memory(&self) -> MemoryUse {
        MemoryUse::of(&self.budget)
    }

    /// For how long the peer may take nothing.
    pub(crate) const fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// The time, as sessions count it.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The moment that sessions call `at`.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        self.clock.instant(at)
    }

    #[inline]
    pub(crate) fn lock(&self) -> ConnectionGuard<'_> {
        ConnectionGuard(Some(lock(&self.inner)))
    }

    /// Whether some have not run since their exchange has ended, or since there is capacity for their call: they may be
    /// about to begin another, or will send it.
    pub(crate) fn has_returning(&self, state: &ConnectionInner) -> bool {
        state.exchanges.completed() != self.taken.load(Ordering::Relaxed)
            || state.call_queue.has_called()
    }

    /// Whether the peer leaves so many answers unread that no handler is to begin. Takes no lock.
    #[inline]
    pub(crate) fn is_backlogged(&self) -> bool {
        self.is_backlogged.load(Ordering::Relaxed)
    }

    /// Looks at the answers that wait to be written: more have been queued, or some were written.
    #[inline]
    pub(crate) fn note_backlog(&self, state: &mut ConnectionInner) {
        let is_backlogged = state.session().is_some_and(Session::update_backlog);
        // The handlers look at it after the lock was released.
        self.is_backlogged.store(is_backlogged, Ordering::Relaxed);
    }

    /// Looks at them, and returns whether handlers may begin that were held back at the last look.
    pub(crate) fn has_backlog_ended(&self, state: &mut ConnectionInner) -> bool {
        let was_backlogged = self.is_backlogged();
        if was_backlogged {
            self.note_backlog(state);
        }
        was_backlogged && !self.is_backlogged()
    }

    /// The connection is lost. Calls that were held back are not begun: they would be answered to nobody.
    pub(crate) fn lose_backlog(&self, state: &mut ConnectionInner) {
        if self.is_backlogged() {
            self.has_lost_backlog.store(true, Ordering::Relaxed);
        }
        self.note_backlog(state);
    }

    /// Whether calls of a lost connection are not to be begun.
    #[inline]
    pub(crate) fn has_lost_backlog(&self) -> bool {
        self.has_lost_backlog.load(Ordering::Relaxed)
    }

    /// All that was received by the lost connection has been looked at.
    pub(crate) fn forget_lost_backlog(&self) {
        self.has_lost_backlog.store(false, Ordering::Relaxed);
    }

    /// Takes a session that is open.
    pub(crate) fn attach(&self, session: Session, encoding: Encoding) {
        self.attach_to(&mut self.lock(), session, encoding);
    }

    pub(super) fn attach_to(
        &self,
        state: &mut ConnectionInner,
        session: Session,
        encoding: Encoding,
    ) {
        self.put(state, session, encoding);
        state.restore_subscriptions();
        state.raise_next_session();
        state.connected();
    }

    /// Puts in a session, whether or not it has a connection.
    pub(super) fn put(&self, state: &mut ConnectionInner, session: Session, encoding: Encoding) {
        state.generation += 1;
        state.session = SessionSlot::Awake(Box::new(session));
        self.max_decoded
            .store(encoding.max_decoded(), Ordering::Relaxed);
        let is_plain = encoding.is_identity() && self.carries.is_none();
        self.is_plain.store(is_plain, Ordering::Relaxed);
        self.note_sends_fast();
        state.encoding = encoding;
    }

    /// Says who sends what comes by the next connection.
    pub(crate) fn set_sender(&self, identity: Option<Identity>) {
        let sender = identity.map(|identity| Arc::new(Metadata::of_sender(Arc::new(identity))));
        self.lock().sender = sender;
    }

    /// Who the other side is, as this one has authenticated it.
    pub(crate) fn identity(&self) -> Option<Arc<Identity>> {
        self.lock().sender.as_ref()?.1.clone()
    }

    /// No session will follow, for this reason: all that waits for one ends. The first reason stays.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(|| Box::new(reason));
        state.raise_draining();
        state.raise_next_session();
        state.wake_all_waiting();
    }

    /// Why no session will follow; `None` where one may.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.lock().closed.as_deref().cloned()
    }

    /// The task that ran this connection is gone: ends the session and all that waits for it, and no other follows.
    /// Nothing where the connection is closed and its session has ended. Returns the exchanges that were open.
    pub(crate) fn abandon(&self) -> Vec<Lost> {
        self.close(CloseReason::RuntimeGone);
        self.lose_session()
    }

    /// Asks the session to close, and wakes the driver to do it. What waits for capacity ends.
    pub(crate) fn begin_close(&self, status: &Status) {
        let now = self.now();
        let mut state = self.lock();
        if let Some(session) = state.session() {
            session.begin_close(status.code(), status.message(), now);
            state.wake_driver();
        }
        state.raise_draining();
        // Nothing new is sent, so that nobody waits for a login.
        state.open_gate();
        if !FaultInjection::CloseSilently.is_on() {
            state.wake_all_waiting();
        }
    }

    /// Whether either side has begun to close the session, or it has ended.
    pub(crate) fn draining(&self) -> Draining {
        let mut state = self.lock();
        let is_draining = match state.session.awake() {
            Some(session) => session.is_closing(),
            None => state.closed.is_some() && state.session.is_empty(),
        };
        if is_draining {
            return Draining::already();
        }
        Draining::of(state.draining.get_or_insert_default())
    }

    /// Waits until there is a session that takes new exchanges. `false` where none will follow.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn accepting_session(&self) -> bool {
        loop {
            let next = {
                let mut state = self.lock();
                if state.closed.is_some() {
                    return false;
                }
                if state.session().is_some_and(|session| session.is_open()) {
                    return true;
                }
                Raised::of(state.next_session.get_or_insert_default())
            };
            next.await;
        }
    }

    /// How many frames were ignored, by this session and those before it.
    pub(crate) fn ignored(&self) -> u64 {
        let state = self.lock();
        state.ignored + state.session.ignored()
    }

    /// How many messages were taken and dropped unsent, in this session and those before it, and in their channels.
    pub(crate) fn dropped(&self) -> Dropped {
        let state = self.lock();
        let mut dropped = state.dropped_before();
        dropped += state.session.dropped();
        drop(state);
        if let Some(Role::Main(channels)) = self.role.get().map(|role| &**role) {
            let state = channels.lock();
            dropped += state.dropped;
            let up = state.up();
            drop(state);
            for channel in up {
                dropped += channel.dropped();
            }
        }
        dropped
    }

    /// Does something to the session that may give the driver work. `None` where there is no session.
    pub(crate) fn with_session<T>(&self, action: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let mut state = self.lock();
        let result = action(state.session()?);
        state.wake_driver();
        Some(result)
    }

    /// What holds as long as the session does.
    pub(crate) fn terms(&self) -> Terms {
        let state = self.lock();
        Terms {
            generation: state.generation,
            connection: state.session.connection(),
            encoding: state.encoding.clone(),
            sender: state.sender.clone(),
        }
    }

    /// How the session writes bodies. Without a session, or while one follows another, it may be that of either.
    pub(crate) fn encoding(&self) -> Encoding {
        if self.is_plain.load(Ordering::Relaxed) {
            Encoding::plain(self.max_decoded.load(Ordering::Relaxed))
        } else {
            self.lock().encoding.clone()
        }
    }
}
