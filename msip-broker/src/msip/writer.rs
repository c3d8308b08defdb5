//! The writer: what the outbox of a session has goes to its peer.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use bytes::Bytes;
use msip_runtime::{
    CallError, CallOptions, Code, Compression, SendError,
    untyped::{Handle, UntypedMessage, UntypedPeer, UntypedSender},
};
use msip_session::wire::{self, Flags, HEADER_LEN, Header};
use tokio::{task::yield_now, time::timeout};

#[cfg(feature = "middleman")]
use super::foreign_pass;
use super::{
    Shared,
    call::{self, Call, Instance, is_of_connection},
    heard_at::HeardAt,
    link::{Link, LinkWatch},
    open_work::OpenWork,
    presence,
    reader::CHECK,
    unsent::{Acknowledged, Unsent},
};
use crate::router::{
    ClientAt, Delivery, EndReason, Failed, OutboxItem, Publication, Refused, SessionHandle,
    WakeList,
};

/// How many bytes are taken from an outbox at once.
const TAKE: usize = 64 * 1024;

/// How many deliveries and calls a session has open, at most, before more is taken from its outbox.
const MAX_OPEN: usize = 4096;

/// How long an acknowledgment is waited for: the session's expiry ends the wait earlier.
const ACKNOWLEDGED_WITHIN: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// What a peer is sent.
pub(super) struct Writer<'a> {
    shared: &'a Arc<Shared>,
    session: &'a SessionHandle,
    handle: Handle,
    sender: UntypedSender,
    link: &'a Link,
    watch: LinkWatch,
    /// Deliveries and calls that are open.
    open: Arc<Mutex<OpenWork>>,
    instance: Arc<Instance>,
    heard_at: HeardAt,
    /// Deliveries for which there was no connection.
    unsent: Arc<Unsent>,
    /// The number of the next delivery.
    next: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        session: &'a SessionHandle,
        peer: &UntypedPeer,
        link: &'a Link,
    ) -> Self {
        let open = OpenWork::default();
        let instance = Instance {
            shared: Arc::clone(shared),
            work: open.starter(),
        };
        Self {
            shared,
            session,
            handle: peer.handle().clone(),
            sender: peer.sender(),
            link,
            watch: link.watch(),
            open: Arc::new(Mutex::new(open)),
            instance: Arc::new(instance),
            heard_at: HeardAt::default(),
            unsent: Arc::default(),
            next: 0,
        }
    }

    /// Writes until the session has ended, and passes on the answers to what was written. Returns why, where the router has
    /// ended it, or the peer takes nothing.
    pub(super) async fn run(&mut self) -> EndReason {
        let open = Arc::clone(&self.open);
        let mut writing = pin!(self.write_all());
        poll_fn(|task| {
            let written = writing.as_mut().poll(task);
            // Also while the peer takes nothing: the answers are for others.
            let _ = locked(&open).poll(task);
            written
        })
        .await
    }

    async fn write_all(&mut self) -> EndReason {
        let mut taken = Vec::new();
        let reason = loop {
            if !self.watch.connected().await {
                break EndReason::Closed;
            }
            match self.take(&mut taken).await {
                Take::Items | Take::Unsent => {}
                Take::ConnectionLost => continue,
                Take::Ended(reason) => return reason,
            }
            let written = self.unless_ended(&mut taken).await;
            match written {
                Some(Ok(())) => {}
                Some(Err(SendError::Full)) => {
                    // For `write_timeout` the peer has taken nothing.
                    return EndReason::SlowConsumer;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "messages for a peer are not sent");
                    // The connection was lost: the reader hears of it first.
                    yield_now().await;
                }
                None => return EndReason::SlowConsumer,
            }
            self.fewer_than(MAX_OPEN).await;
        };
        // The runtime has ended what was open: whoever waits is told.
        let _ = Box::pin(timeout(CHECK, self.fewer_than(1))).await;
        while let Some(unsent) = self.unsent.pop() {
            let error = CallError::NotSent(SendError::Disconnected);
            failed(self.shared, self.session, unsent, &error);
        }
        reason
    }

    /// Takes what waits, while there is a connection, and nothing that came before is to be sent.
    async fn take(&mut self, taken: &mut Vec<OutboxItem>) -> Take {
        let Self {
            shared,
            session,
            watch,
            unsent,
            ..
        } = self;
        let some = poll_fn(|task| unsent.poll_some(task));
        let next = poll_fn(|task| session.poll_take(shared.now(), TAKE, taken, task));
        tokio::select! {
            biased;
            () = some => Take::Unsent,
            took = next => match took {
                Ok(()) => Take::Items,
                Err(reason) => Take::Ended(reason),
            },
            () = watch.lost() => Take::ConnectionLost,
        }
    }

    /// Waits until fewer deliveries and calls are open.
    async fn fewer_than(&self, count: usize) {
        poll_fn(|task| locked(&self.open).poll_fewer_than(count, task)).await;
    }

    /// Writes what was taken. `None` where the router has ended the session meanwhile.
    async fn unless_ended(&mut self, taken: &mut Vec<OutboxItem>) -> Option<Result<(), SendError>> {
        let (session, link) = (self.session, self.link);
        // In a box, which is there as long as there is something to write: it is large, and most of its life a peer is silent.
        let mut writing = Box::pin(self.write(taken));
        // Nearly always there is room, and no time to be kept.
        let first = poll_fn(|task| Poll::Ready(writing.as_mut().poll(task))).await;
        if let Poll::Ready(written) = first {
            return Some(written);
        }
        loop {
            // In a box too: a silent peer needs no place for the timer.
            if let Ok(written) = Box::pin(timeout(CHECK, writing.as_mut())).await {
                return Some(written);
            }
            if link.is_connected() && !session.is_connected() {
                return None;
            }
        }
    }

    /// Writes what was not sent before and what was taken, and flushes.
    async fn write(&mut self, taken: &mut Vec<OutboxItem>) -> Result<(), SendError> {
        let mut written = Ok(());
        for item in taken.drain(..) {
            self.write_unsent().await;
            match self.write_item(item).await {
                Err(SendError::Full) => return Err(SendError::Full),
                // What comes after it may be for acknowledgment, and is sent by the next connection.
                Err(error) => written = Err(error),
                Ok(()) => {}
            }
        }
        self.write_unsent().await;
        self.sender.flush().await?;
        written
    }

    /// Writes what was not sent before, unless the session ends.
    async fn write_unsent(&mut self) {
        while !self.unsent.is_empty() && self.watch.connected().await {
            let Some(unsent) = self.unsent.pop() else {
                return;
            };
            let number = unsent.number;
            self.begin(unsent);
            if self.unsent.contains(number) {
                // The connection is lost, and the reader has not heard of it yet.
                yield_now().await;
            }
        }
    }

    /// Flushes what is before something else, which goes on where that could not be sent.
    async fn flush_before(&mut self) -> Result<(), SendError> {
        match self.sender.flush().await {
            Err(SendError::Full) => Err(SendError::Full),
            Err(error) => {
                tracing::debug!(%error, "messages for a peer are not sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn write_item(&mut self, item: OutboxItem) -> Result<(), SendError> {
        match item {
            OutboxItem::Publication(delivery) => self.deliver(delivery).await?,
            OutboxItem::Exchange(assigned) => {
                self.flush_before().await?;
                let heard_at = assigned
                    .client()
                    .map(|client| self.heard_at.topic_of(client));
                let at = match heard_at.transpose() {
                    Ok(at) => at.cloned(),
                    Err(status) => {
                        call::refuse(*assigned, status);
                        return Ok(());
                    }
                };
                if let Some((call, attempt)) = call::take_apart(*assigned, at) {
                    let (service, shared) = (self.handle.clone(), Arc::clone(self.shared));
                    match call {
                        Call::Msip(call) => {
                            let left = call::relay(call, attempt, &service, &self.instance);
                            if let Some((call, attempt)) = left {
                                let work = call::pass_on(call, attempt, service, shared);
                                locked(&self.open).begin(work);
                            }
                        }
                        #[cfg(feature = "middleman")]
                        Call::Foreign(call) => {
                            let session = self.session.clone();
                            locked(&self.open).begin(async move {
                                foreign_pass::pass_on(call, attempt, session, service, &shared)
                                    .await;
                            });
                        }
                    }
                }
            }
            OutboxItem::Presence(presence) => {
                let Ok(message) = presence::announcement(&presence) else {
                    return Ok(());
                };
                self.sender.push(&message).await?;
            }
            OutboxItem::TopicSpoken(spoken) => {
                let Ok(message) = presence::topic_spoken(&spoken) else {
                    return Ok(());
                };
                self.sender.push(&message).await?;
            }
            OutboxItem::SubscriptionEnded(filter, why) => {
                let Ok(message) = presence::subscription_ended(&filter, why) else {
                    return Ok(());
                };
                self.sender.flush().await?;
                self.handle.send(&message, &CallOptions::new()).await?;
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), SendError> {
        let publication = &delivery.publication;
        if publication.wants_ack {
            self.flush_before().await?;
            for frame in publication.iter() {
                self.begin_delivery(delivery.clone(), frame);
            }
            return Ok(());
        }
        if is_bare(publication.frames.first_chunk()) {
            let pushed = match &delivery.client {
                Some(client) => match self.heard_at.topic_of(client) {
                    Ok(topic) => {
                        self.sender
                            .push_frames_at(topic.as_str(), &publication.frames)
                            .await
                    }
                    Err(status) => Err(SendError::Refused(status).into()),
                },
                None => self.sender.push_frames(&publication.frames).await,
            };
            return match pushed {
                Ok(too_large) => {
                    self.not_sent(&delivery, too_large);
                    Ok(())
                }
                Err(msip_runtime::PushFramesError::NotSent(error)) => Err(error),
                Err(error) => {
                    tracing::debug!(%error, "a publication is not sent");
                    self.not_sent(&delivery, publication.count as usize);
                    Ok(())
                }
            };
        }
        self.sender.flush().await?;
        for frame in publication.iter() {
            let at = delivery.client.as_ref();
            let Some((message, options)) = self.message(frame, publication, at) else {
                self.not_sent(&delivery, 1);
                continue;
            };
            match self.handle.send(&message, &options).await {
                Err(
                    error @ (SendError::TooLarge { .. }
                    | SendError::Unwritable(_)
                    | SendError::Metadata(_)),
                ) => {
                    tracing::debug!(%error, "a message is not sent");
                    self.not_sent(&delivery, 1);
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    /// So many messages are larger than the peer accepts, or cannot be inflated for it. They take no more of a window.
    fn not_sent(&self, delivery: &Delivery, count: usize) {
        if count > 0 {
            self.session.count_dropped(count);
            finished_with(self.session, delivery, count);
        }
    }

    /// The message of a frame, and its metadata.
    fn message(
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

    /// Sends a message that is to be acknowledged, and waits for that beside others.
    fn begin_delivery(&mut self, delivery: Delivery, frame: Bytes) {
        let at = delivery.client.as_ref();
        let Some((message, options)) = self.message(frame.clone(), &delivery.publication, at)
        else {
            return self.not_sent(&delivery, 1);
        };
        let number = self.next;
        self.next += 1;
        self.begin(Acknowledged {
            number,
            delivery,
            frame,
            message,
            options: options.timeout(ACKNOWLEDGED_WITHIN),
        });
    }

    /// The same, for one that may have been tried before.
    fn begin(&self, sent: Acknowledged) {
        let (handle, shared) = (self.handle.clone(), Arc::clone(self.shared));
        let (session, unsent) = (self.session.clone(), Arc::clone(&self.unsent));
        locked(&self.open).begin(async move {
            match handle.deliver(&sent.message, &sent.options).await {
                Ok(()) => {}
                // Not by itself when there is a connection again: those that wait for one are woken in any order.
                Err(CallError::NotSent(error)) if lacks_connection(&error) => unsent.put(sent),
                Err(error) => failed(&shared, &session, sent, &error),
            }
        });
    }
}

/// Whether a message was not sent since there is no connection, or no session: it is for the reader to say which.
fn lacks_connection(error: &SendError) -> bool {
    !matches!(error, SendError::Full) && is_of_connection(error)
}

/// A message was not acknowledged.
fn failed(shared: &Shared, session: &SessionHandle, sent: Acknowledged, error: &CallError) {
    if let CallError::NotSent(_) = error {
        finished_with(session, &sent.delivery, 1);
    }
    let failed = Failed {
        delivery: &sent.delivery,
        frame: sent.frame,
        why: refused(error),
    };
    let (now, mut wakes) = (shared.now(), WakeList::new());
    shared.router.failed(session, failed, now, &mut wakes);
}

fn locked(open: &Mutex<OpenWork>) -> MutexGuard<'_, OpenWork> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The peer is not to say that it has finished with so many messages.
fn finished_with(session: &SessionHandle, delivery: &Delivery, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    match &delivery.client {
        Some(client) => session.credit(&client.topic, client.peer(), count),
        None => session.credit(&delivery.publication.topic, "", count),
    }
}

/// What there was to be taken.
enum Take {
    Items,
    /// Something is to be sent again first.
    Unsent,
    ConnectionLost,
    Ended(EndReason),
}

/// Whether the first frame of a publication, and so each of them, has nothing but a topic and a body.
fn is_bare(header: Option<&[u8; HEADER_LEN]>) -> bool {
    header
        .is_some_and(|header| Header::parse(header).is_ok_and(|header| header.flags == Flags::NONE))
}

/// What a receiver has answered, or why it was not asked.
fn refused(error: &CallError) -> Refused {
    let (code, text) = match error {
        CallError::Status(status) => (status.code(), status.message().to_owned()),
        error => (error.code(), error.to_string()),
    };
    let code: Code = code;
    Refused {
        code,
        text: text.into(),
    }
}
