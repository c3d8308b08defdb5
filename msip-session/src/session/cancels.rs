//! CANCELs that are sent no faster than a peer takes them (docs/protocol.md, "Cancel").
//!
//! Whoever cancels more waits: a call that was given up counts until the peer has ended it, so that no more of them wait than the peer
//! lets be open. A broker cancels at a service what all of its callers give up, and the service would end the connection of all. Its
//! callers take turns, so that one who gives up thousands of calls does not hold up the CANCEL of another.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{CANCEL_BURST, CANCELS_PER_SECOND, Session, to_usize};
use crate::wire::MsgId;

/// How many are sent at once: half of what the peer takes, since they may come closer together than they were sent.
const BURST: u32 = CANCEL_BURST / 2;
const PER_SECOND: u32 = CANCELS_PER_SECOND / 2;

/// How often those are sent that wait.
const INTERVAL: Duration = Duration::from_millis(20);

/// How many may wait of calls of which the peer does not say when they have ended.
const MAX_UNTOLD: usize = 1024;

/// A CANCEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancel {
    pub(super) id: MsgId,
    pub(super) is_urgent: bool,
    /// For whom the call was made.
    pub(super) caller: u32,
}

/// CANCELs that wait. Their calls may have ended meanwhile.
#[derive(Debug, Default)]
struct WaitingCancels {
    /// Those of each caller in their order.
    of_callers: HashMap<u32, VecDeque<Cancel>>,
    /// The callers that have some, the next one first.
    turns: VecDeque<u32>,
    len: usize,
}

impl WaitingCancels {
    fn push(&mut self, cancel: Cancel) {
        let of_caller = self.of_callers.entry(cancel.caller).or_default();
        if of_caller.is_empty() {
            self.turns.push_back(cancel.caller);
        }
        of_caller.push_back(cancel);
        self.len += 1;
    }

    /// The next one, after which it is the turn of another caller.
    fn pop(&mut self) -> Option<Cancel> {
        let caller = self.turns.pop_front()?;
        let of_caller = self.of_callers.get_mut(&caller)?;
        let cancel = of_caller.pop_front()?;
        self.len -= 1;
        if of_caller.is_empty() {
            self.of_callers.remove(&caller);
        } else {
            self.turns.push_back(caller);
        }
        Some(cancel)
    }

    fn retain(&mut self, is_kept: impl Fn(&Cancel) -> bool) {
        for cancels in self.of_callers.values_mut() {
            cancels.retain(&is_kept);
        }
        self.of_callers.retain(|_, cancels| !cancels.is_empty());
        let of_callers = &self.of_callers;
        self.turns.retain(|caller| of_callers.contains_key(caller));
        self.len = of_callers.values().map(VecDeque::len).sum();
    }
}

/// The CANCELs of a session that has sent some lately.
#[derive(Debug)]
pub(super) struct CancelPacer {
    /// How many may be sent now.
    tokens: u32,
    /// Since when they have not grown; `None` until the time is known.
    since: Option<Duration>,
    waiting: WaitingCancels,
}

impl Default for CancelPacer {
    fn default() -> Self {
        Self {
            tokens: BURST,
            since: None,
            waiting: WaitingCancels::default(),
        }
    }
}

impl CancelPacer {
    /// Takes the right to send one; `false` where it has to wait.
    fn take(&mut self) -> bool {
        if self.waiting.len > 0 {
            return false;
        }
        let tokens = self.tokens.checked_sub(1);
        self.tokens = tokens.unwrap_or(0);
        tokens.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Duration {
        match (self.waiting.len, self.since) {
            (0, _) => Duration::MAX,
            (_, None) => Duration::ZERO,
            (_, Some(since)) => since + INTERVAL,
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
        self.tokens == BURST && self.waiting.len == 0
    }
}

impl Session {
    /// Sends a CANCEL, once it may be sent.
    pub(super) fn cancel_in_turn(&mut self, cancel: Cancel) {
        let pacer = self.cancel_pacer.get_or_insert_default();
        if pacer.take() {
            return self.push_cancel(cancel);
        }
        // Those that have ended make place.
        if pacer.waiting.len >= MAX_UNTOLD.max(2 * to_usize(self.outbound.abandoned_count())) {
            let outbound = &self.outbound;
            pacer
                .waiting
                .retain(|cancel| outbound.is_abandoned(cancel.id));
        }
        if self.peer_ends_cancelled || pacer.waiting.len < MAX_UNTOLD {
            pacer.waiting.push(cancel);
        }
    }

    /// Sends the CANCELs that have waited for long enough.
    pub(super) fn send_cancels(&mut self, now: Duration) {
        let Some(mut pacer) = self.cancel_pacer.take() else {
            return;
        };
        pacer.refill(now);
        while pacer.tokens > 0 {
            let Some(cancel) = pacer.waiting.pop() else {
                break;
            };
            // The others have ended, and are of no use any more.
            if !self.peer_ends_cancelled || self.outbound.is_abandoned(cancel.id) {
                pacer.tokens -= 1;
                self.push_cancel(cancel);
            }
        }
        self.cancel_pacer = Some(pacer).filter(|pacer| !pacer.is_idle());
    }

    /// The connection is lost: the peer forgets the calls that were given up.
    pub(super) fn forget_cancels(&mut self) {
        if let Some(pacer) = &mut self.cancel_pacer {
            pacer.waiting = WaitingCancels::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Side;

    #[test]
    fn those_of_a_caller_keep_their_order_and_what_has_ended_takes_no_turn() {
        let cancel = |caller: u32, number: u64| Cancel {
            id: MsgId::exchange(Side::Connecting, number),
            is_urgent: false,
            caller,
        };
        let mut waiting = WaitingCancels::default();
        let all = [(1, 1), (1, 2), (1, 3), (2, 4), (3, 5), (3, 6), (2, 7)];
        for (caller, number) in all {
            waiting.push(cancel(caller, number));
        }
        let ended = [cancel(3, 5), cancel(3, 6), cancel(1, 2)];
        waiting.retain(|cancel| !ended.contains(cancel));
        waiting.push(cancel(3, 8));
        let popped = std::iter::from_fn(|| waiting.pop());
        let expected = [(1, 1), (2, 4), (3, 8), (1, 3), (2, 7)];
        assert!(popped.eq(expected.map(|(caller, number)| cancel(caller, number))));
        assert!(waiting.len == 0 && waiting.of_callers.is_empty());
    }
}
