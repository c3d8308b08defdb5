//! The answer to a peer that asks for the description of this side's schema (docs/protocol.md, "Schema fingerprint").
//!
//! The driver gives it as soon as it reads the call, whatever the handlers are doing: a peer may handle nothing until it
//! has compared the schemas, while the handlers here wait for its answers.

use std::sync::Arc;

use super::{ConnectionInner, ConnectionShared, schema_teller::SchemaTeller};
use crate::describe::OwnSchema;
use msip_schema::DESCRIBE_VARIANT;
use msip_session::{InboundSlot, Incoming, Reply};

/// What [`Reply`] needs as the type of an encoder where there is none.
type NoBody = fn(&mut Vec<u8>);

impl ConnectionShared {
    /// From here on the peer is told this schema where it asks.
    pub(crate) fn describe(&self, own: Arc<OwnSchema>) {
        self.lock().schema_teller = SchemaTeller::new(own);
    }
}

impl ConnectionInner {
    /// Answers the call by which a peer asks for the schema.
    #[cold]
    pub(crate) fn answer_describe(&mut self, slot: InboundSlot, call: &Incoming) {
        let described = self.schema_teller.text(call);
        let Some(session) = &mut self.session else {
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
