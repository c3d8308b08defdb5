//! What the writer of a session and its open work have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use msip_runtime::{
    CallOptions, Compression,
    untyped::{Handle, UntypedMessage},
};
use msip_session::wire;

use super::{Shared, link::Link, open_work::OpenWork, presence};
use crate::router::{ClientAt, Delivery, Publication, SessionHandle};

/// What goes to a session.
pub(super) struct Outgoing<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) session: &'a SessionHandle,
    pub(super) link: &'a Link,
    pub(super) handle: Handle,
    /// Deliveries and calls that are open.
    open: Mutex<OpenWork>,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        session: &'a SessionHandle,
        link: &'a Link,
        handle: Handle,
    ) -> Self {
        Self {
            shared,
            session,
            link,
            handle,
            open: Mutex::default(),
        }
    }

    pub(super) fn open(&self) -> MutexGuard<'_, OpenWork> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many messages are larger than the peer accepts, or cannot be inflated for it. They take no more of a window.
    pub(super) fn not_sent(&self, delivery: &Delivery, count: usize) {
        if count > 0 {
            self.session.count_dropped(count);
            finished_with(self.session, delivery, count);
        }
    }

    /// The message of a frame, and its metadata.
    pub(super) fn message(
        &self,
        frame: Bytes,
        publication: &Arc<Publication>,
        client: Option<&ClientAt>,
    ) -> Option<(UntypedMessage, CallOptions)> {
        let compression = match publication.compression {
            wire::Compression::None => Compression::None,
            wire::Compression::Gzip => Compression::Gzip,
            wire::Compression::Zstd => Compression::Zstd,
            wire::Compression::Lz4 => Compression::Lz4,
        };
        let max_body = self.shared.router.limits().outgoing_bytes;
        let (mut message, options) = UntypedMessage::from_frame(frame, compression, max_body)?;
        let is_compressed = message.compression() != Compression::None;
        // Where it cannot be inflated, sending it says why.
        if is_compressed
            && message.compression() != self.handle.compression()
            && let Some(body) = self
                .shared
                .router
                .inflated(publication, || message.body().ok())
        {
            let topic = message.topic().to_owned();
            let inflated = UntypedMessage::new(message.variant(), body);
            message = inflated.to_topic(topic).ok()?;
        }
        match client {
            Some(client) => {
                let topic = presence::topic_of(client).ok()?;
                Some((message.to_known_topic(topic), options))
            }
            None => Some((message, options)),
        }
    }
}

/// The peer is not to say that it has finished with so many messages.
pub(super) fn finished_with(session: &SessionHandle, delivery: &Delivery, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    match &delivery.client {
        Some(client) => session.credit(&client.topic, client.peer(), count),
        None => session.credit(&delivery.publication.topic, "", count),
    }
}
