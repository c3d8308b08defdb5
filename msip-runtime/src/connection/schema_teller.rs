//! What a session tells its peer of this side's schema.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Code, Status, describe::OwnSchema};
use msip_session::Incoming;

/// How often a description is sent to the peer of one session, which asks once. Those who ask at a topic of a broker are many.
const MAX_DESCRIBED: u8 = 4;

/// What a session says of its schema.
#[derive(Debug, Default)]
pub(super) struct SchemaTeller {
    own: Option<Arc<OwnSchema>>,
    /// How often it has done so.
    described: u8,
}

impl SchemaTeller {
    /// One that tells this schema.
    pub(super) const fn new(own: Arc<OwnSchema>) -> Self {
        Self {
            own: Some(own),
            described: 0,
        }
    }

    /// Whether it has one to tell.
    pub(super) const fn is_told(&self) -> bool {
        self.own.is_some()
    }

    /// The answer to a call for the schema.
    pub(super) fn text(&mut self, call: &Incoming) -> Result<Bytes, Status> {
        if call.is_stream {
            let text = "the call for a schema is no stream";
            return Err(Status::invalid_argument(text));
        }
        let Some(own) = &self.own else {
            let text = "this side does not know the schema of what it passes on";
            return Err(Status::new(Code::Unimplemented, text));
        };
        if call.topic.is_empty() {
            if self.described >= MAX_DESCRIBED {
                let text = format!("the schema was sent {MAX_DESCRIBED} times already");
                return Err(Status::resource_exhausted(text));
            }
            self.described += 1;
        }
        let text = own.text().map_err(|reason| {
            Status::new(Code::Unimplemented, format!("no description: {reason}"))
        })?;
        Ok(text.clone())
    }
}
