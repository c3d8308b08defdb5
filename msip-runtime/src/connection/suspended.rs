//! A connection whose session has no connection: its clock goes on, and another connection may take it up.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use super::ConnectionShared;
use msip_session::{
    InboundSlot, Lost, Outcome, PeerTerms, Session,
    wire::{MsgId, SessionId, Welcome},
};

impl ConnectionShared {
    /// Whether so many messages wait for their handlers that another connection has to wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.lock()
            .session()
            .is_some_and(|session| session.is_behind())
    }

    /// The calls whose fate the other side is to tell. Those that are too many for a HELLO end here.
    pub(crate) fn awaited(&self) -> Vec<u64> {
        let mut state = self.lock();
        let Some(session) = state.session() else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        let awaited = session.awaited_calls(&mut lost);
        let wakers = state.lose(&lost);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        awaited
    }

    /// The connecting side's session goes on with a further connection.
    pub(crate) fn resume(&self, agreed: &PeerTerms<'_>) {
        let now = self.now();
        self.take_up(|session| session.resume(agreed, now));
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
        self.take_up(|session| session.welcome_back(hello, id, welcome, agreed, now));
    }

    fn take_up(&self, action: impl FnOnce(&mut Session) -> Vec<InboundSlot>) {
        let cancelled = self.with_session(action).unwrap_or_default();
        let wakers = {
            let mut state = self.lock();
            let mut wakers = state.cancel_all(cancelled);
            wakers.extend(state.capacity());
            wakers
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the session; whoever waits for it is told. Returns the exchanges that were open.
    pub(crate) fn lose_session(&self) -> Vec<Lost> {
        let mut state = self.lock();
        let lost = state
            .session()
            .map(|session| session.lost(None))
            .unwrap_or_default();
        let wakers = state.end_session(&lost);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        lost
    }
}

/// Keeps time for a session without a connection.
#[derive(Debug)]
pub(crate) struct SuspendedTimer {
    timer: Pin<Box<Sleep>>,
}

impl SuspendedTimer {
    pub(crate) fn new() -> Self {
        Self {
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Ready when the session is over, or there is none.
    pub(crate) fn poll(
        &mut self,
        connection: &ConnectionShared,
        task: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let mut state = connection.lock();
            state.driver_awakes(task.waker());
            let Some(session) = state.session() else {
                return Poll::Ready(());
            };
            if session.is_finished() {
                return Poll::Ready(());
            }
            let mut expired = Vec::new();
            session.report_memory();
            // A session without a connection is never in breach of its times.
            let _ = session.handle_timeout(connection.now(), &mut expired);
            let next = session.poll_timeout();
            let wakers: Vec<Waker> = expired
                .into_iter()
                .filter_map(|token| state.complete(token, Outcome::Expired))
                .collect();
            state.driver_sleeps();
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            // What no clock can tell is far enough away never to come.
            let at = connection
                .instant(next)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
            self.timer.as_mut().reset(at);
            if self.timer.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
