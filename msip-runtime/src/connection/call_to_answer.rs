//! What names a call of the peer until it is answered.

use msip_session::{InboundSlot, wire::MsgId};

/// A call of the peer that must be answered, whatever happens to its handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallToAnswer {
    pub(crate) slot: InboundSlot,
    pub(crate) generation: u64,
    /// The call's own id: its slot is used again when it is over.
    pub(crate) id: MsgId,
}
