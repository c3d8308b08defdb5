//! The route of a message: the connection of its session, or a channel (docs/protocol.md, "Channels").

use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    ConnectionShared, Delivering,
    channels::{ChannelState, Channels, Role},
    message::Outgoing,
    signal::Raised,
};
use crate::{
    CallError, CallOptions, Code, MsgKind, SendError, Status, channel::KindSet, sync::Ordering,
};
use msip_session::is_droppable;

/// By which connection a message goes.
#[derive(Debug)]
pub(crate) enum Route {
    /// That of the session.
    Session,
    Channel(Arc<ConnectionShared>),
    /// None: it is dropped, and counted.
    Drop,
}

type Sending<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

/// The side of who opens channels.
impl ConnectionShared {
    fn channels(&self) -> Option<&Channels<Self>> {
        match self.role.get().map(|role| &**role) {
            Some(Role::Main(channels)) => Some(channels),
            Some(Role::Channel(_)) | None => None,
        }
    }

    fn make_main(&self) -> Option<&Channels<Self>> {
        self.role
            .get_or_init(|| Box::new(Role::Main(Channels::default())));
        self.channels()
    }

    /// A session begins that has channels for these kinds, or none.
    pub(crate) fn begin_channels(&self, kinds: &[KindSet]) {
        if kinds.is_empty() && self.channels().is_none() {
            return;
        }
        let Some(channels) = self.make_main() else {
            return;
        };
        let mut state = channels.lock();
        for connection in state.up() {
            state.dropped += connection.dropped();
        }
        state.begin(kinds);
        let none = KindSet::default();
        let all = kinds.iter().fold(none, |all, kinds| all.and(*kinds));
        self.channel_kinds.store(all.to_byte(), Ordering::Relaxed);
        self.note_sends_fast();
    }

    /// A channel is there; the connection that it had before, where there is one, is closed.
    pub(crate) fn channel_up(&self, index: usize, connection: &Arc<Self>) {
        let Some(channels) = self.channels() else {
            return;
        };
        let mut state = channels.lock();
        let Some(channel) = state.channels.get_mut(index) else {
            return;
        };
        let before =
            std::mem::replace(&mut channel.state, ChannelState::Up(Arc::clone(connection)));
        if let ChannelState::Up(before) = before {
            state.dropped += before.dropped();
            drop(state);
            before.begin_close(&Status::new(Code::Aborted, "channel taken over"));
        }
    }

    /// A channel could not be opened.
    pub(crate) fn channel_failed(&self, index: usize) {
        if let Some(channels) = self.channels()
            && let Some(channel) = channels.lock().channels.get_mut(index)
            && matches!(channel.state, ChannelState::Untried)
        {
            channel.state = ChannelState::Down;
        }
    }

    /// The connection of a channel has ended.
    pub(crate) fn channel_ended(&self, connection: &Arc<Self>) {
        if let Some(channels) = self.channels() {
            let mut state = channels.lock();
            if state.take_down(connection) {
                state.dropped += connection.dropped();
            }
        }
    }

    /// Whether each of the session's channels is there, in their order.
    pub(crate) fn channels_up(&self) -> Vec<bool> {
        let Some(channels) = self.channels() else {
            return Vec::new();
        };
        let state = channels.lock();
        let states = state.channels.iter().map(|channel| &channel.state);
        states
            .map(|state| matches!(state, ChannelState::Up(_)))
            .collect()
    }

    /// Closes the channels gracefully, with this status.
    pub(crate) fn close_channels(&self, status: &Status) {
        let Some(channels) = self.channels() else {
            return;
        };
        let up = channels.lock().up();
        for connection in up {
            connection.begin_close(status);
        }
    }

    /// Makes another connection one of a channel of this session: what comes by it is handed over once what came by the session's
    /// own may be.
    pub(crate) fn has_channel(&self, connection: &Self) {
        if let Some(channels) = self.channels() {
            let ready = Arc::clone(&channels.lock().ready);
            // It becomes one once.
            let _ = connection.role.set(Box::new(Role::Channel(ready)));
        }
    }

    /// What came by the session's connection is handled from here on, and so may be what comes by its channels.
    pub(crate) fn let_channels_begin(&self) {
        if let Some(channels) = self.channels() {
            let ready = Arc::clone(&channels.lock().ready);
            ready.raise();
        }
    }

    /// Of a channel: what it waits for before it hands over what has come.
    pub(crate) fn main_ready(&self) -> Option<Raised> {
        match self.role.get().map(|role| &**role) {
            Some(Role::Channel(ready)) => Some(Raised::of(ready)),
            Some(Role::Main(_)) | None => None,
        }
    }
}

/// The side of senders.
impl ConnectionShared {
    /// Whether messages of any kind go by channels.
    #[inline]
    pub(super) fn has_channels(&self) -> bool {
        self.channel_kinds.load(Ordering::Relaxed) != 0
    }

