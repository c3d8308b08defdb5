//! A session as the router knows it.

use std::{
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use super::{
    Dialect, EndReason, Limits, OutboxItem, Publication, SessionKey, WakeList,
    client::Client,
    open_calls::OpenCalls,
    outbox::{Outbox, Rejected, Status},
    sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, lock},
};
use crate::access::Principal;

/// A session, shared by the router, the routes that lead to it, and its connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: SessionKey,
    pub(super) client: Arc<Client>,
    pub(super) dialect: Dialect,
    pub(super) limits: Arc<Limits>,
    outbox: Mutex<Outbox>,
    /// How many messages wait, to compare sessions without their locks.
    waiting: AtomicUsize,
    pub(super) open_calls: OpenCalls,
    is_connected: AtomicBool,
    /// The largest body that its peer accepts, as far as that is known.
    max_body: AtomicUsize,
    /// How many messages it has published.
    pub(super) published: AtomicU64,
    /// Grows with each change of its rights, and when it ends.
    rights_version: AtomicU64,
}

impl Session {
    pub(super) fn new(
        key: SessionKey,
        client: Client,
        dialect: Dialect,
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            key,
            client: Arc::new(client),
            dialect,
            limits,
            outbox: Mutex::new(Outbox::new(key)),
            waiting: AtomicUsize::new(0),
            open_calls: OpenCalls::default(),
            is_connected: AtomicBool::new(true),
            max_body: AtomicUsize::new(usize::MAX),
            published: AtomicU64::new(0),
            rights_version: AtomicU64::new(0),
        }
    }

    /// What it may do has changed: its publishers ask again.
    pub(super) fn change_rights(&self) {
        self.rights_version.fetch_add(1, Release);
    }

    pub(super) fn rights_version(&self) -> u64 {
        self.rights_version.load(Acquire)
    }

    /// Adds an item to its queue.
    pub(super) fn push(
        &self,
        item: OutboxItem,
        generation: u64,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<bool, (Rejected, OutboxItem)> {
        self.with_outbox(|outbox| outbox.push(item, generation, now, &self.limits, wakes))
    }

    /// At which topic with a window of its own messages of this topic are heard.
    pub(super) fn own_window_of(&self, topic: &Bytes) -> Option<Bytes> {
        lock(&self.outbox).own_window_of(topic)
    }

    /// Changes the queue, and what is known of it without its lock.
    pub(super) fn with_outbox<T>(&self, change: impl FnOnce(&mut Outbox) -> T) -> T {
        let mut outbox = lock(&self.outbox);
        let returned = change(&mut outbox);
        self.waiting.store(outbox.count(), Relaxed);
        self.is_connected
            .store(outbox.status() == Status::Connected, Relaxed);
        returned
    }

    /// How many messages wait for it.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// How large a body its peer accepts, if all of these are larger: it would get none of them.
    pub(super) fn is_too_small_for(&self, publication: &Publication) -> Option<usize> {
        let max = self.max_body.load(Relaxed);
        // What has fewer bytes with its header is not looked into.
        (publication.frames.len() > max && publication.least_body_len() > max).then_some(max)
    }

    /// Since when its connection has had nothing to write, if it has nothing.
    pub(super) fn idle_since(&self) -> Option<Duration> {
        match self.waiting() {
            0 => self.with_outbox(|outbox| outbox.idle_since()),
            _ => None,
        }
    }

    pub(super) fn open_calls(&self) -> usize {
        self.open_calls.count()
    }

    /// How busy it is with calls.
    pub(super) fn call_load(&self, now: Duration) -> usize {
        self.open_calls.load(now)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected.load(Relaxed)
    }
}

/// A session, for its connection. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SessionHandle(pub(super) Arc<Session>);

impl SessionHandle {
    /// Its number.
    pub fn key(&self) -> SessionKey {
        self.0.key
    }

    /// Its name in `T/$to/<peer>`.
    pub fn peer(&self) -> &str {
        &self.0.client.peer
    }

    /// Whose it is.
    pub fn principal(&self) -> &Principal {
        &self.0.client.principal
    }

    /// How its peer speaks.
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// Its peer accepts bodies of so many bytes, and no longer ones.
    pub fn accepts_up_to(&self, max_body: usize) {
        self.0.max_body.store(max_body, Relaxed);
    }

    /// How many messages wait in its outbox.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// How many bytes these keep.
    pub fn waiting_bytes(&self) -> usize {
        self.0.with_outbox(|outbox| outbox.bytes())
    }

    /// How many messages were dropped instead of being delivered.
    pub fn dropped(&self) -> u64 {
        self.0.with_outbox(|outbox| outbox.dropped())
    }

    /// So many messages that it has taken were not delivered: they are larger than its peer accepts, or cannot be inflated for it.
    pub fn count_dropped(&self, count: usize) {
        if count > 0 {
            self.0.with_outbox(|outbox| outbox.drop_counted(count));
        }
    }

    /// How many calls it has been given that have not ended.
    pub fn open_calls(&self) -> usize {
        self.0.open_calls()
    }

    /// Whether it has a connection.
    pub fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Takes what waits, up to about `max_bytes` and one item in any case, and appends it to `taken`. With nothing to take
    /// it is pending, and `task` is woken when there is something. A connection writes what it took before it asks again: it
    /// is that which tells a slow subscriber from one that has not had its turn.
    ///
    /// # Errors
    ///
    /// The session has ended, for this reason; [`EndReason::told`] has what the peer is told.
    pub fn poll_take(
        &self,
        now: Duration,
        max_bytes: usize,
        taken: &mut Vec<OutboxItem>,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), EndReason>> {
        let mut wakes = WakeList::new();
        // The wakers run after the lock is released.
        self.0.with_outbox(|outbox| {
            outbox.poll_take(now, max_bytes, &self.0.limits, taken, &mut wakes, task)
        })
    }

    /// The connection has written so many bytes of what it took, and cannot go on at once. Publishers wait for those who take
    /// what is written to them, however much waits.
    pub fn wrote(&self, bytes: usize, now: Duration) {
        self.0.with_outbox(|outbox| outbox.wrote(bytes, now));
    }

    /// The instance has finished with so many messages of a client of `T`, deliveries included: it may be sent more of them. With
    /// no name of a client: a client of `T` has, whose subscription has a window of its own.
    pub fn credit(&self, topic: &[u8], peer: &str, messages: u32) {
        let mut wakes = WakeList::new();
        self.0
            .with_outbox(|outbox| outbox.credit(topic, peer, messages, &mut wakes));
    }

    /// The instance is to be sent so many messages of a client of `T` ahead while its connection lasts, within
    /// bounds, where it asks for that with [`credit`](Self::credit); to be called before that.
    pub fn widen(&self, topic: &[u8], peer: &str, messages: u32) {
        self.0
            .with_outbox(|outbox| outbox.widen(topic, peer, messages));
    }

    /// Ready when the session has ended, for a connection that cannot write what it took: `task` is woken by the end.
    pub fn poll_ended(&self, task: &mut Context<'_>) -> Poll<EndReason> {
        self.0.with_outbox(|outbox| outbox.poll_ended(task))
    }
}

impl PartialEq for SessionHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SessionHandle {}
