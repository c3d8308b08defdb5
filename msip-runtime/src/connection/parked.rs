//! A connection without a transport of which nothing is open: what is kept of it, and how it is there again.

use std::sync::Arc;

use super::{
    ConnectionInner, ConnectionShared, schema_teller::SchemaTeller, session_slot::SessionSlot,
    signal::Signal,
};
use crate::{Identity, Metadata, body::Encoding, instruments::Side};
use msip_session::{Config, ParkedSession, Session};

/// What is kept of a connection while its session has no transport, and nothing of it is open.
#[derive(Debug)]
pub(crate) struct ParkedConnection {
    session: ParkedSession,
    encoding: Encoding,
    sender: Option<Arc<Metadata>>,
    schema_teller: SchemaTeller,
}

impl ConnectionShared {
    /// Takes out what a further connection needs, to be put into another one by [`unpark`](Self::unpark); this one has no
    /// session then. `None` where something is open, or waits for this connection; nothing has changed then.
    ///
    /// The caller has the only handles of this connection, so that nothing begins meanwhile.
    pub(crate) fn park(&self) -> Option<ParkedConnection> {
        let mut state = self.lock();
        if !state.is_idle() {
            return None;
        }
        let session = state.session()?.park()?;
        state.session = SessionSlot::Empty;
        Some(ParkedConnection {
            session,
            encoding: std::mem::take(&mut state.encoding),
            sender: state.sender.take(),
            schema_teller: std::mem::take(&mut state.schema_teller),
        })
    }

    /// Takes a session that was parked, and waits for a further connection. This one has had none before.
    pub(crate) fn unpark(&self, parked: ParkedConnection, config: Arc<Config>) {
        let ParkedConnection {
            session,
            encoding,
            sender,
            schema_teller,
        } = parked;
        let session = Session::unpark(config, session, self.now());
        let mut state = self.lock();
        self.put(&mut state, session, encoding);
        state.sender = sender;
        state.schema_teller = schema_teller;
        let seen = state.seen();
        state.instruments.go_on(Side::Server, seen);
    }
}

impl ConnectionInner {
    /// Whether nothing waits for this connection, besides what its session knows of.
    fn is_idle(&self) -> bool {
        let is_unheard = |signal: &Option<Arc<Signal>>| {
            signal
                .as_ref()
                .is_none_or(|signal| Arc::strong_count(signal) == 1)
        };
        self.has_no_waiters() && is_unheard(&self.draining) && is_unheard(&self.next_session)
    }

    fn has_no_waiters(&self) -> bool {
        self.closed.is_none()
            && self.exchanges.len() == 0
            && self.message_queue.is_empty()
            && self.call_queue.is_empty()
            && self.running_calls.is_empty()
    }

    /// A session that is silent takes little memory from here on, until anything is done to it.
    pub(crate) fn rest(&mut self) {
        if self.has_no_waiters() {
            self.session.rest();
        }
    }
}

impl ParkedConnection {
    /// Counts what is held of the session against the memory budget: this, and `others` bytes besides.
    pub(crate) fn report_memory(&mut self, others: usize) {
        let identity = self.identity().map_or(0, |identity| identity.len());
        self.session
            .report_memory(self.encoding.len() + identity + others);
    }

    fn identity(&self) -> Option<&Identity> {
        self.sender.as_ref()?.1.as_deref()
    }
}
