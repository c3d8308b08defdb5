//! What the writer of a session and its open work have in common.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use msip_runtime::{
    CallOptions, Compression,
    untyped::{Handle, UntypedMessage},
};
use msip_session::wire;

use super::{
    Shared, call::Instance, delivery_queue::Deliveries, link::Link, open_work::OpenWork, presence,
};
use crate::router::{ClientAt, Delivery, Publication, SessionHandle};

/// What goes to a session.
pub(super) struct Outgoing<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) session: &'a SessionHandle,
    pub(super) link: &'a Link,
    pub(super) handle: Handle,
    /// Deliveries that are not sent. They are locked before the open work.
    deliveries: Mutex<Deliveries>,
    /// Deliveries and calls that are open.
    open: Mutex<OpenWork>,
    /// What the calls that were passed on have in common.
    pub(super) instance: Arc<Instance>,
    /// The writer waits for something to write. It runs in the task of whoever asks.
    is_written: AtomicBool,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        session: &'a SessionHandle,
        link: &'a Link,
        handle: Handle,
    ) -> Self {
        let open = OpenWork::default();
        let instance = Instance {
            shared: Arc::clone(shared),
            work: open.starter(),
        };
        Self {
            shared,
            session,
            link,
            handle,
            deliveries: Mutex::default(),
            open: Mutex::new(open),
            instance: Arc::new(instance),
            is_written: AtomicBool::new(false),
        }
    }

    pub(super) fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was taken is written, or not.
    pub(super) fn set_written(&self, is_written: bool) {
        self.is_written.store(is_written, Relaxed);
    }

    /// Whether nothing is to be written, and nothing that was is open.
    pub(super) fn is_silent(&self) -> bool {
        // Each call that was passed on has the instance.
        self.is_written.load(Relaxed)
            && Arc::strong_count(&self.instance) == 1
            && self.deliveries().is_empty()
            && self.open().len() == 0
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
