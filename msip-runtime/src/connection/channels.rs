//! The channels of a session: second ways for messages of some kinds (docs/protocol.md, "Channels").

use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    ConnectionShared,
    message::Outgoing,
    signal::{Raised, Signal},
};
use crate::{
    CallError, CallOptions, Code, Dropped, MsgKind, SendError, Status,
    channel::KindSet,
    sync::{Mutex, MutexGuard, Ordering, lock},
};
use msip_session::is_droppable;

/// The channels of the session that a connection has, or had last.
#[derive(Debug, Default)]
pub(super) struct Channels(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    channels: Vec<Channel>,
    /// What channels have dropped that are gone.
    dropped: Dropped,
    /// Raised once what came by the session's first connection may be handled: what comes by a channel is handled after that.
    ready: Arc<Signal>,
}

#[derive(Debug)]
struct Channel {
    kinds: KindSet,
    link: Link,
}

/// Whether a channel is there.
#[derive(Debug)]
enum Link {
    /// It was not there yet, and no attempt to open it has failed.
    Untried,
    Up(Arc<ConnectionShared>),
    Down,
}

/// By what a message goes.
#[derive(Debug)]
pub(crate) enum Way {
    /// The connection of the session.
    Main,
    Channel(Arc<ConnectionShared>),
    /// None: it is dropped, and counted.
    Nowhere,
}

type Sending<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

impl Channels {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// What its channels have dropped, those that are gone too.
    pub(super) fn dropped(&self) -> Dropped {
        let state = self.lock();
        let mut dropped = state.dropped;
        let up: Vec<_> = state.up().cloned().collect();
        drop(state);
        for channel in up {
            dropped += channel.dropped();
        }
        dropped
    }
}

impl State {
    fn up(&self) -> impl Iterator<Item = &Arc<ConnectionShared>> {
        let up = |channel: &'_ Channel| matches!(channel.link, Link::Up(_));
        self.channels
            .iter()
            .filter(move |channel| up(channel))
            .filter_map(|channel| match &channel.link {
                Link::Up(connection) => Some(connection),
                Link::Untried | Link::Down => None,
            })
    }

    /// Forgets this connection, where it is still a channel's.
    fn take_down(&mut self, connection: &Arc<ConnectionShared>) -> bool {
        let is_it = |link: &Link| matches!(link, Link::Up(known) if Arc::ptr_eq(known, connection));
        let channel = self
            .channels
            .iter_mut()
            .find(|channel| is_it(&channel.link));
        match channel {
            Some(channel) => {
                channel.link = Link::Down;
                true
            }
            None => false,
        }
    }
}

/// The side of who opens channels.
impl ConnectionShared {
    /// A session begins that has channels for these kinds, or none.
    pub(crate) fn begin_channels(&self, kinds: &[KindSet]) {
        if kinds.is_empty() && self.channels.get().is_none() {
            return;
        }
        let channels = self.channels.get_or_init(Box::default);
        let mut state = channels.lock();
        let all = kinds
            .iter()
            .fold(KindSet::default(), |all, kinds| all.and(*kinds));
        let gone: Vec<_> = state.up().cloned().collect();
        for connection in gone {
            state.dropped += connection.dropped();
        }
        state.channels = kinds
            .iter()
            .map(|kinds| Channel {
                kinds: *kinds,
                link: Link::Untried,
            })
            .collect();
        state.ready = Arc::default();
        self.channel_kinds.store(all.bits(), Ordering::Relaxed);
    }

    /// A channel is there; the connection that it had before, where there is one, is closed.
    pub(crate) fn channel_up(&self, index: usize, connection: &Arc<ConnectionShared>) {
        let Some(channels) = self.channels.get() else {
            return;
        };
        let mut state = channels.lock();
        let Some(channel) = state.channels.get_mut(index) else {
            return;
        };
        let before = std::mem::replace(&mut channel.link, Link::Up(Arc::clone(connection)));
        if let Link::Up(before) = before {
            state.dropped += before.dropped();
            drop(state);
            before.begin_close(&Status::new(Code::Aborted, "channel taken over"));
        }
    }

    /// A channel could not be opened.
    pub(crate) fn channel_failed(&self, index: usize) {
        if let Some(channels) = self.channels.get()
            && let Some(channel) = channels.lock().channels.get_mut(index)
            && matches!(channel.link, Link::Untried)
        {
            channel.link = Link::Down;
        }
    }

    /// The connection of a channel has ended, and counts no more.
    pub(crate) fn channel_ended(&self, connection: &Arc<ConnectionShared>) {
        if let Some(channels) = self.channels.get() {
            let mut state = channels.lock();
            if state.take_down(connection) {
                state.dropped += connection.dropped();
            }
        }
    }

    /// Whether each of the session's channels is there, in their order.
    pub(crate) fn channels_up(&self) -> Vec<bool> {
        let Some(channels) = self.channels.get() else {
            return Vec::new();
        };
        let state = channels.lock();
        let is_up = |channel: &Channel| matches!(channel.link, Link::Up(_));
        state.channels.iter().map(is_up).collect()
    }

