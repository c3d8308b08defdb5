//! What waits of each client, for tests.

use bytes::Bytes;

use super::PeerQueues;
use crate::router::{Presence, SessionKey, outbox::OutboxItem};

/// What waits of a client at an instance.
pub(in crate::router) struct ShownPeer<'a> {
    pub(in crate::router) topic: Bytes,
    pub(in crate::router) client: SessionKey,
    pub(in crate::router) first: Vec<&'a Presence>,
    pub(in crate::router) lanes: [Vec<&'a OutboxItem>; 3],
    pub(in crate::router) is_gone: bool,
    pub(in crate::router) sent: usize,
}

impl PeerQueues {
    /// What waits of each client, and how many messages the instance has not finished with.
    pub(in crate::router) fn shown(&self) -> Vec<ShownPeer<'_>> {
        let all = self.queues.iter().map(|(_, queue)| ShownPeer {
            topic: queue.topic.clone(),
            client: queue.client.key,
            first: queue.first.iter().map(|it| &**it).collect(),
            lanes: queue.waiting.as_ref().map_or_else(
                || [Vec::new(), Vec::new(), Vec::new()],
                |waiting| waiting.queue.lanes(),
            ),
            is_gone: queue.last.is_some(),
            sent: queue.sent.as_ref().map_or(0, |sent| sent.messages()),
        });
        all.collect()
    }
}
