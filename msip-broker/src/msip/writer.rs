//! The writer: what the outbox of a session has goes to its peer.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use msip_runtime::{
    CallOptions, SendError,
    untyped::{UntypedPeer, UntypedSender},
};
use msip_session::wire::{Flags, HEADER_LEN, Header};
use tokio::{task::yield_now, time::timeout};

#[cfg(feature = "middleman")]
use super::foreign_pass;
use super::{
    call::{self, Attempt, Call, MsipCall},
    deliveries::lacks_connection,
    delivery_queue::Unsent,
    heard_at::HeardAt,
    outgoing::Outgoing,
    presence,
};
use crate::router::{Assigned, Delivery, EndReason, OutboxItem, WakeList};

/// How many bytes are taken from an outbox at once.
pub(super) const TAKE: usize = 64 * 1024;

/// How many deliveries and calls a session has open, at most, before more is taken from its outbox.
const MAX_OPEN: usize = 4096;

/// How long what was open when a session has ended may take to hear of it.
const FINISH_WITHIN: Duration = Duration::from_millis(250);

/// What a peer is sent.
pub(super) struct Writer<'a> {
    out: &'a Outgoing<'a>,
    sender: UntypedSender,
    heard_at: HeardAt,
    /// What was taken and is not sent, but for deliveries whose turn has come.
    taken: VecDeque<OutboxItem>,
}

impl<'a> Writer<'a> {
    /// One that begins with what was `taken` before.
    pub(super) fn new(out: &'a Outgoing<'a>, peer: &UntypedPeer, taken: Vec<OutboxItem>) -> Self {
        Self {
            out,
            sender: peer.sender(),
            heard_at: HeardAt::default(),
            taken: taken.into(),
        }
    }

    /// Writes, and passes on the answers to what was written, until the router has ended the session, or the peer takes nothing.
    /// Returns why.
    ///
    /// # Cancel safety
    ///
    /// What is not sent by then is returned by [`take_unsent`](Self::take_unsent).
    pub(super) async fn run(&mut self) -> EndReason {
        let out = self.out;
        let mut writing = pin!(self.write_all());
        poll_fn(|task| {
            out.deliveries().poll(out, task);
            let written = writing.as_mut().poll(task);
            // Also while the peer takes nothing: the answers are for others.
            let _ = out.open().poll(task);
            written
        })
        .await
    }

    /// Passes on the answers to what was written, and writes no more.
    pub(super) async fn pass_on_until<T>(
        &mut self,
        mut ended: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        let out = self.out;
        poll_fn(|task| {
            let ended = ended.as_mut().poll(task);
            let _ = out.open().poll(task);
            ended
        })
        .await
    }

    /// The session has ended, and with it all that was open: whoever waits for that is told.
    pub(super) async fn finish(&mut self) {
        let out = self.out;
        let all = poll_fn(|task| out.open().poll(task));
        // What is left is answered as it is dropped.
        let _ = timeout(FINISH_WITHIN, all).await;
    }

    /// What was taken and is not sent, in its order.
    pub(super) fn take_unsent(&mut self) -> Vec<OutboxItem> {
        let deliveries = self.out.deliveries().take();
        let deliveries = deliveries.into_iter().map(Unsent::into_item);
        deliveries.chain(self.taken.drain(..)).collect()
    }

