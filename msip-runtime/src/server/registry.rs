//! The registry of connected peers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::members::Rooms;
use crate::PeerId;

/// Every connected peer, by id; at most `max_connections`. And the rooms of all peers that have not gone.
#[derive(Debug)]
pub(super) struct Registry<T> {
    peers: Mutex<HashMap<PeerId, T>>,
    rooms: Rooms,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            peers: Mutex::default(),
            rooms: Rooms::default(),
        }
    }
}

impl<T: Clone> Registry<T> {
    pub(super) fn insert(&self, id: PeerId, peer: T) {
        self.lock().insert(id, peer);
    }

    pub(super) fn remove(&self, id: PeerId) {
        self.lock().remove(&id);
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

    /// Every peer of this moment.
    pub(super) fn all(&self) -> Vec<T> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, T>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