    /// Notes whether one-way messages are sent without a look at the channels.
    pub(super) fn note_sends_fast(&self) {
        let sends_fast = self.is_plain.load(Ordering::Relaxed) && !self.has_channels();
        self.sends_fast.store(sends_fast, Ordering::Relaxed);
    }

    /// Whether messages of this kind go by a channel.
    #[inline]
    pub(crate) fn has_channel_for(&self, kind: MsgKind) -> bool {
        KindSet::from_bits(self.channel_kinds.load(Ordering::Relaxed)).contains(kind)
    }

    /// The route of a message of this kind as things are now.
    #[inline]
    pub(crate) fn route(&self, kind: MsgKind) -> Route {
        if self.has_channel_for(kind) {
            self.route_of_channel(kind)
        } else {
            Route::Session
        }
    }

    #[cold]
    fn route_of_channel(&self, kind: MsgKind) -> Route {
        let Some(channels) = self.channels() else {
            return Route::Session;
        };
        match channels.lock().state_of(kind) {
            Some(ChannelState::Up(connection)) => Route::Channel(Arc::clone(connection)),
            // A STATE has a newer one or none: it is not lost.
            Some(ChannelState::Down) if is_droppable(kind) && kind != MsgKind::State => Route::Drop,
            Some(ChannelState::Down | ChannelState::Untried) | None => Route::Session,
        }
    }

    /// Counts a message that is dropped since its channel is down.
    pub(crate) fn drop_for_channel(&self) {
        self.lock().dropped.get_or_insert_default().channel_down += 1;
    }

    /// Sends a one-way message where its kind has a channel. `None` where it goes by this connection.
    #[cold]
    pub(super) fn send_by_channel<'a, E: Outgoing>(
        &'a self,
        message: &'a E,
        options: &'a CallOptions,
    ) -> Option<Sending<'a, SendError>> {
        match self.route(message.variant()?.kind) {
            Route::Session => None,
            Route::Drop => {
                self.drop_for_channel();
                let dropped = if options.ack {
                    Err(SendError::Dropped)
                } else {
                    Ok(())
                };
                Some(Box::pin(std::future::ready(dropped)))
            }
            Route::Channel(channel) => Some(Box::pin(async move {
                match channel.send(message, options).await {
                    Err(error) if error.lacks_session() => {
                        // It has just ended, and nothing was sent.
                        self.channel_ended(&channel);
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
        match self.route(message.variant()?.kind) {
            Route::Session => None,
            Route::Drop => {
                self.drop_for_channel();
                Some(Ok(()))
            }
            Route::Channel(channel) => Some(match channel.try_send(message, options) {
                Err(error) if error.lacks_session() => {
                    self.channel_ended(&channel);
                    self.try_send(message, options)
                }
                sent => sent,
            }),
        }
    }

    /// The same for a message whose acknowledgment is waited for.
    #[cold]
    pub(super) fn deliver_by_channel<'a, E: Outgoing>(
        &'a self,
        message: &'a E,
        options: &'a CallOptions,
    ) -> Option<Sending<'a, CallError>> {
        match self.route(message.variant()?.kind) {
            Route::Session => None,
            Route::Drop => {
                self.drop_for_channel();
                let dropped = CallError::NotSent(SendError::Dropped);
                Some(Box::pin(std::future::ready(Err(dropped))))
            }
            Route::Channel(channel) => Some(Box::pin(async move {
                let delivered = channel.deliver(message, options).await;
                self.delivered_by(&channel, delivered, message, options)
                    .await
            })),
        }
    }

    /// The same, which returns once the message was sent.
    #[cold]
    pub(super) async fn begin_by_channel<E: Outgoing + Clone + 'static>(
        self: &Arc<Self>,
        message: &E,
        options: &CallOptions,
    ) -> Result<Option<Delivering>, CallError> {
        let route = message
            .variant()
            .map_or(Route::Session, |variant| self.route(variant.kind));
        let channel = match route {
            Route::Session => return Ok(None),
            Route::Drop => {
                self.drop_for_channel();
                return Err(SendError::Dropped.into());
            }
            Route::Channel(channel) => channel,
        };
        let sent = match channel.begin_on_this(message, options).await {
            Err(error) if is_unsent(&error) => {
                self.channel_ended(&channel);
                return Ok(None);
            }
            sent => sent?,
        };
        let (connection, message, options) = (Arc::clone(self), message.clone(), options.clone());
        Ok(Some(Delivering::ByChannel(Box::pin(async move {
            let delivered = sent.await;
            connection
                .delivered_by(&channel, delivered, &message, &options)
                .await
        }))))
    }

    /// What has become of a message that went by a channel. Where that has ended before the message ran, it takes another route.
    async fn delivered_by<E: Outgoing>(
        &self,
        channel: &Arc<Self>,
        delivered: Result<(), CallError>,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), CallError> {
        match delivered {
            Err(error) if is_unsent(&error) => {
                self.channel_ended(channel);
                self.deliver(message, options).await
            }
            delivered => delivered,
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
