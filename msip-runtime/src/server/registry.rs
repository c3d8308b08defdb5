//! The registry of connected peers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Peer, PeerId};
use crate::Protocol;

/// Every connected peer, by id; at most `max_connections`.
#[derive(Debug)]
pub(super) struct Registry<P: Protocol> {
    peers: Mutex<HashMap<PeerId, Peer<P>>>,
}

impl<P: Protocol> Default for Registry<P> {
    fn default() -> Self {
        Self {
            peers: Mutex::default(),
        }
    }
}

impl<P: Protocol> Registry<P> {
    pub(super) fn insert(&self, peer: Peer<P>) {
        self.lock().insert(peer.id(), peer);
    }

    pub(super) fn remove(&self, id: PeerId) {
        self.lock().remove(&id);
    }

    pub(super) fn get(&self, id: PeerId) -> Option<Peer<P>> {
        self.lock().get(&id).cloned()
    }

    /// Every peer of this moment.
    pub(super) fn all(&self) -> Vec<Peer<P>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Peer<P>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
