//! What an outbox has for an instance of a typed service: its clients, and what waits of each.

use std::task::Context;

use super::{Outbox, OutboxItem, Rejected, Status, peers::PeerQueues};
use crate::router::{
    ClientAt, EndReason, Limits, SessionKey, WakeList, fault_injection::FaultInjection,
};

impl Outbox {
    /// Adds what a client has sent to an instance that hears it apart. Returns whether that client should wait.
    pub(super) fn push_of_client(
        &mut self,
        item: OutboxItem,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Result<bool, (Rejected, OutboxItem)> {
        let (bytes, count) = item.size();
        let most = self.capacity(limits);
        let peers = self.peers.as_ref();
        // Where an older STATE has a place, a newer one has it too.
        let is_newer = peers.is_some_and(|peers| peers.has_older_state(&item));
        let has_place = peers.is_none_or(|peers| peers.has_place_for(&item));
        let is_full =
            !has_place || self.bytes() + bytes > most.bytes || self.count() + count > most.count;
        if is_full && !is_newer && !FaultInjection::CrowdOthers.is_on() {
            self.queue.drop_counted(count);
            return Err((Rejected::Crowded, item));
        }
        self.queued = self.queued.saturating_add(count as u64);
        let peers = self.peers.get_or_insert_default();
        let is_long = peers.push(self.key, item, limits.outgoing_bytes);
        self.wake_writer(wakes);
        Ok(is_long && self.status == Status::Connected)
    }

    /// Changes what waits of clients.
    fn with_peers<T>(
        &mut self,
        wakes: &mut WakeList,
        change: impl FnOnce(&mut PeerQueues, SessionKey) -> T,
    ) -> T {
        let changed = change(self.peers.get_or_insert_default(), self.key);
        self.wake_writer(wakes);
        changed
    }

    /// The instance is introduced to a client, if it does not know it.
    pub(in crate::router) fn introduce(&mut self, client: &ClientAt, wakes: &mut WakeList) {
        self.with_peers(wakes, |peers, key| peers.introduce(client, key));
    }

    /// The instance looks after a client from here on.
    pub(in crate::router) fn look_after(&mut self, client: &ClientAt, wakes: &mut WakeList) {
        self.with_peers(wakes, |peers, key| peers.look_after(client, key));
    }

    /// Whether the instance knows a client.
    pub(in crate::router) fn knows(&self, client: &ClientAt) -> bool {
        let peers = self.peers.as_ref();
        peers.is_some_and(|peers| peers.knows(&client.topic, client.peer()))
    }

    /// A client has gone from a topic.
    pub(in crate::router) fn client_gone(&mut self, client: &ClientAt, wakes: &mut WakeList) {
        if self.knows(client) {
            let peers = self.peers.get_or_insert_default();
            peers.client_gone(&client.topic, &client.client, wakes);
            self.wake_writer(wakes);
        }
    }

    /// The instance serves these topics no longer. Returns what waited that others could have, and the clients that it knew.
    pub(in crate::router) fn leave(
        &mut self,
        is_left: impl FnMut(&[u8]) -> bool,
        wakes: &mut WakeList,
    ) -> (Vec<OutboxItem>, Vec<ClientAt>) {
        match &mut self.peers {
            Some(peers) => peers.leave(is_left, wakes),
            None => Default::default(),
        }
    }

    /// Wakes `task` when less waits of a client; `false` where it need not wait.
    pub(in crate::router) fn wait_for_client(
        &mut self,
        topic: &[u8],
        peer: &str,
        limits: &Limits,
        task: &mut Context<'_>,
    ) -> bool {
        self.status == Status::Connected
            && self.peers.as_mut().is_some_and(|peers| {
                peers.wait_until_short(topic, peer, limits.outgoing_bytes, task.waker())
            })
    }

    /// The same, with the clients that it knew.
    pub(in crate::router) fn end_with_clients(
        &mut self,
        reason: EndReason,
        writer_returns: bool,
        wakes: &mut WakeList,
    ) -> (Vec<OutboxItem>, Vec<ClientAt>) {
        let known = self.peers.as_ref().map(|peers| peers.clients());
        let left = self.end(reason, writer_returns, wakes);
        (left, known.unwrap_or_default())
    }
}
