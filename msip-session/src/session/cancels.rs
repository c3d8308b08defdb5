//! CANCELs that are sent no faster than a peer takes them (docs/protocol.md, "Cancel").
//!
//! Whoever cancels more waits: a call that was given up counts until the peer has ended it, so that no more of them wait than the peer
//! lets be open. A broker cancels at a service what all of its callers give up, and the service would end the connection of all.

use std::{collections::VecDeque, time::Duration};

use super::{CANCEL_BURST, CANCELS_PER_SECOND, Session, to_usize};
use crate::wire::MsgId;

/// How many are sent at once: half of what the peer takes, since they may come closer together than they were sent.
const BURST: u32 = CANCEL_BURST / 2;
const PER_SECOND: u32 = CANCELS_PER_SECOND / 2;

/// How often those are sent that wait.
const INTERVAL: Duration = Duration::from_millis(20);

/// How many may wait of calls of which the peer does not say when they have ended.
const MAX_UNTOLD: usize = 1024;

/// The CANCELs of a session that has sent some lately.
#[derive(Debug)]
pub(super) struct CancelPacer {
    /// How many may be sent now.
    tokens: u32,
    /// Since when they have not grown; `None` until the time is known.
    since: Option<Duration>,
    /// Those that wait, and whether they are urgent. The call may have ended meanwhile.
    waiting: VecDeque<(MsgId, bool)>,
}

impl Default for CancelPacer {
    fn default() -> Self {
        Self {
            tokens: BURST,
            since: None,
            waiting: VecDeque::new(),
        }
    }
}

impl CancelPacer {
    /// Takes the right to send one; `false` where it has to wait.
    fn take(&mut self) -> bool {
        if !self.waiting.is_empty() {
            return false;
        }
        let tokens = self.tokens.checked_sub(1);
        self.tokens = tokens.unwrap_or(0);
        tokens.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Duration {
        match (self.waiting.is_empty(), self.since) {
            (true, _) => Duration::MAX,
            (false, None) => Duration::ZERO,
            (false, Some(since)) => since + INTERVAL,
        }
    }

    fn refill(&mut self, now: Duration) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_sub(since).as_millis();
        let refill = elapsed.saturating_mul(PER_SECOND.into()) / 1000;
        if refill > 0 {
            let refill = u32::try_from(refill).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(refill).min(BURST);
            self.since = Some(now);
        }
    }

    /// As if as many had been sent as may be.
    #[cfg(test)]
    pub(super) fn spend_all(&mut self) {
        self.tokens = 0;
    }

    /// Whether there is nothing to remember.
    fn is_idle(&self) -> bool {
        self.tokens == BURST && self.waiting.is_empty()
    }
}

impl Session {
    /// Whether the CANCEL of this call may be sent now; else it waits.
    pub(super) fn may_cancel(&mut self, id: MsgId, is_urgent: bool) -> bool {
        let pacer = self.cancel_pacer.get_or_insert_default();
        if pacer.take() {
            return true;
        }
        // Those that have ended make place.
        if pacer.waiting.len() >= MAX_UNTOLD.max(2 * to_usize(self.outbound.abandoned_count())) {
            let outbound = &self.outbound;
            pacer.waiting.retain(|(id, _)| outbound.is_abandoned(*id));
        }
        if self.peer_ends_cancelled || pacer.waiting.len() < MAX_UNTOLD {
            pacer.waiting.push_back((id, is_urgent));
        }
        false
    }

    /// Sends the CANCELs that have waited for long enough.
    pub(super) fn send_cancels(&mut self, now: Duration) {
        let Some(mut pacer) = self.cancel_pacer.take() else {
            return;
        };
        pacer.refill(now);
        while pacer.tokens > 0 {
            let Some((id, is_urgent)) = pacer.waiting.pop_front() else {
                break;
            };
            // The others have ended, and are of no use any more.
            if !self.peer_ends_cancelled || self.outbound.is_abandoned(id) {
                pacer.tokens -= 1;
                self.push_cancel(id, is_urgent);
            }
        }
        self.cancel_pacer = Some(pacer).filter(|pacer| !pacer.is_idle());
    }

    /// The connection is lost: the peer forgets the calls that were given up.
    pub(super) fn forget_cancels(&mut self) {
        if let Some(pacer) = &mut self.cancel_pacer {
            pacer.waiting = VecDeque::new();
        }
    }
}
