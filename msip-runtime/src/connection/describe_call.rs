//! The answer to a peer that asks for the description of this side's schema (docs/protocol.md, "Schema fingerprint").
//!
//! The driver gives it as soon as it reads the call, whatever the handlers are doing: a peer may handle nothing until it
//! has compared the schemas, while the handlers here wait for its answers.

use std::sync::Arc;

use super::{ConnectionInner, ConnectionShared, schema_teller::SchemaTeller};
use crate::describe::OwnSchema;
use msip_schema::DESCRIBE_VARIANT;
use msip_session::{BareMessage, InboundSlot, Incoming, Reply};

/// What [`Reply`] needs as the type of an encoder where there is none.
type NoBody = fn(&mut Vec<u8>);

impl ConnectionShared {
    /// From here on the peer is told this schema where it asks.
    pub(crate) fn describe(&self, own: Arc<OwnSchema>) {
        self.lock().schema_teller = SchemaTeller::new(own);
    }
}

impl ConnectionInner {
    /// Whether this side answers such a call itself: at a topic of a broker one that knows no schema passes it on.
    #[cold]
    pub(crate) fn answers_describe(&self, call: &Incoming) -> bool {
        call.topic.is_empty() || self.schema_teller.is_told()
    }

    /// Whether a message with a topic is what a broker itself tells a typed session, in terms of its own.
    #[inline]
    pub(crate) fn is_told(&self, message: BareMessage, memory: &[u8]) -> bool {
        memory.get(message.topic().start) == Some(&b'$') && self.schema_teller.is_told()
    }

    /// Answers the call by which a peer asks for the schema.
    #[cold]
    pub(crate) fn answer_describe(&mut self, slot: InboundSlot, call: &Incoming) {
        let described = self.schema_teller.text(call);
        let Some(session) = self.session.as_mut() else {
            return;
        };
        match described {
            Ok(text) => {
                let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&text);
                session.reply(slot, Reply::message(DESCRIBE_VARIANT, text.len(), encode));
            }
            Err(status) => session.reply(slot, Reply::<NoBody>::Error(status.as_error())),
        }
        self.end_call(slot);
    }
}
