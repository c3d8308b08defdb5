//! The channels of a session: which kinds go by them, and whether they are there.

use std::sync::Arc;

use super::signal::Signal;
use crate::{
    Dropped, MsgKind,
    channel::KindSet,
    sync::{Mutex, MutexGuard, lock},
};

/// What a connection has to do with channels, of which each is a connection `C`.
#[derive(Debug)]
pub(super) enum Role<C> {
    /// It has some, or its client had some once.
    Main(Channels<C>),
    /// It is one: what comes by it is handed over once this signal of its session is raised.
    Channel(Arc<Signal>),
}

/// The channels of the session that a connection has, or had last.
#[derive(Debug)]
pub(super) struct Channels<C>(Mutex<State<C>>);

#[derive(Debug)]
pub(super) struct State<C> {
    pub(super) channels: Vec<Channel<C>>,
    /// What channels have dropped that are gone.
    pub(super) dropped: Dropped,
    /// Raised once what came by the session's first connection may be handled: what comes by a channel is handled after that.
    pub(super) ready: Arc<Signal>,
}

#[derive(Debug)]
pub(super) struct Channel<C> {
    pub(super) kinds: KindSet,
    pub(super) state: ChannelState<C>,
}

/// Whether a channel is there.
#[derive(Debug)]
pub(super) enum ChannelState<C> {
    /// It was not there yet, and no attempt to open it has failed.
    Untried,
    Up(Arc<C>),
    Down,
}

impl<C> Default for Channels<C> {
    fn default() -> Self {
        Self(Mutex::new(State {
            channels: Vec::new(),
            dropped: Dropped::default(),
            ready: Arc::default(),
        }))
    }
}

impl<C> Channels<C> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<C>> {
        lock(&self.0)
    }
}

impl<C> State<C> {
    /// The connections that are there.
    pub(super) fn up(&self) -> Vec<Arc<C>> {
        let states = self.channels.iter().map(|channel| &channel.state);
        let up = states.filter_map(|state| match state {
            ChannelState::Up(connection) => Some(Arc::clone(connection)),
            ChannelState::Untried | ChannelState::Down => None,
        });
        up.collect()
    }

    /// Whether the channel for this kind is there.
    pub(super) fn state_of(&self, kind: MsgKind) -> Option<&ChannelState<C>> {
        let mut channels = self.channels.iter();
        let channel = channels.find(|channel| channel.kinds.contains(kind))?;
        Some(&channel.state)
    }

    /// Forgets this connection. Returns whether it was a channel's.
    pub(super) fn take_down(&mut self, connection: &Arc<C>) -> bool {
        for channel in &mut self.channels {
            if matches!(&channel.state, ChannelState::Up(known) if Arc::ptr_eq(known, connection)) {
                channel.state = ChannelState::Down;
                return true;
            }
        }
        false
    }

    /// The session has channels for these kinds from here on.
    pub(super) fn begin(&mut self, kinds: &[KindSet]) {
        let begun = kinds.iter().map(|kinds| Channel {
            kinds: *kinds,
            state: ChannelState::Untried,
        });
        self.channels = begun.collect();
        self.ready = Arc::default();
    }
}