    async fn write_all(&mut self) -> EndReason {
        loop {
            if !self.out.link.is_connected() {
                self.leave_to_others();
                self.out.link.connected().await;
            }
            if self.taken.is_empty() {
                match self.take().await {
                    Take::Items => {}
                    Take::ConnectionLost => continue,
                    Take::Ended(reason) => return reason,
                }
            }
            match self.unless_ended().await {
                Ok(Ok(())) => {}
                // For `write_timeout` the peer has taken nothing.
                Ok(Err(SendError::Full)) => return EndReason::SlowConsumer,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "messages for a peer are not sent");
                    // The connection is lost, which the reader has not heard of yet.
                    let since = self.out.deliveries().stuck_since();
                    match since {
                        Some(changes) => self.out.link.changed(changes).await,
                        None => yield_now().await,
                    }
                }
                Err(reason) => return reason,
            }
        }
    }

    /// The connection was lost before all that was taken was sent. As with what was not taken, others get what they can have, and of
    /// the rest only that is kept which is to wait.
    fn leave_to_others(&mut self) {
        if self.taken.is_empty() && self.out.deliveries().is_empty() {
            return;
        }
        let (shared, mut returned) = (self.out.shared, Vec::new());
        for item in self.take_unsent() {
            if item.is_for_one() {
                returned.push(item);
            } else if item.is_kept_while_away() {
                self.taken.push_back(item);
            } else if let OutboxItem::Publication(delivery) = item {
                let count = delivery.publication.count as usize;
                self.out.session.count_dropped(count);
            }
        }
        let mut wakes = WakeList::new();
        shared
            .router
            .return_unsent(returned, shared.now(), &mut wakes);
    }

    /// Takes what waits, while there is a connection.
    async fn take(&mut self) -> Take {
        let Self {
            out, sender, taken, ..
        } = self;
        let next = poll_fn(|task| {
            // It is empty, so that nothing moves.
            let mut items = Vec::from(std::mem::take(taken));
            let now = out.shared.now();
            let took = out.session.poll_take(now, TAKE, &mut items, task);
            *taken = items.into();
            out.set_written(took.is_pending() && sender.buffered() == 0);
            took
        });
        tokio::select! {
            biased;
            took = next => match took {
                Ok(()) => Take::Items,
                Err(reason) => Take::Ended(reason),
            },
            () = out.link.lost() => Take::ConnectionLost,
        }
    }

    /// Writes what was taken, unless the router ends the session meanwhile.
    async fn unless_ended(&mut self) -> Result<Result<(), SendError>, EndReason> {
        let session = self.out.session;
        // In a box, which is there as long as there is something to write: it is large, and most of its life a peer is silent.
        let mut writing = Box::pin(self.write());
        poll_fn(|task| match writing.as_mut().poll(task) {
            Poll::Ready(written) => Poll::Ready(Ok(written)),
            Poll::Pending => session.poll_ended(task).map(Err),
        })
        .await
    }

    /// Writes what was taken, and flushes. Dropped, or without a connection, it leaves what is not sent.
    async fn write(&mut self) -> Result<(), SendError> {
        let mut written = Ok(());
        while let Some(item) = self.next_item().await? {
            match self.write_item(item).await {
                Err(SendError::Full) => return Err(SendError::Full),
                // What comes after it may be for acknowledgment, and is sent by the next connection.
                Err(error) => written = Err(error),
                Ok(()) => {}
            }
        }
        self.sender.flush().await?;
        self.fewer_than_most().await;
        written
    }

    /// What is to be written next, once it is its turn.
    async fn next_item(&mut self) -> Result<Option<OutboxItem>, SendError> {
        match self.taken.front() {
            None => return Ok(None),
            Some(OutboxItem::Publication(delivery)) if delivery.publication.wants_ack => {
                self.flush_before().await?;
            }
            // A call does not wait for the capacity that messages wait for.
            Some(OutboxItem::Exchange(_)) => self.flush_before().await?,
            Some(_) => self.deliveries_sent().await?,
        }
        Ok(self.taken.pop_front())
    }

    /// Waits until all deliveries are sent that were taken before.
    async fn deliveries_sent(&mut self) -> Result<(), SendError> {
        let out = self.out;
        // They are polled before this, by the same task.
        poll_fn(|_| {
            let deliveries = out.deliveries();
            if deliveries.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match deliveries.stuck_since() {
                Some(_) => Poll::Ready(Err(SendError::Disconnected)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until fewer deliveries and calls are open than may be, and fewer wait than in an outbox.
    async fn fewer_than_most(&mut self) {
        let out = self.out;
        let limits = out.shared.router.limits();
        poll_fn(|task| {
            let (waiting, bytes) = {
                let deliveries = out.deliveries();
                (deliveries.len(), deliveries.bytes())
            };
            if waiting >= limits.outgoing_messages || bytes > limits.outgoing_bytes {
                // They are polled before this, by the same task.
                return Poll::Pending;
            }
            let most = MAX_OPEN.saturating_sub(waiting);
            out.open().poll_fewer_than(most, task)
        })
        .await;
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
            OutboxItem::Exchange(assigned) => self.pass_on_calls(*assigned),
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
                self.out.handle.send(&message, &CallOptions::new()).await?;
            }
        }
        Ok(())
    }

    /// Makes a call at the instance, and with it those that were taken right behind it.
    fn pass_on_calls(&mut self, first: Assigned) {
        let out = self.out;
        let mut calls = Vec::with_capacity(self.taken.len() + 1);
        let mut next = Some(first);
        while let Some(assigned) = next.take() {
            match self.heard(assigned) {
                Some((Call::Msip(mut call), attempt)) if call.call.requests.is_none() => {
                    call::pass_on_to(&mut call, attempt, &out.instance);
                    calls.push(call);
                }
                Some((call, attempt)) => {
                    // What comes before it goes first.
                    self.relay_all(std::mem::take(&mut calls));
                    match call {
                        Call::Msip(call) => self.begin(call, attempt),
                        #[cfg(feature = "middleman")]
                        Call::Foreign(call) => {
                            let (session, service) = (out.session.clone(), out.handle.clone());
                            let shared = Arc::clone(out.shared);
                            out.open().begin(async move {
                                foreign_pass::pass_on(call, attempt, session, service, &shared)
                                    .await;
                            });
                        }
                    }
                }
                None => {}
            }
            if let Some(OutboxItem::Exchange(_)) = self.taken.front()
                && let Some(OutboxItem::Exchange(assigned)) = self.taken.pop_front()
            {
                next = Some(*assigned);
            }
        }
        self.relay_all(calls);
    }

    /// A call as the instance hears it. It is answered where it cannot be sent.
    fn heard(&mut self, assigned: Assigned) -> Option<(Call, Attempt)> {
        let client = assigned.client();
        let at = client.map(|client| self.heard_at.topic_of(client).cloned());
        match at.transpose() {
            Ok(at) => call::take_apart(assigned, at),
            Err(status) => {
                call::refuse(assigned, status);
                None
            }
        }
    }

    #[expect(
        clippy::vec_box,
        reason = "a call stays where it was received until it is answered"
    )]
    fn relay_all(&self, calls: Vec<Box<MsipCall>>) {
        if !calls.is_empty() {
            call::relay_all(calls, &self.out.handle, |call, attempt| {
                self.begin(call, attempt);
            });
        }
    }

    /// Makes a call that takes its time.
    fn begin(&self, call: Box<MsipCall>, attempt: Attempt) {
        let (service, shared) = (self.out.handle.clone(), Arc::clone(self.out.shared));
        let work = call::pass_on(call, attempt, service, shared);
        self.out.open().begin(work);
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), SendError> {
        let out = self.out;
        let publication = &delivery.publication;
        if publication.wants_ack {
            for frame in publication.iter() {
                let delivery = delivery.clone();
                out.deliveries().push(Unsent { delivery, frame });
            }
            // At once, so that they keep their turn.
            poll_fn(|task| {
                out.deliveries().poll(out, task);
                Poll::Ready(())
            })
            .await;
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
                    out.not_sent(&delivery, too_large);
                    Ok(())
                }
                Err(msip_runtime::PushFramesError::NotSent(error)) => {
                    self.dropped_without_connection(&error, publication.count as usize);
                    Err(error)
                }
                Err(error) => {
                    tracing::debug!(%error, "a publication is not sent");
                    out.not_sent(&delivery, publication.count as usize);
                    Ok(())
                }
            };
        }
        self.sender.flush().await?;
        for frame in publication.iter() {
            let at = delivery.client.as_ref();
            let Some((message, options)) = out.message(frame, publication, at) else {
                out.not_sent(&delivery, 1);
                continue;
            };
            match self.out.handle.send(&message, &options).await {
                Err(
                    error @ (SendError::TooLarge { .. }
                    | SendError::Unwritable(_)
                    | SendError::Metadata(_)),
                ) => {
                    tracing::debug!(%error, "a message is not sent");
                    out.not_sent(&delivery, 1);
                }
                sent => {
                    if let Err(error) = &sent {
                        self.dropped_without_connection(error, 1);
                    }
                    sent?;
                }
            }
        }
        Ok(())
    }

    /// So many messages that nobody waits for have found no connection.
    fn dropped_without_connection(&self, error: &SendError, count: usize) {
        if lacks_connection(error) {
            self.out.session.count_dropped(count);
        }
    }
}

/// What there was to be taken.
enum Take {
    Items,
    ConnectionLost,
    Ended(EndReason),
}

/// Whether the first frame of a publication, and so each of them, has nothing but a topic and a body.
fn is_bare(header: Option<&[u8; HEADER_LEN]>) -> bool {
    header
        .is_some_and(|header| Header::parse(header).is_ok_and(|header| header.flags == Flags::NONE))
}