    /// Closes the channels gracefully, with this status.
    pub(crate) fn close_channels(&self, status: &Status) {
        let Some(channels) = self.channels.get() else {
            return;
        };
        let up: Vec<_> = channels.lock().up().cloned().collect();
        for connection in up {
            connection.begin_close(status);
        }
    }

    /// Makes another connection one of a channel of this session: what comes by it is handed over once what came by the session's
    /// own may be.
    pub(crate) fn has_channel(&self, connection: &ConnectionShared) {
        let channels = self.channels.get_or_init(Box::default);
        let ready = Arc::clone(&channels.lock().ready);
        // It becomes one once.
        let _ = connection.main_ready.set(ready);
    }

    /// What came by the session's connection is handled from here on, and so may be what comes by its channels.
    pub(crate) fn let_channels_begin(&self) {
        if let Some(channels) = self.channels.get() {
            let ready = Arc::clone(&channels.lock().ready);
            ready.raise();
        }
    }

    /// Of a channel: what it waits for before it hands over what has come.
    pub(crate) fn main_ready(&self) -> Option<Raised> {
        self.main_ready.get().map(Raised::of)
    }
}

/// The side of senders.
impl ConnectionShared {
    /// Whether messages of this kind go by a channel.
    #[inline]
    pub(crate) fn has_channel_for(&self, kind: MsgKind) -> bool {
        let kinds = self.channel_kinds.load(Ordering::Relaxed);
        kinds != 0 && KindSet::from_bits(kinds).contains(kind)
    }

    /// By what a message of this kind goes now.
    #[inline]
    pub(crate) fn way(&self, kind: MsgKind) -> Way {
        if self.has_channel_for(kind) {
            self.way_of_channel(kind)
        } else {
            Way::Main
        }
    }

    #[cold]
    fn way_of_channel(&self, kind: MsgKind) -> Way {
        let Some(channels) = self.channels.get() else {
            return Way::Main;
        };
        let state = channels.lock();
        let channel = state
            .channels
            .iter()
            .find(|channel| channel.kinds.contains(kind));
        match channel.map(|channel| &channel.link) {
            Some(Link::Up(connection)) => Way::Channel(Arc::clone(connection)),
            Some(Link::Down) if is_droppable(kind) && kind != MsgKind::State => Way::Nowhere,
            Some(Link::Down | Link::Untried) | None => Way::Main,
        }
    }

    /// The channel has ended that a message was to go by, and nothing was sent.
    fn channel_lost(&self, connection: &Arc<ConnectionShared>) {
        self.channel_ended(connection);
    }

    /// Counts a message that is dropped since its channel is down.
    pub(crate) fn drop_for_channel(&self) {
        self.lock().dropped.channel_down += 1;
    }

    /// Sends a one-way message where its kind has a channel. `None` where it has none that is there or down: it goes as all others.
    pub(super) fn send_by_channel<'a, E: Outgoing>(
        &'a self,
        message: &'a E,
        options: &'a CallOptions,
    ) -> Option<Sending<'a, SendError>> {
        match self.way(message.variant()?.kind) {
            Way::Main => None,
            Way::Nowhere => {
                self.drop_for_channel();
                let is_awaited = options.ack;
                Some(Box::pin(std::future::ready(if is_awaited {
                    Err(SendError::Dropped)
                } else {
                    Ok(())
                })))
            }
            Way::Channel(channel) => Some(Box::pin(async move {
                match channel.send(message, options).await {
                    Err(error) if error.lacks_session() => {
                        self.channel_lost(&channel);
                        self.send(message, options).await
                    }
                    sent => sent,
                }
            })),
        }
    }

    /// The same, or fails at once.
    #[cold]
    pub(super) fn try_send_by_channel<E: Outgoing>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Option<Result<(), SendError>> {
        match self.way(message.variant()?.kind) {
            Way::Main => None,
            Way::Nowhere => {
                self.drop_for_channel();
                Some(Ok(()))
            }
            Way::Channel(channel) => Some(match channel.try_send(message, options) {
                Err(error) if error.lacks_session() => {
                    self.channel_lost(&channel);
                    self.try_send(message, options)
                }
                sent => sent,
            }),
        }
    }

    /// The same for a message whose acknowledgment is waited for.
    pub(super) fn deliver_by_channel<'a, E: Outgoing>(
        &'a self,
        message: &'a E,
        options: &'a CallOptions,
    ) -> Option<Sending<'a, CallError>> {
        match self.way(message.variant()?.kind) {
            Way::Main => None,
            Way::Nowhere => {
                self.drop_for_channel();
                let dropped = CallError::NotSent(SendError::Dropped);
                Some(Box::pin(std::future::ready(Err(dropped))))
            }
            Way::Channel(channel) => Some(Box::pin(async move {
                match channel.deliver(message, options).await {
                    Err(error) if is_unsent(&error) => {
                        self.channel_lost(&channel);
                        self.deliver(message, options).await
                    }
                    delivered => delivered,
                }
            })),
        }
    }
}

/// Whether a message has not run, and its channel has ended.
fn is_unsent(error: &CallError) -> bool {
    match error {
        CallError::NotSent(error) => error.lacks_session(),
        CallError::NotReceived | CallError::NotAccepted => true,
        _ => false,
    }
}
