//! Messages for acknowledgment: they are sent one after the other, so that none overtakes another where a connection is lost.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Code, SendError,
    untyped::{PendingDelivery, UntypedMessage},
};

use super::{
    Shared,
    call::is_of_connection,
    delivery_queue::{Deliveries, Unsent},
    outgoing::{Outgoing, finished_with},
};
use crate::router::{Failed, Refused, SessionHandle, WakeList};

/// How long an acknowledgment is waited for: the session's expiry ends the wait earlier.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

impl Deliveries {
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
