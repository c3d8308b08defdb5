//! The registry of connected peers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::PeerId;

/// Every connected peer, by id; at most `max_connections`.
#[derive(Debug)]
pub(super) struct Registry<T> {
    peers: Mutex<HashMap<PeerId, T>>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            peers: Mutex::default(),
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

    /// Every peer of this moment.
    pub(super) fn all(&self) -> Vec<T> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, T>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
