//! Logging in: while the login gate is closed only the login's own handle sends, and all others wait.

use super::{ConnectionInner, ConnectionShared};
use crate::body::Encoding;
use msip_session::{PeerTerms, Session};

impl ConnectionShared {
    /// Takes a session that is open, for a login, whose number is returned: until [`logged_in`](Self::logged_in), nothing is
    /// sent but by handles with that number.
    pub(crate) fn attach_for_login(&self, session: Session, encoding: Encoding) -> u64 {
        let mut state = self.lock();
        self.attach_to(&mut state, session, encoding);
        state.close_gate()
    }

    /// The connecting side's session goes on with a further connection, for a login, as by
    /// [`attach_for_login`](Self::attach_for_login). What the session took before is sent.
    pub(crate) fn resume_for_login(&self, agreed: &PeerTerms<'_>) -> u64 {
        let now = self.now();
        let mut state = self.lock();
        let login = state.close_gate();
        state.resume(|session| session.resume(agreed, now));
        login
    }

    /// The login is done: everyone may send.
    pub(crate) fn logged_in(&self) {
        self.lock().open_gate();
    }
}

impl ConnectionInner {
    /// Lets only the next login send. Returns its number.
    fn close_gate(&mut self) -> u64 {
        let gate = self.gate.get_or_insert_default();
        gate.last += 1;
        gate.holder = gate.last;
        self.is_gated = true;
        gate.holder
    }

    /// Lets everyone send, or find that there is no connection.
    pub(super) fn open_gate(&mut self) {
        self.is_gated = false;
        if let Some(gate) = &mut self.gate {
            gate.holder = 0;
            gate.waiters.call_all(&mut self.wakes);
        }
    }

    /// Whether who sends with this number of a login, or with 0 for none, has to wait for the login that holds the gate.
    #[inline]
    pub(super) fn is_held(&self, login: u64) -> bool {
        self.is_gated && self.gate.as_ref().is_some_and(|gate| gate.holder != login)
    }
}
