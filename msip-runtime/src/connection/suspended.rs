//! A session without a connection: its clock goes on, and another connection may resume it.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use super::{ConnectionInner, ConnectionShared};
use msip_session::{
    InboundSlot, Lost, Outcome, PeerTerms, Session,
    wire::{MsgId, SessionId, Welcome},
};

impl ConnectionShared {
    /// Whether so many messages wait for their handlers that a new connection has to wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.lock()
            .session()
            .is_some_and(|session| session.is_behind())
    }

    /// Whether no handler has anything to do: no call of the peer is open, and no message waits for its handler.
    pub(crate) fn is_served(&self) -> bool {
        self.lock()
            .session()
            .is_none_or(|session| session.incoming_calls() == 0 && session.is_handled())
    }

    /// Gives back all memory that only a session with a connection needs.
    pub(crate) fn release_suspended(&self) {
        let mut state = self.lock();
        let lent = state.session().and_then(|session| session.return_buffers());
        state.release();
        drop(state);
        drop(lent);
    }

    /// The calls whose state the peer reports in the handshake. Those that are too many for a HELLO end here.
    pub(crate) fn awaited(&self) -> Vec<u64> {
        let mut state = self.lock();
        let Some(session) = state.session() else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        let awaited = session.awaited_calls(&mut lost);
        state.lose(&lost);
        // The peer counts no longer what was given up.
        state.return_permits();
        awaited
    }

    /// The accepting side's session goes on with a further connection, whose HELLO is answered first.
    pub(crate) fn welcome_back(
        &self,
        hello: MsgId,
        id: SessionId,
        welcome: &Welcome,
        agreed: &PeerTerms<'_>,
    ) {
        let now = self.now();
        self.lock()
            .resume(|session| session.welcome_back(hello, id, welcome, agreed, now));
    }

    /// Ends the session, and all that waits for it. Returns the exchanges that were open.
    pub(crate) fn lose_session(&self) -> Vec<Lost> {
        let mut state = self.lock();
        let lost = state
            .session()
            .map(|session| session.lost(None))
            .unwrap_or_default();
        state.end_session(&lost);
        self.note_backlog(&mut state);
        lost
    }
}

impl ConnectionInner {
    pub(super) fn resume(&mut self, action: impl FnOnce(&mut Session) -> Vec<InboundSlot>) {
        let Some(session) = self.session() else {
            return;
        };
        let cancelled = action(session);
        self.cancel_all(cancelled);
        self.return_permits();
        self.raise_next_session();
        self.connected();
        self.capacity_freed();
        self.wake_driver();
    }

    /// Does what is due in a session without a connection. Returns when to come back; `None` where the session is over.
    fn expire_suspended(&mut self, now: Duration) -> Option<Duration> {
        let session = self.session().filter(|session| !session.is_finished())?;
        let mut expired = Vec::new();
        session.report_memory();
        // A session without a connection is never in breach of its times.
        let _ = session.handle_timeout(now, &mut expired);
        let next = session.poll_timeout();
        self.keep_permits_of_expired(&expired);
        for token in expired {
            self.complete(token, Outcome::Expired);
        }
        Some(next)
    }
}

/// Keeps time for a session without a connection.
#[derive(Debug)]
pub(crate) struct SuspendedTimer {
    /// Not there where nothing is due.
    timer: Option<Pin<Box<Sleep>>>,
}

impl SuspendedTimer {
    pub(crate) const fn new() -> Self {
        Self { timer: None }
    }

    /// Ready when the session is over, or there is none.
    pub(crate) fn poll(
        &mut self,
        connection: &ConnectionShared,
        task: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let next = {
                let mut state = connection.lock();
                state.driver_awakes(task.waker());
                let Some(next) = state.expire_suspended(connection.now()) else {
                    return Poll::Ready(());
                };
                connection.note_backlog(&mut state);
                state.timer_sleeps();
                next
            };
            if next == Duration::MAX {
                self.timer = None;
                return Poll::Pending;
            }
            // A time beyond the range of the clock never comes.
            let at = connection
                .instant(next)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            timer.as_mut().reset(at);
            if timer.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
