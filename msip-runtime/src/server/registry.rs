//! The registry of connected peers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::members::Rooms;
use crate::{PeerId, connection::ConnectionShared};
use msip_session::wire::Topic;

/// Every connected peer, by id; at most `max_connections`. And the rooms of all peers that have not gone.
#[derive(Debug)]
pub(super) struct Registry<T> {
    peers: Mutex<HashMap<PeerId, T>>,
    /// Held while a broadcast is queued for its peers.
    order: Mutex<()>,
    rooms: Rooms,
    /// Where one message reaches all of them, where they are the clients of a topic.
    topic: Option<(Arc<ConnectionShared>, Topic)>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            peers: Mutex::default(),
            order: Mutex::default(),
            rooms: Rooms::default(),
            topic: None,
        }
    }
}

impl<T> Registry<T> {
    /// Of the clients of this topic, by the connection to its broker.
    pub(super) fn of_topic(connection: &Arc<ConnectionShared>, topic: Topic) -> Self {
        Self {
            topic: Some((Arc::clone(connection), topic)),
            ..Self::default()
        }
    }

    /// Where one message reaches all of them; `None` where each has a connection of its own.
    pub(super) fn topic(&self) -> Option<(&Arc<ConnectionShared>, &Topic)> {
        let (connection, topic) = self.topic.as_ref()?;
        Some((connection, topic))
    }
}

impl<T: Clone> Registry<T> {
    pub(super) fn insert(&self, id: PeerId, peer: T) {
        self.lock().insert(id, peer);
    }

    pub(super) fn remove(&self, id: PeerId) {
        self.lock().remove(&id);
    }

    /// Removes the peer with this id, where it is the one that is meant.
    pub(super) fn remove_where(&self, id: PeerId, is_meant: impl FnOnce(&T) -> bool) {
        let mut peers = self.lock();
        if peers.get(&id).is_some_and(is_meant) {
            peers.remove(&id);
        }
    }

    pub(super) fn get(&self, id: PeerId) -> Option<T> {
        self.lock().get(&id).cloned()
    }

    /// Of these, the peers of this moment.
    pub(super) fn those(&self, ids: &[PeerId]) -> Vec<T> {
        let peers = self.lock();
        ids.iter().filter_map(|id| peers.get(id).cloned()).collect()
    }

    pub(super) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether any peer of this moment is so.
    pub(super) fn any(&self, is_so: impl Fn(&T) -> bool) -> bool {
        self.lock().values().any(is_so)
    }

    /// Every peer of this moment.
    pub(super) fn all(&self) -> Vec<T> {
        self.lock().values().cloned().collect()
    }

    /// Keeps other broadcasts, those to rooms too, from being queued, so that all peers hear any two of them in one order. No code of
    /// the application may run meanwhile: it might broadcast.
    pub(super) fn lock_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, T>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
