//! Calls that were given up: each counts at the peer until the peer has ended it.
//!
//! Its permit is kept as long, so that a caller who gives up call after call has no more of them there than one who waits.

use super::{ConnectionInner, ConnectionShared, permits::CallPermit, relayed_call::Relay};
use msip_session::{Session, Slot, Token};

impl ConnectionShared {
    /// The permit of a call that is open is kept until the peer has ended the call.
    pub(crate) fn keep_permit_of(&self, token: Token, permit: CallPermit) {
        let mut state = self.lock();
        match state.exchanges.slot(token) {
            Some(slot) => state.keep_permit(slot, permit),
            // It has ended already.
            None => state.return_permit(Some(permit)),
        }
    }
}

impl ConnectionInner {
    /// Permits are dropped when the lock is released, since that wakes who waits for them.
    fn return_permit(&mut self, permit: Option<CallPermit>) {
        self.relays.extend(permit.map(Relay::Returned));
    }

    pub(super) fn keep_permit(&mut self, slot: Slot, permit: CallPermit) {
        let before = self.permits.insert(slot, permit);
        self.return_permit(before);
    }

    /// The same for a call that has just been given up: nothing where that has ended it at the peer too.
    pub(super) fn keep_permit_if_given_up(&mut self, slot: Slot, permit: Option<CallPermit>) {
        match permit {
            Some(permit) if self.is_given_up(slot) => self.keep_permit(slot, permit),
            permit => self.return_permit(permit),
        }
    }

    pub(super) fn is_given_up(&self, slot: Slot) -> bool {
        let session = self.session.awake();
        session.is_some_and(|session| session.is_given_up(slot))
    }

    /// These calls have run out of time, and do not end at the peer with that.
    pub(super) fn keep_permits_of_expired(&mut self, expired: &[Token]) {
        for token in expired {
            let relayed = self.exchanges.relayed_mut(*token);
            if let Some((slot, target)) = relayed {
                let permit = target.take_permit();
                self.keep_permit_if_given_up(slot, permit);
            }
        }
    }

    /// A call has ended here, and has a permit if it is a stream.
    pub(super) fn stream_ended(&mut self, slot: Slot) {
        if !self.is_given_up(slot) {
            self.given_up_ended(slot);
        }
    }

    /// The peer has ended a call that was given up.
    pub(crate) fn given_up_ended(&mut self, slot: Slot) {
        let permit = self.permits.remove(slot);
        self.return_permit(permit);
    }

    /// Calls may have ended that are not told one by one.
    pub(super) fn return_permits(&mut self) {
        let session = self.session.awake();
        let is_open = |slot| session.is_some_and(|session: &Session| session.is_used(slot));
        let returned = self.permits.remove_unless(is_open);
        self.relays
            .extend(returned.into_iter().map(Relay::Returned));
    }
}
