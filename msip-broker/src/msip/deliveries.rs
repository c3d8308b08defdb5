//! Messages for acknowledgment: they are sent one after the other, so that none overtakes another where a connection is lost.

use std::{
    collections::VecDeque,
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use msip_runtime::{
    CallError, CallOptions, Code, SendError,
    untyped::{PendingDelivery, UntypedMessage},
};

use super::{
    Shared,
    call::is_of_connection,
    outgoing::{Outgoing, finished_with},
};
use crate::router::{Delivery, Failed, OutboxItem, Refused, SessionHandle, WakeList};

/// How long an acknowledgment is waited for: the session's expiry ends the wait earlier.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What is not sent. It is bounded by what a session may have open, and as an outbox is.
#[derive(Default)]
pub(super) struct Deliveries {
    queue: VecDeque<Unsent>,
    /// The first of them, while it waits for capacity.
    sending: Option<Sending>,
    /// For the first there was no connection, and so many changes of the link ago.
    stuck_since: Option<u64>,
    /// What they keep.
    bytes: usize,
}

type Sending = Pin<Box<dyn Future<Output = Result<PendingDelivery, CallError>> + Send>>;

/// A message.
pub(super) struct Unsent {
    pub(super) delivery: Delivery,
    /// Its frame, one of the publication's.
    pub(super) frame: Bytes,
}

impl Deliveries {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there is no connection, and the reader has not heard of it yet.
    pub(super) fn stuck_since(&self) -> Option<u64> {
        self.stuck_since
    }

    /// What they keep, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, unsent: Unsent) {
        self.bytes += unsent.frame.len();
        self.queue.push_back(unsent);
    }

    /// What is not sent, in its order.
    pub(super) fn take(&mut self) -> VecDeque<Unsent> {
        // Dropped before it has sent it.
        self.sending = None;
        self.stuck_since = None;
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    fn pop(&mut self) -> Option<Unsent> {
        let unsent = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(unsent.frame.len());
        Some(unsent)
    }

    /// Sends as many as there is capacity for. Their acknowledgments are waited for by the open work.
    pub(super) fn poll(&mut self, out: &Outgoing<'_>, task: &mut Context<'_>) {
        while let Some(first) = self.queue.front() {
            let changes = out.link.changes();
            if self.stuck_since == Some(changes) {
                return;
            }
            let polled = match &mut self.sending {
                Some(sending) => sending.as_mut().poll(task),
                None => match first.message(out) {
                    None => {
                        if let Some(unsent) = self.pop() {
                            out.not_sent(&unsent.delivery, 1);
                        }
                        continue;
                    }
                    Some((message, options)) => {
                        let options = options.timeout(ACKNOWLEDGED_WITHIN);
                        let polled = {
                            let sending = pin!(out.handle.begin_delivery(&message, &options));
                            sending.poll(task)
                        };
                        match polled {
                            // In a box only where it has to wait.
                            Poll::Pending => {
                                let handle = out.handle.clone();
                                let sending = self.sending.insert(Box::pin(async move {
                                    handle.begin_delivery(&message, &options).await
                                }));
                                sending.as_mut().poll(task)
                            }
                            sent => sent,
                        }
                    }
                },
            };
            let Poll::Ready(sent) = polled else {
                return;
            };
            self.sending = None;
            self.stuck_since = None;
            if let Err(CallError::NotSent(error)) = &sent
                && lacks_connection(error)
            {
                self.stuck_since = Some(changes);
                return;
            }
            if let Some(unsent) = self.pop() {
                begun(unsent, sent, out);
            }
        }
        if self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }
}

/// For so many there may be memory while there are none.
const KEPT: usize = 8;

impl Unsent {
    fn message(&self, out: &Outgoing<'_>) -> Option<(UntypedMessage, CallOptions)> {
        let client = self.delivery.client.as_ref();
        out.message(self.frame.clone(), &self.delivery.publication, client)
    }

    /// As it was taken, but alone.
    pub(super) fn into_item(self) -> OutboxItem {
        OutboxItem::Publication(self.delivery.of_frame(self.frame))
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Waits for the acknowledgment beside others.
fn begun(unsent: Unsent, sent: Result<PendingDelivery, CallError>, out: &Outgoing<'_>) {
    let pending = match sent {
        Ok(pending) => pending,
        Err(error) => return failed(out.shared, out.session, unsent, &error),
    };
    let (session, shared) = (out.session.clone(), Arc::clone(out.shared));
    out.open().begin(async move {
        if let Err(error) = pending.await {
            failed(&shared, &session, unsent, &error);
        }
    });
}

/// Whether a message was not sent since there is no connection, or no session: it is for the reader to say which.
pub(super) fn lacks_connection(error: &SendError) -> bool {
    !matches!(error, SendError::Full) && is_of_connection(error)
}

/// A message was not acknowledged.
fn failed(shared: &Shared, session: &SessionHandle, unsent: Unsent, error: &CallError) {
    let (now, mut wakes) = (shared.now(), WakeList::new());
    if let CallError::NotSent(error) = error {
        finished_with(session, &unsent.delivery, 1);
        if lacks_connection(error) {
            // The session has ended before: no receiver has failed at it.
            let unsent = vec![unsent.into_item()];
            return shared.router.return_unsent(unsent, now, &mut wakes);
        }
    }
    let failed = Failed {
        delivery: &unsent.delivery,
        frame: unsent.frame,
        why: refused(error),
    };
    shared.router.failed(session, failed, now, &mut wakes);
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
